"""When to send a request again: exponential backoff, and the headers with which servers ask for a wait."""

import time
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

FIRST_BACKOFF_SECONDS, MAX_BACKOFF_SECONDS = 0.5, 60.0
MAX_RETRY_AFTER_SECONDS = 600.0
"""The longest wait that a server may ask for; one that asks for more has no quota left."""

_SECONDS_PER_UNIT = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0, "ms": 0.001}


def backoff_seconds(failures: int) -> float:
    """The wait after the n-th failed attempt (n counts from 1): it doubles with each, up to `MAX_BACKOFF_SECONDS`."""
    return min(FIRST_BACKOFF_SECONDS * 2.0 ** max(failures - 1, 0), MAX_BACKOFF_SECONDS)


def retry_after_seconds(headers: Mapping[str, str]) -> float:
    """The wait that ``Retry-After`` asks for, as a number or a date; 0 without one.

    A date is compared with the server's own clock if the response has a ``Date`` header.
    """
    value = headers.get("Retry-After", "")
    try:
        seconds = float(headers.get("retry-after-ms", "")) / 1000
    except ValueError:
        try:
            seconds = float(value)
        except ValueError:
            try:
                now = parsedate_to_datetime(headers["Date"]).timestamp() if "Date" in headers else time.time()
                seconds = parsedate_to_datetime(value).timestamp() - now
            except (ValueError, OverflowError, TypeError):
                return 0.0
    return max(seconds, 0.0) if seconds == seconds else 0.0


def parse_duration_seconds(text: str) -> float:
    """A duration in the form of ``x-ratelimit-reset-*``: ``6m0s``, ``1.5s``, ``20ms`` or a number; 0 if it is invalid."""
    total, rest = 0.0, text.strip()
    while rest:
        digits = len(rest) - len(rest.lstrip("0123456789."))
        number, rest = rest[:digits], rest[digits:]
        letters = len(rest) - len(rest.lstrip("dhms"))
        unit, rest = rest[:letters] or "s", rest[letters:]
        if unit not in _SECONDS_PER_UNIT or not digits:
            return 0.0
        try:
            total += float(number) * _SECONDS_PER_UNIT[unit]
        except ValueError:
            return 0.0
    return total
