"""The complete checkpoints of a training run."""

import hashlib
import json
import shutil
from pathlib import Path

from potstill.errors import PotstillError
from potstill.progress import echo

COMPLETE = "complete.json"
"""Name of the file that is created in a checkpoint when everything else is written: the SHA-256 of each file."""
ENGINE = "engine.txt"
"""Name of the file beside the checkpoints that names what computes the steps."""
OWNER = "training.txt"
"""Name of the file beside the checkpoints with the digest of what decides the training that they are of."""
FULL_BYTES = 1_000_000
"""Free bytes below which a file that could not be written is one of a full disk, whatever a library says."""
RESUME_FILES = ("optimizer.pt", "scheduler.pt")
"""Only the newest checkpoints need them to resume; they are several times as large as the weights."""


def step(checkpoint: Path) -> int:
    """The number of optimizer steps before a checkpoint."""
    return int(checkpoint.name.split("-")[1])


def is_complete(work: Path, now: int) -> bool:
    """Whether there is a complete checkpoint of step ``now``."""
    return (work / f"checkpoint-{now}" / COMPLETE).exists()


def claim(work: Path, training: str) -> None:
    """Record that the checkpoints in ``work`` are of the training with this digest. Raises `PotstillError` where there are some of another."""
    file = work / OWNER
    known = file.read_text(encoding="utf-8") if file.exists() else ""
    if known != training and any(work.glob("checkpoint-*")):
        raise PotstillError(
            f"{work}: these checkpoints are of another training: of another recipe, other rows or other weights. Delete that folder to train "
            "from the start."
        )
    work.mkdir(parents=True, exist_ok=True)
    file.write_text(training, encoding="utf-8")


def not_saved(work: Path, error: Exception) -> PotstillError | None:
    """The error where a checkpoint could not be saved because the disk is full, whose part is deleted; None for other causes."""
    if shutil.disk_usage(work).free >= FULL_BYTES:
        return None
    saved = 0
    for checkpoint in work.glob("checkpoint-*"):
        if (checkpoint / COMPLETE).exists():
            saved = max(saved, step(checkpoint))
        else:
            shutil.rmtree(checkpoint)
    why = (str(error) or type(error).__name__).splitlines()[0]
    where = f"resume from step {saved}" if saved else "start again"
    return PotstillError(
        f"The disk is full: a checkpoint could not be saved in {work} ({why}). Make room; rerun the same command to {where}."
    )


def newest(work: Path, steps_per_epoch: int, *, verified: bool = False) -> Path | None:
    """The last complete checkpoint that has those of all earlier epochs beside it; remains of others are deleted.

    ``verified``: files are read, and a checkpoint with a damaged one is said, and counts as one that does not exist.
    """
    found = sorted(work.glob("checkpoint-*"), key=step)
    complete = [checkpoint for checkpoint in found if (checkpoint / COMPLETE).exists()]
    if verified:
        complete = [checkpoint for checkpoint in complete if not _is_damaged(checkpoint)]
    steps = {step(checkpoint) for checkpoint in complete}

    def can_be_resumed(checkpoint: Path) -> bool:
        epochs = range(steps_per_epoch, step(checkpoint), steps_per_epoch)
        return (checkpoint / RESUME_FILES[0]).exists() and steps.issuperset(epochs)

    while complete and not can_be_resumed(complete[-1]):
        complete.pop()
    for checkpoint in found:
        if checkpoint not in complete:
            shutil.rmtree(checkpoint)
    return complete[-1] if complete else None


def mark_complete(work: Path, now: int, steps_per_epoch: int, *, is_last: bool = False) -> None:
    """Mark the checkpoint of step ``now``. Of those before it, the ends of epochs stay, to choose from, and one to resume from, in
    case the new one gets damaged, unless it ``is_last``."""
    folder = work / f"checkpoint-{now}"
    digests = json.dumps({file.name: _digest(file) for file in sorted(folder.iterdir()) if file.is_file()})
    part = folder / f"{COMPLETE}.part"
    part.write_text(digests, encoding="utf-8")
    part.rename(folder / COMPLETE)
    earlier = sorted((one for one in work.glob("checkpoint-*") if step(one) < now), key=step)
    spare = earlier[-1:] if not is_last else []
    for checkpoint in earlier:
        if checkpoint in spare:
            continue
        if step(checkpoint) % steps_per_epoch:
            shutil.rmtree(checkpoint)
        else:
            for name in RESUME_FILES:
                (checkpoint / name).unlink(missing_ok=True)


def _is_damaged(checkpoint: Path) -> bool:
    """Whether a file is not as it was written; if so, that is said."""
    try:
        digests = json.loads((checkpoint / COMPLETE).read_text(encoding="utf-8"))
    except ValueError:
        digests = {COMPLETE: ""}
    gone = set() if (checkpoint / RESUME_FILES[0]).exists() else set(RESUME_FILES)  # on purpose
    for name in sorted(digests.keys() - gone):
        file = checkpoint / name
        if not file.exists() or _digest(file) != digests[name]:
            echo(f"  {checkpoint.name} is damaged ({name} has changed): training resumes from the one before it")
            return True
    return False


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def engine(work: Path) -> str:
    """What computes the steps: `fused` or `modules`."""
    return (work / ENGINE).read_text(encoding="utf-8")


def losses(checkpoint: Path) -> list[dict[str, float]]:
    """The loss by epoch, as often as it was logged."""
    history = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))["log_history"]
    return [{"epoch": entry["epoch"], "loss": float(entry["loss"])} for entry in history if "loss" in entry]
