"""Weights that a recipe names (``packaged/NAME``, ``hf/ORG/NAME`` or a folder): location, download, integrity.

Importing this module does not load torch: a process that only sends requests to a server stays small.
"""

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from filelock import FileLock
from pydantic import GetCoreSchemaHandler, ValidationInfo
from pydantic_core import CoreSchema, core_schema

from potstill.config import resolve_against_recipe
from potstill.errors import PotstillError, RecipeError
from potstill.models import repetition
from potstill.models.local import packaged, shapes
from potstill.models.local.shapes import Shapes
from potstill.progress import echo

Dtype = Literal["auto", "float32", "bfloat16"]
"""The number format of a model in this process; see `resolve_dtype`."""
PACKAGED_PREFIX, HUB_PREFIX = "packaged/", "hf/"
ARITHMETIC_VERSION = 2
"""Of how products and attention are computed: another order of sums gives other answers in bfloat16."""
CHAT_VERSION = 1
"""Of how chats become tokens, and answers end."""
NO_KEYWORDS: Mapping[str, Any] = MappingProxyType({})
"""Values of keywords of a chat template: none."""
SAMPLED_BYTES, SAMPLED_PARTS = 4096, 256
"""What of a tensor, and of how many parts of a GGUF file, tells weights apart."""
FLOAT32_PER_PACKED_BYTE = 7.5
"""Bytes in float32 per byte of a packaged file: 4.5 bits become 32, and some tensors had 8 bits."""


