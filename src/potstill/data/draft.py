"""Draft a recipe with comments for the user's file."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from potstill.data.guess import Guess

REASONING_TASKS = ("math", "nli", "multiple_choice", "classification", "extraction", "custom")
"""Tasks for which the drafted recipe lets the teacher reason."""


def default_name(file: Path) -> str:
    """The name of the recipe for a file or folder."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", file.name.split(".")[0]).strip("-._") or "recipe"


def recipe_text(path: Path, guess: Guess, name: str, teacher: str, student: str) -> str:
    """A recipe in YAML, with comments, for the rows of ``path``. teacher, student: names of models."""
    n, task_name = guess.rows, guess.task["name"]
    test, validation = max(1, min(100, n // 4)), max(1, min(30, n // 8))
    has_density_chains = task_name == "summarization" and not guess.gives_prompts
    reasons = task_name in REASONING_TASKS and not guess.gives_prompts
    condition = "cot-rationale" if reasons else "cod" if has_density_chains else "vanilla"
    task = task_name if len(guess.task) == 1 else guess.task
    data: dict[str, Any] = {"source": guess.source, "train": str(path)}
    data |= {"preset": guess.preset} if guess.preset else {}
    data |= {"columns": guess.columns} if guess.columns else {}
    data |= {"unlabelled": guess.unlabelled} if guess.unlabelled else {}
    drawn = {"test": test, "validation": validation}
    data |= {split: str(path) if split in guess.splits else n for split, n in drawn.items()}
    max_tokens = 1024 if has_density_chains else 256
    return f"""# potstill run {name}.yaml
{_yaml({"name": name})}
# Guessed: {guess.reason}.{f" Not used: {', '.join(map(repr, guess.unused))}." if guess.unused else ""} Others: potstill schema
{_yaml({"task": task})}
# Your rows. {"The prompts are theirs, for all models and word for word. " if guess.gives_prompts else ""}'test' and 'validation' are numbers of rows drawn from them by seed{"" if guess.source == "logs" else "; files are possible instead"}.
{_yaml({"data": data})}
# The teacher: packaged/NAME (potstill models), hf/ORG/NAME, or an endpoint:
#   model: {{url: https://api.example.com/v1, model: NAME, api_key_env: NAME_OF_A_VARIABLE}}
#   budget: {{max_cost: 5}}
{_yaml({"teacher": {"model": teacher}})}
# What the student is trained on: gold (your answers), gold-rationale (your reasoning and answers), vanilla (the teacher's
# direct answers), cot-answer (the answers from its reasoning), cot-rationale (its reasoning and answers){", cod (its chain-of-density summaries)" if has_density_chains else ""}
condition: {condition}
generate:
  max_tokens: {max_tokens}
{_yaml({"student": {"model": student, "max_tokens": 256}})}
train:
  method: lora
  learning_rate: 1.0e-3
  epochs: 3
seed: 1
"""


def _yaml(values: Mapping[str, Any]) -> str:
    return yaml.safe_dump(dict(values), sort_keys=False, allow_unicode=True, width=110).rstrip()
