"""The label that a text gives as its answer: signs, suffixes, negations, two at once, lists; and gold labels."""

import pytest

import label_texts
from potstill.answers.extraction import ExtractedAnswer
from potstill.answers.labels import exact_label, extract_label, labels_by_spelling, parse_gold_label
from potstill.tasks.registry import parse_task

OPTIONS = {"question": "?", "options": ["thing 0", "thing 1", "thing 2", "thing 3"]}


def read(task, text, *, strict=False):
    one = parse_task(task)
    return one.parse(text, "stop", dict.fromkeys([*one.columns, "gold"], "") | OPTIONS, strict=strict).answer


def each(groups):
    return [(labels, text, label) for labels, texts in groups for text, label in texts]


@pytest.mark.parametrize(
    ("labels", "text", "label"), each(label_texts.WORDS + label_texts.SIGNS + label_texts.LANGUAGES)
)
def test_the_label_of_a_text(labels, text, label):
    task = {"name": "classification", "labels": labels}
    assert read(task, text) == label
    assert read(task, text, strict=True) in (label, None)


@pytest.mark.parametrize(("labels", "text", "answer"), each(label_texts.LISTS))
def test_several_labels_of_a_text(labels, text, answer):
    task = {"name": "classification", "labels": labels, "multi": True}
    assert read(task, text) == answer
    assert read(task, text, strict=True) in (answer, None)


@pytest.mark.parametrize(("text", "label"), label_texts.NLI)
def test_entailment_in_a_text(text, label):
    assert read("nli", text) == label


@pytest.mark.parametrize(("marks", "text", "mark"), label_texts.CHOICES)
def test_the_option_of_a_text(marks, text, mark):
    task = {"name": "multiple_choice", "marks": "numbers"} if marks == "numbers" else "multiple_choice"
    assert read(task, text) == mark
    assert read(task, text, strict=True) in (mark, None)


@pytest.mark.parametrize(
    ("text", "label"),
    [("It is good.\nAnswer: negative", "negative"), ("\\boxed{negative}", "negative"), ("negative.", "negative"),
     ("The answer is negative.", None), ("### Negative", "negative"), ("Negative\n\nIt is bad.", None), ("It is negative", None),
     ("Answer: mostly negative", "negative"), ("Answer: it praises the negative side", None), ("Answer: negative or neutral", None)],
)  # fmt: skip
def test_strict_reading_takes_only_the_requested_form(text, label):
    task = {"name": "classification", "labels": ["positive", "negative", "neutral"]}
    assert read(task, text, strict=True) == label


@pytest.mark.parametrize(
    ("text", "rule"),
    [("Answer: bad\nThe answer is good.", "answer-line"), ("\\boxed{bad} The answer is good.", "boxed"), ("The answer is bad. Not good.", "announced"),
     ("Good.\nThe answer is bad.", "announced"), ("bad\nIt is not good.", "line"), ("Bad, though good for some", "first-word"), ("It seems bad", "last-label")],
)  # fmt: skip
def test_the_order_of_the_rules(text, rule):
    found = extract_label(text, labels_by_spelling(["good", "bad"]), strict=False)
    assert found is not None
    assert (found.answer, found.rule) == ("bad", rule)


def test_labels_that_fold_to_one_are_rejected():
    for labels in (
        ["follow-up", "Follow\u2011up"],
        ["Don't know", "don’t know"],
        ["İ", "i"],
        ["a", ""],
        ["a", "\u200b"],
    ):
        with pytest.raises(ValueError, match="differ by more than case, dashes, quotes and spaces"):
            parse_task({"name": "classification", "labels": labels})


@pytest.mark.parametrize("value", ["food quality", "Food-Quality", "FOOD_QUALITY", 0, "０"])
def test_gold_may_be_spelled_otherwise(value):
    labels = ["food_quality", "price"]
    assert parse_gold_label(value, labels, labels_by_spelling(labels)) == "food_quality"


