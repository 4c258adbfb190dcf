"""Tasks: how an example becomes a prompt, how a completion is parsed, how an answer is scored.

These names are what a task in another package needs (docs/adding-a-task.md).
"""

from potstill.answers.equivalence import equivalent
from potstill.answers.extraction import ExtractedAnswer, answer_lines
from potstill.tasks.columns import Column, parse_text
from potstill.tasks.parsing import WHOLE_TEXT, Parsed, Status
from potstill.tasks.prompting import PLAIN, Prompting, PromptSpec
from potstill.tasks.task import Example, Task

__all__ = [
    "PLAIN",
    "WHOLE_TEXT",
    "Column",
    "Example",
    "ExtractedAnswer",
    "Parsed",
    "PromptSpec",
    "Prompting",
    "Status",
    "Task",
    "answer_lines",
    "equivalent",
    "parse_text",
]
