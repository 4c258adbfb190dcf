"""Runs to review, made of tables on disk, and a server of one in a process of its own."""

import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager

from evaluated import run_with
from golden import prediction
from potstill.review import reviewing
from potstill.review.database import FILE, connect
from potstill.review.defaults import defaults
from potstill.review.filling import fill, settle
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED

SOURCE = """\
The town council of Milbrook voted on Tuesday to close the old bridge over the river for eleven months. Engineers had found cracks in two \
of its four pillars in March. The repair will cost 4.2 million dollars, of which the state pays half. Shop owners on the east bank say that \
they expect to lose a third of their customers. The council promised them a free bus every twenty minutes. Mayor Ana Ruiz called the \
decision painful but necessary. A new footbridge opens in June, two months before the work begins. Fishermen may use the east bank as \
before."""
SUMMARIES = {
    "student": "Milbrook closes its old bridge for eleven months because two pillars have cracks. Repairs cost 4.2 million dollars. A free bus "
    "runs every twenty minutes.",
    "base": "The council voted on Tuesday. The bridge is old, and fishermen like it. The mayor resigned over the decision.",
}
RATIONALES = {
    "student": "The train covers $\\frac{180}{3} = 60$ km in an hour.\n\nIn **five** hours it covers $5 \\times 60 = 300$ km.\n\n- check: "
    "$300 / 5 = 60$",
    "base": "The train covers 180 km in 3 hours, and 5 hours are 2 more.\n\nSo it covers 180 + 2 = 182 km.",
}


def summarization_run(runs, n=6, *, summaries=SUMMARIES, source=SOURCE, name="summaries"):
    """A run of ``n`` documents and a summary of each by each system."""
    empty = dict.fromkeys(("system", "prompt", "rationale", "steps", "logged", "origin", "gold"))
    examples = [
        empty | {"id": f"test-{i}", "split": "test", "group": f"g{i}", "document": f"{source}\nReport number {i}."}
        for i in range(n)
    ]
    return _answered(runs, examples, summaries, name=name, task="summarization")


def math_run(runs, n=6, *, answers=RATIONALES, name="sums"):
    """A run of ``n`` word problems, a rationale by each system, and one kept and one dropped training row for each."""
    empty = dict.fromkeys(("system", "prompt", "rationale", "steps", "logged", "origin"))
    question = "A train covers 180 km in 3 hours. How far does it go in 5 hours, at the same speed?"
    examples = [
        empty | {"id": f"{split}-{i}", "split": split, "group": f"{split}-{i}", "gold": "300", "question": f"{question} ({i})"}
        for split in ("train", "test") for i in range(n)
    ]  # fmt: skip
    run = _answered(runs, examples, answers, name=name, task="math")
    run.write(CURATED, [row for i in range(n) for row in (_curated(f"train-{i}", 0), _curated(f"train-{i}", 1))])
    return run


def _answered(runs, examples, answers, **recipe):
    runs.mkdir(exist_ok=True)
    run = run_with(runs, examples, systems=f"[{', '.join(answers)}]", **recipe)
    tested = [example for example in examples if example["split"] == "test"]
    for system, text in answers.items():
        outcome = ("correct" if system == "student" else "incorrect") if recipe["task"] == "math" else "answered"
        answer = {"student": "300"}.get(system, "182") if recipe["task"] == "math" else text
        run.write(
            artifacts.predictions(system),
            [
                prediction(i, outcome, answer=answer)
                | {"id": one["id"], "group": one["group"], "text": text, "rationale": text, "finish_reason": "stop"}
                for i, one in enumerate(tested)
            ],
        )
    return run


def _curated(id_, sample):
    asked = [{"role": "user", "content": "A train covers 180 km in 3 hours."}]
    of_kind = {"string": "", "int64": 1, "bool": False}
    row = {field.name: of_kind.get(str(field.type)) for field in CURATED.schema}
    kept = sample == 0
    return row | {
        "id": id_, "sample": sample, "messages": asked, "student_messages": asked, "text": RATIONALES["student" if kept else "base"],
        "completion": "Answer: 300" if kept else "", "kept": kept, "reason": "" if kept else "correct", "correct": kept, "parsed": True,
        "finished": True, "agreement": 0.5, "error": None, "answer": "300", "status": "ok", "finish_reason": "stop", "model": "teacher",
    }  # fmt: skip


class Server:
    """`potstill review` of a run, in a process of its own; ``link`` lets one browser in."""

    def __init__(self, run, *options, port=0):
        command = [sys.executable, "-m", "potstill", "review", str(run.folder), "--port", str(port), *map(str, options)]
        self.process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
        )
        self.link = self._next_link()
        self.address = self.link.partition("/enter")[0]
        self.port = int(self.address.rpartition(":")[2])

    def _next_link(self):
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(self.process.stderr.read())
        return re.search(r"http\S+", line)[0]

    def next_link(self):
        """The link that is printed after the last one was used."""
        self.link = self._next_link()
        return self.link

    def stop(self):
        """Stop it as Ctrl-C does; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(20)

    def kill(self):
        self.process.kill()
        self.process.wait(20)


@contextmanager
def served(run, *options, port=0):
    server = Server(run, *options, port=port)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.kill()
        server.process.stdout.close()
        server.process.stderr.close()


def wait_until(condition, seconds=10):
    """Wait for something that another process does."""
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, "this did not happen in time"
        time.sleep(0.05)


def begun(run, **given):
    """A review that has begun: its connection and settings."""
    settings = defaults(run, given)
    connection = connect(run.path(FILE))
    settle(connection, run, settings, given)
    fill(connection, run, settings)
    return connection, settings


def answer_all(connection, reviewer, answer, most=10**6):
    """Answer items in the order in which they come; ``answer`` is one, or a function of the item. Returns the items."""
    reviewing.join(connection, reviewer)
    done = []
    while len(done) < most and (found := reviewing.hold(connection, reviewer)):
        given = answer(found.item) if callable(answer) else answer
        reviewing.record(connection, reviewer, found.item.id, given, 2.0)
        done.append(found.item)
    return done
