"""Values for the keywords of a chat template, written at its top: whoever renders it gets the same prompts."""

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime
from typing import Any

from potstill.errors import RecipeError, did_you_mean

TODAY = datetime(2024, 7, 26)
"""The day of templates that print today's date. It is what Llama's templates print where they know no date."""
DATE = "date_string"
"""The keyword of the date. Where a template asks `strftime_now` instead, that gets its value."""
DATE_FORMATS = ("%Y-%m-%d", "%d %b %Y", "%d %B %Y", "%B %d, %Y", "%b %d, %Y", "%d.%m.%Y")
CLOCK = "strftime_now"
"""The function by which a template asks for today's date."""
_HEAD = r"(?:\{%- (?:set|macro) [^\n]* %\}\n)"
"""A line that pins a keyword."""
OWN = ("messages", "add_generation_prompt")
"""Keywords that each prompt sets anew."""


def pinned(template: str, keywords: Mapping[str, Any], where: str) -> str:
    """The template with the values of its keywords, and with a fixed date where it would print today's.

    Raises `RecipeError` for a keyword that it does not use; ``where`` names the model.
    """
    for name in keywords:  # an earlier value of a template that was pinned before
        template = re.sub(rf"\A({_HEAD}*?)\{{%- set {name} = [^\n]* %\}}\n", r"\1", template)
    if DATE in keywords:
        template = re.sub(rf"\A({_HEAD}*?)\{{%- macro {CLOCK}\(format\) [^\n]* %\}}\n", r"\1", template)
    asks_clock = CLOCK in template and f"macro {CLOCK}" not in template
    words = set(re.findall(r"[^\W\d]\w*", template))
    for name in keywords:
        if name in OWN or not (name in words or (name == DATE and asks_clock)):
            why = "is set for each prompt anew" if name in OWN else f"is not used by the chat template of {where}"
            raise RecipeError(
                f"chat_template: '{name}' {why}.{did_you_mean(name, sorted({*words, DATE} - set(OWN)))} Leave it out."
            )
    lines = [f"{{%- set {name} = {_literal(value)} %}}\n" for name, value in keywords.items()]
    if asks_clock:
        lines.append(_clock(template, keywords.get(DATE, "")))
    return "".join(lines) + template


def head(template: str) -> list[str]:
    """The lines at the top of a template that set its keywords."""
    found = re.match(rf"{_HEAD}*", template)
    return found[0].splitlines() if found else []


def _clock(template: str, date: Any) -> str:
    """A macro in place of the function, for the formats in a template; a ``date`` that is none is printed as it is."""
    day = _read(date) if date else TODAY
    if day is None:
        text = _literal(str(date))
    else:
        used = dict.fromkeys(re.findall(r"%-?[A-Za-z]", template))
        values = {directive: _value(day, directive) for directive in used}
        text = "format" + "".join(f" | replace({_literal(d)}, {_literal(v)})" for d, v in values.items())
    return f"{{%- macro {CLOCK}(format) %}}{{{{- {text} }}}}{{%- endmacro %}}\n"


def _value(day: datetime, directive: str) -> str:
    value = day.strftime(directive.replace("-", ""))
    return (value.lstrip("0") or "0") if "-" in directive else value


def _read(date: Any) -> datetime | None:
    for one in DATE_FORMATS:
        with suppress(ValueError):
            return datetime.strptime(str(date), one)
    return None


def _literal(value: Any) -> str:
    """A value in Jinja."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_literal(k)}: {_literal(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(_literal, value)) + "]"
    return "none" if value is None else json.dumps(value, ensure_ascii=False)
