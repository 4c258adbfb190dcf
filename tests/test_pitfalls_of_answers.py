"""Pitfalls of the answers: labels, places, length, reading, disputed gold; each check fires on its fault, and not without it."""

import json
import random
from collections import Counter
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from pitfall_data import LABELS, MATH, TOPICS, answer, clean, evidence, example, found, guesses, prose
from potstill.stages.evaluate.pitfalls.disputed import _at_least, disputed
from potstill.stages.evaluate.pitfalls.find import pitfalls
from potstill.stages.evaluate.pitfalls.labels import labels
from potstill.stages.evaluate.pitfalls.lengths import lengths, rank_correlation
from potstill.stages.evaluate.pitfalls.paired import excess
from potstill.stages.evaluate.pitfalls.reading import reading
from potstill.tasks.classification import Classification
from potstill.tasks.multiple_choice import MultipleChoice
from potstill.tasks.summarization import Summarization


def test_clean_data_give_no_alarm():
    """40 data sets without a fault, every check: at most 2 have an alarm, which is the level of the tests."""
    alarms = []
    for seed in range(40):
        examples, rows, training = clean(seed, n=100, n_training=60)
        alarms += [pitfall.name for pitfall in pitfalls(evidence(TOPICS, examples, rows, training)) if pitfall.alarm]
    assert len(alarms) <= 2, alarms


def test_chance_alone_gives_few_alarms():
    """200 draws of answers: each check of answers fires in at most 3 % of them. Each question is its own group, or groups have three."""
    examples, _, training = clean(0, n=102)
    by_three = [{**e, "group": f"g{i // 3}"} for i, e in enumerate(examples)]
    names = Counter()
    for seed in range(200):
        rng, asked = random.Random(seed), by_three if seed % 2 else examples
        asked = [{**e, "gold": rng.choice(LABELS)} for e in asked]
        accuracies = {"base": 0.5, "student": 0.75, "teacher-direct": 0.85}
        rows = {name: guesses(rng, asked, accuracy) for name, accuracy in accuracies.items()}
        of = evidence(TOPICS, asked, rows, training)
        names.update(pitfall.name for check in (labels, lengths, reading, disputed) for pitfall in check(of))
    assert max(names.values(), default=0) <= 6, names


def biased(examples, label, share, rng):
    """Answers that are one label in a ``share`` of the questions, and otherwise correct."""
    return [answer(TOPICS, e, f"Answer: {label if rng.random() < share else e['gold']}") for e in examples]


def test_a_preferred_label():
    examples, rows, training = clean(3)
    rows["student"] = biased(examples, "beta", 0.5, random.Random(0))
    pitfall = found(evidence(TOPICS, examples, rows, training))["label-bias"]
    (preferred,) = pitfall.figures["preferred"]
    answered = sum(row["answer"] == "beta" for row in rows["student"])
    gold = sum(e["gold"] == "beta" for e in examples)
    assert (preferred["system"], preferred["label"], preferred["answered"], preferred["gold"]) == (
        "student",
        "beta",
        answered,
        gold,
    )
    assert preferred["difference"] == pytest.approx((answered - gold) / 120)
    assert (
        f"student answers the label 'beta' {answered} times in 120 answers, where gold has it {gold} times"
        in pitfall.message
    )
    assert "label-bias" not in found(evidence(TOPICS, examples, rows, training, untold=("student",)))


def test_a_few_points_of_preference_are_none():
    """Within 10 % of the answers, whatever the number of questions makes significant."""
    examples, _, _ = clean(3, n=1000, n_training=0)
    rows = {"student": biased(examples, "beta", 0.1, random.Random(0))}
    assert "label-bias" not in found(evidence(TOPICS, examples, rows))


def test_several_labels_of_a_text():
    task = Classification(labels=["red", "blue", "green"], multi=True)
    examples = [example(i, gold="red, blue" if i % 2 else "none", text=prose(random.Random(i), 9)) for i in range(100)]
    rows = [answer(task, e, "Answer: red, green" if i % 2 else "Answer: none") for i, e in enumerate(examples)]
    preferred = found(evidence(task, examples, {"student": rows}))["label-bias"].figures["preferred"]
    assert [(one["label"], one["answered"], one["gold"]) for one in preferred] == [("green", 50, 0)]


