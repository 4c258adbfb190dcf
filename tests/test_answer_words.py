"""Answer lines in every language whose answer word is known."""

import unicodedata

import pytest

from potstill.answers.extraction import answer_lines, answer_lists
from potstill.answers.languages import ANSWER_WORDS
from potstill.tasks.registry import parse_task

WORDS = ANSWER_WORDS.split("|")


def parse(task, text, example=None):
    one = parse_task(task)
    return one.parse(text, "stop", example or dict.fromkeys([*one.columns, "gold"], ""), strict=True)


@pytest.mark.parametrize("word", WORDS)
def test_an_answer_line_of_each_language(word):
    for written in {word, word.capitalize(), unicodedata.normalize("NFD", word)}:
        for colon in (":", " :", "：", ":**"):
            parsed = parse({"name": "custom", "prompts": {"plain": "{{ q }}"}}, f"X lies on Y.\n{written}{colon} Paris")
            assert (parsed.answer, parsed.rationale, parsed.rule) == ("Paris", "X lies on Y.", "answer-line")
            assert parse("math", f"{written}{colon} 12").answer == "12"
            assert parse("nli", f"{written}{colon} neutral").answer == "neutral"


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("Réponse finale : 7", [("7", 0)]), ("La respuesta final: 7", [("7", 3)]), ("Answer (final): 7", [("7", 0)]),
        ("最终答案：7", [("7", 2)]), ("所以正确答案： 7", [("7", 4)]), ("Die richtige Antwort: 7", [("7", 13)]), ("<answer>7</answer> x", [("7", 0)]),
        ("<answer>\n7\n</answer>", [("7", 0)]), ("Answer: a Answer: b", [("a", 0), ("b", 10)]), ("Answers: 7", [("7", 0)]), ("*Answer* : 7", [("7", 1)]),
        ("Answer:", []), ("Question: 7", []), ("Gegenantwort: 7", []), ("my_answer: 7", []), ("answer it: 7", []), ("answer\n: 7", []),
    ],
)  # fmt: skip
def test_the_words_before_the_colon(text, lines):
    assert answer_lines(text) == lines


def test_a_list_may_follow_the_answer_word():
    assert answer_lists("Answer:\n- a\n- b\n\nc: d") == [("- a\n- b\nc: d", 0)]
    assert answer_lists("Answer: a\n- b") == [("a", 0)]
    assert answer_lists("Answer: - a\n- b\nAnswer: c") == [("- a\n- b", 0), ("c", 16)]


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("3 und 4 sind 7.\nDie richtige Antwort: 7", "3 und 4 sind 7."), ("Il y en a 7.\nDonc la réponse : 7", "Il y en a 7."),
        ("三加四等于七。\n所以最终答案：7", "三加四等于七。"), ("3 y 4 son 7.\n\n**Respuesta final:** 7", "3 y 4 son 7."), ("3 + 4 = 7, итак ответ: 7", "3 + 4 = 7"),
    ],
)  # fmt: skip
def test_the_rationale_is_what_stands_before(text, rationale):
    assert parse("math", text).rationale == rationale
