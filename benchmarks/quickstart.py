"""python benchmarks/quickstart.py [--quick]: the quick start as a newcomer runs it, timed, measured and judged.

Weights are brought and unpacked before the clock starts; nothing else is reused. Memory is the highest sum of the
resident memory of all processes, looked at ten times a second. ``--quick`` runs the same recipe on fewer questions,
and its figures count for nothing.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import yaml

from potstill.recipe import loading as recipe_file
from potstill.models.local import weights

GOALS = {"minutes": "<= 10", "gain_low": ">= 15", "gain_low_unseen": "shown", "peak_gib": "< 5"}
QUICK = {"train": 40, "validation": 6, "test": 12, "test_unseen": 12}


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    quick = arguments.parse_args().quick
    recipe = recipe_file.load("quickstart")
    for model in (recipe.teacher.model, recipe.student.model):
        weights.folder(str(model))
    with tempfile.TemporaryDirectory() as folder:
        name = "quickstart"
        if quick:
            values = recipe.model_dump(mode="json")
            values["data"] |= QUICK
            (Path(folder) / "quick.yaml").write_text(yaml.safe_dump(values))
            name = "quick.yaml"
        seconds, peak = watch([sys.executable, "-m", "potstill", "run", name], folder)
        show(Path(folder) / "runs" / "quickstart", seconds, peak, quick)


def watch(command: list[str], folder: str) -> tuple[float, int]:
    """Seconds that the command took, and the most bytes that it and its children held."""
    started = time.perf_counter()
    process = psutil.Popen(command, cwd=folder)
    peak = 0
    while process.poll() is None:
        held = 0
        try:
            for one in (process, *process.children(recursive=True)):
                held += one.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak = max(peak, held)
        time.sleep(0.1)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - started, peak


def show(run: Path, seconds: float, peak: int, quick: bool) -> None:
    evaluation = json.loads((run / "evaluation.json").read_text())
    print("\nwhere the time goes", f"{seconds:8.0f} s", sep="\n", end=" in all\n")
    for stage, values in json.loads((run / "manifest.json").read_text())["stages"].items():
        print(f"{values['seconds']:8.0f} s {stage}")
        if stage == "evaluate":
            for file in sorted((run / "predictions").glob("*.parquet")):
                rows = pq.read_table(file, columns=["seconds", "completion_tokens"]).to_pylist()
                tokens = sum(row["completion_tokens"] for row in rows)
                print(f"{sum(row['seconds'] for row in rows):16.0f} s {file.stem}, {tokens} tokens")
    gains = {}
    for split, values in evaluation["splits"].items():
        print(f"\n{split}")
        for name, system in values["systems"].items():
            m = system["metrics"]["lenient"]
            print(f"{m['estimate']:8.0%} [{m['low']:.0%}, {m['high']:.0%}] {name} {system['outcomes']}")
        lows = [c["low"] for c in values["comparisons"] if c["b"].startswith("base")]
        gains[split] = round(100 * min(lows), 1)
    print(f"\n{evaluation['verdict']}\n")
    figures = {
        "minutes": round(seconds / 60, 2),
        "gain_low": gains["test"],
        "gain_low_unseen": gains["test_unseen"],
        "peak_gib": round(peak / 2**30, 2),
    }
    met = not quick and figures["minutes"] <= 10 and figures["gain_low"] >= 15 and figures["peak_gib"] < 5
    print(json.dumps({"benchmark": "quickstart", "figures": figures, "goals": GOALS, "met": met}))


if __name__ == "__main__":
    main()
