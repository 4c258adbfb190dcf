"""Options of tasks: what prompts say, which examples there are, how answers are read and scored."""

from fields.case import case
from potstill.tasks import Prompting, PromptSpec

ROW = {"id": "a", "split": "train", "group": "a", "gold": "a", "system": None, "prompt": None, "text": "T", "question": "Q?",
       "premise": "P", "hypothesis": "H", "options": ["x", "y"]}  # fmt: skip
SCHEMA = {
    "type": "object",
    "properties": {"name": {"type": "string"}},
    "required": ["name"],
    "additionalProperties": False,
}
OTHER_SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}},
    "required": ["age"],
    "additionalProperties": False,
}
CHAIN = str([{"missing_entities": "", "denser_summary": f"Summary {i}."} for i in range(1, 5)]).replace("'", '"')
CHAT = [
    {"role": role, "content": text}
    for role, text in (("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d"))
]


def prompt(recipe):
    """The prompt for a direct answer."""
    return recipe.task.messages(ROW, PromptSpec(Prompting.DIRECT))[-1]["content"]


def says(words):
    return lambda recipe: words in prompt(recipe)


def answer(text):
    """The answer that is read in a text."""
    return lambda recipe: recipe.task.parse(text, "stop", ROW, strict=False).answer


def gold(value):
    return lambda recipe: recipe.task.parse_gold(value, ROW)


def score(answer, gold):
    return lambda recipe: recipe.task.main_score(answer, ROW | {"gold": gold})


def order(recipe):
    """Whether ten options stay in their order."""
    options = [f"option {i}" for i in range(10)]
    (row,) = recipe.task.expand(ROW | {"options": options, "gold": "A", "rationale": None}, 3)
    return row["options"] == options


def task(name, **options):
    files = {"source": "files", "train": "@/rows.jsonl"}
    return {"task": {"name": name, **options}, "data": files, "generate__prompting": "plain", "condition": "gold",
            "evaluate__systems": ["base", "student"]}  # fmt: skip


CUSTOM = task("custom", prompts={"plain": "{{ question }}"})
JUDGED = task("custom", prompts={"plain": "{{ question }}"}, scorer="judge") | {"evaluate__judge__models": "packaged/j"}

CASES = [
    case("Task.name", "task.name", lambda r: type(r.task).__name__, ("nli", "Nli"), ("multiple_choice", "MultipleChoice"),
         **task("nli")),
    case("Classification.labels", "task.labels", says("red, green"), (["red", "green"], True), (["up", "down"], False),
         **task("classification")),
    case("Classification.multi", "task.multi", lambda r: sorted(r.task.labels_of("a, b")),
         (False, ["a, b"]), (True, ["a", "b"]), **task("classification", labels=["a", "b"])),
    case("Classification.about", "task.about", says("Is it polite?"), ("", False), ("Is it polite?", True),
         **task("classification", labels=["a", "b"])),
    case("Conversation.turns", "task.turns", lambda r: len(r.task.expand(ROW | {"messages": CHAT}, 0)), ("all", 2), ("last", 1),
         **task("conversation")),
    case("Custom.answer_pattern", "task.answer_pattern", answer("First <1>, then 22"), ("<(.)>", "1"), (r"\d\d", "22"), **CUSTOM),
    case("Custom.json_schema", "task.json_schema", answer('{"name": "Ann"}'), (SCHEMA, '{"name": "Ann"}'), (OTHER_SCHEMA, None),
         **CUSTOM),
    case("Custom.scorer", "task.scorer", score("1.0", "1"), ("exact", 0.0), ("numeric", 1.0), **CUSTOM),
    case("Custom.rubric", "task.rubric", lambda r: "Be kind." in r.task.correct_means, ("", False), ("Be kind.", True),
         **JUDGED),
    case("Extraction.json_schema", "task.json_schema", says('"name"'), (SCHEMA, True), (OTHER_SCHEMA, False),
         **task("extraction")),
    case("Math.language", "task.language", answer("Answer: 1.234"), ("english", "1.234"), ("german", "1234")),
    case("MultipleChoice.shuffle", "task.shuffle", order, (True, False), (False, True), **task("multiple_choice")),
    case("MultipleChoice.marks", "task.marks", lambda r: "2) y" in prompt(r), ("letters", False), ("numbers", True),
         **task("multiple_choice")),
    case("MultipleChoice.first_index", "task.first_index", gold(1), (0, "B"), (1, "A"), **task("multiple_choice")),
    case("Nli.labels", "task.labels", says("yes"), (["yes", "maybe", "no"], True), (["a", "b", "c"], False), **task("nli")),
    case("Summarization.round", "task.round", answer(CHAIN), (2, "Summary 2."), (4, "Summary 4."), **task("summarization")),
]  # fmt: skip
