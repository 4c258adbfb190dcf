"""The checkpoints of a training run, as far as they are whole."""

import json
import shutil
from pathlib import Path

WHOLE = "whole"
"""Name of the empty file that is put into a checkpoint when all the rest of it is written."""
FOR_GOING_ON = ("optimizer.pt", "scheduler.pt")
"""What only the newest checkpoint needs: it is several times as large as the weights."""


def step(checkpoint: Path) -> int:
    """Optimizer steps that a checkpoint has behind it."""
    return int(checkpoint.name.split("-")[1])


def is_whole(work: Path, now: int) -> bool:
    """Whether there is a whole checkpoint of step ``now``."""
    return (work / f"checkpoint-{now}" / WHOLE).exists()


def newest(work: Path, steps_an_epoch: int) -> Path | None:
    """The last whole checkpoint that has those of all epochs before it; what is left of others goes."""
    found = sorted(work.glob("checkpoint-*"), key=step)
    whole = [checkpoint for checkpoint in found if (checkpoint / WHOLE).exists()]
    steps = {step(checkpoint) for checkpoint in whole}
    while whole and not steps.issuperset(range(steps_an_epoch, step(whole[-1]), steps_an_epoch)):
        whole.pop()
    if whole and not (whole[-1] / FOR_GOING_ON[0]).exists():
        whole = []
    for checkpoint in found:
        if checkpoint not in whole:
            shutil.rmtree(checkpoint)
    return whole[-1] if whole else None


def written(work: Path, now: int, steps_an_epoch: int) -> None:
    """The checkpoint of step ``now`` is whole. Of those before it, only the ends of epochs stay, to choose from."""
    (work / f"checkpoint-{now}" / WHOLE).touch()
    for checkpoint in work.glob("checkpoint-*"):
        if step(checkpoint) >= now:
            continue
        if step(checkpoint) % steps_an_epoch:
            shutil.rmtree(checkpoint)
        else:
            for name in FOR_GOING_ON:
                (checkpoint / name).unlink(missing_ok=True)


def losses(checkpoint: Path) -> list[dict[str, float]]:
    """The loss by epoch, as often as it was logged."""
    history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [{"epoch": entry["epoch"], "loss": float(entry["loss"])} for entry in history if "loss" in entry]
