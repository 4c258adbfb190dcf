"""Runs that are evaluated, without any model: examples, predictions and a manifest on disk."""

import json

from golden import prediction
from potstill.recipe import loading
from potstill.workspace import artifacts
from potstill.workspace.run import Run

RECIPE = """\
name: {name}
task: {task}
data: {{source: files, train: train.jsonl}}
teacher: {{model: packaged/qwen2.5-coder-0.5b-instruct}}
student: {{model: packaged/smollm2-135m-instruct}}
evaluate: {{systems: {systems}{more}}}
"""


def example(id_, *, question=None, gold="7", split="test", group=None):
    columns = dict.fromkeys(("system", "prompt", "rationale", "steps", "logged", "origin"))
    question = f"What is {id_}?" if question is None else question
    return columns | {"id": id_, "split": split, "group": group or id_, "gold": gold, "question": question}


def run_with(runs, examples, *, name="one", task="math", systems="[student]", more=""):
    """A run with test questions and nothing else."""
    text = RECIPE.format(name=name, task=task, systems=systems, more=more)
    run = Run(runs / name, loading.parse(text, folder=runs), runs / "completions.sqlite")
    run.write(artifacts.examples(run.recipe.task), examples)
    run.write_text(artifacts.RECIPE, loading.dump(run.recipe))
    run.write_json(artifacts.MANIFEST, {"id": name, "stages": {}})
    return run


def evaluated_run(runs, examples, outcomes, **recipe):
    """A run whose systems, by name, have one outcome for each example."""
    run = run_with(runs, examples, systems=json.dumps(list(outcomes)), **recipe)
    for system, of in outcomes.items():
        rows = [
            prediction(i, outcome, gold=one["gold"]) | {"id": one["id"], "group": one["group"], "finish_reason": "stop"}
            for i, (one, outcome) in enumerate(zip(examples, of, strict=True))
        ]
        run.write(artifacts.predictions(system), rows)
    run.write_json(artifacts.MANIFEST, {"id": run.recipe.name, "stages": {"evaluate": {"state": "done"}}})
    return run
