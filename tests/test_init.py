"""`potstill init FILE`: from the user's file to a valid recipe."""

import csv
import json

import pytest

from potstill.data.draft import recipe_text
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.errors import RecipeError
from potstill.recipe import loading as recipe_file
from small import potstill

CHOICES = {"label": ["A", "B", "C"], "text": ["red", "green", "blue"]}
FILES = {
    "nli": [{"premise": f"It rains on day {i}.", "hypothesis": "It is wet.", "label": i % 3} for i in range(30)],
    "multiple_choice": [
        {"id": str(i), "question": f"Which colour is number {i}?", "choices": CHOICES, "answerKey": "ABC"[i % 3]}
        for i in range(30)
    ],
    "math": [{"problem": f"What is {i} + {i}?", "answer": f"It is twice {i}.\n#### {2 * i}"} for i in range(30)],
    "classification": [
        {"message": f"Message {i} about {'parcels' if i % 2 else 'money'}", "category": ["late", "refund"][i % 2]} for i in range(30)
    ],
    "extraction": [{"text": f"Bill {i} over {i}.50", "output": {"number": str(i), "total": i + 0.5}} for i in range(30)],
    "summarization": [{"article": f"Long text {i}. " * 20, "summary": f"Text {i}."} for i in range(30)],
    "conversation": [
        {"messages": [{"role": "user", "content": f"Hello {i}"}, {"role": "assistant", "content": "Hi!"}]} for i in range(30)
    ],
    "custom": [{"note": f"Some note of number {i}, without any answer."} for i in range(30)],
}  # fmt: skip


def write(folder, rows):
    path = folder / "rows.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", FILES)
def test_the_task_is_guessed_and_the_recipe_reads_the_file(name, tmp_path):
    path = write(tmp_path, FILES[name])
    guessed = guess(path)
    assert (guessed.task["name"], guessed.rows) == (name, 30)
    recipe = recipe_file.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", tmp_path)
    rows = list(examples(recipe))
    assert len(rows) == 30
    assert {row["split"] for row in rows} == {"train", "validation", "test"}
    assert all((row["gold"] is None) == (name == "custom") for row in rows)


def guess_rows(folder, rows):
    """The guess for these rows, the examples of the drafted recipe, and the recipe."""
    path = write(folder, rows)
    guessed = guess(path)
    recipe = recipe_file.parse(recipe_text(path, guessed, "r", "packaged/a", "packaged/b"), "r", folder)
    return guessed, list(examples(recipe)), recipe


