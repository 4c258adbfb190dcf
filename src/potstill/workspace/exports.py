"""The exported forms of a run's student: where they are, and whether they are those of the current student."""

import re
from pathlib import Path
from typing import Literal, TypedDict, cast

from potstill.errors import RecipeError
from potstill.models.local.weights import LocalWeights
from potstill.models.specs import Served
from potstill.workspace import artifacts
from potstill.workspace.artifacts import EXPORTS, STUDENT
from potstill.workspace.digests import Part
from potstill.workspace.run import Run

RECORD, CARD = "export.json", "README.md"
LONGEST_CONTEXT = 4096
"""Tokens of prompt and answer for which an engine reserves memory, where the student has room for more."""

State = Literal["open", "passed", "failed", "not shown"]
"""Of a gate: not carried out to its end, or what it found."""


class Gate(TypedDict, total=False):
    """What the gate of an export found; ``lines`` say it in words. Keys other than ``state`` and ``lines`` are of checks that were made."""

    state: State
    lines: list[str]
    prompts: dict[str, object]
    tokens: dict[str, object]
    answers: dict[str, object]
    accuracy: dict[str, object]


class Record(TypedDict):
    """`export.json`. student: digest of the student's folder. settings: what else decided the files. content: digest of the model's file or
    folder. files: SHA-256 by path."""

    form: str
    student: str
    settings: dict[str, object]
    content: str
    versions: dict[str, str]
    files: dict[str, str]
    gate: Gate


def content(name: str) -> str:
    """The model's file or folder within the folder of an export."""
    return "model.gguf" if re.match("gguf|ollama", name) else "model"


def part(name: str) -> Part:
    """The part of a run's files that decides what an export answers."""
    return Part(f"{EXPORTS}/{name}/{content(name)}")


def folder(run: Run, name: str) -> Path:
    return run.path(f"{EXPORTS}/{name}")


def record(run: Run, name: str) -> Record | None:
    """`export.json` of an export; None where there is none, or another tool's."""
    values = artifacts.read_json(folder(run, name) / RECORD)
    return cast(Record, values) if values else None


def names(run: Run) -> list[str]:
    """The exports of a run."""
    return sorted(file.parent.name for file in run.path(EXPORTS).glob(f"*/{RECORD}"))


def command(run: Run, name: str) -> str:
    """The command that makes an export."""
    form, _, number_format = name.partition("-")
    return f"potstill export {run.folder} --to {form}" + (f" --type {number_format}" if number_format else "")


def require(run: Run, name: str) -> Path:
    """The model's file or folder of an export of the current student.

    Raises `RecipeError`, which names the command, where it is missing, of other weights, changed, or failed its gate.
    """
    found, make = record(run, name), f"Make it: {command(run, name)}"
    if not run.path(STUDENT).is_dir():
        raise RecipeError(f"{run.folder}: there is no student yet. Train it: potstill run")
    if found is None:
        raise RecipeError(f"{run.folder} has no export {name}. {make}")
    if found["student"] != run.digest(Part(STUDENT)):
        raise RecipeError(f"{folder(run, name)} is of other weights than the run's student has now. {make}")
    if found["content"] != run.digest(part(name)):
        raise RecipeError(f"{folder(run, name)} was changed after it was written. {make}")
    if found["gate"]["state"] == "open":
        raise RecipeError(f"The gate of {folder(run, name)} was not carried out to its end. {make}")
    if found["gate"]["state"] == "failed":
        raise RecipeError(
            f"{folder(run, name)} failed its gate, so it does not answer as the student does; {RECORD} there says where. Choose another type, "
            f"or repeat the gate: {command(run, name)} --again"
        )
    return folder(run, name) / content(name)


def source(run: Run, name: str, context: int = 0) -> LocalWeights | Served:
    """The model of an export, whatever its gate found. ``context``: tokens of prompt and answer; 0 for as many as the student has room for,
    at most `LONGEST_CONTEXT`. What is for Ollama is asked through llama.cpp."""
    file = LocalWeights(str((folder(run, name) / content(name)).absolute()))
    context = context or min(positions(run.path(STUDENT)) or LONGEST_CONTEXT, LONGEST_CONTEXT)
    match name.partition("-")[0]:
        case "safetensors":
            return file
        case "vllm":
            return Served(serve="vllm", model=file, context=context)
        case _:
            return Served(serve="llama.cpp", model=file, context=context)


def positions(student: Path) -> int:
    """The number of tokens that a student has room for; 0 where its configuration does not say."""
    config = artifacts.read_json(student / "config.json")
    return int(config.get("max_position_embeddings") or 0)
