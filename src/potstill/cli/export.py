"""Commands that bring a student to where it runs."""

from dataclasses import asdict
from typing import Annotated

import typer

from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit
from potstill.errors import PotstillError

To = Annotated[str, typer.Option("--to", metavar="FORM", help="safetensors, gguf, ollama or vllm.")]
Type = Annotated[
    str,
    typer.Option(
        "--type", help="Of a GGUF file: f16 (default), q8_0, q4_0; others where llama-quantize is on the PATH."
    ),
]


def add_to(app: typer.Typer) -> None:
    app.command()(export)
    app.command()(push)


def export(
    name: RunName,
    to: To,
    number_format: Type = "",
    runs: Runs = RUNS,
    again: Annotated[
        bool,
        typer.Option("--again", help="Repeat the gate; the files are not written again unless they are out of date."),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Write the student in a form that other software runs, and check that it answers as the student does."""
    from potstill.export import forms
    from potstill.export.student import Student
    from potstill.workspace import exports
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    form = forms.form_of(to, number_format.lower())
    record = forms.export(run, form, again=again)
    folder, gate = exports.folder(run, form.name), record["gate"]
    words = [f"{folder}: gate {gate['state']}", *(f"  {line}" for line in gate["lines"])]
    words.append(f"Run it: {form.how_to_run(Student.of(run), str(folder / exports.content(form.name)))}")
    emit({"folder": str(folder), **record}, as_json, lambda: "\n".join(words))
    if gate["state"] == "failed":
        raise PotstillError(f"{folder} failed its gate: it is marked, and nothing here uses it.")


def push(
    name: RunName,
    to: To,
    repository: Annotated[str, typer.Option("--repo", metavar="ORG/NAME", help="Repository on the hub.")],
    number_format: Type = "",
    runs: Runs = RUNS,
    upload: Annotated[bool, typer.Option("--upload", help="Send it; without this, say what would be sent.")] = False,
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public; else it is private.")] = False,
    as_json: AsJson = False,
) -> None:
    """Upload an export with its model card to the Hugging Face hub; a dry run without --upload."""
    from potstill.export import forms
    from potstill.export import push as hub
    from potstill.workspace.workspace import Workspace

    run = Workspace(runs).open(name)
    planned = hub.planned(run, forms.form_of(to, number_format.lower()), repository, not public)
    address = hub.push(planned) if upload else ""
    last = f"Uploaded: {address}" if upload else "Nothing was sent. Send it with --upload."
    values = asdict(planned) | {"files": {one: str(file) for one, file in planned.files.items()}, "address": address}
    emit(values, as_json, lambda: "\n".join([*hub.lines(planned), last]))
