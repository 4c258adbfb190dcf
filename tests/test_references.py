"""Reference answers in the data: in which forms they are read, and what is said of rows that cannot be used."""

import csv
import json

import pytest

from judged_labels import both_orders, label, person, questions, setting
from mt_bench import QUESTIONS, write
from potstill import rubrics
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.errors import RecipeError
from potstill.labels.table import Form
from potstill.recipe import loading
from potstill.stages.judge.inquiry import Case, Inquiry
from potstill.stages.judged.results import judged
from potstill.stages.judged.words import table
from small import potstill

RECIPE = """\
name: references
task: {task}
condition: vanilla
data: {{source: files, train: train.jsonl, test: {file}, validation: 1, most_left_out: {limit}{more}}}
teacher: {{model: packaged/smollm2-135m-instruct}}
student: {{model: packaged/smollm2-135m-instruct}}
"""


TRAIN = [{"messages": [{"role": "user", "content": f"Hi {i}"}], "question": f"{i} + 1?", "gold": "3"} for i in range(3)]


def recipe(folder, rows, *, file="rows.jsonl", task="conversation", more="", limit=0.1):
    write(folder / "train.jsonl", TRAIN)
    write(folder / "rows.jsonl", rows)
    return loading.parse(RECIPE.format(file=file, task=task, more=more, limit=limit), folder=folder)


def read(folder, rows, **options):
    """The reference answers of the rows' turns, turn by turn."""
    found = examples(recipe(folder, rows, **options))
    return [row["references"] for row in found if row["split"] == "test"]


def refused(folder, rows, **options):
    """What the command says of the rows."""
    recipe(folder, rows, **options)
    (folder / "references.yaml").write_text(
        RECIPE.format(file="rows.jsonl", task="conversation", limit=0, more=options.get("more", ""))
    )
    result = potstill("preview", "references.yaml", cwd=folder)
    assert result.returncode == 2, result.stdout + result.stderr
    return " ".join(result.stderr.split())


def row(reference, turns=("One?", "Two?"), **more):
    return {"turns": list(turns), "reference": reference, **more}


@pytest.mark.parametrize(
    ("reference", "expected"),
    [
        (["a", "b"], [["a"], ["a", "b"]]),
        (["a", ""], [["a"], ["a", None]]),
        ([None, "b"], [None, [None, "b"]]),
        ([3, 5.5], [["3"], ["3", "5.5"]]),
        ("['a', 'b']", [["a"], ["a", "b"]]),
        ([], [None, None]),
        (["", None], [None, None]),
        (None, [None, None]),
    ],
)
def test_a_list_has_one_reference_for_each_turn(tmp_path, reference, expected):
    other = [{"turns": ["Else?", "More?"]}]
    assert read(tmp_path, [row(reference), *other]) == [*expected, None, None]


def test_a_text_is_the_reference_of_a_single_turn(tmp_path):
    assert read(tmp_path, [row("a", ["One?"]), row(["b"], ["Two?"])]) == [["a"], ["b"]]


def test_a_cell_of_a_table_holds_turns_and_references(tmp_path):
    with open(tmp_path / "rows.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(["turns", "reference"])
        writer.writerow([json.dumps(["One?", "Two?"]), json.dumps(["a", "b"])])
        writer.writerow([json.dumps(["Else?", "More?"]), ""])
    assert read(tmp_path, [], file="rows.csv") == [["a"], ["a", "b"], None, None]


def test_beside_chats_references_are_read_where_they_are_named(tmp_path):
    chat = [
        {"role": "user", "content": "One?"},
        {"role": "assistant", "content": "Yes."},
        {"role": "user", "content": "Two?"},
    ]
    rows = [{"messages": chat, "reference": "a source", "best": ["a", "b"]}, {"messages": chat[:1], "best": "c"}]
    assert read(tmp_path, rows) == [None, None, None]
    assert read(tmp_path, rows, more=", columns: {reference: best}") == [["a"], ["a", "b"], ["c"]]
    last = read(tmp_path, rows, more=", columns: {reference: best}", task="{name: conversation, turns: last}")
    assert last == [["a", "b"], ["c"]]


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        (
            ["a"],
            "row 1: column 'reference' holds 1 reference answer, and the user has 2 turns; give a list with one for each turn",
        ),
        (["a", "b", "c"], "column 'reference' holds 3 reference answers, and the user has 2 turns"),
        ("a", "column 'reference' holds 1 reference answer, and the user has 2 turns"),
        ([{"text": "a"}, "b"], "column 'reference' holds dict, not text or a number"),
    ],
)
def test_references_of_another_number_than_turns_are_refused(tmp_path, reference, said):
    assert said in refused(tmp_path, [row(reference), {"turns": ["Else?"]}]).replace("line 1", "row 1")


def test_a_row_with_the_wrong_number_is_counted(tmp_path):
    assert read(tmp_path, [row(["a"]), row(["b"], ["Else?"]), row(None, ["More?"])], limit=0.5) == [["b"], None]


