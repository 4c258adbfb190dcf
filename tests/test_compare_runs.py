"""`potstill compare`: two runs, paired question by question."""

import json

import pytest

import small
from evaluated import evaluated_run, example, run_with
from potstill.errors import PotstillError, RecipeError
from potstill.stages.evaluate.between_runs import compare_runs
from potstill.stats import mean_interval
from potstill.workspace import artifacts

RIGHT, WRONG = "correct", "incorrect"


def pair(tmp_path, of_a, of_b, group_of_a=None, group_of_b=None):
    """Two runs over the same questions, in another order and under other ids in the second."""
    examples = [example(f"q{i}", group=group_of_a) for i in range(len(of_a))]
    others = [one | {"id": f"other-{one['id']}", "group": group_of_b or one["id"]} for one in reversed(examples)]
    a = evaluated_run(tmp_path, examples, {"student": of_a}, name="a")
    b = evaluated_run(tmp_path, others, {"student": list(reversed(of_b))}, name="b")
    return a, b


def test_questions_are_paired_by_what_they_ask_and_not_by_their_ids(tmp_path):
    a, b = pair(tmp_path, [RIGHT] * 8 + [WRONG] * 4, [WRONG] * 3 + [RIGHT] * 6 + [WRONG] * 3, group_of_b="x")
    compared = compare_runs(a, b)
    (values,) = compared["splits"].values()
    assert (values["n"], values["only_a"], values["only_b"], values["excluded"]) == (12, 3, 1, 0)
    assert values["difference"] == pytest.approx(2 / 12)
    assert values["p_value"] == pytest.approx(2 * (1 + 4) / 2**4)  # McNemar, exact
    assert values["low"] < 0 < values["high"]
    assert values["groups"] == 12, "the groups are those of the first run"
    assert [one["a"]["id"] for one in values["won"]] == ["q0", "q1", "q2"]
    assert [(one["a"]["id"], one["b"]["id"]) for one in values["lost"]] == [("q8", "other-q8")]
    assert values["won"][0] == {
        "question": "What is q0?", "gold": "7",
        "a": {"id": "q0", "answer": "7", "outcome": RIGHT}, "b": {"id": "other-q0", "answer": "7", "outcome": WRONG},
    }  # fmt: skip
    assert values["correct"] == {"a": 8, "b": 6}


def test_the_other_way_round_is_the_negative(tmp_path):
    a, b = pair(tmp_path, [RIGHT] * 9 + [WRONG], [WRONG] * 5 + [RIGHT] * 5)
    (one,), (other,) = (compare_runs(*runs)["splits"].values() for runs in ((a, b), (b, a)))
    assert (one["difference"], one["low"]) == pytest.approx((-other["difference"], -other["high"]))
    assert len(one["won"]) == len(other["lost"]) == 5


@pytest.mark.parametrize("outcome", [RIGHT, WRONG])
def test_all_right_and_all_wrong_are_no_difference(tmp_path, outcome):
    a, b = pair(tmp_path, [outcome] * 100, [outcome] * 100)
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["difference"], values["p_value"], values["won"], values["lost"]) == (0, 1, [], [])
    assert values["low"] <= 0 <= values["high"]
    assert values["not_worse"]["shown"]


def test_one_group_shows_nothing(tmp_path):
    a, b = pair(tmp_path, [RIGHT] * 20, [WRONG] * 20, group_of_a="x")
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["n"], values["groups"], values["clustered"], values["finding"]) == (
        20,
        1,
        True,
        "not distinguishable",
    )
    assert (values["low"], values["high"], values["not_worse"]["shown"]) == (-1, 1, False)


def test_one_question_shows_nothing(tmp_path):
    a, b = pair(tmp_path, [RIGHT], [WRONG])
    (values,) = compare_runs(a, b)["splits"].values()
    assert values["n"] == 1
    assert values["p_value"] == 1
    assert values["low"] < 0
    assert not values["not_worse"]["shown"]


