"""What a tokenizer's chat template makes of a chat."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING

from transformers import PreTrainedTokenizerBase

from potstill.errors import PotstillError
from potstill.models.local.control_tokens import QuotedTokens, added_tokens, control_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Messages = Sequence[Mapping[str, str]]
PROBE = {"system": "Qsystem", "user": "Quser", "assistant": "Qreply"}
"""Texts that stand in a rendered chat once."""
SHAPES = (("user",), ("system", "user"), ("user", "assistant", "user"), ("system", "user", "assistant", "user"))
"""The roles of the chats that a template is tried with."""


class ChatTemplate:
    """The chat template of a tokenizer, which renders and tokenizes chats.

    Only the template writes control tokens: those that a message quotes are tokenized as text.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer

    def text(self, messages: Messages) -> str:
        """The messages as text, up to the start of the assistant's reply. Raises what the template raises."""
        return self._render(messages, to_reply=True)

    def tokens(self, messages: Messages) -> list[int]:
        """Token ids of the messages, up to the start of the assistant's reply."""
        return self._quoted.encode(self.text(self._hidden(messages)))

    def reply_tokens(self, reply: str) -> list[int]:
        """Token ids of a reply, without its end."""
        return self._quoted.encode(self._quoted.hide(reply, thoughts=False))

    def count(self, messages: Messages, reply: str) -> int:
        """The number of tokens of a chat, its reply and the end token."""
        return len(self.tokens(messages)) + len(self.reply_tokens(reply)) + 1

    def quotes(self, messages: Messages) -> bool:
        """Whether a message quotes a control token, which other software reads as the token."""
        return self._hidden(messages) != [dict(message) for message in messages]

    def around_replies(self, messages: Messages, turns: int) -> list[list[int]]:
        """Token ids of the texts before each of the last ``turns`` replies, the last of which follows the messages.

        The first is the prompt of the first of these replies, each other one goes from the end of a reply to the start of the
        next, so that each reply begins where the prompt for it ends. Raises `ValueError` where the template shows a reply of an
        earlier turn otherwise than it was written, as templates do that remove the thoughts from it.
        """
        messages = self._hidden(messages)
        replies = [i for i, message in enumerate(messages) if message["role"] == "assistant"]
        starts = [*replies[len(replies) - (turns - 1) :], len(messages)]
        prompts = [self.text(messages[:start]) for start in starts]
        texts = prompts[:1]
        for start, before, after in zip(starts, prompts, prompts[1:], strict=False):
            written = before + messages[start]["content"]
            if not after.startswith(written):
                raise ValueError("the chat template rewrites earlier turns")
            texts.append(after[len(written) :])
        return [self._quoted.encode(text) for text in texts]

    @cached_property
    def end(self) -> int:
        """The token with which the template ends a reply, such as Gemma's ``<end_of_turn>``; where it writes none, the
        tokenizer's end of a sequence. Raises `PotstillError` where there is none either."""
        ids = self.tokenizer(self._after_reply, add_special_tokens=False)["input_ids"]
        if ids and int(ids[0]) in added_tokens(self.tokenizer).values():
            return int(ids[0])
        if self.tokenizer.eos_token_id is None:
            raise PotstillError(
                f"{self.tokenizer.name_or_path}: its tokenizer has no end token, and its chat template ends no turn with one, so "
                "that no answer would end. Set eos_token in its tokenizer_config.json, or use an instruction-tuned model."
            )
        return int(self.tokenizer.eos_token_id)

    def end_ids(self, model: "PreTrainedModel") -> set[int]:
        """The tokens that end a reply: the template's, the tokenizer's, and those of the generation config."""
        configured = model.generation_config.eos_token_id if model.generation_config else None
        ids = configured if isinstance(configured, list) else [configured]
        return {int(token) for token in [*ids, self.tokenizer.eos_token_id, self.end] if token is not None}

    def refusal(self, roles: Sequence[str]) -> str:
        """Why the template cannot show a chat of these roles, in words; empty where it can."""
        try:
            text = self.text([{"role": role, "content": PROBE[role]} for role in roles])
        except Exception as error:  # a template is a program, and may raise anything
            return (str(error).strip() or type(error).__name__).splitlines()[0]
        return next((f"it leaves out the {role} message" for role in roles if PROBE[role] not in text), "")

    def digest(self) -> str:
        """SHA-256 of what decides the student's prompts: the template, what it makes of a few chats, and the end of a turn.

        Two folders with the same digest prompt alike, whatever files they were read from.
        """
        shown = [shape for shape in SHAPES if not self.refusal(shape)]
        tokens = [self.tokens([{"role": role, "content": PROBE[role]} for role in shape]) for shape in shown]
        template = "\n".join(str(self.tokenizer.get_chat_template()).splitlines())
        return hashlib.sha256(json.dumps([template, shown, tokens, self.end]).encode()).hexdigest()

    @cached_property
    def _quoted(self) -> QuotedTokens:
        tokenizer, written = self.tokenizer, self._rendered_probe(self.text) + self._after_reply
        marks = [token for token in added_tokens(tokenizer) if token in written]
        return QuotedTokens(tokenizer, control_tokens(tokenizer, marks))

    @cached_property
    def _after_reply(self) -> str:
        """What the template writes after a reply, from the first visible character."""
        reply = {"role": "assistant", "content": PROBE["assistant"]}
        written = self._rendered_probe(lambda chat: self._render([*chat, reply]))
        _, found, after = written.rpartition(PROBE["assistant"])
        return after.lstrip() if found else ""

    def _rendered_probe(self, render: Callable[[Messages], str]) -> str:
        """A question as it is rendered, after a system message if the template wants one; empty where it refuses both."""
        for shape in SHAPES[:2]:
            with suppress(Exception):  # see refusal
                return render([{"role": role, "content": PROBE[role]} for role in shape])
        return ""

    def _hidden(self, messages: Messages) -> list[dict[str, str]]:
        hide = self._quoted.hide
        return [{**m, "content": hide(m["content"], thoughts=m["role"] != "assistant")} for m in messages]

    def _render(self, messages: Messages, to_reply: bool = False) -> str:
        chat = [dict(message) for message in messages]
        return str(self.tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=to_reply))
