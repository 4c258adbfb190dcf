"""The code that decides a task's prompts, answers and scores, as a digest."""

import hashlib
import inspect
from collections.abc import Iterable, Iterator
from pathlib import Path

from potstill import models
from potstill.models import repetition


def digest(own: Iterable[Path]) -> str:
    """SHA-256 (hex) of a task's ``own`` files and of those that decide about every task."""
    content = hashlib.sha256()
    for file in (*own, *_shared_files()):
        content.update(file.name.encode() + b"\0" + (file.read_bytes() if file.exists() else b"") + b"\0")
    return content.hexdigest()


def _shared_files() -> Iterator[Path]:
    """The files of this folder that are no task, the packages answers and metrics with their lookup, the rule for repeating texts,
    and that for texts that cannot be encoded."""
    here = Path(__file__).parent
    yield here / "forms.yaml"
    yield from sorted(file for file in here.glob("*.py") if not file.with_suffix(".yaml").exists())
    for part in ("answers", "metrics"):
        yield from sorted((here.parent / part).glob("*.py"))
    yield from (here.parent / "lazy.py", Path(inspect.getfile(repetition)), Path(inspect.getfile(models)))
