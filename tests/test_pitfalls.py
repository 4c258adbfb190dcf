"""Pitfalls of the questions: contamination, duplicates, size and prompts; each check fires on its fault, and not without it."""

import json
import random
import re
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pitfall_data import MATH, TOPICS, clean, evidence, example, found, plain, prose, trained
from potstill.stages.evaluate.pitfalls.find import pitfalls
from potstill.stages.evaluate.pitfalls.overlap import closest
from potstill.stages.evaluate.pitfalls.pitfall import Pitfall, in_a_line
from potstill.stages.evaluate.pitfalls.texts import Masker, Vocabulary, words
from potstill.tasks.conversation import Conversation
from potstill.tasks.multiple_choice import MultipleChoice

QUESTION = "A baker has 12 eggs and buys 3 cartons of 6 eggs on Monday. How many eggs does the baker have on Tuesday?"
OTHERS = [trained(prose(random.Random(i), 30)) for i in range(40)]


def ask(question, training, prefix=""):
    """What is found of one question among 20, of which the others begin with ``prefix``."""
    others = [example(i, question=f"{prefix} {prose(random.Random(100 + i), 30)}") for i in range(1, 20)]
    return found(evidence(MATH, [example(0, question=question), *others], {}, training))


CONTAMINATION = {"test-question-in-training", "near-test-question-in-training", "template-in-training"}


@pytest.mark.parametrize(
    "row",
    [
        trained(QUESTION),
        trained(
            "  a BAKER has 12 eggs — and buys 3 cartons of 6 eggs, on Monday!\nHow many eggs does the baker have on tuesday"
        ),
        trained(
            "A baker has １２ eggs and buys 3 cartons of 6 eggs on Monday. How many eggs does the baker have on Tuesday?"
        ),
        trained("What is 1 + 1?", f"The question was: {QUESTION} I do not know.\nAnswer: 2"),
        trained("What is 1 + 1?", system=f"Solve like this. Q: {QUESTION} A: 30"),
        trained("What is 1 + 1?", turns=(QUESTION, "30")),
    ],
    ids=["same", "case and punctuation", "full-width", "in a completion", "in a system message", "solved example"],
)
def test_a_question_word_for_word_in_training(row):
    """1 of 20 questions; nothing else is found of the question."""
    pitfall = ask(QUESTION, [*OTHERS, row])
    assert set(pitfall) & CONTAMINATION == {"test-question-in-training"}
    figures = pitfall["test-question-in-training"].figures
    assert (figures["n"], figures["in_training"], figures["ids"]) == (20, 1, ["q0"])
    assert pitfall["test-question-in-training"].message.startswith("1 of 20 test questions are word for word in")


def test_short_questions_are_found_as_a_whole_only():
    assert "test-question-in-training" in ask("What is 7 - 5?", [*OTHERS, trained("what is 7 - 5")])
    assert not CONTAMINATION & set(ask("What is 7 - 5?", [*OTHERS, trained("What is 7 + 5?")]))
    assert not CONTAMINATION & set(ask("What is 7 - 5?", [*OTHERS, trained("x", "You ask: what is 7 - 5? It is 2.")]))


def test_nearly_the_same_question():
    """One word of 22 is another: all others lie in runs of eight that both have."""
    pitfall = ask(QUESTION, [*OTHERS, trained(QUESTION.replace("cartons", "boxes"))])
    assert set(pitfall) & CONTAMINATION == {"near-test-question-in-training"}
    half = " ".join(QUESTION.split()[:10])
    assert not CONTAMINATION & set(ask(QUESTION, [*OTHERS, trained(f"{half} {prose(random.Random(7), 20)}")]))


def test_a_passage_with_another_question_is_near_and_a_phrase_of_the_data_is_not():
    """What all questions and rows begin with says nothing; what one row shares does."""
    passage = prose(random.Random(8), 30)
    asked = f"{passage} When was it written?"
    assert "near-test-question-in-training" in ask(asked, [*OTHERS, trained(f"{passage} Who wrote it?")])
    rows = [trained(f"{passage} {prose(random.Random(50 + i), 9)}") for i in range(60)]
    assert not CONTAMINATION & set(ask(asked, rows, passage))
    assert "test-question-in-training" in ask(asked, [*rows, trained(asked)], passage)


def test_a_question_that_every_prompt_shows_as_solved_example():
    rows = [trained(f"Q: {QUESTION} A: 30. Q: {prose(random.Random(i), 20)} A:") for i in range(60)]
    assert set(ask(QUESTION, rows)) & CONTAMINATION == {"test-question-in-training"}


