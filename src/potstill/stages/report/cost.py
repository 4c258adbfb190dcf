"""What a run cost."""

from collections.abc import Mapping, Sequence
from typing import Any

from potstill.models.prices import Price
from potstill.workspace.artifacts import GeneratedRow


def cost(generated: Sequence[GeneratedRow], stages: Mapping[str, Any], price: Price | None) -> str:
    """The teacher's tokens and their price, and the time of all stages, in sentences."""
    prompt = sum(row["prompt_tokens"] for row in generated)
    completion = sum(row["completion_tokens"] for row in generated)
    cached = sum(row["cached_tokens"] for row in generated)
    minutes = sum(entry["seconds"] for entry in stages.values()) / 60
    return (
        f"For {len(generated)} training rows the teacher read {prompt:,} tokens and wrote {completion:,}"
        + (f", ${price.cost(prompt, completion, cached):.2f} at its server's prices. " if price else ". ")
        + f"All stages took {minutes:.1f} minutes on this machine."
    )
