"""Numbers in any notation, written plainly."""

import time
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.answers import numbers
from potstill.answers.math_forms import decide, intervals_for_comparisons, measure
from potstill.answers.math_values import extract_value, is_algebraic, value_in_text
from potstill.answers.notation import LANGUAGES, plain_numbers, words_to_digits


@pytest.mark.parametrize(
    ("text", "english", "german"),
    [
        ("2,345", "2,345", "2.345"), ("2.345", "2.345", "2345"), ("2.345,5", "2345.5", "2345.5"), ("2,345.5", "2,345.5", "2,345.5"),
        ("1.234.567", "1234567", "1234567"), ("3,75,000", "375000", "375000"), ("1'234'567", "1234567", "1234567"),
        ("12_345", "12345", "12345"), ("12 345", "12345", "12345"), ("1\u202f000", "1000", "1000"), ("0.5", "0.5", "0.5"),
        ("2,5", "2,5", "2.5"), ("2,5 kg", "2.5 kg", "2.5 kg"), ("€2,50", "€2.50", "€2.50"), ("(2,5)", "(2,5)", "(2,5)"),
        ("in 2020 100 people", "in 2020 100 people", "in 2020 100 people"), ("1,2,3", "1,2,3", "1,2,3"), ("v1.234", "v1.234", "v1.234"),
        ("١٬٢٣٤٫٥", "1,234.5", "1,234.5"), ("0,333", "0.333", "0.333"), ("4 dozen", "48", "48"), ("1.5 million", "1500000", "1500000"),
        ("2 lakh", "200000", "200000"), ("3万", "30000", "30000"), ("2,5 Millionen", "2500000", "2500000"),
        ("3.4 x 10^3", "3400", "3400"), ("3.4×10⁻²", "0.034", "0.034"), ("2 × 10^{99}", "2 × 10^{99}", "2 × 10^{99}"),
        ("minus 4", "-4", "-4"), ("负4", "-4", "-4"), ("x minus 4", "x -4", "x -4"), ("Rs. 500", "500", "500"), ("USD 5", "5", "5"),
    ],
)  # fmt: skip
def test_numbers_of_any_country(text, english, german):
    assert (plain_numbers(text), plain_numbers(text, "german")) == (english, german)


@pytest.mark.parametrize(
    ("text", "digits"),
    [
        ("zero", "0"), ("nineteen", "19"), ("forty-two", "42"), ("two hundred and five", "205"), ("a dozen eggs", "12 eggs"),
        ("one hundred twenty-three million", "123000000"), ("negative seven", "-7"), ("half", "1/2"), ("two-thirds", "2/3"),
        ("two and a half", "5/2"), ("2 and a half", "5/2"), ("2 and 3/4", "11/4"), ("no one", "no one"), ("one of them", "one of them"),
        ("two five", "two five"), ("someone", "someone"), ("hundreds", "hundreds"), ("5 and six", "5 and six"),
    ],
)  # fmt: skip
def test_numbers_in_words(text, digits):
    assert words_to_digits(text) == digits


@given(st.integers(0, 10**12), st.sampled_from([",", ".", " ", "'", "_", "\u202f"]))
def test_grouping_by_any_mark_keeps_the_value(number, mark):
    written = f"{number:,}".replace(",", mark)
    language = "german" if mark == "." else "english"
    assert numbers.parse(plain_numbers(written, language)) == number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("6 m/s", 6),
        ("6m^2", 6),
        ("7k", 7000),
        ("-2.5 kg", Fraction(-5, 2)),
        ("90 °C", 90),
        ("6x", None),
        ("6 pi", None),
        ("m", None),
    ],
)
def test_a_number_with_a_unit(text, value):
    assert measure(text) == value


@pytest.mark.parametrize(
    ("gold", "answer", "decided"),
    [
        ("5", "5, 7", False), ("5, 7", "7 and 5", True), ("5 to 7", "5 to 7", True), ("5 to 7", "7 to 5", False), ("7", "5 to 7", False),
        ("12", "a + b = 12", True), ("10", "2x = 10", False), (r"\{1,2\}", "(1,2)", False), ("x", "y", None), ("1, 2", r"\{2, 1\}", True),
    ],
)  # fmt: skip
def test_forms_decide_before_mathematics(gold, answer, decided):
    assert decide(gold, answer) is decided


def test_comparisons_are_intervals():
    assert intervals_for_comparisons("0 < x \\leq 5") == "(0, 5]"
    assert intervals_for_comparisons("x < 5") == "x < 5"


@pytest.mark.parametrize(
    ("side", "algebraic"),
    [
        ("2x", True),
        ("(x+1)^2", True),
        ("x + y", True),
        ("x", False),
        ("f(2)", False),
        ("a total of 3 + 4", False),
        ("3 + 4", False),
    ],
)
def test_sides_of_an_equation(side, algebraic):
    assert is_algebraic(side) is algebraic


@given(
    st.lists(
        st.sampled_from(
            [
                "0",
                "7",
                "12,5",
                "1,25,000",
                "1.234",
                "=",
                "x",
                "+",
                "-",
                "–",
                "to",
                "and",
                "or",
                "half",
                "two",
                "million",
                "k",
                "m/s",
                "(",
                ")",
                "[",
                "]",
                "{",
                "}",
                "\\frac{1}{2}",
                "\\text{",
                "\\boxed{",
                "$",
                "10^",
                "×",
                ",",
                ".",
                ";",
                ":",
                "is",
                "between",
                "because",
                "<",
                "\\leq",
                "so",
                "%",
                "°",
                "½",
                "²",
                "٤",
                "万",
                "負",
                "Rs.",
                "é",
            ]
        ),
        max_size=30,
    ).map(" ".join)
    | st.text(max_size=200),
    st.sampled_from(sorted(LANGUAGES)),
)
@settings(deadline=1000, max_examples=300)
def test_no_text_raises_or_takes_long(text, language):
    value = extract_value(text, language)
    value_in_text(text, language)
    assert value is None or decide(value, value) in (True, None)


@pytest.mark.parametrize(
    "piece", ["1,", "x=1 or ", "is 1 ", "two ", "1 to ", "(", "-", "1 2 ", "a million ", "\\text{", "and ", "1.2"]
)
def test_hostile_texts_take_linear_time(piece):
    began = time.process_time()
    value_in_text(piece * 5000)
    extract_value(piece * 5000)
    assert time.process_time() - began < 1
