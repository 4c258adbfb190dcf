"""Counts of the outcomes of requests, and whether they suffice."""

from collections import Counter
from dataclasses import dataclass, field

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind
from potstill.models.budget import Spending
from potstill.progress import echo

ABORT_AFTER = 20
"""Number of requests after which no other is sent if none of them succeeded."""
REMEDIES = {
    ErrorKind.AUTH: "Check the key, and which variable api_key_env names.",
    ErrorKind.NOT_FOUND: "Check url and model in the recipe.",
    ErrorKind.QUOTA: "Raise the account's limit, then rerun.",
    ErrorKind.CONNECTION: "Check that the server is running and that url is correct.",
}


@dataclass
class Tally:
    """Outcomes of the requests to one model."""

    name: str
    total: int
    min_success: float = 0.0
    """Fraction of the requests that must succeed."""
    stored: int = 0
    repeated: int = 0
    """Requests whose prompt an earlier row has too; it is sent once for all of them."""
    answered: int = 0
    answers: int = 0
    """Requests answered with a text, not with a refusal by the server."""
    failures: Counter[ErrorKind] = field(default_factory=Counter)
    examples: dict[ErrorKind, Completion] = field(default_factory=dict)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.answered += 1
            self.answers += completion.finish_reason != "content_filter"
        else:
            self.failures[completion.error] += 1
            self.examples.setdefault(completion.error, completion)

    @property
    def should_abort(self) -> bool:
        """Whether so many requests failed that the others can be expected to fail too."""
        asked = self.answered + self.failures.total()
        if any(kind.fatal for kind in self.failures) or self.too_few:
            return True
        return asked >= ABORT_AFTER and not self.answers + self.stored

    @property
    def too_few(self) -> bool:
        """Whether so many requests failed permanently that ``min_success`` cannot be reached any more."""
        failed = self.failures.total() + self.answered - self.answers
        return failed > (1 - self.min_success) * self.total + 1e-9

    def raise_for_failures(self, spending: Spending) -> None:
        """Raises `PotstillError` or `Interrupted` unless every request has its answer, or its own reason for having none."""
        saved = f"{self.answered + self.stored} of {self.total} answers"
        missing = self.total - self.stored - self.repeated - self.answered - self.failures.total()
        kinds = sorted(self.failures, key=lambda kind: (not kind.fatal, not kind.retried))
        if kinds and kinds[0].fatal:
            raise self._failure(kinds[0])
        if self.min_success and self.too_few:
            raise PotstillError(
                f"{self.name}: fewer than {self.min_success:.0%} of {self.total} requests can succeed, the fraction that "
                f"min_success requires: {self._reasons()}. {saved} are saved; rerun the same command to request the others."
            )
        if interrupt.stop_requested() and (missing or any(kind.retried for kind in kinds)):
            raise interrupt.Interrupted(
                f"{self.name}: interrupted with {saved}, which are saved; rerun the same command to request the others."
            )
        if missing and spending.over and (self.answered or not kinds):
            raise PotstillError(
                f"{self.name}: its budget is spent: {spending.over}. {saved} are saved; raise the budget and rerun the same "
                "command to request the others."
            )
        if kinds and (missing or kinds[0].retried):
            raise self._failure(kinds[0])
        if missing:
            raise PotstillError(
                f"{self.name}: the server's content filter stopped each of the first {self.answered} answers. Read its "
                "policy, and the prompts with `potstill preview`."
            )
        if kinds:
            echo(f"  {self.name}: {self.failures.total()} without an answer: {self._reasons()}")
        if kinds and self.failures.total() + self.repeated == self.total:
            raise self._failure(kinds[0])

    def _reasons(self) -> str:
        filtered = self.answered - self.answers
        counts = [f"{n} {kind}" for kind, n in self.failures.most_common()]
        counts += [f"{filtered} stopped by the server's content filter"] if filtered else []
        first = f"; the first: {next(iter(self.examples.values())).detail}" if self.examples else ""
        return ", ".join(counts) + first

    def _failure(self, kind: ErrorKind) -> PotstillError:
        return PotstillError(
            f"{self.name}: {kind}: {self.examples[kind].detail}. {REMEDIES.get(kind, '')} {self.answered + self.stored} answers "
            "are saved; rerun the same command to request the others."
        )
