"""One of several training processes, started by `processes.fit`. Argument: the folder of the checkpoints."""

import json
import os
import sys
from pathlib import Path

from potstill.errors import PotstillError
from potstill.models.local import gpu
from potstill.recipe import loading
from potstill.stages.train import processes, trainer


def main() -> int:
    work = Path(sys.argv[1])
    recipe = loading.load(str(work / processes.RECIPE))
    job = json.loads((work / processes.JOB).read_text(encoding="utf-8"))
    position = trainer.Position(work, Path(job["resume"]) if job["resume"] else None, job["steps"])
    gpu.use(int(os.environ["LOCAL_RANK"]))
    if int(os.environ["RANK"]):
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - the first process shows progress for all
    try:
        trainer.fit(recipe, Path(job["base"]), job["rows"], position, (work / processes.STOP).exists)
    except PotstillError as error:
        (work / processes.ERROR).write_text(str(error), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