@dataclass(frozen=True)
class LocalWeights:
    """Weights that a recipe names: ``packaged/NAME``, ``hf/ORG/NAME``, or a path to a folder or a GGUF file.

    In a recipe it is a string; a path is relative to the recipe's folder. A model in this process has no price,
    and answers one stream of requests.
    """

    location: str
    charged: ClassVar[None] = None
    concurrency: ClassVar[int] = 1
    thinking_tokens: ClassVar[int] = 0
    price_note: ClassVar[str] = ""
    engine: ClassVar[Literal["in process"]] = "in process"

    def __str__(self) -> str:
        return self.location

    @property
    def name(self) -> str:
        return self.location

    @property
    def packaged_name(self) -> str | None:
        """NAME of ``packaged/NAME``; None for others."""
        return self.location.removeprefix(PACKAGED_PREFIX) if self.location.startswith(PACKAGED_PREFIX) else None

    @property
    def quantization(self) -> str | None:
        """The format that packaged weights were dequantized from; None for weights as they were published."""
        return packaged.lookup(self.packaged_name).quantization if self.packaged_name else None

    @property
    def hub_name(self) -> str | None:
        """ORG/NAME of ``hf/ORG/NAME``; None for others."""
        return self.location.removeprefix(HUB_PREFIX) if self.location.startswith(HUB_PREFIX) else None

    @property
    def path(self) -> Path | None:
        """The user's own folder or file; None for weights that are downloaded."""
        return None if self.packaged_name or self.hub_name else Path(self.location)

    def check(self) -> None:
        """Raises `RecipeError` for weights that cannot exist; downloads and loads nothing."""
        if self.packaged_name:
            packaged.lookup(self.packaged_name)
        elif self.path and not (self.path / "config.json").is_file():
            raise RecipeError(
                f"Model '{self}': no config.json there. Name packaged/NAME, hf/ORG/NAME or a folder of weights."
            )

    def download(self) -> Path:
        """The folder of safetensors; downloads weights that are not cached, and dequantizes a packaged GGUF once.

        Raises `PotstillError` when the download fails or the weights are incomplete.
        """
        if self.packaged_name:
            return _dequantized(packaged.download(self.packaged_name))
        if self.hub_name:
            try:
                return _snapshot(self.hub_name)
            except Exception as error:
                raise PotstillError(f"{self}: the download from the hub failed: {error}") from error
        path = Path(self.location)
        if not is_complete(path):
            raise PotstillError(
                f"{self}: its weights (*.safetensors) are missing, truncated or corrupt. Copy them again."
            )
        return path

    def is_downloaded(self) -> bool:
        return self.cached_folder() is not None

    def cached_folder(self) -> Path | None:
        """The folder of safetensors if it is on this machine; downloads nothing."""
        if self.packaged_name:
            path = _dequantized_folder(packaged.lookup(self.packaged_name).path)
        elif self.hub_name:
            try:
                path = _snapshot(self.hub_name, local_files_only=True)
            except OSError:
                return None
        else:
            path = Path(self.location)
        return path if is_complete(path) else None

    def fingerprints(self) -> frozenset[str]:
        """What tells the weights whatever they are named, where they are on this machine: of the tensors (`_fingerprint`), and of a GGUF
        file. Downloads nothing; empty for weights that are not here."""
        if self.packaged_name and self.packaged_name not in packaged.catalogue():
            return frozenset()
        gguf = packaged.lookup(self.packaged_name).path if self.packaged_name else self.path
        found = {_fingerprint_of_file(gguf)} if gguf and gguf.suffix == ".gguf" and gguf.is_file() else set()
        if folder := self.cached_folder():
            found.add(_fingerprint(_stamps(folder, (".safetensors",))))
        return frozenset(found)

    def float32_bytes(self) -> int:
        """Approximate size of the weights in float32; 0 for weights of the hub or a folder that are not there."""
        if self.packaged_name:
            return int(FLOAT32_PER_PACKED_BYTE * packaged.lookup(self.packaged_name).gguf_bytes)
        return sum(4 * prod(shape) for shape in self._shapes_here().values())

    def shapes(self) -> Shapes:
        """The shape of each tensor: of the weights if they are on this machine, otherwise of the model that their config.json describes,
        which loads torch; empty where there is neither. Downloads a config.json, no weights."""
        if here := self._shapes_here():
            return here
        folder = _config_folder(self.hub_name) if self.hub_name else self.path
        return shapes.of_config(folder) if folder and (folder / "config.json").is_file() else {}

    def _shapes_here(self) -> Shapes:
        folder = self.cached_folder()
        headers = [_header(file)[1] for file in folder.glob("*.safetensors")] if folder else []
        return {name: tuple(tensor["shape"]) for header in headers for name, tensor in header.items()}

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        text = core_schema.str_schema(min_length=1)
        parsed = core_schema.with_info_after_validator_function(cls._parse, text)
        return core_schema.json_or_python_schema(
            json_schema=parsed,
            python_schema=core_schema.union_schema([core_schema.is_instance_schema(cls), parsed]),
            serialization=core_schema.to_string_ser_schema(when_used="always"),
        )

    @classmethod
    def _parse(cls, text: str, info: ValidationInfo) -> "LocalWeights":
        weights = cls(text)
        return cls(str(resolve_against_recipe(weights.path, info))) if weights.path else weights


def _snapshot(name: str, local_files_only: bool = False) -> Path:
    from huggingface_hub import snapshot_download

    patterns = ["*.safetensors", "*.json", "*.jinja", "*.model", "*.txt"]
    return Path(snapshot_download(name, allow_patterns=patterns, local_files_only=local_files_only))


def _config_folder(name: str) -> Path | None:
    """The folder of a hub's config.json; None where the hub does not give it."""
    from huggingface_hub import hf_hub_download

    try:
        return Path(hf_hub_download(name, "config.json", etag_timeout=packaged.HUB_TIMEOUT_SECONDS)).parent
    except (OSError, ValueError):
        return None


def is_complete(path: Path) -> bool:
    """Whether ``path`` has safetensors files, each of the length that its header states."""
    files = list(path.glob("*.safetensors"))
    for file in files:
        try:
            length, header = _header(file)
            offsets = [tensor["data_offsets"][1] for tensor in header.values()]
        except (struct.error, ValueError, LookupError, TypeError, AttributeError):
            return False
        if file.stat().st_size != 8 + length + max(offsets, default=0):
            return False
    return bool(files)


