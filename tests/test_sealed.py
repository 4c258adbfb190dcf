"""A test set is fixed at its first use, with how it is judged; every look at one of its questions is known."""

import pytest

from potstill.errors import PotstillError
from potstill.recipe import loading
from potstill.stages import sealed
from potstill.workspace.run import Run

RECIPE = """\
name: {name}
task: math
data: {{source: files, train: train.jsonl, test: test.jsonl}}
teacher: {{model: {{url: "http://127.0.0.1:9", model: t}}}}
student: {{model: packaged/b}}
"""
SETTINGS = {"margin": 0.05, "confidence": 0.95, "extraction": "lenient", "chosen": {"base": "base"}}


@pytest.fixture
def run(tmp_path):
    def run(name="one"):
        opened = Run(tmp_path / name, loading.parse(RECIPE.format(name=name)), tmp_path / "store.sqlite")
        opened.claim()
        return opened

    return run


def questions(*numbers, split="test", **columns):
    return [
        {"id": f"{split}-{i}", "split": split, "group": str(i), "question": f"How many are {i}?", "gold": str(i)}
        | columns
        for i in numbers
    ]


def test_the_first_look_seals_and_sees_nothing_before(run):
    seen = sealed.record_look(run(), "test", questions(1, 2), "student a", SETTINGS)
    assert (seen["looked_at_before"], seen["students"], seen["test_sets"]) == (0, 0, 1)
    assert (seen["settings"], seen["set_after_looking"]) == (SETTINGS, {})
    assert sealed.sealed_settings(run(), "test", questions(1, 2)) == SETTINGS
    assert sealed.sealed_settings(run(), "test", questions(3)) == {}
    assert sealed.sealed_settings(run(), "test_unseen", questions(1, split="test_unseen")) == {}


def test_looks_are_counted_by_question_over_the_runs_of_a_store(run):
    """Another run asks three of these questions, under other ids and with further columns, and one more."""
    one, two = run("one"), run("two")
    sealed.record_look(one, "test", questions(1, 2, 3, 4), "student a", SETTINGS)
    sealed.record_look(one, "test", questions(1, 2), "student b", SETTINGS)
    moved = [row | {"id": f"x{i}", "system": "Be brief."} for i, row in enumerate(questions(9, 3, 2, 4))]
    seen = sealed.record_look(two, "test", moved, "student c", SETTINGS)
    assert (seen["looked_at_before"], seen["students"]) == (3, 2)
    assert seen["set_after_looking"] == {}


def test_the_same_student_is_not_another_one(run):
    for _ in range(2):
        seen = sealed.record_look(run(), "test", questions(1, 2), "student a", SETTINGS)
    assert (seen["looked_at_before"], seen["students"]) == (0, 0)


def test_another_gold_is_another_question(run):
    sealed.record_look(run("one"), "test", questions(1, 2), "student a", SETTINGS)
    seen = sealed.record_look(run("two"), "test", questions(1, 2, gold="7"), "student b", SETTINGS)
    assert (seen["looked_at_before"], seen["students"]) == (0, 0)


def test_many_questions(run):
    sealed.record_look(run("one"), "test", questions(*range(1500)), "student a", SETTINGS)
    seen = sealed.record_look(run("two"), "test", questions(*range(1000, 2500)), "student b", SETTINGS)
    assert seen["looked_at_before"] == 500


def test_what_is_set_after_looking_is_marked_with_both_values(run):
    sealed.record_look(run(), "test", questions(1), "student a", SETTINGS)
    changed = SETTINGS | {"margin": 0.1, "chosen": {"base": "base-direct"}}
    seen = sealed.record_look(run(), "test", questions(1), "student a", changed)
    assert seen["set_after_looking"] == {
        "margin": {"sealed": 0.05, "now": 0.1},
        "chosen": {"sealed": {"base": "base"}, "now": {"base": "base-direct"}},
    }
    assert seen["settings"] == SETTINGS
    assert sealed.record_look(run(), "test", questions(1), "student b", SETTINGS)["set_after_looking"] == {}


def test_other_training_data_does_not_open_the_seal(run, tmp_path):
    """The same questions, with another limit on the rows: the margin that was set first is known."""
    sealed.record_look(run(), "test", questions(1), "student a", SETTINGS)
    text = RECIPE.format(name="one").replace("test: test.jsonl", "test: test.jsonl, limit: 9")
    other = Run(tmp_path / "one", loading.parse(text), tmp_path / "store.sqlite")
    seen = sealed.record_look(other, "test", questions(1), "student b", SETTINGS | {"margin": 0.1})
    assert list(seen["set_after_looking"]) == ["margin"]


def test_changed_questions_are_refused_and_other_columns_are_not(run):
    sealed.record_look(run(), "test", questions(1, 2), "student a", SETTINGS)
    sealed.require_unchanged(run(), "test", questions(2, 1, system="Be brief."))
    sealed.require_unchanged(run(), "test_unseen", questions(3, split="test_unseen"))
    sealed.require_unchanged(run("two"), "test", questions(3))
    for changed in (questions(1), questions(1, 2, 3), questions(1, 2, gold="7")):
        with pytest.raises(PotstillError, match="a test set is fixed at its first use"):
            sealed.require_unchanged(run(), "test", changed)
