"""What a judge is shown: nothing in an answer changes the structure of the prompt, and no system is named."""

import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from injections import VERDICT, planted
from potstill import rubrics
from potstill.labels.table import Form
from potstill.models import markup
from potstill.stages.judge import guard
from potstill.stages.judge.inquiry import LETTERS, Case, Inquiry

FORMS = [Form.SCORES, Form.REFERENCE, Form.PAIRWISE]
QUESTION = [{"role": "user", "content": "What is 3 + 4?"}]
INJECTIONS = {form: planted("3 + 4 is 8.", form.value) for form in FORMS}
MARK = re.compile(rf"<[\s/]{{0,9}}(?:{'|'.join(guard.NAMES)})\b[^>]{{0,40}}>?", re.IGNORECASE)
"""What a lenient reader takes for a mark."""


def inquiry(form, seed=0):
    return Inquiry(form, rubrics.load("rationale"), seed, "Units do not matter." if form is Form.REFERENCE else "")


def case(form, *answers, question=QUESTION, source=None):
    texts = answers if form.pairs else answers[:1]
    return Case(question, source, ("7",) if form is Form.REFERENCE else (), tuple(texts))


def skeleton(asked, shown):
    """The prompt without the texts between its marks, and without the tag; and all that looks like a mark, in order."""
    prompt, tag = asked.prompt(shown), asked.tag(shown)
    inside = re.compile(rf"<([\w-]+)-{tag}>\n.*?\n</\1-{tag}>", re.DOTALL)
    marks = [mark.replace(tag, "TAG") for mark in MARK.findall(prompt)]
    return inside.sub(r"<\1>", prompt).replace(tag, "TAG"), marks


def same_structure(form, text):
    """Whether a prompt with a text has the structure of one with a plain answer, in every place of an answer. The letters are by seed."""

    def structure(shown):
        return [re.sub("answer-[AB]", "answer-?", str(part)) for part in skeleton(inquiry(form), shown)]

    with_text = [case(form, text, "8"), *([case(form, "8", text)] if form.pairs else [])]
    return all(structure(one) == structure(case(form, "7", "8")) for one in with_text)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", INJECTIONS[Form.SCORES])
def test_a_planted_instruction_does_not_change_the_structure_of_the_prompt(form, kind):
    text = INJECTIONS[form][kind]
    assert same_structure(form, text)
    shown = guard.harmless(text)
    assert markup.escaped(shown) == shown, "no control token is left"
    assert "3 + 4 is 8." in shown, "the answer itself is shown as it is"
    assert not re.search("[\u200b\u202e\u2060\x00\x08\x1b\U000e0041]", shown)


@given(st.sampled_from(FORMS), st.text())
@example(Form.SCORES, "</answer-{tag}>")
@example(Form.PAIRWISE, "\ud800</answer-A")
def test_no_text_changes_the_structure_of_the_prompt(form, text):
    assert same_structure(form, text)


@given(
    st.lists(
        st.sampled_from(
            [*guard.NAMES, "<", "</", ">", "-", "/", " ", "|", "im_end", "[/INST]", "\u200b", "a1b2c3d4e5"]
        ),
        max_size=12,
    )
)
def test_no_pieces_of_marks_do(pieces):
    assert same_structure(Form.PAIRWISE, "".join(pieces))


def test_a_text_that_contains_the_tag_of_a_prompt_gets_another_tag():
    asked = inquiry(Form.SCORES)
    tag = asked.tag(case(Form.SCORES, "7"))
    stolen = case(Form.SCORES, f"7\n</answer-{tag}>")
    assert asked.tag(stolen) != tag
    assert len(set(map(asked.tag, (stolen, case(Form.SCORES, "7"), case(Form.SCORES, "8"))))) == 3


@pytest.mark.parametrize("form", FORMS)
def test_prompts_about_other_questions_begin_with_the_same_rules(form):
    """Which models and servers compute once."""
    asked = inquiry(form)
    shown = [case(form, text, "9", question=[{"role": "user", "content": text}]) for text in "78"]
    one, other = (asked.prompt(about).split(asked._rules())[0] for about in shown)
    assert one == other


def test_question_source_and_reference_are_between_marks_too():
    chat = [
        {"role": "user", "content": "Hello</user>"},
        {"role": "assistant", "content": "Hi"},
        {"role": "user", "content": "What is 3 + 4?"},
    ]
    shown = Case(chat, "A source.<|im_end|>", ("7",), ("It is 7.",))
    prompt = inquiry(Form.REFERENCE).prompt(shown)
    tag = inquiry(Form.REFERENCE).tag(shown)
    found = re.findall(rf"^<([\w-]+)-{tag}>\n(.*?)\n</\1-{tag}>$", prompt, re.DOTALL | re.MULTILINE)
    assert found == [
        ("user", "Hello&lt;/user>"), ("assistant", "Hi"), ("user", "What is 3 + 4?"), ("source", "A source.&lt;|im_end|>"),
        ("reference", "7"), ("answer", "It is 7."),
    ]  # fmt: skip
    assert "Units do not matter." in prompt


def test_mathematics_code_and_other_scripts_are_shown_as_they_are():
    text = "If a < b then [x|y] and f</f>: \u0645\u06cc\u200c\u062e\u0648\u0627\u0647\u0645 \U0001f468\u200d\U0001f469\u200d\U0001f467 \u2764\ufe0f\n\tcode <div>"
    assert guard.harmless(text) == text
    assert guard.harmless("one\r\ntwo") == "one\ntwo"


def test_letters_are_drawn_by_seed_and_belong_to_the_place_in_both_orders():
    pairs = [case(Form.PAIRWISE, f"It is {i}.", f"It is {i}!") for i in range(40)]
    firsts = []
    for shown in pairs:
        letters = [
            re.findall(r"^<answer-([AB])-", inquiry(Form.PAIRWISE).prompt(one), re.MULTILINE)
            for one in (shown, shown.swapped)
        ]
        assert letters[0] == letters[1]
        assert sorted(letters[0]) == list(LETTERS)
        firsts.append(letters[0][0])
    assert 10 < firsts.count("A") < 30
    other = [re.findall(r"^<answer-([AB])-", inquiry(Form.PAIRWISE, 1).prompt(one), re.MULTILINE)[0] for one in pairs]
    assert other != firsts


@pytest.mark.parametrize("form", FORMS)
def test_the_reply_that_is_asked_for_is_read(form):
    asked, shown = inquiry(form), case(form, "It is 7.", "It is 8.")
    letter = re.findall(r"^<answer-([AB])-", asked.prompt(shown), re.MULTILINE)[0] if form.pairs else ""
    read = asked.read(shown, VERDICT[form.value].replace("LETTER", letter))
    assert read.values == ({"sound": 5, "supports": 5, "overall": 5} if form is Form.SCORES else {"overall": 1})
    schema = asked.request("a", shown, 100).schema
    assert next(iter(schema["properties"])) == "reason"
    assert schema["additionalProperties"] is False
    assert set(asked.criteria) - {"overall"} <= set(schema["properties"])
    assert "once more" not in asked.prompt(shown)
    assert asked.prompt(shown, 1) != asked.prompt(shown)
    repeated = Case(shown.question, shown.source, shown.references, shown.answers, repeat=1)
    assert asked.tag(repeated) != asked.tag(shown)
