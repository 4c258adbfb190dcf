"""All tasks: their prompts, parsing and scores, and the guide to a new task."""

import importlib
import re
import time
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

import test_imports
from potstill import metrics, tasks
from potstill.recipe.loading import parse
from potstill.tasks import Prompting, PromptSpec, Status
from potstill.tasks.registry import names, parse_task
from potstill.tasks.summarization import extract_rounds

SCHEMA = {
    "type": "object",
    "properties": {"total": {"type": "number"}, "supplier": {"type": "string"}, "items": {"type": "array"}},
}
OPTIONS = {
    "classification": {"labels": ["delivery", "refund", "account"]},
    "extraction": {"json_schema": SCHEMA},
    "custom": {
        "prompts": {"plain": "{{ ticket }}", "cot": "Why? {{ ticket }} {{ brief }} {{ form }}"},
        "answer_pattern": "P[1-3]",
    },
}
EXAMPLES = {
    "math": {"question": "What is 2 + 3?", "gold": "5"},
    "nli": {"premise": "All doors are shut.", "hypothesis": "A door is open.", "gold": "contradiction"},
    "multiple_choice": {"question": "Which is a fruit?", "options": ["a chair", "an apple", "a road"], "gold": "B"},
    "classification": {"text": "Where is my parcel?", "gold": "delivery"},
    "extraction": {"text": "Oak Ltd, 12.50 in all, nails", "gold": '{"supplier": "Oak Ltd", "total": 12.5}'},
    "summarization": {"document": "Ann: Lunch at 12?\nBob: Yes.", "gold": "Ann and Bob lunch at 12."},
    "conversation": {"messages": [{"role": "user", "content": "Hello"}], "gold": "Hello!"},
    "custom": {"ticket": "Nobody can log in", "gold": "P1"},
}


def task(name):
    return parse_task({"name": name, **OPTIONS.get(name, {})})


def example(name):
    empty = dict.fromkeys(("id", "group", "system", "prompt", "rationale"))
    return empty | {"id": "1"} | EXAMPLES[name]


def test_these_tests_cover_all_tasks():
    assert set(names()) == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_gold_scores_as_correct_and_parses_back_from_the_target_text(name):
    one, row = task(name), example(name)
    gold = one.parse_gold(row["gold"], row)
    for rationale in ("", "Because of this.\nAnd that."):
        target = one.target_text(rationale, gold)
        parsed = one.parse(target, "stop", row, strict=True)
        assert (parsed.status, parsed.answer) == (Status.OK, gold)
    scores = one.scores(gold, row | {"gold": gold})
    assert next(iter(scores.values())) == 1.0
    assert one.equivalent(gold, gold)


@pytest.mark.parametrize("name", EXAMPLES)
def test_the_instructions_to_the_teacher_do_not_reach_the_student(name):
    one, row = task(name), example(name)
    columns = [row[column] for column in one.columns]
    plain = one.messages(row)
    for prompting in one.promptings:
        for output in ("text", "json"):
            instructed = one.messages(
                row,
                PromptSpec(prompting, output, 80),
                None if prompting.prompt == "cod" else [row | {"rationale": "The secret rationale."}],
            )
            assert one.messages(row) == plain
            if prompting.prompt not in ("plain", "direct"):
                assert "80 words" in instructed[-1]["content"]
    student_prompt = str(plain)
    assert "80 words" not in student_prompt
    assert "Answer:" not in student_prompt
    assert "secret" not in student_prompt
    texts = [part for part in columns if isinstance(part, str)]
    assert all(text in plain[-1]["content"] for text in texts)


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_prompt_and_a_system_prompt_of_a_row_are_used_verbatim(name):
    one, row = task(name), example(name) | {"system": "Speak {{ plainly }}.", "prompt": "My own: {{ 1 + 1 }} <b>"}
    messages = one.messages(row)
    assert messages[0] == {"role": "system", "content": "Speak {{ plainly }}."}
    if name != "conversation":
        assert messages[1:] == [{"role": "user", "content": "My own: {{ 1 + 1 }} <b>"}]
    for prompting in one.promptings:
        messages = one.messages(row, PromptSpec(prompting), [])
        assert messages[0]["role"] == "system"
        if prompting.prompt != "plain" and name != "conversation":
            assert "My own" not in str(messages)


