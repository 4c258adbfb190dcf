"""Extract fields from a text by JSON Schema; scored per field and as complete records."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from potstill.answers.json_replies import find_json, has_key, json_objects, only_object, parse_json
from potstill.tasks import Column, Example, ExtractedAnswer, Task, answer_lines, json_schema
from potstill.tasks.json_schema import JsonSchema
from potstill.tasks.literals import decode

MAX_ANSWER_LINES = 3
"""The number of last lines "Answer: ..." of a text that are parsed: each is parsed to the end of the text."""


def _validate_object_schema(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object" or not schema.get("properties"):
        raise ValueError("a JSON Schema of an object with properties is needed: {type: object, properties: {...}}")
    return schema


class Extraction(Task):
    name: Literal["extraction"] = "extraction"
    """The task's name."""
    json_schema: Annotated[JsonSchema, AfterValidator(_validate_object_schema)]
    """JSON Schema of the record: `{type: object, properties: {FIELD: {type: string, description: ...}, ...}}`."""

    answer_placeholder = "RECORD"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"text": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"json_schema": json.dumps(self.json_schema, ensure_ascii=False)}

    def parse_gold(self, value: Any, example: Example) -> str:
        record = decode(value)
        record = parse_json(record) if isinstance(record, str) else record
        if not isinstance(record, dict):
            raise ValueError("holds no JSON object")
        if violation := self._violation(record):
            raise ValueError(f"does not follow task.json_schema: {violation}")
        return json_schema.dump(record)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        for _, start in reversed(answer_lines(text)[-MAX_ANSWER_LINES:]):
            # The record that "Answer:" announces is the first one after it.
            asked = [found for found in json_objects(text[start:]) if has_key(found.value, self._fields)]
            if asked and (record := self._record(asked[0].value, strict=True)) is not None:
                return ExtractedAnswer(json_schema.dump(record), "answer-line", start)
        found = find_json(text, self._fields)
        if found is None or (record := self._record(found.value, strict=strict)) is None:
            return None
        return ExtractedAnswer(json_schema.dump(record), "json", found.start)

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        answer = reply["answer"]
        record = self._record(parse_json(answer) if isinstance(answer, str) else answer, strict=True)
        return None if record is None else json_schema.dump(record)

    def _record(self, value: Any, *, strict: bool) -> dict[str, Any] | None:
        """The record that a JSON value holds: it, the only object of a list, or the only value of an object whose key no field
        has. If not ``strict``, text in the place of a number or truth value is read as one, and the record may violate the
        schema."""
        record = only_object(value)
        if record is None:
            return None
        if (
            len(record) == 1
            and not has_key(record, self._fields)
            and (inner := only_object(next(iter(record.values()))))
        ):
            record = inner if has_key(inner, self._fields) else record
        if not strict and self._violation(record):
            record = json_schema.with_types(self.json_schema, record)
        return None if strict and self._violation(record) else record

    @property
    def _fields(self) -> tuple[str, ...]:
        return tuple(self.json_schema["properties"])

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        """``exact_record`` (`json_schema.equivalent`); precision, recall and F1 over the values of all fields; and
        ``f1_FIELD``, the F1 of each field. The latter compare single values and ignore positions in lists. Fields that neither
        the schema nor gold names are ignored."""
        if example["gold"] is None:
            return {}
        gold = json.loads(example["gold"])
        record = json_schema.without_unasked(self.json_schema, json.loads(answer), gold)
        predicted, expected = Counter(leaf_values(record)), Counter(leaf_values(gold))
        scores = {"exact_record": float(json_schema.equivalent(record, gold))} | _overlap(predicted, expected)
        for field in self.json_schema["properties"]:
            scores[f"f1_{field}"] = _overlap(_in_field(predicted, field), _in_field(expected, field))["f1"]
        return scores

    def equivalent(self, a: str | None, b: str | None) -> bool:
        if a is None or b is None:
            return False
        first, second = json.loads(a), json.loads(b)
        return json_schema.equivalent(
            json_schema.without_unasked(self.json_schema, first, second),
            json_schema.without_unasked(self.json_schema, second, first),
        )

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return self.json_schema

    def answer_json(self, answer: str) -> Any:
        return json.loads(answer)

    def _violation(self, record: dict[str, Any]) -> str:
        return json_schema.first_violation(self.json_schema, record)


LeafValue = tuple[tuple[str, ...], str]
"""The path of keys to a value, without positions in lists, and the value as text."""


def leaf_values(record: Any, path: tuple[str, ...] = ()) -> Iterator[LeafValue]:
    """Every value of a record that is neither object, list, null nor empty."""
    if isinstance(record, dict):
        for key, value in record.items():
            yield from leaf_values(value, (*path, key))
    elif isinstance(record, list):
        for value in record:
            yield from leaf_values(value, path)
    elif record is not None and (text := json_schema.normalize_scalar(record)):
        yield path, text


def _in_field(values: Counter[LeafValue], field: str) -> Counter[LeafValue]:
    return Counter({value: n for value, n in values.items() if value[0][0] == field})


def _overlap(predicted: Counter[LeafValue], expected: Counter[LeafValue]) -> dict[str, float]:
    shared = sum((predicted & expected).values())
    precision = shared / predicted.total() if predicted else float(not expected)
    recall = shared / expected.total() if expected else float(not predicted)
    f1 = 2 * shared / (predicted.total() + expected.total()) if predicted or expected else 1.0
    return {"f1": f1, "precision": precision, "recall": recall}
