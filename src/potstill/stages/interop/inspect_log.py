"""Logs of Inspect (inspect_ai.log.EvalLog, schema version 2, as JSON): one for each system."""

import hashlib
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from potstill.stages.interop.answers import CORRECT, Answered, SystemAnswers, evaluated_at, mean_and_error, systems
from potstill.workspace.run import Run

SCHEMA_VERSION = 2
STOP_REASONS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
ID_CHARACTERS = 22


def files(run: Run) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A log for each system, under the name that Inspect's list of logs looks for: TIME_TASK_ID.json."""
    created = evaluated_at(run).isoformat(timespec="seconds")
    task = run.recipe.name.replace("_", "-")
    for one in systems(run):
        id_ = _id(run.id, one.system.name)
        yield f"{created.replace(':', '-')}_{task}_{id_}.json", [_log(run, one, created, id_)]


def _log(run: Run, one: SystemAnswers, created: str, id_: str) -> dict[str, Any]:
    answered = [answer for answer in one.answers if not answer.failed]
    max_tokens = max((answer.row["max_tokens"] for answer in one.answers), default=0)
    recipe = run.recipe
    return {
        "version": SCHEMA_VERSION,
        "status": "success",
        "eval": {
            "eval_id": id_,
            "run_id": _id(run.id, ""),
            "created": created,
            "task": recipe.name,
            "task_id": id_,
            "task_version": 0,
            "task_attribs": {},
            "task_args": {},
            "dataset": {
                "name": recipe.name,
                "samples": len(one.answers),
                "sample_ids": [answer.row["id"] for answer in one.answers],
                "shuffled": False,
            },
            "model": f"potstill/{one.system.name}",
            "model_args": {},
            "config": {},
            "packages": {"potstill": version("potstill")},
            "metadata": {
                "model": one.model,
                "role": one.system.role.value,
                "prompting": one.system.prompting.value,
                "task": recipe.task.name,
                "extraction": recipe.evaluate.extraction,
            },
        },
        "plan": {
            "name": "plan",
            "steps": [{"solver": "generate", "params": {}}],
            "config": {"max_tokens": max_tokens} if max_tokens else {},
        },
        "results": {
            "total_samples": len(one.answers),
            "completed_samples": len(answered),
            "scores": [_score(name, answered, one.splits) for name in _names(answered)],
        },
        "stats": {"started_at": created, "completed_at": created, "model_usage": {}},
        "samples": [_sample(answer, one) for answer in one.answers],
    }


def _names(answers: Sequence[Answered]) -> list[str]:
    return list(dict.fromkeys(name for one in answers for name in one.scores))


def _score(name: str, answers: Sequence[Answered], splits: Sequence[str]) -> dict[str, Any]:
    """The mean of a score over all questions, its standard error, and its mean by split."""
    mean = "accuracy" if name == CORRECT else "mean"
    scored = [one for one in answers if name in one.scores]
    value, error = mean_and_error([one.scores[name] for one in scored])
    metrics = {mean: value, "stderr": error}
    for split in splits:
        if of_split := [one.scores[name] for one in scored if one.example["split"] == split]:
            metrics[f"{mean}_{split}"] = mean_and_error(of_split)[0]
    return {
        "name": name,
        "scorer": name,
        "params": {},
        "scored_samples": len(scored),
        "unscored_samples": len(answers) - len(scored),
        "metrics": {key: {"name": key, "value": value, "params": {}} for key, value in metrics.items()},
    }


def _sample(one: Answered, of: SystemAnswers) -> dict[str, Any]:
    row, model = one.row, f"potstill/{of.system.name}"
    reply = {"role": "assistant", "content": row["text"], "source": "generate", "model": model}
    usage = {
        "input_tokens": row["prompt_tokens"],
        "output_tokens": row["completion_tokens"],
        "total_tokens": row["prompt_tokens"] + row["completion_tokens"],
    }
    choice = {"message": reply, "stop_reason": STOP_REASONS.get(row["finish_reason"], "unknown")}
    sample: dict[str, Any] = {
        "id": row["id"],
        "epoch": 1,
        "input": row["messages"],
        "target": row["gold"] or "",
        "messages": [*row["messages"], reply],
        "output": {
            "model": model,
            "choices": [choice],
            "completion": row["text"],
            "usage": usage,
            "time": row["seconds"],
        },
        "scores": {name: _sample_score(name, value, one) for name, value in one.scores.items()},
        "metadata": {key: one.example[key] for key in ("split", "group")}
        | {"outcome": row["outcome"], "rule": row["rule"]},
        "store": {},
        "events": [],
        "model_usage": {model: usage},
        "total_time": row["seconds"],
        "attachments": {},
    }
    if one.failed:
        message = row["error"] or row["outcome"]
        sample |= {"scores": {}, "error": {"message": message, "traceback": "", "traceback_ansi": ""}}
    return sample


def _sample_score(name: str, value: float, one: Answered) -> dict[str, Any]:
    if name != one.decided_by:
        return {"value": value}
    # Inspect takes the mean of C and I for an accuracy.
    decided: str | float = ("C" if value else "I") if name == CORRECT else value
    return {"value": decided, "answer": one.row["answer"], "explanation": one.row["outcome"]}


def _id(*parts: str) -> str:
    """The same for the same system of a run."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:ID_CHARACTERS]
