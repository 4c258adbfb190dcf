"""Chats of several turns: the teacher continues its own replies, and a chat is one training row with loss on each reply."""

import copy
import json

import pytest
from transformers import AutoTokenizer

import small
from potstill.data.examples import examples
from potstill.models.local.chat_template import ChatTemplate
from potstill.recipe import loading
from potstill.stages.curate import curate
from potstill.stages.generate import generate, planned
from potstill.stages.planned import KnownExamples
from potstill.stages.train import stage as train
from potstill.stages.train.rows import tokenized
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED, GENERATED
from potstill.workspace.run import Run

TURNS = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>\n{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
"""Like ChatML: a reply stands in a later prompt as it stood when it was written."""
RECIPE = """\
name: chats
task: conversation
condition: {condition}
data: {{source: files, train: chats.jsonl, validation: 1, test: 1}}
teacher: {{model: {{url: "{url}", model: t, concurrency: 2}}}}
generate: {{max_tokens: 64, {generate}}}
curate: {{{curate}}}
student: {{model: "{student}", max_tokens: 8}}
train: {{epochs: 1, max_length: {max_length}}}
"""


def chat(*contents):
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


def row(messages, completion, turns):
    return {"student_messages": messages, "completion": completion, "turns": turns}


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    """The tiny student with a template that keeps earlier turns."""
    folder = tmp_path_factory.mktemp("turns")
    model, tokenizer = small.tiny_llama(2048)
    tokenizer.chat_template = TURNS
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture
def curated(tmp_path, teacher, student):
    """The rows of generated.parquet and of curated.parquet of some chats; the recipe and run."""

    def curated(chats, examples=(), condition="vanilla", folder=student, curate_="", generate_="", max_length=1024):
        recipe = loading.parse(
            RECIPE.format(url=teacher.url, student=folder, condition=condition, generate=generate_, curate=curate_,
                          max_length=max_length)
        )  # fmt: skip
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        empty = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin", "gold"))
        rows = [
            expanded
            for name, messages in chats.items()
            for expanded in recipe.task.expand(empty | {"id": name, "group": name, "messages": messages}, 0)
        ]
        run.write(artifacts.examples(recipe.task), [*({"split": "train"} | row for row in rows), *examples])
        generate(recipe, run)
        curate(recipe, run)
        return run.read(GENERATED), run.read(CURATED), recipe, run

    return curated


def shown(rows):
    return [(row["id"], row["turns"], row["reason"]) for row in rows]


# Tokens


def trained_text(tokenizer, tokens):
    """The text with loss, and the whole text."""
    labels = [label for label in tokens["labels"] if label != -100]
    assert all(label in (-100, token) for label, token in zip(tokens["labels"], tokens["input_ids"], strict=True))
    return tokenizer.decode(labels), tokenizer.decode(tokens["input_ids"])


def test_each_reply_and_its_end_have_loss(student):
    tokenizer = AutoTokenizer.from_pretrained(student)
    messages = [{"role": "system", "content": "Be kind."}, *chat("one?", "I", "two?", "II", "three?")]
    tokens = tokenized(ChatTemplate(tokenizer), row(messages, "III", 3))
    assert trained_text(tokenizer, tokens) == (
        "I<end>II<end>III<end>",
        "<system>Be kind.<end>\n<user>one?<end>\n<assistant>I<end>\n<user>two?<end>\n<assistant>II<end>\n<user>three?<end>\n"
        "<assistant>III<end>",
    )
    last = tokenized(ChatTemplate(tokenizer), row(messages, "III", 1))
    assert last["input_ids"] == tokens["input_ids"]
    assert trained_text(tokenizer, last)[0] == "III<end>"
    assert trained_text(tokenizer, tokenized(ChatTemplate(tokenizer), row(messages, "III", 2)))[0] == (
        "II<end>III<end>"
    )


def test_a_template_that_trims_keeps_its_turns(tmp_path):
    small.save_tiny_llama_31(tmp_path)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path)
    tokens = tokenized(ChatTemplate(tokenizer), row(chat(" one? ", "I", "two?"), "II", 2))
    assert trained_text(tokenizer, tokens)[0] == "I<|eot_id|>II<|eot_id|>"


def test_a_template_that_rewrites_earlier_turns_is_refused(tiny):
    """It writes "assistant:" before a reply of an earlier turn, and "a:" before the next reply."""
    _, tokenizer = tiny
    with pytest.raises(ValueError, match="rewrites earlier turns"):
        ChatTemplate(tokenizer).around_replies(chat("one?", "I", "two?"), 2)
    (alone,) = ChatTemplate(tokenizer).around_replies(chat("one?", "I", "two?"), 1)
    assert tokenizer.decode(alone) == "user:one?;assistant:I;user:two?;a:"


