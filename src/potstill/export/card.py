"""The model card of an export: README.md in the format of the hub."""

import html
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from potstill.export.student import Student
from potstill.models.local import packaged
from potstill.models.local.weights import LocalWeights
from potstill.recipe.systems import STUDENT as STUDENT_SYSTEM
from potstill.workspace import artifacts, exports
from potstill.workspace.exports import CARD, Record
from potstill.workspace.run import Run

OF_TEACHER = "teacher_license"
LICENCES = {
    "license": "this model",
    "base_model_license": "the base model",
    OF_TEACHER: "the teacher: do its terms allow training on its answers?",
    "data_license": "the questions that it was trained on",
}
"""Fields that the user fills in, and what each is the licence of."""
PATH = "PATH"
"""In a command, the folder of the weights: elsewhere on the hub than here."""
OPEN = "FILL-IN"
"""The value of a field that nobody filled in."""


def card(run: Run, name: str, student: Student, record: Record, how_to_run: str) -> str:
    """The card of the export ``name``. Licences that are filled in, here or in another card of the run, stay."""
    evaluation = _evaluation(run, student)
    system = _system_of(run, name, evaluation)
    head = yaml.safe_dump(_metadata(run, name, evaluation, system), sort_keys=False, allow_unicode=True)
    return f"---\n{head}---\n" + "\n".join(_body(run, student, record, evaluation, system, how_to_run)) + "\n"


def licences(run: Run) -> dict[str, str]:
    """The licence fields that the card of a run's student has, and what each is about: a student that no teacher answered for has none of
    a teacher."""
    return {field: what for field, what in LICENCES.items() if field != OF_TEACHER or run.recipe.condition.asks_teacher}


def open_fields(run: Run, text: str) -> list[str]:
    """The licence fields of a card that are not filled in."""
    fields = metadata(text)
    return [name for name in licences(run) if not _is_filled(fields.get(name))]


def metadata(text: str) -> dict[str, Any]:
    """The fields at the top of a card; empty where there are none, or they are no YAML."""
    if not text.startswith("---\n"):
        return {}
    try:
        values = yaml.safe_load(text[4:].partition("\n---")[0])
    except yaml.YAMLError:
        return {}
    return values if isinstance(values, dict) else {}


def hub_name(model: Any) -> str:
    """The name of a model on the hub; empty for one that is not known to be there."""
    if not isinstance(model, LocalWeights):
        return ""
    return packaged.lookup(model.packaged_name).hub if model.packaged_name else model.hub_name or ""


def _is_filled(value: Any) -> bool:
    return bool(value) and str(value).strip() not in ("", OPEN)


def _licences(run: Run, name: str) -> dict[str, str]:
    """What was filled in, in this card first."""
    cards = [run.path(f"{artifacts.EXPORTS}/{one}/{CARD}") for one in (name, *exports.names(run))]
    found = [metadata(path.read_text(encoding="utf-8")) for path in cards if path.exists()]
    return {
        field: str(next((values[field] for values in found if _is_filled(values.get(field))), OPEN))
        for field in licences(run)
    }


def _metadata(run: Run, name: str, evaluation: Mapping[str, Any], system: str) -> dict[str, Any]:
    recipe = run.recipe
    base = hub_name(recipe.student.model)
    fields: dict[str, Any] = _licences(run, name)
    fields |= {"base_model": base, "base_model_relation": "finetune"} if base else {}
    fields |= {"teacher": recipe.teacher.name} if recipe.condition.asks_teacher else {}
    fields |= {"pipeline_tag": "text-generation"}
    fields |= {"library_name": "transformers"} if exports.content(name) == "model" else {}
    fields["tags"] = ["potstill", "distillation", *(["gguf"] if exports.content(name) != "model" else [])]
    if results := list(_results(_source(run), recipe.task.name, evaluation, system)):
        fields["model-index"] = [{"name": recipe.name, "results": results}]
    return fields


