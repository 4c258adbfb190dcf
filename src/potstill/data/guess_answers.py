"""What kind of task answers belong to: records, numbers, labels, lists of labels, or none of these."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from potstill.answers.json_replies import parse_json
from potstill.answers.labels import NONE, labels_by_spelling
from potstill.tasks.columns import is_missing, label_text
from potstill.tasks.literals import decode
from potstill.tasks.registry import parse_task

MAX_LABELS = 30
MAX_LABEL_WORDS = 10
"""Longest answer of a chat that is taken for a label."""
ROWS_PER_LABEL = 2
"""Fewest rows for each label, on average."""
MOST_OTHER = 0.1
"""Fraction of answers that may be of another kind; the reader leaves them out, up to `data.most_left_out`."""


def kinds(answers: Sequence[Any], may_be_chat: bool = False) -> list[tuple[dict[str, Any], str]]:
    """The tasks that these answers fit, the best one first, each with what the answers are.

    ``may_be_chat``: the answers are replies, which are labels only where they are short. Labels that other answers have are not
    among those of the task (`all_labels`).
    """
    values = [decode(answer) for answer in answers if not is_missing(answer)]
    if not values:
        return []
    found: list[tuple[dict[str, Any], str]] = []
    records = [record for value in values if (record := _record(value)) is not None]
    if _most(records, values) and _are_alike(records):
        found.append(({"name": "extraction", "json_schema": schema(records)}, "records"))
    lists = [value for value in values if _is_list_of_labels(value)]
    if _most(lists, values):
        labels = all_labels(lists)
        if 2 <= len(labels) <= MAX_LABELS:
            found.append(
                ({"name": "classification", "labels": labels, "multi": True}, f"lists of {len(labels)} labels")
            )
    scalars = [value for value in values if _label(value)]
    distinct = {str(value) for value in scalars}
    if len(distinct) > min(10, len(values) // 2) and _most([v for v in scalars if is_number(v)], values):
        found.append(({"name": "math"}, "numbers"))
    labels = all_labels(scalars) if _most(scalars, values) else []
    short = all(len(label.split()) <= MAX_LABEL_WORDS for label in labels)
    if 2 <= len(labels) <= MAX_LABELS and len(values) >= ROWS_PER_LABEL * len(labels) and (short or not may_be_chat):
        found.append(({"name": "classification", "labels": labels}, f"{len(labels)} labels"))
    return found


def all_labels(answers: Iterable[Any]) -> list[str]:
    """Every label of these answers, sorted; of spellings that the reader takes for one label the most frequent one."""
    spellings: dict[str, Counter[str]] = {}
    for answer in answers:
        decoded = decode(answer)
        for value in decoded if isinstance(decoded, list) else [decoded]:
            if (label := _label(value)) and not (isinstance(decoded, list) and label.casefold() == NONE):
                spellings.setdefault(next(iter(labels_by_spelling([label]))), Counter())[label] += 1
    return sorted(max(counted, key=lambda label: (counted[label], label)) for counted in spellings.values())


def _label(value: Any) -> str:
    """A value as a label; empty for one that is none."""
    try:
        return label_text(value)
    except ValueError:
        return ""


def _most(some: Sequence[Any], values: Sequence[Any]) -> bool:
    return len(some) >= (1 - MOST_OTHER) * len(values)


def _record(value: Any) -> dict[str, Any] | None:
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "`"):
        value = parse_json(value)
    return value if isinstance(value, dict) and value else None


def _are_alike(records: Sequence[Mapping[str, Any]]) -> bool:
    """Whether some field is in most records, so that they can have one schema."""
    counts = Counter(str(name) for record in records for name in record)
    return any(n >= (1 - MOST_OTHER) * len(records) for n in counts.values())


def _is_list_of_labels(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(label, str | bool | int) for label in value)


def is_number(value: Any) -> bool:
    """Whether the task math takes the value as gold."""
    if isinstance(value, bool):
        return False
    try:
        parse_task("math").parse_gold(value, {})
    except ValueError:
        return False
    return True


def schema(records: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """JSON Schema of these records: the types of each field."""
    types: dict[str, set[str]] = {}
    for record in records:
        for name, value in record.items():
            types.setdefault(str(name), set()).add(_json_type(value))
    properties = {
        name: {"type": of_field.pop() if len(of_field) == 1 else sorted(of_field)} for name, of_field in types.items()
    }
    return {"type": "object", "properties": properties}


def _json_type(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    names = {int: "number", float: "number", str: "string", list: "array", dict: "object", type(None): "null"}
    return names.get(type(value), "string")
