"""`serve --shadow`: the teacher is asked about a part of the traffic, without any effect on the answers."""

import json
from collections import Counter

import pytest

import served
import small
from evaluated import example
from golden import prediction
from potstill.data import logs
from potstill.errors import RecipeError
from potstill.recipe import loading
from potstill.serve import agreement, reverse, shadow
from potstill.serve.metrics import Metrics
from potstill.serve.prompt import Prompt, Reply
from potstill.serve.requests import Asked
from potstill.serve.student import Student
from potstill.tasks.registry import parse_task
from potstill.workspace import artifacts


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    served.tiny_weights(folder / "hf", folder / "tiny.gguf")
    return folder


def run_of(tmp_path, weights, url, **options):
    teacher = f'{{url: "{url}", model: t{options.pop("teacher_more", "")}}}'
    more = f"evaluate: {{systems: [student, teacher-cot]}}\ngenerate: {{prompting: cot}}\n{options.pop('more', '')}"
    return served.run_with_student(
        tmp_path, weights / "hf", weights / "tiny.gguf", teacher=teacher, more=more, **options
    )


def asked(text, system=None):
    messages = [{"role": "user", "content": text}]
    return Asked(
        [{"role": "system", "content": system}, *messages] if system else messages, Prompt([], 1), False, False
    )


