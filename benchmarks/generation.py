"""python benchmarks/generation.py [--quick]: throughput of generation against a server, compared with other clients.

A mock server (50 ms per answer of about 60 tokens; benchmarks/mock_server.py) runs in its own process and gets 5,000
distinct prompts, 256 of them in flight. Each client (benchmarks/peers/) does the same work in its own process and measures
the time from its first prompt to its last row, without imports. Clients alternate, and the median of the rounds counts.
``bare`` is aiohttp on asyncio's own event loop; it counts answers and stores none. ``ours`` stores every answer and reads
all of them back in order. ``--quick`` sends 500 prompts in one round, and its figures do not count.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from goals import is_met

HERE = Path(__file__).parent
ENVIRONMENTS = HERE / ".envs"
REQUIREMENTS = {
    "bare": None,
    "ours": None,
    "openai_client": "openai>=1.50",
    "curator_client": "bespokelabs-curator==0.1.31",
    "datadesigner_client": "data-designer>=0.9,<0.10",
    "distilabel_client": "distilabel[openai]==1.5.3 requests",  # which it imports and does not declare
}
"""The packages of each client; None for a client that runs in this environment."""
REPEATED = ("bare", "ours", "openai_client")
"""Clients that run in every round. The others are slow and run once: their figures are far from their goals either way."""
GOALS = {
    "vs_bare": ">= 1.0", "vs_openai": ">= 8", "vs_curator": ">= 10", "vs_datadesigner": ">= 8", "vs_distilabel": ">= 15",
    "mib": "< 120",
    "errors_vs_openai": ">= 4", "errors_vs_curator": ">= 8", "errors_vs_distilabel": ">= 12", "rows_lost": "== 0",
    "repeats_beyond_in_flight": "<= 0", "resume_million_s": "< 20", "resume_million_mib": "< 300",
}  # fmt: skip
IN_FLIGHT = 256
LIMIT_SECONDS = 300
"""Of one client: data-designer 0.9 does not finish with a server whose answers fail."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", help="run only these clients, separated by commas")
    options = parser.parse_args()
    n, rounds, million = (500, 1, 20_000) if options.quick else (5000, 3, 1_000_000)
    names = options.only.split(",") if options.only else list(REQUIREMENTS)
    python = {name: environment(name, REQUIREMENTS[name]) for name in names}
    figures: dict[str, float] = {}
    rows_lost = 0
    with mock_server() as url:
        for path, prefix in (("/v1", "vs_"), ("/faulty/v1", "errors_vs_")):
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(rounds):
                for name in names:
                    if not runs[name] or name in REPEATED:
                        runs[name].append(run_client(python[name], name, url + path, n))
                        print(f"{prefix}{name}: {runs[name][-1]}", flush=True)
            seconds = {name: statistics.median(run["seconds"] for run in of) for name, of in runs.items()}
            for name in set(names) - {"ours"}:
                figures[prefix + name.removesuffix("_client")] = round(seconds[name] / seconds["ours"], 2)
            rows_lost += sum(n - int(run["rows"]) for run in runs["ours"])
            figures["mib"] = round(max(figures.get("mib", 0), *(run["mib"] for run in runs["ours"])), 1)
        figures.pop("errors_vs_bare", None)
        beyond, lost = kill_and_resume(python["ours"], url, n)
        figures["rows_lost"] = rows_lost + lost
        figures["repeats_beyond_in_flight"] = beyond
    figures |= resume_finished(million)
    met = not options.quick and all(name in figures and is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "generation", "figures": figures, "goals": GOALS, "met": met}))


def environment(name: str, requirements: str | None) -> str:
    """The Python interpreter of a client: this one where it requires nothing; the environment of another project is created once."""
    if requirements is None:
        return sys.executable
    folder = ENVIRONMENTS / name
    python = folder / "bin" / "python"
    if not (folder / "made").exists():
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        subprocess.run([python, "-m", "pip", "install", "-q", *requirements.split()], check=True)
        (folder / "made").touch()
    return str(python)


@contextmanager
def mock_server() -> Iterator[str]:
    """The address of a mock server, which stops at the end."""
    command = [sys.executable, str(HERE / "mock_server.py")]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield f"http://127.0.0.1:{server.stdout.readline().strip()}"
    finally:
        server.stdin.close()
        server.wait()


def get(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url) as response:
        return json.load(response)


def run_client(python: str, name: str, url: str, n: int) -> dict[str, float]:
    """What a client reports about ``n`` prompts: ``seconds``, ``rows`` and ``mib`` of memory."""
    get(url.removesuffix("/v1").removesuffix("/faulty") + "/reset")
    command = [python, str(HERE / "peers" / f"{name}.py"), url, str(n)]
    try:
        result = subprocess.run(command, capture_output=True, text=True, check=False, timeout=LIMIT_SECONDS)
    except subprocess.TimeoutExpired:
        print(f"{name} did not finish within {LIMIT_SECONDS} s, which count for it", flush=True)
        return {"seconds": LIMIT_SECONDS, "rows": 0, "mib": 0}
    try:
        return json.loads(result.stdout.strip().splitlines()[-1])
    except (IndexError, ValueError):
        raise SystemExit(f"{name} failed:\n{result.stderr[-3000:]}") from None


def kill_and_resume(python: str, url: str, n: int) -> tuple[int, int]:
    """Kill our client with SIGKILL after half of ``n`` requests, and run it again.

    Returns the repeated requests beyond those in flight at the kill, and the rows that the second run lacks. A request is
    in flight from the time it is sent until the client has stored its answer: there are 256 whenever the client is busy.
    The number in flight at the server is printed as well; it is lower, because it does not include answers that were sent
    and not yet read.
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
        second = subprocess.run(command, capture_output=True, text=True, check=True)
        rows = int(json.loads(second.stdout.splitlines()[-1])["rows"])
        repeats = get(f"{url}/stats")["requests"] - n
    print(f"killed halfway: {repeats} requests repeated, {at_server} in flight at the server, {rows} rows", flush=True)
    return max(repeats - IN_FLIGHT, 0), n - rows


def resume_finished(n: int) -> dict[str, float]:
    """Seconds and memory that it takes to find that all of ``n`` completions are stored."""
    with TemporaryDirectory() as folder:
        for step in ("fill", "resume"):
            command = [sys.executable, str(HERE / "peers" / "million.py"), folder, str(n), step]
            result = subprocess.run(command, capture_output=True, text=True, check=True)
            print(f"{step} {n}: {result.stdout.strip()}", flush=True)
    measured = json.loads(result.stdout)
    return {"resume_million_s": round(measured["seconds"], 1), "resume_million_mib": round(measured["mib"], 1)}


if __name__ == "__main__":
    main()
