"""The report's first lines: how good the student is, how certain that is, and what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from potstill.models.prices import Price
from potstill.stages.evaluate.verdict import OTHERS, STUDENT, WHERE, decided, strongest
from potstill.workspace.artifacts import GeneratedRow


def glance(
    evaluation: Mapping[str, Any],
    generated: Sequence[GeneratedRow],
    stages: Mapping[str, Any],
    price: Price | None,
) -> list[tuple[str, str]]:
    """Terms and their descriptions, in the order in which a reader asks."""
    splits = {split: values for split, values in evaluation["splits"].items() if STUDENT in values["systems"]}
    lines = [("How good", _quality(WHERE[split], values)) for split, values in splits.items()]
    for split, values in splits.items():
        if certainty := "; ".join(_certainty(values["comparisons"])):
            lines.append(("How certain", f"{WHERE[split]}: {certainty}."))
    latency = _latency(list(splits.values())[-1]) if splits else ""
    return [*lines, ("What it cost", _cost(generated, stages, price) + latency)]


def _quality(where: str, values: Mapping[str, Any]) -> str:
    systems = values["systems"]
    if not decided(values):
        return f"{where}, no score says which answers are correct; the scores below are descriptive only."
    text = f"{where}, the student answers {_accuracy(systems[STUDENT])} correctly"
    others = [
        f"the {role} {_accuracy(systems[c['b']])} at its best ({c['b']})"
        for role in OTHERS
        if (c := strongest(values["comparisons"], role))
    ]
    return text + "".join(f", {other}" for other in others) + "."


def _certainty(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for role in OTHERS:
        if c := strongest(comparisons, role):
            low, high = (round(100 * c[bound]) for bound in ("low", "high"))
            match c["finding"]:
                case "better":
                    yield f"better than the {role} by {low} to {high} points"
                case "worse":
                    yield f"worse than the {role} by {-high} to {-low} points"
                case "equal":
                    yield f"equal to the {role} within the margin ({_range(c)} points)"
                case _:
                    generous = c["truncated_as_correct"]
                    also = f", or {_range(generous)} if every truncated answer counted as correct" if generous else ""
                    yield f"no difference from the {role} is shown ({_range(c)} points{also})"


def _range(difference: Mapping[str, Any]) -> str:
    return " to ".join(f"{round(100 * difference[bound]):+}" for bound in ("low", "high"))


def _cost(generated: Sequence[GeneratedRow], stages: Mapping[str, Any], price: Price | None) -> str:
    prompt = sum(row["prompt_tokens"] for row in generated)
    completion = sum(row["completion_tokens"] for row in generated)
    cached = sum(row["cached_tokens"] for row in generated)
    minutes = sum(entry["seconds"] for entry in stages.values()) / 60
    return (
        f"For {len(generated)} training rows the teacher read {prompt:,} tokens and wrote {completion:,}"
        + (f", ${price.cost(prompt, completion, cached):.2f} at its server's prices. " if price else ". ")
        + f"All stages took {minutes:.1f} minutes on this machine."
    )


def _latency(values: Mapping[str, Any]) -> str:
    c = strongest(values["comparisons"], OTHERS[-1])
    student = values["systems"][STUDENT]["seconds_per_answer"]
    if not c or not student:
        return ""
    teacher = values["systems"][c["b"]]["seconds_per_answer"]
    return f" An answer takes the student {student:.2f} s and the teacher ({c['b']}) {teacher:.2f} s."


def _accuracy(system: Mapping[str, Any]) -> str:
    return f"{100 * system['metrics']['accuracy']['estimate']:.0f} %"
