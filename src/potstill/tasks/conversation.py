"""Multi-turn chats: the next reply of the assistant. People or a judge decide which replies are good."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from potstill.errors import RecipeError
from potstill.metrics.overlap import rouge
from potstill.metrics.repeats import repetition
from potstill.metrics.splitting import word_count
from potstill.models import Message
from potstill.tasks import PLAIN, WHOLE_TEXT, Column, Example, ExtractedAnswer, Prompting, PromptSpec, Task, parse_text
from potstill.tasks.columns import is_missing
from potstill.tasks.literals import decode
from potstill.tasks.messages import OWN_REPLY


class Conversation(Task):
    name: Literal["conversation"] = "conversation"
    """The task's name."""
    turns: Literal["all", "last"] = "all"
    """`all`: each reply of a chat is an example, with the turns before it as the prompt, and a chat is one row of training, with
    loss on each reply; `last`: only the last reply is an example and has loss."""

    gradable = False
    question_tells_task = True
    descriptive_scores = ("words", "repetition")
    rubric_name = "conversation"

    @property
    def columns(self) -> Mapping[str, Column]:
        return {"messages": Column.MESSAGES}

    @property
    def derived_columns(self) -> Mapping[str, Column]:
        return {"earlier": Column.OPTIONS, "references": Column.OPTIONS}

    def expand(self, example: dict[str, Any], seed: int) -> list[dict[str, Any]]:
        """An example for each user turn, with the turn's number after the chat's id: the messages and ``references`` up to that turn, the
        assistant's reply as gold, and the numbers of ``earlier`` turns. Raises `RecipeError` where only the last turn is wanted, and those
        before it have no reply."""
        messages: list[Message] = example["messages"]
        references = example.get("references") or ()
        if self.turns == "last" and _lack_replies(messages):
            raise RecipeError(
                f"task.turns: last needs the replies to earlier turns, and the chat {example['id']} has none; leave `turns` out, so that each "
                "model answers all turns"
            )
        user_turns = [i for i, message in enumerate(messages) if message["role"] == "user"]
        if self.turns == "last" or example.get("logged"):
            user_turns = user_turns[-1:]
        rows: list[dict[str, Any]] = []
        for i in user_turns:
            reply = messages[i + 1]["content"] or None if i + 1 < len(messages) else example["gold"]
            row_id = f"{example['id']}/{i}" if len(user_turns) > 1 else example["id"]
            earlier = list(map(str, user_turns[: len(rows)]))
            known = references[: _user_turns(messages[: i + 1])]
            rows.append(
                example
                | {"id": row_id, "messages": messages[: i + 1], "gold": reply, "earlier": earlier}
                | {"references": known if any(known) else None}
            )
        return rows

    @property
    def multi_turn(self) -> bool:
        return self.turns == "all"

    def earlier_turns(self, example: Example) -> Sequence[str]:
        chat = str(example["id"]).rpartition("/")[0]
        return [f"{chat}/{turn}" for turn in example.get("earlier") or ()]

    def own_turns(self, example: Example) -> Sequence[str]:
        return self.earlier_turns(example) if _lack_replies(example["messages"]) else ()

    def with_replies(self, example: Example, replies: Sequence[str]) -> Example:
        left = iter(replies)
        messages = [
            {**message, "content": next(left)} if message["role"] == "assistant" else message
            for message in example["messages"]
        ]
        return {**example, "messages": messages}

    @property
    def takes_chats(self) -> bool:
        return True

    def parse_gold(self, value: Any, example: Example) -> str:
        if isinstance(decode(value), list):
            raise ValueError(
                "holds a list, and gold is one text, the reply to the last turn. Reference answers to the turns, for judges to compare with, "
                "are named under data.columns.reference"
            )
        return parse_text(value)

    def parse_references(self, value: Any, example: Example) -> list[str | None] | None:
        """One for each turn of the user, in order: a list of texts, or its writing in a cell; of one turn also the text alone. An empty or
        missing text is none, as in MT-Bench's file of questions (Zheng et al. 2023, arXiv 2306.05685)."""
        listed = decode(value)
        texts = listed if isinstance(listed, list) else [value]
        if all(map(is_missing, texts)):
            return None
        turns = _user_turns(example["messages"])
        if len(texts) != turns:
            raise ValueError(
                f"holds {len(texts)} reference answer{'s' if len(texts) > 1 else ''}, and the user has {turns} turn{'s' if turns > 1 else ''}; "
                "give a list with one for each turn, null where there is none"
            )
        return [None if is_missing(text) else parse_text(text) for text in texts]

    def references(self, example: Example) -> Sequence[str | None]:
        return example.get("references") or ()

    def messages(
        self, example: Example, spec: PromptSpec = PLAIN, shots: Sequence[Example] | None = None
    ) -> list[Message]:
        messages: list[Message] = list(example["messages"])
        if example.get("system") and messages[0]["role"] != "system":
            messages.insert(0, {"role": "system", "content": example["system"]})
        return messages

    @property
    def promptings(self) -> tuple[Prompting, ...]:
        return (Prompting.PLAIN, Prompting.DIRECT)

    def find_answer(self, text: str, example: Example, *, strict: bool) -> ExtractedAnswer | None:
        return ExtractedAnswer(text.strip(), WHOLE_TEXT)

    def answer_from_json(self, reply: Mapping[str, Any], example: Example) -> str | None:
        return None

    def asked(self, example: Example) -> Sequence[Message]:
        return [m for m in example["messages"] if m["role"] != "system" and m["content"] != OWN_REPLY]

    def shown_answer(self, text: str, rationale: str, answer: str | None) -> str:
        return text if answer is None else answer

    def scores(self, answer: str, example: Example) -> dict[str, float]:
        gold = example["gold"]
        overlap = {} if gold is None else {"rouge_l": rouge(answer, gold, ["rougeL"])["rougeL"]}
        return overlap | {
            "words": float(word_count(answer)),
            "repetition": repetition(answer),
        }

    def target_text(self, rationale: str, answer: str) -> str:
        return answer


def _user_turns(messages: Sequence[Message]) -> int:
    return sum(message["role"] == "user" for message in messages)


def _lack_replies(messages: Sequence[Message]) -> bool:
    return any(message["content"] == OWN_REPLY for message in messages if message["role"] == "assistant")
