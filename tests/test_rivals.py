"""What is cheaper than a student, through the command line: the base with retrieved training rows, and a linear model."""

import json

import pyarrow.parquet as pq
import pytest

import small
from potstill.pipeline.stages import STAGES
from potstill.recipe import loading
from potstill.recipe.systems import default_systems
from potstill.stages.evaluate.stage import planned
from potstill.stages.planned import KnownExamples
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED
from potstill.workspace.run import Run
from small import potstill
from test_retrieved import curated, row

RECIPE = """\
name: rivals
task: {{name: classification, labels: [late, lost]}}
data: {{source: files, train: rows.jsonl, validation: 4, test: 20}}
condition: vanilla
teacher: {{model: {{url: "{url}", model: t, concurrency: 4}}}}
generate: {{max_tokens: 16}}
student: {{model: "{student}", max_tokens: 4}}
train: {{epochs: 1}}
evaluate: {{systems: [base-direct, base-retrieved, linear, student, teacher-direct, teacher-direct-retrieved], retrieved: 3}}
seed: 3
"""
SYSTEMS = ["base-direct", "base-retrieved", "linear", "student", "teacher-direct", "teacher-direct-retrieved"]


class Labeller(small.Teacher):
    """Answers lost where the question says so, otherwise late."""

    def answer(self, body):
        label = "lost" if "lost" in body["messages"][-1]["content"].rpartition("\n")[2] else "late"
        message = {"role": "assistant", "content": f"Answer: {label}"}
        return {
            "choices": [{"message": message, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 9, "completion_tokens": 3},
        }


@pytest.fixture(scope="module")
def teacher():
    with Labeller() as server:
        yield server


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_folder, teacher):
    """A folder with a run that is done, and what it printed."""
    folder = tmp_path_factory.mktemp("rivals")
    rows = [
        {"text": f"Order {i * 7}: {'they lost' if i % 2 else 'it took a week for'} my {'chair' if i % 3 else 'lamp'}"}
        | {"gold": "lost" if i % 2 else "late"}
        for i in range(64)
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "r.yaml").write_text(RECIPE.format(url=teacher.url, student=tiny_folder))
    result = potstill("run", "r.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    return folder, result


def predictions(folder, system):
    return pq.read_table(folder / "runs/rivals/predictions" / f"{system}.parquet").to_pylist()


def test_a_linear_model_answers_as_any_other_system(done):
    folder, result = done
    rows = predictions(folder, "linear")
    assert len(rows) == 20
    assert {(row["text"], row["answer"]) for row in rows} == {("late", "late"), ("lost", "lost")}
    assert {row["outcome"] for row in rows} == {"correct"}
    assert {(row["finish_reason"], row["status"], row["error"]) for row in rows} == {("stop", "ok", None)}
    assert {(row["prompt_tokens"], row["completion_tokens"], row["max_tokens"]) for row in rows} == {(0, 0, 0)}
    assert all(row["seconds"] > 0 for row in rows)
    assert "linear: fitted on 40 questions" in result.stderr
    assert result.stderr.count("linear: fitted") == 1
    assert "linear" in result.stdout


def test_the_summary_says_what_answered(done):
    folder, _ = done
    evaluation = json.loads((folder / "runs/rivals/evaluation.json").read_text())
    (values,) = evaluation["splits"].values()
    shown = {name: (one["role"], one["prompting"], one["engine"], one["tells_task"]) for name, one in values["systems"].items()}  # fmt: skip
    assert shown == {
        "base-direct": ("base", "direct", "in process", True),
        "base-retrieved": ("base", "retrieved", "in process", True),
        "linear": ("linear", "plain", "linear", True),
        "student": ("student", "plain", "in process", False),
        "teacher-direct": ("teacher", "direct", "server", True),
        "teacher-direct-retrieved": ("teacher", "direct-retrieved", "server", True),
    }
    assert values["systems"]["linear"]["metrics"]["accuracy"]["estimate"] == 1.0
    assert values["systems"]["linear"]["max_tokens"] == 0
    (comparison,) = (c for c in values["comparisons"] if c["b"] == "linear")
    assert (comparison["role"], comparison["n"], comparison["only_a"]) == ("linear", 20, 0)
    assert comparison["finding"] != "not told the task"
    assert set(evaluation["chosen"]["base"]["scores"]) == {"base-direct", "base-retrieved"}
    settings = values["sealed"]["settings"]
    assert settings["systems"]["linear"] == {"model": "linear", "prompting": "plain"}
    assert (settings["retrieved"], set(settings["limits"])) == (3, {"plain", "direct"})


def test_retrieved_prompts_show_training_rows_with_the_answers_that_the_student_learns(done):
    folder, _ = done
    kept = {
        row["student_messages"][-1]["content"]: row["completion"]
        for row in pq.read_table(folder / "runs/rivals/curated.parquet").to_pylist()
        if row["kept"]
    }
    held_out = {one["text"] for one in pq.read_table(folder / "runs/rivals/examples.parquet").to_pylist() if one["split"] != "train"}  # fmt: skip
    for one in predictions(folder, "base-retrieved"):
        *shots, last = [message["content"] for message in one["messages"]]
        assert len(shots) == 6
        assert all(kept[question] == answer for question, answer in zip(shots[::2], shots[1::2], strict=True))
        assert last in held_out
        assert not held_out & set(shots)
        assert shots[-1] == one["gold"]  # the nearest says the same word


def test_a_request_shows_the_labels_before_the_rows_where_the_prompt_is_direct(done):
    folder, _ = done
    for one in predictions(folder, "teacher-direct-retrieved"):
        assert [message["role"] for message in one["messages"]] == ["user", "assistant"] * 3 + ["user"]
        assert all("late, lost" in message["content"] for message in one["messages"][::2])
        assert {message["content"] for message in one["messages"][1::2]} <= {"Answer: late", "Answer: lost"}


def test_the_command_again_does_nothing_and_another_number_of_rows_evaluates_again(done):
    folder, _ = done
    text = (folder / "r.yaml").read_text()

    def stale(number):
        (folder / "r.yaml").write_text(text.replace("retrieved: 3", f"retrieved: {number}"))
        planned = json.loads(potstill("run", "r.yaml", "--dry-run", "--json", cwd=folder).stdout)
        return {stage["stage"] for stage in planned if stage["stale"]}

    assert stale(2) == {"evaluate", "report"}
    assert stale(3) == set()


@pytest.mark.parametrize(
    ("task", "systems", "message"),
    [
        ("math", "[student, linear]", "linear model chooses between labels that are the same for all questions, and the task math has none"),
        ("multiple_choice", "[student, linear]", "the task multiple_choice has none"),
        ("conversation", "[student, base-retrieved]", "the prompts of the task conversation show no solved examples"),
        ("math", "[student, linaer]", "Did you mean 'linear'"),
        ("nli", "[student, {name: linear, model: packaged/smollm2-135m-instruct}]", "choose another"),
        ("nli", "[student, {name: mine, model: linear}]", "has names of its own, such as linear"),
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_one_message_before_anything_is_done(tmp_path, task, systems, message):
    (tmp_path / "t.jsonl").write_text("{}\n")
    (tmp_path / "r.yaml").write_text(
        f"name: r\ntask: {task}\ndata: {{source: files, train: t.jsonl}}\nteacher: {{model: packaged/smollm2-135m-instruct}}\n"
        f"student: {{model: packaged/smollm2-135m-instruct}}\nevaluate: {{systems: {systems}}}\n"
    )
    result = potstill("run", "r.yaml", cwd=tmp_path)
    assert (result.returncode, result.stdout) == (2, "")
    assert message in " ".join(result.stderr.split())
    assert len(result.stderr.splitlines()) == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("task", "has_linear"),
    [
        ({"name": "classification", "labels": ["a", "b"]}, True),
        ({"name": "classification", "labels": ["a", "b"], "multi": True}, True),
        ("nli", True),
        ("multiple_choice", False),
        ("math", False),
        ("conversation", False),
    ],
)
def test_a_linear_model_is_among_the_default_systems_where_there_are_labels(task, has_linear):
    """And no retrieved prompt, which costs the time of a long prompt for each question."""
    for given_prompts in (False, True):
        systems = default_systems(parse_task(task), given_prompts, None)
        assert ("linear" in [system.name for system in systems]) == has_linear
        assert not any(system.prompting.is_retrieved for system in systems)


# What decides


@pytest.fixture
def evaluation_of(tmp_path):
    """The inputs of the evaluate stage for some systems and kept rows."""
    stage = next(stage for stage in STAGES if stage.name == "evaluate")

    def inputs(systems, answer="late", question="a", rejected="late"):
        recipe = loading.parse(
            "name: r\ntask: {name: classification, labels: [late, lost]}\ndata: {source: files, train: t.jsonl}\n"
            "teacher: {model: {url: 'http://h/v1', model: t}}\nstudent: {model: packaged/smollm2-135m-instruct}\n"
            f"evaluate: {{systems: {systems}}}\n"
        )
        run = Run(tmp_path / "run", recipe, tmp_path / "store.sqlite")
        run.write(artifacts.examples(recipe.task), [row("1", question), row("2", "b"), row("t", "c", "late", "test")])
        run.write(CURATED, [curated("1", answer), curated("2", rejected, kept=False)])
        return stage.inputs(run)

    return inputs


@pytest.mark.parametrize("system", ["linear", "base-retrieved", "teacher-direct-retrieved"])
def test_rows_that_are_shown_or_learned_make_evaluation_stale(evaluation_of, system):
    systems = f"[student, {system}]"
    assert evaluation_of(systems, answer="lost") != evaluation_of(systems)
    assert evaluation_of(systems, question="other") != evaluation_of(systems)
    assert evaluation_of(systems, rejected="lost") == evaluation_of(systems)
    assert evaluation_of("[student, base]", "lost", "other") == evaluation_of("[student, base]")


def test_a_plan_has_the_requests_that_show_rows_and_none_of_a_linear_model(done):
    folder, _ = done
    recipe = loading.load(str(folder / "r.yaml"))
    run = Run(folder / "runs/rivals", recipe, folder / "runs/completions.sqlite")
    parts = {one.what: one for one in planned(recipe, KnownExamples(run.examples, complete=True))}
    assert set(parts) == {"evaluate: teacher-direct", "evaluate: teacher-direct-retrieved"}
    shown = parts["evaluate: teacher-direct-retrieved"]
    requests = list(shown.requests)
    assert (len(requests), shown.estimated) == (24, True)
    assert {len(request.messages) for request in requests} == {7}
