"""Rows that cannot be used are left out and counted, too many of them stop the run, and contradictory gold is told."""

import json

import pytest

from data_recipes import ENDS, lines, recipe
from potstill.data.examples import examples
from potstill.errors import RecipeError
from potstill.recipe import loading
from potstill.stages.data.stage import make_examples
from potstill.workspace.run import Run


def user(text):
    return {"role": "user", "content": text}


def bot(text, **more):
    return {"role": "assistant", "content": text, **more}


def system(text):
    return {"role": "system", "content": text}


CALL = {"id": "c1", "type": "function", "function": {"name": "price", "arguments": "{}"}}
PICTURE = {"type": "image_url", "image_url": {"url": "data:,"}}
GOOD = [[user(f"Order {i}?"), bot(f"It is on its way, number {i}.")] for i in range(19)]
DATA = {"source": "files", "train": "r.jsonl", "validation": 1, "test": 1}


def counted(folder, data=DATA, task="conversation"):
    counts = {}
    rows = list(examples(recipe(folder, data, task), counts))
    return rows, {split: (of.rows, dict(of.reasons)) for split, of in counts.items()}


ODD_CHATS = [
    ([user("Price?"), bot(None, tool_calls=[CALL]), {"role": "tool", "content": "5"}, bot("5")], "tool calls"),
    ([user("Price?"), {"role": "function", "name": "price", "content": "5"}, bot("5")], "tool calls"),
    ([user("Price?"), bot(None, function_call={"name": "f"}), bot("5")], "tool calls"),
    ([{"from": "human", "value": "Price?"}, {"from": "observation", "value": "5"}, {"from": "gpt", "value": "5"}], "tool calls"),
    ([user([{"type": "text", "text": "What is it?"}, PICTURE]), bot("A dog.")], "images or files"),
    ([user([{"type": "input_audio", "input_audio": {}}]), bot("A song.")], "images or files"),
    ([bot("Hello!"), user("Price?"), bot("5")], "answers before the first question"),
    ([system("Be kind."), bot("Hello!"), user("Price?"), bot("5")], "answers before the first question"),
    ([user("Price?"), bot("5"), system("Be brief."), user("And two?"), bot("10")], "system messages after the first turn"),
    ([user("Price?"), bot("")], "empty answers"),
    ([user("Price?"), bot(None), user("Well?"), bot("5")], "empty answers"),
    ([user("  "), bot("5")], "empty questions"),
    ([system("Be kind.")], "empty questions"),
    ([user("Price?"), {"role": "narrator", "content": "Silence."}], "unusable 'messages'"),
    (["Price?", "5"], "unusable 'messages'"),
    ("Price? 5", "unusable 'messages'"),
    (None, "empty 'messages'"),
]  # fmt: skip


@pytest.mark.parametrize(("chat", "reason"), ODD_CHATS)
def test_an_odd_chat_is_left_out_and_counted(chat, reason, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in [*GOOD[:9], chat, *GOOD[9:]]]))
    rows, counts = counted(tmp_path)
    assert len(rows) == 19
    assert counts == {"train": (20, {reason: 1})}
    (tmp_path / "r.jsonl").write_text(lines([{"messages": chat}]))
    with pytest.raises(RecipeError, match=r"r\.jsonl, line 1: column 'messages' holds"):
        counted(tmp_path)


@pytest.mark.parametrize(
    ("chat", "joined", "gold"),
    [
        ([user("My lamp"), user("is broken."), bot("Which?")], [user("My lamp\n\nis broken.")], "Which?"),
        ([user("Hi"), bot("Hello."), bot("Well?")], [user("Hi")], "Hello.\n\nWell?"),
        ([system("Be brief."), system("Be kind."), user("Hi"), bot("Ho")], [system("Be brief.\n\nBe kind."), user("Hi")], "Ho"),
        ([system(""), user("Hi"), user(" "), bot("Ho")], [user("Hi")], "Ho"),
        ([{"role": "developer", "content": "Be brief."}, user(" Hi \n"), bot(" Ho ")], [system("Be brief."), user(" Hi \n")], "Ho"),
        ([{"from": "human", "value": "Hi"}, {"from": "gpt", "value": "Ho"}], [user("Hi")], "Ho"),
        ([user([{"type": "text", "text": "Hi"}, {"text": "you"}]), bot("Ho")], [user("Hi\nyou")], "Ho"),
    ],
)  # fmt: skip
def test_turns_of_one_side_are_joined(chat, joined, gold, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"id": "this", "messages": chat}, *({"messages": one} for one in GOOD)]))
    rows, counts = counted(tmp_path)
    row = next(row for row in rows if row["id"].endswith("-this"))
    assert (row["messages"], row["gold"]) == (joined, gold)
    assert counts == {"train": (20, {})}


@pytest.mark.parametrize(("chat", "reason"), [chat for chat in ODD_CHATS[:10] if chat[1] != "empty answers"])
def test_odd_chats_of_a_log_are_left_out_too(chat, reason, tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in [*GOOD, chat]]))
    rows, counts = counted(tmp_path, DATA | {"source": "logs"})
    assert len(rows) == 19
    assert counts == {"train": (20, {reason: 1})}


ODD_ROWS = [
    ("math", {"question": "2 + 2?", "gold": "many"}, "unusable gold in column 'gold'"),
    ("math", {"question": " ", "gold": "1"}, "empty 'question'"),
    ("math", {"question": ["2"], "gold": "1"}, "unusable 'question'"),
    ("math", {"gold": "1"}, "without 'question'"),
    ("{name: classification, labels: ['1', '2']}", {"text": "a", "gold": "3"}, "unusable gold in column 'gold'"),
]