def test_a_server_asks_the_teacher_in_its_own_way_and_writes_a_log(tmp_path, weights, teacher):
    run = run_of(tmp_path, weights, teacher.url)
    with served.Server(tmp_path, "--shadow", "1", "--agreement", "0.5") as server:
        for i in range(3):
            assert server.post({"messages": [{"role": "user", "content": f"What is {i} + 1?"}]})[0] == 200
        assert served.eventually(
            lambda: server.metrics().get('potstill_shadow_answers_total{result="differs"}', 0) == 3, 30
        )
    sent = [json.loads(body)["messages"][-1]["content"] for body in teacher.seen]
    assert all("Solve the problem" in text and "What is" in text for text in sent), "the prompt cot, not the student's"
    assert len(sent) == 3
    rows = [json.loads(line) for line in (run.folder / "shadow.jsonl").read_text().splitlines()]
    assert {row["agrees"] for row in rows} == {False}
    read = [one for _, one in logs.parse(((f"line {i}", row) for i, row in enumerate(rows)), Counter())]
    assert sorted(one.messages[-1]["content"] for one in read) == [f"What is {i} + 1?" for i in range(3)]
    assert all("Answer:" in one.text for one in read)
    assert run.store.spent(run.id, "t")[0] == 3
    assert "agrees with the teacher on 0% of 3 answers" in server.errors()
    (tmp_path / "again.yaml").write_text(
        f"name: again\ntask: math\ndata: {{source: logs, train: {run.folder}/shadow.jsonl, validation: 1, test: 1}}\n"
        f'teacher: {{model: {{url: "{teacher.url}", model: t}}}}\ncondition: vanilla\nstudent: {{model: "{weights / "hf"}"}}\n'
    )
    done = small.potstill("plan", "again.yaml", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_a_teacher_that_fails_changes_no_answer(tmp_path, weights):
    run_of(tmp_path, weights, "http://127.0.0.1:9/v1", teacher_more=", max_attempts: 1")
    with served.Server(tmp_path, "--shadow", "1", "--agreement", "0.5") as server:
        for i in range(3):
            assert server.post({"messages": [{"role": "user", "content": f"{i}?"}]})[0] == 200
        assert served.eventually(
            lambda: server.metrics().get('potstill_shadow_answers_total{result="left out"}', 0) == 3, 30
        )
        assert server.post({"messages": [{"role": "user", "content": "x?"}]})[0] == 200
    assert server.ended == 0
    assert "shadow: " in server.errors()
    assert "Traceback" not in server.errors()


def test_a_spent_budget_ends_the_shadow_and_not_the_server(tmp_path, weights, teacher):
    run = run_of(tmp_path, weights, teacher.url)
    text = (run.folder / "recipe.yaml").read_text()
    recipe = loading.parse(text.replace("budget: null", "budget: {max_requests: 1}", 1))
    (run.folder / "recipe.yaml").write_text(loading.dump(recipe))
    with served.Server(tmp_path, "--shadow", "1", "--agreement", "0.5") as server:
        for i in range(4):
            assert server.post({"messages": [{"role": "user", "content": f"{i}?"}]})[0] == 200
        assert served.eventually(lambda: "not asked any more" in server.errors(), 30)
        assert server.post({"messages": [{"role": "user", "content": "x?"}]})[0] == 200
    assert teacher.seen.total() == 1


@pytest.fixture
def watching(tmp_path, weights, teacher):
    """A function that makes a shadow of a run."""

    def make(share=1.0, seed=0, **options):
        run = run_of(tmp_path, weights, teacher.url, **options)
        return shadow.Shadow(run, Student.of(run), Metrics(), "fp_1", shadow.Options(share, seed, 0.9))

    return make


def test_the_draw_is_a_function_of_request_and_seed(watching):
    one = watching(share=0.2)
    for i in range(300):
        one.see(asked(f"q{i}"), Reply("5"))
    drawn = [one._waiting.get_nowait().messages[-1]["content"] for _ in range(one._waiting.qsize())]
    assert 35 <= len(drawn) <= 90
    for i in range(300):
        one.see(asked(f"q{i}"), Reply("5"))
    assert [one._waiting.get_nowait().messages[-1]["content"] for _ in range(one._waiting.qsize())] == drawn
    other = shadow.Shadow(one.run, one.student, Metrics(), "fp_1", shadow.Options(0.2, 1, 0.9))
    for i in range(300):
        other.see(asked(f"q{i}"), Reply("5"))
    assert [other._waiting.get_nowait().messages[-1]["content"] for _ in range(other._waiting.qsize())] != drawn


def test_what_comes_while_too_many_wait_is_counted(watching, monkeypatch):
    monkeypatch.setattr(shadow, "MOST_WAITING", 2)
    one = watching()
    for i in range(5):
        one.see(asked(f"q{i}"), Reply("5"))
    assert one.agreement.left_out == {"full": 3}


def test_answers_agree_as_the_task_reads_them(watching):
    one = watching()
    one.see(asked("Q?"), Reply("It is 7.0\nAnswer: 7.0", finish_reason="stop"))
    seen = one._waiting.get_nowait()
    for text, agrees in (("So 7.\nAnswer: 7", True), ("Answer: 8", False), ("I do not know.", None)):
        before = len(one.agreement.values)
        one._add(seen, shadow.Completion("0", 0, text=text, finish_reason="stop"))
        assert one.agreement.values[before:] == ([] if agrees is None else [float(agrees)])
    assert one.agreement.left_out == {"unread": 1}


def test_a_log_continues_for_the_same_weights_only(tmp_path):
    file = tmp_path / "shadow.jsonl"
    first = agreement.Agreement(file, "fp_1", 0.9, 0.95, Metrics())
    for i in range(60):
        first.add(i % 2 == 0, {"n": i})
    with file.open("a") as log:
        log.write('{"agrees": tr')
    again = agreement.Agreement(file, "fp_1", 0.9, 0.95, Metrics())
    assert again.values == first.values
    assert "retrain with these rows" in again.state()
    assert str(file) in again.state()
    assert agreement.Agreement(file, "fp_2", 0.9, 0.95, Metrics()).values == []


def test_a_student_that_agrees_needs_no_training(tmp_path):
    one = agreement.Agreement(tmp_path / "s.jsonl", "fp", 0.8, 0.95, Metrics())
    for _ in range(80):
        one.add(True, {})
    assert "as it should be" in one.state()
    assert "retrain" not in one.state()


def test_a_full_disk_loses_rows_and_nothing_else(tmp_path):
    one = agreement.Agreement(tmp_path / "missing" / "s.jsonl", "fp", 0.8, 0.95, Metrics())
    one.add(True, {})
    assert one.values == [1.0]
    assert any("not written" in reason for reason in one.left_out)


@pytest.mark.parametrize(
    ("task", "messages", "columns"),
    [
        ("math", "What?", {"question": "What?"}),
        ("nli", "Premise: a\nb\nHypothesis: c\nDoes the premise entail the hypothesis? Answer entailment, neutral or contradiction.",
         {"premise": "a\nb", "hypothesis": "c"}),
        ("nli", "Premise: a", None),
        ("multiple_choice", "Which?\nOr none?\nA) red\nB) blue, or A) red",
         {"question": "Which?\nOr none?", "options": ["red", "blue, or A) red"]}),
        ("multiple_choice", "A) or B)?\nA) x\nA) red\nB) blue\nC) a b",
         {"question": "A) or B)?\nA) x", "options": ["red", "blue", "a b"]}),
        ("multiple_choice", "Which?\nA) red\nB) blue\n", None),
        ("multiple_choice", "Which?\nA) red\nC) blue", None),
        ("multiple_choice", "Which?\nA) red\nB)blue", None),
        ("multiple_choice", "Which?\nA) red", None),
        ({"name": "multiple_choice", "marks": "numbers"}, "Which?\n1) red\n2) blue", {"question": "Which?", "options": ["red", "blue"]}),
        ({"name": "multiple_choice", "prompts": {"plain": "{{ question }}: {{ options | join(', ') }}"}}, "Which?: a, b", {"options": ["a", "b"]}),
        ({"name": "multiple_choice", "prompts": {"plain": "{{ question }}: {{ options | join(', ') }}"}}, "Which?: a, b, c", None),
    ],
)  # fmt: skip
def test_columns_are_read_from_the_plain_prompt(task, messages, columns):
    read = reverse.reader(parse_task(task), None)
    found = read([{"role": "user", "content": messages}])
    assert (found and {name: found[name] for name in columns}) == columns


@pytest.mark.parametrize("n", [2, 5, 26])
def test_options_are_read_as_they_were_shown(n):
    task = parse_task("multiple_choice")
    row = {"id": "a", "question": "Which one?", "options": [f"number {i}" for i in range(n)]}
    found = reverse.reader(task, None)(task.messages(row))
    assert (found["question"], found["options"]) == (row["question"], row["options"])
    assert task.parse("Answer: B", "stop", found, strict=True).answer == "B"


def test_tasks_that_cannot_be_compared_are_refused():
    hidden = {"name": "multiple_choice", "prompts": {"plain": "{{ question }}"}}
    for task in ("summarization", "conversation", hidden):
        with pytest.raises(RecipeError, match="--shadow"):
            reverse.reader(parse_task(task), None)
    own = example("a", split="train") | {"prompt": "Mine"}
    found = reverse.reader(parse_task("math"), own)([{"role": "user", "content": "Mine"}])
    assert (found["question"], found["prompt"]) == ("Mine", "Mine")


def test_personal_data_is_redacted_before_the_teacher_is_asked(watching):
    one = watching()
    one._redact = shadow.Redactor(["email"])
    one.see(asked("Who is a@b.example?"), Reply("It is a@b.example"))
    seen = one._waiting.get_nowait()
    assert "a@b.example" not in json.dumps([seen.messages, seen.example, seen.text])


def test_the_expected_agreement_is_that_of_the_test_questions(tmp_path, weights, teacher):
    run = run_of(tmp_path, weights, teacher.url)
    assert agreement.expected(run) is None
    for system, answers in (("student", ["1", "2.0", None, "9"]), ("teacher-cot", ["1", "2", "3", None])):
        rows = [prediction(i, "correct", answer=answer) for i, answer in enumerate(answers)]
        run.write(artifacts.predictions(system), rows)
    assert agreement.expected(run) == pytest.approx(2 / 3 - 0.05)
