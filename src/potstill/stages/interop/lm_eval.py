"""The files that lm-evaluation-harness writes with --log_samples: for each model a folder with results_*.json, and
samples_TASK_*.jsonl for each task (lm_eval/loggers/evaluation_tracker.py, lm_eval/evaluator.py, lm_eval/result_schema)."""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Any

from potstill.stages.interop.answers import CORRECT, Answered, SystemAnswers, evaluated_at, mean_and_error, systems
from potstill.workspace.run import Run

FILTER = "none"
ACCURACY = "acc"
"""The name of `correct` there."""
INVALID = "[invalid]"
"""What the harness writes where it extracts no answer."""
VERSION = 1


def files(run: Run) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The files of all systems. A test split is a task; a system's name is that of the model's folder."""
    when = evaluated_at(run)
    stamp = when.replace(tzinfo=None).isoformat(timespec="microseconds").replace(":", "-")
    for one in systems(run):
        tasks = {_task_name(run, split): [a for a in one.of_split(split) if not a.failed] for split in one.splits}
        samples = {task: _samples(answers) for task, answers in tasks.items()}
        for task, lines in samples.items():
            yield f"{one.system.name}/samples_{task}_{stamp}.jsonl", lines
        yield f"{one.system.name}/results_{stamp}.json", [_results(run, one, samples, when.timestamp())]


def _task_name(run: Run, split: str) -> str:
    return re.sub(r"\W", "_", f"{run.recipe.name}_{split}")


def _metrics(answers: Sequence[Answered]) -> list[str]:
    """The scores that every answer has: the harness has no answer without a score."""
    names = dict.fromkeys(name for one in answers for name in one.scores)
    return [name for name in names if all(name in one.scores for one in answers)]


def _samples(answers: Sequence[Answered]) -> list[dict[str, Any]]:
    names = _metrics(answers)
    return [_sample(i, one, names) for i, one in enumerate(answers)]


def _sample(number: int, one: Answered, names: Sequence[str]) -> dict[str, Any]:
    row = one.row
    doc = {key: value for key, value in one.example.items() if value is not None and key != "logged"}
    prompt = json.dumps(row["messages"], ensure_ascii=False)
    target = row["gold"] or ""
    scores = {_name(name): one.scores[name] for name in names}
    return {
        "doc_id": number,
        "doc": doc,
        "target": target,
        "arguments": {"gen_args_0": {"arg_0": prompt, "arg_1": {"until": [], "max_gen_toks": row["max_tokens"]}}},
        "resps": [[row["text"]]],
        "filtered_resps": [INVALID if row["answer"] is None else row["answer"]],
        "filter": FILTER,
        "metrics": list(scores),
        "doc_hash": _hash(json.dumps(doc, indent=2, ensure_ascii=False)),
        "prompt_hash": _hash(prompt),
        "target_hash": _hash(target),
        **scores,
    }


def _results(run: Run, one: SystemAnswers, samples: dict[str, list[dict[str, Any]]], date: float) -> dict[str, Any]:
    metrics = {task: lines[0]["metrics"] if lines else [] for task, lines in samples.items()}
    results: dict[str, dict[str, Any]] = {}
    for task, lines in samples.items():
        results[task] = {"name": task, "alias": task, "sample_len": len(lines)}
        for name in metrics[task]:
            value, error = mean_and_error([line[name] for line in lines])
            results[task] |= {f"{name},{FILTER}": value, f"{name}_stderr,{FILTER}": error}
    questions = {_task_name(run, split): len(one.of_split(split)) for split in one.splits}
    hashes = {
        task: _hash("".join(line["doc_hash"] + line["prompt_hash"] + line["target_hash"] for line in lines))
        for task, lines in samples.items()
    }
    return {
        "results": results,
        "group_subtasks": {task: [] for task in samples},
        "configs": {task: _config(run, task, one, metrics[task]) for task in samples},
        "versions": dict.fromkeys(samples, VERSION),
        "n-shot": dict.fromkeys(samples, one.examples_shown),
        "higher_is_better": {task: dict.fromkeys(metrics[task], True) for task in samples},
        "n-samples": {task: {"original": questions[task], "effective": len(lines)} for task, lines in samples.items()},
        "config": {
            "model": "potstill",
            "model_args": f"model={one.model},prompting={one.system.prompting.value}",
            "batch_size": None,
            "batch_sizes": [],
            "device": None,
            "use_cache": None,
            "limit": None,
            "bootstrap_iters": 0,
            "gen_kwargs": None,
            "random_seed": run.recipe.data_seed,
            "numpy_seed": run.recipe.data_seed,
            "torch_seed": run.recipe.data_seed,
            "fewshot_seed": run.recipe.data_seed,
        },
        "git_hash": None,
        "date": date,
        "potstill_version": version("potstill"),
        "task_hashes": hashes,
        "model_source": "potstill",
        "model_name": one.system.name,
        "model_name_sanitized": one.system.name,
        "system_instruction": None,
        "system_instruction_sha": None,
        "fewshot_as_multiturn": True,
        "chat_template": None,
        "chat_template_sha": None,
        "total_evaluation_time_seconds": str(sum(answer.row["seconds"] for answer in one.answers)),
    }


def _config(run: Run, task: str, one: SystemAnswers, metrics: Sequence[str]) -> dict[str, Any]:
    listed = [{"metric": name, "aggregation": "mean", "higher_is_better": True} for name in metrics]
    return {
        "task": task,
        "dataset_path": "potstill",
        "dataset_name": run.recipe.name,
        "num_fewshot": one.examples_shown,
        "metric_list": listed,
        "output_type": "generate_until",
        "repeats": 1,
        "should_decontaminate": False,
        "metadata": {"version": VERSION, "task": run.recipe.task.name, "prompting": one.system.prompting.value},
    }


def _name(score: str) -> str:
    return ACCURACY if score == CORRECT else score


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