def choices(n, gold):
    task, rng = MultipleChoice(), random.Random(5)
    return task, [
        example(i, gold=gold(rng), question=prose(rng, 12), options=[prose(rng, 3) for _ in range(4)]) for i in range(n)
    ]


def test_a_preferred_place():
    task, examples = choices(120, lambda rng: rng.choice("ABCD"))
    rng = random.Random(1)
    rows = {
        "teacher-direct": [answer(task, e, f"Answer: {'A' if rng.random() < 0.6 else e['gold']}") for e in examples]
    }
    pitfall = found(evidence(task, examples, rows))
    assert "the option at place 'A'" in pitfall["position-bias"].message
    assert "label-bias" not in pitfall
    right = {"teacher-direct": [answer(task, e, f"Answer: {e['gold']}") for e in examples]}
    assert not found(evidence(task, examples, right))


def test_the_majority_class():
    """Gold is alpha in 80 of 100: always answering it is as good as a student with 80 right answers, and worse than one with 97."""
    examples = [example(i, gold="alpha" if i < 80 else "beta", text=prose(random.Random(i), 12)) for i in range(100)]
    always = [answer(TOPICS, e, "Answer: alpha") for e in examples]
    pitfall = found(evidence(TOPICS, examples, {"student": always}))["majority-class"]
    (figures,) = pitfall.figures["not_better"]
    assert (figures["system"], figures["right"], figures["always"], figures["n"]) == ("student", 80, 80, 100)
    assert "answers 80 of 100 questions correctly, and always answering 'alpha' would be right in 80" in pitfall.message
    good = [answer(TOPICS, e, f"Answer: {e['gold'] if i > 2 else 'gamma'}") for i, e in enumerate(examples)]
    assert "majority-class" not in found(evidence(TOPICS, examples, {"student": good, "base": always}))


def test_length_bias_of_a_rule_and_of_a_score():
    examples, rows, training = clean(4)
    rng = random.Random(0)
    by_length = [
        row if row["outcome"] == "correct" else answer(TOPICS, e, f"{prose(rng, 40)} {row['text']}")
        for e, row in zip(examples, rows["base"], strict=True)
    ]
    (dependence,) = found(evidence(TOPICS, examples, rows | {"student": by_length}, training))["length-bias"].figures[
        "depend"
    ]
    assert dependence["system"] == "student"
    assert dependence["correlation"] < -0.8


def scored(n, score, rng):
    """Summaries of random length with a score of each; no gold decides."""
    task = Summarization()
    examples = [example(i, gold=prose(rng, 9), document=prose(rng, 30)) for i in range(n)]
    rows = [answer(task, e, prose(rng, rng.randint(5, 60))) for e in examples]
    return task, examples, [{**row, "scores": {**row["scores"], "rouge_l": score(row)}} for row in rows]


def test_length_bias_of_a_score_where_nothing_decides():
    rng = random.Random(0)
    task, examples, rows = scored(100, lambda row: len(row["text"]) + rng.gauss(0, 100), rng)
    (dependence,) = found(evidence(task, examples, {"student": rows}))["length-bias"].figures["depend"]
    assert (dependence["score"], dependence["system"]) == ("rouge_l", "student")
    task, examples, rows = scored(100, lambda row: rng.gauss(0, 1), rng)
    assert "length-bias" not in found(evidence(task, examples, {"student": rows}))
    task, examples, rows = scored(100, lambda row: float("nan"), rng)
    assert "length-bias" not in found(evidence(task, examples, {"student": rows}))


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=30, max_size=60))
def test_rank_correlation_is_spearmans(pairs):
    a, b = zip(*pairs, strict=True)
    result = rank_correlation(a, b, [str(i) for i in range(len(a))])
    if len(set(a)) < 2 or len(set(b)) < 2:
        assert result is None
    else:
        assert result[0] == pytest.approx(spearmanr(a, b).statistic)
        assert 0 <= result[1] <= 1


def test_answers_of_another_length_than_those_of_training():
    examples, rows, training = clean(6)
    rows["student"] = [answer(TOPICS, e, f"Answer: {e['gold']}") for e in examples]
    figures = found(evidence(TOPICS, examples, rows, training))["answer-length"].figures
    assert figures["words"] == pytest.approx(2)
    assert figures["words_trained_on"] == pytest.approx(
        np.exp(np.mean([np.log(len(row["completion"].split())) for row in training]))
    )
    rows["student"] = [answer(TOPICS, e, "") for e in examples]
    assert "answer-length" in found(evidence(TOPICS, examples, rows, training))


