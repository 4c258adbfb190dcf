"""A run whose student and teacher can be measured: a tiny student that a real llama.cpp serves, and a teacher that streams with known delays."""

import json

import served
from evaluated import example
from golden import ABOUT, SEALED, prediction, summarize
from potstill.stages.evaluate.decision import corrected
from potstill.stages.evaluate.verdict import verdict
from potstill.workspace import artifacts
from recorded import chunked, delta, events

N = 12
FIRST, BETWEEN = 0.03, 0.005
SYSTEMS = "evaluate: {systems: [student, teacher-direct]}"


def respond(head, body):
    """A teacher whose answers have 6 tokens; its prompts have as many as the request has words."""
    words = sum(len(message["content"].split()) for message in json.loads(body)["messages"])
    usage = {"choices": [], "usage": {"prompt_tokens": words, "completion_tokens": 6}}
    pieces = [FIRST]
    for text in ("It", " ", "is", " ", "7", "."):
        pieces += [*events(delta(text), done=False), BETWEEN]
    return chunked(*pieces, *events(delta(finish="stop"), usage))


def measurable_run(runs, weights, gguf, teacher, *, more=SYSTEMS, evaluated=True):
    """A run with ``N`` test questions in half as many groups, of which the student answers a third correctly and the teacher two thirds."""
    examples = [example(f"q{i}", question=f"What is {i} + {i}?", group=f"g{i // 2}", gold="7") for i in range(N)]
    examples += [example(f"v{i}", question=f"How much is {i}?", split="validation") for i in range(8)]
    examples += [example("t", question="What is 1 + 1?", split="train", gold="2")]
    run = served.run_with_student(runs, weights, gguf, teacher=teacher, more=more, rows=examples)
    manifest = run.manifest
    manifest["stages"]["train"] |= {"seconds": 40.0}
    manifest["stages"]["generate"] = {"state": "done", "seconds": 50.0}
    if evaluated:
        manifest["stages"]["evaluate"] = {"state": "done", "seconds": 10.0}
        tables = {
            name: [
                prediction(i, "correct" if i % 3 in right else "incorrect")
                | {"group": f"g{i // 2}", "finish_reason": "stop"}
                for i in range(N)
            ]
            for name, right in (("student", (0,)), ("teacher-direct", (0, 1)))
        }
        for name, rows in tables.items():
            run.write(artifacts.predictions(name), rows)
        splits, tests = corrected({"test": {"sealed": SEALED} | summarize(tables, run.recipe.task)})
        chosen = {"teacher": {"system": "teacher-direct", "n": 0, "scores": {}}}
        about = ABOUT | {"tests": tests}
        run.write_json(
            artifacts.EVALUATION,
            {"splits": splits, "chosen": chosen, "about": about, "verdict": verdict(splits, about)},
        )
    run.write_json(artifacts.MANIFEST, manifest)
    return run
