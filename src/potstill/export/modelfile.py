"""Ollama's Modelfile: the file with the weights, the template, and what the recipe fixes."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from potstill.errors import RecipeError
from potstill.export.go_template import go_template
from potstill.export.student import Student

if TYPE_CHECKING:
    from potstill.models.local.chat_template import ChatTemplate

QUOTES = '"""'


def modelfile(student: Student, weights: str) -> str:
    """The text of a Modelfile beside the file ``weights``. Raises `RecipeError` for what Ollama cannot express."""
    return "\n".join(_lines(student, weights)) + "\n"


def template_of(text: str) -> str:
    """The template in a Modelfile."""
    return text.partition(f"TEMPLATE {QUOTES}")[2].partition(QUOTES)[0]


def require_expressible(chat: "ChatTemplate", system: str) -> str:
    """A chat template in Go. Raises `RecipeError` where Ollama cannot express it, or the system prompt ``system``."""
    if QUOTES in system or system != system.strip():
        raise RecipeError(
            f"data.system cannot be written for Ollama: it has {QUOTES}, or spaces at its ends. Use --to gguf, or change it."
        )
    return go_template(chat)


def _lines(student: Student, weights: str) -> Iterator[str]:
    yield f"FROM ./{weights}"
    yield f"TEMPLATE {QUOTES}{require_expressible(student.chat, student.system)}{QUOTES}"
    if student.system:
        yield f"SYSTEM {QUOTES}{student.system}{QUOTES}"
    for end in student.ends:
        yield f"PARAMETER stop {end}" if '"' in end else f'PARAMETER stop "{end}"'
    parameters = {
        "temperature": 0, "top_k": 1, "top_p": 1, "repeat_penalty": 1, "num_ctx": student.context, "num_predict": student.max_tokens,
    }  # fmt: skip
    for name, value in parameters.items():
        yield f"PARAMETER {name} {value}"
