"""The recipe section `needs`: what the machine must have."""

from pydantic import Field

from potstill.config import Section


class Needs(Section):
    """What the machine must have that trains and evaluates the student. On others the run is refused before it begins;
    `potstill plan`, `preview`, `generate` and `curate` work anywhere."""

    gpu_memory_gb: float | None = Field(default=None, gt=0)
    """Memory of a GPU, in GB (10^9 bytes): a model in this process is on one GPU, the first. Left out: not checked."""
