"""Gold answers and completions that are easy to parse incorrectly."""

import time

import pytest

from potstill import metrics, tasks
from potstill.answers.equivalence import same_number
from potstill.errors import RecipeError
from potstill.recipe import loading
from potstill.tasks.registry import parse_task

OPTIONS = {"question": "Which?", "options": ["a shed", "a bird", "swimming pool"], "gold": "B"}
NUMBERS = {"question": "Which?", "options": ["2", "3", "10"], "gold": "1"}
MULTI = {
    "name": "classification",
    "labels": ["terms and conditions", "billing", "refund", ".NET", "C++", "C"],
    "multi": True,
}
LINE = {"type": "object", "properties": {"name": {"type": "string"}, "n": {"type": "integer"}}}
ORDER = {
    "name": "extraction",
    "json_schema": {
        "type": "object",
        "properties": {"zip": {"type": "string"}, "lines": {"type": "array", "items": {"$ref": "#/$defs/line"}}},
        "$defs": {"line": LINE},
    },
}


def parse_completion(task, text, example=None, *, strict=False):
    task = parse_task(task)
    return task.parse(text, "stop", example or dict.fromkeys([*task.columns, "gold"], ""), strict=strict)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: A bird", "B"),
        ("Answer: a bird, because it sings", "B"),
        ("Answer: (b)", "B"),
        ("Answer: A because it is dry", "A"),
        ("Answer: C swimming pool", "C"),
        ("Answer: C, since A and B are wrong", "C"),
        ("The correct one is C, since A and B are wrong", "C"),
        ("a shed", "A"),
        ("Answer: a house", None),
    ],
)
def test_an_option_letter_is_not_confused_with_an_article(text, answer):
    assert parse_completion("multiple_choice", text, OPTIONS).answer == answer


@pytest.mark.parametrize(
    ("text", "answer"), [("Answer: 2", "2"), ("Answer: 2) 3", "2"), ("Answer: 10", "3"), ("Answer: 2.5", None)]
)
def test_number_marks_take_precedence_over_options_that_are_numbers(text, answer):
    assert parse_completion({"name": "multiple_choice", "marks": "numbers"}, text, NUMBERS).answer == answer


def test_options_are_not_shuffled_when_the_row_has_its_own_prompt_or_rationale():
    task = parse_task("multiple_choice")
    plain = {"id": "1", "question": "Which?", "options": [f"option {i}" for i in range(9)], "gold": "C"}
    for own in ({"prompt": "Which? C) option 2"}, {"rationale": "C is right"}):
        (shown,) = task.expand(plain | own, 1)
        assert (shown["options"], shown["gold"]) == (plain["options"], "C")
    (shown,) = task.expand(plain | {"prompt": None, "rationale": None}, 1)
    assert shown["options"] != plain["options"]
    assert shown["options"]["ABCDEFGHI".index(shown["gold"])] == "option 2"


@pytest.mark.parametrize(
    ("value", "gold"),
    [
        ("Billing", "billing"),
        (1, "billing"),
        ("1", "billing"),
        (1.0, "billing"),
        (" refund ", "refund"),
        (".net", ".NET"),
    ],
)
def test_gold_is_a_label_or_its_index(value, gold):
    task = parse_task({"name": "classification", "labels": [".NET", "billing", "refund"]})
    assert task.parse_gold(value, {}) == gold


@pytest.mark.parametrize("value", ["billing; refund", "billing, or so", "3", "", True])
def test_gold_that_is_no_label_is_rejected(value):
    task = parse_task({"name": "classification", "labels": [".NET", "billing", "refund"]})
    with pytest.raises(ValueError, match="none of the labels"):
        task.parse_gold(value, {})


def test_labels_that_are_numbers_are_not_indices():
    task = parse_task({"name": "classification", "labels": ["1", "2", "3"]})
    assert [task.parse_gold(value, {}) for value in (1, "2", 3.0)] == ["1", "2", "3"]
    with pytest.raises(ValueError, match="none of the labels"):
        task.parse_gold(0, {})


@pytest.mark.parametrize(
    ("value", "gold"),
    [("billing; refund", "billing, refund"), ("C|C++", "C++, C"), ([1, "refund"], "billing, refund"), ([], "none")],
)
def test_gold_with_several_labels(value, gold):
    assert parse_task(MULTI).parse_gold(value, {}) == gold


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: terms and conditions, and billing", "terms and conditions, billing"),
        ("Answer: billing and refund", "billing, refund"),
        ("- billing\n- .NET", "billing, .NET"),
        ("Answer: None", "none"),
        ("billing is spoken of, refund too", None),
        ("Answer: billing and weather", None),
    ],
)
def test_several_labels_in_a_text(text, answer):
    assert parse_completion(MULTI, text).answer == answer


