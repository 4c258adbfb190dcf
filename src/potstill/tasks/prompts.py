"""The texts of tasks: YAML files beside them, filled in by Jinja.

A file holds a text for each way to ask (`plain`, `direct`, `cot`, `cod`), and `examples`, solved, for few-shot prompts. Texts
name the columns of an example; ``{{ form }}`` says in which form the answer is wanted, ``{{ brief }}`` in how many words.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
FORM = "{{ form }}"
_FORMS = Path(__file__).parent / "forms.yaml"


@cache
def read(file: Path) -> dict[str, Any]:
    """A task's texts and solved examples."""
    texts: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    return texts or {}


def render(text: str, variables: Mapping[str, Any]) -> str:
    """A text filled in. Raises what the text raises, `jinja2.UndefinedError` for a column that is not there."""
    return str(_template(text).render(variables))


def columns(text: str) -> set[str]:
    """The columns that a text names. Raises `jinja2.TemplateSyntaxError`."""
    return meta.find_undeclared_variables(_environment.parse(text)) - {"form", "brief"}


def form(output: str, reasoned: bool, what: str, max_words: int | None) -> dict[str, str]:
    """What ``{{ form }}`` and ``{{ brief }}`` say."""
    forms = read(_FORMS)
    said: str = forms[f"{output}-{'cot' if reasoned else 'direct'}"]
    brief: str = forms["brief"].replace("WORDS", str(max_words)) if max_words else ""
    return {"form": said.replace("ANSWER", what), "brief": brief}


def as_json(rationale: str | None, answer: Any) -> str:
    """A reply in JSON."""
    values = {"answer": answer} if rationale is None else {"rationale": rationale, "answer": answer}
    return json.dumps(values, ensure_ascii=False)


@cache
def _template(text: str) -> Any:
    return _environment.from_string(text)
