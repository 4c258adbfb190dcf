"""Fine-tuning files and logs in the form of chats: a narrow task where the answers can be scored, with the user's own prompts."""

import json

import pytest

from data_recipes import lines
from potstill.data.draft import recipe_text
from potstill.data.examples import examples
from potstill.data.guess import guess
from potstill.errors import RecipeError
from potstill.pipeline.rendering import preview
from potstill.recipe import loading
from potstill.stages.curate import curate
from potstill.stages.data.stage import make_examples
from potstill.stages.evaluate.stage import evaluate
from potstill.stages.generate import generate
from potstill.workspace.artifacts import CURATED, GENERATED, predictions
from potstill.workspace.run import Run
from small import Teacher, potstill

SYSTEM = "You sort mail.  Answer with one word."


def chat(i, reply, *, system=SYSTEM, question="Mail {i}:\n\nwhere is it?\n"):
    messages = [{"role": "system", "content": system}] if system else []
    return [*messages, {"role": "user", "content": question.format(i=i)}, {"role": "assistant", "content": reply}]


def sort(i):
    return ["late", "lost", "Not enough information"][i % 3]


REPLIES = {
    "classification": sort,
    "extraction": lambda i: json.dumps({"number": i, "paid": bool(i % 2), "name": f"N{i}"}, indent=i % 3 or None),
    "math": lambda i: f"{i * 7}.50",
}


def guessed_recipe(path, folder, name="r", student="packaged/b"):
    guessed = guess(path)
    return guessed, loading.parse(recipe_text(path, guessed, name, "packaged/a", student), name, folder)


@pytest.mark.parametrize("name", REPLIES)
@pytest.mark.parametrize("form", ["messages", "conversations", "csv", "log"])
def test_init_makes_answers_that_can_be_scored_gold(name, form, tmp_path):
    chats = [chat(i, REPLIES[name](i)) for i in range(40)]
    path = tmp_path / ("r.csv" if form == "csv" else "r.jsonl")
    match form:
        case "messages":
            path.write_text(lines([{"messages": one, "id": f"c{i}"} for i, one in enumerate(chats)]))
        case "conversations":
            roles = {"system": "system", "user": "human", "assistant": "gpt"}
            turns = [[{"from": roles[m["role"]], "value": m["content"]} for m in one] for one in chats]
            path.write_text(lines([{"conversations": one} for one in turns]))
        case "csv":
            path.write_text("messages\n" + "".join('"' + str(one).replace('"', '""') + '"\n' for one in chats))
        case "log":
            rows = [
                {"request": {"model": "m", "messages": one[:-1]}, "response": {"choices": [{"message": one[-1]}]}}
                for one in chats
            ]
            path.write_text(lines(rows))
    guessed, parsed = guessed_recipe(path, tmp_path)
    assert guessed.task["name"] == name
    assert guessed.unused == []
    rows = list(examples(parsed))
    assert len(rows) == 40
    assert {row["system"] for row in rows} == {SYSTEM}
    assert {row["prompt"] for row in rows} == {f"Mail {i}:\n\nwhere is it?\n" for i in range(40)}
    for row in rows:
        assert parsed.task.messages(row) == [
            {"role": "system", "content": SYSTEM}, {"role": "user", "content": row["prompt"]}
        ]  # fmt: skip
        i = int(row["prompt"].split(":")[0].removeprefix("Mail "))
        answer = row["logged"]["text"] if form == "log" else row["gold"]
        assert parsed.task.equivalent(
            parsed.task.parse_gold(answer, row), parsed.task.parse_gold(REPLIES[name](i), row)
        )
    linear = ["linear"] if parsed.task.label_set else []
    assert [system.name for system in parsed.systems] == ["base", *linear, "student", "teacher-plain"]
    assert (parsed.prompting, parsed.condition) == ("plain", "vanilla") or form == "log"


@pytest.mark.parametrize(
    ("replies", "task"),
    [
        (lambda i: f"It is number {i}, and on its way to you.", {"name": "conversation"}),
        (lambda i: "Hi!", {"name": "conversation"}),
        (lambda i: ["Yes", "No"][i % 2], {"name": "classification", "labels": ["No", "Yes"]}),
        (lambda i: "ABCD"[i % 4], {"name": "classification", "labels": ["A", "B", "C", "D"]}),
        (lambda i: str(1 + i % 5), {"name": "classification", "labels": ["1", "2", "3", "4", "5"]}),
        (lambda i: ['["late"]', '["late", "lost"]', "[]"][i % 3], {"name": "classification", "labels": ["late", "lost"], "multi": True}),
        (lambda i: f"It costs {i}.\n#### {i}", {"name": "math"}),
        (lambda i: f'```json\n{{"n": {i}}}\n```',
         {"name": "extraction", "json_schema": {"type": "object", "properties": {"n": {"type": "number"}}}}),
        (lambda i: json.dumps({f"k{i}": i}), {"name": "conversation"}),
        (lambda i: f"word{i % 20}", {"name": "conversation"}),
    ],
)  # fmt: skip
def test_the_task_is_that_of_the_answers(replies, task, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"messages": chat(i, replies(i), system="")} for i in range(40)]))
    guessed, parsed = guessed_recipe(tmp_path / "r.jsonl", tmp_path)
    assert guessed.task == task
    assert len(list(examples(parsed))) == 40


