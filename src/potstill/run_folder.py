"""A run's folder: its files, what they hold, its manifest, its log, and the lock that keeps others out."""

import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from filelock import FileLock, Timeout

from potstill import tasks
from potstill.errors import PotstillError, RecipeError
from potstill.models.store import Store, default_path
from potstill.recipe import Recipe
from potstill.tasks import Task

DIGESTS = "digests.json"
PIECE = 2048
"""Rows of a table that are held at once where they are read or written in pieces."""


@dataclass(frozen=True)
class Part:
    """A file or folder of a run, or those rows of a Parquet file, and columns, that a stage depends on."""

    file: str
    splits: tuple[str, ...] = ()
    kept: bool = False
    columns: tuple[str, ...] = ()

    def __str__(self) -> str:
        what = ", ".join((*self.splits, *(["kept rows"] if self.kept else [])))
        return f"{self.file} ({what})" if what else self.file


class Run:
    """One recipe carried out in one folder."""

    def __init__(self, folder: Path, recipe: Recipe, source: str = "") -> None:
        self.folder, self.recipe, self.source = folder, recipe, source
        self._locked = False

    @property
    def report_path(self) -> Path:
        return self.folder / "report.html"

    @property
    def evaluation(self) -> dict[str, Any]:
        """`evaluation.json`: systems and comparisons of each test split, and the verdict."""
        return self.read_json("evaluation.json")

    @property
    def name_in_store(self) -> str:
        """By which the store knows what this run has paid for."""
        return str(self.folder.resolve())

    @property
    def task(self) -> Task:
        """The recipe's, with what the teacher's answers settled of it."""
        settled = self.read_json("settled.json")
        return tasks.read(settled["task"]) if settled else self.recipe.task

    @cached_property
    def store(self) -> Store:
        return Store(default_path(self.folder.parent))

    def path(self, name: str) -> Path:
        return self.folder / name

    def read(self, name: str) -> list[dict[str, Any]]:
        """Rows of a Parquet file of the run. Raises `PotstillError` when no stage has written it."""
        rows: list[dict[str, Any]] = pq.read_table(self._there(name)).to_pylist()
        return rows

    def _there(self, name: str) -> Path:
        if not self.path(name).exists():
            raise PotstillError(f"{self.folder}: no {name} yet; carry out the earlier stages first (potstill run).")
        return self.path(name)

    def rows(self, name: str, *splits: str) -> Iterator[dict[str, Any]]:
        """Rows of some splits, or all, read in pieces. Raises `PotstillError` when no stage has written the file."""
        with pq.ParquetFile(self._there(name)) as file:
            for batch in file.iter_batches(PIECE):
                wanted = batch.filter(pc.is_in(batch["split"], pa.array(splits))) if splits else batch
                yield from wanted.to_pylist()

    def count(self, name: str, split: str) -> int:
        """How many rows of a split there are."""
        column = pq.read_table(self._there(name), columns=["split"])["split"]
        return int(pc.sum(pc.equal(column, split)).as_py() or 0)

    def write(self, name: str, rows: Sequence[Mapping[str, Any]]) -> None:
        with self._replaced(name) as part:
            pq.write_table(pa.Table.from_pylist([dict(row) for row in rows]), part)

    def write_pieces(self, name: str, rows: Iterable[dict[str, Any]], schema: pa.Schema | None = None) -> None:
        """Write rows as they come, without holding them. Without a schema the first rows make it."""
        coming = iter(rows)
        piece = list(islice(coming, PIECE))
        schema = schema or pa.Table.from_pylist(piece).schema
        with self._replaced(name) as part, pq.ParquetWriter(part, schema) as writer:
            while piece:
                writer.write_table(pa.Table.from_pylist(piece, schema))
                piece = list(islice(coming, PIECE))

    def read_json(self, name: str) -> dict[str, Any]:
        """Raises `PotstillError` for a file that is damaged."""
        path = self.path(name)
        try:
            values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        except ValueError as error:
            raise PotstillError(
                f"{path} is damaged ({error}). Remove it; what it told of is done again, and answers come from the store."
            ) from error
        return values

    def write_json(self, name: str, values: Mapping[str, Any]) -> None:
        self.write_text(name, json.dumps(values, indent=1, ensure_ascii=False))

    def write_text(self, name: str, text: str) -> None:
        with self._replaced(name) as part:
            part.write_text(text, encoding="utf-8")

    def write_folder(self, name: str, source: Path) -> None:
        """Put ``source``, a finished folder beside it, in the place of the folder ``name``."""
        shutil.rmtree(self.path(name), ignore_errors=True)
        source.replace(self.path(name))

    @contextmanager
    def _replaced(self, name: str) -> Iterator[Path]:
        """A path beside ``name`` that takes its place when all is written."""
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

    def remove(self, name: str) -> None:
        path = self.path(name)
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)

    def digest(self, part: Part) -> str:
        """SHA-256 of what a part holds; empty when it is not there. Files that stayed as they were are not read again."""
        path = self.path(part.file)
        if not path.exists():
            return ""
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        stamp = [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
        known = {}
        with suppress(PotstillError):  # only a cache
            known = self.read_json(DIGESTS)
        if known.get(str(part), {}).get("stamp") != stamp:
            digest = _digest_of_files(files, path)
            if part.splits or part.kept or part.file == "examples.parquet":  # whose rows a dry run makes, and no file
                with suppress(pa.ArrowException):  # a damaged file is known by its bytes
                    digest = digest_of_rows(self.rows(part.file), part)
            known[str(part)] = {"stamp": stamp, "sha256": digest}
            if self._locked:
                self.write_json(DIGESTS, known)
        found: str = known[str(part)]["sha256"]
        return found

    @property
    def stages(self) -> dict[str, Any]:
        """What the manifest says of each stage that was begun: state, seconds, inputs, outputs."""
        stages: dict[str, Any] = self.read_json("manifest.json").get("stages", {})
        return stages

    def log(self, event: str, **values: Any) -> None:
        """Append an event to `log.jsonl`."""
        line = json.dumps({"time": datetime.now(UTC).isoformat(timespec="seconds"), "event": event} | values)
        with self.path("log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes out; the lock of a process that died is free. Raises `PotstillError` when it is taken."""
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self.path("lock"), timeout=0)
        try:
            lock.acquire()
        except Timeout:
            raise PotstillError(
                f"{self.folder} is in use{self.owner()}. Wait until it has ended, or stop it."
            ) from None
        try:
            self._locked = True
            self.write_json("owner.json", {"process": os.getpid(), "host": socket.gethostname(), "since": now()})
            yield
        finally:
            self._locked = False
            self.remove("owner.json")
            lock.release()

    def owner(self) -> str:
        """Who holds the lock, in words that follow 'in use'."""
        try:
            return " by process {process} on {host} since {since}".format(**self.read_json("owner.json"))
        except (KeyError, OSError, PotstillError):
            return ""

    def in_use(self) -> bool:
        if not self.path("lock").exists():
            return False
        try:
            with FileLock(self.path("lock"), timeout=0):
                return False
        except Timeout:
            return True
        except OSError:  # a disk that is read only
            return False


def digest_of_rows(rows: Iterable[Mapping[str, Any]], part: Part) -> str:
    """SHA-256 of the rows and columns that ``part`` names."""
    digest = hashlib.sha256()
    for row in rows:
        if (part.splits and row["split"] not in part.splits) or (part.kept and not row["kept"]):
            continue
        chosen = {k: v for k, v in row.items() if v is not None and (not part.columns or k in part.columns)}
        digest.update(json.dumps(chosen, sort_keys=True, default=str).encode() + b"\n")
    return digest.hexdigest()


def _digest_of_files(files: Sequence[Path], path: Path) -> str:
    digest = hashlib.sha256()
    for file in files:
        with file.open("rb") as opened:
            content = hashlib.file_digest(opened, "sha256").hexdigest()
        digest.update(f"{file.relative_to(path).as_posix()}:{content}\n".encode())
    return digest.hexdigest()


def now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")


def summary(folder: Path) -> dict[str, str]:
    """Name, state and verdict of the run in ``folder``; the verdict is empty until the evaluation is done."""
    run = Run(folder, None)  # type: ignore[arg-type]
    try:
        stages = run.stages
    except PotstillError:
        return {"name": folder.name, "state": "its manifest.json is damaged", "verdict": ""}
    done = [name for name, entry in stages.items() if entry["state"] == "done"]
    unfinished = [name for name, entry in stages.items() if entry["state"] != "done"]
    if run.in_use():
        state = f"in use{run.owner()}"
    elif unfinished:
        state = f"stopped in {unfinished[0]}; the same command again goes on"
    elif "report" in done:
        state = "done"
    else:
        state = f"done up to {done[-1]}" if done else "begun"
    verdict = ""
    with suppress(PotstillError):
        verdict = run.read_json("evaluation.json").get("verdict", "") if "evaluate" in done else ""
    return {"name": folder.name, "state": state, "verdict": verdict}


def reopen(name_or_path: str, runs: Path = Path("runs")) -> Run:
    """A run by name or folder. Raises `RecipeError` when there is none."""
    from potstill import recipe_file

    for folder in (Path(name_or_path), runs / name_or_path):
        if (folder / "recipe.yaml").is_file() and (folder / "manifest.json").is_file():
            return Run(folder, recipe_file.load(str(folder / "recipe.yaml")))
    raise RecipeError(f"No run '{name_or_path}': neither the folder of a run nor a name in {runs}/.")
