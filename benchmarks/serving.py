"""python benchmarks/serving.py [--quick] [--run RUN]: `potstill serve`, compared with the same weights in other servers, and a soak.

A student (135 million parameters) is trained for a few steps on word problems, unless RUN names a run with a student, and exported as
F16. Three servers have the same weights: `potstill serve`; transformers' `generate` behind the simplest server that batches what waits
(`peers/transformers_server.py`), in the faster of float32 and bfloat16; and xllamacpp's server with its default settings, with as many
slots as there are clients (its default is one slot, which is slower with several clients). 1, 4 and 16 clients ask them the same word
problems, greedily, with the student's limit, each its next question when it has its answer; no server is asked a question twice, because some
store the prompts that they have read. All servers run all the time, and are asked in turn, each first in some of the rounds; a figure is the
median of the rounds' quotients of answers per second.

Then 10,000 requests with answers of at most 4 tokens go to `potstill serve`, 32 at once; 1 % are malformed, and 1 % of the clients leave
in the middle of an answer. ``soak_errors`` counts answers that are not what the request deserves, connections that the server closed,
and an end that is not clean; ``soak_memory_growth`` is the growth of the memory of server and engine after the first fifth, as a part of
it. ``proxy_overhead_ms`` is what `potstill record` adds to a request (`proxy.py`). ``--quick`` has one round of fewer questions and 600 requests, and its figures do not count.
"""

import argparse
import asyncio
import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from pathlib import Path

import psutil
from goals import is_met
from load import ask_all
from proxy import proxy_overhead
from soak import growth, soak

from potstill.data import word_problems
from potstill.export import forms
from potstill.models.served import supervisor
from potstill.models.served.process import free_port
from potstill.workspace.workspace import Workspace