def test_the_same_beginning_or_the_same_phrases_are_not_word_for_word():
    """A text that goes on in another way after a thousand words; and a question of phrases that many rows have."""
    long = prose(random.Random(1), 1000)
    assert set(ask(f"{long} and then", [*OTHERS, trained(f"{long} or else")])) & CONTAMINATION == {
        "near-test-question-in-training"
    }
    assert set(ask(f"{long} and then", [*OTHERS, trained("x", f"So {long} and then")])) & CONTAMINATION == {
        "test-question-in-training"
    }
    begin, middle, end = (prose(random.Random(i), 9) for i in range(3))
    rows = [trained(f"{begin} {prose(random.Random(50 + i), 9)} {end}") for i in range(60)]
    pitfall = ask(f"{begin} {middle} {end}", [*rows, trained(f"{middle} {end}"), trained(f"{begin} {middle}")])
    assert "test-question-in-training" not in pitfall


def templates(rng, n):
    """Questions of five templates with drawn names and numbers."""
    stories = [
        "{a} has {x} apples and gives {y} of them to {b}. How many apples does {a} have left?",
        "On Monday {a} read {x} pages, and {b} read {y} pages more. How many did {b} read?",
        "There are {x} birds in the garden of {a}. Then {y} birds fly to {b}. How many stay?",
        "For {x} days {a} saves {y} coins a day. How many coins does {a} have then?",
        "A bus with {x} seats takes {y} people to {a}. How many seats are free on the way to {a}?",
    ]
    names = ["Lena", "Omar", "Zoe", "Kofi", "Ines", "Pavel"]
    for _ in range(n):
        a, b = rng.sample(names, 2)
        yield rng.choice(stories).format(a=a, b=b, x=rng.randint(20, 99), y=rng.randint(2, 19))


def test_templates_with_other_values():
    rng = random.Random(3)
    training = [trained(question) for question in templates(rng, 60)]
    examples = [example(i, question=question) for i, question in enumerate(templates(random.Random(4), 40))]
    alarm = found(evidence(MATH, examples, {}, training))["template-in-training"]
    assert alarm.alarm
    assert alarm.figures["of_template"] >= 38, "all but those that are in training word for word"
    on_purpose = found(evidence(MATH, examples, {}, training, on_purpose=True))
    assert set(on_purpose) & CONTAMINATION <= {"template-in-training", "test-question-in-training"}
    assert not on_purpose["template-in-training"].alarm
    assert "on purpose" in on_purpose["template-in-training"].message
    assert "test-question-in-training" in found(
        evidence(MATH, examples, {}, [*training, trained(examples[0]["question"])], on_purpose=True)
    ), "a question word for word is an alarm whatever the split is for"


def test_shuffled_options_and_pairs_of_texts():
    """The options stand in another order; a premise with another hypothesis is near."""
    task = MultipleChoice()
    row = {"question": "Which of these animals does not lay eggs?", "options": ["the platypus", "the dolphin", "a hen"]}
    asked = example(0, gold="B", **row)
    other = {**row, "options": row["options"][::-1]}
    training = [*OTHERS, trained(task.messages(example(1, **other))[0]["content"])]
    assert found(evidence(task, [asked], {}, training))["test-question-in-training"].figures["in_training"] == 1
    short = {"question": "Which one flies?", "options": ["a dog", "the old owl", "a cat"]}
    training = [
        *OTHERS,
        trained(task.messages(example(1, **{**short, "options": short["options"][::-1]}))[0]["content"]),
    ]
    assert "test-question-in-training" in found(evidence(task, [example(0, gold="B", **short)], {}, training))


def test_chats_are_compared_by_all_turns_of_the_user():
    task = Conversation()
    say = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "Thanks!"},
    ]
    chat = example(0, gold="Welcome.", messages=say)
    assert not CONTAMINATION & set(found(evidence(task, [chat], {}, [*OTHERS, trained("Thanks")])))
    row = trained("thanks", turns=("hello", "What is it?"))
    assert "test-question-in-training" in found(evidence(task, [chat], {}, [*OTHERS, row]))


def test_how_often_the_student_is_right_in_seen_questions():
    examples, rows, training = clean(5, n=40)
    seen = [trained(plain(e["text"])) for e in examples[:10]]
    pitfall = found(evidence(TOPICS, examples, rows, [*training, *seen]))["test-question-in-training"]
    right = [row["outcome"] == "correct" for row in rows["student"]]
    counts = (pitfall.figures["right"], pitfall.figures["right_elsewhere"])
    assert counts == (sum(right[:10]), sum(right[10:]))
    assert f"answers {counts[0]} of 10 correctly, of the others {counts[1]} of 30" in pitfall.message


