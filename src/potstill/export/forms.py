"""The forms in which a student is exported, and writing one of them: once, whole, and behind its gate."""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from potstill import interrupt
from potstill.errors import RecipeError, did_you_mean
from potstill.export import card, converter, room
from potstill.export.folders import Safetensors, Vllm
from potstill.export.gguf_files import Gguf, Ollama
from potstill.export.student import Student
from potstill.models.local.packaged import file_sha256
from potstill.progress import echo
from potstill.workspace import exports
from potstill.workspace.artifacts import EXPORTS
from potstill.workspace.digests import digest_of_files
from potstill.workspace.exports import CARD, RECORD, Gate, Record
from potstill.workspace.run import Run

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate

FORMS = ("safetensors", "gguf", "ollama", "vllm")
PACKAGES = ("potstill", "torch", "transformers", "gguf", "xllamacpp")


class Form(Protocol):
    """A form of export. Its files are written into a folder; the model is at `exports.content` there."""

    @property
    def name(self) -> str:
        """Of the export and its folder."""

    @property
    def form(self) -> str:
        """One of `FORMS`."""

    def check(self) -> None:
        """Raises `RecipeError` for what cannot be written on this machine."""

    def download(self) -> None:
        """Download the tools that it is written with, unless they are here. Raises `PotstillError`."""

    def settings(self, student: Student) -> dict[str, Any]:
        """What decides the files besides the student's folder."""

    def check_chat(self, chat: "ChatTemplate", system: str) -> None:
        """Raises `RecipeError` for a chat template or system prompt that the form cannot express."""

    def disk_bytes(self, float32_bytes: int) -> int:
        """Bytes on the disk for a student of so many bytes in float32, at most, while it is written."""

    def write(self, student: Student, folder: Path) -> None:
        """Write the files. Raises `PotstillError`."""

    def gate(self, run: Run, student: Student, folder: Path) -> Gate:
        """Ask the files as they will run."""

    def how_to_run(self, student: Student, model: str) -> str:
        """The command; ``model`` is the path of the model's file or folder."""


def form_of(form: str, number_format: str = "") -> Form:
    """A form by name and type. Raises `RecipeError` for what does not exist."""
    match form:
        case "gguf":
            return Gguf(number_format or "f16")
        case "ollama":
            return Ollama(number_format or "f16")
        case "safetensors" | "vllm":
            if number_format:
                raise RecipeError(f"--type is for gguf and ollama; {form} has one number format. Leave it out.")
            return Safetensors() if form == "safetensors" else Vllm()
    raise RecipeError(f"--to {form}: no such form.{did_you_mean(form, FORMS)} There are {', '.join(FORMS)}.")


def form_named(name: str) -> Form:
    """The form of an export by the name of its folder, as in ``gguf-q8_0``."""
    return form_of(*name.split("-", 1)) if "-" in name else form_of(name)


def exported(run: Run, name: str) -> Path:
    """The model's file or folder of an export of the current student; see `exports.require` for the `RecipeError` that it raises."""
    form_named(name)
    return exports.require(run, name)


def write(run: Run, name: str) -> Path:
    """As `exported`, and made before that unless it is up to date.

    A running event loop waits meanwhile: the gate has one of its own, in a thread of its own.
    """
    form = form_named(name)
    with ThreadPoolExecutor(1) as thread:
        thread.submit(export, run, form).result()
    return exported(run, name)


def keep_up(run: Run, name: str) -> None:
    """As `write`, for whoever has the lock of the run, which is not taken here. What may be used is left as it is."""
    try:
        exported(run, name)
    except RecipeError:
        _export(run, form_named(name), again=False)
        exported(run, name)


def renew_card(run: Run, name: str) -> None:
    """Write the card of an export that is up to date again, with what is known of the run now; for whoever has the lock of the run."""
    form, student = form_named(name), Student.of(run)
    if done := _up_to_date(run, form, student):
        _write_card(run, form, student, done)


