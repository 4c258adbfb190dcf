"""Rows of training as token ids with labels, and batches of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NotRequired, TypedDict

import torch

from potstill.models.local.chat_template import ChatTemplate
from potstill.recipe.recipe import Recipe
from potstill.stages.train.soft import SoftTargets
from potstill.stages.train.targets import IGNORED


class Row(TypedDict):
    """A row of training. ``weights`` are those of the losses of all tokens, if they differ; ``number`` is that of the curated row."""

    input_ids: list[int]
    labels: list[int]
    weights: NotRequired[list[float]]
    number: NotRequired[int]


def rows_of(recipe: Recipe, chat: ChatTemplate, curated: Sequence[Mapping[str, Any]]) -> list[Row]:
    """What the student is trained on: a row for each curated one, and where answer and rationale are a joint objective a second one
    for its rationale, see `recipe.training.Joint`."""
    rows: list[Row] = []
    for number, row in enumerate(curated):
        answer = tokenized(chat, row)
        of_row = [answer]
        if recipe.train.prompt_loss_weight:
            of_row = [with_prompt(answer, recipe.train.prompt_loss_weight)]
        if recipe.trains_jointly:
            joint, of_row = recipe.train.joint, [weighted(answer, 1.0)]
            if row["rationale"]:
                asked = {
                    "student_messages": joint.messages(row["student_messages"]),
                    "completion": row["rationale"],
                    "turns": 1,
                }
                of_row.append(weighted(tokenized(chat, asked), joint.weight))
        rows += [{**one, "number": number} for one in of_row]
    return rows


def tokenized(chat: ChatTemplate, row: Mapping[str, Any]) -> Row:
    """Token ids and labels of a row: the prompt exactly as at inference (`IGNORED`), the completion, the end of the turn.

    In a row of several ``turns`` the replies of earlier turns and their end tokens have labels too. Raises `ValueError`
    where the template rewrites earlier turns.
    """
    messages, turns = row["student_messages"], row["turns"]
    earlier = [message["content"] for message in messages if message["role"] == "assistant"]
    replies = [*earlier[len(earlier) - (turns - 1) :], row["completion"]]
    ids: list[int] = []
    labels: list[int] = []
    end = chat.end
    for before, reply in zip(chat.around_replies(messages, turns), replies, strict=True):
        written = chat.reply_tokens(reply)
        ends = bool(ids) and before[0] == end  # the reply before
        labels += [end] * ends + [IGNORED] * (len(before) - ends) + written
        ids += before + written
    return {"input_ids": [*ids, end], "labels": [*labels, end]}


def with_prompt(row: Row, weight: float) -> Row:
    """The row with a loss of this weight on the tokens of its prompt, too, but for the first, which nothing predicts."""
    weights = [weight if label == IGNORED else 1.0 for label in row["labels"]]
    return {"input_ids": row["input_ids"], "labels": [IGNORED, *row["input_ids"][1:]], "weights": weights}


def weighted(row: Row, weight: float) -> Row:
    """The row with losses whose weights sum to ``weight``, the same for each token with a label."""
    each = weight / sum(label != IGNORED for label in row["labels"])
    return {**row, "weights": [each] * len(row["labels"])}


@dataclass(frozen=True)
class Collator:
    """Makes a batch of rows: ``input_ids, labels, attention_mask`` [rows, tokens], padded at their ends, ``numbers`` [rows], and for the n tokens with a
    label, row by row, ``weights`` [n] where rows have them, ``soft_logs`` and ``soft_ids`` [n, k] with the teacher's probabilities."""

    pad: int
    soft: SoftTargets | None = None

    def __call__(self, rows: Sequence[Row]) -> dict[str, torch.Tensor]:
        width = max(len(row["input_ids"]) for row in rows)

        def padded(values: list[list[int]], fill: int) -> torch.Tensor:
            return torch.tensor([[*of, *[fill] * (width - len(of))] for of in values])

        batch = {
            "input_ids": padded([row["input_ids"] for row in rows], self.pad),
            "labels": padded([row["labels"] for row in rows], IGNORED),
            "attention_mask": padded([[1] * len(row["input_ids"]) for row in rows], 0),
            "numbers": torch.tensor([row["number"] for row in rows]),
        }
        if "weights" in rows[0]:
            batch["weights"] = torch.tensor(
                [
                    weight
                    for row in rows
                    for weight, label in zip(row["weights"], row["labels"], strict=True)
                    if label != IGNORED
                ]
            )
        if self.soft:
            batch |= self.soft.of([row["number"] for row in rows])
        return batch
