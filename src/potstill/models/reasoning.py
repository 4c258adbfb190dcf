"""What a reasoning model thinks, apart from what it answers."""

OPEN, CLOSE = "<think>", "</think>"


def split(text: str) -> tuple[str, str]:
    """``(reasoning, answer)`` of a text that may begin with a ``<think>`` block.

    Some chat templates open the block in the prompt, so that only its end stands in the text; a block without end was
    cut, and no answer follows.
    """
    before, closed, after = text.partition(CLOSE)
    opened = before.lstrip().startswith(OPEN)
    if not opened and (not closed or OPEN in before):
        return "", text
    reasoning = before.lstrip().removeprefix(OPEN).strip()
    return reasoning, after.lstrip() if closed else ""
