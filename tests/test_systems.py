"""Which systems a recipe names, how they are asked, which way of asking is chosen, and what is said of a model that was not told
its task."""

import json
import shutil

import pytest

import small
from potstill.errors import PotstillError, RecipeError
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.recipe.systems import KNOWN, Role, System
from potstill.stages.evaluate.stage import evaluate, planned
from potstill.stages.planned import KnownExamples
from potstill.tasks import Prompting, registry
from potstill.workspace import artifacts
from potstill.workspace.run import Run

RECIPE = """\
name: asked
task: math
data: {{source: files, train: train.jsonl, test: test.jsonl}}
teacher: {{model: {{url: "{url}", model: t, max_attempts: 1}}}}
generate: {{max_tokens: 64}}
student: {{model: "{student}", max_tokens: 8}}
evaluate: {{systems: [student, teacher-plain, teacher-cot, {{name: rival, model: {{url: "{url}", model: r}}, prompting: cot}}]}}
"""
REASONED = "in a few short steps"


class Uneven(small.Teacher):
    """Knows the sum in "What is 3 + 4? (test)". It is right about validation questions only where it may reason, and about
    test questions only where it may not."""

    fails_after = None
    """Number of requests after which it closes the connection."""

    def answer(self, body):
        if self.fails_after is not None and self.seen.total() > self.fails_after:
            raise ConnectionError
        text = body["messages"][-1]["content"]
        reasons, is_test = REASONED in text, "(test)" in text
        a, b = (int(n) for n in text.partition("What is ")[2].partition("?")[0].split(" + "))
        sum_ = a + b if reasons != is_test else 0
        message = {"role": "assistant", "content": f"Answer: {sum_}"}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        }


def examples():
    columns = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
    return [
        columns | {"id": f"{split}-{i}", "split": split, "group": str(i), "question": f"What is {i} + 1? ({split})", "gold": str(i + 1)}
        for split in ("validation", "test")
        for i in range(6)
    ]  # fmt: skip


@pytest.fixture
def uneven(tmp_path, tiny_folder):
    with Uneven() as teacher:
        recipe = loading.parse(RECIPE.format(url=teacher.url, student=tiny_folder))
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), examples())
        shutil.copytree(tiny_folder, run.student_folder)
        yield teacher, run


def split_of(body):
    return "test" if "(test)" in json.loads(body)["messages"][-1]["content"] else "validation"


def test_the_way_to_ask_is_chosen_on_validation_questions_before_any_test_question(uneven):
    teacher, run = uneven
    evaluate(run.recipe, run)
    order = [split_of(body) for body in teacher.seen]
    assert order == ["validation"] * 12 + ["test"] * 18  # two ways; then these and the rival
    assert run.evaluation["chosen"]["teacher"] == {
        "system": "teacher-cot", "n": 6, "scores": {"teacher-plain": 0.0, "teacher-cot": 1.0},
    }  # fmt: skip
    (values,) = run.evaluation["splits"].values()
    correct = {name: system["outcomes"].get("correct", 0) for name, system in values["systems"].items()}
    assert (correct["teacher-plain"], correct["teacher-cot"], correct["rival"]) == (6, 0, 0)
    assert {c["b"]: c["chosen"] for c in values["comparisons"]} == {
        "teacher-plain": False,
        "teacher-cot": True,
        "rival": True,
    }
    assert values["sealed"]["settings"]["chosen"] == {"teacher": "teacher-cot"}
    assert values["sealed"]["settings"]["limits"] == {"plain": 8, "cot": 64}
    assert "Against teacher-cot (0%)" in said(run)
    assert "teacher-cot is the way of asking the teacher chosen on validation questions" in said(run)
    assert "Against rival (0%)" in said(run)
    assert [s["engine"] for s in values["systems"].values()] == ["in process", "server", "server", "server"]


def test_a_choice_stays_as_it_was_sealed_and_later_settings_are_marked(uneven, tiny_folder):
    teacher, run = uneven
    evaluate(run.recipe, run)
    asked = teacher.seen.total()
    text = RECIPE.format(url=teacher.url, student=tiny_folder).replace("[student, ", "[teacher-direct, student, ")
    later = Run(run.folder, loading.parse(text), run.store.path)
    evaluate(later.recipe, later)
    assert teacher.seen.total() == asked + 12  # teacher-direct about validation and test questions
    assert later.evaluation["chosen"]["teacher"] == {
        "system": "teacher-cot", "n": 6, "scores": {"teacher-direct": 0.0, "teacher-plain": 0.0, "teacher-cot": 1.0},
    }  # fmt: skip
    (values,) = later.evaluation["splits"].values()
    assert set(values["sealed"]["set_after_looking"]) == {"limits", "systems"}
    assert "set after looking at these questions: " in said(later)