def test_a_system_that_failed_on_a_third_of_the_rows_leaves_these_out(tmp_path):
    a, b = pair(tmp_path, ["error"] * 4 + [RIGHT] * 8, [RIGHT] * 12)
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["n"], values["excluded"]) == (8, 4)
    assert values["lost"] == []


def test_only_common_questions_with_the_same_gold_count(tmp_path):
    first = [example("both"), example("mine"), example("gold", gold="8"), example("none", gold=None)]
    second = [example("yours"), example("gold", gold="9"), example("both"), example("none", gold=None)]
    a = evaluated_run(tmp_path, first, {"student": [RIGHT, WRONG, RIGHT, "answered"]}, name="a")
    b = evaluated_run(tmp_path, second, {"student": [RIGHT, RIGHT, WRONG, "answered"]}, name="b")
    compared = compare_runs(a, b)
    assert (compared["only_in_a"], compared["only_in_b"], compared["other_gold"]) == (2, 2, 1)
    (values,) = compared["splits"].values()
    assert [one["question"] for one in values["won"]] == ["What is both?"]


def test_a_question_that_a_test_set_holds_twice_is_paired_as_often_as_both_have_it(tmp_path):
    first = [example(name, question="What?") for name in ("a", "b", "c")]
    second = [example(name, question=question) for name, question in (("x", "what?"), ("y", "What?"))]
    a = evaluated_run(tmp_path, first, {"student": [RIGHT] * 3}, name="a")
    b = evaluated_run(tmp_path, second, {"student": [WRONG] * 2}, name="b")
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["n"], len(values["won"])) == (2, 2)


def test_splits_are_those_of_the_first_run(tmp_path):
    examples = [example("a"), example("b", split="test_unseen")]
    a = evaluated_run(tmp_path, examples, {"student": [RIGHT, WRONG]}, name="a")
    b = evaluated_run(tmp_path, [one | {"split": "test"} for one in examples], {"student": [WRONG, WRONG]}, name="b")
    splits = compare_runs(a, b)["splits"]
    assert {split: values["difference"] for split, values in splits.items()} == {"test_unseen": 0, "test": 1}


def test_other_systems_and_other_margins_are_said(tmp_path):
    examples = [example("a"), example("b")]
    a = evaluated_run(tmp_path, examples, {"base": [RIGHT, RIGHT]}, name="a", more=", margin: 0.1")
    b = evaluated_run(
        tmp_path, examples, {"student": [WRONG, WRONG]}, name="b", more=", confidence: 0.9, extraction: strict"
    )
    compared = compare_runs(a, b, "base", "student")
    assert (compared["margin"], compared["confidence"]) == (0.1, 0.95)
    notes = "; ".join(compared["notes"])
    assert "the margin is that of a, 0.1; b has 0.05" in notes
    assert "the confidence is that of a" in notes
    assert "lenient in a and strict in b" in notes


def test_what_cannot_be_compared_is_one_message(tmp_path):
    examples = [example("a")]
    a = evaluated_run(tmp_path, examples, {"student": [RIGHT]}, name="a")

    def refused(kind, message, run, *systems):
        with pytest.raises(kind, match=message) as raised:
            compare_runs(a, run, *systems)
        assert raised.value.exit_code == (2 if kind is RecipeError else 1)

    refused(
        RecipeError,
        "no test question with gold in common: 1 and 1",
        evaluated_run(tmp_path, [example("z")], {"student": [RIGHT]}, name="b"),
    )
    refused(
        RecipeError,
        "no test question with gold in common: 1 and 0",
        evaluated_run(tmp_path, [example("a", gold=None)], {"student": ["answered"]}, name="c"),
    )
    refused(PotstillError, "not evaluated yet", run_with(tmp_path, examples, name="d"))
    same = evaluated_run(tmp_path, examples, {"student": [RIGHT], "base": [WRONG]}, name="e")
    refused(RecipeError, "has no system 'bass'. Did you mean 'base'", same, "student", "bass")
    table = artifacts.predictions("student")
    same.write(table, same.read(table) * 2)
    refused(PotstillError, "two rows have the id 'a'", same)
    columns = {"premise": "p", "hypothesis": "h"}
    rows = [{k: v for k, v in examples[0].items() if k != "question"} | columns | {"gold": "neutral"}]
    refused(
        RecipeError,
        "has the task math, .* nli",
        evaluated_run(tmp_path, rows, {"student": [RIGHT]}, name="f", task="nli"),
    )


