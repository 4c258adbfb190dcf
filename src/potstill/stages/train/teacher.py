"""The teacher's probabilities of the tokens of its completions: those that its server returned with them, or of its local weights."""

import json
from collections.abc import Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from potstill.errors import PotstillError, RecipeError
from potstill.models.local.chat_template import ChatTemplate
from potstill.models.local.weights import Dtype
from potstill.progress import progress
from potstill.recipe.recipe import Recipe
from potstill.stages.train import soft
from potstill.stages.train.rows import Row
from potstill.stages.train.soft import OF_ROW, SoftTargets
from potstill.stages.train.targets import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

FOLDER = "teacher"
"""Folder of the probabilities beside the checkpoints."""
ENOUGH = 0.5
"""Fraction of tokens that must have stored probabilities: of another tokenizer few tokens are the same."""


def soft_targets(
    recipe: Recipe, chat: ChatTemplate, curated: Sequence[Mapping[str, Any]], rows: Sequence[Row], work: Path
) -> SoftTargets | None:
    """The teacher's probabilities for `train.kd`; None without it. They are computed once, and kept in ``work`` until training is done.

    Raises `PotstillError` where the teacher has another vocabulary than the student.
    """
    kd = recipe.train.kd
    if kd is None:
        return None
    folder = work / FOLDER
    if not soft.is_written(folder):
        labels = [[label for label in row["labels"] if label != IGNORED] for row in rows]
        k, complete = (len(chat.tokenizer), True) if kd.top_k == "all" else (kd.top_k, False)
        weights = recipe.teacher_weights
        if weights is None:
            found = _stored(chat, curated, labels, k)
        else:
            found = _of_weights(
                weights.download(), recipe.teacher.dtype, chat, curated, labels, None if complete else k
            )
        soft.write(folder, [len(of) for of in labels], k, found, complete=complete)
    opened = SoftTargets.opened(folder)
    if opened.known < ENOUGH:
        raise PotstillError(
            f"train.kd: only {opened.known:.0%} of the tokens that the student is trained on have log-probabilities by the teacher. They are "
            "of another tokenizer than the student's, or its server returned none. Use a student of the teacher's family, name local weights "
            "of the teacher in train.kd.teacher, or leave train.kd out."
        )
    return opened


def _stored(
    chat: ChatTemplate, curated: Sequence[Mapping[str, Any]], labels: Sequence[Sequence[int]], k: int
) -> Iterator[OF_ROW]:
    """The probabilities that a server returned: of tokens that are the student's, at the same places of the text."""
    ids_of = _ids_by_text(chat.tokenizer)
    for row, wanted in zip(curated, labels, strict=True):
        answered = json.loads(row["logprobs"] or "[]")
        said = [ids_of.get(alternatives[0][0], -1) if alternatives else -1 for alternatives in answered]
        ids, logs = np.zeros((len(wanted), k), np.int32), np.full((len(wanted), k), -np.inf, np.float32)
        for here, there, size in SequenceMatcher(None, wanted, said, autojunk=False).get_matching_blocks():
            for i in range(size):
                known = {ids_of[text]: log for text, log in answered[there + i] if text in ids_of}
                best = sorted(known.items(), key=lambda pair: -pair[1])[:k]
                ids[here + i] = best[0][0]  # what is missing has probability 0
                for column, (token, log) in enumerate(best):
                    ids[here + i, column], logs[here + i, column] = token, min(log, 0.0)
        yield ids, logs


def _ids_by_text(tokenizer: "PreTrainedTokenizerBase") -> dict[str, int]:
    """The token of each text that exactly one token has; a server names tokens by their texts."""
    found: dict[str, int] = {}
    twice = set()
    for token in range(len(tokenizer)):
        text = str(tokenizer.decode([token]))
        if text in found or "�" in text:
            twice.add(text)
        found[text] = token
    return {text: token for text, token in found.items() if text not in twice}


def _of_weights(
    folder: Path,
    dtype: Dtype,
    chat: ChatTemplate,
    curated: Sequence[Mapping[str, Any]],
    labels: Sequence[Sequence[int]],
    k: int | None,
) -> Iterator[OF_ROW]:
    """The probabilities of the teacher in ``folder`` after the prompt that it was asked with: of its ``k`` likeliest tokens, or of all."""
    import torch

    from potstill.models.local import loading

    own = loading.load_chat(folder)
    if different := difference(own.tokenizer, chat.tokenizer):
        raise RecipeError(
            f"train.kd: the vocabulary of the teacher's weights {folder} is not the student's: {different}. Use a student of the teacher's "
            "family, or leave train.kd out."
        )
    model = loading.load_model(folder, dtype)
    size = len(chat.tokenizer)
    with progress("the teacher's probabilities", len(curated), "rows") as shown, torch.inference_mode():
        for row, wanted in zip(curated, labels, strict=True):
            replies = [*chat.reply_tokens(row["completion"]), chat.end]
            prompt = own.tokens(row["messages"])
            ids = torch.tensor([prompt + replies], device=model.device)
            places = torch.arange(len(prompt) - 1, ids.shape[1] - 1, device=model.device)
            logs = model(ids, use_cache=False, logits_to_keep=places).logits[0, :, :size].float().log_softmax(-1)
            values, indices = (logs, None) if k is None else logs.topk(k)
            of_logs = np.full((len(wanted), values.shape[1]), -np.inf, np.float32)
            of_ids = np.zeros((len(wanted), values.shape[1]), np.int32)
            of_logs[-len(replies) :] = values.cpu().numpy()  # of a chat, those of the last reply
            if indices is not None:
                of_ids[-len(replies) :] = indices.cpu().numpy()
            shown.advance(1, ids.shape[1])
            yield of_ids, of_logs


def difference(teacher: "PreTrainedTokenizerBase", student: "PreTrainedTokenizerBase") -> str:
    """How two vocabularies differ, in words; empty where they are the same."""
    own, other = teacher.get_vocab(), student.get_vocab()
    if len(own) != len(other):
        return f"it has {len(own):,} tokens, the student {len(other):,}"
    for token, number in own.items():
        if other.get(token) != number:
            return f"its token {number} is {token!r}"
    return ""
