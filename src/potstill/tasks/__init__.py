"""Tasks: how an example is shown, how a completion is parsed, how an answer is scored.

These names are what a task of another package needs (docs/adding-a-task.md).
"""

from potstill.answers.equivalence import equivalent
from potstill.answers.reading import Found
from potstill.tasks.columns import Column
from potstill.tasks.parsing import WHOLE_TEXT, Parsed, Status
from potstill.tasks.prompting import PLAIN, Prompting, PromptSpec
from potstill.tasks.task import Example, Task

__all__ = [
    "PLAIN",
    "WHOLE_TEXT",
    "Column",
    "Example",
    "Found",
    "Parsed",
    "PromptSpec",
    "Prompting",
    "Status",
    "Task",
    "equivalent",
]
