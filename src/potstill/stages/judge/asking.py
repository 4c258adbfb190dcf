"""Ask a judge about many cases: stored, paid for, resumed and retried as any other request."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from potstill.labels.table import State
from potstill.models import Completion
from potstill.models.complete import Account, complete_within_budget
from potstill.progress import echo
from potstill.recipe.asked import AskedModel
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stages.judge.reading import MAX_REASON, Reading


@dataclass(frozen=True)
class Judgement:
    """What became of a request to a judge. ``reading`` is None unless it was given."""

    state: State
    reading: Reading | None
    reason: str


def ask(
    judge: AskedModel, max_tokens: int, inquiry: Inquiry, cases: Sequence[Case], name: str, account: Account
) -> list[Judgement]:
    """A judgement of each case, in their order; ``name`` labels the progress. An unreadable one is requested once more, with a reminder
    of the form.

    Raises `PotstillError` as `potstill.models.complete.complete` does.
    """

    def judgements(chosen: Sequence[Case], attempt: int) -> list[Judgement]:
        requests = [inquiry.request(str(i), case, max_tokens, attempt) for i, case in enumerate(chosen)]
        label = f"{name}, once more" if attempt else name
        completions = complete_within_budget(judge, requests, label, account, required=not attempt)
        return _read(inquiry, chosen, completions)

    first = judgements(cases, 0)
    unreadable = [i for i, one in enumerate(first) if one.state is State.UNREADABLE]
    if unreadable:
        echo(f"  {name}: {len(unreadable)} of {len(cases)} judgements are unreadable; they are requested once more")
        for i, again in zip(unreadable, judgements([cases[i] for i in unreadable], 1), strict=True):
            if again.state is State.GIVEN:
                first[i] = again
    return first


def _read(inquiry: Inquiry, cases: Iterable[Case], completions: Iterable[Completion]) -> list[Judgement]:
    return [_judgement(inquiry, case, completion) for case, completion in zip(cases, completions, strict=True)]


def _judgement(inquiry: Inquiry, case: Case, completion: Completion) -> Judgement:
    if completion.error or completion.finish_reason == "content_filter":
        why = f"{completion.error.value}: {completion.detail}" if completion.error else completion.text
        return Judgement(State.FAILED, None, why[:MAX_REASON])
    if reading := inquiry.read(case, completion.text):
        return Judgement(State.GIVEN, reading, reading.reason)
    return Judgement(State.UNREADABLE, None, completion.text[:MAX_REASON])
