"""Whether a model fits into memory, before it is loaded."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from potstill import memory
from potstill.errors import PotstillError

BATCH_TOKENS = 512
"""Tokens that llama.cpp computes at once: so many rows of its largest buffer."""
CACHE_BYTES = 2
"""Of a number in the cache of keys and values (float16)."""


def require(weights: Path, config: Mapping[str, Any], slots: int, context: int) -> None:
    """Raises `PotstillError` where weights, cache and buffers need more than the memory that is free.

    config: the model's ``config.json``.
    """
    free = memory.available()
    cache, buffers = cache_bytes(config, slots * context), BATCH_TOKENS * 4 * int(config.get("vocab_size", 0))
    needed = weights.stat().st_size + cache + buffers
    if free is not None and needed > free:
        raise PotstillError(
            f"{weights.name} needs about {needed / 1e9:.1f} GB of memory, {cache / 1e9:.1f} GB of it for {slots} requests of "
            f"{context} tokens at once, and {free / 1e9:.1f} GB are free. Lower --concurrency or --context, or serve a smaller "
            "form: --form gguf-q8_0."
        )


def cache_bytes(config: Mapping[str, Any], tokens: int) -> int:
    """Bytes of the keys and values of ``tokens``; 0 where the configuration does not say how large they are."""
    layers, heads = config.get("num_hidden_layers"), config.get("num_attention_heads")
    if not layers or not heads:
        return 0
    width = config.get("head_dim") or int(config.get("hidden_size", 0)) // int(heads)
    return 2 * CACHE_BYTES * tokens * int(layers) * int(config.get("num_key_value_heads") or heads) * int(width)


def config_of(folder: Path) -> Mapping[str, Any]:
    """The ``config.json`` of a folder of weights; empty where it cannot be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return found.get("text_config") or found if isinstance(found, dict) else {}
    return {}
