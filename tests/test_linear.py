"""The linear model on TF-IDF: what it learns, what it cannot, and that odd rows have defined answers."""

import random
from statistics import mean

import pytest

from potstill.errors import PotstillError
from potstill.stages.evaluate import linear
from potstill.stages.evaluate.linear import LinearModel, labelled
from potstill.tasks.registry import parse_task

LABELS = parse_task({"name": "classification", "labels": ["late", "lost", "broken"]})
SEVERAL = parse_task({"name": "classification", "labels": ["late", "lost", "broken"], "multi": True})
NLI = parse_task("nli")
SAID = {
    "late": ["came a week late", "is delayed again", "took far too long", "arrived after the holidays"],
    "lost": ["never arrived", "is missing", "was lost at sea", "cannot be found anywhere"],
    "broken": ["has a crack", "came in pieces", "does not switch on", "is damaged on one side"],
}
THINGS = ["parcel", "lamp", "chair", "clock", "kettle", "book", "radio", "mirror", "table", "vase"]


def row(i, text, gold, group=None):
    return {"id": str(i), "group": group or str(i), "text": text, "gold": gold}


def complaints(n, seed):
    """Complaints whose words say the label, with one of three other words in each."""
    draw = random.Random(seed)
    for i in range(n):
        label = draw.choice(list(SAID))
        number, thing = draw.randrange(10_000), draw.choice(THINGS)
        yield row(i, f"Order {number}: my {thing} {draw.choice(SAID[label])}.", label)


def texts(model, rows):
    return [completion.text for completion in model.answers(list(rows))]


def accuracy(model, rows):
    rows = list(rows)
    read = [model.task.parse(text, "stop", one, strict=True).answer for text, one in zip(texts(model, rows), rows, strict=True)]  # fmt: skip
    return sum(answer == one["gold"] for answer, one in zip(read, rows, strict=True)) / len(rows)


def test_it_learns_labels_that_follow_from_words_and_nothing_from_shuffled_ones():
    """Twelve phrases decide, so that a model of shuffled labels is right about a third of them, with a standard deviation of 0.14;
    the mean of twenty such models is within 0.13 of that with a probability above 0.9999."""
    train, test = list(complaints(240, 1)), list(complaints(300, 2))
    assert accuracy(LinearModel(LABELS, train, 0), test) > 0.98
    golds, found = [one["gold"] for one in train[:80]], []
    for seed in range(20):
        random.Random(seed).shuffle(golds)
        shuffled = [one | {"gold": gold} for one, gold in zip(train, golds, strict=False)]
        found.append(accuracy(LinearModel(LABELS, shuffled, 0), test))
    assert mean(found) == pytest.approx(1 / 3, abs=0.13)


def test_the_strength_is_chosen_by_cross_validation_and_repeatable():
    """Where labels are noise, the strongest regularization predicts the commonest label, which no other beats."""
    draw = random.Random(5)
    noise = [row(i, " ".join(draw.choices(THINGS, k=4)), "late" if i % 4 else "lost") for i in range(200)]
    assert LinearModel(LABELS, noise, 0).strength == min(linear.STRENGTHS)
    train, test = list(complaints(60, 1)), list(complaints(50, 2))
    first, second = (LinearModel(LABELS, train, 7) for _ in range(2))
    assert first.strength == second.strength
    assert texts(first, test) == texts(second, test)


def test_rows_of_a_group_are_in_one_fold():
    groups = [str(i % 7) for i in range(100)] + ["large"] * 50
    held_out = []
    for fitted, held in linear._folds(groups):
        assert not {groups[i] for i in fitted} & {groups[i] for i in held}
        held_out += list(held)
    assert sorted(held_out) == list(range(150))
    assert len(linear._folds(groups)) == 3
    assert len(linear._folds(["a", "b", "b"])) == 2
    assert linear._folds(["a", "a"]) == []