def test_a_look_counts_before_the_first_answer(uneven):
    teacher, run = uneven
    evaluate_until_it_fails(teacher, run, 13)
    again = Run(run.folder, run.recipe, run.store.path)
    other = (run.student_folder / "config.json").read_text()
    (run.student_folder / "config.json").write_text(other + "\n")  # another student
    teacher.fails_after = None
    evaluate(again.recipe, again)
    (values,) = again.evaluation["splits"].values()
    assert (values["sealed"]["looked_at_before"], values["sealed"]["students"]) == (6, 1)
    assert "6 of these questions were looked at before, by another student" in said(again)


def said(run):
    """The verdict's lines and notes."""
    verdict = run.evaluation["verdict"]
    return "\n".join([*verdict["lines"], *verdict["notes"]])


def evaluate_until_it_fails(teacher, run, answers):
    teacher.fails_after = answers
    with pytest.raises(PotstillError):
        evaluate(run.recipe, run)
    assert not run.path("evaluation.json").exists()


def test_a_stage_depends_on_the_answers_of_a_rival_and_not_on_its_account(uneven):
    """Price, speed and budget do not make evaluation stale; the prompting does. Other lists of the recipe are left alone."""
    _, run = uneven
    evaluation = next(stage for stage in STAGES if stage.name == "evaluate")

    def inputs(rival, more=""):
        text = RECIPE.format(url="http://h/v1", student="packaged/smollm2-135m-instruct").replace(
            "name: rival", "name: r.1"
        )
        text = text.replace("model: r}, prompting: cot", rival) + more
        return evaluation.inputs(Run(run.folder, loading.parse(text), run.store.path))

    plain = inputs("model: r}, prompting: cot")
    assert inputs("model: r, concurrency: 3, price: {input: 1, output: 2}}, prompting: cot") == plain
    assert inputs("model: r}, prompting: direct") != plain
    assert inputs("model: other}, prompting: cot") != plain
    body = inputs("model: r, extra_body: {plugins: [{id: web}, {id: web}]}}, prompting: cot")
    assert body["evaluate.systems.r.1.model.model.extra_body.plugins"] == [{"id": "web"}, {"id": "web"}]


def test_the_plan_counts_validation_questions_where_a_way_is_chosen(uneven):
    _, run = uneven
    known = KnownExamples(lambda *splits: (e for e in examples() if e["split"] in splits), complete=True)
    counts = {one.what: len(list(one.requests)) for one in planned(run.recipe, known)}
    assert counts == {"evaluate: teacher-plain": 12, "evaluate: teacher-cot": 12, "evaluate: rival": 6}


# What a recipe may say


def recipe_for(task, systems=None, **columns):
    evaluated = f"evaluate: {{systems: {systems}}}\n" if systems else ""
    return loading.parse(
        f"name: x\ntask: {task}\ndata: {{source: files, train: t.jsonl}}\nteacher: {{model: packaged/qwen2.5-coder-0.5b-instruct}}\n"
        f"student: {{model: packaged/smollm2-135m-instruct}}\n{evaluated}"
    )


def names(recipe):
    return [system.name for system in recipe.systems]


@pytest.mark.parametrize(
    ("task", "expected"),
    [
        ("math", "base base-fewshot student teacher-plain teacher-cot teacher-cot-fewshot"),
        ("nli", "base base-fewshot linear student teacher-plain teacher-cot teacher-cot-fewshot"),
        ("{name: classification, labels: [a, b]}", "base base-direct linear student teacher-direct teacher-cot"),
        (
            "{name: extraction, json_schema: {type: object, properties: {a: {type: string}}}}",
            "base base-direct student teacher-direct teacher-cot",
        ),
        ("{name: custom, prompts: {plain: 'Translate: {{ text }}'}}", "base student teacher-plain"),
        ("conversation", "base student teacher-plain"),
    ],
)
def test_default_systems_tell_the_base_its_task_and_ask_the_teacher_without_examples(task, expected):
    assert names(recipe_for(task)) == expected.split()


