"""The shipped, dated table of prices."""

import re
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import yaml


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