@pytest.mark.parametrize("name", EXAMPLES)
@given(text=st.text(max_size=400), strict=st.booleans())
@settings(max_examples=60, deadline=None)
def test_no_text_raises_and_only_the_status_ok_has_an_answer(name, text, strict):
    one, row = task(name), example(name)
    parsed = one.parse(text, "stop", row, strict=strict)
    assert (parsed.answer is not None) == (parsed.status is Status.OK)
    if parsed.answer is not None:
        assert len(parsed.answer) <= max(len(text) + 200, 400)
        assert all(score is None or isinstance(score, float) for score in one.scores(parsed.answer, row).values())


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize(
    "text",
    ["{" * 100_000, "[" * 100_000, "Answer: " * 12_500, "\\boxed{" * 14_000, "answer:" + "a" * 100_000, "9" * 100_000,
     "```json\n" * 12_000, '"answer"' + "{" * 90_000 + "}" * 9_000, "$" * 100_000, " " * 99_999 + "x", "not " * 25_000,
     "A B C " * 16_000, "entailment " * 9_000],
    ids=range(13),
)  # fmt: skip
def test_a_hostile_text_is_parsed_within_a_second(name, text):
    one, row = task(name), example(name)
    began = time.process_time()
    for strict in (True, False):
        one.parse(text, "stop", row, strict=strict)
    assert time.process_time() - began < 2.0


EXTRACTIONS = [
    ("nli", "It follows.\nAnswer: Entailment.", "entailment", "answer-line"),
    ("nli", "**Answer:** contradiction (since no door is open)", "contradiction", "answer-line"),
    ("nli", "neutral", "neutral", "bare"),
    ("nli", "The premise contradicts the hypothesis.", "contradiction", "last-label"),
    ("nli", "This is not entailment but neutral", "neutral", "last-label"),
    ("nli", '{"rationale": "x", "answer": "neutral"}', "neutral", "json"),
    ("multiple_choice", "Answer: B", "B", "answer-line"),
    ("multiple_choice", "Answer: (b)", "B", "answer-line"),
    ("multiple_choice", "Answer: an apple", "B", "answer-line"),
    ("multiple_choice", "An apple.", "B", "bare"),
    ("multiple_choice", "So the best option is clearly B.", "B", "last-mark"),
    ("multiple_choice", 'Sure: ```json\n{"answer": "C"}\n```', "C", "json"),
    ("math", "so \\boxed{\\frac{1}{2}}", "\\frac{1}{2}", "boxed"),
    ("math", "Answer: 12 apples", "12", "answer-line"),
    ("math", "Answer: 3 * 4 = 12", "12", "answer-line"),
    ("math", "12.5%", "12.5%", "bare"),
    ("math", "which makes 7 of them", "7", "last-number"),
    ("classification", "Answer: Refund", "refund", "answer-line"),
    ("extraction", 'Here: {"total": 3}', '{"total": 3}', "json"),
    ("custom", "P3? No, P1", "P1", "pattern"),
    ("summarization", "Summary: Two friends meet.", "Two friends meet.", "whole"),
]


@pytest.mark.parametrize(("name", "text", "answer", "rule"), EXTRACTIONS)
def test_the_answer_and_the_rule_that_extracted_it(name, text, answer, rule):
    parsed = task(name).parse(text, "stop", example(name), strict=False)
    assert (parsed.answer, parsed.rule) == (answer, rule)


@pytest.mark.parametrize(
    ("name", "text"),
    [("nli", "Answer: perhaps"), ("multiple_choice", "Answer: F"), ("extraction", '{"total": "three"}'), ("custom", "P9"),
     ("classification", "Answer: pricing")],
)  # fmt: skip
def test_an_invalid_answer_is_unparseable(name, text):
    assert task(name).parse(text, "stop", example(name), strict=True).status is Status.UNPARSEABLE


@pytest.mark.parametrize(
    ("name", "gold", "message"),
    [("nli", "maybe", "none of the labels"), ("multiple_choice", "F", "none of the 3 options"),
     ("classification", "lost", "none of the labels"), ("extraction", "[]", "no JSON object"),
     ("extraction", {"total": "x"}, "does not follow"), ("math", "blue sky", "no number")],
)  # fmt: skip
def test_invalid_gold_is_rejected(name, gold, message):
    with pytest.raises(ValueError, match=message):
        task(name).parse_gold(gold, example(name))