def form(e, i, kind):
    """An answer that only lenient rules find, one in the requested form, and one that a lenient rule reads falsely."""
    texts = {
        "lenient": f"She has {e['gold']} of them.",
        "strict": f"So she has {e['gold']} of them.\nAnswer: {e['gold']}",
        "misread": f"She has {e['gold']} of them, out of {i + 1000}.",
        "misread before": f"She has {e['gold']} of them, out of {i + 1000}.\nAnswer: {e['gold']}",
    }
    return answer(MATH, e, texts[kind])


def numbers(n=100):
    return [example(i, gold=str(i + 7), question=prose(random.Random(i), 20)) for i in range(n)]


def systems(examples, **kinds):
    return {name.replace("_", "-"): [form(e, i, kind) for i, e in enumerate(examples)] for name, kind in kinds.items()}


def test_format_sensitivity_and_the_ranking_by_form():
    examples = numbers()
    rows = systems(examples, base="lenient", student="strict")
    pitfall = found(evidence(MATH, examples, rows))
    (figures,) = pitfall["format-sensitivity"].figures["systems"]
    assert (figures["system"], figures["strict"], figures["lenient"], figures["n"]) == ("base", 0, 100, 100)
    assert "ranking-depends-on-reading" not in pitfall, "both are equal when read leniently"
    assert "false-reading" not in pitfall, "the rule reads the reasoning of the student as it should"
    rows["student"] = [form(e, i, "strict") if i < 60 else answer(MATH, e, "Answer: 0") for i, e in enumerate(examples)]
    (turned,) = found(evidence(MATH, examples, rows))["ranking-depends-on-reading"].figures["turned"]
    assert (turned["strict"]["difference"], turned["lenient"]["difference"]) == (
        pytest.approx(-0.6),
        pytest.approx(0.4),
    )
    few = {
        **systems(examples, student="strict"),
        "base": [form(e, i, "lenient" if i < 4 else "strict") for i, e in enumerate(examples)],
    }
    assert "format-sensitivity" not in found(evidence(MATH, examples, few)), "4 points, and the margin is 5"


def test_answers_that_lenient_rules_read_falsely():
    examples = numbers()
    rows = systems(examples, base="misread", student="misread before")
    (base,) = found(evidence(MATH, examples, rows))["false-reading"].figures["systems"]
    assert base["system"] == "base"
    assert base["leniently"] == 100
    assert base["rules"] == {"last-number": {"read": 100, "tried": 100, "false": 100}}
    assert base["likely"] == 100
    assert base["at_least"] == pytest.approx(96.3, abs=0.1)
    alone = systems(examples, base="misread")
    assert "false-reading" not in found(evidence(MATH, examples, alone)), "no text shows how well the rule reads"
    strict = systems(examples, student="misread before")
    assert "false-reading" not in found(evidence(MATH, examples, strict)), "no answer is read leniently"


def test_disputed_gold():
    """Three systems of two models give one answer to four questions; two systems, or one model, dispute nothing."""
    examples = numbers()

    def wrong(other, ids):
        return [answer(MATH, e, f"Answer: {other(i) if i in ids else e['gold']}") for i, e in enumerate(examples)]

    same = wrong(lambda i: i + 500, range(4))
    rows = {"base": same, "student": same, "teacher-cot": wrong(lambda i: f"{i + 500}.0", range(6))}
    figures = found(evidence(MATH, examples, rows))["disputed-gold"].figures
    assert (figures["disputed"], figures["ids"]) == (4, ["q0", "q1", "q2", "q3"])
    assert "disputed-gold" in found(evidence(MATH, examples, {"student": same, "student-cot": same, "rival": same}))
    for others in ({"base": same, "student": same}, {"student": same, "student-cot": same, "student-direct": same}):
        assert "disputed-gold" not in found(evidence(MATH, examples, others))
    differ = {"base": same, "student": same, "teacher-cot": wrong(lambda i: i + 600, range(4))}
    assert "disputed-gold" not in found(evidence(MATH, examples, differ))


