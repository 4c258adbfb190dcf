"""Runs whose students were never trained."""

import shutil

from evaluated import example, run_with
from potstill.recipe import loading
from potstill.workspace.artifacts import RECIPE, STUDENT

QUESTIONS = [
    example(f"q{i}", question=f"Ann has {i} apples and buys {i + 2} more. How many are there?", gold=str(2 * i + 2))
    for i in range(6)
]


def run_with_student(runs, folder, *, name="one", systems="[student]", examples=QUESTIONS, more=""):
    """A run whose student is the model in ``folder``."""
    run = run_with(runs, examples, name=name, systems=systems, more=more)
    own = run.recipe.student.model_copy(update={"max_tokens": 12, "dtype": "float32"})
    run.recipe = run.recipe.model_copy(update={"student": own})
    run.write_text(RECIPE, loading.dump(run.recipe))
    shutil.copytree(folder, run.path(STUDENT))
    return run
