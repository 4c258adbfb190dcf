"""The stages in order, and what of them is to be done."""

import os
import platform
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from potstill import curate, data, evaluate, generate, interrupt, recipe_file, report, train
from potstill.checks import bring, check
from potstill.errors import PotstillError, RecipeError
from potstill.progress import say
from potstill.recipe_data import Synthesize
from potstill.run_folder import Part, Run, digest_of_rows
from potstill.stage import Stage, inputs, outputs, parts, why_again

VERSIONS = ("potstill", "torch", "transformers", "trl", "peft")
EXAMPLES, GENERATED, CURATED = "examples.parquet", "generated.parquet", "curated.parquet"

STAGES: tuple[Stage, ...] = (
    Stage(data.data, recipe=("task", "data", "seed"), writes=(EXAMPLES, "synthesis.json")),
    Stage(
        generate.generate,
        recipe=("task", "teacher.model", "teacher.dtype", "condition", "generate", "evaluate.extraction", "seed"),
        reads=(Part(EXAMPLES, splits=("train", "validation")),),
        writes=(GENERATED, generate.SETTLED),
    ),
    Stage(
        curate.curate,
        recipe=("task", "condition", "curate", "evaluate.judge", "student.model", "train.max_length", "seed"),
        reads=(Part(EXAMPLES), Part(GENERATED)),
        writes=(CURATED,),
    ),
    Stage(
        train.train,
        recipe=("task", "student.model", "student.dtype", "student.max_tokens", "train",
                "evaluate.extraction", "evaluate.judge", "seed"),
        reads=(
            Part(CURATED, kept=True, columns=("student_messages", "completion")),
            Part(EXAMPLES, splits=("validation",)),
        ),
        writes=("student", "training.json"),
        scratch="student-checkpoints",
        packages=("torch", "transformers", "trl", "peft"),
    ),
    Stage(
        evaluate.evaluate,
        recipe=(
            "task", "evaluate", "student.model", "student.dtype", "student.max_tokens", "teacher.model", "teacher.dtype",
            "generate.max_tokens", "generate.output", "generate.max_words", "generate.shots", "generate.prompting", "condition",
        ),
        reads=(Part(EXAMPLES, splits=data.TEST_SPLITS), Part(generate.SETTLED), Part("student")),
        writes=("predictions", "evaluation.json"),
    ),
    Stage(
        report.report,
        recipe=("name", "task", "data", "teacher", "condition", "generate", "curate", "student", "train", "evaluate",
                "report", "seed"),
        reads=(Part(EXAMPLES), Part(GENERATED), Part(CURATED), Part("training.json"), Part("predictions"), Part("evaluation.json")),
        writes=("report.html",),
    ),
)  # fmt: skip


@dataclass(frozen=True)
class Planned:
    """What a run would do with a stage. ``perhaps``: only if an earlier stage, done again, comes out differently."""

    stage: str
    again: bool
    perhaps: bool
    why: str


def start(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Read and check a recipe. Raises `RecipeError` before anything is written or asked."""
    recipe = recipe_file.load(recipe_name)
    file = recipe_file.find(recipe_name)
    built_in = file.parent == recipe_file.BUILT_IN
    run = Run(runs / recipe.name, recipe, file.stem if built_in else os.path.relpath(file, runs))
    check(run)
    return run


def plan(run: Run) -> list[Planned]:
    """What the recipe would do, without doing it: examples are made, nothing is asked, trained or written."""
    planned: list[Planned] = []
    instead: dict[str, str] = {}
    unsettled: dict[str, str] = {}
    """Files that a stage may write anew, by the stage's name."""
    for stage in STAGES:
        why = why_again(stage, run, inputs(stage, run, instead))
        earlier = [
            unsettled[part.file]
            for part in parts(stage, run.recipe)
            if part.file in unsettled and str(part) not in instead
        ]
        again = bool(why)
        perhaps = bool(earlier) and not again
        if perhaps:
            why = f"if {earlier[0]} comes out differently"
        planned.append(Planned(stage.name, again, perhaps, why))
        if stage.carry_out is data.data and again and not isinstance(run.recipe.data, Synthesize):
            for part in {part for later in STAGES for part in parts(later, run.recipe) if part.file == EXAMPLES}:
                instead[str(part)] = digest_of_rows(data.examples(run.recipe), part)
        elif again or perhaps:
            unsettled |= dict.fromkeys(stage.writes, stage.name)
    return planned


def carry_out(run: Run, last: str = STAGES[-1].name) -> None:
    """Carry out what is to be done, up to the stage named ``last``. Raises `PotstillError`.

    A stage whose result stands is left alone; one that was stopped goes on.
    """
    with run.locked():
        _claim(run)
        for stage in STAGES:
            _carry_out(stage, run)
            if stage.name == last:
                break


def carry_out_only(run: Run, name: str) -> None:
    """Carry out one stage of a run whose earlier stages stand. Raises `PotstillError` when one does not."""
    with run.locked():
        for stage in STAGES:
            if stage.name == name:
                _carry_out(stage, run)
                return
            if why := why_again(stage, run, inputs(stage, run)):
                raise PotstillError(
                    f"{run.folder}: {name} builds on {stage.name}, which is to be done first ({why}). Use `potstill run`."
                )


def run(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Carry out a recipe, all stages. Returns the run, with ``.evaluation`` and ``.report_path``."""
    made = start(recipe_name, runs)
    carry_out(made)
    return made


def _claim(run: Run) -> None:
    """Make the folder this recipe's. Raises `RecipeError` when it belongs to another."""
    manifest = run.read_json("manifest.json")
    if manifest.setdefault("source", run.source) != run.source:
        raise RecipeError(
            f"{run.folder} belongs to another recipe of the same name, {manifest['source']}. "
            f"Give this one another 'name', or use another folder (--runs)."
        )
    run.write_text("recipe.yaml", recipe_file.dump(run.recipe))
    run.write_json("manifest.json", manifest)


def _carry_out(stage: Stage, run: Run) -> None:
    interrupt.check()
    now = inputs(stage, run)
    why = why_again(stage, run, now)
    if not why:
        say(f"{stage.name}: stands")
        return
    manifest = run.read_json("manifest.json")
    stages = manifest.setdefault("stages", {})
    entry = stages.get(stage.name, {})
    goes_on = entry.get("state") == "started" and entry["inputs"] == now
    if stage.scratch and not goes_on:
        run.remove(stage.scratch)
    spent = entry["seconds"] if goes_on else 0.0
    began = time.perf_counter()

    def note(state: str, **values: Any) -> float:
        seconds = spent + time.perf_counter() - began
        stages[stage.name] = {"state": state, "seconds": round(seconds, 1), "inputs": now} | values
        run.write_json("manifest.json", manifest)
        return seconds

    manifest["versions"] = {package: version(package) for package in VERSIONS}
    manifest["hardware"] = {"machine": platform.platform(), "python": platform.python_version()}
    manifest["seed"] = run.recipe.seed
    note("started")
    run.log("started", stage=stage.name, why=why)
    say(f"{stage.name}: goes on" if goes_on else f"{stage.name}: started")
    try:
        if stage.carry_out is (data.data if isinstance(run.recipe.data, Synthesize) else generate.generate):
            bring(run.recipe)
        stage.carry_out(run.recipe, run)
    except Exception as error:
        note("started")
        run.log("stopped", stage=stage.name, why=str(error))
        raise
    seconds = note("done", outputs=outputs(stage, run))
    if stage.scratch:
        run.remove(stage.scratch)
    run.log("done", stage=stage.name)
    say(f"{stage.name}: done in {seconds:.0f} s")
