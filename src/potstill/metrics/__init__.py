"""Metrics of answers that are texts, of several samples of one question, and of log-likelihoods.

Every function is importable from here, pure, and takes the answer before the reference; `stats` has intervals for their means.
The libraries behind them (rouge-score, sacrebleu) load with the first function that needs one.
"""

from importlib import import_module
from typing import Any

FUNCTIONS = {
    "drop": ("drop_score", "normalize_drop"),
    "edits": ("common_prefix", "edit_distance", "edit_similarity"),
    "extracts": ("extractiveness",),
    "likelihoods": (
        "any_gold_is_greedy",
        "bits_per_byte",
        "byte_perplexity",
        "likelihood_accuracy",
        "recall_at_k",
        "reciprocal_rank",
        "true_mass",
        "word_perplexity",
    ),
    "matches": ("exact_match", "normalize_squad", "token_f1"),
    "names": ("entities", "entity_density", "has_entities", "unsupported_entities"),
    "overlap": ("rouge",),
    "repeats": ("repetition",),
    "samples": ("avg_at_k", "g_pass_at_k", "maj_at_k", "mean_g_pass_at_k", "pass_at_k"),
    "splitting": ("tokens", "word_count", "words"),
    "translation": ("bleu", "bleu_precision", "chrf", "ter"),
}
"""The functions of each module of this package."""


def __getattr__(name: str) -> Any:
    for module, functions in FUNCTIONS.items():
        if name in functions:
            return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *(name for functions in FUNCTIONS.values() for name in functions)])
