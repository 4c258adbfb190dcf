"""The budget of a model, across all invocations of a run."""

from potstill.models import Completion, Model, Request
from potstill.models.remote.wire import estimate_prompt_tokens
from potstill.models.specs import Budget
from potstill.models.store.store import Store


class Spending:
    """What a run has spent on a model, and its budget; completions that other runs paid for are free."""

    def __init__(self, budget: Budget | None, model: Model, store: Store, run: str) -> None:
        self.budget, self.price = budget, model.price
        self.thinking_tokens = int(model.identity.get("thinking_tokens", 0))
        self.over = ""
        """The limit that stopped further requests, as text for a message; empty if none did."""
        self.requests, self.tokens, self.cost = store.spent(run, model.name) if budget else (0, 0, 0.0)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.requests += 1
            self.tokens += completion.prompt_tokens + completion.completion_tokens
            self.cost += completion.cost

    def allows(self, request: Request, in_flight: int) -> bool:
        """Whether the budget allows another request.

        Each request in flight is assumed to cost the average of the completed ones; before the first completion, the
        maximum that this request can cost.
        """
        if self.budget is None:
            return True
        prompt_tokens, max_tokens = estimate_prompt_tokens(request), request.sampling.max_tokens + self.thinking_tokens
        if self.requests:
            cost, tokens = self.cost / self.requests, self.tokens / self.requests
        else:
            cost = self.price.cost(prompt_tokens, max_tokens) if self.price else 0.0
            tokens = prompt_tokens + max_tokens
        for name, limit, spent, per_request in (
            ("max_cost", self.budget.max_cost, self.cost, cost),
            ("max_tokens", self.budget.max_tokens, self.tokens, tokens),
            ("max_requests", self.budget.max_requests, self.requests, 1),
        ):
            if limit is not None and spent + in_flight * per_request >= limit:
                self.over = f"{name} is {limit:,g}"
                return False
        self.over = ""
        return True
