"""One self-contained HTML file; everything a model said is escaped."""

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from potstill.recipe import Recipe

if TYPE_CHECKING:
    from potstill.pipeline import Run

LONGEST = 2_000
"""Characters of a model's text that are shown."""


def report(recipe: Recipe, run: "Run") -> None:
    """Write report.html from the run's files."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined
    )
    examples = [row for row in run.read("examples.parquet") if row["split"].startswith("test")]
    shown = sorted(examples, key=lambda row: (int(row["id"].rsplit("-", 1)[1]), row["split"]))[: recipe.report.examples]
    predictions = {
        system.value: {row["id"]: row for row in run.read(f"predictions/{system.value}.parquet")}
        for system in recipe.evaluate.systems
    }
    html = environment.get_template("report.html.jinja").render(
        name=recipe.name,
        evaluation=run.evaluation,
        counts=Counter(row["reason"] or "kept" for row in run.read("curated.parquet")),
        training=run.read_json("training.json"),
        manifest=run.read_json("manifest.json"),
        recipe_text=run.path("recipe.yaml").read_text(encoding="utf-8"),
        shown=shown,
        predictions=predictions,
        longest=LONGEST,
    )
    run.report_path.write_text(html, encoding="utf-8")