def test_labels_that_are_disputed_by_chance_are_not():
    """With two labels all wrong answers agree: independent errors of three systems at 60 % meet in 6 % of the questions."""
    task = Classification(labels=["yes", "no"])
    rng = random.Random(0)
    examples = [example(i, gold=rng.choice(["yes", "no"]), text=prose(rng, 12)) for i in range(400)]

    def guess(e):
        return answer(task, e, f"Answer: {e['gold'] if rng.random() < 0.6 else {'yes': 'no', 'no': 'yes'}[e['gold']]}")

    rows = {name: [guess(e) for e in examples] for name in ("base", "student", "teacher-cot")}
    together = sum(all(of[i]["outcome"] == "incorrect" for of in rows.values()) for i in range(400))
    assert together > 10
    assert "disputed-gold" not in found(evidence(task, examples, rows))
    for of in rows.values():
        of[:60] = [answer(task, e, f"Answer: {'no' if e['gold'] == 'yes' else 'yes'}") for e in examples[:60]]
    assert "disputed-gold" in found(evidence(task, examples, rows))


@given(st.lists(st.floats(0, 1), max_size=7))
def test_the_probability_of_three_events(rates):
    """Against the sum over all outcomes."""
    total = 0.0
    for outcome in range(1 << len(rates)):
        happens = [outcome >> i & 1 for i in range(len(rates))]
        if sum(happens) >= 3:
            total += np.prod([rate if h else 1 - rate for rate, h in zip(rates, happens, strict=True)])
    assert _at_least(3, rates) == pytest.approx(total, abs=1e-9)


def test_excess_by_groups_is_less_certain():
    """Ten groups of ten equal questions are ten questions."""
    a, b = [i < 80 for i in range(100)], [i < 30 for i in range(100)]
    alone = excess(a, b, list(range(100)), 0.95)
    grouped = excess(a, b, [i // 10 for i in range(100)], 0.95)
    assert alone.difference == grouped.difference == 0.5
    assert grouped.high - grouped.low > 2 * (alone.high - alone.low)
    assert grouped.p_value > 1000 * alone.p_value
    assert excess([True], [False], ["a"], 0.95).p_value == 1
    assert (excess([], [], [], 0.95).low, excess([], [], [], 0.95).high) == (-1, 1)


CASES = {
    "one question": lambda examples, rows: (examples[:1], {name: of[:1] for name, of in rows.items()}),
    "no gold": lambda examples, rows: (
        [{**e, "gold": None} for e in examples],
        {name: [answer(TOPICS, {**e, "gold": None}, row["text"]) for e, row in zip(examples, of, strict=True)] for name, of in rows.items()},
    ),
    "one group": lambda examples, rows: (
        [{**e, "group": "g"} for e in examples], {name: [{**row, "group": "g"} for row in of] for name, of in rows.items()}
    ),
    "all right": lambda examples, rows: (
        examples, {name: [answer(TOPICS, e, f"Answer: {e['gold']}") for e in examples] for name in rows}
    ),
    "all wrong": lambda examples, rows: (
        examples, {name: [answer(TOPICS, e, f"Answer: {LABELS[LABELS.index(e['gold']) - 1]}") for e in examples] for name in rows}
    ),
    "a third failed": lambda examples, rows: (
        examples, {**rows, "student": [answer(TOPICS, e, "", error="outage") if i % 3 == 0 else row
                                       for i, (e, row) in enumerate(zip(examples, rows["student"], strict=True))]}
    ),
    "all failed": lambda examples, rows: (
        examples, {**rows, "student": [answer(TOPICS, e, "", error="outage") for e in examples]}
    ),
    "empty answers": lambda examples, rows: (examples, {name: [answer(TOPICS, e, "") for e in examples] for name in rows}),
    "no system": lambda examples, rows: (examples, {}),
    "NaN": lambda examples, rows: (
        examples,
        {name: [{**row, "scores": dict.fromkeys(row["scores"], float("nan"))} for row in of] for name, of in rows.items()},
    ),
    "same text": lambda examples, rows: ([{**e, "text": "same"} for e in examples], rows),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("with_training", [False, True])
@pytest.mark.parametrize("extraction", ["strict", "lenient"])
def test_bad_input_gives_numbers_that_json_can_write(case, with_training, extraction):
    examples, rows, training = clean(9, n=60)
    examples, rows = CASES[case](examples, rows)
    of = evidence(TOPICS, examples, rows, training if with_training else [], extraction=extraction)
    for pitfall in pitfalls(of):
        json.dumps(asdict(pitfall), allow_nan=False)
        assert "nan" not in pitfall.message
    if case == "a third failed":
        assert {pitfall.name for pitfall in pitfalls(of)} == {"few-questions"}