PEERS = Path(__file__).parent / "peers"
GOALS = {
    "vs_transformers_16": ">= 2", "vs_plain_llamacpp_16": ">= 1", "soak_errors": "== 0", "soak_memory_growth": "<= 0.05",
    "proxy_overhead_ms": "<= 2",
}  # fmt: skip
CLIENTS = (1, 4, 16)
FORM = "gguf-f16"
RECIPE = """\
name: benchmark
task: math
data: {{source: word_problems, train: {rows}, validation: 4, test: 20, test_unseen: 4}}
teacher: {{model: packaged/qwen2.5-coder-0.5b-instruct}}
condition: cot-rationale
generate: {{prompting: cot-fewshot, max_words: 30, max_tokens: 96}}
student: {{model: packaged/smollm2-135m-instruct, max_tokens: 96}}
train: {{epochs: 2, learning_rate: 2.0e-3}}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--run", type=Path, help="a run with a student; left out, one is trained")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        run = Workspace(Path(temporary)).open(str(options.run or train(Path(temporary), options.quick)))
        weights = forms.write(run, FORM)
        figures = throughput(run, weights, options.quick) | soaked(run, options.quick)
    figures |= proxy_overhead(1_000 if options.quick else 5_000)
    met = all(is_met(figures[name], goal) for name, goal in GOALS.items())
    print(json.dumps({"benchmark": "serving", "figures": figures, "goals": GOALS, "met": met and not options.quick}))


def train(folder: Path, quick: bool) -> Path:
    """A run with a student whose answers end as those of a trained one do."""
    (folder / "r.yaml").write_text(RECIPE.format(rows=32 if quick else 128))
    subprocess.run([sys.executable, "-m", "potstill", "train", "r.yaml"], cwd=folder, check=True)
    return folder / "runs" / "benchmark"


# Answers per second


def throughput(run, weights, quick):
    """The figures ``vs_transformers_16`` and ``vs_plain_llamacpp_16``, and what they are made of."""
    rounds, per_client = (1, 2) if quick else (5, 4)
    limit = run.recipe.student.max_tokens
    bodies = (
        {"messages": [{"role": "user", "content": row["question"]}], "max_tokens": limit, "temperature": 0}
        for row in word_problems.questions(7, "serving", unseen=False, taken=set())
    )
    first = list(islice(bodies, 16))
    with ExitStack() as servers:
        dtype = fastest_dtype(run, first[: 4 if quick else 16])
        urls = {
            "ours": servers.enter_context(ours(run))[0],
            "transformers": servers.enter_context(transformers(run, dtype)),
            "plain": servers.enter_context(peer("llama_plain.py", weights, slots=max(CLIENTS))),
        }
        for url in urls.values():
            asyncio.run(ask_all(url, first, 16))
        speeds: dict[tuple[str, int], list[float]] = {(name, n): [] for name in urls for n in CLIENTS}
        for number in range(rounds):
            for n in CLIENTS:
                asked = list(islice(bodies, per_client * n))
                first_asked = number % len(urls)
                for name in [*list(urls)[first_asked:], *list(urls)[:first_asked]]:
                    load = asyncio.run(ask_all(urls[name], asked, n))
                    speeds[name, n].append(load.answers_per_second)
                    latency, tokens = statistics.median(load.latencies), load.tokens / len(asked)
                    print(
                        f"round {number + 1}, {n:2} clients, {name:12}: {load.answers_per_second:6.2f} answers/s, median {latency:6.2f} s, "
                        f"{tokens:.0f} tokens an answer",
                        flush=True,
                    )

    def against(name, n):
        return round(statistics.median(a / b for a, b in zip(speeds["ours", n], speeds[name, n], strict=True)), 2)

    others = {"transformers": "vs_transformers", "plain": "vs_plain_llamacpp"}
    return {f"{figure}_{n}": against(name, n) for name, figure in others.items() for n in CLIENTS} | {"dtype": dtype}


def fastest_dtype(run, bodies):
    """The number format in which transformers answers these requests in the shortest time."""
    seconds = {}
    for dtype in ("float32", "bfloat16"):
        with transformers(run, dtype) as url:
            asyncio.run(ask_all(url, bodies[:2], 2))
            seconds[dtype] = asyncio.run(ask_all(url, bodies, 16)).seconds
    print(f"transformers: seconds of {len(bodies)} answers: {seconds}", flush=True)
    return min(seconds, key=seconds.__getitem__)


# A long mixed load


def soaked(run, quick):
    """The figures ``soak_errors`` and ``soak_memory_growth``."""
    n = 600 if quick else 10_000
    questions = [f"What is {i} + {i * 7 % 13}?" for i in range(500)]
    with ours(run, "--waiting", "64") as (url, process):
        pids = [process.pid, *(child.pid for child in psutil.Process(process.pid).children(recursive=True))]
        began = time.monotonic()
        counts, memory = asyncio.run(soak(url, pids, questions, n, 32))
        seconds = time.monotonic() - began
        process.send_signal(signal.SIGTERM)
        clean = process.wait(60) == 0 and not any(map(psutil.pid_exists, pids[1:]))
    errors = sum(count for what, count in counts.items() if what.startswith("error")) + (not clean)
    print(f"soak: {n} requests in {seconds:.0f} s: {dict(counts)}; clean stop: {clean}")
    print(f"soak: memory from {memory[0] / 1e6:.0f} to {memory[-1] / 1e6:.0f} MB", flush=True)
    return {"soak_errors": errors, "soak_memory_growth": round(max(0.0, growth(memory)), 4)}


# Servers


@contextmanager
def ours(run, *arguments):
    """`potstill serve`: its address and process."""
    command = [sys.executable, "-m", "potstill", "serve", str(run.folder), "--port", "0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        line = next(line for line in process.stdout if "/v1," in line)
        yield line.split("is at ")[1].split("/v1")[0], process
    finally:
        process.terminate()
        process.wait()


def transformers(run, dtype):
    return peer("transformers_server.py", run.student_folder, dtype=dtype)


@contextmanager
def peer(script, weights, **more):
    """A server of a file beside this one; its address."""
    port = free_port()
    command = [sys.executable, str(PEERS / script), str(weights), str(port), *map(str, more.values())]
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen([sys.executable, supervisor.__file__, *command], **quiet)  # ends with this process
    try:
        url = f"http://127.0.0.1:{port}"
        while True:
            assert process.poll() is None, f"{script} has ended"
            with suppress(OSError), urllib.request.urlopen(f"{url}/health", timeout=5) as response:
                if response.status == 200:
                    break
            time.sleep(0.2)
        yield url
    finally:
        process.stdin.close()
        process.wait()


if __name__ == "__main__":
    main()
