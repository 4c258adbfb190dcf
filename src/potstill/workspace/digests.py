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

    splits: only rows of these splits. kept: only kept rows. columns: only these columns. kind: only rows of this kind of rater. names: further
    columns that may be read to name rows in messages; they decide nothing.
    """

    file: str
    splits: tuple[str, ...] = ()
    kept: bool = False
    columns: tuple[str, ...] = ()
    kind: str = ""
    names: tuple[str, ...] = ()

    def __str__(self) -> str:
        rows = [*(["kept rows"] if self.kept else []), *([f"rows of the kind {self.kind}"] if self.kind else [])]
        what = ", ".join((*self.splits, *rows, *self.columns))
        return f"{self.file} ({what})" if what else self.file

    @property
    def by_rows(self) -> bool:
        """Whether rows are digested, not bytes: some rows only, or examples, which a dry run makes without a file."""
        return self.kept or bool(self.splits or self.kind) or self.file == EXAMPLES

    def has(self, row: Mapping[str, Any]) -> bool:
        """Whether a row belongs to it."""
        return (
            (not self.splits or row["split"] in self.splits)
            and (not self.kept or row["kept"])
            and (not self.kind or row["kind"] == self.kind)
        )


def digest_of_rows(rows: Iterable[Mapping[str, Any]], part: Part) -> str:
    """SHA-256 of the rows and columns that ``part`` names; null values do not count. Empty where there is no row of a kind, as for a file
    that does not exist: others write the other rows."""
    digest, empty = hashlib.sha256(), True
    for row in rows:
        if not part.has(row):
            continue
        empty = False
        chosen = {k: v for k, v in row.items() if v is not None and (not part.columns or k in part.columns)}
        digest.update(json.dumps(chosen, sort_keys=True, default=str).encode() + b"\n")
    return "" if part.kind and empty else digest.hexdigest()


def digest_of_files(files: Sequence[Path], root: Path) -> str:
    """SHA-256 of the names below ``root`` and the contents of files."""
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.relative_to(root).as_posix()}:{content}\n".encode())
    return digest.hexdigest()
