"""The report's section about what was measured: its figure, in a real browser, and what it says to those who do not see it."""

import copy
import shutil

import jsonschema
import pytest

from potstill.measure import words
from potstill.measure.result import schema
from potstill.stages.report.measured import chart
from potstill.stages.report.stage import report
from test_report import HOSTILE, run  # noqa: F401


def around(value, part=0.1):
    return {"estimate": value, "low": value * (1 - part), "high": value * (1 + part)}


def times(p50, n=40):
    return {"n": n, "mean": around(p50), "p50": p50, "p90": 1.5 * p50, "p95": 2 * p50, "p99": None}


def phase(concurrency, cache, latency, cost, memory=None):
    return {
        "concurrency": concurrency, "cache": cache, "n": 40, "failed": 0, "seconds": 40 * latency / concurrency,
        "answers_per_second": concurrency / latency, "tokens_per_second": 50 * concurrency / latency, "first_token": times(latency / 10),
        "per_token": times(latency / 60), "latency": times(latency), "prompt_tokens": around(30), "cached_tokens": around(8),
        "completion_tokens": around(50), "memory": memory, "machine_seconds": around(latency / concurrency),
        "cost": None if cost is None else around(cost),
    }  # fmt: skip


def system(role, quality, latency, cost, remote=False):
    caches = ["as served"] if remote else ["cold", "warm"]
    return {
        "role": role, "prompting": "plain", "engine": "endpoint" if remote else "llama.cpp", "form": "" if remote else f"gguf-f16 {HOSTILE}",
        "remote": remote, "quality": quality and around(quality),
        "phases": [phase(c, cache, latency * (1 + c / 8), cost, None if remote else 3e9) for c in (1, 4, 16) for cache in caches],
    }  # fmt: skip


def result(systems, front, against=(), payback=(), unit="dollars"):
    about = {
        "student": "ab", "split": "test", "measure": "accuracy", "questions": 40, "groups": 20, "confidence": 0.95, "concurrency": [1, 4, 16],
        "machine_price": 0.5, "hardware": {"machine": HOSTILE},
    }  # fmt: skip
    verdict = words.verdict(about, systems, against, payback, f"NOT YET: {HOSTILE}")
    return {
        "about": about, "systems": systems, "against": list(against), "payback": list(payback), "cost_unit": unit, "front": front,
        "verdict": verdict,
    }  # fmt: skip


def against(name, ratio, alike=False):
    return {
        "system": name,
        "alike": alike,
        **dict.fromkeys(("latency", "first_token", "prompt_tokens", "completion_tokens", "cost"), around(ratio)),
    }


def paid(name, calls, high):
    return {
        "system": name, "unit": "dollars", "generation": 1.5, "training": 0.2, "evaluation": 0.3, "fixed": 2.0, "saved": around(0.001),
        "calls": calls, "low": 1800, "high": high,
    }  # fmt: skip


@pytest.fixture
def measured():
    systems = {
        "student": system("student", 0.55, 0.4, 0.05),
        "teacher-cot": system("teacher", 0.8, 2.0, 1.2, remote=True),
        "teacher-plain": system("teacher", 0.5, 1.0, 0.6, remote=True),
    }
    return result(
        systems,
        ["student", "teacher-cot"],
        [against("teacher-cot", 4.0), against("teacher-plain", 0.9)],
        [paid("teacher-cot", 2000, None)],
    )


def test_the_example_is_what_the_schema_says(measured):
    jsonschema.validate(measured, schema())


