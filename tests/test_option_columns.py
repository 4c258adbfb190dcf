"""Choice questions whose options stand in columns of their own."""

import json

import pytest

from data_recipes import lines, read
from potstill.data.draft import recipe_text
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.data.option_columns import option_columns
from potstill.errors import RecipeError
from potstill.recipe import loading
from small import potstill

DATA = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 2}
METALS = ["iron", "gold", "tin", "lead"]


def table(names, gold, n=16):
    """Questions whose correct option is the i-th; ``gold(i)`` gives the columns that say so."""
    return [
        {"question": f"Which metal is {METALS[i % 4]}, of {i}?", **dict(zip(names, METALS, strict=True)), **gold(i % 4)}
        for i in range(n)
    ]


def is_right(row):
    """Whether gold marks the metal that the question names."""
    return row["options"]["ABCD".index(row["gold"])] in row["question"]


TABLES = {
    "letters": table("ABCD", lambda i: {"answer": "ABCD"[i]}),
    "small letters": table("abcd", lambda i: {"answer": "ABCD"[i]}),
    "MedMCQA": table(["opa", "opb", "opc", "opd"], lambda i: {"cop": i}),
    "MedMCQA, counted from 1": table(["opa", "opb", "opc", "opd"], lambda i: {"cop": i + 1}),
    "digits from 0": table(["opa", "opb", "opc", "opd"], lambda i: {"cop": str(i)}),
    "digits from 1": table(["option1", "option2", "option3", "option4"], lambda i: {"answer": str(i + 1)}),
    "pandas' numbers": table(["opa", "opb", "opc", "opd"], lambda i: {"cop": float(i)}),
    "endings": table(["ending0", "ending1", "ending2", "ending3"], lambda i: {"label": i}),
    "names of columns": table(
        ["Option A", "Option B", "Option C", "Option D"], lambda i: {"Correct": f"option_{'abcd'[i]}"}
    ),
    "texts": table(["choice_1", "choice_2", "choice_3", "choice_4"], lambda i: {"answer": METALS[i].title()}),
}


@pytest.mark.parametrize("name", TABLES)
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_init_guesses_them_and_the_reader_agrees(name, kind, tmp_path):
    rows = TABLES[name]
    path = tmp_path / f"r.{kind}"
    cells = [list(rows[0]), *(list(map(str, row.values())) for row in rows)]
    path.write_text(lines(rows) if kind == "jsonl" else "\n".join(";".join(row) for row in cells))
    guessed = guess(path)
    assert (guessed.task["name"], guessed.unused) == ("multiple_choice", [])
    parsed = loading.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", tmp_path)
    read_rows = list(examples(parsed))
    assert len(read_rows) == 16
    assert all(map(is_right, read_rows))


def test_numbers_that_are_the_texts_of_options_are_no_places(tmp_path):
    rows = [{"question": f"{i % 4} + 1?", "options": ["2", "1", "4", "3"], "answer": str(i % 4 + 1)} for i in range(24)]
    path = tmp_path / "r.jsonl"
    path.write_text(lines(rows))
    guessed = guess(path)
    parsed = loading.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", tmp_path)
    assert guessed.task == {"name": "multiple_choice"}
    for row in examples(parsed):
        assert row["options"]["ABCD".index(row["gold"])] == str(int(row["question"][0]) + 1)


def distractors(i):
    others = [metal for metal in METALS if metal != METALS[i % 4]]
    return {"question": f"Which metal is {METALS[i % 4]}, of {i}?", "correct": METALS[i % 4], "others": others}


@pytest.mark.parametrize(
    "row_of",
    [
        lambda one: {"question": one["question"], **{f"distractor{n}": o for n, o in enumerate(one["others"], 1)}, "correct_answer": one["correct"]},
        lambda one: {"question": one["question"], "correct_answer": one["correct"], "incorrect_answers": one["others"]},
        lambda one: {"question": one["question"], "correct_answer": one["correct"], "incorrect_answers": str(one["others"])},
        lambda one: {"Question": one["question"], "Correct Answer": one["correct"],
                     **{f"Incorrect Answer {n}": o for n, o in enumerate(one["others"], 1)}},
    ],
)  # fmt: skip
def test_a_correct_option_and_distractors(row_of, tmp_path):
    path = tmp_path / "r.jsonl"
    path.write_text(lines([row_of(distractors(i)) for i in range(40)]))
    guessed = guess(path)
    parsed = loading.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", tmp_path)
    rows = list(examples(parsed))
    assert len(rows) == 40
    assert all(map(is_right, rows))
    assert {row["gold"] for row in rows} == set("ABCD"), "the place of the correct option says nothing"


