"""Distil a large instruction-tuned language model into a small one, and prove whether it worked."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from potstill.pipeline.pipeline import run
    from potstill.workspace.run import Run

__version__ = "0.1.0"
__all__ = ["Run", "__version__", "run"]


def __getattr__(name: str) -> Any:
    """Load the pipeline when it is first used: ``import potstill`` and ``potstill --help`` stay fast."""
    if name in {"Run", "run"}:
        from potstill.pipeline import pipeline

        return getattr(pipeline, name)
    raise AttributeError(f"module 'potstill' has no attribute {name!r}")
