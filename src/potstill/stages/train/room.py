"""Whether training fits into memory, before anything is loaded."""

from potstill import memory
from potstill.errors import PotstillError
from potstill.models.local import gpu
from potstill.models.local.weights import Dtype, LocalWeights, resolve_dtype
from potstill.recipe.recipe import Recipe

RESERVE_BYTES = 500_000_000
"""Python, torch and transformers, and the activations of a few rows of a small model."""
OF_STATE = 16
"""Bytes of a trained weight: itself, its gradient and AdamW's two numbers in float32."""


def require(recipe: Recipe) -> None:
    """Raises `PotstillError` where weights, gradients and the optimizer's state alone need more memory than is free.

    Activations come on top, and adapters, which are small.
    """
    found = gpu.memory_bytes() or memory.available()
    needed = needed_bytes(recipe)
    if found is None or needed <= found:
        return
    smaller = "train.method: lora, or " if recipe.train.method == "full" else ""
    raise PotstillError(
        f"Training {recipe.student.model} by method {recipe.train.method} needs at least {needed / 1e9:.1f} GB of memory for its weights, "
        f"gradients and optimizer, and {found / 1e9:.1f} GB are free. Use {smaller}a smaller student, or a larger machine."
    )


def needed_bytes(recipe: Recipe) -> int:
    """Bytes of weights, gradients and the optimizer's state, and of a teacher that is in memory too."""
    student = recipe.student.model.float32_bytes()
    half = resolve_dtype(recipe.student.dtype) != "float32"
    if recipe.train.method == "full":
        of_student = (
            student // 4 * (OF_STATE + (2 if half else 0))
        )  # products are computed with copies in half precision
    else:
        of_student = student // (2 if half else 1)
    teacher = recipe.teacher_weights if recipe.train.on_policy else None
    return RESERVE_BYTES + of_student + (_bytes(teacher, recipe.teacher.dtype) if teacher else 0)


def _bytes(weights: LocalWeights, dtype: Dtype) -> int:
    return weights.float32_bytes() // (1 if resolve_dtype(dtype) == "float32" else 2)
