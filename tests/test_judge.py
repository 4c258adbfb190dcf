"""A custom task whose answers a model judges: a real server and the complete pipeline."""

import json
import re

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

import small
from potstill.stages.judge import verdict
from small import potstill

RECIPE = """\
name: judged
task:
  name: custom
  prompts: {{plain: "Where is {{{{ place }}}}?", cot: "Think. Where is {{{{ place }}}}? {{{{ form }}}}"}}
  scorer: judge
  rubric: A country in the same continent is not enough.
data: {{source: files, train: places.jsonl, validation: 2, test: 4}}
teacher: {{model: {{url: "{url}", model: t}}}}
generate: {{max_tokens: 64}}
student: {{model: "{student}", max_tokens: 8, dtype: float32}}
train: {{epochs: 1}}
evaluate: {{systems: [student, teacher-cot], judge: {{model: {{url: "{url}", model: j}}}}}}
"""


class Server(small.Teacher):
    """A teacher with verbose and sometimes incorrect answers, and a judge that compares words."""

    def answer(self, body):
        prompt = body["messages"][-1]["content"]
        if body["model"] == "j":
            assert "A country in the same continent is not enough." in prompt
            gold, given_answer = (
                re.search(rf"<{tag}>\n(.*?)\n</{tag}>", prompt, re.DOTALL)[1] for tag in ("reference", "given")
            )
            number = int(re.search(r"town(\d+)", prompt)[1])
            text = (
                f"It says so.\n**Verdict:** {'right' if gold in given_answer else 'wrong'}"
                if number % 5
                else "Who knows?"
            )
        else:
            number = int(re.search(r"town(\d+)", prompt)[1])
            text = f"It is far.\nAnswer: {f'surely in land{number}' if number % 3 else 'at sea'}"
        usage = {"prompt_tokens": 40, "completion_tokens": 12}
        return {
            "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
            "usage": usage,
        }


@pytest.fixture
def work(tmp_path, tiny_folder):
    rows = [{"place": f"town{i}", "gold": f"land{i}"} for i in range(30)]
    (tmp_path / "places.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with Server() as server:
        (tmp_path / "r.yaml").write_text(RECIPE.format(url=server.url, student=tiny_folder))
        yield tmp_path, server


def expected(row):
    """The judge's verdict on the teacher's answer; None where the judgement is unreadable."""
    number = int(row["place"].removeprefix("town"))
    return None if number % 5 == 0 else number % 3 != 0


def test_plan_counts_the_requests_to_the_judge(work):
    folder, server = work
    result = potstill("plan", "r.yaml", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    parts = {part["what"]: part for part in json.loads(result.stdout)}
    assert {what: part["requests"] for what, part in parts.items() if "judge" in what} == {
        "curate: judge": 24, "train: judge": 2, "evaluate: judge": 8,
    }  # fmt: skip
    assert parts["curate: judge"]["completion_tokens"] == 24 * 512
    assert parts["curate: judge"]["prompt_tokens"] > parts["generate"]["prompt_tokens"]
    assert "curate: judge: about 24 of 24 requests to send" in potstill("plan", "r.yaml", cwd=folder).stdout
    assert not server.seen


def test_the_judge_decides_which_answers_are_correct_and_gets_each_request_once(work):
    folder, server = work
    result = potstill("run", "r.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    run = folder / "runs" / "judged"
    curated = pq.read_table(run / "curated.parquet").to_pylist()
    places = {row["id"]: row for row in pq.read_table(run / "examples.parquet").to_pylist()}
    assert len(curated) == 24
    assert all(row["correct"] == (expected(places[row["id"]]) is True) for row in curated)
    assert all(row["kept"] == row["correct"] for row in curated)
    predicted = pq.read_table(run / "predictions" / "teacher-cot.parquet").to_pylist()
    for row in predicted:
        correct = expected(places[row["id"]])
        assert row["outcome"] == ("correct" if correct else "incorrect")
        assert dict(row["scores"]) == {
            "judged_right": float(correct is True), "judgement_unreadable": float(correct is None),
            "strict": float(correct is True), "lenient": float(correct is True),
        }  # fmt: skip
    unreadable = sum(expected(places[row["id"]]) is None for row in curated)
    assert f"judge of the teacher's answers: {unreadable} of 24 judgements are unreadable" in result.stderr
    assert max(server.seen.values()) == 1
    sent_before = server.seen.total()
    (folder / "r.yaml").write_text(
        (folder / "r.yaml").read_text().replace("systems: [student,", "systems: [base, student,")
    )
    assert potstill("run", "r.yaml", cwd=folder).returncode == 0
    new = [json.loads(body) for body in server.seen][sent_before:]
    assert {body["model"] for body in new} <= {"j"}  # about answers of the base model that differ from the student's
    assert len(new) <= 4
    # Concurrency and budget of the judge change no result.
    text = (folder / "r.yaml").read_text()
    (folder / "r.yaml").write_text(text.replace("model: j}", "model: j, concurrency: 3}, budget: {max_requests: 99}"))
    dry = potstill("run", "r.yaml", "--dry-run", "--json", cwd=folder)
    assert [stage["stage"] for stage in json.loads(dry.stdout) if stage["stale"]] == ["report"]


def test_a_judge_and_the_judge_scorer_require_each_other(work):
    folder, server = work
    recipe = (folder / "r.yaml").read_text()
    for old, new, message in (
        (re.search(r", judge: .*", recipe)[0], "}", "needs evaluate.judge"),
        ("scorer: judge\n  rubric: A country in the same continent is not enough.", "scorer: exact", "leave it out"),
        ("scorer: judge", "scorer: exact", "rubric is for the scorer `judge`"),
    ):
        assert old in recipe
        (folder / "r.yaml").write_text(recipe.replace(old, new))
        result = potstill("run", "r.yaml", cwd=folder)
        assert result.returncode == 2, result.stderr
        assert message in result.stderr
    assert not server.seen


@pytest.mark.parametrize(
    ("text", "expected_verdict"),
    [
        ("Verdict: right", True),
        ("Verdict: wrong\nOn second thought:\n**Verdict:** Right.", True),
        ("VERDICT - WRONG", False),
        ("It is right.", None),
        ("Verdict: rightly so?", None),
        ("", None),
    ],
)
def test_the_verdict_of_a_judgement(text, expected_verdict):
    assert verdict(text) is expected_verdict


@given(st.text())
def test_no_judgement_raises(text):
    assert verdict(text) in (True, False, None)
