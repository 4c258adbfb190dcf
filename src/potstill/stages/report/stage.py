"""One self-contained HTML file; everything that a model wrote is escaped."""

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from potstill.recipe.curating import Filter
from potstill.recipe.recipe import Recipe
from potstill.stages.curate import in_words
from potstill.stages.evaluate.verdict import WHERE, interval, points, score
from potstill.stages.judged.words import value, who
from potstill.stages.report.cascade import figure
from potstill.stages.report.chats import shown_chats
from potstill.stages.report.cost import cost
from potstill.stages.report.filtering import effects_of_correctness
from potstill.stages.report.judged import criteria, side_by_side, strengths, turns
from potstill.stages.report.measured import calls, chart, ratio
from potstill.stages.train.choosing import ENOUGH
from potstill.workspace import artifacts
from potstill.workspace.artifacts import (
    CASCADE,
    CURATED,
    DATA,
    GENERATED,
    JUDGED,
    MEASURED,
    RECIPE,
    REGRESSED,
    REPORT,
    STUDENT,
    TEST_SPLITS,
    TRAINING,
)
from potstill.workspace.run import Run

MAX_CHARACTERS = 2_000
"""Characters of a model's text that are shown."""


def report(recipe: Recipe, run: Run) -> None:
    """Write report.html from the run's files."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "percent": _percent,
        "interval": interval,
        "points": points,
        "score": score,
    }
    examples = list(run.examples())
    by_split = [[example for example in examples if example["split"] == split] for split in TEST_SPLITS]
    alternating = [example for of in zip_longest(*by_split) for example in of if example is not None]
    predictions = {
        system.name: {row["id"]: row for row in run.read(artifacts.predictions(system.name))}
        for system in recipe.systems
    }
    training, manifest, evaluation = run.read_json(TRAINING), run.manifest, run.evaluation
    judged, measured, cascade = run.read_json(JUDGED), run.read_json(MEASURED), run.read_json(CASCADE)
    trained = manifest["stages"].get("train", {}).get("outputs", {})
    curated = run.read(CURATED)
    reasons = Counter(row["reason"] for row in curated)
    html = environment.get_template("report.html.jinja").render(
        recipe=recipe,
        teacher=recipe.teacher.name,
        where=WHERE,
        evaluation=evaluation,
        judged=judged,
        regressed=run.read_json(REGRESSED),
        cascade=cascade,
        figure=figure(cascade) if cascade else {},
        weights=trained.get(STUDENT, ""),
        beside=side_by_side(judged, evaluation) if judged else {},
        measured=measured,
        chart=chart(measured) if measured else None,
        ratio=ratio,
        calls=calls,
        criteria=criteria,
        strengths=strengths,
        turns=turns,
        who=who,
        value=value,
        data={"left_out": {}, "contradictory": [], **run.read_json(DATA)},
        effects=effects_of_correctness(curated, examples, recipe.task)
        if Filter.CORRECT in recipe.curate.filters
        else {},
        fates=[(f"dropped: {in_words(reason)}" if reason else "kept", n) for reason, n in reasons.most_common()],
        training=training,
        curve=_curve(training["loss"], recipe.train.epochs),
        manifest=manifest,
        cost=cost(run.read(GENERATED), manifest["stages"], recipe.teacher.model.charged),
        verdict=evaluation["verdict"],
        recipe_text=run.path(RECIPE).read_text(encoding="utf-8"),
        shown=shown_chats(recipe.task, alternating, recipe.report.examples),
        validated=training["validation"][-1]["n"],
        enough_validated=ENOUGH,
        predictions=predictions,
        max_characters=MAX_CHARACTERS,
    )
    run.write_text(REPORT, html)


def _percent(fraction: float) -> str:
    return f"{100 * fraction:.0f} %"


def _curve(loss: Sequence[Mapping[str, float]], epochs: int) -> dict[str, Any]:
    """The loss as points of a figure 600 wide and 160 high, whose scale ends at ``top``."""
    top = max((entry["loss"] for entry in loss), default=1.0) or 1.0
    places = [(600 * entry["epoch"] / epochs, 160 * (1 - entry["loss"] / top)) for entry in loss]
    return {"top": top, "points": " ".join(f"{x:.1f},{y:.1f}" for x, y in places)}
