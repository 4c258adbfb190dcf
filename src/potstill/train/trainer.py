"""TRL's `SFTTrainer` with a cheaper loss."""

from typing import Any

import torch
from torch.nn.functional import cross_entropy
from trl.trainer.sft_trainer import SFTTrainer


class CompletionTrainer(SFTTrainer):
    """The loss of `SFTTrainer`, with logits for the columns that some row is trained on, and for no others.

    A prompt is often longer than its completion, and the vocabulary is where a small model spends most of its time.
    """

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> torch.Tensor:
        labels = inputs.pop("labels")[:, 1:]
        trained = (labels != -100).any(0).nonzero()[:, 0]
        logits = model(**inputs, use_cache=False, logits_to_keep=trained).logits
        loss = cross_entropy(logits.flatten(0, 1).float(), labels[:, trained].flatten(), reduction="sum")
        # As in SFTTrainer: the tokens of all devices are counted, and their gradients are averaged.
        devices = self.accelerator.num_processes if self.args.average_tokens_across_devices else 1
        averaged: torch.Tensor = loss * devices / num_items_in_batch
        return averaged
