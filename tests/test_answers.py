"""Extraction and equality of answers, from the outside: `potstill.tasks.equivalent`."""

import json
import os
import re
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.answers import letters, numbers, prose, text
from potstill.answers.equivalence import same_number
from potstill.tasks import equivalent

DATA = os.environ.get("POTSTILL_TEST_DATA")
with_data = pytest.mark.skipif(not DATA, reason="POTSTILL_TEST_DATA names no folder of reference data")
WANTED = 228
"""Rows of extraction_cases.jsonl, of 246 that are not of kind `text`, that must agree with their label."""
AGAINST = {
    66: "a formula is one also where it goes over several lines",
    235: "'Answer: c' chooses option C: after 'answer:' the case of a letter means nothing",
}
"""Rows where we side against the label, and why."""


def location(scorer):
    if found := re.search(r"location='(\w+)'", scorer):
        return found[1]
    if found := re.search(r"answer\('(\w+)'\)", scorer):
        return found[1]
    return "end"


@with_data
def test_extraction_cases():
    rows = [json.loads(line) for line in (Path(DATA) / "extraction_cases.jsonl").open(encoding="utf-8")]
    rows = [row for row in rows if row["kind"] != "text"]
    differing = {
        row["id"]: row
        for row in rows
        if equivalent(
            row["gold"], row["prediction"], kind=row["kind"], language=row["language"],
            precision=row.get("precision"), location=location(row["scorer"]),
        ) != row["expected"]
    }  # fmt: skip
    for row in differing.values():
        print(row["id"], row["kind"], repr(row["gold"])[:80], repr(row["prediction"][-120:]), row["expected"])
    assert len(rows) == 246
    assert len(rows) - len(differing) >= WANTED
    assert set(differing) == set(AGAINST)


@with_data
def test_recorded_correctness_of_gsm8k_solutions():
    from potstill.tasks.math import Math

    task = Math()
    rows = [json.loads(line) for line in (Path(DATA) / "gsm8k_example_model_solutions_a.jsonl").open(encoding="utf-8")]
    models = ("6b_finetuning", "6b_verification", "175b_finetuning", "175b_verification")
    for model in models:
        recorded, differing = 0, []
        for row in rows:
            said = row[model]["solution"]
            gold = task.parse_gold(row["ground_truth"].rpartition("A:")[2], {})
            parsed = task.parse(f"Answer:{said.rpartition('A:')[2]}", "stop", {}, strict=False)
            right = parsed.answer is not None and task.scores(parsed.answer, {"gold": gold})["accuracy"] == 1.0
            recorded += row[model]["is_correct"]
            if right != row[model]["is_correct"]:
                differing.append((row["question"][:40], said[-60:], gold, row[model]["is_correct"]))
        assert differing == [], model
        assert (
            recorded
            == {"6b_finetuning": 146, "6b_verification": 266, "175b_finetuning": 225, "175b_verification": 371}[model]
        )


HOSTILE = [
    "2^{2^{2^{49}}}", "9**9**9**9", "\\boxed{" * 2000, "(" * 5000, "$" * 20_000, "\\frac{" * 3000, "1," * 10_000, "x^" * 9000,
    "\\sqrt{" * 4000 + "2", "answer: " * 2500, "A " * 10_000, "1/0", "\\frac{1}{0}", "10^{10^{10}}", "99999999!" ,
    "\\sum_{n=1}^{10^9} \\frac{1}{n^2}", "\\int e^{x^x} dx", "__import__('os').system('true')", "\x00\ud800", "½" * 9000,
]  # fmt: skip


@pytest.mark.parametrize("kind", ["latex+expr", "multiple-choice", "text"])
def test_no_hostile_text_raises_or_takes_over_a_second_of_work(kind):
    equivalent("1", "2", kind=kind)  # the process that compares starts with the first question
    for said in HOSTILE:
        began = time.perf_counter()
        assert equivalent("7", said, kind=kind) is False
        assert equivalent(said, "7", kind=kind) is False
        assert time.perf_counter() - began < 10  # on a busy machine; the limit itself is one of processor time


@given(
    st.text(max_size=200),
    st.text(max_size=200),
    st.sampled_from(["begin", "end", "any", "exact", "letter", "word", "line"]),
)
@settings(max_examples=150, deadline=None)
def test_no_text_raises(gold, said, location):
    for kind in ("multiple-choice", "text"):
        assert equivalent(gold, said, kind=kind, location=location) in (True, False)
    if location != "end":
        assert equivalent(gold, said, kind="expr", location=location) in (True, False)


@given(st.text(alphabet="0123456789.,/%$-+*^(){}[]\\ xfracsqrtboxed=\n", max_size=60))
@settings(max_examples=80, deadline=None)
def test_no_mathematics_raises(said):
    assert equivalent("1", said) in (True, False)


@given(st.text(max_size=300))
def test_readers_never_raise_and_never_grow(said):
    tidy = text.tidy(said)
    assert len(tidy) <= 4 * len(said) + 100
    assert letters.read(tidy) is None or len(letters.read(tidy)) == 1
    assert all(numbers.value(found) is not None or "/" in found for found in numbers.find(tidy))


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=3))
def test_a_number_equals_itself_however_it_is_written(number):
    for written in (f"{number}", f"{number:,}", f"${number:,}", f"{number}000"):
        assert same_number(str(number), written)
    assert not same_number(str(number), str(number + 1))