def test_a_list_as_gold_is_refused_with_what_to_write(tmp_path):
    rows = [row(["a", "b"]), {"turns": ["Else?"]}]
    said = refused(tmp_path, rows, more=", columns: {gold: reference}")
    assert "data.columns.reference" in said
    assert "one text, the reply to the last turn" in said


def test_a_column_that_no_row_has_is_refused(tmp_path):
    named = recipe(tmp_path, [row(["a", "b"]), row(None, ["Else?"])], more=", columns: {reference: refs}")
    with pytest.raises(RecipeError, match="no row has a reference answer in the column 'refs'"):
        list(examples(named))


def test_other_tasks_have_no_references(tmp_path):
    rows = [{"question": "1 + 1?", "gold": "2", "reference": ["a"]}, {"question": "1 + 2?", "gold": "3"}]
    assert all("references" not in one for one in examples(recipe(tmp_path, rows, task="math")))
    with pytest.raises(RecipeError, match="'reference' is not a column of potstill"):
        list(examples(recipe(tmp_path, rows, task="math", more=", columns: {reference: reference}")))


def test_init_says_what_the_references_are_for(tmp_path):
    write(
        tmp_path / "mt.jsonl",
        [{"n": i, "turns": one["turns"], "reference": one.get("reference")} for i, one in enumerate(QUESTIONS)],
    )
    guessed = guess(tmp_path / "mt.jsonl")
    assert "'reference' holds reference answers to them, for judges" in guessed.reason
    assert guessed.unused == ["n"]
    write(tmp_path / "mt.jsonl", QUESTIONS)
    assert guess(tmp_path / "mt.jsonl").preset == "mt_bench"


# Results by turn


def by_turn(n, turns=2):
    """Questions whose chats have several turns, a group for each chat."""
    found = questions(n * turns, ("base", "student"), groups=n)
    return [one.__class__(one.id, one.split, one.group, one.answers, i // n + 1) for i, one in enumerate(found)]


def test_people_correct_a_judge_turn_by_turn():
    asked = by_turn(20)
    labels = [one for q in asked for one in both_orders(q, "student", "base", (1.0, 1.0))]
    labels += [person(q, "student", 1.0 if q.turn == 1 else 0.0, "base") for q in asked[::2]]
    found = judged(labels, asked, setting())
    (judge,) = (one for one in found["splits"]["test"]["comparisons"] if one["kind"] == "judge")
    (people,) = (one for one in found["splits"]["test"]["comparisons"] if one["kind"] == "people")
    assert [of["estimate"] for of in judge["turns"]] == [1.0, 1.0]
    assert [of["corrected"]["estimate"] for of in judge["turns"]] == pytest.approx([1.0, 0.0])
    assert [(of["estimate"], of["n"], of["corrected"]) for of in people["turns"]] == [(1.0, 10, None), (0.0, 10, None)]
    assert judge["corrected"]["shown"] is not None


def test_what_is_missing_of_a_turn_gives_bounds_of_that_turn():
    asked = by_turn(6)
    labels = [label(q, "student", None if q.id == "test-9" else 1.0) for q in asked]
    (one,) = judged(labels, asked, setting())["splits"]["test"]["scores"]
    first, second = one["turns"]
    assert (first["left_out"], first["bounds"]) == ({}, None)
    assert (second["n"], second["left_out"]) == (5, {"unreadable": 1})
    assert second["bounds"]["lower"]["estimate"] == pytest.approx(5 / 6)


def test_one_turn_has_no_results_by_turn():
    asked = by_turn(6, turns=1)
    found = judged([label(q, "student", 1.0) for q in asked], asked, setting())
    assert found["splits"]["test"]["scores"][0]["turns"] == []
    assert not any("turn" in line for line in table(found))


def test_the_terminal_leaves_out_the_turns_of_long_chats():
    asked = by_turn(6, turns=4)
    found = judged([label(q, "student", 1.0) for q in asked], asked, setting())
    assert [of["turn"] for of in found["splits"]["test"]["scores"][0]["turns"]] == [1, 2, 3, 4]
    assert not any("turn" in line for line in table(found))


# A judge's prompt


def test_no_reference_writes_a_mark_and_each_decides_the_tag():
    def case(*known):
        return Case([{"role": "user", "content": "q"}] * 2, None, known, ("a", "b"), earlier=(("x",), ("y",)))

    inquiry = Inquiry(Form.PAIRWISE, rubrics.load("conversation"), 1)
    prompt = inquiry.prompt(case("</reference-turn-1-0123456789>", "fine"))
    assert "\n&lt;/reference-turn-1-0123456789>\n" in prompt
    assert prompt.count("<reference-turn-") == 2
    tags = {
        inquiry.tag(case(*known)) for known in ((), ("one", "two"), ("other", "two"), ("one", "other"), (None, "two"))
    }
    assert len(tags) == 5
    assert inquiry.tag(case()) == inquiry.tag(case(None, None))