@pytest.mark.parametrize(
    ("gold", "expected"), [("B", "B"), ("an apple", "B"), (1, "B"), ("2", "B"), ("(c)", "C"), ("An Apple", "B")]
)
def test_gold_of_multiple_choice_is_a_mark_a_text_or_a_position(gold, expected):
    assert task("multiple_choice").parse_gold(gold, example("multiple_choice")) == expected


def test_options_are_shuffled_by_seed_and_the_order_is_recorded():
    one, row = task("multiple_choice"), example("multiple_choice") | {"options": ["a", "b", "c", "d"], "gold": "B"}
    orders = set()
    for seed in range(20):
        (shown,) = one.expand(dict(row), seed)
        orders.add(tuple(shown["order"]))
        assert [row["options"][index] for index in shown["order"]] == shown["options"]
        assert shown["options"][ord(shown["gold"]) - ord("A")] == "b"
        assert one.expand(dict(row), seed) == [shown]
    assert len(orders) > 5
    (unshuffled,) = one.expand(row | {"options": ["x", "y", "none of the above"]}, 3)
    assert unshuffled["order"] == [0, 1, 2]


def test_several_labels():
    one = parse_task({"name": "classification", "labels": ["a", "b", "c"], "multi": True})
    row = {"text": "t", "gold": one.parse_gold(["c", "a"], {})}
    assert row["gold"] == "a, c"
    assert one.parse("Answer: c, a", "stop", row, strict=True).answer == "a, c"
    assert one.parse('{"answer": ["b"]}', "stop", row, strict=True).answer == "b"
    assert one.parse("Answer: none", "stop", row, strict=True).answer == "none"
    assert one.scores("a, b", row) == {"accuracy": 0.0, "f1": 0.5}
    assert one.parse_gold([], {}) == "none"


def test_extraction_is_scored_per_field_and_per_record():
    row = {"text": "t", "gold": '{"supplier": "Oak Ltd.", "total": 12.5, "items": ["nails", "glue"]}'}
    scores = task("extraction").scores('{"supplier": "oak ltd", "total": "12.50", "items": ["glue", "tape"]}', row)
    assert scores["exact_record"] == 0.0
    assert scores["precision"] == scores["recall"] == scores["f1"] == 0.75
    assert (scores["f1_supplier"], scores["f1_total"], scores["f1_items"]) == (1.0, 1.0, 0.5)
    exact = task("extraction").scores(
        '{"items": ["glue", "nails"], "total": 12.50, "supplier": "Oak Ltd", "x": null}', row
    )
    assert exact["exact_record"] == 1.0


def test_a_conversation_becomes_an_example_for_each_reply():
    turns = [("system", "Be kind."), ("user", "1"), ("assistant", "one"), ("user", "2"), ("assistant", "two")]
    row = example("conversation") | {"messages": [{"role": role, "content": c} for role, c in turns], "gold": None}
    rows = task("conversation").expand(row, 0)
    assert [(r["id"], len(r["messages"]), r["gold"]) for r in rows] == [("1/1", 2, "one"), ("1/3", 4, "two")]
    (last,) = parse_task({"name": "conversation", "turns": "last"}).expand(row, 0)
    assert (last["id"], len(last["messages"]), last["gold"]) == ("1", 4, "two")


def chain(*summaries):
    steps = [f'{{"missing_entities": "x", "denser_summary": "{summary}"}}' for summary in summaries]
    return f"Here it is:\n[{', '.join(steps)}]"


def test_calibration_chooses_the_round_of_a_chain():
    row = example("summarization")
    one = task("summarization")
    text = chain("They talk.", "Ann and Bob lunch at 12.", "Ann, Bob, 12, lunch, yes.", "Ann Bob 12 yes")
    assert one.parse(text, "stop", row, strict=True).answer == "Ann Bob 12 yes"
    calibrated, reason = one.calibrate([(row, text)])
    assert calibrated.round == 2
    assert "overlap" in reason
    assert calibrated.parse(text, "stop", row, strict=True).answer == "Ann and Bob lunch at 12."
    by_density, reason = one.calibrate([(row | {"gold": None}, text)])
    assert "entities" in reason
    assert by_density.round == 2
    short = chain("a", "b")
    assert one.parse(short, "stop", row, strict=True).status is Status.UNPARSEABLE
    assert one.parse(short, "stop", row, strict=False).answer == "b"