def _results(source: str, task: str, evaluation: Mapping[str, Any], system: str) -> Iterator[dict[str, Any]]:
    for split, values in evaluation.get("splits", {}).items():
        metric = values["systems"].get(system, {}).get("metrics", {}).get(values["measure"])
        if metric:
            args = {
                "low": round(metric["low"], 4),
                "high": round(metric["high"], 4),
                "confidence": values["confidence"],
            }
            yield {
                "task": {"type": "text-generation", "name": task},
                "dataset": {"type": source, "name": f"{source} ({values['n']} questions)", "split": split},
                "metrics": [{"type": values["measure"], "value": round(metric["estimate"], 4), "args": args}],
            }


def _source(run: Run) -> str:
    """Where the questions come from."""
    data = run.recipe.data.real.model_dump(mode="json")
    return str(data.get("preset") or data["source"])


def _evaluation(run: Run, student: Student) -> Mapping[str, Any]:
    """`evaluation.json`, if it is about this student."""
    entry = run.stages.get("evaluate", {})
    same = entry.get("state") == "done" and entry["inputs"].get(artifacts.STUDENT) == student.digest
    return run.evaluation if same else {}


def _system_of(run: Run, name: str, evaluation: Mapping[str, Any]) -> str:
    """The system of an evaluation that is this export, or else the student."""
    asked = [of for values in evaluation.get("splits", {}).values() for of in values["systems"]]
    of_export = [one.name for one in run.recipe.systems if one.export == name and one.name in asked]
    return STUDENT_SYSTEM if not of_export or STUDENT_SYSTEM in of_export else of_export[0]


def _body(
    run: Run, student: Student, record: Record, evaluation: Mapping[str, Any], system: str, how_to_run: str
) -> Iterator[str]:
    recipe = run.recipe
    teacher = f"answers of {recipe.teacher.name}" if recipe.condition.asks_teacher else "the data's own answers"
    yield f"\n# {_plain(recipe.name)}\n"
    yield (
        f"{_plain(recipe.student.model.name)}, fine-tuned on {_plain(teacher)} with potstill (task {_plain(recipe.task.name)}, "
        f"condition {recipe.condition.value})."
    )
    yield "\n## Licences\n\nFill in the fields at the top of this file; `potstill push` refuses without them.\n"
    yield from (f"- `{field}`: of {what}" for field, what in licences(run).items())
    yield "\n## Run it\n\n```sh\n" + how_to_run + "\n```\n"
    if PATH in how_to_run:
        yield f"`{PATH}` is the name of the repository on the hub, or the folder of the weights.\n"
    yield (
        f"It was trained on prompts of its own chat template, and answers greedily (temperature 0) with at most {student.max_tokens} tokens. "
        "Ask it in the same way."
    )
    if student.system:
        yield f"\nIts system prompt:\n\n```\n{student.system.replace('```', '')}\n```"
    yield "\n## Evaluation\n"
    yield from _evaluated(evaluation, system)
    yield "\n## Limits\n"
    yield f"- It was trained for one task, {_plain(recipe.task.name)}; nothing is known of it elsewhere."
    yield from (f"- {_plain(note)}" for note in evaluation.get("verdict", {}).get("notes", []))
    yield f"\n## This file beside the weights that were trained\n\nGate: {record['gate']['state']}.\n"
    yield from (f"- {_plain(line.strip())}" for line in record["gate"]["lines"])


def _evaluated(evaluation: Mapping[str, Any], system: str) -> Iterator[str]:
    if not evaluation:
        yield "Not evaluated: `potstill run`."
        return
    yield from (_plain(line) for line in evaluation["verdict"]["lines"])
    for split, values in evaluation["splits"].items():
        measured = {name: one["metrics"].get(values["measure"]) for name, one in values["systems"].items()}
        if not any(measured.values()):
            continue
        percent = f"{100 * values['confidence']:.3g} %"
        yield f"\n{split}, {values['n']} questions in {values['groups']} groups:\n"
        yield f"| system | {values['measure']} | {percent} interval |\n|---|---|---|"
        for name, metric in measured.items():
            if metric:
                this = " (this model)" if name == system else ""
                low, high = 100 * metric["low"], 100 * metric["high"]
                yield f"| {_plain(name)}{this} | {100 * metric['estimate']:.1f} % | {low:.1f} to {high:.1f} % |"


def _plain(text: str) -> str:
    """A text that Markdown shows as it is."""
    return html.escape(" ".join(text.split()), quote=False).replace("|", "&#124;").replace("`", "&#96;")