@pytest.mark.parametrize(
    ("text", "status", "answer"),
    [
        ("There is not enough information, so the answer is neutral.", "ok", "neutral"),
        ("I don’t know whether it is entailment or neutral", "abstained", None),
        ("I’m sorry, no label such as neutral fits", "refused", None),
    ],
)
def test_a_label_after_an_abstention_counts_only_as_a_conclusion(text, status, answer):
    parsed = parse_completion("nli", text)
    assert (parsed.status, parsed.answer) == (status, answer)


@pytest.mark.parametrize("task", ["conversation", "summarization"])
@pytest.mark.parametrize(
    ("text", "status"),
    [
        ("I’m sorry, but I can’t help with that.", "refused"),
        ("As an AI language model, I cannot summarize this text.", "refused"),
        ("I'm sorry to hear that. When did it break?", "ok"),
        ("I can't wait to see it!", "ok"),
    ],
)
def test_a_refusal_is_no_answer_in_tasks_that_accept_any_text(task, text, status):
    assert parse_completion(task, text).status == status


@pytest.mark.parametrize(
    ("task", "text", "rationale"),
    [
        ("math", "The total is 18.\nThe final answer: 18", "The total is 18."),
        ("math", "It is $\\boxed{18}$", ""),
        ("math", "12 + 6 = 18, so \\boxed{18}", "12 + 6 = 18"),
        ("math", "That is right\nAnswer: 18", "That is right"),
        ("math", '{"rationale": null, "answer": 18}', ""),
        ("math", '{"rationale": ["12 + 6", "= 18"], "answer": 18}', "12 + 6\n= 18"),
        (
            {"name": "custom", "prompts": {"plain": "{{ q }}"}, "answer_pattern": r"P\d"},
            "It burns.\nAnswer:\nP1",
            "It burns.",
        ),
    ],
)
def test_a_rationale_excludes_the_words_that_introduce_the_answer(task, text, rationale):
    parsed = parse_completion(task, text)
    assert (parsed.status, parsed.rationale) == ("ok", rationale)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("Answer: The 3 boxes hold 18 eggs", "18"),
        ("Answer: 18 eggs in 3 boxes", "18"),
        ("Answer: The total is 18 eggs in 3 boxes", "18"),
        ("Answer: 3 1/2 cups", "3 1/2"),
        (r"Answer: $\frac{1}{2}$ cm", r"\frac{1}{2}"),
        (r"Answer: \(\frac{3}{4}\) of a mile", r"\frac{3}{4}"),
        (r"Answer: the length is $\sqrt{5}$ meters", r"\sqrt{5}"),
        ("Answer: $10^3$ people", "10^3"),
        ("Answer: between $5 and $10 she pays $7", "7"),
    ],
)
def test_the_number_or_formula_that_a_sentence_states(text, answer):
    assert parse_completion("math", text).answer == answer


@pytest.mark.parametrize(
    ("a", "b", "equal"),
    [("50", "50%", True), ("50%", "0.5", True), ("0.5%", "50", False), ("5", "50%", False), ("3.5", "3 1/2", True),
     ("-7/2", "-3 1/2", True), ("31/2", "3 1/2", False)],
)  # fmt: skip
def test_percents_and_mixed_numbers(a, b, equal):
    assert same_number(a, b) is same_number(b, a) is equal


@pytest.mark.parametrize(
    ("gold", "record", "exact"),
    [
        ({"zip": "01234"}, {"zip": "1234"}, 0),
        ({"zip": "AB 1."}, {"zip": "ab  1"}, 1),
        ({"lines": [{"name": "tea", "n": 1}, {"name": "cup", "n": 2}]}, {"lines": [{"name": "cup", "n": 2}, {"n": 1, "name": "Tea"}]}, 1),
        ({"lines": [{"name": "tea", "n": 1}, {"name": "cup", "n": 2}]}, {"lines": [{"name": "tea", "n": 2}, {"name": "cup", "n": 1}]}, 0),
        ({"lines": []}, {"zip": ""}, 1),
    ],
)  # fmt: skip
def test_a_record_is_exact_when_its_values_are_grouped_the_same_way(gold, record, exact):
    task = parse_task(ORDER)
    example = {"text": "", "gold": task.parse_gold(gold, {})}
    answer = parse_completion(ORDER, str(record).replace("'", '"')).answer
    assert task.scores(answer, example)["exact_record"] == exact


