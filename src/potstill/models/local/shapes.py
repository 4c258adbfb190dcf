"""What the shapes of a model's tensors say of its size, without its weights."""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path

Shapes = Mapping[str, tuple[int, ...]]
"""The shape of each tensor, by its name."""
LAYER = re.compile(r"\.(\d+)\.")
"""The number of a layer in the name of a tensor: the first one, before that of an expert."""


def of_config(folder: Path) -> Shapes:
    """The shapes of the model that config.json in ``folder`` describes, built without memory for weights (PyTorch's meta device); empty where
    transformers does not know such a model."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    try:
        with torch.device("meta"):
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder))
    except Exception:  # of several libraries
        return {}
    return {name: tuple(weight.shape) for name, weight in model.named_parameters()}


@dataclass(frozen=True)
class Sizes:
    """Numbers of weights, and of values per token.

    Attributes:
        weights: all weights, and those of the matrices of all layers (``of_matrices``), of the largest layer (``of_layer``) and outside of
            layers (``outside``): embeddings and head.
        adapted: inputs and outputs of the matrices of all layers, which times the rank are the weights of adapters on them.
        layers, hidden, vocabulary: as a config.json has them.
        widest: inputs and outputs of the matrices of the layer that has most.
    """

    weights: int
    of_matrices: int
    of_layer: int
    outside: int
    adapted: int
    layers: int
    hidden: int
    vocabulary: int
    widest: int

    @classmethod
    def of(cls, shapes: Shapes) -> "Sizes":
        """The sizes of a transformer whose tensors have these shapes."""
        layers, outside = defaultdict[str, list[tuple[int, ...]]](list), list[tuple[int, ...]]()
        for name, shape in shapes.items():
            found = LAYER.search(name)
            (layers[found[1]] if found else outside).append(shape)
        matrices = {number: [shape for shape in of if len(shape) == 2] for number, of in layers.items()}
        tables = [shape for shape in outside if len(shape) == 2]
        widths = [sum(map(sum, of)) for of in matrices.values()]
        return cls(
            weights=sum(map(prod, shapes.values())),
            of_matrices=sum(prod(shape) for of in matrices.values() for shape in of),
            of_layer=max((sum(map(prod, of)) for of in layers.values()), default=0),
            outside=sum(map(prod, outside)),
            adapted=sum(widths),
            layers=len(layers),
            hidden=max((shape[1] for shape in tables), default=0),
            vocabulary=max((shape[0] for shape in tables), default=0),
            widest=max(widths, default=0),
        )
