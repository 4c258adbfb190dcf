"""Counts of the outcomes of requests, and whether they suffice for the run to continue."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request
from potstill.models.budget import Spending
from potstill.models.signs import Signs
from potstill.progress import echo

ABORT_AFTER = 20
"""Number of requests after which no other is sent if none of them succeeded."""
MOST = 0.5
"""Fraction of the requests that may fail, however low ``min_success`` is."""
UNANSWERED, UNANSWERED_FRACTION = 3, 0.02
"""Requests, or the fraction of them, that may stay without an answer while no other is answered: an outage concerns more."""
REMEDIES = {
    ErrorKind.AUTH: "Check the key, and which variable api_key_env names.",
    ErrorKind.NOT_FOUND: "Check url and model in the recipe.",
    ErrorKind.QUOTA: "The account has no credit or quota left: raise it, then rerun.",
    ErrorKind.CONNECTION: "Check that the server is running and that url is correct.",
}


@dataclass
class Tally:
    """Outcomes of the requests to one model."""

    name: str
    total: int
    min_success: float = 0.0
    """Fraction of the requests that must succeed."""
    required: bool = True
    """Whether it is an error that most requests fail."""
    stored: int = 0
    """Requests whose completion was in the store already."""
    repeated: int = 0
    """Requests whose prompt an earlier row has too; it is sent once for all of them."""
    answered: int = 0
    """Requests completed without an error, ``filtered`` ones included."""
    filtered: int = 0
    """Requests that the server's moderation stopped, or that it never answers while it answers others."""
    outage: int = 0
    """Requests that failed while no other was answered."""
    first_filtered: str = ""
    """What the server said of the first of these."""
    failures: Counter[ErrorKind] = field(default_factory=Counter)
    first_failures: dict[ErrorKind, Completion] = field(default_factory=dict)
    signs: Signs = field(default_factory=Signs)

    def add(self, completion: Completion) -> None:
        if completion.error is None:
            self.answered += 1
            if completion.finish_reason == "content_filter":
                self.filtered += 1
                self.first_filtered = self.first_filtered or completion.text
        else:
            self.failures[completion.error] += 1
            self.first_failures.setdefault(completion.error, completion)
            self.outage += completion.error.retried and not completion.lasting

    def watch(self, request: Request, completion: Completion) -> None:
        """Look at an answer for signs that something is wrong."""
        self.signs.watch(request, completion)

    @property
    def unusual(self) -> Mapping[str, int]:
        """Numbers of unusual answers, for the manifest."""
        refused = {"refused_by_moderation": self.filtered} if self.filtered else {}
        return {**refused, **self.signs.counts()}

    @property
    def succeeded(self) -> bool:
        """Whether any request has an answer."""
        return self.answered - self.filtered + self.stored > 0

    @property
    def should_abort(self) -> bool:
        """Whether so many requests failed that the others can be expected to fail too."""
        if any(kind.fatal for kind in self.failures) or self.min_success_missed or self._mostly_failed:
            return True
        finished = self.answered + self.failures.total()
        return (
            self.required
            and finished >= ABORT_AFTER
            and (not self.succeeded or (self.outage >= ABORT_AFTER and self._is_outage))
        )

    @property
    def min_success_missed(self) -> bool:
        """Whether so many requests failed permanently that ``min_success`` cannot be reached any more."""
        failed = self.failures.total() + self.filtered
        return failed > (1 - self.min_success) * self.total + 1e-9

    @property
    def _mostly_failed(self) -> bool:
        return self.required and self.failures.total() > MOST * self.total

    @property
    def _is_outage(self) -> bool:
        """Whether more requests failed while no other was answered than may do so by themselves; ``min_success`` says how many
        may, if it is given."""
        return not self.min_success and self.outage > max(UNANSWERED, UNANSWERED_FRACTION * self.total)

    def raise_for_failures(self, spending: Spending) -> None:
        """Raises `PotstillError` or `Interrupted` unless every request is completed, or failed for a reason of its own."""
        for message in self.signs.messages():
            echo(f"  {self.name}: {message}")
        saved = f"{self.answered + self.stored} of {self.total} answers"
        missing = self.total - self.stored - self.repeated - self.answered - self.failures.total()
        kinds = sorted(self.failures, key=lambda kind: (not kind.fatal, not kind.retried, -self.failures[kind]))
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
        if kinds and (missing or (self.required and (self._is_outage or self._mostly_failed or not self.succeeded))):
            raise self._failure(kinds[0])
        if missing or (self.required and self.filtered and not self.succeeded):
            raise PotstillError(
                f"{self.name}: the server's moderation stopped each of the first {self.filtered} requests; of the first it said: "
                f"{self.first_filtered.rstrip('.')}. Read its policy, and the prompts with `potstill preview`."
            )
        if kinds or self.filtered:
            failed = f"{self.failures.total()} requests failed" if kinds else f"{self.filtered} requests were refused"
            echo(f"  {self.name}: {failed}: {self._reasons()}")

    def _reasons(self) -> str:
        counts = [f"{n} {kind}" for kind, n in self.failures.most_common()]
        counts += [f"{self.filtered} stopped by the server's moderation, or never answered"] if self.filtered else []
        words = next((one.detail for one in self.first_failures.values()), self.first_filtered)
        return ", ".join(counts) + (f"; the first: {words}" if words else "")

    def _failure(self, kind: ErrorKind) -> PotstillError:
        remedy = REMEDIES.get(kind, "")
        if kind.retried and self.succeeded and not self._mostly_failed:
            remedy = f"{remedy} To continue without these rows, set min_success.".strip()
        sentences = (f"{self.name}: {kind}: {self.first_failures[kind].detail.rstrip('.')}.", remedy)
        saved = f"{self.answered + self.stored} answers are saved; rerun the same command to request the others."
        return PotstillError(" ".join(filter(None, (*sentences, saved))))