@pytest.mark.parametrize(("name", "recipe_name"), [("2024", "2024"), ("null", "null"), ("_x", "x"), ("1e3", "1e3")])
def test_any_file_name_gives_a_valid_recipe_name(name, recipe_name, tmp_path):
    write(tmp_path, FILES["math"]).rename(tmp_path / f"{name}.jsonl")
    result = potstill("init", f"{name}.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert recipe_file.load(str(tmp_path / f"{recipe_name}.yaml")).name == recipe_name


def test_labels_that_the_task_refuses_are_named(tmp_path):
    rows = [{"text": f"Message {i}", "labels": [["a, b"], ["c"]][i % 2]} for i in range(30)]
    with pytest.raises(RecipeError, match=r"column 'labels': .*no label may contain a comma.*Fix the column"):
        guess(write(tmp_path, rows))


def test_questions_with_free_text_answers_are_not_guessed_as_gsm8k(tmp_path):
    guessed, rows, recipe = guess_rows(
        tmp_path, [{"question": f"Who wrote {i}?", "answer": f"Writer {i}"} for i in range(30)]
    )
    assert (guessed.task["name"], guessed.preset) == ("custom", None)
    messages = recipe.task.messages(next(row for row in rows if row["gold"] == "Writer 3"))
    assert messages == [{"role": "user", "content": "Who wrote 3?"}]


def test_columns_with_spaces_or_reserved_names_can_be_questions(tmp_path):
    for column in ("My notes", "prompt"):
        guessed, rows, recipe = guess_rows(tmp_path, [{column: f"Note {i} that is long enough."} for i in range(30)])
        assert guessed.task["name"] == "custom"
        assert {recipe.task.messages(row)[0]["content"] for row in rows} == {
            f"Note {i} that is long enough." for i in range(30)
        }
        assert all(row["prompt"] is None for row in rows)


def test_lists_of_labels_give_multi_label_classification(tmp_path):
    rows = [{"text": f"Message {i}", "labels": [["late"], ["late", "lost"], []][i % 3]} for i in range(30)]
    guessed, read, _ = guess_rows(tmp_path, rows)
    assert guessed.task == {"name": "classification", "labels": ["late", "lost"], "multi": True}
    assert {row["gold"] for row in read} == {"late", "late, lost", "none"}


def test_rows_with_nulls_are_ignored_by_the_guess(tmp_path):
    chats = [{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}] * 20
    guessed = guess(write(tmp_path, [{"messages": None}, *chats]))
    assert guessed.task["name"] == "conversation"


def test_instructions_are_joined_with_their_inputs(tmp_path):
    rows = [{"instruction": f"Say {i}.", "input": "in words" * (i % 2), "output": f"word {i}"} for i in range(30)]
    guessed, read, _ = guess_rows(tmp_path, rows)
    assert guessed.preset == "alpaca"
    assert {row["messages"][0]["content"] for row in read} >= {"Say 1.\n\nin words", "Say 2."}


def test_a_column_of_options_gives_multiple_choice_whatever_the_answers(tmp_path):
    rows = [{"question": f"Capital {i}?", "choices": [f"A{i}", f"B{i}"], "answer": "AB"[i % 2]} for i in range(30)]
    guessed, read, _ = guess_rows(tmp_path, rows)
    assert (guessed.task, guessed.preset, guessed.unused) == ({"name": "multiple_choice"}, None, [])
    assert all(len(row["options"]) == 2 for row in read)


@pytest.mark.parametrize(("answer", "scorer"), [("city{}", "exact"), ("{}", "numeric")])
def test_a_passage_is_joined_with_its_question(tmp_path, answer, scorer):
    rows = [{"context": f"Land {i}.", "question": f"Where {i}?", "answer": answer.format(i)} for i in range(30)]
    guessed, read, recipe = guess_rows(tmp_path, rows)
    assert (guessed.task["name"], guessed.task["scorer"], guessed.unused) == ("custom", scorer, [])
    assert {recipe.task.messages(row)[0]["content"] for row in read} == {f"Land {i}.\n\nWhere {i}?" for i in range(30)}


def test_pairs_are_entailment_only_with_matching_names_or_labels(tmp_path):
    pairs = [{"sentence1": f"One {i}.", "sentence2": f"Two {i}."} for i in range(30)]
    guessed, _, recipe = guess_rows(tmp_path, [pair | {"label": i % 2} for i, pair in enumerate(pairs)])
    assert guessed.task["name"] == "custom"
    assert set(recipe.task.columns) == {"sentence1", "sentence2"}
    guessed, _, _ = guess_rows(tmp_path, [pair | {"label": i % 3} for i, pair in enumerate(pairs)])
    assert guessed.task == {"name": "nli"}
    two = [
        {"premise": f"{i}", "hypothesis": f"h {i}", "label": ["entailment", "not_entailment"][i % 2]} for i in range(30)
    ]
    guessed, read, _ = guess_rows(tmp_path, two)
    assert guessed.task == {"name": "nli", "labels": ["entailment", "not_entailment"]}
    assert {row["gold"] for row in read} == {"entailment", "not_entailment"}


def test_a_preset_keeps_the_users_own_columns(tmp_path):
    rows = [
        {"uid": f"u{i}", "group": f"g{i // 10}", "system": "Be brief.", "instruction": f"Say {i}.", "output": "Well."}
        for i in range(60)
    ]
    guessed, read, _ = guess_rows(tmp_path, rows)
    assert guessed.preset == "alpaca"
    assert {row["system"] for row in read} == {"Be brief."}
    assert {row["group"] for row in read} == {f"g{i}" for i in range(6)}
    assert {row["id"].partition("-")[2] for row in read} == {f"u{i}" for i in range(60)}


def test_rows_without_an_answer_are_dropped_and_late_labels_included(tmp_path):
    rows = [{"text": f"Film {i}", "label": None if i == 2 else ["good", "bad"][i % 2]} for i in range(600)]
    guessed, read, _ = guess_rows(tmp_path, [*rows, {"text": "Film z", "label": "odd"}])
    assert (guessed.unlabelled, guessed.task["labels"]) == ("drop", ["bad", "good", "odd"])
    assert len(read) == 600


def test_unused_columns_are_reported_and_an_invalid_row_leaves_a_recipe_to_fix(tmp_path):
    rows = [{"id": "same", "text": f"Film {i}", "mood": "m", "label": ["good", "bad"][i % 2]} for i in range(30)]
    write(tmp_path, rows)
    result = potstill("init", "rows.jsonl", cwd=tmp_path)
    assert result.returncode == 2
    assert "not used: 'mood'" in result.stdout
    assert "rows.yaml is written: fix it there" in result.stderr
    assert "mood" in (tmp_path / "rows.yaml").read_text()


def test_instructions_of_any_format_are_chats(tmp_path):
    for columns in (("instruction", "response"), ("prompt", "completion")):
        rows = [{columns[0]: f"Explain {i}.", columns[1]: "It is so, since all is as it is."} for i in range(30)]
        guessed, read, recipe = guess_rows(tmp_path, rows)
        assert guessed.task["name"] == "conversation"
        assert recipe.condition == "vanilla"
        assert all(row["prompt"] is None for row in read)


def test_init_shows_prompts_and_writes_a_recipe_once(tmp_path):
    with (tmp_path / "mail.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        rows.writerows([f"Mail {i}: where is it?", ["late", "lost"][i % 2]] for i in range(40))
    result = potstill("init", "mail.csv", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "task: classification" in result.stdout
    assert result.stdout.count("--- teacher") == 3
    recipe = recipe_file.load(str(tmp_path / "mail.yaml"))
    assert recipe.task.labels == ["late", "lost"]
    assert "# potstill run mail.yaml" in (tmp_path / "mail.yaml").read_text()
    again = potstill("init", "mail.csv", cwd=tmp_path)
    assert (again.returncode, "exists already" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("content", "message"), [("", "no rows"), ('{"n": [1]}\n', "no column of text"), ("not json\n", "not JSON")]
)
def test_an_unusable_file_is_reported(content, message, tmp_path):
    (tmp_path / "f.jsonl").write_text(content)
    with pytest.raises(RecipeError, match=message):
        guess(tmp_path / "f.jsonl")