def export(run: Run, form: Form, *, again: bool = False) -> Record:
    """Write an export, unless it is up to date, and carry out its gate, unless that is; ``again`` repeats the gate. Returns what is known
    of it.

    An export that fails its gate is written, and marked. Raises `RecipeError` for a run without a student and a form that cannot be written,
    `PotstillError` where another process has the run, or disk or memory are too small.
    """
    with run.locked():
        return _export(run, form, again)


def _export(run: Run, form: Form, again: bool) -> Record:
    form.check()
    student = Student.of(run)
    done = _up_to_date(run, form, student)
    state = done["gate"]["state"] if done else "open"
    if done and state != "open" and not again:
        repeat = "" if state == "passed" else f"; to repeat the gate: {exports.command(run, form.name)} --again"
        echo(f"{form.name}: up to date, gate {state}{repeat}")
    else:
        room.check(run.folder, 0 if done else form.disk_bytes(student.float32_bytes), student.float32_bytes)
        if done is None:
            echo(f"{form.name}: started")
            done = _write(run, form, student)
        done = _with_gate(run, form, student, done)
    _write_card(run, form, student, done)
    return done


def _up_to_date(run: Run, form: Form, student: Student) -> Record | None:
    """What was written before, if it would be the same now."""
    found = exports.record(run, form.name)
    same = found and (found["student"], found["settings"], found["content"]) == (
        student.digest, form.settings(student), run.digest(exports.part(form.name)),
    )  # fmt: skip
    whole = found and all((exports.folder(run, form.name) / file).exists() for file in found["files"])
    return found if same and whole else None


def _write(run: Run, form: Form, student: Student) -> Record:
    """Write into a folder beside the place of the export, and move it there whole."""
    name, part = f"{EXPORTS}/{form.name}", f"{EXPORTS}/.{form.name}.part"
    run.remove(part)  # of a process that was killed
    folder = run.path(part)
    folder.mkdir(parents=True)
    try:
        form.write(student, folder)
        interrupt.raise_if_requested()
        files = {file.relative_to(folder).as_posix(): file_sha256(file) for file in _files(folder)}
        if kept := _card(run, form):  # with what the user wrote into it
            (folder / CARD).write_text(kept, encoding="utf-8")
        model = folder / exports.content(form.name)
        record = Record(
            form=form.form, student=student.digest, settings=form.settings(student),
            content=digest_of_files(_files(model) if model.is_dir() else [model], model), versions=_versions(), files=files,
            gate=Gate(state="open", lines=[]),
        )  # fmt: skip
        run.write_json(f"{part}/{RECORD}", record)
        _sync(folder)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    run.replace_folder(name, folder)
    return record


def _with_gate(run: Run, form: Form, student: Student, record: Record) -> Record:
    folder = exports.folder(run, form.name)
    echo(f"{form.name}: gate")
    record["gate"] = form.gate(run, student, folder)
    run.write_json(f"{EXPORTS}/{form.name}/{RECORD}", record)
    run.log("exported", form=form.name, gate=record["gate"]["state"])
    for line in record["gate"]["lines"]:
        echo(f"  {line}")
    return record


def _card(run: Run, form: Form) -> str:
    path = exports.folder(run, form.name) / CARD
    return path.read_text(encoding="utf-8") if path.exists() else ""


def _write_card(run: Run, form: Form, student: Student, record: Record) -> None:
    model = exports.content(form.name)
    command = form.how_to_run(student, model if model.endswith(".gguf") else card.PATH)
    text = card.card(run, form.name, student, record, command)
    if text != _card(run, form):
        run.write_text(f"{EXPORTS}/{form.name}/{CARD}", text)


def _files(folder: Path) -> Sequence[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file())


def _sync(folder: Path) -> None:
    """A power cut must not leave empty files in the place of an export."""
    for file in _files(folder):
        with file.open("rb") as opened:
            os.fsync(opened.fileno())


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except ModuleNotFoundError:  # an optional one
            continue
    return found | {converter.DISTRIBUTION: converter.VERSION}
