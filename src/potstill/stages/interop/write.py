"""Write an export into the folder of a run."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from potstill.stages.interop import inspect_log, lm_eval
from potstill.workspace.artifacts import EXPORTS
from potstill.workspace.run import Run

WRITERS: dict[str, Callable[[Run], Iterator[tuple[str, list[dict[str, Any]]]]]] = {
    "lm-eval": lm_eval.files,
    "inspect": inspect_log.files,
}
"""For each tool, the files of its export: a path, and the values of a JSON file, or of the lines of a JSON Lines file."""


def export(run: Run, tool: str) -> Path:
    """Write exports/TOOL in the place of an earlier one, and return it. Raises `PotstillError` before the evaluation is done."""
    name, part = f"{EXPORTS}/{tool}", f"{EXPORTS}/{tool}-unfinished"
    run.remove(part)
    for file, values in WRITERS[tool](run):
        text = "".join(json.dumps(value, ensure_ascii=False, allow_nan=False) + "\n" for value in values)
        run.write_text(f"{part}/{file}", text)
    run.replace_folder(name, run.path(part))
    return run.path(name)
