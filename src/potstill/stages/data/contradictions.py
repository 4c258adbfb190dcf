"""Questions that the data answer in two ways."""

from array import array
from collections import Counter
from collections.abc import Iterable

import numpy as np

from potstill.data.texts import hash64
from potstill.tasks import Example, Task


class Contradictions:
    """Examples with the same question, system prompt and prompt, and different gold. Memory holds two numbers for each."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.questions, self.golds = array("Q"), array("Q")

    def add(self, example: Example) -> None:
        """Take note of an example. A task that is not gradable has many good answers."""
        if self.task.gradable and example["gold"] is not None:
            self.questions.append(hash64(self._key(example)))
            self.golds.append(hash64(self.task.gold_text(example)))

    def found(self, examples: Iterable[Example]) -> list[str]:
        """What to tell about contradictory gold, in sentences; empty where there is none. ``examples``: those that were added,
        read again where some may contradict."""
        suspects = self._suspects()
        if not suspects:
            return []
        answers: dict[str, list[Example]] = {}
        for example in examples:
            if example["gold"] is not None and hash64(key := self._key(example)) in suspects:
                answers.setdefault(key, []).append(example)
        contradictory = [(of, other) for of in answers.values() if (other := self._other(of)) is not None]
        if not contradictory:
            return []
        splits = Counter(example["split"] for of, _ in contradictory for example in of)
        [first, *_], other = contradictory[0]
        shown = " and ".join(f"{self.task.gold_text(one)[:60]!r} ({one['id']})" for one in (first, other))
        where = ", ".join(f"{n} of {split}" for split, n in splits.items())
        n = len(contradictory)
        return [
            f"{n} question{'s have' if n > 1 else ' has'} different gold in {splits.total()} rows ({where}), as {shown}. All rows "
            "stay: training on gold learns both answers, the filter `correct` and the test compare each row with its own, so no "
            "system can be right in all of them. Correct or remove them."
        ]

    def _suspects(self) -> set[int]:
        """Hashes of questions that have several hashes of gold."""
        if not self.questions:
            return set()
        pairs = np.stack([np.frombuffer(self.questions, dtype=np.uint64), np.frombuffer(self.golds, dtype=np.uint64)])
        questions, counts = np.unique(np.unique(pairs, axis=1)[0], return_counts=True)
        return set(questions[counts > 1].tolist())

    def _other(self, examples: list[Example]) -> Example | None:
        """The first example whose gold means something else than that of the first one."""
        first = self.task.gold_text(examples[0])
        for example in examples[1:]:
            gold = self.task.gold_text(example)
            if gold != first and not self.task.equivalent(first, gold):
                return example
        return None

    def _key(self, example: Example) -> str:
        prompts = (example.get("system") or "", example.get("prompt") or "")
        return "\0".join((self.task.question_key(example), *prompts))
