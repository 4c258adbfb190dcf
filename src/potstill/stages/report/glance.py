"""The report's first lines: how good the student is, how certain that is, and what it cost."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from potstill.models.prices import Price
from potstill.recipe.systems import STUDENT
from potstill.stages.evaluate.verdict import WHERE, spoken_of
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
        if values["decided"] and (certainty := "; ".join(_certainty(spoken_of(values)))):
            lines.append(("How certain", f"{WHERE[split]}: {certainty}."))
    return [*lines, ("What it cost", _cost(generated, stages, price))]


def _quality(where: str, values: Mapping[str, Any]) -> str:
    systems = values["systems"]
    if not values["decided"]:
        return f"{where}, no score says which answers are correct; the scores below are descriptive only."
    text = f"{where}, the student answers {_accuracy(systems[STUDENT])} correctly"
    return text + "".join(f", {c['b']} {_accuracy(systems[c['b']])}" for c in spoken_of(values)) + "."


def _certainty(comparisons: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for c in comparisons:
        low, high = (round(100 * c[bound]) for bound in ("low", "high"))
        match c["finding"]:
            case "better":
                yield f"better than {c['b']} by {low} to {high} points"
            case "worse":
                yield f"worse than {c['b']} by {-high} to {-low} points"
            case "equal":
                yield f"equal to {c['b']} within the margin ({_range(c)} points)"
            case _:
                bounds = c["bounds"]
                also = (
                    f"; truncated answers could make it {_range({'low': bounds['lower']['low'], 'high': bounds['upper']['high']})}"
                    if bounds
                    else ""
                )
                yield f"no difference from {c['b']} is shown ({_range(c)} points{also})"


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


def _accuracy(system: Mapping[str, Any]) -> str:
    return f"{100 * system['metrics']['accuracy']['estimate']:.0f} %"
