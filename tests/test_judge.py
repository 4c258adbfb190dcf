"""A task of the user's own whose answers a model judges: a real server, the whole pipeline."""

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
    """A teacher whose answers are wordy, wrong now and then, and a judge that reads words."""

    def answer(self, body):
        asked = body["messages"][-1]["content"]
        if body["model"] == "j":
            assert "A country in the same continent is not enough." in asked
            gold, said = (
                re.search(rf"<{tag}>\n(.*?)\n</{tag}>", asked, re.DOTALL)[1] for tag in ("reference", "given")
            )
            number = int(re.search(r"town(\d+)", asked)[1])
            text = f"It says so.\n**Verdict:** {'right' if gold in said else 'wrong'}" if number % 5 else "Who knows?"
        else:
            number = int(re.search(r"town(\d+)", asked)[1])
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
    """What the judge finds of the teacher's answer; None where its judgement cannot be read."""
    number = int(row["place"].removeprefix("town"))
    return None if number % 5 == 0 else number % 3 != 0


def test_plan_counts_what_the_judge_will_be_asked(work):
    folder, server = work
    result = potstill("plan", "r.yaml", "--json", cwd=folder)
    assert result.returncode == 0, result.stderr
    parts = {part["what"]: part for part in json.loads(result.stdout)}
    assert {what: part["requests"] for what, part in parts.items() if "judge" in what} == {
        "curate: judge": 24, "train: judge": 2, "evaluate: judge": 8,
    }  # fmt: skip
    assert parts["curate: judge"]["completion_tokens"] == 24 * 512
    assert parts["curate: judge"]["prompt_tokens"] > parts["generate"]["prompt_tokens"]
    assert "curate: judge: about 24 of 24 requests to make" in potstill("plan", "r.yaml", cwd=folder).stdout
    assert not server.seen


def test_the_judge_decides_what_is_right_and_is_asked_once(work):
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
        found = expected(places[row["id"]])
        assert row["outcome"] == ("correct" if found else "incorrect")
        assert dict(row["scores"]) == {
            "judged_right": float(found is True), "judgement_unreadable": float(found is None),
            "strict": float(found is True), "lenient": float(found is True),
        }  # fmt: skip
    unreadable = sum(expected(places[row["id"]]) is None for row in curated)
    assert f"judge of the teacher's answers: {unreadable} of 24 judgements cannot be read" in result.stderr
    assert max(server.seen.values()) == 1
    asked = server.seen.total()
    (folder / "r.yaml").write_text(
        (folder / "r.yaml").read_text().replace("systems: [student,", "systems: [base, student,")
    )
    assert potstill("run", "r.yaml", cwd=folder).returncode == 0
    new = [json.loads(body) for body in server.seen][asked:]
    assert {body["model"] for body in new} <= {"j"}  # of the base's answers, where the student's were not the same
    assert len(new) <= 4
    # How fast and for how much it is asked changes no result.
    text = (folder / "r.yaml").read_text()
    (folder / "r.yaml").write_text(text.replace("model: j}", "model: j, concurrency: 3}, budget: {max_requests: 99}"))
    dry = potstill("run", "r.yaml", "--dry-run", "--json", cwd=folder)
    assert [stage["stage"] for stage in json.loads(dry.stdout) if stage["again"]] == ["report"]


def test_a_judge_and_its_scorer_belong_together(work):
    folder, server = work
    recipe = (folder / "r.yaml").read_text()
    for old, new, said in (
        (re.search(r", judge: .*", recipe)[0], "}", "needs evaluate.judge"),
        ("scorer: judge\n  rubric: A country in the same continent is not enough.", "scorer: exact", "leave it out"),
        ("scorer: judge", "scorer: exact", "rubric is for the scorer `judge`"),
    ):
        assert old in recipe
        (folder / "r.yaml").write_text(recipe.replace(old, new))
        result = potstill("run", "r.yaml", cwd=folder)
        assert result.returncode == 2, result.stderr
        assert said in result.stderr
    assert not server.seen


@pytest.mark.parametrize(
    ("said", "found"),
    [
        ("Verdict: right", True),
        ("Verdict: wrong\nOn second thought:\n**Verdict:** Right.", True),
        ("VERDICT - WRONG", False),
        ("It is right.", None),
        ("Verdict: rightly so?", None),
        ("", None),
    ],
)
def test_a_verdict(said, found):
    assert verdict(said) is found


@given(st.text())
def test_no_judgement_raises(said):
    assert verdict(said) in (True, False, None)
