"""Chats of several turns: the next reply of the assistant. What is a good one, people or a judge decide."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.answers import prose
from potstill.models import Message
from potstill.tasks import PLAIN, WHOLE_TEXT, Column, Example, Found, Prompting, PromptSpec, Task
from potstill.tasks.columns import text as as_text


class Conversation(Task):
    name: Literal["conversation"] = "conversation"
    """Which task it is."""
    turns: Literal["all", "last"] = "all"
    """Each reply of a chat is an example of its own, after the turns before it; or the last alone."""

    gradable = False
    descriptive_scores = ("words", "repetition")

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"messages": Column.MESSAGES}

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        """An example for each turn of the user: what was said until then, and as gold what the assistant replied."""
        said: list[Message] = example["messages"]
        places = [i for i, message in enumerate(said) if message["role"] == "user"]
        if self.turns == "last" or example.get("logged"):
            places = places[-1:]
        rows = []
        for place in places:
            reply = said[place + 1]["content"] if place + 1 < len(said) else example["gold"]
            turn = {"id": f"{example['id']}/{place}", "messages": said[: place + 1], "gold": reply}
            rows.append(example | (turn if len(places) > 1 else turn | {"id": example["id"]}))
        return rows

    def columns_from_log(self, messages: Sequence[Message]) -> dict[str, Any]:
        return {"messages": list(messages)}

    def parse_gold(self, value: Any, example: Example) -> str:
        return as_text(value)

    def messages(
        self, example: Example, spec: PromptSpec = PLAIN, shots: Sequence[Example] | None = None
    ) -> list[Message]:
        said: list[Message] = list(example["messages"])
        if example.get("system") and said[0]["role"] != "system":
            said.insert(0, {"role": "system", "content": example["system"]})
        return said

    @property
    def promptings(self) -> tuple[Prompting, ...]:
        return (Prompting.PLAIN, Prompting.DIRECT)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> Found | None:
        return Found(text.strip(), WHOLE_TEXT)

    def answer_of_json(self, inside: Mapping[str, Any], example: Example) -> str | None:
        return None

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        overlap = {} if gold is None else {"rouge_l": prose.rouge_l(gold, answer)}
        return overlap | {"words": float(len(answer.split())), "repetition": prose.repetition(answer)}

    def target_text(self, rationale: str, answer: str) -> str:
        return answer