@pytest.mark.parametrize(
    ("template", "end"),
    [
        ("{{ m.content }}<|turn|>\n", "<|turn|>"),  # as Gemma's
        ("{{ m.content }} <|turn|>", "<|turn|>"),
        ("{{ m.content }}<end>\n", "<end>"),
        ("{{ m.content }};", "<end>"),
        ("{{ m.content[:0] }}<|turn|>", "<end>"),  # the reply is not found in it
    ],
)
def test_the_end_that_is_learnt_is_the_templates_own(tiny, template, end):
    """Whatever the generation config says: answers end at it, too."""
    model, tokenizer = (copy.deepcopy(part) for part in tiny)
    tokenizer.add_special_tokens({"additional_special_tokens": ["<|turn|>"]})
    tokenizer.chat_template = (
        "{% for m in messages %}<{{ m.role }}>"
        + template
        + "{% endfor %}{% if add_generation_prompt %}<assistant>{% endif %}"
    )
    chat_template = ChatTemplate(tokenizer)
    assert tokenizer.convert_ids_to_tokens(chat_template.end) == end
    assert chat_template.end_ids(model) == {tokenizer.eos_token_id, chat_template.end}


# Generation


CHATS = {"a": chat("one?", "gold 1", "two?", "gold 2", "three?", "gold 3"), "b": chat("alone?", "gold")}


def test_the_teacher_continues_its_own_replies(curated, teacher):
    generated, _, recipe, run = curated(CHATS)
    assert [row["id"] for row in generated] == ["a/0", "a/2", "a/4", "b"]
    replies = [row["answer"] for row in generated]
    assert len(set(replies)) == 4
    assert generated[2]["messages"] == chat("one?", replies[0], "two?", replies[1], "three?")
    sent = [json.loads(body)["messages"] for body in teacher.seen]
    assert sorted(len(messages) for messages in sent) == [1, 1, 3, 5]
    assert not any("gold" in message["content"] for messages in sent for message in messages)
    generate(recipe, run)
    assert run.read(GENERATED) == generated
    assert teacher.seen.total() == 4