def test_duplicates():
    """Six questions are two of three each; gold of one is contradictory."""
    same = ["One, two three: four?", "one two  three four", "ONE two three four!"]
    asked = [example(i, gold="1" if i else "2", question=same[i]) for i in range(3)]
    asked += [example(i, question=f"five six seven {'!' * i}") for i in range(3, 6)]
    asked += [example(i, question=prose(random.Random(i), 20)) for i in range(6, 30)]
    repeated = found(evidence(MATH, asked))["duplicate-questions"].figures
    assert (repeated["n"], repeated["different"], repeated["repeated"]) == (30, 26, 6)
    assert "contradictory-gold" not in found(evidence(MATH, asked)), "its texts differ in punctuation, which may matter"
    asked[1]["question"] = "one, two three: FOUR?"
    contradictory = found(evidence(MATH, asked))["contradictory-gold"].figures
    assert contradictory == {"questions": 1, "rows": 2, "ids": ["q0", "q1"]}
    asked[0]["gold"] = "1.0"
    assert "contradictory-gold" not in found(evidence(MATH, asked)), "1 and 1.0 are equal"


def test_near_duplicates_and_templates_of_other_groups():
    long = [prose(random.Random(i), 30) for i in range(20)]
    changed = [f"{text.rsplit(maxsplit=1)[0]} other" for text in long]
    asked = [example(i, question=text) for i, text in enumerate(long + changed)]
    assert found(evidence(MATH, asked))["near-duplicate-questions"].figures["near"] == 40
    grouped = [example(i, question=text, group=f"g{i % 20}") for i, text in enumerate(long + changed)]
    assert not {"near-duplicate-questions", "template-across-groups"} & set(found(evidence(MATH, grouped)))
    asked = [example(i, question=question) for i, question in enumerate(dict.fromkeys(templates(random.Random(1), 30)))]
    across = found(evidence(MATH, asked))
    assert across["template-across-groups"].figures["of_template"] == len(asked), "each has one of five templates"
    one = [{**e, "group": "one"} for e in asked]
    assert not {"near-duplicate-questions", "template-across-groups"} & set(found(evidence(MATH, one)))


def test_few_questions_and_groups():
    examples, _, _ = clean(1, n=99, n_training=0)
    few = found(evidence(TOPICS, examples))
    assert few["few-questions"].figures["n"] == 99
    assert few["few-questions"].figures["difference"] == pytest.approx(0.15, abs=0.01)
    assert "few-groups" not in few
    examples, _, _ = clean(1, n=100, n_training=0)
    assert not found(evidence(TOPICS, examples))
    grouped = [{**e, "group": str(i % 29)} for i, e in enumerate(examples)]
    assert found(evidence(TOPICS, grouped))["few-groups"].figures == {"groups": 29, "n": 100, "least": 30}
    assert not found(evidence(TOPICS, [{**e, "group": str(i % 30)} for i, e in enumerate(examples)]))
    one = found(evidence(TOPICS, [{**e, "group": "one"} for e in examples]))["few-groups"]
    assert one.message.startswith("All 100 questions are of one group")


def test_a_student_asked_in_another_way():
    examples, rows, training = clean(2, n=100)
    cot = [{**row, "messages": [{"role": "user", "content": "Think."}, *row["messages"]]} for row in rows["student"]]
    names = found(evidence(TOPICS, examples, {**rows, "student-cot": cot}, training))
    assert names["student-other-prompt"].figures["systems"] == [{"system": "student-cot", "other": 100, "n": 100}]
    assert "student-other-prompt" not in found(evidence(TOPICS, examples, rows, training))


def test_system_messages_that_training_does_not_have():
    examples, _, training = clean(2, n=100)
    told = [{**e, "system": "You are a pirate."} for e in examples]
    unseen = found(evidence(TOPICS, told, {}, training))["unseen-system-message"].figures
    assert unseen == {"unseen": 100, "n": 100, "once": 0, "trained": 150}
    same = [trained(row["student_messages"][0]["content"], system="You are a pirate.") for row in training]
    assert "unseen-system-message" not in found(evidence(TOPICS, told, {}, same))
    assert "unseen-system-message" in found(evidence(TOPICS, examples, {}, same)), "none where all have one"
    each = [trained(row["student_messages"][0]["content"], system=f"It is {i}.") for i, row in enumerate(training)]
    dated = [{**e, "system": f"It is {500 + i}."} for i, e in enumerate(examples)]
    assert "unseen-system-message" not in found(evidence(TOPICS, dated, {}, each)), "each row has its own"


def test_turns_and_lengths_that_training_does_not_have():
    task = Conversation()
    turns = [
        {"role": "user", "content": "Hello"},
        {"role": "assistant", "content": "Hi."},
        {"role": "user", "content": "So?"},
    ]
    chats = [
        example(i, messages=[*turns[:2], {"role": "user", "content": prose(random.Random(i), 9)}]) for i in range(100)
    ]
    assert found(evidence(task, chats, {}, OTHERS))["unseen-turns"].figures["unseen"] == 100
    longer = [trained(prose(random.Random(i), 9), turns=("a", "b", "c", "d")) for i in range(40)]
    assert "unseen-turns" not in found(evidence(task, chats, {}, longer)), "the beginning of a longer chat"
    long = [example(i, question=prose(random.Random(i), 30 if i > 9 else 300)) for i in range(100)]
    figures = found(evidence(MATH, long, {}, OTHERS))["longer-prompts"].figures
    assert (figures["n"], figures["longer"]) == (100, 10)
    assert "longer-prompts" not in found(evidence(MATH, long, {}, [*OTHERS, trained("y" * figures["longest"])]))


