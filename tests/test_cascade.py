"""`potstill cascade`: the threshold is chosen on validation questions and confirmed once, on a real student and a real server."""

import json
import shutil
from html import unescape

import jsonschema
import pytest

import small
import sure_student
from potstill.cascade import ready
from potstill.cascade.result import schema
from potstill.errors import RecipeError
from potstill.stages.report.stage import report
from potstill.workspace.workspace import Workspace


@pytest.fixture(scope="module")
def student(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sure")
    sure_student.train(folder / "student")
    small.save_tiny_llama(folder / "base")
    return folder


@pytest.fixture(scope="module")
def decided(student, tmp_path_factory):
    """A run after `potstill cascade`, what that printed, and the number of requests that the teacher got."""
    runs = tmp_path_factory.mktemp("runs")
    with sure_student.KnowingTeacher() as teacher:
        run = of(runs, student, teacher.url)
        done = small.potstill("cascade", "one", "--runs", runs, cwd=runs)
        assert done.returncode == 0, done.stderr
        return run, done.stdout, teacher.seen.total()


def of(runs, student, url, **options):
    copy = runs / "copy"
    shutil.copytree(student / "student", copy)
    return sure_student.run_of(runs, copy, student / "base", url, **options)


def test_the_threshold_separates_what_the_student_knows(decided):
    run, _, _ = decided
    found = run.read_json("cascade.json")
    jsonschema.validate(found, schema())
    assert found["state"] == "confirmed"
    assert found["teacher"] == "teacher-direct"
    held = found["splits"]["test"]["point"]
    assert 0.4 <= held["escalated"]["estimate"] <= 0.9, "half of the questions is dim"
    assert held["accuracy"]["estimate"] > found["splits"]["test"]["student"]["accuracy"]["estimate"] + 0.1
    assert held["limit"] > -found["margin"]
    cost, of_teacher = held["cost"], found["splits"]["test"]["teacher"]["cost"]
    assert cost["teacher_tokens"]["estimate"] < of_teacher["teacher_tokens"]["estimate"]
    assert cost["dollars_per_1000"] is None, "the price is not known"


def test_what_is_printed(decided):
    _, printed, _ = decided
    lines = printed.splitlines()
    assert lines[0].startswith("CASCADE: ")
    assert "confirmed" in printed
    assert "teacher's tokens per question" in printed
    assert "not shown" in printed, "the curve goes on where the bound does not hold"


def test_nothing_is_asked_again_and_a_second_look_at_the_same_threshold_is_the_same_look(decided):
    run, _, asked = decided
    before = run.read_json("cascade.json")
    done = small.potstill("cascade", "one", "--runs", run.folder.parent, "--json", cwd=run.folder)
    assert done.returncode == 0, done.stderr  # the teacher's server has ended
    assert json.loads(done.stdout) == before
    assert before["splits"]["test"]["looks_before"] == 0
    assert asked == 480


def test_another_threshold_is_another_look_and_is_said(decided):
    run, _, _ = decided
    for signal in ("mean", "minimum", "last-line"):
        done = small.potstill("cascade", "one", "--signal", signal, "--runs", run.folder.parent, cwd=run.folder)
        assert done.returncode == 0, done.stderr
    found = run.read_json("cascade.json")
    assert [one["signal"] for one in found["curves"]] == ["last-line"]
    assert found["splits"]["test"]["looks_before"] >= 1
    assert "looked at before" in done.stdout
    assert run.evaluation["splits"]["test"]["sealed"]["students"] == 0, "a threshold is no other student"


def test_agreement_of_drawn_answers_is_a_signal(decided):
    run, _, _ = decided
    arguments = ("--signal", "agreement", "--samples", 4, "--runs", run.folder.parent)
    done = small.potstill("cascade", "one", *arguments, cwd=run.folder)
    assert done.returncode == 0, done.stderr
    found = run.read_json("cascade.json")
    (curve,) = found["curves"]
    assert [point["threshold"] for point in curve["points"]] == [1.0, 0.75, 0.5, 0.25]
    shares = [point["escalated"]["estimate"] for point in curve["points"]]
    assert shares == sorted(shares, reverse=True)
    assert 0.2 <= shares[0] <= 0.6, "draws of a dim question differ from each other, those of a clear one do not"
    assert found["chosen"] is None or found["chosen"]["samples"] == 4


def test_the_report_has_a_figure(decided):
    run, _, _ = decided
    run = Workspace(run.folder.parent).open("one")
    report(run.recipe, run)
    html = unescape(run.report_path.read_text(encoding="utf-8"))
    assert "The student where it is sure, the teacher elsewhere" in html
    section = html[html.index('id="cascade"') :]
    assert section.index("<svg") < section.index("polyline")
    assert "Of an earlier student" not in section
    run.write_json("cascade.json", run.read_json("cascade.json") | {"weights": "other"})
    report(run.recipe, run)
    assert "Of an earlier student" in run.report_path.read_text(encoding="utf-8")
    with pytest.raises(RecipeError, match=r"about another student.*potstill cascade one"):
        ready.ready(run)


def test_a_margin_that_nothing_keeps_is_said_with_the_questions_that_it_takes(student, tmp_path):
    with sure_student.KnowingTeacher() as teacher:
        run = of(tmp_path / "runs", student, teacher.url, margin=0.02, validation=60, test=40)
        done = small.potstill("cascade", "one", "--runs", run.folder.parent, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("NO CASCADE: no threshold is shown to be not worse than teacher-direct by 2 points")
    found = run.read_json("cascade.json")
    assert found["chosen"] is None
    assert found["splits"] == {}, "the test questions were not looked at"
    assert found["needed"] > 60
    assert f"about {found['needed']:,}" in " ".join(done.stdout.split())
    with pytest.raises(RecipeError, match="NO CASCADE"):
        ready.ready(run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda run: run.remove("student"), "student is missing"),
        (lambda run: run.write_json("manifest.json", {"id": "one", "source": ""}), "out of date"),
    ],
)
def test_what_a_run_lacks_is_one_message(student, tmp_path, change, words):
    run = of(tmp_path / "runs", student, "http://127.0.0.1:9/v1", validation=4, test=4)
    change(run)
    done = small.potstill("cascade", "one", "--runs", run.folder.parent, cwd=tmp_path)
    assert done.returncode == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_without_validation_questions_nothing_is_chosen(student, tmp_path):
    with sure_student.KnowingTeacher() as teacher:
        run = of(tmp_path / "runs", student, teacher.url, validation=0, test=4)
        done = small.potstill("cascade", "one", "--runs", run.folder.parent, cwd=tmp_path)
    assert done.returncode == 2
    assert "no validation questions with gold" in done.stderr


def test_there_is_nothing_to_serve_before_the_command(student, tmp_path):
    run = of(tmp_path / "runs", student, "http://127.0.0.1:9/v1", validation=4, test=4)
    with pytest.raises(RecipeError, match=r"no threshold is chosen yet.*potstill cascade one"):
        ready.ready(run)