@pytest.mark.parametrize(("task", "odd", "reason"), ODD_ROWS)
def test_an_odd_row_of_any_task_is_left_out_and_counted(task, odd, reason, tmp_path):
    good = [{"question": f"{i} + 1?", "text": f"Text {i}", "gold": str(1 + i % 2)} for i in range(19)]
    (tmp_path / "r.jsonl").write_text(lines([*good, odd]))
    rows, counts = counted(tmp_path, task=task)
    assert (len(rows), counts) == (19, {"train": (20, {reason: 1})})
    with pytest.raises(RecipeError) as caught:
        counted(tmp_path, DATA | {"most_left_out": 0.04}, task)
    assert "line 20" in str(caught.value)
    assert f"1 of 20 rows cannot be used, and data.most_left_out is 0.04 (1 {reason})" in str(caught.value)


def test_a_file_of_which_nothing_fits_is_not_read_to_its_end(tmp_path):
    rows = [json.dumps({"question": "?", "gold": "none"}) for _ in range(100)]
    (tmp_path / "r.jsonl").write_text("\n".join([*rows, "{broken"]))
    with pytest.raises(RecipeError, match=r"line 1: .*'none' is no number.*\n.*none of the first 100 rows can be used"):
        counted(tmp_path, task="math")


def test_a_test_file_is_counted_by_itself(tmp_path):
    (tmp_path / "r.jsonl").write_text(lines([{"messages": one} for one in GOOD]))
    (tmp_path / "t.jsonl").write_text(lines([{"messages": one} for one in [*GOOD, ODD_CHATS[0][0]]]))
    _, counts = counted(tmp_path, DATA | {"test": "t.jsonl"})
    assert counts == {"test": (20, {"tool calls": 1}), "train": (19, {})}


def test_a_column_of_another_use_is_not_an_optional_one(tmp_path):
    good = [{"question": f"{i} + 1?", "gold": str(i + 1), "steps": ["a", "b"], "system": {"os": "x"}} for i in range(9)]
    (tmp_path / "r.jsonl").write_text(lines(good))
    rows, counts = counted(tmp_path, task="math")
    assert {(row["steps"], row["system"]) for row in rows} == {(None, None)}
    assert counts == {"train": (9, {})}


def made(folder, rows, task):
    """data.json of a data stage on these rows, and what it printed."""
    (folder / "r.jsonl").write_text(lines(rows))
    parsed = loading.parse(f"name: r\ntask: {task}\ndata: {json.dumps(DATA)}\n{ENDS}", "r", folder)
    run = Run(folder / "r", parsed, folder / "store.sqlite")
    run.folder.mkdir()
    make_examples(parsed, run)
    return run.read_json("data.json")


def test_the_stage_writes_and_prints_what_is_left_out(tmp_path, capfd):
    rows = [{"messages": one} for one in [*GOOD, ODD_CHATS[0][0], ODD_CHATS[4][0]]]
    assert made(tmp_path, rows, "conversation") == {
        "left_out": {"train": {"rows": 21, "reasons": {"tool calls": 1, "images or files": 1}}},
        "contradictory": [],
    }
    assert capfd.readouterr().err.count("data.train: 2 of 21 rows left out: 1 tool calls, 1 images or files") == 1


MAILS = [{"text": f"Mail {i}", "gold": "late" if i % 2 else "lost"} for i in range(12)]
LABELS = "{name: classification, labels: [late, lost]}"


def test_contradictory_gold_is_told_once_with_an_example(tmp_path, capfd):
    rows = [*MAILS, {"text": " mail  3", "gold": "lost"}, {"text": "Mail 4", "gold": "lost"}]
    [line] = made(tmp_path, rows, LABELS)["contradictory"]
    assert line.startswith("1 question has different gold in 2 rows (2 of ")
    assert "-4)" in line
    assert "-13)" in line
    assert "'late' (" in line
    assert "'lost' (" in line
    assert capfd.readouterr().err.count(line) == 1


def test_several_contradictions_are_counted(tmp_path):
    rows = [*MAILS, *({"text": mail["text"], "gold": "late"} for mail in MAILS)]
    [line] = made(tmp_path, rows, LABELS)["contradictory"]
    assert line.startswith("6 questions have different gold in 12 rows (")


NOT_CONTRADICTORY = [
    ("math", [{"question": f"{i // 2} + 1?", "gold": ["1.0", "1"][i % 2].replace("1", str(i // 2 + 1), 1)} for i in range(12)]),
    (LABELS, [{"text": f"Mail {i // 2}", "gold": "late"} for i in range(12)]),
    (LABELS, [{"text": f"Mail {i // 2}", "gold": ["late", "lost"][i % 2], "system": f"Rule {i % 2}."} for i in range(12)]),
    ("multiple_choice", [{"question": f"Which {i // 2}?", "options": ["a", "b", "c"], "gold": "B"} for i in range(12)]),
    ("conversation", [{"messages": [user(f"Hi {i // 2}"), bot(f"Ho {i}")]} for i in range(12)]),
]  # fmt: skip


@pytest.mark.parametrize(("task", "rows"), NOT_CONTRADICTORY)
def test_equal_answers_other_prompts_and_free_replies_are_no_contradictions(task, rows, tmp_path):
    assert made(tmp_path, rows, task)["contradictory"] == []


def test_other_options_of_one_question_are_compared_by_their_text(tmp_path):
    rows = [{"question": f"Which {i}?", "options": ["a", "b", "c"], "gold": "B"} for i in range(12)]
    [line] = made(tmp_path, [*rows, rows[5] | {"gold": "C"}], "multiple_choice")["contradictory"]
    assert "'b' (" in line
    assert "'c' (" in line
