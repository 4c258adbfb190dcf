"""Summaries, requested directly or by chain of density.

Chain of density (Adams et al. 2023, arXiv 2309.04269) writes a summary with few entities, then repeatedly rewrites it at the
same length with one to three more. The densest summary is not always the best: validation examples decide which round is used,
by overlap with gold summaries if there are any, otherwise as the first round that reaches the density of human summaries.
"""

import json
from collections.abc import Mapping, Sequence
from statistics import mean
from typing import Annotated, Any, Literal

from pydantic import Field

from potstill.answers.json_replies import parse_json
from potstill.metrics.names import entity_density, unsupported_entities
from potstill.metrics.overlap import rouge
from potstill.metrics.repeats import repetition
from potstill.metrics.splitting import word_count
from potstill.models import Message
from potstill.tasks import (
    WHOLE_TEXT,
    Column,
    Example,
    ExtractedAnswer,
    Prompting,
    PromptSpec,
    Task,
    json_schema,
    parse_text,
)

ROUNDS = 4
STEP_KEYS = ("missing_entities", "denser_summary")
HUMAN_ENTITIES_PER_TOKEN = 0.15
"""In summaries that people write, and in those that people prefer (Adams et al. 2023, table 3)."""


class Summarization(Task):
    name: Literal["summarization"] = "summarization"
    """The task's name."""
    round: Annotated[int, Field(ge=1, le=ROUNDS)] | None = None
    """The round of a chain of density whose summary is used. Default: chosen on validation examples."""

    gradable = False
    descriptive_scores = ("density", "words", "repetition", "unsupported")
    answer_placeholder = "SUMMARY"
    rubric_name = "summarization"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"document": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"rounds": ROUNDS}

    def parse_gold(self, value: Any, example: Example) -> str:
        return parse_text(value)

    @property
    def needs_calibration(self) -> bool:
        return self.round is None

    def calibrate(self, answered: Sequence[tuple[Example, str]]) -> tuple[Task, str]:
        chains = [(example["gold"], extract_rounds(text)) for example, text in answered]
        complete = [(gold, summaries) for gold, summaries in chains if len(summaries) == ROUNDS]
        if not complete:
            return self, ""
        with_gold = [(gold, summaries) for gold, summaries in complete if gold is not None]
        indices = range(ROUNDS)
        if with_gold:
            overlaps = [
                mean(rouge(summaries[i], gold, ["rougeL"])["rougeL"] for gold, summaries in with_gold) for i in indices
            ]
            best = max(indices, key=lambda i: overlaps[i])
            reason = "overlap with gold (ROUGE-L) " + ", ".join(f"{overlap:.3f}" for overlap in overlaps)
        else:
            best, reason = _first_dense_round([summaries for _, summaries in complete])
        return self.model_copy(update={"round": best + 1}), f"round {best + 1} of the chains is used: {reason}"

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        if summaries := extract_rounds(text):
            if strict and len(summaries) != ROUNDS:
                return None
            used = min(self.round or ROUNDS, len(summaries))
            return ExtractedAnswer(summaries[used - 1], f"round-{used}")
        if STEP_KEYS[0] in text.lower():  # a chain that is no valid JSON
            return None
        return ExtractedAnswer(text.strip().removeprefix("Summary:").strip(), WHOLE_TEXT)

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        summary = reply["answer"]
        return summary.strip() or None if isinstance(summary, str) else None

    def asked(self, example: Example) -> Sequence[Message]:
        return [{"role": "user", "content": "Summarize the source."}]

    def source(self, example: Example) -> str | None:
        return str(example["document"])

    def shown_answer(self, text: str, rationale: str, answer: str | None) -> str:
        return text if answer is None else answer

    def scores(self, answer: str, example: Example) -> dict[str, float | None]:
        gold, source = example["gold"], example["document"]
        overlap: dict[str, float | None] = {}
        if gold is not None:
            found = rouge(answer, gold)
            overlap = {"rouge_l": found["rougeL"], "rouge_1": found["rouge1"], "rouge_2": found["rouge2"]}
        unsupported = unsupported_entities(source, answer)
        return overlap | {
            "density": entity_density(answer),
            "words": float(word_count(answer)),
            "repetition": repetition(answer),
            "unsupported": None if unsupported is None else float(len(unsupported)),
        }

    def _solved_reply(self, shot: Example, spec: PromptSpec) -> str:
        if spec.prompting.prompt != Prompting.COD:
            return super()._solved_reply(shot, spec)
        steps = [dict(zip(STEP_KEYS, step, strict=True)) for step in shot["rounds"]]
        return json.dumps({"rounds": steps} if spec.output == "json" else steps, ensure_ascii=False)

    def target_text(self, rationale: str, answer: str) -> str:
        return answer

    def reply_schema(self, example: Example, spec: PromptSpec) -> dict[str, Any] | None:
        if spec.prompting.prompt != Prompting.COD:
            return super().reply_schema(example, spec)
        if self._instruction(spec) is not None:
            return None
        step = json_schema.object_schema({name: {"type": "string"} for name in STEP_KEYS})
        return json_schema.object_schema({"rounds": {"type": "array", "items": step}})


def _first_dense_round(chains: Sequence[Sequence[str]]) -> tuple[int, str]:
    """The index of the first round that reaches the density of human summaries, and why; the last if density has no score."""
    by_round = [[entity_density(chain[i]) for chain in chains] for i in range(ROUNDS)]
    scored = [[density for density in densities if density is not None] for densities in by_round]
    if not all(scored):
        return (
            ROUNDS - 1,
            "the last, because names cannot be counted in a script without capitals: density has no score",
        )
    means = [mean(densities) for densities in scored]
    best = next((i for i in range(ROUNDS) if means[i] >= HUMAN_ENTITIES_PER_TOKEN), ROUNDS - 1)
    return best, "entities per word " + ", ".join(f"{density:.3f}" for density in means)


def extract_rounds(text: str) -> list[str]:
    """The summaries of a chain of density, in order; empty where the text is no chain. The case of keys does not matter."""
    start, end = text.find("["), text.rfind("]")
    steps = parse_json(text)
    if isinstance(steps, dict):
        steps = steps.get("rounds", steps.get("summaries"))
    if not isinstance(steps, list) and 0 <= start < end:
        steps = parse_json(text[start : end + 1])
    if not isinstance(steps, list):
        return []
    lowered = [{key.lower(): value for key, value in step.items()} for step in steps if isinstance(step, dict)]
    summaries = [step.get(STEP_KEYS[1]) for step in lowered]
    return [summary.strip() for summary in summaries if isinstance(summary, str) and summary.strip()]
