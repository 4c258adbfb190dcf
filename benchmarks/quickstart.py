"""python benchmarks/quickstart.py [--quick]: the quick start as a new user runs it: time, memory and accuracy.

Of each stage the CPU utilisation is printed: user and system seconds over the seconds of all cores.

Weights are downloaded and dequantized before the time is taken; nothing else is reused. Memory is the highest sum of the
resident memory of all processes, sampled ten times a second. The figures ``gain_low`` are the lowest lower bound, in points, of
the student's gain over each way of asking the base, clustered by template. ``--quick`` runs the same recipe on fewer questions, and its
figures do not count.
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
from goals import is_met

from potstill.processor import utilisation
from potstill.recipe import loading

GOALS = {"minutes": "<= 6", "gain_low": ">= 15", "gain_low_unseen": "> 0", "peak_gib": "< 5"}
QUICK_DATA = {"train": 40, "validation": 6, "test": 12, "test_unseen": 12}
SAMPLE_SECONDS = 0.1
"""Time between two measurements of memory."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    recipe = loading.load("quickstart")
    for model in (recipe.teacher.model, recipe.student.model):
        model.download()
    with tempfile.TemporaryDirectory() as folder:
        name = "quickstart"
        if quick:
            values = recipe.model_dump(mode="json")
            values["data"] |= QUICK_DATA
            (Path(folder) / "quick.yaml").write_text(yaml.safe_dump(values))
            name = "quick.yaml"
        seconds, peak_bytes = measure([sys.executable, "-m", "potstill", "run", name], folder)
        show(Path(folder) / "runs" / "quickstart", seconds, peak_bytes, quick)


def measure(command: list[str], folder: str) -> tuple[float, int]:
    """Run a command in ``folder``; the seconds that it took, and the peak memory of it and its children in bytes.

    Raises `subprocess.CalledProcessError` when it fails.
    """
    started = time.perf_counter()
    process = psutil.Popen(command, cwd=folder)
    peak = 0
    while process.poll() is None:
        resident = 0
        try:
            for member in (process, *process.children(recursive=True)):
                resident += member.memory_info().rss
        except psutil.NoSuchProcess:
            pass
        peak = max(peak, resident)
        time.sleep(SAMPLE_SECONDS)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    return time.perf_counter() - started, peak


def show(run: Path, seconds: float, peak_bytes: int, quick: bool) -> None:
    """Print the time of each stage and system, the accuracies, the verdict, and the figures."""
    evaluation = json.loads((run / "evaluation.json").read_text())
    print(f"\ntime\n{seconds:8.0f} s in total")
    manifest = json.loads((run / "manifest.json").read_text())
    cores = manifest["hardware"]["cores"]
    for stage, values in manifest["stages"].items():
        used = utilisation(values["cpu_seconds"], values["seconds"], cores)
        print(f"{values['seconds']:8.0f} s {stage}, CPU utilisation {used:.2f} of {cores} cores")
        if stage == "evaluate":
            for file in sorted((run / "predictions").glob("*.parquet")):
                rows = pq.read_table(file, columns=["seconds", "completion_tokens"]).to_pylist()
                tokens = sum(row["completion_tokens"] for row in rows)
                print(f"{sum(row['seconds'] for row in rows):16.0f} s {file.stem}, {tokens} tokens")
    gains = {}
    for split, values in evaluation["splits"].items():
        print(f"\n{split}")
        for name, system in values["systems"].items():
            accuracy = system["metrics"]["lenient"]
            interval = f"[{accuracy['low']:.0%}, {accuracy['high']:.0%}]"
            print(f"{accuracy['estimate']:8.0%} {interval} {name} {system['outcomes']}")
        bases = [c for c in values["comparisons"] if c["role"] == "base"]
        for c in bases:
            print(
                f"gain over {c['b']}: {c['difference']:+.1%} [{c['low']:+.1%}, {c['high']:+.1%}], {c['groups']} templates"
            )
        gains[split] = round(100 * min(c["low"] for c in bases), 1)
    print("\n".join(["", *evaluation["verdict"]["lines"], ""]))
    figures = {
        "minutes": round(seconds / 60, 2),
        "gain_low": gains["test"],
        "gain_low_unseen": gains["test_unseen"],
        "peak_gib": round(peak_bytes / 2**30, 2),
    }
    met = not quick and all(is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "quickstart", "figures": figures, "goals": GOALS, "met": met}))


if __name__ == "__main__":
    main()
