"""A run: one recipe carried out in one folder."""

import json
import os
import shutil
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from potstill.errors import PotstillError, RecipeError
from potstill.models.store.store import Store
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.tasks import Example, Task
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts, lock
from potstill.workspace.access import Access
from potstill.workspace.artifacts import MANIFEST, Row, Table
from potstill.workspace.digests import Part, digest_of_files, digest_of_rows

ROWS_PER_BATCH = 2048
"""Rows of a table that are in memory at once where it is read or written in batches."""


class Run:
    """One recipe carried out in ``folder``; ``source`` names the recipe's file. The store belongs to the workspace."""

    def __init__(self, folder: Path, recipe: Recipe, store_path: Path, source: str = "") -> None:
        self.folder, self.recipe, self.store_path, self.source = folder, recipe, store_path, source
        self._locked = False
        self._access: Access | None = None

    @cached_property
    def store(self) -> Store:
        """The completions of all runs of the workspace."""
        return Store(self.store_path)

    @property
    def report_path(self) -> Path:
        return self.path(artifacts.REPORT)

    @property
    def student_folder(self) -> Path:
        """The student's weights and tokenizer."""
        self._allowed(artifacts.STUDENT)
        return self.path(artifacts.STUDENT)

    @property
    def evaluation(self) -> dict[str, Any]:
        """`evaluation.json`: systems and comparisons of each test split, and the verdict."""
        return self.read_json(artifacts.EVALUATION)

    @property
    def judged(self) -> dict[str, Any]:
        """`judged.json`: what judges and people found; empty where nobody has labelled anything."""
        return self.read_json(artifacts.JUDGED)

    @property
    def manifest(self) -> dict[str, Any]:
        return self.read_json(MANIFEST)

    @property
    def id(self) -> str:
        """The run's own id, which survives renaming and moving the folder; empty before the run has begun."""
        return str(self.manifest.get("id", ""))

    @property
    def stages(self) -> dict[str, Any]:
        """State, seconds, inputs and outputs of each stage that has begun."""
        stages: dict[str, Any] = self.manifest.get("stages", {})
        return stages

    @property
    def task(self) -> Task:
        """The recipe's task, calibrated if the teacher's answers to validation examples decided something of it."""
        calibration = self.read_json(artifacts.CALIBRATION)
        return parse_task(calibration["task"]) if calibration else self.recipe.task

    def claim(self) -> None:
        """Make the folder this recipe's. Raises `RecipeError` when it belongs to another recipe file."""
        manifest = self.manifest
        manifest.setdefault("id", uuid.uuid4().hex)
        if manifest.setdefault("source", self.source) != self.source:
            raise RecipeError(
                f"{self.folder} belongs to another recipe of the same name, {manifest['source']}. "
                f"Give this one another 'name', or use another folder (--runs)."
            )
        self.write_text(artifacts.RECIPE, loading.dump(self.recipe))
        self.write_json(MANIFEST, manifest)

    def note_answers(self, model: str, left_out: Sequence[str], counts: Mapping[str, int]) -> None:
        """Put into the manifest which fields a model's server does not take, and how many of its answers were unusual."""
        if left_out or counts:
            manifest = self.manifest
            noted = manifest.setdefault("models", {}).setdefault(model, {"left_out": [], "counts": {}})
            noted["left_out"] = list(left_out)
            for name, n in counts.items():
                noted["counts"][name] = noted["counts"].get(name, 0) + n
            self.write_json(MANIFEST, manifest)

    # Examples

    def examples(self, *splits: str) -> Iterator[Example]:
        """Examples of some splits, or all, read in batches. Raises `PotstillError` before the data stage is done."""
        self._allowed(artifacts.EXAMPLES, splits)
        with pq.ParquetFile(self._existing(artifacts.EXAMPLES)) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH):
                wanted = batch.filter(pc.is_in(batch["split"], pa.array(splits))) if splits else batch
                yield from wanted.to_pylist()

    def count_examples(self, split: str) -> int:
        """The number of examples of a split."""
        self._allowed(artifacts.EXAMPLES, (split,))
        column = pq.read_table(self._existing(artifacts.EXAMPLES), columns=["split"])["split"]
        return int(pc.sum(pc.equal(column, split)).as_py() or 0)

    # Files

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, table: Table[Row]) -> list[Row]:
        """All rows of a table; within `limited_to`, the declared rows and columns. Raises `PotstillError` when no stage has
        written it."""
        part = self._allowed(table.file)
        declared: dict[str, Any] = {"columns": list(part.columns) or None}
        if part.kept:
            declared["filters"] = [("kept", "=", True)]
        rows: list[Row] = pq.read_table(self._existing(table.file), **declared).to_pylist(maps_as_pydicts="strict")
        return rows

    def write(self, table: Table[Row], rows: Iterable[Row]) -> None:
        """Write rows as they come, in batches."""
        coming = iter(rows)
        with self._replacing(table.file) as part, pq.ParquetWriter(part, table.schema) as writer:
            while batch := list(islice(coming, ROWS_PER_BATCH)):
                writer.write_table(pa.Table.from_pylist(batch, table.schema))

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the run; empty where there is none. Raises `PotstillError` for a corrupt file."""
        self._allowed(name)
        return artifacts.read_json(self.path(name))

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps(values, indent=1, ensure_ascii=False))

    def write_text(self, name: str, text: str) -> None:
        with self._replacing(name) as part:
            part.write_text(text, encoding="utf-8")

    def replace_folder(self, name: str, source: Path) -> None:
        """Move ``source``, a finished folder on the same disk, to the place of the folder ``name``."""
        shutil.rmtree(self.path(name), ignore_errors=True)
        source.replace(self.path(name))

    def remove(self, name: str) -> None:
        path = self.path(name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def log(self, event: str, **values: Any) -> None:
        """Append an event to `log.jsonl`."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event} | values)
        with self.path(artifacts.LOG).open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextmanager
    def limited_to(self, access: Access) -> Iterator[None]:
        """Raise `UndeclaredReadError` in the context where something else is read than ``access`` allows."""
        self._access = access
        try:
            yield
        finally:
            self._access = None

    def _allowed(self, file: str, splits: Sequence[str] = ()) -> Part:
        """The part of a file that may be read."""
        return self._access.allowed(file, splits) if self._access else Part(file)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out. Raises `PotstillError` when another process has the run."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with lock.locked(self.folder):
            self._locked = True
            try:
                yield
            finally:
                self._locked = False

    def digest(self, part: Part) -> str:
        """SHA-256 of what a part holds; empty when it does not exist. Unchanged files are not read again."""
        path = self.path(part.file)
        if not path.exists():
            return ""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        stamp = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        known = {}
        with suppress(PotstillError):  # only a cache
            known = self.read_json(artifacts.DIGESTS)
        if known.get(str(part), {}).get("stamp") != stamp:
            known[str(part)] = {"stamp": stamp, "sha256": self._digest(part, files)}
            if self._locked:
                self.write_json(artifacts.DIGESTS, known)
        digest: str = known[str(part)]["sha256"]
        return digest

    def _digest(self, part: Part, files: list[Path]) -> str:
        if part.by_rows:
            with suppress(pa.ArrowException):  # a corrupt file is identified by its bytes
                return digest_of_rows(self._rows(part.file), part)
        return digest_of_files(files, self.path(part.file))

    def _rows(self, name: str) -> Iterator[dict[str, Any]]:
        with pq.ParquetFile(self.path(name)) as file:
            for batch in file.iter_batches(ROWS_PER_BATCH):
                yield from batch.to_pylist()

    def _existing(self, name: str) -> Path:
        if not self.path(name).exists():
            raise PotstillError(f"{self.folder}: no {name} yet; run the earlier stages first (potstill run).")
        return self.path(name)

    @contextmanager
    def _replacing(self, name: str) -> Iterator[Path]:
        """A temporary path beside ``name`` that replaces it when everything is written: no reader sees half a file."""
        self.path(name).parent.mkdir(parents=True, exist_ok=True)
        part = self.path(name + ".part")
        try:
            yield part
        except BaseException:
            part.unlink(missing_ok=True)
            raise
        with part.open("rb") as file:  # a power cut must not leave an empty file in its place
            os.fsync(file.fileno())
        part.replace(self.path(name))
