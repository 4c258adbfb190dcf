"""Whether a model fits into memory, before it is loaded."""

import json
import resource
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from potstill.errors import PotstillError

BATCH_TOKENS = 512
"""Tokens that llama.cpp computes at once: so many rows of its largest buffer."""
CACHE_BYTES = 2
"""Of a number in the cache of keys and values (float16)."""


def require(weights: Path, config: Mapping[str, Any], slots: int, context: int) -> None:
    """Raises `PotstillError` where weights, cache and buffers need more than the memory that is free.

    config: the model's ``config.json``.
    """
    free = available()
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


def available() -> int | None:
    """Bytes of memory that are free for this process; None where the system does not say."""
    limits = [*_of_machine(), *_of_group(), *_of_process()]
    return min(limits) if limits else None


def config_of(folder: Path) -> Mapping[str, Any]:
    """The ``config.json`` of a folder of weights; empty where it cannot be read."""
    with suppress(OSError, ValueError):
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        return found.get("text_config") or found if isinstance(found, dict) else {}
    return {}


def _of_machine() -> list[int]:
    with suppress(OSError, ValueError, StopIteration):
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        return [1024 * int(next(line for line in lines if line.startswith("MemAvailable:")).split()[1])]
    return []


def _of_group() -> list[int]:
    """What a container may still use (cgroup v2)."""
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text(encoding="ascii").strip()
        return [int(limit) - int((group / "memory.current").read_text(encoding="ascii"))]
    return []


def _of_process() -> list[int]:
    """What one process may have: the engine is one of its own."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    return [] if limit == resource.RLIM_INFINITY else [limit]
