"""Models that answer requests, in this process or on a server: teacher, judge, and any other that is evaluated."""

from typing import Any, Self

from pydantic import Field, model_validator

from potstill.config import Section
from potstill.models.local.weights import Dtype
from potstill.models.specs import Budget, Endpoint, Keywords, ModelSource


class AskedModel(Section):
    """A model that answers requests, in this process or on a server."""

    model: ModelSource
    """`packaged/NAME`, `hf/ORG/NAME`, a folder, `{url, model, api_key_env}`, or `{serve, model}`."""
    batch_size: int = Field(default=64, ge=1)
    """Answers generated at once when the model runs in this process."""
    dtype: Dtype = "auto"
    """Number format when the model runs in this process: `auto` is `bfloat16` where the machine is fast in it (a GPU, a
    CPU with AVX512-BF16 or AMX), otherwise `float32`, in which batching changes no answer."""
    chat_template: Keywords = {}
    """Values of keywords of its chat template, such as `enable_thinking: false` or `date_string: 26 Jul 2024`, when the model runs in
    this process or potstill starts its server. A template that prints today's date prints 26 July 2024 in this process."""
    budget: Budget | None = None
    """What may be spent on it. The run stops at a limit, and can be resumed when the limit is raised."""
    min_success: float = Field(default=0.0, ge=0, le=1)
    """Fraction of the requests that must succeed; the run stops as soon as fewer can. Requests that a server's moderation stops
    count as failed. Left out, any number may fail by a fault of their own, but not most of them."""

    @property
    def name(self) -> str:
        return self.model.name

    @model_validator(mode="after")
    def _template_at_hand(self) -> Self:
        if self.chat_template and isinstance(self.model, Endpoint):
            raise ValueError(
                "chat_template is for models in this process and servers that potstill starts; for others write "
                "model: {extra_body: {chat_template_kwargs: {...}}}"
            )
        return self

    @model_validator(mode="after")
    def _price_for_max_cost(self) -> Self:
        if self.budget and self.budget.max_cost is not None and not self.model.charged:
            raise ValueError("budget.max_cost needs model.price")
        return self


class Teacher(AskedModel):
    """The model that is distilled."""


def asked_model(value: Any) -> Any:
    """A model source alone, or a mapping of ``model`` and how it is asked."""
    is_asked = isinstance(value, AskedModel | None) or (isinstance(value, dict) and not {"url", "serve"} & set(value))
    return value if is_asked else {"model": value}
