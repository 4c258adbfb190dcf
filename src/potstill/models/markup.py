"""Marks of chat templates that a server left in an answer: tokens that end a turn, and turns that the model went on to invent.

Text that speaks of such marks stays as it is: text in quotes, backticks or a fence of code, or between the words of a
sentence, is no mark.
"""

import re
from itertools import islice

_BAR = r"[|\uff5c]"
_SPACE = r"[\u2581_ ]"
_ENDS = (
    rf"<{_BAR}(?:im_end|endoftext|end|eot_id|eom_id|eot|eom|end_of_text|eos|return|call|end_of_turn|endofturn|END_OF_TURN_TOKEN"
    rf"|END_RESPONSE|end_of_solution|assistant_end|user_end|end{_SPACE}of{_SPACE}sentence|hy_eos|end_of_role){_BAR}>"
    r"|<(?:end_of_turn|eos|EOS_TOKEN|turn\||seed:eos|eoa|eoh|end_of_utterance)>|</s>|\[(?:EOS|EOT|\|endofturn\|)\]|\[e~\["
)
_STARTS = (
    rf"<{_BAR}(?:im_start|im_user|im_system|im_assistant|start_header_id|start_of_role|header_start|start|user_start|start_of_turn"
    rf"|START_OF_TURN_TOKEN|begin{_SPACE}of{_SPACE}sentence|begin_of_text){_BAR}>|<(?:start_of_turn|\|turn|bos|BOS_TOKEN|seed:bos|s)>"
)
_TURNS = (
    rf"<{_BAR}(?:user|system|assistant|observation|User|Assistant|System|USER_TOKEN|CHATBOT_TOKEN|SYSTEM_TOKEN){_BAR}>"
    r"|\[INST\]|\[\|(?:user|system|assistant)\|\]"
)
_MARK = re.compile(f"(?P<end>{_ENDS})|(?P<start>{_STARTS})|(?P<turn>{_TURNS})")
_AFTER = re.compile(rf"\s{{0,40}}(?:\Z|{_ENDS}|{_STARTS}|{_TURNS})")
_ROLE = re.compile(
    r"\s{0,5}(?:user|system|assistant|human|model|tool|ipython|developer|function|observation)\b", re.IGNORECASE
)
_ANSWER_BEGINS = re.compile(
    rf"\s{{0,40}}(?:(?:{_STARTS})\s{{0,5}}){{0,4}}(?:(?<=>)(?:assistant|model)\b\s{{0,5}}(?:<{_BAR}[a-z_]{{2,20}}{_BAR}>)?"
    rf"|<{_BAR}(?:assistant|Assistant|CHATBOT_TOKEN|START_RESPONSE|begin_of_solution){_BAR}>|\[\|assistant\|\]|\[/INST\]|(?<=>))\s{{0,40}}"
)
_ESCAPED = re.compile(rf"{_MARK.pattern}|<(?={_BAR})|<(?=/?(?:s|think|thinking)>)|<(?=</?SYS>>)|\[(?=/INST\])")
MAX_MARKS = 50
"""Marks that are looked at from the beginning of a text, and from its end."""
_QUOTES = "\"'`\u201c\u201d\u2018\u2019\u00ab\u00bb"
_HTML = ("</s>", "<s>")
"""Marks that are tags of HTML as well."""


def without_turns(text: str) -> tuple[str, bool]:
    """The text of the first turn alone, and whether anything was cut."""
    if "<" not in text and "[" not in text:
        return text, False
    begin = _ANSWER_BEGINS.match(text)
    start = begin.end() if begin and not ("<s>" in begin[0] and "</s>" in text) else 0
    for mark in islice(_MARK.finditer(text, start), MAX_MARKS):
        if _ends_turn(text, mark):
            return text[start : mark.start()].rstrip(), True
    whole = end = len(text.rstrip())
    for _ in range(MAX_MARKS):
        if not (last := _last_end(text, end)):
            break
        end = len(text[:last].rstrip())
    return (text[start:end], True) if end < whole else (text[start:], start > 0)


def escaped(text: str) -> str:
    """The text with the first character of each mark as in HTML, so that no server takes it for a token."""
    return _ESCAPED.sub(lambda found: ("&lt;" if found[0][0] == "<" else "&#91;") + found[0][1:], text)


def _last_end(text: str, end: int) -> int:
    """Where the token that ends the text begins; 0 where none does."""
    window = max(0, end - 40)
    found = [mark for mark in _MARK.finditer(text, window, end) if mark.end() == end and mark["end"]]
    if not found or (found[-1][0] in _HTML and text.count("<s>", 0, end) >= text.count("</s>", 0, end)):
        return 0
    return found[-1].start()


def _ends_turn(text: str, mark: re.Match[str]) -> bool:
    """Whether a turn ends at a mark."""
    rest = _AFTER.match(text, mark.end())
    if mark[0] in _HTML and (mark[0] == "<s>" or "<s>" in text[: mark.start()] or not rest):
        return False
    if mark["end"] and not text[mark.end() :].strip():
        return not text[: mark.start()].endswith(tuple(_QUOTES))
    if _is_quoted(text, mark):
        return False
    if mark["start"]:
        return bool(_ROLE.match(text, mark.end())) and not _in_sentence(text, mark)
    begins = mark["turn"] and not text[: mark.start()].strip()
    return not begins and (bool(rest) or not _in_sentence(text, mark))


def _is_quoted(text: str, mark: re.Match[str]) -> bool:
    before, after = text[mark.start() - 1 : mark.start()], text[mark.end() : mark.end() + 1]
    if (before and before in _QUOTES) or (after and after in _QUOTES):
        return True
    line = text[text.rfind("\n", 0, mark.start()) + 1 : mark.start()]
    return line.count("`") % 2 == 1 or line.count('"') % 2 == 1 or text.count("```", 0, mark.start()) % 2 == 1


def _in_sentence(text: str, mark: re.Match[str]) -> bool:
    """Whether a mark is between the words of one line, with spaces or punctuation around it, as if it were a word."""
    before, after = text[: mark.start()], text[mark.end() : mark.end() + 1]
    line = before[before.rfind("\n") + 1 :]
    return line.strip() != "" and line[-1:] in " (" and (after in " ,.;:!?)" and after != "")
