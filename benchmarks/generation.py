"""python benchmarks/generation.py [--quick]: asking at scale, beside a bare loop and the tools people use.

A mock server (50 ms, about 60 tokens an answer; benchmarks/mock_server.py) in a process of its own, 5,000 distinct
prompts, 256 in flight. Each client (benchmarks/peers/) does the same work in a process of its own and times itself from
its first prompt to its last row, imports left out; clients take turns, and the median of the turns counts. ``bare`` is
aiohttp on asyncio's own loop, counting answers and keeping none; ours has every answer in the store and read back in
order. ``--quick`` asks 500 prompts once, and its figures count for nothing.
"""

import argparse
import json
import operator
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"
PEERS = {
    "bare": None,
    "ours": None,
    "openai_client": "openai>=1.50",
    "curator_client": "bespokelabs-curator==0.1.31",
    "distilabel_client": "distilabel[openai]==1.5.3 requests",  # which it imports and does not declare
}
GOALS = {
    "vs_bare": ">= 0.9", "vs_openai": ">= 8", "vs_curator": ">= 10", "vs_distilabel": ">= 15", "mib": "< 120",
    "errors_vs_openai": ">= 4", "errors_vs_curator": ">= 8", "errors_vs_distilabel": ">= 12", "rows_lost": "== 0",
    "repeats_beyond_in_flight": "<= 0", "resume_million_s": "< 20", "resume_million_mib": "< 300",
}  # fmt: skip
IN_FLIGHT = 256


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--quick", action="store_true")
    arguments.add_argument("--only", help="only these clients, with commas between")
    asked = arguments.parse_args()
    n, turns, million = (500, 1, 20_000) if asked.quick else (5000, 3, 1_000_000)
    names = asked.only.split(",") if asked.only else list(PEERS)
    python = {name: environment(name) for name in names}
    figures: dict[str, float] = {}
    rows_lost = 0
    with mock_server() as url:
        for path, prefix in (("/v1", "vs_"), ("/faulty/v1", "errors_vs_")):
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(turns):
                for name in names:
                    # The slow ones take their turn once: their figure is far from its goal either way.
                    if not runs[name] or name in ("bare", "ours", "openai_client"):
                        runs[name].append(client(python[name], name, url + path, n))
                        print(f"{prefix}{name}: {runs[name][-1]}", flush=True)
            seconds = {name: statistics.median(run["seconds"] for run in of) for name, of in runs.items()}
            for name in set(names) - {"ours"}:
                figures[prefix + name.removesuffix("_client")] = round(seconds[name] / seconds["ours"], 2)
            rows_lost += sum(n - int(run["rows"]) for run in runs["ours"])
            figures["mib"] = round(max(figures.get("mib", 0), *(run["mib"] for run in runs["ours"])), 1)
        figures.pop("errors_vs_bare", None)
        beyond, lost = killed(python["ours"], url, n)
        figures["rows_lost"] = rows_lost + lost
        figures["repeats_beyond_in_flight"] = beyond
    figures |= resumed(million)
    met = not asked.quick and all(name in figures and reached(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "generation", "figures": figures, "goals": GOALS, "met": met}))


def reached(figure: float, goal: str) -> bool:
    """Whether a figure is as its goal says, as in ``>= 0.9``."""
    sign, limit = goal.split()
    return {">=": operator.ge, "<=": operator.le, "<": operator.lt, "==": operator.eq}[sign](figure, float(limit))


def environment(name: str) -> str:
    """The Python in which a client runs; a peer's own is made once."""
    if (requirement := PEERS[name]) is None:
        return sys.executable
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requirement.split()], check=True)
        (folder / "made").touch()
    return str(python)


@contextmanager
def mock_server():
    command = [sys.executable, str(HERE / "mock_server.py")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.stdin.close()
        server.wait()


def get(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url) as answer:
        return json.load(answer)


def client(python: str, name: str, url: str, n: int, *arguments: str) -> dict[str, float]:
    get(url.removesuffix("/v1").removesuffix("/faulty") + "/reset")
    command = [python, str(HERE / "peers" / f"{name}.py"), url, str(n), *arguments]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"{name} failed:\n{result.stderr[-3000:]}") from None


def killed(python: str, url: str, n: int) -> tuple[int, int]:
    """Requests beyond ``n`` and those in flight at a kill -9 at half, and rows that the second run lacks.

    In flight is what was sent and whose answer had not been taken: 256 whenever the client is busy. The server's own
    count is printed beside it; it is lower by the answers that were sent and not yet read.
    """
    get(f"{url}/reset")
    with TemporaryDirectory() as folder:
        command = [python, str(HERE / "peers" / "ours.py"), f"{url}/v1", str(n), folder]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while get(f"{url}/stats")["requests"] < n // 2:
            time.sleep(0.01)
        process.kill()
        process.wait()
        at_server = get(f"{url}/stats")["in_flight"]
        time.sleep(0.5)
        again = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()[-1])
        repeats = get(f"{url}/stats")["requests"] - n
    print(
        f"kill at half: {repeats} requests repeated, {at_server} at the server then, {again['rows']} rows", flush=True
    )
    return max(repeats - IN_FLIGHT, 0), n - int(again["rows"])


def resumed(n: int) -> dict[str, float]:
    """Seconds and memory to find out that nothing is left of ``n`` stored completions."""
    with TemporaryDirectory() as folder:
        for what in ("fill", "resume"):
            command = [sys.executable, str(HERE / "peers" / "million.py"), folder, str(n), what]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{what} {n}: {result.stdout.strip()}", flush=True)
    told = json.loads(result.stdout)
    return {"resume_million_s": round(told["seconds"], 1), "resume_million_mib": round(told["mib"], 1)}


if __name__ == "__main__":
    main()
