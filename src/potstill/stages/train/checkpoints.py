"""The complete checkpoints of a training run."""

import json
import shutil
from pathlib import Path

COMPLETE = "complete"
"""Name of the empty file that is created in a checkpoint when everything else is written."""
ENGINE = "engine.txt"
"""Name of the file beside the checkpoints that names what computes the steps."""
RESUME_FILES = ("optimizer.pt", "scheduler.pt")
"""Only the newest checkpoint needs them to resume; they are several times as large as the weights."""


def step(checkpoint: Path) -> int:
    """The number of optimizer steps before a checkpoint."""
    return int(checkpoint.name.split("-")[1])


def is_complete(work: Path, now: int) -> bool:
    """Whether there is a complete checkpoint of step ``now``."""
    return (work / f"checkpoint-{now}" / COMPLETE).exists()


def newest(work: Path, steps_per_epoch: int) -> Path | None:
    """The last complete checkpoint that has those of all earlier epochs beside it; remains of others are deleted."""
    found = sorted(work.glob("checkpoint-*"), key=step)
    complete = [checkpoint for checkpoint in found if (checkpoint / COMPLETE).exists()]
    steps = {step(checkpoint) for checkpoint in complete}
    while complete and not steps.issuperset(range(steps_per_epoch, step(complete[-1]), steps_per_epoch)):
        complete.pop()
    if complete and not (complete[-1] / RESUME_FILES[0]).exists():
        complete = []
    for checkpoint in found:
        if checkpoint not in complete:
            shutil.rmtree(checkpoint)
    return complete[-1] if complete else None


def mark_complete(work: Path, now: int, steps_per_epoch: int) -> None:
    """Mark the checkpoint of step ``now``. Of those before it, only the ends of epochs stay, to choose from."""
    (work / f"checkpoint-{now}" / COMPLETE).touch()
    for checkpoint in work.glob("checkpoint-*"):
        if step(checkpoint) >= now:
            continue
        if step(checkpoint) % steps_per_epoch:
            shutil.rmtree(checkpoint)
        else:
            for name in RESUME_FILES:
                (checkpoint / name).unlink(missing_ok=True)


def engine(work: Path) -> str:
    """What computes the steps: `fused` or `modules`."""
    return (work / ENGINE).read_text(encoding="utf-8")


def losses(checkpoint: Path) -> list[dict[str, float]]:
    """The loss by epoch, as often as it was logged."""
    history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [{"epoch": entry["epoch"], "loss": float(entry["loss"])} for entry in history if "loss" in entry]
