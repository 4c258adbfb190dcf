"""One spelling for texts that differ only in how their characters are encoded or typed, and where it is used."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.answers.folding import fold, fold_words
from potstill.tasks.registry import parse_task


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("  The  CAT\n sat ", "the cat sat"), ("Mu\u0308ll", "müll"), ("STRASSE ß", "strasse ss"), ("O’Brien O‘Brien O`Brien O´Brien O＇Brien", "o'brien " * 4 + "o'brien"),
        ("“a” „b” «c» ″d″ ＂e＂", '"a" "b" "c" "d" "e"'), ("a‐b a‑b a‒b a–b a—b a―b a−b a－b", "a-b " * 7 + "a-b"), ("a\u00a0b\u2009c\u3000d\u202fe", "a b c d e"),
        ("po\u00adsi\u200bti\u200dve\ufeff", "positive"), ("ｆｕｌｌ　１２", "full 12"), ("ﬁne", "fine"), ("…", "..."), ("ＫＡＮＡ ｶﾞ", "kana ガ"),
        ("İYİ iyi", "iyi iyi"), ("KIRMIZI kırmızı", "kirmizi kirmizi"), ("ΣΑΣ σας", "σασ σασ"), ("❤\ufe0f ❤", "❤ ❤"), ("\u200eעברית\u200f", "עברית"),
        ("10² ½ ① H₂O", "10² ½ ① h₂o"), ("ー 一 _ ~", "ー 一 _ ~"), ("", ""),
    ],
)  # fmt: skip
def test_one_spelling(text, folded):
    assert fold(text) == folded


@pytest.mark.parametrize(
    ("text", "words"),
    [("  The CAT \n sat. ", "the cat sat"), ("**Yes!**", "yes"), ("a, b", "a, b"), ("“Ja”。", "ja"), ("-5.", "-5")],
)
def test_words_without_punctuation_around_them(text, words):
    assert fold_words(text) == words


@given(st.text(max_size=40))
@settings(max_examples=400)
def test_folding_twice_changes_nothing(text):
    assert fold(fold(text)) == fold(text)


@pytest.mark.parametrize("text", ["a" + "\u0315\u0300" * 50_000, "İ" * 100_000, "\u1100\u1161" * 50_000, "´" * 100_000])
def test_folding_takes_linear_time(text):
    began = time.process_time()
    fold(text)
    assert time.process_time() - began < 0.5


CUSTOM = {"name": "custom", "prompts": {"plain": "{{ q }}"}}
RECORD = {"name": "extraction", "json_schema": {"type": "object", "properties": {"day": {"type": "string"}}}}


@pytest.mark.parametrize(
    ("task", "text", "gold", "correct"),
    [
        (CUSTOM, "Answer: 7\u201111", "7-11", 1), (CUSTOM, "Answer: L’Été", "l'été", 1), (CUSTOM, "Answer: zero\u200bwidth", "zerowidth", 1),
        (CUSTOM, "Answer: Cafe\u0301", "Café", 1), (CUSTOM, "Answer: 10²", "102", 0), (CUSTOM, "Answer: -5", "5", 0),
        (RECORD, '{"day": "2025\u201102\u201103"}', {"day": "2025-02-03"}, 1), (RECORD, '{"day": "Sunday’s"}', {"day": "sunday's"}, 1),
        (RECORD, '{"day": "m²"}', {"day": "m2"}, 0),
    ],
)  # fmt: skip
def test_answers_and_values_are_compared_folded(task, text, gold, correct):
    one = parse_task(task)
    example = dict.fromkeys([*one.columns, "gold"], "")
    example["gold"] = one.parse_gold(gold, example)
    parsed = one.parse(text, "stop", example, strict=True)
    assert one.main_score(parsed.answer, example) == correct


def test_options_are_compared_folded():
    example = {"question": "?", "options": ["it’s new", "it is old", "follow-up"], "gold": "A"}
    task = parse_task("multiple_choice")
    for text, mark in (("Answer: It's new.", "A"), ("Answer: follow\u2011up", "C"), ("Ａ", "A"), ("答案：Ｃ", "C")):
        assert task.parse(text, "stop", example, strict=True).answer == mark
    assert task.parse_gold("It's new", example) == "A"


def test_a_text_that_two_options_share_chooses_none():
    example = {"question": "?", "options": ["Mm", "mm", "cm"], "gold": "A"}
    assert parse_task("multiple_choice").parse("Answer: mm", "stop", example, strict=True).answer is None


def test_questions_that_fold_to_one_are_the_same_question():
    task = parse_task("math")
    assert task.question_key({"question": "What’s 2–1?"}) == task.question_key({"question": "what's  2-1?"})
    assert task.question_key({"question": "10²?"}) != task.question_key({"question": "102?"})