def test_places_are_those_of_the_numbers(measured):
    found = chart(measured)
    places = {point.name: point for point in found.points}
    assert [point.name for point in found.points] == ["student", "teacher-plain", "teacher-cot"]  # by cost
    assert places["student"].y == pytest.approx(220 * 0.45)
    assert places["student"].low == pytest.approx(220 * (1 - 0.55 * 0.9))
    assert [point.on_front for point in found.points] == [True, False, True]
    # on a logarithmic scale equal factors are equal distances: 0.6 / 0.05 = 12, 1.2 / 0.6 = 2
    ratio = (places["teacher-plain"].x - places["student"].x) / (places["teacher-cot"].x - places["teacher-plain"].x)
    assert ratio == pytest.approx(3.58496, rel=1e-4)
    assert all(0 < point.x < 600 for point in found.points)
    assert [text for _, text in found.ticks] == ["$0.05", "$0.1", "$0.2", "$0.5", "$1"]
    assert found.front.count(",") == 3  # two corners and the step between them


def test_without_costs_or_qualities_there_is_no_figure(measured):
    assert chart(measured | {"cost_unit": None}) is None
    one = copy.deepcopy(measured)
    for name in ("teacher-cot", "teacher-plain"):
        one["systems"][name]["quality"] = None
    assert chart(one) is None


@pytest.mark.parametrize(("latency", "cost", "start"), [
    (around(4.0), around(3.0), "CHEAPER AND FASTER"), (around(0.5), around(3.0), "CHEAPER AND SLOWER"),
    (around(1.05), around(0.5), "DEARER AND NOT SHOWN TO BE FASTER"), (around(2.0), None, "FASTER, COSTS NOT KNOWN"),
    (None, around(1.0), "NOT SHOWN TO BE CHEAPER AND NOT SHOWN TO BE FASTER"),
])  # fmt: skip
def test_claim_c_says_what_the_intervals_show(measured, latency, cost, start):
    one = against("teacher-cot", 4.0) | {"latency": latency, "cost": cost}
    said = words.verdict(measured["about"], measured["systems"], [one], measured["payback"], "NOT YET")
    assert said["lines"][0].startswith(f"{start}: with its plain prompt")


def test_paybacks_in_words(measured):
    lines = words.verdict(
        measured["about"], measured["systems"], measured["against"], [paid("teacher-cot", 2000, 2500)], "x"
    )["lines"]
    assert (
        lines[1]
        == "Against teacher-cot generation, training and evaluation ($2.00) have paid for themselves after 2,000 calls [1,800, 2,500]."
    )
    never = words.verdict(
        measured["about"], measured["systems"], measured["against"], [paid("teacher-cot", None, None)], "x"
    )["lines"]
    assert "not shown to pay for themselves" in never[1]
    assert "[1,800, never]" in measured["verdict"]["lines"][1]


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1280, "dark")])
def test_the_section_in_a_browser(run, measured, width, scheme):  # noqa: F811
    from axe_playwright_python.sync_playwright import Axe
    from playwright.sync_api import sync_playwright

    run.write_json("measured.json", measured)
    report(run.recipe, run)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.goto(run.report_path.as_uri())
        assert page.title() == "potstill: hostile"
        assert page.locator("script, img").count() == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        figure = page.get_by_role("img", name="Quality against cost")
        assert "student: 55 % at $0.05 for 1,000 answers" in figure.get_attribute("aria-label")
        assert figure.locator("circle").count() == 3
        assert figure.locator("circle.beaten").count() == 1
        assert "Pareto front" in page.inner_text("body")
        assert "student, teacher-cot." in page.inner_text('figcaption:has-text("Pareto")')
        fills = [figure.locator("circle").nth(i).evaluate("one => getComputedStyle(one).fill") for i in range(3)]
        assert len(set(fills)) == 3  # the student's, the teacher's, and the paper's
        inside = figure.locator("text, circle").evaluate_all(
            "(all, box) => all.every(one => { const r = one.getBoundingClientRect(); return r.left >= box.x - 1 && r.right <= box.x + box.width + 1 })",
            figure.bounding_box(),
        )
        assert inside
        found = Axe().run(page, context="#measured", options={"runOnly": ["wcag2a", "wcag2aa"]})
        browser.close()
    assert found.violations_count == 0, found.generate_report()
