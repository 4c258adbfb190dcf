"""How sure the student is of an answer, from the log-probabilities of its tokens: pure functions that the command and a server share."""

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

Tokens = Sequence[tuple[str, float]]
"""The tokens of an answer without its end, each with its text and its log-probability (nats)."""
UNSURE = -1e3
"""The signal of an answer without tokens, or one that was cut or repeats itself: no threshold is below it."""


def mean(tokens: Tokens) -> float:
    """Mean log-probability of the tokens."""
    return fmean(value for _, value in tokens)


def minimum(tokens: Tokens) -> float:
    """Log-probability of the least likely token."""
    return min(value for _, value in tokens)


def last_line(tokens: Tokens) -> float:
    """Mean log-probability of the tokens of the last line with text, where the answer is that a chain of thought ends with."""
    line: list[float] = []
    has_text = False
    for text, value in reversed(tokens):
        if has_text and "\n" in text:
            break
        has_text = has_text or bool(text.strip())
        line.append(value)
    return fmean(line)


SIGNALS: Mapping[str, Callable[[Tokens], float]] = {"mean": mean, "minimum": minimum, "last-line": last_line}
"""The signals of an answer's tokens, by name."""
AGREEMENT = "agreement"
"""The name of the signal of answers that are drawn beside the greedy one."""
TEMPERATURE = 0.7
"""At which they are drawn."""
IN_WORDS = {
    "mean": "mean log-probability of the answer's tokens",
    "minimum": "log-probability of the answer's least likely token",
    "last-line": "mean log-probability of the answer's last line",
    AGREEMENT: "share of drawn answers that agree with the answer",
}
THRESHOLDS: Sequence[float] = tuple(-(10.0 ** (-3 + i / 10)) for i in range(41))
"""Thresholds in nats, from the strictest (-0.001) to the most lenient (-10). They are the same for all data, so that testing them in this
order needs no correction for their number."""


def signal(name: str, tokens: Tokens, finish_reason: str) -> float:
    """A signal of an answer; `UNSURE` unless it ended by itself."""
    return SIGNALS[name](tokens) if tokens and finish_reason == "stop" else UNSURE


def agreement(
    answer: str | None, drawn: Sequence[str | None], equivalent: Callable[[str | None, str | None], bool]
) -> float:
    """The fraction of drawn answers that are equivalent to the greedy one (self-consistency, Wang et al. 2022, arXiv 2203.11171); `UNSURE`
    without an answer."""
    return UNSURE if answer is None else sum(equivalent(answer, one) for one in drawn) / len(drawn)


def thresholds(name: str, samples: int) -> Sequence[float]:
    """The thresholds of a signal, the strictest first; of agreement all fractions of ``samples`` answers."""
    return [(samples - i) / samples for i in range(samples)] if name == AGREEMENT else THRESHOLDS
