"""The scorer `judge` of a custom task: a real server and the complete pipeline."""

import json
import re

import pyarrow.parquet as pq
import pytest

import small
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
curate: {{judge: {{model: {{url: "{url}", model: c}}}}}}
evaluate: {{systems: [student, teacher-cot], judge: {{models: {{model: {{url: "{url}", model: j}}}}}}}}
"""


class Server(small.Teacher):
    """A teacher with verbose and sometimes incorrect answers, and a judge that compares words."""

    def answer(self, body):
        prompt = body["messages"][-1]["content"]
        if body["model"] in ("j", "c"):
            assert "whole number" in prompt or "A country in the same continent is not enough." in prompt
            gold, given_answer = (
                ("", "")
                if "whole number" in prompt
                else (
                    re.search(rf"<{name}-(\w+)>\n(.*?)\n</{name}-\1>", prompt, re.DOTALL)[2]
                    for name in ("reference", "answer")
                )
            )
            number = int(re.search(r"town(\d+)", prompt)[1])
            scores = '{"reason": "Fine.", "sound": 3, "supports": 4, "overall": 3}'
            text = (
                scores
                if "whole number" in prompt
                else (
                    f"It says so.\n**Verdict:** {'right' if gold in given_answer else 'wrong'}"
                    if number % 5
                    else "Who knows?"
                )
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
        "curate: judge": 24, "train: judge": 2, "evaluate: judge": 8, "judge: j": 8 + 8,
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
        assert row["outcome"] == {True: "correct", False: "incorrect", None: "unjudged"}[correct]
        score = None if correct is None else float(correct)
        assert dict(row["scores"]) == {"judged_right": score, "strict": score, "lenient": score}
    unreadable = sum(expected(places[row["id"]]) is None for row in curated)
    assert f"judge of the teacher's answers: {unreadable} of 24 judgements are unreadable" in result.stderr
    assert f"judge of the teacher's answers: {unreadable} of 24 answers have no verdict" in result.stderr
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


def test_an_unreadable_judgement_leaves_both_systems_of_a_pair_and_is_never_called_accuracy(work):
    folder, server = work
    result = potstill("run", "r.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    run = folder / "runs" / "judged"
    evaluation = json.loads((run / "evaluation.json").read_text())
    split = evaluation["splits"]["test"]
    outcomes = split["systems"]["teacher-cot"]["outcomes"]
    unjudged = outcomes.get("unjudged", 0)
    assert unjudged, "the drawn questions must have one whose judgement is unreadable"
    assert split["comparisons"][0]["excluded"] == unjudged
    assert split["comparisons"][0]["n"] == 4 - unjudged
    assert split["systems"]["teacher-cot"]["n"] == 4 - unjudged
    assert "accuracy" not in split["systems"]["teacher-cot"]["metrics"]
    assert split["measure"] == "judged_right"
    assert "is judged right" in result.stdout
    assert "judged right, %" in result.stdout
    assert "Which answers are correct is what j said. Judges err, so this is no accuracy." in " ".join(
        result.stdout.split()
    )
    # The stage `judge` records the same judgements, without another request but the repetitions.
    labels = pq.read_table(run / "labels.parquet").to_pylist()
    assert {label["form"] for label in labels} == {"reference"}
    assert {label["rater"] for label in labels} == {"j"}
    first = [label for label in labels if label["system"] == "teacher-cot" and label["repeat"] == 0]
    assert sum(label["state"] == "unreadable" for label in first) == unjudged
    assert max(server.seen.values()) == 1
    # Another form, without another evaluation.
    result = potstill("judge", "judged", "--form", "scores", "--rubric", "rationale", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "judge: done" in result.stderr
    labels = pq.read_table(run / "labels.parquet").to_pylist()
    assert {(label["form"], label["state"]) for label in labels} == {("scores", "given")}
    listed = potstill("runs", cwd=folder).stdout
    assert json.loads((run / "judged.json").read_text())["verdict"]["lines"][0] in listed
    assert json.loads(potstill("judge", "judged", "--json", cwd=folder).stdout)["verdict"]["lines"][0] in listed
    asked_before = server.seen.total()
    assert "labels by people" in potstill("judge", "judged", "--plan", cwd=folder).stdout
    assert server.seen.total() == asked_before
    for arguments, message in (
        (["--model", "{url: 'http://127.0.0.1:9/v1', model: t}"], "of the family of the teacher t"),
        (["--form", "pairwise", "--rubric", "none.yaml"], "No rubric"),
    ):
        refused = potstill("judge", "judged", *arguments, cwd=folder)
        assert refused.returncode == 2
        assert message in refused.stderr


def test_without_a_judge_for_training_rows_nothing_is_filtered_by_correctness_and_the_last_epoch_is_used(work):
    folder, server = work
    recipe = (folder / "r.yaml").read_text()
    (folder / "r.yaml").write_text(re.sub(r"curate: .*\n", "", recipe).replace("epochs: 1", "epochs: 2"))
    result = potstill("train", "r.yaml", cwd=folder)
    assert result.returncode == 0, result.stderr
    assert "no judge checks the teacher's answers against gold" in result.stderr
    curated = pq.read_table(folder / "runs" / "judged" / "curated.parquet").to_pylist()
    assert all(row["correct"] is None and row["kept"] for row in curated)
    assert json.loads((folder / "runs" / "judged" / "training.json").read_text())["chosen"] == 2
    assert all(json.loads(body)["model"] == "t" for body in server.seen)


def test_which_judges_may_decide_what(work):
    folder, server = work
    recipe = (folder / "r.yaml").read_text()
    judge = re.search(r", judge: .*", recipe)[0]
    for old, new, message in (
        (judge, "}", "needs evaluate.judge"),
        (
            "scorer: judge\n  rubric: A country in the same continent is not enough.",
            "scorer: exact",
            "curate.judge is for tasks",
        ),
        ("scorer: judge", "scorer: exact", "rubric is for the scorer `judge`"),
        ("model: c}", "model: j}", "preference leakage"),
        ("model: j}", "model: t-instruct}", "of the family of the teacher t"),
        ("model: j}}", "model: j}}, form: pairwise, systems: [student]", "at least two systems"),
        ("model: j}}", "model: j}}, systems: [studnet]", "Did you mean 'student'"),
        ("{models: {", '{models: [{url: "http://127.0.0.1:9/v1", model: j}, {', "the judge 'j' is listed twice"),
    ):
        assert old in recipe
        changed = recipe.replace(old, new)
        if new.startswith("{models: ["):
            changed = changed.replace("model: j}}}}", "model: j}}]}}")
        (folder / "r.yaml").write_text(changed)
        result = potstill("run", "r.yaml", cwd=folder)
        assert result.returncode == 2, (new, result.stderr)
        assert message in result.stderr, (new, result.stderr)
    assert not server.seen
