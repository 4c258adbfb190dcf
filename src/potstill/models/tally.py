"""What became of the requests to a model, and whether that is enough."""

from collections import Counter
from dataclasses import dataclass, field

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind
from potstill.models.budget import Spending
from potstill.progress import say

FIRST_LOOK = 20
"""Requests after which none of the others is sent when all of them came to nothing."""
CURES = {
    ErrorKind.AUTH: "Check the key, and which variable api_key_env names.",
    ErrorKind.NOT_FOUND: "Check url and model in the recipe.",
    ErrorKind.QUOTA: "Raise the account's limit, then run again.",
    ErrorKind.CONNECTION: "Check that the server runs and that url is right.",
}


@dataclass
class Tally:
    """What became of the requests to one model."""

    name: str
    total: int
    least: float = 0.0
    """Part of the requests that must succeed."""
    stored: int = 0
    repeated: int = 0
    """Those whose prompt stands in an earlier row too, which is asked for all of them."""
    answered: int = 0
    answers: int = 0
    """Those answered with a text, not with a refusal by the server."""
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
    def hopeless(self) -> bool:
        """Whether so many came to nothing that the others will too."""
        asked = self.answered + self.failures.total()
        if any(kind.fatal for kind in self.failures) or self.too_few:
            return True
        return asked >= FIRST_LOOK and not self.answers + self.stored

    @property
    def too_few(self) -> bool:
        """Whether so many failed for good that the part that must succeed cannot be reached any more."""
        failed = self.failures.total() + self.answered - self.answers
        return failed > (1 - self.least) * self.total + 1e-9

    def judge(self, spending: Spending) -> None:
        """Raises `PotstillError` or `Interrupted` unless every request has its answer or its own reason for none."""
        kept = f"{self.answered + self.stored} of {self.total} answers"
        missing = self.total - self.stored - self.repeated - self.answered - self.failures.total()
        kinds = sorted(self.failures, key=lambda kind: (not kind.fatal, not kind.retried))
        if kinds and kinds[0].fatal:
            raise self._failure(kinds[0])
        if self.least and self.too_few:
            raise PotstillError(
                f"{self.name}: fewer than {self.least:.0%} of {self.total} requests can succeed, which its min_success asks "
                f"for: {self._reasons()}. {kept} are kept; the same command again asks for the others only."
            )
        if interrupt.asked() and (missing or any(kind.retried for kind in kinds)):
            raise interrupt.Interrupted(
                f"{self.name}: stopped with {kept}, which are kept; the same command again asks for the others only."
            )
        if missing and spending.over and (self.answered or not kinds):
            raise PotstillError(
                f"{self.name}: its budget is spent: {spending.over}. {kept} are kept; raise it and run the same command "
                "again to ask for the others only."
            )
        if kinds and (missing or kinds[0].retried):
            raise self._failure(kinds[0])
        if missing:
            raise PotstillError(
                f"{self.name}: the server's content filter stopped each of the first {self.answered} answers. Read its "
                "policy, and the prompts with `potstill preview`."
            )
        if kinds:
            say(f"  {self.name}: {self.failures.total()} without an answer: {self._reasons()}")
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
            f"{self.name}: {kind}: {self.examples[kind].detail}. {CURES.get(kind, '')} {self.answered + self.stored} answers "
            "came and are kept; the same command again asks for the others only."
        )
