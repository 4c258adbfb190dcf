"""Prices of servers: those of the recipe, and a shipped, dated table."""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml
from pydantic import Field

from potstill.config import Section


class Price(Section):
    """What a server's tokens cost."""

    input: float = Field(ge=0)
    """US dollars for a million tokens of prompt."""
    output: float = Field(ge=0)
    """US dollars for a million tokens of completion, reasoning included."""
    cached_input: float | None = Field(default=None, ge=0)
    """US dollars for a million tokens of prompt that the server had read before. Left out: as `input`."""

    def times(self, factor: float) -> "Price":
        cached = None if self.cached_input is None else factor * self.cached_input
        return Price(input=factor * self.input, output=factor * self.output, cached_input=cached)

    def of(self, prompt_tokens: int, completion_tokens: int, cached_tokens: int = 0) -> float:
        """US dollars for so many tokens; ``cached_tokens`` are among ``prompt_tokens``."""
        cached = self.input if self.cached_input is None else self.cached_input
        read = self.input * (prompt_tokens - cached_tokens) + cached * cached_tokens
        return (read + self.output * completion_tokens) / 1e6


BATCH_PRICE = 0.5
"""Part of the price that OpenAI and Azure charge for requests in batches (as of 2026)."""


def listed(url: str, model: str) -> tuple[float, float, float] | None:
    """US dollars for a million tokens of input, cached input and output; None for what the table does not have.

    A model's dated versions (``gpt-4o-2024-08-06``) cost as the model does.
    """
    models = _table()["hosts"].get(urlsplit(url).hostname, {})
    found = models.get(re.sub(r"-\d{4}-\d{2}-\d{2}$", "", model))
    return tuple(found) if found else None


def as_of() -> str:
    """Year and month of the table."""
    return str(_table()["as_of"])


@cache
def _table() -> dict[str, Any]:
    table: dict[str, Any] = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text(encoding="utf-8"))
    return table
