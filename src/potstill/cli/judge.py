"""The command that has judges grade the answers of a run."""

from collections.abc import Mapping
from dataclasses import asdict
from enum import StrEnum
from typing import Annotated, Any, cast

import typer

from potstill.cli.conclusion import paragraphs
from potstill.cli.options import RUNS, AsJson, RunName, Runs, emit


class JudgeForm(StrEnum):
    """What a judge is asked."""

    SCORES = "scores"
    REFERENCE = "reference"
    PAIRWISE = "pairwise"


def add_to(app: typer.Typer) -> None:
    app.command()(judge)


def judge(
    name: RunName,
    runs: Runs = RUNS,
    as_json: AsJson = False,
    model: Annotated[
        list[str] | None,
        typer.Option(
            "--model", help="The judge: packaged/NAME, hf/ORG/NAME, a folder, or '{url: ..., model: ...}'; repeatable."
        ),
    ] = None,
    form: Annotated[
        JudgeForm | None,
        typer.Option("--form", help="Scores by a rubric, agreement with gold, or two answers at a time."),
    ] = None,
    rubric: Annotated[str | None, typer.Option("--rubric", help="A shipped rubric, or a YAML file.")] = None,
    questions: Annotated[
        int | None,
        typer.Option(
            "--questions",
            min=1,
            help="Questions of each test split whose answers are judged, drawn by seed; left out, all.",
        ),
    ] = None,
    allow_related: Annotated[
        bool, typer.Option("--allow-related", help="Let a judge of the teacher's family compare it with the student.")
    ] = False,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say how many labels by people would give which interval; ask nobody.")
    ] = False,
) -> None:
    """Have models judge the answers to test questions, and say what they and people found."""
    from potstill.errors import RecipeError
    from potstill.pipeline import pipeline
    from potstill.workspace.workspace import Workspace

    opened = Workspace(runs).open(name)
    if model or form or rubric or questions or allow_related:
        from potstill.pipeline.added import add_judges

        opened = add_judges(opened, model or [], form and form.value, rubric, questions, allow_related)
    if plan:
        from potstill.review.collect import collect
        from potstill.stages.judge.stage import plan_labels
        from potstill.stages.judged import planning

        with opened.locked():
            collect(opened)
        planned = plan_labels(opened)
        emit([asdict(one) for one in planned], as_json, lambda: "\n".join(planning.words(planned)))
        return
    pipeline.carry_out_only(opened, "judge")
    judged = opened.judged
    if not judged:
        raise RecipeError(
            f"{opened.folder}: nobody has labelled its answers yet. Name a judge (potstill judge {name} --model MODEL), or label some "
            f"yourself (potstill review {name})."
        )
    emit(judged, as_json, lambda: judgements(judged))


def judgements(judged: Mapping[str, Any]) -> str:
    """What judges and people found: the verdict's lines, a table, and notes."""
    from potstill.stages.judged import words
    from potstill.stages.judged.result import Judged

    lines, notes = paragraphs(judged["verdict"])
    table = words.table(cast(Judged, judged))
    return "\n".join([*lines, "", *table, "", *notes] if table else [*lines, *notes])
