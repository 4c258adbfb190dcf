"""Metrics of answers that are texts, of several samples of one question, and of log-likelihoods.

Every function is importable from here, pure, and takes the answer before the reference; `stats` has intervals for their means.
The libraries behind them (rouge-score, sacrebleu) load with the first function that needs one.
"""

from potstill.lazy import lookup

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

__getattr__, __dir__ = lookup(__name__, FUNCTIONS)
