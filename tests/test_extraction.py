"""The extractors of answers, one by one: normalized texts, numbers, LaTeX, labels, letters, rationales."""

from fractions import Fraction

import pytest

from potstill.answers import latex, letters, numbers
from potstill.answers.extraction import (
    answer_lines,
    rationale_before,
    text_after_answer,
)
from potstill.answers.normalization import MAX_CHARACTERS, mixed_numbers_to_fractions, normalize

# Normalization


@pytest.mark.parametrize(
    ("text", "normalized"),
    [
        ("  plain text \n", "plain text"),
        ("٤٢ and ४२", "42 and 42"),
        ("Ａ and ｚ, ＆, ﬁ", "A and z, ＆, ﬁ"),
        ("½", "1/2"),
        ("3½ and 2 ¾", "7/2 and 11/4"),
        ("−5 and –5", "-5 and -5"),
        ("2–5", "2–5"),  # a range
        ("-$5 and +€3", "$-5 and €+3"),
        ("1\u00a0000 2\u202f000", "1 000 2 000"),
        ("1⁄2", "1/2"),
        ("a<|im_end|>b<|x|>", "a b"),
        ("1{,}234 and 1\\,234", "1234 and 1234"),
        ("答案是7个", "答案是 7 个"),
        ("7は", "7 は"),
        ("2.5e3 and 1E-2", "2500 and 0.01"),
        ("50 percent, 5 per cent", r"50\%, 5\%"),
        (r"50\text{ percent }", r"50\%"),
        ("percent", "percent"),
        ("1.234,5", "1.234,5"),
    ],
)
def test_one_notation_for_what_can_be_written_in_several(text, normalized):
    assert normalize(text) == normalized


@pytest.mark.parametrize(
    ("text", "normalized"),
    [("1.234,5", "1234.5"), ("1 234 567,25", "1234567.25"), ("0,5", "0.5"), ("7.425.000", "7425000"), ("1.234", "1.234"), ("(1,2)", "(1,2)")],
)  # fmt: skip
@pytest.mark.parametrize("language", ["german", "French"])
def test_decimal_commas(text, normalized, language):
    assert normalize(text, language) == normalized


def test_only_the_end_of_a_long_text_is_used():
    assert normalize("a" + "b" * MAX_CHARACTERS) == "b" * MAX_CHARACTERS


@pytest.mark.parametrize(
    ("text", "fractions"),
    [("3 1/2", "7/2"), ("10 20/3", "10 20/3"), ("2 3/3", "2 3/3"), ("1 0/3", "1 0/3"), ("x 12 3/4 y", "x 51/4 y"), ("1 1/2/3", "1 1/2/3")],
)  # fmt: skip
def test_mixed_numbers(text, fractions):
    assert mixed_numbers_to_fractions(text) == fractions


# Numbers


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("7", Fraction(7)), ("-7", Fraction(-7)), ("+7", Fraction(7)), ("1,234.50", Fraction(2469, 2)), (".5", Fraction(1, 2)),
        ("1e3", Fraction(1000)), ("3/4", Fraction(3, 4)), ("-3/4", Fraction(-3, 4)), ("3 1/2", Fraction(7, 2)),
        ("-3 1/2", Fraction(-7, 2)), ("+3 1/2", Fraction(7, 2)), ("50%", Fraction(1, 2)), (r"50\%", Fraction(1, 2)),
        ("-3 1/2 %", Fraction(-7, 200)), ("**$1,000.**", Fraction(1000)), ("€ 5", Fraction(5)), ("1/0", None), ("1/00", None),
        ("5 apples", None), ("", None), ("1,23", None), ("1 2", None), ("3 1", None), ("abc", None),
    ],
)  # fmt: skip
def test_the_value_of_a_number(text, value):
    assert numbers.parse(text) == value


def test_numbers_of_a_text_as_they_are_written():
    text = "Of 1,234 x2 people 3 1/2 % or 50% paid -$5.25, v1.2, 1/2 and .75 (1e3)."
    assert numbers.extract(text) == ["1,234", "3 1/2", "50%", "5.25", "1/2", ".75", "1e3"]
    assert numbers.extract("none") == []


# LaTeX


@pytest.mark.parametrize(
    ("text", "box"),
    [
        (r"so \boxed{7}", ("7", 3)),
        (r"so boxed{7}", ("7", 3)),
        (r"\boxed {\frac{1}{2}}.", (r"\frac{1}{2}", 0)),
        (r"\boxed{1}\boxed{2}", ("1, 2", 0)),
        (r"\boxed{1} then \boxed{2}", ("2", 15)),
        (r"\boxed{1} and \boxed{2}", ("1, 2", 0)),
        (r"\boxed{1}, \boxed{2} or \boxed{3}", ("1, 2, 3", 0)),
        (r"\boxed{1}, \boxed{2} but \boxed{3}", ("3", 25)),
        (r"\boxed{1} and \boxed{2", ("1", 0)),
        (r"\boxed{ 7 }", ("7", 0)),
        (r"\boxed{\boxed{7}}", ("7", 7)),
        (r"\boxed{}", ("", 0)),
        (r"\boxed{7", None),
        ("no box", None),
    ],
)
def test_the_last_box(text, box):
    assert latex.last_box(text) == box


