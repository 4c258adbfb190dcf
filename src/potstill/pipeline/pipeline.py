"""Run the stages that are out of date, and resume what was interrupted."""

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from potstill import interrupt, processor
from potstill.errors import PotstillError, RecipeError
from potstill.export import forms
from potstill.pipeline import prompts
from potstill.pipeline.preflight import check, check_exports, download_weights, shortage
from potstill.pipeline.stage import Stage
from potstill.pipeline.stages import STAGES
from potstill.progress import echo
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.review.collect import collect
from potstill.workspace.artifacts import EXAMPLES, MANIFEST
from potstill.workspace.digests import digest_of_rows
from potstill.workspace.run import Run
from potstill.workspace.workspace import Workspace

VERSIONS = ("potstill", "torch", "transformers", "trl", "peft")


@dataclass(frozen=True)
class StagePlan:
    """What a run would do with a stage.

    ``stale``: it would run, because of ``reason``. ``may_be_stale``: it would run only if an earlier stage, run again,
    writes something else.
    """

    stage: str
    stale: bool
    may_be_stale: bool
    reason: str


def start(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Read and check a recipe. Raises `RecipeError` before anything is written or requested."""
    recipe = loading.load(recipe_name)
    file = loading.locate(recipe_name)
    source = file.stem if file.parent == loading.BUILT_IN else os.path.relpath(file, runs)
    run = Workspace(runs).run(recipe, source)
    check(run)
    prompts.check(recipe)
    return run


def in_processes(run: Run, n: int) -> Run:
    """The run, which trains in ``n`` processes. Raises `RecipeError` where they cannot share the rows of a step."""
    values = run.recipe.model_dump(mode="json")
    values["train"] |= {"processes": n}
    try:
        recipe = Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeError(f"--nproc {n}: {error.errors()[0]['msg'].removeprefix('Value error, ')}.") from error
    return Run(run.folder, recipe, run.store_path, run.source)


def plan(run: Run) -> list[StagePlan]:
    """What the recipe would do, without doing it: examples are read, nothing is requested, trained or written."""
    plans: list[StagePlan] = []
    overrides: dict[str, str] = {}
    uncertain: dict[str, str] = {}
    """Files that a stage may rewrite, with the stage's name."""
    for stage in STAGES:
        reason = stage.stale_reason(run, stage.inputs(run, overrides))
        parts = stage.parts(run.recipe)
        causes = [uncertain[part.file] for part in parts if part.file in uncertain and str(part) not in overrides]
        stale, may_be_stale = bool(reason), bool(causes) and not reason
        if may_be_stale:
            reason = f"if the output of {causes[0]} changes"
        plans.append(StagePlan(stage.name, stale, may_be_stale, reason))
        if stale and stage.dry_run and not run.recipe.data.uses_teacher:
            for part in {part for later in STAGES for part in later.parts(run.recipe) if part.file == EXAMPLES}:
                overrides[str(part)] = digest_of_rows(stage.dry_run(run.recipe), part)
        elif stale or may_be_stale:
            uncertain |= dict.fromkeys(stage.writes, stage.name)
    return plans


def carry_out(run: Run, last: str = STAGES[-1].name) -> None:
    """Run the stages that are out of date, up to the stage named ``last``. Raises `PotstillError`, and `RecipeError` before
    anything is requested where the machine is too small for one of them."""
    stages = STAGES[: 1 + next(i for i, stage in enumerate(STAGES) if stage.name == last)]
    _check_machine(run, stages)
    with run.locked():
        run.claim()
        collect(run)
        for stage in stages:
            _carry_out(stage, run)


def carry_out_only(run: Run, name: str) -> None:
    """Run one stage, and earlier ones that take no time (`Stage.in_passing`). Raises `PotstillError` when another earlier stage is out of
    date, `RecipeError` where the machine is too small."""
    _check_machine(run, [stage for stage in STAGES if stage.name == name])
    with run.locked():
        collect(run)
        for stage in STAGES:
            if stage.name == name:
                _carry_out(stage, run)
                return
            if stage.in_passing(run.recipe):
                _carry_out(stage, run)
            elif reason := stage.stale_reason(run, stage.inputs(run)):
                raise PotstillError(
                    f"{run.folder}: {name} depends on {stage.name}, which is out of date ({reason}). Use `potstill run`."
                )


def run(recipe_name: str, runs: Path = Path("runs")) -> Run:
    """Carry out a recipe, all stages. Returns the run, with ``.evaluation`` and ``.report_path``."""
    started = start(recipe_name, runs)
    carry_out(started)
    return started


def _check_machine(run: Run, stages: Sequence[Stage]) -> None:
    """Raises `RecipeError` where one of the stages will load the student and the machine is too small for it, or cannot make or ask the
    exports that one needs."""
    lacking = shortage(run.recipe)
    exports = [name for stage in stages for name in stage.exports(run.recipe)]
    if not (lacking or exports):
        return
    stale = [stage for stage in stages if stage.stale_reason(run, stage.inputs(run))]
    if lacking and any(stage.loads_student for stage in stale):
        raise RecipeError(lacking)
    if stale:
        check_exports(exports)


def _carry_out(stage: Stage, run: Run) -> None:
    interrupt.raise_if_requested()
    for name in stage.exports(run.recipe):
        forms.keep_up(run, name)
    inputs = stage.inputs(run)
    reason = stage.stale_reason(run, inputs)
    if not reason:
        echo(f"{stage.name}: up to date")
        return
    manifest = run.manifest
    stages = manifest.setdefault("stages", {})
    entry = stages.get(stage.name, {})
    resumes = entry.get("state") == "started" and entry["inputs"] == inputs
    if stage.scratch and not resumes:
        run.remove(stage.scratch)
    seconds_before, cpu_before = (entry["seconds"], entry["cpu_seconds"]) if resumes else (0.0, 0.0)
    started, cpu_started = time.perf_counter(), processor.cpu_seconds()

    def record(state: str, **values: Any) -> str:
        """Update the manifest; returns the time so far, in words."""
        seconds = seconds_before + time.perf_counter() - started
        cpu = cpu_before + processor.cpu_seconds() - cpu_started
        times = {"seconds": round(seconds, 1), "cpu_seconds": round(cpu, 1)}
        stages[stage.name] = {"state": state, **times, "inputs": inputs} | values
        if noted := run.manifest.get("models"):  # while the stage ran
            manifest["models"] = noted
        run.write_json(MANIFEST, manifest)
        cores = processor.cores()
        return f"{seconds:.0f} s, {processor.utilisation(cpu, seconds, cores):.0%} of {cores} cores"

    manifest["versions"] = {package: version(package) for package in VERSIONS}
    manifest["hardware"] = {
        "machine": platform.platform(),
        "python": platform.python_version(),
        "cores": processor.cores(),
    }
    manifest["seeds"] = {
        "data": run.recipe.data_seed,
        "generate": run.recipe.generate_seed,
        "train": run.recipe.train_seed,
    }
    record("started")
    run.log("started", stage=stage.name, why=reason)
    echo(f"{stage.name}: resuming" if resumes else f"{stage.name}: started")
    try:
        if stage.downloads(run.recipe):
            download_weights(run.recipe)
        with run.limited_to(stage.access(run.recipe)):
            prompted = stage.prompts(run.recipe, run)
            stage.carry_out(run.recipe, run)
    except Exception as error:
        record("started")
        run.log("stopped", stage=stage.name, why=str(error))
        raise
    times = record("done", outputs=stage.outputs(run), **prompted)
    if stage.scratch:
        run.remove(stage.scratch)
    for name in stage.exports(run.recipe):
        forms.renew_card(run, name)
    run.log("done", stage=stage.name)
    echo(f"{stage.name}: done in {times}")
