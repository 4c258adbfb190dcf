"""What may be spent on a model, over all sittings of a run."""

from potstill.models import Completion
from potstill.models.store import Store
from potstill.recipe import Budget


class Spending:
    """What a run has spent, against its budget; answers that other runs paid for cost nothing."""

    def __init__(self, budget: Budget | None, store: Store, run: str) -> None:
        self.budget = budget
        self.over = ""
        """The limit at which no other request was sent, in words."""
        self.requests, self.tokens, self.cost = store.spent(run) if budget else (0, 0, 0.0)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.requests += 1
            self.tokens += completion.prompt_tokens + completion.completion_tokens
            self.cost += completion.cost

    def allows(self, in_flight: int) -> bool:
        """Whether there is room for another request, those in flight counted as dear as the others were on average."""
        if self.budget is None:
            return True
        share = 1 + in_flight / max(self.requests, 1)
        for name, limit, spent in (
            ("max_cost", self.budget.max_cost, self.cost),
            ("max_tokens", self.budget.max_tokens, self.tokens),
            ("max_requests", self.budget.max_requests, self.requests),
        ):
            expected = self.requests + in_flight if name == "max_requests" else spent * share
            if limit is not None and expected >= limit:
                self.over = f"{name} is {limit:,g}"
        return not self.over
