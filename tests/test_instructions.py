"""Prompts that are a system message, the system message of all rows, and replies in the JSON of the published pipeline."""

import json

import pytest

from data_recipes import lines, read
from potstill.errors import RecipeError
from potstill.recipe import loading
from potstill.recipe.recipe import Recipe
from potstill.tasks import PLAIN, Prompting, PromptSpec, Status
from potstill.tasks.prompts import Instruction
from potstill.tasks.registry import parse_task
from test_tasks import example, task

OWN = "Reply with {{ '{' }}reason, answer{{ '}' }}, one of {{ labels | join('|') }}."


def instructed(name="nli", **prompts):
    return parse_task({"name": name, "prompts": prompts})


@pytest.mark.parametrize("own_system", [None, "Give the label only."])
@pytest.mark.parametrize("own_prompt", [None, "My own words."])
def test_an_instruction_replaces_the_system_message_before_the_students_prompt(own_system, own_prompt):
    one = instructed(plain="P: {{ premise }} H: {{ hypothesis }}", cot={"system": OWN})
    row = example("nli") | {"system": own_system, "prompt": own_prompt}
    *_, user = one.messages(row)
    system = {"role": "system", "content": "Reply with {reason, answer}, one of entailment|neutral|contradiction."}
    assert one.messages(row, PromptSpec(Prompting.COT)) == [system, user]
    assert user["content"] == (own_prompt or "P: All doors are shut. H: A door is open.")
    plain = one.messages(row)
    assert [m["content"] for m in plain[:-1]] == ([own_system] if own_system else [])
    direct = one.messages(row, PromptSpec(Prompting.DIRECT))  # the task's own
    assert [m["content"] for m in direct[:-1]] == ([own_system] if own_system else [])


def test_solved_examples_come_after_the_instruction():
    one = instructed(cot={"system": "Reason. {{ brief }} {{ form }}"})
    row = example("nli")
    messages = one.messages(row, PromptSpec(Prompting.COT_FEWSHOT, max_words=9))
    assert messages[0]["content"] == "Reason. Use at most 9 words. Finish with a line of the form\nAnswer: LABEL"
    assert [m["role"] for m in messages] == ["system", *["user", "assistant"] * 3, "user"]
    assert messages[1] == one.messages(one.shots[0])[0]
    assert messages[2]["content"].endswith("\nAnswer: entailment")


def test_a_json_schema_is_sent_only_with_the_form_that_it_belongs_to():
    row, spec = example("nli"), PromptSpec(Prompting.COT_FEWSHOT, "json")
    named, own = instructed(cot={"system": "Reason. {{ form }}"}), instructed(cot={"system": OWN})
    assert set(named.reply_schema(row, spec)["properties"]) == {"rationale", "answer"}
    assert named.messages(row, spec)[2]["content"].startswith('{"rationale": ')
    assert own.reply_schema(row, spec) is None
    assert own.messages(row, spec)[2]["content"].endswith("\nAnswer: entailment")
    direct = instructed(direct={"system": "Answer. {{ form }}"})
    assert direct.messages(row, PromptSpec(Prompting.DIRECT_FEWSHOT))[2]["content"] == "Answer: entailment"
    chains = instructed("summarization", cod={"system": "Write four summaries."})
    assert chains.reply_schema(example("summarization"), PromptSpec(Prompting.COD, "json")) is None
    assert chains.reply_schema(example("summarization"), PromptSpec(Prompting.DIRECT, "json")) is not None


def test_an_instruction_adds_a_prompting_and_its_columns():
    one = instructed("custom", plain="{{ ticket }}", cot={"system": "For {{ customer }}: why?"})
    assert set(one.columns) == {"ticket", "customer"}
    assert Prompting.COT in one.promptings
    assert Prompting.COD not in one.promptings
    row = example("custom") | {"customer": "Ann"}
    assert [m["content"] for m in one.messages(row, PromptSpec(Prompting.COT))] == [
        "For Ann: why?",
        "Nobody can log in",
    ]
    assert one.direct_is_plain
    assert not instructed("custom", plain="{{ ticket }}", direct={"system": "Answer."}).direct_is_plain