@pytest.mark.parametrize(
    ("said", "letter"),
    [("Answer: (b)", "B"), ("answer: a bird", None), ("I think A bird is B", "B"), ("**C**", "C"), ("\\boxed{\\text{(D)}}", "D"),
     ("The answer is E because A is wrong.", "E"), ("réponse : B", "B"), ("答案是 C", "C"), ("I am", None), ("", None)],
)  # fmt: skip
def test_letters(said, letter):
    assert letters.read(said) == letter


@pytest.mark.parametrize(
    ("gold", "said", "language", "right"),
    [("1234.5", "La réponse est 1.234,5", "french", True), ("0.3", "donc 0,3", "french", True),
     ("0.25", "Die Antwort ist 1/4", "german", True), ("1234", "the answer is 1,234", "english", True),
     ("$(1,2)$", "$(1,2)$", "french", True), ("1.2", "donc $(1,2)$", "french", False)],
)  # fmt: skip
def test_the_language_says_what_a_comma_is(gold, said, language, right):
    assert equivalent(gold, said, language=language) is right


def test_rouge_agrees_with_published_implementation():
    # Lin 2004, section 3: S1 "police killed the gunman", S2 "police kill the gunman", S3 "the gunman kill police".
    one = "police killed the gunman"
    assert prose.rouge_l(one, "police kill the gunman") == 0.75
    assert prose.rouge_l(one, "the gunman kill police") == 0.5
    assert prose.rouge_n(one, "police kill the gunman", 2) == pytest.approx(1 / 3)
    assert prose.rouge_l("", "a") == prose.rouge_n("a", "", 1) == 0.0


@with_data
def test_rouge_on_cases_of_another_implementation():
    rows = [json.loads(line) for line in (Path(DATA) / "metric_cases.jsonl").open(encoding="utf-8")]
    checked = 0
    for row in rows:
        if "rouge" in str(row["metric"]).lower() and "doc" in row:
            print(row["metric"], row["params"], row["doc"], row["model_response"], row["expected"])
            checked += 1
    assert checked


def test_what_stands_in_a_summary():
    source = "Ann Lee met Bob in Oslo on 12 May. They paid $30."
    assert prose.entities("On Monday, Ann Lee paid $30. The city was Oslo.") == ["Monday", "Ann Lee", "Oslo", "$30"]
    assert prose.unsupported(source, "Ann Lee and Carl met in Oslo for $40.") == ["Carl", "$40"]
    assert prose.density("Ann met Bob in Oslo.") > prose.density("They met in a city.")
    assert prose.repetition("a b c d a b c d") == pytest.approx(2 / 6)


@pytest.mark.parametrize(
    ("gold", "text", "kind"),
    [
        ("2.74", "€2.74", "expr"), ("2.74", "2.74€", "latex+expr"), ("42", "**42**", "expr"), ("42", "`42`", "expr"),
        ("6", "= 6", "expr"), ("42", r"\boxed{42°}", "latex"), ("42", r"\boxed{£42}", "latex"), ("42", r"\boxed {42}", "latex"),
        ("42", r"\boxed{\approx 42}", "latex"), ("8\\sqrt{6}", r"\boxed{8√6}", "latex"), (r"2\pi", "2π", "latex"),
        ("$60^\\circ$", "60°", "latex+expr"), ("3.5", "It is 3 1/2", "latex+expr"), ("-3", "The answer is –3", "latex+expr"),
        ("42", "الجواب هو ٤٢", "latex+expr"), ("42", "उत्तर: ४२", "latex+expr"), ("-42", "-$42", "latex+expr"),
        ("Yes", r"\boxed{\text{yes}}", "latex"),
    ],
)  # fmt: skip
def test_signs_currencies_and_digits_of_any_script(gold, text, kind):
    assert equivalent(gold, text, kind=kind)


@pytest.mark.parametrize(
    ("gold", "text", "kind"),
    [
        ("0", 'exec("1") or 0', "expr"), ("4", "(lambda: 4)()", "expr"), ("42", "-$42", "expr"),
        ("3", "3 1/2", "latex+expr"), ("No", r"\boxed{\text{yes}}", "latex"),
    ],
)  # fmt: skip
def test_what_only_looks_like_the_answer(gold, text, kind):
    assert not equivalent(gold, text, kind=kind)


def test_thousands_with_points_where_the_comma_is_decimal():
    assert equivalent("7425000", "Es sind 7.425.000 Stück", language="german")
    assert not equivalent("7425000", "It is 7.425.000")


@pytest.mark.parametrize(
    ("letter", "text"),
    [
        ("A", "The answer is A because it is the best."), ("A", "A because it isn't B or C"), ("C", "It is clearly C, not A"),
        ("A", "So it must be A, since neither B nor C nor D hold."), ("B", "My choice: B. (A is too small, D too large)"),
        ("B", "选项B是正确的。A是错误的。"), ("C", "答えはCです。Aではありません。"), ("B", "सही उत्तर B है। A नहीं"), ("B", "Ｂ"),
        ("C", "The answer to question A is C"), ("B", "I would pick B over C"),
    ],
)  # fmt: skip
def test_letters_that_are_denied_are_not_chosen(letter, text):
    assert equivalent(letter, text, kind="multiple-choice")
