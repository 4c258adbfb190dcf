"""The model that is loaded in this process: one at a time, kept until another is needed.

The stages ask the same model several times: on validation questions, on test questions, and again under a larger limit.
"""

import ctypes
import gc
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.packing import pack

MAX_CUT = 4096
"""Cut answers that are kept with a model."""


@dataclass(frozen=True)
class CutAnswer:
    """The token ids of an answer that a limit cut, the seconds that they took, and the state of the row's random generator."""

    tokens: list[int]
    seconds: float
    random_state: Any


@dataclass
class Resident:
    """A loaded model, its tokenizer, and the answers that a limit cut, by what was asked."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    _cut: dict[Any, CutAnswer] = field(default_factory=dict)

    @cached_property
    def chat(self) -> ChatTemplate:
        """The tokenizer's chat template."""
        return ChatTemplate(self.tokenizer)

    def keep(self, asked: Any, answer: CutAnswer) -> None:
        """Keep a cut answer, in place of the oldest where there are too many."""
        if len(self._cut) == MAX_CUT:
            del self._cut[next(iter(self._cut))]
        self._cut[asked] = answer

    def cut(self, asked: Any, limit: int) -> CutAnswer | None:
        """The cut answer to what was asked, if it has fewer tokens than ``limit``."""
        answer = self._cut.get(asked)
        return answer if answer and len(answer.tokens) < limit else None


_resident: tuple[str, Resident] | None = None
_cut_by_identity: dict[str, dict[Any, CutAnswer]] = {}
"""They outlive their model: other models are asked before an answer is requested again under a larger limit."""


def resident(
    identity: Mapping[str, Any], load: Callable[[], tuple[PreTrainedModel, PreTrainedTokenizerBase]]
) -> Resident:
    """The model with this identity. Unless it is loaded already, the present one is released, and ``load`` is called."""
    global _resident
    key = json.dumps(identity, sort_keys=True)
    if _resident is None or _resident[0] != key:
        release()
        model, tokenizer = load()
        pack(model.eval())
        _resident = key, Resident(model, tokenizer, _cut_by_identity.setdefault(key, {}))
    return _resident[1]


def release() -> None:
    """Return the memory of the loaded model to the system: models are full of reference cycles, and glibc keeps gigabytes."""
    global _resident
    _resident = None
    gc.collect()
    with suppress(AttributeError, OSError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