def test_two_labels_that_differ_only_by_a_joint_are_told_apart():
    spellings = labels_by_spelling(["re-sign", "re sign"])
    assert extract_label("Answer: re-sign", spellings, strict=True) == ExtractedAnswer("re-sign", "answer-line", 0)
    assert extract_label("Answer: re_sign", spellings, strict=True) is None


SPELLINGS = labels_by_spelling(["Not  Spam", "Spam", "Spam mail", ".NET"])


def test_spellings_have_no_case_and_single_spaces():
    assert SPELLINGS == {"not spam": "Not  Spam", "spam": "Spam", "spam mail": "Spam mail", ".net": ".NET"}


@pytest.mark.parametrize(
    ("value", "label"),
    [
        ("SPAM", "Spam"),
        (" spam  MAIL ", "Spam mail"),
        (0, "Not  Spam"),
        ("3", ".NET"),
        (1.0, "Spam"),
        ("1.0", "Spam"),
        (".net", ".NET"),
    ],
)
def test_gold_labels(value, label):
    assert parse_gold_label(value, list(SPELLINGS.values()), SPELLINGS) == label


@pytest.mark.parametrize("value", [4, -1, 0.5, "", "spa", None, "1.5"])
def test_gold_that_is_no_label(value):
    with pytest.raises(ValueError, match=r"is none of the labels Not  Spam, Spam, Spam mail, \.NET"):
        parse_gold_label(value, list(SPELLINGS.values()), SPELLINGS)


@pytest.mark.parametrize("labels", [["1", "two"], ["inf", "0.5"], ["1e3", "x"]])
def test_an_index_means_nothing_where_a_label_is_a_number(labels):
    with pytest.raises(ValueError, match=r"'0' is none"):
        parse_gold_label(0, labels, labels_by_spelling(labels))


def test_a_label_such_as_nan_is_no_number():
    assert parse_gold_label(0, ["nan", "x"], labels_by_spelling(["nan", "x"])) == "nan"


def test_a_long_value_is_shown_in_part():
    with pytest.raises(ValueError, match=f"^'{'x' * 60}' is none"):
        parse_gold_label("x" * 61, ["a", "b"], labels_by_spelling(["a", "b"]))


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("Spam", "Spam"), ('**"spam"**.', "Spam"), ("spam mail!", "Spam mail"), ("*.NET*", ".NET"), ("spam, because", None),
        ("spam mail and", None), ("spammer", None), ("spam2", None), ("spams, x", None), ("mail", None), ("", None),
    ],
)  # fmt: skip
def test_a_text_that_is_a_label(text, exact):
    assert exact_label(text, SPELLINGS) == exact


@pytest.mark.parametrize(
    ("text", "strict", "found"),
    [
        ("It is so.\nAnswer: spam\nAnswer: what", True, ExtractedAnswer("Spam", "answer-line", 10)),
        ("Answer: spam\nAnswer: not spam", True, ExtractedAnswer("Not  Spam", "answer-line", 13)),
        (r"It is \boxed{\text{Spam}}", True, ExtractedAnswer("Spam", "boxed", 6)),
        (" Spam. ", True, ExtractedAnswer("Spam", "bare", 0)),
        ("I call it spam mail, or spam", True, None),
        ("I call it spam mail, or spam", False, None),
        ("It is spam, not a spam mail", False, ExtractedAnswer("Spam", "last-label", 6)),
        ("It is spam  MAIL", False, ExtractedAnswer("Spam mail", "last-label", 6)),
        ("antispam", False, None),
    ],
)
def test_a_label_in_a_text(text, strict, found):
    assert extract_label(text, SPELLINGS, strict=strict) == found


def test_a_label_may_begin_and_end_with_punctuation():
    assert exact_label("(A)", {"(a)": "(a)"}) == "(a)"


def test_a_rejected_label_is_not_the_last_one():
    plain = labels_by_spelling(["red", "blue"])
    assert extract_label("It is red, not blue", plain, strict=False) == ExtractedAnswer("red", "last-label", 6)
    assert extract_label("not blue", plain, strict=False) is None