def test_a_solved_chain_parses_back_and_its_summaries_have_similar_length():
    one = task("summarization")
    for output in ("text", "json"):
        messages = one.messages(example("summarization"), PromptSpec(Prompting.COD_FEWSHOT, output))
        solved = extract_rounds(messages[1]["content"])
        assert len(solved) == 4
        assert max(len(text.split()) for text in solved) - min(len(text.split()) for text in solved) <= 6
        densities = [metrics.entity_density(text) for text in solved]
        assert densities == sorted(densities)
    direct = one.messages(example("summarization"), PromptSpec(Prompting.DIRECT_FEWSHOT))
    assert direct[1]["content"].startswith("Emil will open")
    assert (
        task("nli").messages(example("nli"), PromptSpec(Prompting.DIRECT_FEWSHOT))[1]["content"] == "Answer: entailment"
    )


def test_the_question_key_ignores_the_order_of_options():
    one, row = task("multiple_choice"), example("multiple_choice")
    (shown,) = one.expand(dict(row), 1)
    (reshuffled,) = one.expand(row | {"id": "2"}, 1)
    assert one.question_key(shown) == one.question_key(reshuffled)


def test_a_json_reply_has_a_schema():
    one, row = task("nli"), example("nli")
    assert one.reply_schema(row, PromptSpec(Prompting.COT)) is None
    schema = one.reply_schema(row, PromptSpec(Prompting.COT, "json"))
    assert list(schema["properties"]) == ["rationale", "answer"]
    messages = one.messages(row, PromptSpec(Prompting.COT_FEWSHOT, "json"))
    assert '"rationale"' in messages[-1]["content"]
    assert one.parse(messages[1]["content"], "stop", row, strict=True).rule == "json"


def test_the_code_of_the_guide_to_a_new_task_works(tmp_path, monkeypatch):
    guide = (Path(__file__).parents[1] / "docs" / "adding-a-task.md").read_text(encoding="utf-8")
    assert len(guide.splitlines()) < 60
    for kind, name in (("python", "plural.py"), ("yaml", "plural.yaml")):
        (block,) = re.findall(rf"```{kind}\n(.*?)```", guide, re.DOTALL)
        (tmp_path / name).write_text(block, encoding="utf-8")
    monkeypatch.setattr(tasks, "__path__", [*tasks.__path__, str(tmp_path)])
    importlib.invalidate_caches()
    recipe = parse(
        "name: r\ntask: {name: plural, language: Welsh}\nteacher: {model: packaged/a}\nstudent: {model: packaged/b}\ndata: {}"
    )
    one, row = recipe.task, {"word": "box", "gold": "boxes"}
    ways = [p.value for p in one.promptings]
    assert [way for way in ways if "retrieved" not in way] == [
        "plain",
        "fewshot",
        "direct",
        "direct-fewshot",
        "cot",
        "cot-fewshot",
    ]
    assert [way for way in ways if "retrieved" in way] == ["retrieved", "direct-retrieved"]
    messages = one.messages(row, PromptSpec(Prompting.COT_FEWSHOT))
    assert "Welsh" in messages[-1]["content"]
    assert one.parse(messages[1]["content"], "stop", row, strict=True).answer == "foxes"
    assert one.parse("boxes", "stop", row, strict=False).answer == "boxes"
    assert yaml.safe_load((tmp_path / "plural.yaml").read_text())["examples"]


DECIDE_NOTHING = {"potstill", "potstill.errors", "potstill.config", "potstill.models.prices"}
"""Modules with nothing but the words of messages, prices, and what other packages import."""


def reachable(module):
    """Modules that a module imports, and what these import."""
    found, waiting = set(), [module]
    while waiting:
        one = waiting.pop()
        if one not in found:
            found.add(one)
            waiting += test_imports.GRAPH[one] - DECIDE_NOTHING
    return found


@pytest.mark.parametrize("name", names())
def test_the_digest_of_a_task_reads_every_module_that_its_own_imports(name, monkeypatch):
    needed = reachable(f"potstill.tasks.{name}")
    digested, read = set(), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: (digested.add(file), read(file))[1])
    task(name).code_digest()
    files = {Path(importlib.import_module(one).__file__) for one in needed}
    assert len(files) > 25
    assert files <= digested


@pytest.mark.parametrize("name", ["math.py", "math.yaml", "forms.yaml"])
def test_the_digest_of_a_task_depends_on_every_file_that_decides_how_an_answer_is_read(name, monkeypatch):
    before, read = parse_task("math").code_digest(), Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: read(file) + b"#" * (file.name == name))
    assert parse_task("math").code_digest() != before