def test_references_of_a_reply_schema_resolve():
    import jsonschema

    task = parse_task(ORDER)
    schema = task.reply_schema({}, tasks.PromptSpec(tasks.Prompting.COT, "json"))
    reply = {"rationale": "", "answer": {"lines": [{"name": "tea", "n": 1}]}}
    validator = jsonschema.Draft202012Validator(schema)
    assert validator.is_valid(reply)
    assert not validator.is_valid({"rationale": "", "answer": {"lines": [{"n": "one"}]}})
    assert task.parse(str(reply).replace("'", '"'), "stop", {"gold": None}, strict=True).status == "ok"


@pytest.mark.parametrize("reference", ["#/$defs/none", "https://example.com/schema.json"])
def test_an_unresolvable_reference_is_rejected_with_the_recipe(reference):
    schema = {"type": "object", "properties": {"a": {"$ref": reference}}}
    with pytest.raises(RecipeError, match=r"\$ref"):
        loading.parse(
            f"name: r\ntask: {{name: extraction, json_schema: {schema}}}\ndata: {{}}\n"
            "teacher: {model: packaged/a}\nstudent: {model: packaged/b}\n"
        )


def test_json_of_a_custom_task_is_compared_by_its_values():
    task = parse_task({"name": "custom", "prompts": {"plain": "{{ q }}"}, "json_schema": LINE | {"required": ["n"]}})
    gold = task.parse_gold('{"name": "Tea", "n": 1.0}', {})
    for text in (
        '{"n": 1, "name": "tea"}',
        '{"rationale": "x", "answer": {"name": "tea", "n": 1}}',
        'Answer: {"n": 1, "name": "tea"}',
    ):
        parsed = task.parse(text, "stop", {"gold": gold}, strict=True)
        assert task.scores(parsed.answer, {"gold": gold}) == {"accuracy": 1.0}, text
        assert task.equivalent(parsed.answer, gold)
    assert task.parse('{"n": "one"}', "stop", {"gold": gold}, strict=False).status == "unparseable"
    with pytest.raises(ValueError, match=r"does not follow task\.json_schema"):
        task.parse_gold({"name": "tea"}, {})


def test_reserved_columns_cannot_be_inputs_of_a_custom_task():
    with pytest.raises(ValueError, match="'prompt', which is a reserved column"):
        parse_task({"name": "custom", "prompts": {"plain": "{{ prompt }}"}})


def test_solved_examples_follow_the_options_of_the_task():
    numbered = parse_task({"name": "multiple_choice", "marks": "numbers"})
    assert {shot["gold"] for shot in numbered.shots} <= {"1", "2", "3", "4", "5"}
    upper = parse_task({"name": "nli", "labels": ["Entailment", "Neutral", "Contradiction"]})
    assert {shot["gold"] for shot in upper.shots} == set(upper.labels)
    assert not parse_task({"name": "nli", "labels": ["entailment", "not_entailment"]}).shots


@pytest.mark.parametrize("name", ["extraction", "math", "nli", "multiple_choice", "classification", "summarization"])
@pytest.mark.parametrize(
    "piece", ["answer:x\n```\n```\n", "Answer: {", '{"answer": [', "\\boxed{", "I cannot ", "not "]
)
def test_no_text_takes_long_to_parse(name, piece):
    options = {"extraction": ORDER, "classification": MULTI}.get(name, name)
    example = {"gold": None, "document": "x", "options": ["a", "b"]}
    began = time.process_time()
    parse_completion(options, piece * (100_000 // len(piece)), example)
    assert time.process_time() - began < 10


def test_unsupported_entities_of_texts_full_of_names_do_not_take_long():
    source = " ".join(f"Name{i} said" for i in range(10_000))
    text = " ".join(f"Name{2 * i} said" for i in range(10_000))
    began = time.process_time()
    assert len(metrics.unsupported_entities(source, text)) == 5000
    assert time.process_time() - began < 10


@pytest.mark.parametrize("name", ["custom", "summarization"])
def test_a_lone_surrogate_in_json_is_replaced(name):
    options = {"name": name, "prompts": {"plain": "{{ q }}"}} if name == "custom" else name
    parsed = parse_task(options).parse(
        r'{"rationale": "a\ud83d", "answer": "b\ud83d"}', "stop", {"id": "1"}, strict=True
    )
    assert (parsed.answer, parsed.rationale) == ("b?", "a?")