@given(st.text(max_size=60), st.text(max_size=60))
def test_folding_never_raises_and_forgets_case_and_space(a, b):
    assert words(a) == words(f" {a}\n ")
    assert words(f"{a} {b}".upper()) == words(f"{a}  {b}".upper().swapcase().upper())
    Masker([a, b]).mask(a + b)


@given(st.lists(st.integers(0, 3), min_size=8, max_size=40), st.integers(0, 30), st.integers(1, 6))
def test_overlap_by_hashing_is_overlap_by_comparison(digits, cut, change):
    """Against a comparison of all runs, written independently."""
    ids = Vocabulary()
    question = [f"{'ab'[digit % 2]}{'xyz'[i % 3]}{digit}" for i, digit in enumerate(digits)]
    text = [word if i % 9 != change else "zzz" for i, word in enumerate(question)][cut:]
    a, b = words(" ".join(question)), words(" ".join(text))
    runs = {tuple(b[i : i + 8]) for i in range(len(b) - 7)}
    covered = {i + k for i in range(len(a) - 7) if tuple(a[i : i + 8]) in runs for k in range(8)}
    (share,) = closest([[ids.ids(" ".join(question))]], [ids.ids(" ".join(text))])
    assert share.fraction == pytest.approx(len(covered) / len(a))


def test_masks():
    masker = Masker(["How many apples does Lena have?", "She has three apples, how many", "many does have the"])
    assert masker.mask("Lena Meier has 12 apples. How many does Omar have?") == "X has 0 apples. How many does X have?"
    german = Masker(["Der Mann hat einen Hund, der bellt."])
    assert german.mask("Der Mann hat 3 Hunde.") == "Der X hat 0 X."


@pytest.mark.parametrize("training", [[], [trained("", "")], [trained("?" * 1000, "!")]])
@pytest.mark.parametrize("question", ["", "???", "x", "a " * 30_000, "\u0300" * 5000, "吗" * 5000, "A" * 100_000])
def test_any_text_is_compared(question, training):
    examples = [example(i, question=question) for i in range(2)]
    for pitfall in pitfalls(evidence(MATH, examples, {}, training)):
        assert len(pitfall.message) < 600
        json.dumps(asdict(pitfall), allow_nan=False)


def test_no_question_no_pitfall():
    assert pitfalls(evidence(MATH, [])) == []
    assert "contradictory-gold" not in found(
        evidence(MATH, [example(0, gold=None, question="a"), example(1, gold=None, question="a")])
    )


def test_twenty_thousand_rows_take_seconds():
    """Half of the questions share whole sentences with half of the rows."""
    rng = random.Random(0)
    body = prose(rng, 40)
    asked, rows = (
        [f"{body} {question} {body}" for question in templates(rng, n)] + [prose(rng, 60) for _ in range(n)]
        for n in (500, 10_000)
    )
    examples = [example(i, question=question) for i, question in enumerate(asked)]
    training = [trained(row, f"{row[:200]}\nAnswer: 1") for row in rows]
    start = time.process_time()
    pitfalls(evidence(MATH, examples, {}, training))
    assert time.process_time() - start < 20, "6 s on two slow cores"


def test_the_line_on_the_terminal():
    def split(*names, alarm=True):
        return {"pitfalls": [asdict(Pitfall(name, "m", {}, alarm)) for name in names]}

    assert in_a_line({"test": split(), "test_unseen": split("template-in-training", alarm=False)}) == ""
    assert in_a_line({"test": split("few-questions")}) == "1 pitfall: few-questions; see report"
    both = {"test_unseen": split("few-groups", "position-bias"), "test": split("few-groups")}
    assert in_a_line(both) == "2 pitfalls: few-groups, position-bias; see report"


def test_every_pitfall_has_its_section():
    """Each name that the code gives is the title of a section, and each section is of a name."""
    folder = Path(__file__).parents[1]
    code = "".join(
        file.read_text(encoding="utf-8") for file in (folder / "src/potstill/stages/evaluate/pitfalls").glob("*.py")
    )
    names = set(re.findall(r'"((?:[a-z]+-)+[a-z]+)"', code))
    sections = re.findall(r"^## (.+)$", (folder / "docs" / "footguns.md").read_text(encoding="utf-8"), re.M)
    assert len(sections) == len(set(sections))
    assert names == set(sections)
