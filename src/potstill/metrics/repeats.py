"""How much a text repeats itself."""

from potstill.metrics.splitting import words


def repetition(text: str) -> float:
    """Fraction of the trigrams of words that repeat an earlier one; 0 for fewer than three words."""
    split = words(text)
    trigrams = list(zip(split, split[1:], split[2:], strict=False))
    return 1 - len(set(trigrams)) / len(trigrams) if trigrams else 0.0