def test_boxes_have_limits():
    assert latex.last_box(r"\boxed{" + "1" * (latex.MAX_BOX_CHARACTERS - 2) + "}") is not None
    assert latex.last_box(r"\boxed{" + "1" * (latex.MAX_BOX_CHARACTERS - 1) + "}") is None
    many = ", ".join(rf"\boxed{{{i}}}" for i in range(20))
    assert latex.last_box(many)[0] == ", ".join(str(i) for i in range(8, 20))


@pytest.mark.parametrize(
    ("text", "formula"),
    [
        ("$x^2$.", "x^2"), ("$$x$$", "x"), (r"\[x+1\]", "x+1"), (r"\( 7 \)", "7"), ("`7`", "7"), ("2 * 3", r"2 \cdot  3"),
        ("2**3", "2^3"), ("a <= b", r"a \leq  b"), ("a >= b", r"a \geq  b"), ("sqrt(5)", r"\sqrt{5}"), ("sin(x)", r"\sin (x)"),
        ("2π", r"2\pi"), ("√5", r"\sqrt{5}"), ("√(x)", r"\sqrt{x}"), ("5 or 6", "5 or 6"), (r"5 \text{ cm}", r"5 \text{ cm}"),
        ("2X", "2X"), ("X", "X"), (r"\(5 + 1", r"\(5 + 1"),
        ("five apples", None), ("$", None), ("$5 and $6", None), (r"\boxed{7}", None), ("---", None), ("日本", None), ("", None),
    ],
)  # fmt: skip
def test_a_text_that_is_nothing_but_mathematics(text, formula):
    assert latex.as_formula(text) == formula


def test_spans_of_mathematics():
    assert latex.math_spans(r"If $x$ and \(y\) then \[z\], for $5 or $6.") == ["x", "y", "z"]


# "Answer:"


def test_lines_after_answer():
    text = "Answer: 5\n**answer:** `six`\nthe Answer ： `7`\nanswer 8\nreanswer: 9\nanswer: X"
    assert answer_lines(text) == [("5", 0), ("six", 12), ("7", 32), ("X", 66)]


@pytest.mark.parametrize(
    ("text", "letter", "word", "line"),
    [
        ("Answer: B", "B", "B", "B"), ("ANSWER : (b).", "b", "b", "(b)."), ("answer: A\nanswer: Berlin", None, "Berlin", "Berlin"),
        ("answer: in Berlin\nnow", None, None, "in Berlin"), ("answer: \nB", None, None, None), ("answer: ...", None, None, "..."),
        ("B", None, None, None), ("answer: X", "X", "X", "X"),
    ],
)  # fmt: skip
def test_a_letter_a_word_or_the_line_after_answer(text, letter, word, line):
    assert [text_after_answer(text, unit) for unit in ("letter", "word", "line")] == [letter, word, line]


# Letters


@pytest.mark.parametrize(
    ("text", "end", "begin", "exact"),
    [
        ("(b)", None, None, "B"), (" [C]. ", "C", "C", "C"), ("B.", "B", "B", "B"), ("D x B", "D", "D", None),
        ("x A, B", None, "A", None), ("answer: A answer: b", "B", "B", None), (r"\boxed{A} \boxed{B}", "B", "B", None),
        ("The answer is A. The best is C", "C", "C", None), ("x not A", None, None, None), ("x not A, B", "B", "B", None),
        ("x B, A is wrong", "B", "B", None), ("x A bird, I think", None, None, None), ("A bird is C", "C", "C", None), ("BC", None, None, None),
        ("x A", "A", "A", None), ("(x)", None, None, "X"), ("answer: A is wrong, x B", "B", "B", None),
        ("not A, B", "B", "B", None),
    ],
)  # fmt: skip
def test_a_letter_at_the_end_the_beginning_or_alone(text, end, begin, exact):
    assert [letters.extract(text, location) for location in ("end", "begin", "exact")] == [end, begin, exact]
    assert letters.extract(text) == end


# Rationales


@pytest.mark.parametrize(
    ("text", "answer", "rationale"),
    [
        ("2 + 3 = 5\nSo the final answer is 5", "5", "2 + 3 = 5"),
        ("It costs 5. Therefore we get $5", "$5", "It costs 5."),
        ("5", "5", ""),
        ("X.\nSo 5", "5", "X."),
        ("**Because.**\n\nAnswer: 5", "5", "Because."),
        ("x" * 100 + " so 5", "5", "x" * 100),
        ("so " * 40 + "5", "5", "so " * 19 + "so"),
    ],
)
def test_the_rationale_before_an_answer(text, answer, rationale):
    assert rationale_before(text, text.rindex(answer)) == rationale
