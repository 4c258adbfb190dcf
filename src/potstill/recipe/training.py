"""The recipe section `train`: how the student is trained."""

from typing import Literal

from pydantic import Field, model_validator

from potstill.config import Section, Seed


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers, merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(default=32, ge=1)
    """Adapters are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input."""


DEFAULT_RATES = {"lora": 1e-3, "full": 1e-4}
"""Peak learning rate by `train.method`."""


class Train(Section):
    """Supervised fine-tuning, loss on the completion only."""

    method: Literal["lora", "full"] = "lora"
    """Train adapters, or all weights."""
    lora: Lora = Lora()
    """The adapters; used by method `lora`."""
    epochs: int = Field(default=3, ge=1, le=1000)
    """Passes over the kept rows; a checkpoint is saved after each."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak rate. Left out: 1e-3 for adapters and 1e-4 for full fine-tuning. Adapters need about ten times the rate of full
    fine-tuning (Schulman et al. 2025, "LoRA Without Regret")."""
    batch_size: int = Field(default=4, ge=1)
    """Rows in one optimizer step."""
    micro_batch: int | None = Field(default=None, ge=1)
    """Rows in one forward pass, a divisor of `batch_size`: fewer need less memory and give the same steps. Left out:
    `batch_size`."""
    warmup_ratio: float = Field(default=0.1, ge=0, lt=1)
    """Fraction of the steps in which the rate rises; afterwards it follows a cosine to zero."""
    seed: Seed | None = None
    """Seed of adapters, order of the rows and dropout. Left out: the recipe's `seed`."""
    weight_decay: float = Field(default=0.0, ge=0)
    """AdamW's weight decay."""
    max_length: int = Field(default=1024, ge=8)
    """Limit on the tokens of prompt, completion and end token; longer rows are labelled `too-long`, never truncated."""

    @model_validator(mode="after")
    def _fill_in(self) -> "Train":
        if self.batch_size % self.rows_at_once:
            raise ValueError(f"micro_batch {self.micro_batch} does not divide batch_size {self.batch_size}")
        if self.learning_rate is None:  # a frozen model can be completed only before anybody sees it
            object.__setattr__(self, "learning_rate", DEFAULT_RATES[self.method])
        return self

    @property
    def rows_at_once(self) -> int:
        """Rows in one forward pass."""
        return self.micro_batch or self.batch_size
