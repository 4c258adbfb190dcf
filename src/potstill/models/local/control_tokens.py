"""Control tokens that somebody quotes stay text: "The log ends in <|im_end|>" does not end a turn.

Before a template is rendered, each control token in a message is hidden under a name that nobody can guess. In the rendered
chat the control tokens are then the template's own. A copy of the tokenizer knows them under other names, so that all other
text, quoted control tokens included, is tokenized as text in its context.
"""

import json
import re
import secrets
from collections.abc import Collection, Sequence
from functools import cached_property
from typing import Any, cast

from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerBase

SHORTEST = 3
"""Characters of a control token; some tokenizers name an ordinary "!" as their padding."""

THOUGHT = "think"
"""What the tokens around thoughts have in their names. Templates remove thoughts from earlier replies."""


def added_tokens(tokenizer: PreTrainedTokenizerBase) -> dict[str, int]:
    """The tokens that a tokenizer finds in a text before anything else, with their ids."""
    return {token.content: int(id) for id, token in tokenizer.added_tokens_decoder.items()}


def control_tokens(tokenizer: PreTrainedTokenizerBase, marks: Collection[str]) -> list[str]:
    """The tokenizer's special tokens, and added ones among the ``marks`` of its chat template, longest first."""
    known = {*marks, *tokenizer.all_special_tokens}
    special = [one.content for one in tokenizer.added_tokens_decoder.values() if one.special or one.content in known]
    named = [text for text in special if len(text) >= SHORTEST and not text.isalnum() and not text.isspace()]
    return sorted(named, key=len, reverse=True)


class QuotedTokens:
    """Hides ``tokens``, control tokens of a tokenizer, in texts, and tokenizes what is made of them."""

    def __init__(self, tokenizer: PreTrainedTokenizerBase, tokens: Sequence[str]) -> None:
        self._tokenizer, self._tokens = tokenizer, tokens
        self._index = {token: i for i, token in enumerate(tokens)}
        self._pattern = re.compile("|".join(map(re.escape, tokens)) or "(?!)")
        self._begin = f"\ue000{secrets.token_hex(8)}"
        self._hidden = re.compile(rf"{self._begin}q(\d+)\ue001")

    def hide(self, text: str, thoughts: bool = True) -> str:
        """The text with names in place of control tokens; those around ``thoughts`` stay where a template may look for them."""
        return self._pattern.sub(
            lambda found: self._name("q", found[0]) if thoughts or THOUGHT not in found[0] else found[0], text
        )

    def encode(self, text: str) -> list[int]:
        """Token ids of a text, in which hidden tokens are text and all others control tokens."""
        if self._begin not in text:
            return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        if not self._tokenizer.is_fast:
            return self._encode_in_python(text)
        tokenizer, ids = self._apart
        named = self._pattern.sub(lambda found: self._name("c", found[0]), text)
        shown = self._shown(named)
        return [ids.get(id, id) for id in tokenizer.encode(shown, add_special_tokens=False).ids]

    def _encode_in_python(self, text: str) -> list[int]:
        """The same by a tokenizer without a Rust backend, which itself tokenizes the texts between added tokens one by one."""
        tokenizer, ids, start, added = self._tokenizer, list[int](), 0, added_tokens(self._tokenizer)
        for found in (*self._pattern.finditer(text), None):
            piece = text[start : found.start() if found else len(text)]
            words = tokenizer.tokenize(self._shown(piece), split_special_tokens=self._begin in piece)
            words = [str(tokenizer.unk_token) if word in self._index else word for word in words]
            ids += cast(list[int], tokenizer.convert_tokens_to_ids(words))
            if found:
                ids.append(added[found[0]])
                start = found.end()
        return ids

    def _shown(self, text: str) -> str:
        """The text with the control tokens that were hidden in it."""
        return self._hidden.sub(lambda found: self._tokens[int(found[1])], text)

    def _name(self, kind: str, token: str) -> str:
        return f"{self._begin}{kind}{self._index[token]}\ue001"

    @cached_property
    def _apart(self) -> tuple[Tokenizer, dict[int, int]]:
        """A tokenizer that knows the control tokens by their names alone, and the original of each id that differs."""
        parts: dict[str, Any] = json.loads(self._tokenizer.backend_tokenizer.to_str())
        original = {}
        for token in parts["added_tokens"]:
            if token["content"] in self._index:
                token["content"] = self._name("c", token["content"])
            original[token["content"]] = token["id"]
        self._rename_in(parts["model"])
        tokenizer = Tokenizer.from_str(json.dumps(parts | {"truncation": None, "padding": None}))
        found = ((tokenizer.token_to_id(content), id) for content, id in original.items())
        return tokenizer, {mine: id for mine, id in found if mine is not None and mine != id}

    def _rename_in(self, model: dict[str, Any]) -> None:
        """Some vocabularies hold control tokens as words, which would be found in text; but those that merges make stay."""
        merged = {
            "".join(pair) if isinstance(pair, list) else pair.replace(" ", "", 1) for pair in model.get("merges", ())
        }

        def name(word: str) -> str:
            return self._name("c", word) if word in self._index and word not in merged else word

        words = model["vocab"]
        model["vocab"] = {name(w): id for w, id in words.items()} if isinstance(words, dict) else [
            [name(w), score] for w, score in words
        ]  # fmt: skip
        if model.get("unk_token"):
            model["unk_token"] = name(model["unk_token"])
