"""The memory that training takes in one process, before anything is loaded."""

from dataclasses import dataclass

from potstill import memory
from potstill.errors import PotstillError
from potstill.models.local import gpu
from potstill.models.local.shapes import Sizes
from potstill.models.local.weights import Dtype, LocalWeights, resolve_dtype
from potstill.recipe.recipe import Recipe

RESERVE_BYTES = 500_000_000
"""Python, torch and transformers."""
TRAINED = 12
"""Bytes of the gradient and AdamW's two numbers of a trained weight, in float32."""
SHARDED = 0.5
"""Part of a GPU's memory beyond which the student's weights, gradients and optimizer are split over all of them."""
FULL = 0.9
"""Part of the free memory that weights, optimizer and activations may fill before activations are computed again in the backward pass
(activation checkpointing; Chen et al. 2016, arXiv 1604.06174)."""
OF_LOSS = 14
"""Bytes of each token and word of the vocabulary while the loss is computed: logits and their gradient in half precision, and in float32
the logits, their logarithms and the gradient."""
OF_NORMS, OF_END = 4, 3
"""Values of each token, times the width of the model, that a layer keeps for its norms, beside the inputs and outputs of its matrices; and that
the last norm keeps."""
QUANTIZED = 0.52
"""Bytes of a weight in NF4 with its block's constants quantized too (Dettmers et al. 2023, arXiv 2305.14314: 4.127 bits)."""
USUAL_GPU = 80
"""GB of the GPUs that a plan is about where the recipe does not say."""


@dataclass(frozen=True)
class Room:
    """Bytes of one process: of weights, gradients and optimizer (``state``), and of the activations of a forward pass at most, kept or computed
    again (``checkpointed``). ``sharded``: the state is split over all processes (FSDP2); otherwise each has all of it (DDP)."""

    state: int
    activations: int
    checkpointed: int
    sharded: bool


def room(recipe: Recipe, dtype: str, gpu_bytes: float, longest: int | None = None) -> Room:
    """What one process needs, multiplying in ``dtype``, on a GPU with so much memory, or none; ``longest`` is the length of the longest row,
    if it is known."""
    sizes = Sizes.of(recipe.student.model.shapes())
    processes = recipe.train.processes
    may_be_sharded = processes > 1 and recipe.train.method != "qlora"
    sharded = may_be_sharded and 0 < SHARDED * gpu_bytes < _state(recipe, sizes, dtype, 1)
    value = 4 if dtype == "float32" else 2
    tokens = recipe.train.rows_at_once // processes * (longest or recipe.train.max_length)
    of_layer = tokens * (sizes.widest + OF_NORMS * sizes.hidden) * value
    outside = tokens * (sizes.vocabulary * OF_LOSS + OF_END * sizes.hidden * value)
    return Room(
        state=_state(recipe, sizes, dtype, processes if sharded else 1),
        activations=sizes.layers * of_layer + outside,
        checkpointed=sizes.layers * tokens * sizes.hidden * value + of_layer + outside,
        sharded=sharded,
    )


def here(recipe: Recipe, longest: int | None = None) -> Room:
    """What one process needs on this machine."""
    return room(recipe, resolve_dtype(recipe.student.dtype), gpu.memory_bytes(), longest)


def recomputes(recipe: Recipe, longest: int) -> bool:
    """Whether activations do not fit on the GPU, so that they are computed again in the backward pass: a step takes about a third longer."""
    needed, found = here(recipe, longest), gpu.memory_bytes()
    return 0 < FULL * found < needed.state + needed.activations


def require(recipe: Recipe) -> None:
    """Raises `PotstillError` where weights, gradients and the optimizer's state alone need more memory than is free."""
    needed, free = here(recipe), _free(recipe)
    if free is None or needed.state <= free:
        return
    smaller = {"full": "train.method: lora, or ", "lora": "train.method: qlora, or " if gpu.memory_bytes() else ""}
    each = f" in each of {recipe.train.processes} processes" if recipe.train.processes > 1 else ""
    raise PotstillError(
        f"Training {recipe.student.model} by method {recipe.train.method} needs at least {needed.state / 1e9:.1f} GB of memory{each} for its "
        f"weights, gradients and optimizer, and {free / 1e9:.1f} GB are free. Use {smaller.get(recipe.train.method, '')}a smaller student, or a larger machine."
    )


def planned(recipe: Recipe) -> Room | None:
    """What a process needs on a GPU as the recipe wants it (`needs.gpu_memory_gb`, `train.processes`); None for recipes that want none,
    and students of an unknown size. The size of weights that are not here loads torch."""
    if recipe.needs.gpu_memory_gb is None and recipe.train.processes == 1:
        return None
    dtype = "bfloat16" if recipe.student.dtype == "auto" else recipe.student.dtype
    found = room(recipe, dtype, 1e9 * (recipe.needs.gpu_memory_gb or USUAL_GPU))
    return found if found.activations else None


def in_words(recipe: Recipe, of: Room) -> str:
    """A plan's line about the memory of a GPU."""
    n = recipe.train.processes
    how = f", split over {n} (FSDP2)" if of.sharded else f", the same on each of {n} (DDP)" if n > 1 else ""
    rows = recipe.train.rows_at_once // n
    return (
        f"train: about {of.state / 1e9:,.0f} GB a GPU for weights, gradients and optimizer{how}; activations of {rows} "
        f"{'row' if rows == 1 else 'rows'} of {recipe.train.max_length} tokens take at most {of.activations / 1e9:,.0f} GB more, or "
        f"{of.checkpointed / 1e9:,.0f} GB where they are computed again"
    )


def _free(recipe: Recipe) -> int | None:
    """Bytes that one process may use; None where the system does not say."""
    if of_gpu := gpu.memory_bytes():
        return of_gpu
    of_machine = memory.available()
    return of_machine and of_machine // recipe.train.processes


def _state(recipe: Recipe, sizes: Sizes, dtype: str, parts: int) -> int:
    """Bytes of weights, gradients and optimizer of one process that has one of so many ``parts`` of them, and of a teacher."""
    value = 4 if dtype == "float32" else 2
    adapters = sizes.adapted * recipe.train.lora.rank
    match recipe.train.method:
        case "full":  # products are computed with copies in half precision
            kept, trained, copies = 4 * sizes.weights, sizes.weights, 0 if value == 4 else value * sizes.weights
        case "lora":
            kept, trained, copies = value * sizes.weights + 4 * adapters, adapters, 0
        case "qlora":
            quantized = int(QUANTIZED * sizes.of_matrices) + 4 * (sizes.weights - sizes.of_matrices)
            kept, trained, copies = quantized + 4 * adapters, adapters, 0
    if parts > 1:  # two layers, and what is outside of layers, are whole while they are used
        copies = value * (2 * sizes.of_layer + sizes.outside)
    elif recipe.train.processes > 1:
        copies += 4 * trained  # DDP's buckets
    teacher = recipe.teacher_weights if recipe.train.on_policy else None
    of_teacher = _bytes(teacher, recipe.teacher.dtype) if teacher else 0
    return RESERVE_BYTES + (kept + TRAINED * trained) // parts + copies + of_teacher


def _bytes(weights: LocalWeights, dtype: Dtype) -> int:
    return weights.float32_bytes() // (1 if resolve_dtype(dtype) == "float32" else 2)
