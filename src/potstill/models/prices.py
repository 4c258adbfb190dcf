"""Prices of servers: from the recipe, or from a dated table in the package."""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import Field

from potstill.config import Section


class Price(Section):
    """Price of a server's tokens."""

    input: float = Field(ge=0)
    """US dollars per million prompt tokens."""
    output: float = Field(ge=0)
    """US dollars per million completion tokens, reasoning included."""
    cached_input: float | None = Field(default=None, ge=0)
    """US dollars per million prompt tokens that the server had cached. Default: as `input`."""

    def scaled(self, factor: float) -> "Price":
        """All prices multiplied by ``factor``."""
        cached = None if self.cached_input is None else factor * self.cached_input
        return Price(input=factor * self.input, output=factor * self.output, cached_input=cached)

    def cost(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """Cost in US dollars; ``cached_tokens`` are among ``prompt_tokens``."""
        cached_input = self.input if self.cached_input is None else self.cached_input
        prompt = self.input * (prompt_tokens - cached_tokens) + cached_input * cached_tokens
        return (prompt + self.output * completion_tokens) / 1e6


BATCH_PRICE_FACTOR = 0.5
"""Fraction of the price that OpenAI and Azure charge for requests in batches (as of 2026)."""


def lookup(url: str, model: str) -> tuple[float, float, float] | None:
    """US dollars per million tokens of input, cached input and output; None for a model that is not in the table.

    Dated versions of a model (``gpt-4o-2024-08-06``) have the price of the model.
    """
    models = _table()["hosts"].get(urlsplit(url).hostname, {})
    price = models.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    return tuple(price) if price else None


def as_of() -> str:
    """Year and month of the table, as ``2026-06``."""
    return str(_table()["as_of"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return table