@pytest.mark.parametrize("name", registry.names())
def test_every_task_says_which_prompting_tells_it(name):
    if name in ("custom", "classification", "extraction"):
        return
    task = registry.parse_task(name)
    assert all(task.tells_task(prompting) for prompting in task.promptings)


def test_a_bare_text_tells_nothing_unless_the_row_or_the_user_does():
    labels = registry.parse_task({"name": "classification", "labels": ["yes", "no"]})
    assert not labels.tells_task(Prompting.PLAIN)
    assert not labels.tells_task(Prompting.FEWSHOT)
    assert labels.tells_task(Prompting.DIRECT)
    assert labels.tells_task(Prompting.PLAIN, {"text": "t", "prompt": "Yes or no: t"})
    assert labels.tells_task(Prompting.PLAIN, {"text": "t", "system": "Answer yes or no."})
    own = registry.parse_task(
        {"name": "classification", "labels": ["yes", "no"], "prompts": {"plain": "Yes or no: {{ text }}"}}
    )
    assert own.tells_task(Prompting.PLAIN)


@pytest.mark.parametrize("name", KNOWN)
def test_known_names_are_a_role_with_a_prompting_or_alone(name):
    system = System.model_validate(name)
    assert (system.name, system.role is not Role.OTHER) == (name, True)
    assert system.model_dump() == name


def test_any_model_is_one_line_and_survives_the_recipe_file(tmp_path):
    recipe = recipe_for("math", "[student, {name: rival, model: packaged/smollm2-135m-instruct, prompting: cot}]")
    rival = recipe.systems[1]
    assert (rival.role, rival.prompting, rival.model.batch_size) == (Role.OTHER, Prompting.COT, 64)
    assert recipe.asked(rival).name == "packaged/smollm2-135m-instruct"
    dumped = recipe.evaluate.model_dump(mode="json")["systems"]
    assert dumped[0] == "student"
    again = recipe_for("math", json.dumps(dumped))
    assert again.systems == recipe.systems
    with_options = (
        "{name: r, model: {model: {url: 'http://h/v1', model: m}, min_success: 0.5, budget: {max_requests: 3}}}"
    )
    (system,) = recipe_for("math", f"[{with_options}]").systems
    assert (system.model.min_success, system.model.budget.max_requests) == (0.5, 3)


@pytest.mark.parametrize(
    ("systems", "message"),
    [
        ("[base-direkt]", "Did you mean 'base-direct'"),
        ("[base, base]", "'base' is listed twice"),
        ("[base, {name: Base, model: packaged/smollm2-135m-instruct}]", "listed twice"),
        ("[{name: teacher-cot, model: packaged/smollm2-135m-instruct}]", "choose another"),
        ("[{name: mine, model: base}]", "has names of its own"),
        ("[{name: ../x, model: packaged/smollm2-135m-instruct}]", "pattern"),
        ("[{name: x}]", "model"),
        ("[base-cod]", "has no prompt 'cod'"),
        ("[{name: x, model: packaged/smollm2-135m-instruct, prompting: cod}]", "has no prompt 'cod'"),
    ],
)
def test_faulty_systems_are_one_message(systems, message):
    with pytest.raises(RecipeError, match=message):
        recipe_for("math", systems)


def test_a_base_that_was_never_told_its_task_is_not_compared(tmp_path, tiny_folder):
    with small.Teacher() as teacher:
        text = RECIPE.format(url=teacher.url, student=tiny_folder)
        text = text.replace("task: math", "task: {name: classification, labels: ['yes', 'no']}")
        rival = f"{{name: rival, model: {{url: '{teacher.url}', model: r}}}}"
        text = text[: text.index("evaluate:")] + f"evaluate: {{systems: [base, student, {rival}]}}\n"
        recipe = loading.parse(text)
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        rows = [
            {k: v for k, v in e.items() if k != "question"} | {"text": e["question"], "gold": "yes"} for e in examples()
        ]
        run.write(artifacts.examples(recipe.task), rows)
        shutil.copytree(tiny_folder, run.student_folder)
        evaluate(recipe, run)
    (values,) = run.evaluation["splits"].values()
    assert [c["finding"] for c in values["comparisons"]] == ["not told the task"] * 2
    assert "the student is not compared with rival, which was never told the task" in said(run)
    assert "the student is not compared with the base: the base was never told the task" in said(run)
    assert "better" not in "".join(run.evaluation["verdict"]["lines"])