def described(tmp_path, name, words, gold=None):
    """A run of summaries in pairs of one group, with the scores of their lengths."""
    rows = [example(f"q{i}", gold=gold, group=f"g{i // 2}") for i in range(len(words))]
    rows = [{k: v for k, v in row.items() if k != "question"} | {"document": row["id"]} for row in rows]
    run = evaluated_run(tmp_path, rows, {"student": ["answered"] * len(rows)}, name=name, task="summarization")
    table = artifacts.predictions("student")
    scored = [row | {"scores": {"words": n, "density": None}} for row, n in zip(run.read(table), words, strict=True)]
    run.write(table, scored)
    return run


def test_summaries_are_described_and_nothing_is_found(tmp_path):
    a = described(tmp_path / "runs", "a", [10, 12, 20, 24, 30, 38])
    b = described(tmp_path / "runs", "b", [10, 10, 10, 20, 10, 20])
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["n"], values["excluded"], values["finding"]) == (6, 0, "not decided by scores")
    expected = mean_interval([0, 2, 10, 4, 20, 18], 0.95, ["g0", "g0", "g1", "g1", "g2", "g2"])
    assert tuple(values["scores"]["words"].values()) == pytest.approx(expected)
    assert list(values["scores"]) == ["words"]
    assert "won" not in values
    printed = small.potstill("compare", "a", "b", cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    assert "test: 6 questions. No score says which answers are correct; these describe them:" in printed.stdout
    assert f"  words: A minus B +9, 95% interval {expected[1]:+.3g} to {expected[2]:+.3g}" in printed.stdout
    assert "better" not in printed.stdout
    one_group = described(tmp_path / "runs", "c", [10, 12])
    (values,) = compare_runs(one_group, one_group)["splits"].values()
    assert values["scores"] == {}
    with pytest.raises(RecipeError, match="have no test question in common: 6 and 0"):
        compare_runs(a, described(tmp_path, "d", []))


def test_the_command_prints_few_questions_and_json_all(tmp_path):
    pair(tmp_path / "runs", [RIGHT] * 20, [WRONG] * 19 + [RIGHT])
    printed = small.potstill("compare", "a", "b", cwd=tmp_path)
    assert printed.returncode == 0, printed.stderr
    lines = printed.stdout.splitlines()
    assert lines[0] == "A is student of a, B is student of b."
    assert "test: 20 questions. Correct: A 20, B 1; only A 19, only B 0." in lines
    assert sum(line.startswith("  + ") for line in lines) == 6
    assert "  + and 14 more; --json lists all" in lines
    assert "A is better" in printed.stdout
    everything = json.loads(small.potstill("compare", "a", "b", "--json", cwd=tmp_path).stdout)
    assert len(everything["splits"]["test"]["won"]) == 19
    assert small.potstill("compare", "a", "c", cwd=tmp_path).returncode == 2


def test_a_question_of_multiple_choice_is_the_same_in_another_order_of_options(tmp_path):
    def examples(options, gold):
        made = example("a", question="Which?", gold=gold)
        return [made | {"options": options}]

    a = evaluated_run(tmp_path, examples(["x", "y"], "A"), {"student": [RIGHT]}, name="a", task="multiple_choice")
    b = evaluated_run(tmp_path, examples(["y", "x"], "B"), {"student": [WRONG]}, name="b", task="multiple_choice")
    (values,) = compare_runs(a, b)["splits"].values()
    assert (values["n"], values["only_a"], values["labels"]) == (1, 1, {})
    (values,) = compare_runs(a, a)["splits"].values()
    assert set(values["labels"]) == {a.task.label_score}