def test_a_late_label_and_a_chat_without_an_answer(tmp_path):
    chats = [chat(i, ["good", "bad"][i % 2]) for i in range(520)]
    chats += [chat(600, "odd"), chat(601, "good")[:-1]]
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in chats]))
    guessed, parsed = guessed_recipe(tmp_path / "r.jsonl", tmp_path)
    assert (guessed.task["labels"], guessed.unlabelled) == (["bad", "good", "odd"], "drop")
    assert len(list(examples(parsed))) == 521


def test_chats_of_several_turns_are_conversations(tmp_path):
    chats = [chat(i, sort(i))[:-1] + chat(i, "x")[1:] for i in range(30)] + [
        [*chat(i, sort(i)), *chat(i, sort(i + 1), system="")] for i in range(30)
    ]
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in chats]))
    assert guess(tmp_path / "r.jsonl").task == {"name": "conversation"}


RECIPE = "name: r\ntask: {task}\ndata: {data}\nteacher: {{model: packaged/a}}\nstudent: {{model: packaged/b}}\n"
LABELS = "{name: classification, labels: [late, lost, Not enough information]}"


def parsed(folder, task, **data):
    values = {
        "source": "files",
        "train": "r.jsonl",
        "validation": 2,
        "test": 2,
        "columns": {"messages": "messages"},
        **data,
    }
    return loading.parse(RECIPE.format(task=task, data=json.dumps(values)), "r", folder)


def test_a_few_chats_of_several_turns_are_left_out(tmp_path):
    chats = [chat(i, sort(i)) for i in range(20)] + [[*chat(21, "late"), *chat(22, "lost", system="")]]
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in chats]))
    counts = {}
    assert len(list(examples(parsed(tmp_path, LABELS), counts))) == 20
    assert dict(counts["train"].reasons) == {"turns before the question (the task conversation takes any chat)": 1}


def test_gold_of_a_column_beside_the_chat_is_the_columns(tmp_path):
    rows = [{"messages": chat(i, "It is late, I fear."), "label": sort(i)} for i in range(20)]
    (tmp_path / "r.jsonl").write_text(lines(rows))
    read = list(examples(parsed(tmp_path, LABELS, columns={"messages": "messages", "gold": "label"})))
    assert {row["gold"] for row in read} == {"late", "lost", "Not enough information"}


def test_a_task_of_several_columns_takes_no_chats(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"messages": chat(1, "late")}]))
    with pytest.raises(RecipeError, match=r"the task nli needs premise, hypothesis.*conversation takes any chat"):
        list(examples(parsed(tmp_path, "nli")))


class Sorter(Teacher):
    """Answers each mail right, but every fifth one."""

    def answer(self, body):
        i = int(body["messages"][-1]["content"].split(":")[0].removeprefix("Mail "))
        message = {"role": "assistant", "content": "late" if i % 5 == 0 else sort(i)}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 4, "completion_tokens": 2},
        }


def test_such_a_file_runs_from_init_to_a_score(tmp_path, tiny_folder):
    path = tmp_path / "mail.jsonl"
    path.write_text(lines([{"messages": chat(i, sort(i))} for i in range(40)]))
    with Sorter() as server:
        guessed = guess(path)
        text = recipe_text(path, guessed, "mail", "packaged/a", str(tiny_folder))
        text = text.replace("model: packaged/a", f"model: {{url: '{server.url}', model: m}}", 1)
        recipe = loading.parse(text + "evaluate: {systems: [student, teacher-plain]}\n", "mail", tmp_path)
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.folder.mkdir()
        make_examples(recipe, run)
        generate(recipe, run)
        curate(recipe, run)
        run.replace_folder("student", _copy(tiny_folder, tmp_path / "copy"))
        evaluate(recipe, run)
    n_test = run.count_examples("test")
    for body in server.seen:
        system, user = json.loads(body)["messages"]
        assert system == {"role": "system", "content": SYSTEM}
        i = user["content"].split(":")[0].removeprefix("Mail ")
        assert user == {"role": "user", "content": f"Mail {i}:\n\nwhere is it?\n"}
    generated, curated = run.read(GENERATED), run.read(CURATED)
    wrong = {
        row["id"]
        for row in generated
        if row["answer"] != next(e["gold"] for e in run.examples() if e["id"] == row["id"])
    }
    assert wrong == {row["id"] for row in curated if row["reason"] == "correct"}
    assert {row["completion"] for row in curated if row["kept"]} == {"late", "lost", "Not enough information"}
    assert {len(row["student_messages"]) for row in curated} == {2}
    scores = [row["scores"]["accuracy"] for row in run.read(predictions("teacher-plain"))]
    assert len(scores) == n_test
    assert run.evaluation["splits"]["test"]["decided"]
    [shown, *_] = preview(recipe, 1)
    assert SYSTEM in shown.text


def _copy(source, target):
    import shutil

    return shutil.copytree(source, target)


def test_init_shows_such_a_file(tmp_path):
    (tmp_path / "mail.jsonl").write_text(lines([{"messages": chat(i, sort(i))} for i in range(40)]))
    result = potstill("init", "mail.jsonl", cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    assert "task: classification ('messages' holds chats whose answers are 3 labels)" in result.stdout
    assert "Choose" not in result.stdout, "nothing is added to the user's prompts"
    again = potstill("preview", "mail.yaml", cwd=tmp_path)
    assert again.returncode == 0, again.stderr
