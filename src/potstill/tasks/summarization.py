"""Summaries, asked for directly or by chain of density.

Chain of density (Adams et al. 2023, arXiv 2309.04269) writes a summary of few entities, then again and again one of the same
length that takes in one to three more. The densest is not always the best: which round is taken is settled on validation
examples, by overlap with gold summaries where there are any, otherwise as the first whose density reaches that of people's.
"""

import json
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import Field

from potstill.answers import prose
from potstill.answers.reading import json_in
from potstill.tasks import WHOLE_TEXT, Column, Example, Found, Prompting, PromptSpec, Task, json_schema
from potstill.tasks.columns import text as as_text

ROUNDS = 4
STEP = ("missing_entities", "denser_summary")
HUMAN_DENSITY = 0.15
"""Entities a token in summaries written by people, and in those that people prefer (Adams et al. 2023, table 3)."""


class Summarization(Task):
    name: Literal["summarization"] = "summarization"
    """Which task it is."""
    round: Annotated[int, Field(ge=1, le=ROUNDS)] | None = None
    """The round of a chain of density that is taken. Left out: as validation examples have it."""

    gradable = False
    descriptive_scores = ("density", "words", "repetition", "unsupported")
    answer_placeholder = "SUMMARY"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"document": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"rounds": ROUNDS}

    def parse_gold(self, value: Any, example: Example) -> str:
        return as_text(value)

    @property
    def needs_calibration(self) -> bool:
        return self.round is None

    def calibrate(self, answered: Sequence[tuple[Example, str]]) -> tuple[Task, str]:
        chains = [(example, rounds(text)) for example, text in answered]
        whole = [(example, said) for example, said in chains if len(said) == ROUNDS]
        if not whole:
            return self, ""
        labelled = [(example["gold"], said) for example, said in whole if example["gold"] is not None]
        places = range(ROUNDS)
        if labelled:
            overlaps = [mean(prose.rouge_l(gold, said[i]) for gold, said in labelled) for i in places]
            taken = max(places, key=lambda i: overlaps[i])
            why = "overlap with gold (ROUGE-L) " + ", ".join(f"{overlap:.3f}" for overlap in overlaps)
        else:
            densities = [mean(prose.density(said[i]) for _, said in whole) for i in places]
            taken = next((i for i in places if densities[i] >= HUMAN_DENSITY), ROUNDS - 1)
            why = "entities a word " + ", ".join(f"{density:.3f}" for density in densities)
        return self.model_copy(update={"round": taken + 1}), f"round {taken + 1} of the chains is taken: {why}"

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        if said := rounds(text):
            taken = min(self.round or ROUNDS, len(said))
            return Found(said[taken - 1], f"round-{taken}") if len(said) == ROUNDS or not strict else None
        if STEP[0] in text:  # a chain that is no JSON
            return None
        return Found(text.strip().removeprefix("Summary:").strip(), WHOLE_TEXT)

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        said = inside["answer"]
        return said.strip() or None if isinstance(said, str) else None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold, source = example["gold"], example["document"]
        overlap = {}
        if gold is not None:
            overlap = {"rouge_l": prose.rouge_l(gold, answer)}
            overlap |= {f"rouge_{n}": prose.rouge_n(gold, answer, n) for n in (1, 2)}
        return overlap | {
            "density": prose.density(answer),
            "words": float(len(answer.split())),
            "repetition": prose.repetition(answer),
            "unsupported": float(len(prose.unsupported(source, answer))),
        }

    def _said(self, shot: Example, spec: PromptSpec) -> str:
        if spec.prompting.prompt != Prompting.COD:
            return super()._said(shot, spec)
        steps = [dict(zip(STEP, step, strict=True)) for step in shot["rounds"]]
        return json.dumps({"rounds": steps} if spec.output == "json" else steps, ensure_ascii=False)

    def target_text(self, rationale: str, answer: str) -> str:
        return answer

    def reply_schema(self, example: Example, spec: PromptSpec) -> dict[str, Any] | None:
        if spec.prompting.prompt != Prompting.COD:
            return super().reply_schema(example, spec)
        step = json_schema.object_schema({name: {"type": "string"} for name in STEP})
        return json_schema.object_schema({"rounds": {"type": "array", "items": step}})


def rounds(text: str) -> list[str]:
    """The summaries of a chain of density, in their order; empty where the text is none."""
    start, end = text.find("["), text.rfind("]")
    inside = json_in(text)
    if isinstance(inside, dict):
        inside = inside.get("rounds", inside.get("summaries"))
    if not isinstance(inside, list) and 0 <= start < end:
        inside = json_in(text[start : end + 1])
    if not isinstance(inside, list):
        return []
    said = [step.get(STEP[1]) for step in inside if isinstance(step, dict)]
    return [one.strip() for one in said if isinstance(one, str) and one.strip()]
