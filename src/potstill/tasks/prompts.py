"""Prompt templates of tasks: YAML files beside the tasks, rendered by Jinja.

A file has one template for each prompt (`plain`, `direct`, `cot`, `cod`), and solved `examples` for few-shot prompts. Templates
name the columns of an example; ``{{ form }}`` is the requested output format, ``{{ brief }}`` the limit on words.
"""

import json
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import yaml
from jinja2 import StrictUndefined, meta
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict, Discriminator, Tag, WithJsonSchema

_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False)
_FORMS = Path(__file__).parent / "forms.yaml"


class Instruction(BaseModel):
    """A prompt that instructs by the system message: it replaces the row's own, and the user's turn is the plain prompt."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)

    system: str
    """Template of the system message. Unless it names `{{ form }}`, the form of the reply is its own, and no JSON Schema is
    sent."""


def _tag(prompt: Any) -> str:
    return "instruction" if isinstance(prompt, dict | Instruction) else "user_turn"


Prompt = Annotated[
    Annotated[str, Tag("user_turn")] | Annotated[Instruction, Tag("instruction")],
    Discriminator(_tag),
    # Inline: the schemas of all tasks are parts of the recipe's, where references would point to nothing.
    WithJsonSchema({"anyOf": [{"type": "string"}, Instruction.model_json_schema()]}),
]
"""A prompt of a recipe: the template of the user's turn, or an instruction before the plain one."""


def template_of(prompt: str | Instruction) -> str:
    """What a prompt of a recipe says."""
    return prompt.system if isinstance(prompt, Instruction) else prompt


@cache
def load(file: Path) -> dict[str, Any]:
    """A task's templates and solved examples; empty if there is no such file."""
    templates: dict[str, Any] = yaml.safe_load(file.read_text(encoding="utf-8")) if file.exists() else {}
    return templates or {}


def render(template: str, variables: Mapping[str, Any]) -> str:
    """Fill in a template. Raises what the template raises, `jinja2.UndefinedError` for an unknown column."""
    return str(_compile(template).render(variables))


def columns(template: str) -> set[str]:
    """The columns that a template names. Raises `jinja2.TemplateSyntaxError`."""
    return meta.find_undeclared_variables(_environment.parse(template)) - {"form", "brief"}


@cache
def names_form(template: str) -> bool:
    """Whether a template names ``{{ form }}``."""
    return "form" in meta.find_undeclared_variables(_environment.parse(template))


def has_words(template: str) -> bool:
    """Whether a template says anything but the values of its columns."""
    texts = [token for _, kind, token in _environment.lex(template) if kind == "data"]
    return any(character.isalpha() for text in texts for character in text)


def form_variables(output: str, reasoned: bool, answer_placeholder: str, max_words: int | None) -> dict[str, str]:
    """The values of ``{{ form }}`` and ``{{ brief }}``."""
    forms = load(_FORMS)
    form: str = forms[f"{output}-{'cot' if reasoned else 'direct'}"]
    brief: str = forms["brief"].replace("WORDS", str(max_words)) if max_words else ""
    return {"form": form.replace("ANSWER", answer_placeholder), "brief": brief}


def json_reply(rationale: str | None, answer: Any) -> str:
    """A reply in JSON."""
    values = {"answer": answer} if rationale is None else {"rationale": rationale, "answer": answer}
    return json.dumps(values, ensure_ascii=False)


@cache
def _compile(template: str) -> Any:
    return _environment.from_string(template)
