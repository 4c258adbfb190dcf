"""Labels for other tools: Parquet, JSON Lines, CSV, and Label Studio's JSON."""

import csv
import json
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from potstill.errors import PotstillError, RecipeError
from potstill.labels.table import LABELS, Label
from potstill.review.collect import labels_of
from potstill.review.database import FILE, connect, setting
from potstill.review.filling import item_of
from potstill.review.settings import Settings
from potstill.workspace.run import Run


def export(run: Run, file: Path) -> int:
    """Write the labels of a run's review to a file, whose name ends with the format; returns their number.

    Raises `RecipeError` for an unknown format, `PotstillError` without a review.
    """
    write = FORMATS.get(file.suffix.lower())
    if write is None:
        raise RecipeError(f"--export {file}: the name must end with {', '.join(FORMATS)}.")
    none = PotstillError(f"{run.folder}: no review has begun; start one with potstill review.")
    if not run.path(FILE).exists():
        raise none
    with closing(connect(run.path(FILE))) as connection:
        if not (begun := setting(connection, "review")):
            raise none
        labels = list(labels_of(connection, Settings.from_json(json.loads(begun))))
        contents = {
            row["id"]: row["content"] for row in connection.execute("SELECT id, content FROM items WHERE NOT is_check")
        }
    write(file, labels, contents)
    return len(labels)


def _parquet(file: Path, labels: Sequence[Label], contents: Mapping[str, str]) -> None:
    pq.write_table(pa.Table.from_pylist(labels, LABELS.schema), file)


def _jsonl(file: Path, labels: Sequence[Label], contents: Mapping[str, str]) -> None:
    file.write_text("".join(json.dumps(label, ensure_ascii=False) + "\n" for label in labels), encoding="utf-8")


def _csv(file: Path, labels: Sequence[Label], contents: Mapping[str, str]) -> None:
    """A text that a spreadsheet would compute is quoted with an apostrophe."""
    with file.open("w", encoding="utf-8", newline="") as out:
        writer = csv.DictWriter(out, LABELS.schema.names)
        writer.writeheader()
        for label in labels:
            writer.writerow({name: _inert(value) for name, value in label.items()})


def _inert(value: object) -> object:
    return f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r")) else value


def _label_studio(file: Path, labels: Sequence[Label], contents: Mapping[str, str]) -> None:
    tasks = list(_tasks(labels, contents))
    file.write_text(json.dumps(tasks, ensure_ascii=False, indent=1), encoding="utf-8")


def _tasks(labels: Sequence[Label], contents: Mapping[str, str]) -> Iterator[dict[str, Any]]:
    """Tasks with annotations, as Label Studio imports them (labelstud.io/guide/tasks): a rating or a choice for each criterion, and a
    text for the reason."""
    by_item: dict[str, dict[str, list[Label]]] = defaultdict(lambda: defaultdict(list))
    for label in labels:
        by_item[label["item"]][label["rater"]].append(label)
    for item_id, by_rater in by_item.items():
        item = item_of(contents[item_id])
        data = {
            "item": item.id, "question": "\n\n".join(message["content"] for message in item.messages), "source": item.source or "",
            **{name: answer.whole for name, answer in zip(("answer", "other_answer"), item.answers, strict=False)},
            **{name: answer.system for name, answer in zip(("system", "other"), item.answers, strict=False)},
        }  # fmt: skip
        annotations = [
            {
                "result": [part for label in given for part in _result(label)],
                "was_cancelled": given[0]["state"] == "skipped",
                "lead_time": given[0]["seconds"],
                "completed_by": {"email": rater},
                "created_at": given[0]["time"],
            }
            for rater, given in by_rater.items()
        ]
        yield {"data": data, "annotations": annotations}


def _result(label: Label) -> Iterator[dict[str, Any]]:
    named = {"from_name": label["criterion"], "to_name": "answer"}
    if label["value"] is not None and label["form"] == "scores":
        yield {**named, "type": "rating", "value": {"rating": label["value"]}}
    elif label["value"] is not None:
        words = {"pass": {1.0: "pass", 0.0: "fail"}, "pairwise": {1.0: "answer", 0.5: "tie", 0.0: "other_answer"}}
        yield {**named, "type": "choices", "value": {"choices": [words[label["form"]][label["value"]]]}}
    elif label["state"] == "cannot tell":
        yield {**named, "type": "choices", "value": {"choices": ["cannot tell"]}}
    if label["reason"]:
        yield {"from_name": "reason", "to_name": "answer", "type": "textarea", "value": {"text": [label["reason"]]}}


FORMATS: Mapping[str, Callable[[Path, Sequence[Label], Mapping[str, str]], None]] = {
    ".parquet": _parquet, ".jsonl": _jsonl, ".csv": _csv, ".json": _label_studio,
}  # fmt: skip
"""Writers by the end of the file's name; ``.json`` is Label Studio's."""
