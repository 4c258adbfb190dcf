"""The recipe sections `student` and `train`: the model that is trained, and how."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from potstill.config import Section, Seed
from potstill.models.local.weights import Dtype, LocalWeights
from potstill.models.specs import Keywords


class Student(Section):
    """The model that is trained."""

    model: LocalWeights
    """`packaged/NAME`, `hf/ORG/NAME`, or a folder with weights, relative to the recipe's."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once."""
    dtype: Dtype = "auto"
    """Number format in which the student and the base answer and adapters are trained, as for `teacher.dtype`. Full
    fine-tuning keeps its weights in float32 and multiplies in this format. The student is saved in float32."""
    chat_template: Keywords = {}
    """Values of keywords of its chat template, as for `teacher.chat_template`, in training and in evaluation. The student is saved
    with them."""
    max_tokens: int = Field(default=256, ge=1)
    """Limit on the new tokens of an answer to the plain prompt, whichever model answers. In validation and evaluation the
    limit of a prompt is doubled once, for all models, where it truncates more than 2 % of a system's answers."""


class Lora(Section):
    """Low-rank adapters (Hu et al. 2021, arXiv 2106.09685) on all linear layers, merged into the weights at the end."""

    rank: int = Field(default=16, ge=1)
    """Rank of the adapters."""
    alpha: int = Field(default=32, ge=1)
    """Adapters are scaled by alpha / rank."""
    dropout: float = Field(default=0.0, ge=0, lt=1)
    """Dropout on the adapters' input."""


class Joint(Section):
    """The condition `cot-joint`: the student learns the answer to its prompt, and the rationale to the prompt after a prefix ("Distilling
    step-by-step", Hsieh et al. 2023, arXiv 2305.02301). It is asked without the prefix, and gives the answer alone."""

    weight: float = Field(default=0.5, gt=0, le=100)
    """Weight of the mean loss of a rationale, where that of an answer has 1."""
    prefix: str = Field(default="Explain step by step.\n\n", min_length=1)
    """Text put before the last message of the user where the rationale is asked for."""

    def messages(self, prompt: Sequence[Mapping[str, str]]) -> list[dict[str, str]]:
        """The prompt that asks for the rationale."""
        *before, last = prompt
        return [*map(dict, before), {**last, "content": self.prefix + last["content"]}]


class Kd(Section):
    """Besides the teacher's text the student learns the teacher's probabilities: forward KL divergence (Hinton et al. 2015, arXiv
    1503.02531). Teacher and student must have the same vocabulary."""

    weight: float = Field(default=0.5, gt=0, le=1)
    """Part of the loss of a token that the divergence has; the cross-entropy of the teacher's text has the rest."""
    top_k: Annotated[int, Field(ge=1, le=1000)] | Literal["all"] = 20
    """Number of the teacher's likeliest tokens whose probabilities are used; all others are one outcome. A server returns 20 at most
    (`generate.top_logprobs`); `all` needs local weights, and two bytes for each token of the vocabulary at each token of the rows."""
    teacher: LocalWeights | None = None
    """Local weights of the teacher, whose probabilities are computed once before training. Left out: the teacher's own weights if it
    runs in this process, otherwise the log-probabilities that its server returned with its completions."""


class OnPolicy(Section):
    """In place of the teacher's text the student learns the teacher's probabilities of its own answers, drawn anew in each step
    (Agarwal et al. 2024, arXiv 2306.13649): TRL's `DistillationTrainer`. Teacher and student must have the same vocabulary, and are both in
    memory."""

    teacher: LocalWeights | None = None
    """Local weights of the teacher. Left out: the teacher's own, which must run in this process."""
    beta: float = Field(default=1.0, ge=0, le=1)
    """The divergence: 0 is forward KL, 1 is reverse KL, between them is a generalized Jensen-Shannon divergence."""
    temperature: float = Field(default=1.0, gt=0)
    """Temperature of the student's draws, and of both probabilities."""


