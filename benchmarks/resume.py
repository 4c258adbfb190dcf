"""python benchmarks/resume.py [--quick]: a run that is killed at 50 random moments, and a finished run that is run again.

The teacher is a server on this machine whose answers depend on the request alone; the student is a tiny random Llama. Each
of the 50 runs is killed with SIGKILL at a random moment within the duration of an undisturbed run, and then the same
command is run again. A run survives if it ends with the same rows (except for times) and the same weights as the
undisturbed run. ``requests_repeated`` is the number of requests that the server received again, beyond those in flight at
the kills. ``rerun_s`` is the slowest of three further runs of a finished recipe. ``--quick`` kills 5 times, and its figures
do not count.
"""

import argparse
import json
import os
import random
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import small

GOALS = {"rerun_s": "< 5", "requests_repeated": "0", "kills_survived": "50 of 50"}
COMMAND = [sys.executable, "-m", "potstill", "run", "r.yaml"]
CONCURRENCY = 4
TEACHER_DELAY_SECONDS = 0.05


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    kills = 5 if quick else 50
    rng = random.Random(0)
    repeated = survived = 0
    with tempfile.TemporaryDirectory() as temporary, small.Teacher(delay=TEACHER_DELAY_SECONDS) as teacher:
        root = Path(temporary)
        small.save_tiny_llama(root / "student")
        recipe = small.RECIPE.format(url=teacher.url, student=root / "student")
        recipe = recipe.replace("train: 24", "train: 100").replace("test: 8", "test: 40")
        began = time.monotonic()
        expected = results(carry_out(root / "undisturbed", recipe))
        duration = time.monotonic() - began
        print(f"undisturbed: {duration:.1f} s, {teacher.seen.total()} requests", flush=True)
        reruns = []
        for _ in range(3):
            began = time.monotonic()
            carry_out(root / "undisturbed", recipe)
            reruns.append(time.monotonic() - began)
        print("reruns, unchanged: " + ", ".join(f"{seconds:.1f} s" for seconds in reruns), flush=True)
        for kill in range(1, kills + 1):
            teacher.seen.clear()
            folder = root / f"killed-{kill}"
            after = rng.uniform(0, duration)
            state, in_flight = run_and_kill(folder, recipe, after, teacher)
            same = results(carry_out(folder, recipe)) == expected
            received_again = teacher.seen.total() - len(teacher.seen)
            repeated += max(received_again - in_flight, 0)
            survived += same
            print(
                f"{kill}: killed after {after:.1f} s in {state}; {'same rows' if same else 'DIFFERENT ROWS'}, "
                f"{received_again} requests received again, {in_flight} were in flight",
                flush=True,
            )
    figures = {"rerun_s": round(max(reruns), 2), "requests_repeated": repeated, "kills_survived": survived}
    met = not quick and figures["rerun_s"] < 5 and repeated == 0 and survived == kills == 50
    print(json.dumps({"benchmark": "resume", "figures": figures, "goals": GOALS, "met": met}))


def carry_out(folder: Path, recipe: str) -> Path:
    """Carry out the recipe; returns the folder of the run. Raises `SystemExit` when it fails."""
    folder.mkdir(exist_ok=True)
    (folder / "r.yaml").write_text(recipe)
    done = subprocess.run(COMMAND, cwd=folder, env=environment(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{folder.name}: {done.stderr[-2000:]}")
    return folder / "runs" / "small"


def run_and_kill(folder: Path, recipe: str, after: float, teacher: small.Teacher) -> tuple[str, int]:
    """Kill a run after ``after`` seconds; the stage that it was in, and the number of requests in flight.

    A request counts as in flight if the server received it and its answer is not stored.
    """
    folder.mkdir()
    (folder / "r.yaml").write_text(recipe)
    process = subprocess.Popen(
        COMMAND, cwd=folder, env=environment(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    )
    try:
        process.wait(after)
        state = "no stage: it had ended"
    except subprocess.TimeoutExpired:
        process.kill()
        manifest = folder / "runs" / "small" / "manifest.json"
        stages = json.loads(manifest.read_text()).get("stages", {}) if manifest.exists() else {}
        state = next((name for name, entry in stages.items() if entry["state"] == "started"), "no stage")
    process.communicate()
    time.sleep(2 * teacher.delay)  # until the server has counted all requests that it received
    stored = count_stored(folder / "runs" / "completions.sqlite")
    return state, min(teacher.seen.total() - stored, CONCURRENCY)


def count_stored(path: Path) -> int:
    """The number of the teacher's completions in the store, recognized by their numbers of tokens."""
    if not path.exists():
        return 0
    with sqlite3.connect(path) as connection:
        tables = connection.execute("SELECT count(*) FROM sqlite_master WHERE name = 'completions'").fetchone()[0]
        counted = "SELECT count(*) FROM completions WHERE prompt_tokens = 40 AND completion_tokens = 12"
        return int(connection.execute(counted).fetchone()[0]) if tables else 0


def results(run: Path) -> tuple[Any, ...]:
    """All tables without times, the student's weights, and `training.json`."""
    tables = {}
    for file in sorted(run.rglob("*.parquet")):
        rows = pq.read_table(file).to_pylist()
        tables[file.name] = [{k: v for k, v in row.items() if k != "seconds"} for row in rows]
    return tables, (run / "student" / "model.safetensors").read_bytes(), (run / "training.json").read_text()


def environment() -> dict[str, str]:
    return {**os.environ, "HF_HUB_OFFLINE": "1"}


if __name__ == "__main__":
    main()
