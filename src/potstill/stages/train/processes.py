"""Training in several processes on one machine, by torch's launcher; each has a part of the rows of each step."""

import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from potstill import interrupt
from potstill.errors import PotstillError
from potstill.models.served import supervisor
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.stages.train import room

RECIPE, JOB, STOP, ERROR = "recipe.yaml", "job.json", "stop", "error.txt"
"""Files beside the checkpoints: what the processes read, one whose existence ends them, and what went wrong in one."""
SECONDS_BETWEEN_LOOKS = 0.2


def fit(
    recipe: Recipe, base: Path, rows: Sequence[Mapping[str, Any]], work: Path, resume: Path | None, steps: int
) -> None:
    """`trainer.fit` in the recipe's number of processes. Raises `PotstillError` where one of them fails or there are fewer rows."""
    n = recipe.train.processes
    if n > len(rows):
        raise PotstillError(f"{n} processes cannot share {len(rows)} rows: lower train.processes (--nproc).")
    work.mkdir(parents=True, exist_ok=True)
    for name in (STOP, ERROR):
        (work / name).unlink(missing_ok=True)
    (work / RECIPE).write_text(loading.dump(recipe), encoding="utf-8")
    job = {"base": str(base), "rows": list(rows), "resume": resume and str(resume), "steps": steps}
    (work / JOB).write_text(json.dumps(job), encoding="utf-8")
    launcher = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n}",
        "--module", "potstill.stages.train.worker", str(work),
    ]  # fmt: skip
    # The supervisor ends the processes when this one is gone, even by kill -9.
    command = [sys.executable, supervisor.__file__, *launcher]
    with (work / "processes.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=None)
        try:
            while process.poll() is None:
                if interrupt.stop_requested():
                    (work / STOP).touch()
                time.sleep(SECONDS_BETWEEN_LOOKS)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait()
    if (work / ERROR).exists():
        raise PotstillError((work / ERROR).read_text(encoding="utf-8"))
    if process.returncode and not interrupt.stop_requested():
        raise PotstillError(
            f"One of {n} training processes ended with exit code {process.returncode}; its messages are above. Completed steps are saved up "
            "to the last checkpoint."
        )


def sharding(recipe: Recipe, longest: int) -> dict[str, Any]:
    """Arguments of transformers' trainers for memory, where the longest row has so many tokens: fully sharded data parallelism (FSDP2) where
    the student is large for one GPU, otherwise each process has all weights (DDP); activation checkpointing where activations do not fit."""
    recomputes = room.recomputes(recipe, longest)
    if not room.here(recipe).sharded:
        return {"activation_checkpointing": recomputes}
    fsdp = {"version": 2, "activation_checkpointing": recomputes}
    return {"fsdp": "full_shard auto_wrap", "fsdp_config": fsdp, "activation_checkpointing": False}
