"""Fields that decide what the teacher is asked, and how its answers are read and paid for."""

from pathlib import Path
from tempfile import mkdtemp
from unittest import mock

from fields.case import case
from potstill.models import Completion, Request
from potstill.models import complete as completing
from potstill.models.budget import Spending
from potstill.models.opening import open_model
from potstill.models.store.store import Store
from potstill.stages.curate import _Labeller
from potstill.stages.few_shot import FewShotExamples
from potstill.stages.generate import _row, requests
from potstill.workspace.workspace import Workspace


def example(question, gold="7", split="train", **columns):
    row = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
    return row | {"id": question, "split": split, "group": question, "gold": gold, "question": question} | columns


APPLES = [example(f"How many {colour} apples are there in the {place}?") for colour, place in
          (("red", "bowl"), ("green", "box"), ("rotten", "cellar"), ("sour", "pie"))]  # fmt: skip
ASKED = example("How many sour apples does the pie hold?")


def sent(recipe):
    """The requests about one question."""
    shots = FewShotExamples(recipe, lambda: iter(APPLES))
    return [request for _, request in requests(recipe, [ASKED], shots, recipe.generate.samples)]


def sampling(name):
    return lambda recipe: getattr(sent(recipe)[0].sampling, name)


def texts(recipe):
    return [message["content"] for message in sent(recipe)[0].messages]


def shows_training(recipe):
    return "apples are there" in "".join(texts(recipe)[:-1])


def read_of(text):
    request = Request("a", [{"role": "user", "content": "q"}])
    return lambda recipe: _row(
        recipe, recipe.task, ASKED, (request, Completion("a", 0, text=text, finish_reason="stop"))
    )


def target(recipe):
    """What the student is to say."""
    row = read_of("Three and four.\nAnswer: 7")(recipe)
    return _Labeller(recipe, recipe.task, {}, lambda *_: 1, {})._target(row)


def opened(recipe):
    store = Store(Path(mkdtemp()) / "store.sqlite")
    one = recipe.teacher
    return open_model(one.model, one.batch_size, one.dtype, store, one.chat_template)


def billed(recipe):
    """How completions of the teacher are paid for, and the model that writes them."""
    run = Workspace(Path(mkdtemp())).run(recipe, "")
    with mock.patch.object(completing, "complete") as complete:
        completing.complete_within_budget(recipe.teacher, [], "teacher", run)
    model, *_, billing = complete.call_args.args
    return model, billing


def allowed(recipe):
    """How many requests of 40 + 10 tokens the budget allows, of five."""
    model, billing = billed(recipe)
    spending = Spending(billing.budget, model, billing.store, "run")
    request = Request("a", [{"role": "user", "content": "q"}])
    done = 0
    while done < 5 and spending.allows(request, 0):
        spending.add(Completion("a", 0, prompt_tokens=40, completion_tokens=10, cost=2.0))
        done += 1
    return done


FEW_SHOT = {"generate__prompting": "direct-fewshot"}
FROM_TRAIN = {**FEW_SHOT, "generate__shots__source": "train"}
TINY = {"teacher__model": "@/tiny"}

CASES = [
    case("Generate.prompting", "generate.prompting", lambda r: len(texts(r)), ("direct", 1), ("cot-fewshot", 5)),
    case("Generate.output", "generate.output", lambda r: sent(r)[0].schema is None, ("text", True), ("json", False)),
    case("Generate.max_words", "generate.max_words", lambda r: " 77 " in texts(r)[-1], (77, True), (None, False),
         generate__prompting="cot"),
    case("Generate.samples", "generate.samples", lambda r: [one.sample for one in sent(r)], (1, [0]), (3, [0, 1, 2]),
         generate__temperature=1.0),
    case("Generate.temperature", "generate.temperature", sampling("temperature"), (0.0, 0.0), (0.7, 0.7)),
    case("Generate.top_p", "generate.top_p", sampling("top_p"), (1.0, 1.0), (0.9, 0.9)),
    case("Generate.max_tokens", "generate.max_tokens", sampling("max_tokens"), (33, 33), (65, 65)),
    case("Generate.seed", "generate.seed", sampling("seed"), (4, 4), (5, 5), generate__temperature=1.0),
    case("Generate.top_logprobs", "generate.top_logprobs", sampling("top_logprobs"), (0, 0), (2, 2)),
    case("FewShot.source", "generate.shots.source", shows_training, ("task", False), ("train", True), **FEW_SHOT),
    case("FewShot.n", "generate.shots.n", lambda r: len(texts(r)), (1, 3), (3, 7), **FROM_TRAIN),
    case("FewShot.select", "generate.shots.select", lambda r: texts(r)[0].splitlines()[-1],
         ("seed", APPLES[2]["question"]), ("similarity", APPLES[3]["question"]), generate__shots__n=1, **FROM_TRAIN),
    case("Task.prompts", "task.prompts", lambda r: texts(r)[-1].startswith("Well:"), ({}, False),
         ({"direct": "Well: {{ question }}"}, True), generate__prompting="direct"),
    case("Instruction.system", "task.prompts.direct.system", lambda r: texts(r)[0], ("Reply.", "Reply."), ("Say.", "Say."),
         generate__prompting="direct"),
    case("Recipe.condition", "condition", target, ("cot-answer", "7"), ("cot-rationale", "Three and four.\nAnswer: 7")),
    case("Curate.extraction", "curate.extraction", lambda r: read_of("So it is 7.")(r)["status"],
         ("strict", "unparseable"), ("lenient", "ok")),
    case("AskedModel.model", "teacher.model", lambda r: type(opened(r)).__name__, ("@/tiny", "LocalModel"),
         ({"url": "http://127.0.0.1:9", "model": "t"}, "ChatModel")),
    case("AskedModel.batch_size", "teacher.batch_size", lambda r: billed(r)[0].batch_size, (3, 3), (5, 5), **TINY),
    case("AskedModel.dtype", "teacher.dtype", lambda r: billed(r)[0].identity["dtype"], ("float32", "float32"),
         ("bfloat16", "bfloat16"), **TINY),
    case("AskedModel.chat_template", "teacher.chat_template", lambda r: billed(r)[0].identity["chat"].get("terse"),
         ({}, None), ({"terse": True}, True), **TINY),
    case("AskedModel.min_success", "teacher.min_success", lambda r: billed(r)[1].min_success, (0.0, 0.0), (0.75, 0.75)),
    case("Budget.max_requests", "teacher.budget.max_requests", allowed, (2, 2), (4, 4)),
    case("Budget.max_tokens", "teacher.budget.max_tokens", allowed, (300, 5), (100, 2)),
    case("Budget.max_cost", "teacher.budget.max_cost", allowed, (3.0, 2), (5.0, 3), teacher__model__price={"input": 1, "output": 1}),
    case("Recipe.name", "name", lambda r: Workspace(Path("runs")).run(r, "").folder.name, ("one", "one"), ("two", "two")),
    case("Recipe.seed", "seed", sampling("seed"), (1, 1), (2, 2)),
    case("Recipe.seed", "seed", lambda r: r.data_seed, (1, 1), (2, 2)),
]  # fmt: skip
