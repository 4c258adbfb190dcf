"""Fields by JSON Schema out of a text, scored field by field and as whole records."""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator

from potstill.answers.reading import json_in, lines
from potstill.tasks import Column, Example, Found, Task, json_schema
from potstill.tasks.json_schema import JsonSchema

LINES_READ = 3
"""The last lines "Answer: ..." of a text that are read: each is read to the end."""


def _of_an_object(schema: dict[str, Any]) -> dict[str, Any]:
    if schema.get("type") != "object" or not schema.get("properties"):
        raise ValueError("a JSON Schema of an object with properties is needed: {type: object, properties: {...}}")
    return schema


class Extraction(Task):
    name: Literal["extraction"] = "extraction"
    """Which task it is."""
    json_schema: Annotated[JsonSchema, AfterValidator(_of_an_object)]
    """JSON Schema of the record: `{type: object, properties: {FIELD: {type: string, description: ...}, ...}}`."""

    answer_placeholder = "RECORD"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"text": Column.TEXT}

    def variables(self, example: Example) -> dict[str, Any]:
        return {"json_schema": json.dumps(self.json_schema, ensure_ascii=False)}

    def parse_gold(self, value: Any, example: Example) -> str:
        record = json_in(value) if isinstance(value, str) else value
        if not isinstance(record, dict):
            raise ValueError("holds no JSON object")
        if fault := self._fault(record):
            raise ValueError(f"does not follow task.json_schema: {fault}")
        return _written(record)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        for _, start in reversed(lines(text)[-LINES_READ:]):
            after = text[start:].partition(":")[2]
            if isinstance(record := json_in(after), dict) and not self._fault(record):
                return Found(_written(record), "answer-line", start)
        if isinstance(record := json_in(text), dict) and not (strict and self._fault(record)):
            return Found(_written(record), "json", max(0, text.find("{")))
        return None

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        record = inside["answer"]
        record = json_in(record) if isinstance(record, str) else record
        return _written(record) if isinstance(record, dict) and not self._fault(record) else None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        """``exact_record`` (`json_schema.same`), and precision, recall and F1 of the values of all fields, and F1 of each:
        ``f1_FIELD``. Those look at each value alone, wherever in a list it stands."""
        if example["gold"] is None:
            return {}
        said, true = (Counter(values(json.loads(record))) for record in (answer, example["gold"]))
        scores = {"exact_record": float(self.equivalent(answer, example["gold"]))} | _overlap(said, true)
        for field in self.json_schema["properties"]:
            of_said, of_true = (Counter({v: n for v, n in c.items() if v[0][0] == field}) for c in (said, true))
            scores[f"f1_{field}"] = _overlap(of_said, of_true)["f1"]
        return scores

    def equivalent(self, a: str | None, b: str | None) -> bool:
        return a is not None and b is not None and json_schema.same(json.loads(a), json.loads(b))

    def answer_schema(self, example: Example) -> dict[str, Any]:
        return self.json_schema

    def answer_json(self, answer: str) -> Any:
        return json.loads(answer)

    def _fault(self, record: dict[str, Any]) -> str:
        return json_schema.fault(self.json_schema, record)


Value = tuple[tuple[str, ...], str]


def values(record: Any, path: tuple[str, ...] = ()) -> Iterator[Value]:
    """Every value of a record with the way to it; places in lists are left out of the way."""
    if isinstance(record, dict):
        for key, inside in record.items():
            yield from values(inside, (*path, key))
    elif isinstance(record, list):
        for inside in record:
            yield from values(inside, path)
    elif record is not None and (said := json_schema.scalar(record)):
        yield path, said


def _overlap(said: Counter[Value], true: Counter[Value]) -> dict[str, float]:
    shared = sum((said & true).values())
    precision = shared / said.total() if said else float(not true)
    recall = shared / true.total() if true else float(not said)
    f1 = 2 * shared / (said.total() + true.total()) if said or true else 1.0
    return {"f1": f1, "precision": precision, "recall": recall}


def _written(record: Mapping[str, Any]) -> str:
    return json.dumps(record, ensure_ascii=False)
