"""Numbers in words of other languages than English, where `task.language` names it."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from potstill.answers.math_values import extract_value
from potstill.answers.notation import LANGUAGES
from potstill.answers.number_words import CODES, words_to_digits
from potstill.tasks.math import Math


@pytest.mark.parametrize(
    ("language", "text", "value"),
    [
        ("french", "quatre-vingt-dix-sept", "97"), ("french", "quarante-deux euros", "42"), ("french", "moins cinq", "-5"),
        ("french", "deux virgule cinq", "2.5"), ("french", r"$\text{quarante-deux}$", r"\text{42}"), ("french", "trois semaines", "3"),
        ("german", "zweihundertfünf Äpfel", "205"), ("german", "eine Million zweihunderttausend", "1200000"), ("german", "null", "0"),
        ("german", "minus fünfzig Grad", "-50"), ("german", "zwei oder drei", "2, 3"), ("german", "Zwölf.", "12"),
        ("spanish", "treinta y dos manzanas", "32"), ("spanish", "menos dieciséis", "-16"), ("spanish", "uno", "1"),
        ("italian", "quarantotto", "48"), ("italian", "duemila", "2000"), ("portuguese", "duzentos e cinco", "205"),
        ("portuguese", "dezesseis reais", "16"), ("dutch", "tweeëndertig appels", "32"), ("dutch", "min vijfendertig", "-35"),
        ("french", "forty-two", "42"),
    ],
)  # fmt: skip
def test_number_words_of_a_language(language, text, value):
    assert extract_value(text, language) == value


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("french", "trois quarts"), ("french", "une douzaine d'œufs"), ("french", "le cinquième"), ("french", "une pomme"),
        ("german", "ein Drittel"), ("german", "drei Viertel"), ("german", "anderthalb Stunden"), ("german", "der dritte"),
        ("spanish", "la mitad"), ("spanish", "la quinta"), ("italian", "un quarto"), ("italian", "nessuno"), ("portuguese", "meia"),
        ("dutch", "een half"), ("dutch", "de vijfde"), ("danish", "fem"), ("english", "quarante-deux"), ("polish", "cinq"),
    ],
)  # fmt: skip
def test_what_is_no_whole_number_stays_in_words(language, text):
    assert words_to_digits(text, language) == text
    assert extract_value(text, language) is None


def test_an_answer_in_words_is_scored():
    task = Math(language="german")
    example = {"gold": task.parse_gold("zweiundvierzig", {}), "question": "?"}
    assert example["gold"] == "42"
    for text, right in (("Antwort: zweiundvierzig Eier", 1.0), ("Antwort: vierundzwanzig", 0.0)):
        found = task.parse(text, "stop", example, strict=True)
        assert task.scores(found.answer, example) == {"accuracy": right}


def test_the_languages_are_those_of_the_task():
    assert CODES.keys() < LANGUAGES


WORDS = (
    "zéro un deux dix vingt cent mille million virgule moins et premier null ein zwei zwanzig hundert tausend Million Komma minus und "
    "fünfte uno dos coma menos mil primero mila milione virgola meno dois vírgula nul een twee komma min vijfde , . - ½ ́"
)


@given(
    st.text(max_size=200) | st.lists(st.sampled_from([*WORDS.split(), " ", " "])).map("".join),
    st.sampled_from(sorted(CODES)),
)
def test_no_text_raises(text, language):
    words_to_digits(text, language)


@pytest.mark.parametrize("word", ["ein", "hundert", "einund", "zwei ", "quatre-vingt-", "due", "een", "mil ", "e "])
def test_repeated_words_take_no_time(word):
    began = time.perf_counter()
    for language in CODES:
        words_to_digits(word * 200, language)
        words_to_digits((word * 200)[:400], language)
    assert time.perf_counter() - began < 1