def test_at_most_so_many_questions_in_whole_groups_choose_the_strength(monkeypatch):
    monkeypatch.setattr(linear, "CHOSEN_ON", 50)
    groups = [str(i // 4) for i in range(400)]
    drawn = linear._drawn(groups, 1)
    assert len(drawn) == 52
    assert {groups[i] for i in drawn} == {groups[i] for i in drawn[::4]}
    assert list(drawn) == list(linear._drawn(groups, 1)) != list(linear._drawn(groups, 2))


def test_a_question_counts_once_with_the_answer_of_most_of_its_rows_and_of_equals_the_first():
    rows = [
        row(1, "My LAMP is gone", "late"), row(2, "my lamp  is gone", "lost"), row(3, "my lamp is gone", "lost"),
        row(4, "The clock stopped", "broken"), row(5, "the clock stopped", "late"),
    ]  # fmt: skip
    first, second = labelled(LABELS, rows)
    assert (first.texts, first.labels, first.group) == (("my lamp is gone",), {"lost"}, "1")
    assert second.labels == {"broken"}


def test_several_labels_or_none():
    draw = random.Random(4)
    rows = []
    for i in range(200):
        labels = [label for label in SAID if draw.random() < 0.4]
        text = "; ".join(draw.choice(SAID[label]) for label in labels) or f"thank you for the {draw.choice(THINGS)}"
        rows.append(row(i, text, SEVERAL.parse_gold(labels, {})))
    assert {"none", "late, lost", "late, lost, broken"} <= {one["gold"] for one in rows}
    assert accuracy(LinearModel(SEVERAL, rows[:150], 0), rows[150:]) > 0.9
    nothing = [one | {"gold": "none"} for one in rows]
    assert set(texts(LinearModel(SEVERAL, nothing, 0), rows)) == {"none"}
    everything = [one | {"gold": "late, lost"} for one in rows]
    assert set(texts(LinearModel(SEVERAL, everything, 0), rows)) == {"late, lost"}


def test_premise_and_hypothesis_are_told_apart():
    """The same words contradict in the one column and follow in the other."""
    pairs = [
        ("nobody came", "they sang", "contradiction"), ("they sang", "nobody came", "entailment"),
        ("a man waits", "a woman waits", "neutral"),
    ] * 5  # fmt: skip
    rows = [
        {"id": str(i), "group": str(i), "premise": f"{a} {i}", "hypothesis": f"{b} {i}", "gold": gold}
        for i, (a, b, gold) in enumerate(pairs)
    ]
    assert accuracy(LinearModel(NLI, rows, 0), rows) == 1.0


@pytest.mark.parametrize(
    ("said", "late", "lost"),
    [
        ("没有收到包裹{}", "太晚了", "丢失了"),
        ("荷物が届きません{}", "遅れています", "紛失しました"),
        ("พัสดุ{}", "มาช้า", "หายไป"),
        ("посылка {} ", "опоздала", "потеряна"),
        ("الطرد {} ", "متأخر", "مفقود"),
    ],
)
def test_texts_of_any_script(said, late, lost):
    """Only the end of each text says the label, without a space before it in scripts that have none."""
    rows = [
        row(i, said.format(i % 7) + end, label) for i in range(40) for label, end in (("late", late), ("lost", lost))
    ]
    assert accuracy(LinearModel(LABELS, rows[:40], 0), rows[40:]) == 1.0


@pytest.mark.parametrize(
    ("rows", "answer"),
    [
        ([row(1, "gone", "lost")], "lost"),
        ([row(1, "gone", "lost"), row(2, "late again", "lost")], "lost"),
        ([row(1, "", "lost"), row(2, " ", "lost"), row(3, "!!", "lost"), row(4, "??", "late")], "lost"),
        ([row(1, "\u200b", "broken"), row(2, "", "broken")], "broken"),
        ([row(i, f"?{'!' * i}", "late" if i % 3 else "lost") for i in range(12)], "late"),
        ([row(i, THINGS[i], "late" if i % 3 else "lost", "one group") for i in range(10)], "late"),
    ],
)
def test_rows_without_a_choice_give_the_commonest_label(rows, answer):
    """One row, one label, no words, no characters, one group."""
    model = LinearModel(LABELS, rows, 0)
    assert texts(model, [row("t", "something new", None), row("u", "", None)]) == [answer] * 2


def test_a_label_that_no_row_has_is_never_answered():
    train = [one for one in complaints(200, 1) if one["gold"] != "broken"]
    test = [one for one in complaints(100, 2) if one["gold"] == "broken"]
    assert test
    model = LinearModel(LABELS, train, 0)
    assert set(texts(model, test)) <= {"late", "lost"}
    assert accuracy(model, test) == 0.0


def test_without_rows_there_is_one_message():
    with pytest.raises(PotstillError, match="no training row is kept"):
        LinearModel(LABELS, [], 0)


ODD = ["yes", "no", "I cannot help", "1", "2.0", "none", "a/b", "**bold**", "neither of them", "Ja, gern", "是", "{x}"]  # fmt: skip


def test_every_label_is_read_as_it_was_meant():
    task = parse_task({"name": "classification", "labels": ODD})
    rows = [row(f"{i}-{label}", f"thing{i} {i * 'x'}", label) for i, label in enumerate(ODD) for _ in range(3)]
    model = LinearModel(task, rows, 0)
    for label, one in {one["gold"]: one for one in rows}.items():
        (completion,) = model.answers([one])
        assert completion.text == label
        for strict in (True, False):
            assert task.parse(completion.text, completion.finish_reason, one, strict=strict).answer == label


def test_an_answer_is_a_finished_completion_without_tokens():
    (completion,) = LinearModel(LABELS, complaints(30, 1), 0).answers([row("t", "is missing", None)])
    assert (completion.id, completion.text, completion.finish_reason) == ("t", "lost", "stop")
    assert (completion.prompt_tokens, completion.completion_tokens, completion.error) == (0, 0, None)
    assert 0 < completion.seconds < 5


def test_huge_texts_are_read_to_a_limit_in_time():
    """A million characters without a space, of few letters or of one, are a trap for n-grams; what comes first decides."""
    tails = ["x" * 1_000_000, "ab" * 500_000, "a b " * 250_000, "é" * 300_000, "字" * 300_000]
    rows = [row(i, f"{label} " + tails[i % 5], label) for i, label in enumerate(["late", "lost"] * 15)]
    assert accuracy(LinearModel(LABELS, rows, 0), [row("t", "late " + "z" * 1_000_000, "late")]) == 1.0


def test_texts_of_thousands_of_rows_are_read_to_the_same_length(monkeypatch):
    """Beyond the limit for all rows only words count, not their parts."""
    monkeypatch.setattr(linear, "ALL_CHARACTERS", 1)
    monkeypatch.setattr(linear, "MIN_CHARACTERS", 10)
    rows = [row(i, f"0123456789 {'latex' if i % 2 else 'lossy'}", "late" if i % 2 else "lost") for i in range(20)]
    model = LinearModel(LABELS, rows, 0)
    kinds = [vectorizer.get_feature_names_out().tolist() for _, _, vectorizer in model._features._vectorizers]
    assert "latex" in kinds[0]
    assert not any("l" in n_gram for n_gram in kinds[1])