def _header(file: Path) -> tuple[int, dict[str, Any]]:
    """The length of the header of a safetensors file, and its tensors by name. Raises `struct.error` or `ValueError` for a file
    without one."""
    with file.open("rb") as opened:
        (length,) = struct.unpack("<Q", opened.read(8))
        header: dict[str, Any] = json.loads(opened.read(min(length, 100_000_000)))
    header.pop("__metadata__", None)
    return length, header


def identity(path: Path, dtype: Dtype, chat_template: Mapping[str, Any] = NO_KEYWORDS) -> dict[str, Any]:
    """Everything that decides the answers of the weights in ``path``: their SHA-256, the engine and its arithmetic, the number
    format, the rule that ends a repeating answer, and how chats become tokens, with the values of keywords of their template."""
    return {
        "weights": sha256(path),
        "engine": "transformers",
        "arithmetic": ARITHMETIC_VERSION,
        "dtype": resolve_dtype(dtype),
        "repetition": repetition.VERSION,
        "chat": {"version": CHAT_VERSION, **chat_template},
    }


def resolve_dtype(dtype: Dtype) -> str:
    """The number format that ``auto`` means on this machine; ``float32`` and ``bfloat16`` are returned unchanged."""
    if dtype != "auto":
        return dtype
    import torch

    cpu = torch.cpu.get_capabilities()
    fast = torch.cuda.is_available() or cpu.get("avx512_bf16") or cpu.get("amx_bf16")
    return "bfloat16" if fast else "float32"


def sha256(path: Path) -> str:
    """One digest of the weights, configuration and tokenizer in the folder ``path``."""
    return _digest(_stamps(path, (".safetensors", ".json", ".jinja")))


Stamps = tuple[tuple[Path, int, int], ...]
"""Files with their size and time of change."""


def _stamps(folder: Path, suffixes: tuple[str, ...]) -> Stamps:
    files = sorted(p for p in folder.iterdir() if p.suffix in suffixes)
    return tuple((file, file.stat().st_size, file.stat().st_mtime_ns) for file in files)


@cache
def _fingerprint(files: Stamps) -> str:
    """A digest of the name, type and shape of each tensor and of its first `SAMPLED_BYTES`: the same however the tensors are spread over
    files, and read at once even of large weights. Training changes all tensors, or adds to most of them."""
    digest = hashlib.sha256()
    tensors: dict[str, tuple[Path, int, dict[str, Any]]] = {}
    for file, _, _ in files:
        length, header = _header(file)
        tensors |= {name: (file, 8 + length, tensor) for name, tensor in header.items()}
    for name, (file, offset, tensor) in sorted(tensors.items()):
        begin, end = tensor["data_offsets"]
        with file.open("rb") as opened:
            opened.seek(offset + begin)
            sample = opened.read(min(end - begin, SAMPLED_BYTES))
        digest.update(f"{name} {tensor['dtype']} {tensor['shape']} {hashlib.sha256(sample).hexdigest()}\n".encode())
    return f"tensors {digest.hexdigest()}"


def _fingerprint_of_file(file: Path) -> str:
    """The same of a GGUF file: of its size, and of parts all over it."""
    size = file.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with file.open("rb") as opened:
        for part in range(SAMPLED_PARTS):
            opened.seek(part * size // SAMPLED_PARTS)
            digest.update(opened.read(SAMPLED_BYTES))
    return f"gguf {digest.hexdigest()}"


@cache
def _digest(files: Stamps) -> str:
    """SHA-256 of files; size and time of change are given so that an unchanged file is read once."""
    digest = hashlib.sha256()
    for file, _, _ in files:
        digest.update(f"{file.name}:{packaged.file_sha256(file)}\n".encode())
    return digest.hexdigest()


def _dequantized_folder(gguf: Path) -> Path:
    return gguf.parent / f"transformers-{version('transformers')}"


def _dequantized(gguf: Path) -> Path:
    """The folder of safetensors beside a GGUF file, created once for each version of transformers."""
    target = _dequantized_folder(gguf)
    with FileLock(gguf.parent / "dequantize.lock"):
        if not is_complete(target):
            echo(f"  {gguf.stem}: dequantizing the weights (once)")
            from potstill.models.local.dequantizing import dequantize

            dequantize(gguf, target)
    return target
