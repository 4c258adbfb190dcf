"""Separates the reasoning of a model from its answer."""

OPEN, CLOSE = "<think>", "</think>"


def split(text: str) -> tuple[str, str]:
    """``(reasoning, answer)`` of a text that may begin with a ``<think>`` block.

    Some chat templates open the block in the prompt, so that the text contains only its end. A block without an end was
    cut, and no answer follows.
    """
    before, closed, after = text.partition(CLOSE)
    opened = before.lstrip().startswith(OPEN)
    if not opened and (not closed or OPEN in before):
        return "", text
    reasoning = before.lstrip().removeprefix(OPEN).strip()
    return reasoning, after.lstrip() if closed else ""
