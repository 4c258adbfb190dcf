"""Counts of the outcomes of requests, and whether they suffice for the run to continue."""

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
    """Requests whose completion was in the store already."""
    repeated: int = 0
    """Requests whose prompt an earlier row has too; it is sent once for all of them."""
    answered: int = 0
    """Requests completed without an error, ``filtered`` ones included."""
    filtered: int = 0
    """Requests completed without a text: the server's content filter stopped them."""
    failures: Counter[ErrorKind] = field(default_factory=Counter)
    first_failures: dict[ErrorKind, Completion] = field(default_factory=dict)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.answered += 1
            self.filtered += completion.finish_reason == "content_filter"
        else:
            self.failures[completion.error] += 1
            self.first_failures.setdefault(completion.error, completion)

    @property
    def should_abort(self) -> bool:
        """Whether so many requests failed that the others can be expected to fail too."""
        finished = self.answered + self.failures.total()
        if any(kind.fatal for kind in self.failures) or self.min_success_missed:
            return True
        return finished >= ABORT_AFTER and self.answered - self.filtered + self.stored == 0

    @property
    def min_success_missed(self) -> bool:
        """Whether so many requests failed permanently that ``min_success`` cannot be reached any more."""
        failed = self.failures.total() + self.filtered
        return failed > (1 - self.min_success) * self.total + 1e-9

    def raise_for_failures(self, spending: Spending) -> None:
        """Raises `PotstillError` or `Interrupted` unless every request is completed, or failed for a reason of its own."""
        saved = f"{self.answered + self.stored} of {self.total} answers"
        missing = self.total - self.stored - self.repeated - self.answered - self.failures.total()
        kinds = sorted(self.failures, key=lambda kind: (not kind.fatal, not kind.retried))
        if kinds and kinds[0].fatal:
            raise self._failure(kinds[0])
        if self.min_success and self.min_success_missed:
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
            echo(f"  {self.name}: {self.failures.total()} requests failed: {self._reasons()}")
        if kinds and self.failures.total() + self.repeated == self.total:
            raise self._failure(kinds[0])

    def _reasons(self) -> str:
        counts = [f"{n} {kind}" for kind, n in self.failures.most_common()]
        counts += [f"{self.filtered} stopped by the server's content filter"] if self.filtered else []
        first = f"; the first: {next(iter(self.first_failures.values())).detail}" if self.first_failures else ""
        return ", ".join(counts) + first

    def _failure(self, kind: ErrorKind) -> PotstillError:
        return PotstillError(
            f"{self.name}: {kind}: {self.first_failures[kind].detail}. {REMEDIES.get(kind, '')} {self.answered + self.stored} answers "
            "are saved; rerun the same command to request the others."
        )