def test_later_turns_of_chats_that_were_read_from_a_file_are_requested(tmp_path, teacher, student):
    """The data stage puts the split before each id."""
    chats = [{"messages": chat(f"one {i}?", "gold", f"two {i}?", "gold")} for i in range(6)]
    (tmp_path / "chats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in chats))
    text = RECIPE.format(url=teacher.url, student=student, condition="vanilla", generate="", curate="", max_length=1024)
    recipe = loading.parse(text, folder=tmp_path)
    run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
    run.write(artifacts.examples(recipe.task), list(examples(recipe)))
    trained_on = [row["id"] for row in run.examples("train")]
    assert len(trained_on) == 8
    generate(recipe, run)
    assert [row["id"] for row in run.read(GENERATED)] == trained_on
    assert sorted(len(json.loads(body)["messages"]) for body in teacher.seen) == [1] * 4 + [3] * 4


def test_each_sample_of_a_chat_continues_itself(curated):
    generated, rows, *_ = curated(CHATS, generate_="samples: 2, temperature: 0.5")
    by_turn = {(row["id"], row["sample"]): row for row in generated}
    assert len(by_turn) == 8
    for sample in (0, 1):
        assert by_turn["a/2", sample]["messages"][1]["content"] == by_turn["a/0", sample]["answer"]
    assert [row["turns"] for row in rows if row["turns"]] in ([3, 3, 1, 1], [3, 1])  # the teacher answers both alike


def test_a_reply_that_failed_is_not_continued(curated, teacher, monkeypatch):
    def answer(body):
        cut = body["messages"][-1]["content"] == "two?"
        message = {"role": "assistant", "content": "well"}
        choice = {"message": message, "finish_reason": "length" if cut else "stop"}
        return {"choices": [choice], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}

    monkeypatch.setattr(teacher, "answer", answer)
    generated, rows, *_ = curated(CHATS)
    assert [(row["id"], row["finish_reason"]) for row in generated] == [
        ("a/0", "stop"),
        ("a/2", "length"),
        ("b", "stop"),
    ]
    assert shown(rows) == [("a/0", 1, ""), ("a/2", 0, "parsed"), ("b", 1, "")]


def test_later_turns_are_planned_as_estimates(curated):
    *_, recipe, run = curated(CHATS)
    first, later = planned(recipe, KnownExamples(run.examples, complete=True))
    assert [request.id for request in first.requests] == ["a/0", "b"]
    assert [request.id for request in later.requests] == ["a/2", "a/4"]
    assert (first.estimated, later.estimated) == (False, True)
    *_, recipe, run = curated({"b": CHATS["b"]})
    assert len(list(planned(recipe, KnownExamples(run.examples, complete=True)))) == 1


# Curation


def test_a_chat_is_one_training_row(curated, student, tmp_path):
    generated, rows, recipe, _ = curated(CHATS)
    assert shown(rows) == [("a/0", 0, ""), ("a/2", 0, ""), ("a/4", 3, ""), ("b", 1, "")]
    assert all(row["kept"] for row in rows)
    replies = [row["answer"] for row in generated]
    assert rows[2]["student_messages"] == chat("one?", replies[0], "two?", replies[1], "three?")
    assert rows[2]["completion"] == replies[2]
    tokenizer = AutoTokenizer.from_pretrained(student)
    trained = [row for row in rows if row["turns"]]
    for one in trained:
        assert len(tokenized(ChatTemplate(tokenizer), one)["input_ids"]) == one["tokens"]
    epochs, _ = train._fit(recipe, student, trained, tmp_path / "work")
    assert [path.name for path in epochs] == ["checkpoint-1"]


def test_gold_replies_are_one_row_too(curated):
    _, rows, *_ = curated(CHATS, condition="gold")
    assert shown(rows) == [("a/0", 0, ""), ("a/2", 0, ""), ("a/4", 3, ""), ("b", 1, "")]
    assert rows[2]["student_messages"] == CHATS["a"][:5]
    assert rows[2]["completion"] == "gold 3"


def test_a_chat_ends_before_the_first_turn_that_fails(curated):
    _, rows, *_ = curated(CHATS, condition="gold")
    fits = rows[1]["tokens"]
    _, rows, *_ = curated(CHATS, condition="gold", max_length=fits)
    assert shown(rows) == [("a/0", 0, ""), ("a/2", 2, ""), ("a/4", 0, "too-long"), ("b", 1, "")]
    assert rows[1]["student_messages"] == CHATS["a"][:3]

    task = parse_task("conversation")
    columns = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin", "earlier"))
    test = columns | {"id": "t", "split": "test", "group": "t", "gold": "x", "messages": CHATS["a"][:3]}
    assert task.question_key(test) == task.question_key({"messages": CHATS["a"][:3]})
    _, rows, *_ = curated(CHATS, [test], condition="gold")
    assert shown(rows) == [("a/0", 1, ""), ("a/2", 0, "in-test-set"), ("a/4", 0, "earlier-turn"), ("b", 1, "")]
    assert [row["kept"] for row in rows] == [True, False, False, True]


def test_chats_are_duplicates_as_a_whole(curated):
    """The second begins as the first does, the third is the first, the fourth its beginning."""
    chats = {
        "a": CHATS["a"][:4],
        "b": chat("one?", "gold 1", "more?", "gold"),
        "c": CHATS["a"][:4],
        "d": CHATS["a"][:2],
    }
    _, rows, *_ = curated(chats, condition="gold")
    assert shown(rows) == [
        ("a/0", 0, ""), ("a/2", 2, ""), ("b/0", 0, ""), ("b/2", 2, ""), ("c/0", 0, "duplicate"), ("c/2", 0, "duplicate"),
        ("d", 0, "duplicate"),
    ]  # fmt: skip


def test_max_rows_counts_chats(curated):
    chats = {str(i): chat(f"one {i}?", "gold", f"two {i}?", "gold") for i in range(5)}
    _, rows, *_ = curated(chats, condition="gold", curate_="max_rows: 2")
    assert sum(row["turns"] > 0 for row in rows) == 2
    assert sum(row["kept"] for row in rows) == 4
    for first, second in zip(rows[::2], rows[1::2], strict=True):
        assert (first["kept"], first["reason"]) == (second["kept"], second["reason"])
        assert second["reason"] in ("", "max-rows")


def test_where_the_template_rewrites_turns_each_is_a_row(curated, tiny_folder, capsys):
    _, rows, *_ = curated(CHATS, condition="gold", folder=tiny_folder)
    assert "2 later turns are rows of their own" in capsys.readouterr().err
    assert shown(rows) == [("a/0", 1, ""), ("a/2", 1, ""), ("a/4", 1, ""), ("b", 1, "")]


def test_the_limit_by_question_counts_chats(curated):
    """Two samples of each question; those of a chat are one row each."""
    _, rows, *_ = curated(
        CHATS, generate_="samples: 2, temperature: 0.5",
        curate_="per_question: 1, filters: [parsed, finished, correct, in-test-set, too-long]",
    )  # fmt: skip
    assert [(row["id"], row["sample"], row["turns"], row["reason"]) for row in rows if row["id"] in ("a/4", "b")] == [
        ("a/4", 0, 3, ""), ("a/4", 1, 0, "per-question"), ("b", 0, 1, ""), ("b", 1, 0, "per-question"),
    ]  # fmt: skip
    assert [row["kept"] for row in rows] == [True, False] * 4
