"""python benchmarks/coverage.py [--quick]: how often 95 % intervals hold the truth, and how wide they are, beside other
packages.

The same simulated data go to potstill, evalstats and cje-eval, each in an environment of its own
(benchmarks/peers/intervals_*.py):

- ``clustered``: paired differences of answers, -1, 0 or 1 with the mean 0.1, in 12 to 100 groups of 3 to 11 questions with
  the intraclass correlations 0.1 and 0.44.
- ``seeds``: differences of scores of 5 training seeds on 100 questions; seeds differ by 0, 0.1 or 0.3 (standard deviation),
  questions by 0.5, and both together by 0.7.
- ``judge``: 50, 200 or 1,000 labels, of which 60 % are 1, and ten times as many scores of a judge that takes a fifth of the
  others for 1.

An interval is close if it covers 95 % of the time, give or take two points and two standard errors of the simulation. A peer is
better in a case where its interval is close, and ours is not or is wider by over 2 %. ``--quick`` simulates little, and its
figures do not count.
"""

import argparse
import json
import subprocess
from math import sqrt
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from generation import HERE, environment
from goals import is_met

REQUIREMENTS = {"ours": None, "evalstats": "evalstats==0.3.3", "cje": "cje-eval==0.9.3"}
GOALS = {"ours_close_in": ">= 14", "ours_lowest": ">= 0.92"}
"""All cases are close, and none is far below."""
TRUTH = {"clustered": 0.1, "seeds": 0.0, "judge": 0.6}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    python = {name: environment(name, requirements) for name, requirements in REQUIREMENTS.items()}
    with TemporaryDirectory() as folder:
        data = Path(folder) / "data.npz"
        np.savez(data, **simulate(*((100, 10) if quick else (2000, 200))))
        limits = {name: intervals(interpreter, name, data) for name, interpreter in python.items()}
    figures: dict[str, object] = {"ours_close_in": 0, "ours_lowest": 1.0, "better": []}
    for case in limits["ours"]:
        shown = {name: summarize(of[case], TRUTH[case.split("/")[0]]) for name, of in limits.items()}
        print(case, *(f"{name} covers {c:.3f}, width {w:.4f};" for name, (c, w) in shown.items()), flush=True)
        ours, n = shown.pop("ours"), len(limits["ours"][case])
        figures["ours_close_in"] += is_close(ours[0], n)
        figures["ours_lowest"] = min(figures["ours_lowest"], round(ours[0], 4))
        for name, (covered, width) in shown.items():
            figures[f"{name}_lowest"] = min(figures.get(f"{name}_lowest", 1.0), round(covered, 4))
            if is_close(covered, n) and (width < 0.98 * ours[1] or not is_close(ours[0], n)):
                figures["better"].append(f"{name}: {case} ({covered:.3f}, width {width / ours[1]:.2f} of ours)")
    met = not quick and all(is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "coverage", "figures": figures, "goals": GOALS, "met": met}))


def simulate(many: int, few: int) -> dict[str, np.ndarray]:
    """The arrays of every case, as ``KIND/CASE/ARRAY``; ``many`` simulations of what is fast in every tool, ``few`` of the
    others."""
    rng, arrays = np.random.default_rng(0), {}
    for clusters in (12, 15, 30, 100):
        for icc in (0.1, 0.44):
            labels = np.repeat(np.arange(clusters), [3 + 5 * i % 9 for i in range(clusters)])
            common, own = (
                rng.choice([-1.0, 0.0, 1.0], p=[0.2, 0.5, 0.3], size=(many, n)) for n in (clusters, len(labels))
            )
            shares = rng.random(own.shape) < sqrt(icc)
            case = f"clustered/{clusters} groups, ICC {icc}"
            arrays |= {f"{case}/differences": np.where(shares, common[:, labels], own), f"{case}/clusters": labels}
    for spread in (0.0, 0.1, 0.3):
        seeds, questions = spread * rng.normal(size=(few, 5, 1)), 0.5 * rng.normal(size=(few, 1, 100))
        arrays[f"seeds/spread {spread}/scores"] = seeds + questions + 0.7 * rng.normal(size=(few, 5, 100))
    for n in (50, 200, 1000):
        gold = (rng.random((few, 11 * n)) < 0.6).astype(float)
        judge = np.where(rng.random(gold.shape) < 0.8, gold, 1.0)
        case = f"judge/{n} labels"
        arrays |= {f"{case}/gold": gold[:, :n], f"{case}/judge": judge[:, :n], f"{case}/rest": judge[:, n:]}
    return arrays


def intervals(python: str, name: str, data: Path) -> dict[str, list[list[float]]]:
    """The limits of a tool, by case."""
    command = [python, str(HERE / "peers" / f"intervals_{name}.py"), str(data)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(done.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}") from None


def summarize(limits: list[list[float]], truth: float) -> tuple[float, float]:
    """How often intervals hold the truth, and their mean width."""
    low, high = np.array(limits).T
    return float(((low <= truth) & (truth <= high)).mean()), float((high - low).mean())


def is_close(covered: float, n: int) -> bool:
    return abs(covered - 0.95) <= 0.02 + 2 * sqrt(0.95 * 0.05 / n)


if __name__ == "__main__":
    main()
