"""Find where a text announces its answer in a sentence: "the answer is 7", "#### 7", "la réponse est 7", "答案是 7"."""

import re

from potstill.answers.languages import ANSWER_WORDS, CLEAR_COPULAS, pattern

_IS = f"{pattern(f'{CLEAR_COPULAS}|equals|equal|olur')}|="
_STATED = re.compile(
    rf"(?<![^\W\d_])(?i:{ANSWER_WORDS})(?:\s{{1,3}}[^\W\d_][\w'’]{{0,20}}){{0,6}}?\s{{0,3}}(?i:{_IS})(?!\s{{1,3}}(?:not|n['’]t|nicht|pas|no|non)\b)"
    r"[\s:：*_]{0,6}(?P<answer>[^\n]{1,400})"
)
_HASHES = re.compile(r"^\s{0,3}####\s{0,3}(?P<answer>[^\n#]{1,400})", re.MULTILINE)
_SENTENCE_END = re.compile(r"[.!?](?=\s)|[。！？]")


def stated_answers(text: str) -> list[tuple[str, int]]:
    """The rest of the sentence after each "the answer is" and each "####", and where it starts, in order."""
    found = [match for pattern in (_STATED, _HASHES) for match in pattern.finditer(text)]
    found.sort(key=lambda match: match.start())
    return [(_SENTENCE_END.split(match["answer"], maxsplit=1)[0].strip(), match.start()) for match in found]
