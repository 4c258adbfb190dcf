"""python benchmarks/quickstart.py [--quick]: the quick start as a new user runs it: time, memory and accuracy.

Of each stage the CPU utilisation is printed: user and system seconds over the seconds of all cores.

Weights are downloaded and dequantized before the time is taken; nothing else is reused. Memory is the highest sum of the
resident memory of all processes, sampled ten times a second. The figures ``gain_low`` are the lowest lower bound, in points, of
the student's gain over each way of asking the base; on unseen templates clustered by template. ``--quick`` runs the same recipe on fewer questions, and its
figures do not count.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from math import sqrt
from pathlib import Path

import psutil
import pyarrow.parquet as pq
import yaml
from scipy.stats import t

from potstill.processor import utilisation
from potstill.recipe import loading

GOALS = {"minutes": "<= 8", "gain_low": ">= 15", "gain_low_unseen": "> 0", "peak_gib": "< 5"}
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
        bases = [name for name, system in values["systems"].items() if system["role"] == "base"]
        lows = {c["b"]: c["low"] for c in values["comparisons"] if c["role"] == "base"}
        if split == "test_unseen":
            for name in bases:
                mean, lows[name], high, groups = clustered_gain(run, split, name)
                print(f"gain over {name}: {mean:+.1%} [{lows[name]:+.1%}, {high:+.1%}], {groups} templates")
        gains[split] = round(100 * min(lows.values()), 1)
    print(f"\n{evaluation['verdict']}\n")
    figures = {
        "minutes": round(seconds / 60, 2),
        "gain_low": gains["test"],
        "gain_low_unseen": gains["test_unseen"],
        "peak_gib": round(peak_bytes / 2**30, 2),
    }
    met = (
        not quick
        and figures["minutes"] <= 8
        and figures["gain_low"] >= 15
        and figures["gain_low_unseen"] > 0
        and figures["peak_gib"] < 5
    )
    print(json.dumps({"benchmark": "quickstart", "figures": figures, "goals": GOALS, "met": met}))


def clustered_gain(run: Path, split: str, base: str) -> tuple[float, float, float, int]:
    """Mean gain of the student over a way of asking the base, its 95 % interval, and the number of templates.

    The standard error is that of the template's sums of paired differences, times sqrt(G / (G - 1)), with the t distribution of
    G - 1 degrees of freedom (Cameron and Miller 2015, J. Hum. Resour. 50:317, CR1 of a mean).
    """
    columns = ["id", "group", "outcome"]
    rows = {
        system: pq.read_table(run / "predictions" / f"{system}.parquet", columns=columns).to_pylist()
        for system in ("student", base)
    }
    differences: dict[str, list[int]] = {}
    for a, b in zip(rows["student"], rows[base], strict=True):
        if a["id"].startswith(f"{split}-"):
            differences.setdefault(a["group"], []).append((a["outcome"] == "correct") - (b["outcome"] == "correct"))
    n, groups = sum(map(len, differences.values())), len(differences)
    mean = sum(map(sum, differences.values())) / n
    squares = sum(sum(d - mean for d in of_group) ** 2 for of_group in differences.values())
    half = float(t.ppf(0.975, groups - 1)) * sqrt(squares * groups / (groups - 1)) / n
    return mean, mean - half, mean + half, groups


if __name__ == "__main__":
    main()
