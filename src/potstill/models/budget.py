"""What may be spent on a model, over all sittings of a run."""

from potstill.models import Completion, Model, Request
from potstill.models.store import Store
from potstill.models.wire import tokens_about
from potstill.recipe_models import Budget


class Spending:
    """What a run has spent, against its budget; answers that other runs paid for cost nothing."""

    def __init__(self, budget: Budget | None, model: Model, store: Store, run: str) -> None:
        self.budget, self.price = budget, model.price
        self.thinking_tokens = int(model.identity.get("thinking_tokens", 0))
        self.over = ""
        """The limit at which no other request was sent, in words."""
        self.requests, self.tokens, self.cost = store.spent(run, model.name) if budget else (0, 0, 0.0)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.requests += 1
            self.tokens += completion.prompt_tokens + completion.completion_tokens
            self.cost += completion.cost

    def allows(self, request: Request, in_flight: int) -> bool:
        """Whether there is room for another request.

        Those in flight count as dear as the others were on average, or as dear as this one can be at most.
        """
        if self.budget is None:
            return True
        read, written = tokens_about(request), request.sampling.max_tokens + self.thinking_tokens
        known = max(self.requests, 1)
        cost = self.cost / known if self.requests else self.price.of(read, written) if self.price else 0.0
        tokens = self.tokens / known if self.requests else read + written
        for name, limit, spent, each in (
            ("max_cost", self.budget.max_cost, self.cost, cost),
            ("max_tokens", self.budget.max_tokens, self.tokens, tokens),
            ("max_requests", self.budget.max_requests, self.requests, 1),
        ):
            if limit is not None and spent + in_flight * each >= limit:
                self.over = f"{name} is {limit:,g}"
                return False
        self.over = ""
        return True