class Search(Section):
    """A search on the validation questions."""

    learning_rate: list[Annotated[float, Field(gt=0)]] = Field(min_length=2, max_length=20)
    """Peak learning rates."""


DEFAULT_RATES = {"lora": 1e-3, "qlora": 1e-3, "full": 1e-4}
"""Peak learning rate by `train.method`."""


class Train(Section):
    """Supervised fine-tuning."""

    method: Literal["lora", "qlora", "full"] = "lora"
    """Train adapters, adapters on weights in 4 bits (QLoRA, Dettmers et al. 2023, arXiv 2305.14314; needs a CUDA GPU), or all weights. Adapters
    of `qlora` are merged into the weights as they were published, as those of `lora` are."""
    lora: Lora = Lora()
    """The adapters; used by the methods `lora` and `qlora`."""
    epochs: int = Field(default=3, ge=1, le=1000)
    """Passes over the kept rows; a checkpoint is saved after each."""
    learning_rate: float | None = Field(default=None, gt=0)
    """Peak rate. Left out: 1e-3 for adapters and 1e-4 for full fine-tuning. Adapters need about ten times the rate of full
    fine-tuning (Schulman et al. 2025, "LoRA Without Regret")."""
    search: Search | None = None
    """Learning rates to train at, each as long, in place of one: the best by validation score is used. Needs 100 validation questions."""
    average: int = Field(default=0, ge=0, le=100)
    """Number of last epochs whose mean weights are tried as well; they are used where they are better on the validation questions than
    the chosen epoch by more than one standard error. 0 tries none."""
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
    prompt_loss_weight: float = Field(default=0.0, ge=0, le=1)
    """Weight of the loss on tokens of the prompt, where those of the completion have 1. A small one such as 0.1 may help where
    completions have a few tokens (Huerta-Enochian and Ko 2024, arXiv 2401.13586)."""
    joint: Joint = Joint()
    """How rationales are learnt beside answers; used by the condition `cot-joint`."""
    kd: Kd | None = None
    """Learn the teacher's probabilities of its text, too."""
    on_policy: OnPolicy | None = None
    """Learn the teacher's probabilities of the student's own answers."""

    processes: int = Field(default=1, ge=1, le=1024)
    """Processes on this machine, one for each GPU, that share the rows of each forward pass (`potstill train --nproc`). The steps are the
    same up to rounding."""
    report_to: list[Literal["tensorboard", "wandb", "mlflow"]] = []
    """Trackers that get loss, learning rate and norm of the gradients. TensorBoard's files are in `trackers/` of the run; the others are
    set up by their own variables, such as WANDB_PROJECT and MLFLOW_TRACKING_URI."""

    @model_validator(mode="after")
    def _fill_in(self) -> "Train":
        if self.batch_size % self.rows_at_once:
            raise ValueError(f"micro_batch {self.micro_batch} does not divide batch_size {self.batch_size}")
        if self.rows_at_once % self.processes:
            raise ValueError(
                f"processes {self.processes} does not divide the {self.rows_at_once} rows of a forward pass (micro_batch, or batch_size)"
            )
        if self.average > self.epochs or self.average == 1:
            raise ValueError(
                f"average {self.average}: it takes 2 epochs or more to average, of the {self.epochs} that there are"
            )
        if self.search and self.learning_rate is not None:
            raise ValueError("learning_rate and search.learning_rate exclude each other; keep one")
        if (
            self.search is None and self.learning_rate is None
        ):  # a frozen model can be completed only before anybody sees it
            object.__setattr__(self, "learning_rate", DEFAULT_RATES[self.method])
        return self

    @property
    def rates(self) -> list[float]:
        """The peak learning rates to train at."""
        if self.search:
            return list(dict.fromkeys(self.search.learning_rate))
        return [self.learning_rate or 0.0]

    @property
    def rows_at_once(self) -> int:
        """Rows in one forward pass."""
        return self.micro_batch or self.batch_size
