"""Whether answers of an export are the greedy answers of the student's weights in float32."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from potstill import interrupt
from potstill.progress import progress

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Said:
    """An export's greedy answer: token ids of prompt and answer, with or without its end, and whether it ended by itself."""

    id: str
    prompt: Sequence[int]
    answer: Sequence[int]
    ended: bool


@dataclass(frozen=True)
class Difference:
    """The first token of an answer that differs. gap: how much higher the log-probability (nats) of the student's token is than that of the
    export's, by the student's weights in float32: a gap near 0 is a tie that rounding decides."""

    id: str
    token: int
    student: str
    exported: str
    gap: float


def differences(folder: Path, said: Sequence[Said]) -> Iterator[Difference]:
    """Where the answers are not the greedy ones of the weights in ``folder``, in float32.

    A greedy answer takes the most probable token at each place, given those before it. So an answer is the greedy one if, in one pass over
    prompt and answer, each token is the most probable one at its place; the first that is not is the first that differs.
    """
    import torch

    from potstill.models.local import loading

    model, chat = loading.load_model(folder, "float32"), loading.load_chat(folder)
    model.eval()
    ends = sorted(chat.end_ids(model))
    with torch.inference_mode(), progress("gate: answers", len(said), "answers") as bar:
        for one in said:
            interrupt.raise_if_requested()
            if found := _first_difference(model, one, ends):
                token, expected, got, gap = found
                shown, exported = (str(chat.tokenizer.decode([id])) for id in (expected, got))
                yield Difference(one.id, token, shown, exported, gap)
            bar.advance()


def _first_difference(model: "PreTrainedModel", said: Said, ends: Sequence[int]) -> tuple[int, int, int, float] | None:
    """Place, expected token, token and gap of the first difference."""
    import torch

    answer = [int(id) for id in said.answer]
    if said.ended and answer and answer[-1] in ends:
        answer.pop()
    ids = torch.tensor([[*said.prompt, *answer]], device=model.device)
    output: Any = model(input_ids=ids, logits_to_keep=len(answer) + 1)
    scores = output.logits[0].float().log_softmax(-1)
    best = scores.argmax(-1).tolist()
    for i, (expected, got) in enumerate(zip(best, answer, strict=False)):
        if expected != got:
            return i, expected, got, float(scores[i, expected] - scores[i, got])
    if said.ended and best[len(answer)] not in ends:
        last = scores[len(answer)]
        end = max(ends, key=lambda id: float(last[id]))
        return len(answer), best[len(answer)], end, float(last[best[len(answer)]] - last[end])
    return None
