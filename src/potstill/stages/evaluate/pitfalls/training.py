"""What the student was trained on, as the checks read it."""

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

from potstill.stages.evaluate.pitfalls.texts import Ids, Masker, Vocabulary, keys, user_turns


class Training:
    """The rows of training: ``student_messages`` and ``completion`` of each. A text that several rows share is read once."""

    def __init__(self, rows: Sequence[Mapping[str, Any]]) -> None:
        self.n = len(rows)
        self.vocabulary = Vocabulary()
        self.prompts: list[Sequence[Mapping[str, str]]] = [row["student_messages"] for row in rows]
        self.completions: list[str] = [row["completion"] for row in rows]

    @cached_property
    def texts(self) -> list[Ids]:
        """The different messages and completions, in words."""
        contents = [message["content"] for prompt in self.prompts for message in prompt]
        return [self.vocabulary.ids(text) for text in dict.fromkeys([*contents, *self.completions])]

    @cached_property
    def keys(self) -> set[int]:
        """Of what users ask, up to each of their turns."""
        return self._keys(str)

    @cached_property
    def masked_keys(self) -> set[int]:
        """The same with numbers and names masked."""
        return self._keys(self.masker.mask)

    @cached_property
    def masker(self) -> Masker:
        return Masker(turn for turns in self._asked for turn in turns)

    @cached_property
    def _asked(self) -> list[tuple[str, ...]]:
        """The different sequences of user's turns."""
        return list(dict.fromkeys(tuple(user_turns(prompt)) for prompt in self.prompts))

    def _keys(self, form: Callable[[str], str]) -> set[int]:
        ids = self.vocabulary.ids
        return {key for turns in self._asked for key in keys(ids(form(turn)) for turn in turns)}
