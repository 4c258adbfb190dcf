"""The report's section about people and judges, in a real browser, and the schema on the command line."""

import json
import shutil
import subprocess
import sys
from html import unescape

import pytest

from judged_labels import both_orders, label, person, questions, setting
from potstill.stages.judged.inputs import Reviewer
from potstill.stages.judged.results import judged
from potstill.stages.report.stage import report
from test_report import HOSTILE, run  # noqa: F401

JUDGE = f"org/judge {HOSTILE}"
INATTENTIVE = [Reviewer(f"Ben {HOSTILE}", 1, 3, 1_200)]


@pytest.fixture
def judged_run(run):  # noqa: F811
    """The run of hostile texts with labels by two judges and people, whose names are hostile, too."""
    asked = questions(
        24, ("base", "student", "teacher-cot"), length=lambda system, i: 10 + i % 3 * (system == "student")
    )
    labels = []
    for i, q in enumerate(asked):
        for other in ("base", "teacher-cot"):
            for rater in (JUDGE, "second"):
                labels += both_orders(
                    q, "student", other, (i % 3 and 1.0, None if i == 5 else float(i % 2)), rater=rater
                )
            labels.append(person(q, "student", float(i % 2), other))
        labels += both_orders(q, "base", "teacher-cot", (1.0, float(i % 2)), rater=JUDGE)
        labels += [label(q, name, float(1 + i % 5), form="scores", criterion=criterion, rater=JUDGE)
                   for name in ("base", "student") for criterion in ("helpful", HOSTILE)]  # fmt: skip
        labels += [person(q, name, float(i % 2)) for name in ("base", "student")]
        labels += [label(q, name, float(i % 3 == 0)) for name in ("base", "student")]
    run.write_json(
        "judged.json", judged(labels, asked, setting(related={JUDGE: ["teacher-cot"]}, inattentive=INATTENTIVE))
    )
    report(run.recipe, run)
    return run


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_section_in_a_browser(judged_run, width, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(judged_run.report_path.as_uri())
        assert page.title() == "potstill: hostile"
        assert page.locator("script, img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        text = page.inner_text("body")
        browser.close()
    assert (
        text.index("What people and judges say") < text.index("About the judges") < text.index("Agreement with people")
    )
    for part in (
        "1,200 labels by the reviewer Ben",
        "win rate, ties half",
        "corrected by people",
        "ground truth, correct, %",
        "right where people say right, %",
    ):
        assert part in text
    assert "Strengths (Davidson's model" in text


def test_the_verdict_of_labels_comes_first_where_gold_decides_nothing(judged_run):
    html = unescape(judged_run.report_path.read_text(encoding="utf-8"))
    lines = judged_run.read_json("judged.json")["verdict"]["lines"]
    assert html.index(lines[0]) < html.index("What this rests on")
    assert "allow_related" in html


def test_a_report_without_labels_has_no_such_section(run):  # noqa: F811
    assert "What people and judges say" not in run.report_path.read_text(encoding="utf-8")


def test_the_schema_is_printed():
    command = [sys.executable, "-m", "potstill", "schema", "judged"]
    printed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert set(printed["required"]) == {
        "confidence",
        "margin",
        "obsolete",
        "related",
        "inattentive",
        "splits",
        "raters",
        "verdict",
    }