def test_the_place_of_the_correct_one_says_nothing_where_options_are_not_shuffled(tmp_path):
    rows = [{"id": str(i), **distractors(i), "rationale": "So it is."} for i in range(40)]
    (tmp_path / "r.jsonl").write_text(lines(rows))
    columns = {"options": ["correct", "others"], "gold": "correct"}
    read_rows = read(tmp_path, DATA | {"columns": columns}, "multiple_choice")
    assert all(map(is_right, read_rows))
    assert {row["gold"] for row in read_rows} == set("ABCD")
    assert read(tmp_path, DATA | {"columns": columns}, "multiple_choice") == read_rows


def test_the_last_options_may_be_missing(tmp_path):
    rows = [
        {"question": f"{i}?", "A": "x", "B": "y", "C": "z" if i % 2 else "", "D": None, "gold": "B"} for i in range(8)
    ]
    (tmp_path / "r.jsonl").write_text(lines(rows))
    columns = {"options": ["A", "B", "C", "D"]}
    assert (
        sorted(len(row["options"]) for row in read(tmp_path, DATA | {"columns": columns}, "multiple_choice"))
        == [2] * 4 + [3] * 4
    )
    (tmp_path / "r.jsonl").write_text(lines([rows[0] | {"A": ""}]))
    with pytest.raises(RecipeError, match="column 'A, B, C, D' is empty"):
        read(tmp_path, DATA | {"columns": columns}, "multiple_choice")


def test_a_recipe_without_them_is_told_how_to_name_them(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines(TABLES["MedMCQA"]))
    with pytest.raises(RecipeError, match=r"columns: \{options: \[opa, opb, opc, opd\]\}"):
        read(tmp_path, DATA | {"columns": {"gold": "cop"}}, "multiple_choice")


def test_numbers_that_fit_no_option_name_the_cure(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([row | {"cop": str(row["cop"])} for row in TABLES["MedMCQA"]]))
    columns = {"options": ["opa", "opb", "opc", "opd"], "gold": "cop"}
    with pytest.raises(RecipeError, match=r"'0' is none of the 4 options.*task\.first_index"):
        read(tmp_path, DATA | {"columns": columns}, "multiple_choice")
    rows = read(tmp_path, DATA | {"columns": columns}, "{name: multiple_choice, first_index: 0}")
    assert all(map(is_right, rows))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"question": ["question", "A"]}, "'question' is one column; only options"),
        ({"options": ["A"]}, "a list of at least two names"),
        ({"options": ["A", "X"]}, "no column 'X'"),
    ],
)
def test_wrong_lists_of_columns_are_named(columns, message, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines(TABLES["letters"]))
    with pytest.raises(RecipeError, match=message):
        read(tmp_path, DATA | {"columns": columns}, "multiple_choice")


@pytest.mark.parametrize(
    ("names", "options"),
    [
        ("question A B C D E answer", ["A", "B", "C", "D", "E"]), ("q optionB optionA", ["optionA", "optionB"]),
        ("sentence option1 option2 answer", ["option1", "option2"]), ("goal sol1 sol2 label", ["sol1", "sol2"]),
        ("context question answer0 answer1 answer2 answer3 label", ["answer0", "answer1", "answer2", "answer3"]),
        ("text label", []), ("sentence1 sentence2 label", []), ("question answer", []), ("a c text", []), ("1 2 text", []),
        ("question answer1", []), ("x b d", []), ("correct answer", []),
    ],
)  # fmt: skip
def test_columns_are_options_by_their_names(names, options):
    assert option_columns(names.split()) == options


def test_init_and_preview_of_a_table_of_options(tmp_path):
    (tmp_path / "exam.json").write_text(json.dumps(TABLES["letters"]))
    result = potstill("init", "exam.json", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "task: multiple_choice ('A', 'B', 'C', 'D' hold options)" in result.stdout
    assert "A) " in result.stdout
