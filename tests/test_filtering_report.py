"""What the report says of filtering by correctness."""

from potstill.stages.report.filtering import effects_of_correctness
from potstill.tasks.math import Math


def tables(*rows):
    """Curated rows and examples from (steps, group, number of words, whether correct)."""
    examples = [
        {"id": str(i), "steps": steps, "group": group, "question": " ".join(["word"] * words)}
        for i, (steps, group, words, _) in enumerate(rows)
    ]
    return [{"id": str(i), "correct": row[3]} for i, row in enumerate(rows)], examples


def test_it_counts_by_steps_length_and_group():
    rows = [("1", "a", 10, True)] * 4 + [("2", "b", 20, True), ("2", "b", 20, False)] + [("3", "c", 30, False)] * 3
    assert effects_of_correctness(*tables(*rows), Math()) == {
        "steps": [("1", 4, 4), ("2", 2, 1), ("3", 3, 0)],
        "length of the question": [("10 to 29 words", 6, 5), ("30 words or more", 3, 0)],
        "group": [("c", 3, 0), ("b", 2, 1), ("a", 4, 4)],
    }


def test_lengths_are_in_order_and_cover_all_rows():
    rows = [(None, str(i), 5 + 15 * i, i % 2 == 0) for i in range(12)]
    (effect,) = effects_of_correctness(*tables(*rows), Math()).values()
    assert [kind for kind, *_ in effect] == ["5 to 64 words", "65 to 124 words", "125 words or more"]
    assert (sum(n for _, n, _ in effect), sum(correct for *_, correct in effect)) == (12, 6)


def test_steps_are_in_the_order_of_their_numbers():
    rows = [(steps, "g", 10, True) for steps in ("10", "2", "1")]
    assert [kind for kind, *_ in effects_of_correctness(*tables(*rows), Math())["steps"]] == ["1", "2", "10"]


def test_unknown_correctness_shows_nothing():
    rows = [("1", "a", 10, None), ("2", "b", 20, None)]
    assert effects_of_correctness(*tables(*rows), Math()) == {}


def test_many_groups_are_cut_to_those_that_lost_most():
    rows = [("1", f"g{i:02}", 10, correct) for i in range(20) for correct in (True, i < 15)]
    rows += [("1", "alone", 10, False)]  # the only question of its group
    effect = effects_of_correctness(*tables(*rows), Math())["group"]
    assert len(effect) == 12
    assert effect[:5] == [(f"g{i}", 2, 1) for i in range(15, 20)]
