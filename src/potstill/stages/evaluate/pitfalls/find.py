"""All checks of a test split."""

from potstill.stages.evaluate.pitfalls.contamination import contamination
from potstill.stages.evaluate.pitfalls.disputed import disputed
from potstill.stages.evaluate.pitfalls.duplicates import duplicates
from potstill.stages.evaluate.pitfalls.evidence import Evidence
from potstill.stages.evaluate.pitfalls.labels import labels
from potstill.stages.evaluate.pitfalls.lengths import lengths
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall
from potstill.stages.evaluate.pitfalls.prompts import prompts
from potstill.stages.evaluate.pitfalls.reading import reading
from potstill.stages.evaluate.pitfalls.sizes import sizes

CHECKS = (contamination, duplicates, sizes, labels, lengths, reading, disputed, prompts)


def pitfalls(evidence: Evidence) -> list[Pitfall]:
    """What the checks find in a test split; nothing in a split without questions."""
    return [pitfall for check in CHECKS for pitfall in check(evidence)] if evidence.questions else []
