"""What a stage will ask of a model, known before the run."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from potstill.models import Request
from potstill.recipe.asked import AskedModel
from potstill.tasks import Example


@dataclass(frozen=True)
class KnownExamples:
    """The examples that are known before a run: those of examples.parquet, or those of the user's data.

    ``rows(*splits)`` gives the examples of some splits, or all, at each call. ``complete`` says whether new inputs, which the
    teacher is asked for, are among them.
    """

    rows: Callable[..., Iterator[Example]]
    complete: bool


@dataclass(frozen=True)
class Planned:
    """Requests that a stage will make of a model; ``requests`` is iterated once.

    more: number of further requests that are not known yet, and taken to be similar. estimated: whether ``requests``
    themselves are not known yet, and stand for similar ones.
    """

    what: str
    model: AskedModel
    requests: Iterable[Request]
    more: int = 0
    estimated: bool = False