RECIPE = """\
name: r
task: {name: math, prompts: PROMPTS}
data: {source: word_problems}
teacher: {model: packaged/smollm2-135m-instruct}
student: {model: packaged/smollm2-135m-instruct}
"""


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ("{cot: {sytem: a}}", "2:36: unknown key 'sytem'. Did you mean 'system'? Keys here: system."),
        (
            "{cot: {system: 4}}",
            "2:44: 'task.prompts.cot.system' is 4 without quotes, which YAML reads as a number; quote it",
        ),
        ("{cot: 3}", "2:35: 'task.prompts.cot' is 3 without quotes, which YAML reads as a number; quote it"),
        ("{cot: {system: '{{ x }}'}}", "2:7: 'task': prompts.cot names 'x'. There are question, form and brief."),
        (
            "{plain: {system: a}}",
            "prompts.plain is the user's turn, a text; data.system is the system message of all rows",
        ),
    ],
)
def test_a_wrong_instruction_is_reported(prompts, message):
    with pytest.raises(RecipeError) as error:
        loading.parse(RECIPE.replace("PROMPTS", prompts))
    assert message in str(error.value)


def test_an_instruction_survives_the_recipe_that_a_run_keeps():
    recipe = loading.parse(RECIPE.replace("PROMPTS", "{cot: {system: Reason.}}"))
    assert loading.parse(loading.dump(recipe)).task == recipe.task
    assert Instruction.model_json_schema() in _values(Recipe.model_json_schema())


def _values(schema):
    """All parts of a schema."""
    yield schema
    for value in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _values(value)


# Rows


def test_a_system_message_for_all_rows_that_have_none_of_their_own(tmp_path):
    rows = [{"question": f"What is {i} + 1?", "gold": i + 1} for i in range(8)]
    rows[2]["system"], rows[3]["system"] = "Be brief.", " "
    (tmp_path / "rows.jsonl").write_text(lines(rows))
    data = {"source": "files", "train": "rows.jsonl", "validation": 1, "test": 1, "system": "Give the number."}
    systems = {row["question"]: row["system"] for row in read(tmp_path, data)}
    assert systems.pop("What is 2 + 1?") == "Be brief."
    assert set(systems.values()) == {"Give the number."}


def test_rows_that_the_preset_leaves_out_do_not_count_for_the_limit(tmp_path):
    chats = [f"[|Human|] Why {i}?\n[|AI|] So {i}.\n[|Human|] " for i in range(20)]
    rows = [{"chat_sample": chat, "dataset_origin": "quora" if i % 4 == 3 else "x"} for i, chat in enumerate(chats)]
    (tmp_path / "rows.jsonl").write_text(lines(rows))
    data = {"source": "files", "preset": "baize_quora", "train": "rows.jsonl", "validation": 1, "test": 1, "limit": 4}
    questions = {row["messages"][0]["content"] for row in read(tmp_path, data, "conversation")}
    assert questions == {"Why 3?", "Why 7?", "Why 11?", "Why 15?"}


# Replies


@pytest.mark.parametrize(
    ("name", "value", "answer"),
    [
        ("math", 5, "5"), ("math", "5.0", "5.0"), ("nli", "contradiction", "contradiction"), ("multiple_choice", "(B)", "B"),
        ("multiple_choice", "an apple", "B"), ("classification", "delivery", "delivery"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("keys", [("reason", "answer_choice"), ("reason", "answer"), ("rationale", "answer_choice")])
def test_replies_under_the_published_keys_are_read_in_every_task(name, value, answer, keys):
    text = json.dumps(dict(zip(keys, ("Because.", value), strict=True)))
    parsed = task(name).parse(text, "stop", example(name), strict=True)
    assert (parsed.status, parsed.answer, parsed.rationale) == (Status.OK, answer, "Because.")


def test_potstills_own_keys_come_first():
    text = '{"reason": "r", "answer_choice": "neutral", "rationale": "own", "answer": "entailment"}'
    parsed = task("nli").parse(text, "stop", example("nli"), strict=True)
    assert (parsed.answer, parsed.rationale) == ("entailment", "own")
    assert task("nli").parse('{"reason": "r"}', "stop", example("nli"), strict=True).status is Status.UNPARSEABLE


def test_a_chain_of_density_under_the_published_keys():
    steps = ", ".join(f'{{"Missing_Entities": "x", "Denser_Summary": "{text}"}}' for text in "abcd")
    one, row = parse_task({"name": "summarization", "round": 4}), example("summarization")
    assert one.parse(f"[{steps}]", "stop", row, strict=True).answer == "d"
    assert one.parse(f"[{steps}, more]", "stop", row, strict=False).status is Status.UNPARSEABLE  # no valid JSON


def test_the_teacher_can_be_asked_with_the_students_prompt():
    values = RECIPE.replace("PROMPTS", "{}") + "condition: vanilla\ngenerate: {prompting: plain, output: json}\n"
    recipe = loading.parse(values)
    assert recipe.prompting is Prompting.PLAIN
    assert recipe.prompt_spec(recipe.prompting) == PLAIN
