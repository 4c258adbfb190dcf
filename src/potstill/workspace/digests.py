"""Digests of what a stage reads and writes."""

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from potstill.workspace.artifacts import EXAMPLES


@dataclass(frozen=True)
class Part:
    """What a stage depends on: a file or folder of a run, or some rows and columns of a Parquet file.

    splits: only rows of these splits. kept: only kept rows. columns: only these columns.
    """

    file: str
    splits: tuple[str, ...] = ()
    kept: bool = False
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = ", ".join((*self.splits, *(["kept rows"] if self.kept else []), *self.columns))
        return f"{self.file} ({what})" if what else self.file

    @property
    def by_rows(self) -> bool:
        """Whether rows are digested, not bytes: some rows only, or examples, which a dry run makes without a file."""
        return self.kept or bool(self.splits) or self.file == EXAMPLES


def digest_of_rows(rows: Iterable[Mapping[str, Any]], part: Part) -> str:
    """SHA-256 of the rows and columns that ``part`` names; null values do not count."""
    digest = hashlib.sha256()
    for row in rows:
        if (part.splits and row["split"] not in part.splits) or (part.kept and not row["kept"]):
            continue
        chosen = {k: v for k, v in row.items() if v is not None and (not part.columns or k in part.columns)}
        digest.update(json.dumps(chosen, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


def digest_of_files(files: Sequence[Path], root: Path) -> str:
    """SHA-256 of the names below ``root`` and the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()}:{content}\n".encode())
    return digest.hexdigest()
