"""The report in a real browser: no text of a model becomes markup, and nothing overflows."""

import json
import shutil
from html import unescape

import pytest

from golden import concluded, summarize
from potstill.recipe import loading as recipe_file
from potstill.stages.report.stage import report
from potstill.tasks.math import Math
from potstill.workspace import artifacts
from potstill.workspace.artifacts import CURATED, GENERATED, TEST_SPLITS
from potstill.workspace.run import Run

HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'">\u202e\x07 </td></table>'
)
RECIPE = """\
name: hostile
task: math
data: {source: word_problems, train: 2, validation: 2, test: 2, test_unseen: 2}
teacher: {model: {url: "http://t/v1", model: t, price: {input: 1000, output: 2000}}}
student: {model: packaged/b}
evaluate: {systems: [base, student]}
"""
PITFALLS = [
    {"name": "template-in-training", "message": f"on purpose {HOSTILE}", "figures": {"n": 2}, "alarm": False},
    {
        "name": "few-questions",
        "message": f"2 are few {HOSTILE}" + "x" * 300,
        "figures": {"ids": [HOSTILE, "q" * 300]},
        "alarm": True,
    },
]
VALIDATION = [
    {"epoch": 1, "score": 0.25, "low": 0.125, "high": 0.75, "n": 20},
    {"epoch": 3, "score": 0.5, "low": None, "high": None, "n": 20},
]


def example(id_, split):
    columns = dict.fromkeys(("system", "prompt", "rationale", "logged", "origin"))
    return columns | {"id": id_, "split": split, "group": id_, "question": HOSTILE + "x" * 300, "gold": "7"}


def generated(**values):
    """A row of generated.parquet."""
    empty = dict.fromkeys(GENERATED.schema.names)
    return empty | {"id": "train-0", "prompt_tokens": 1200, "completion_tokens": 34, "cached_tokens": 0} | values


@pytest.fixture
def run(tmp_path):
    """A run whose files hold hostile text wherever a model or a user can put it."""
    run = Run(tmp_path, recipe_file.parse(RECIPE), tmp_path / "store.sqlite")
    run.path("recipe.yaml").write_text(RECIPE + f"# {HOSTILE!r}\n")
    examples = [example(f"{split}-{i}", split) for split in TEST_SPLITS for i in range(2)]
    run.write(artifacts.examples(run.recipe.task), examples)
    predictions = {}
    for system in ("base", "student"):
        predictions[system] = [
            {
                "id": row["id"], "group": row["id"], "sample": 0, "messages": [], "text": HOSTILE * 10_000, "rationale": "",
                "answer": "7", "gold": "7", "status": "ok", "rule": "", "prompt_tokens": 9, "completion_tokens": 3, "max_tokens": 64,
                "outcome": "correct" if system == "student" else "truncated", "seconds": 0.5, "error": None,
                "scores": {"accuracy": 1.0, "strict": 1.0, "lenient": 1.0},
            }
            for row in examples
        ]  # fmt: skip
        run.write(artifacts.predictions(system), predictions[system])
    changed = {"margin": {"sealed": 0.05, "now": 0.1}}
    seal = {"sha256": "a" * 64, "first_used": "2026-01-01", "looked_at_before": 1, "students": 2, "test_sets": 1,
            "settings": {}, "set_after_looking": changed}  # fmt: skip
    splits = {}
    for split in TEST_SPLITS:
        of_split = {s: [row for row in rows if row["id"].startswith(f"{split}-")] for s, rows in predictions.items()}
        splits[split] = summarize(of_split, Math()) | {"sealed": seal, "pitfalls": PITFALLS if split == "test" else []}
    run.write_json("evaluation.json", concluded(splits))
    left_out = {"train": {"rows": 9, "reasons": {f"empty '{HOSTILE}'": 2, "tool calls": 1}}}
    run.write_json("data.json", {"left_out": left_out, "contradictory": [f"1 question: {HOSTILE}"]})
    run.write(GENERATED, [generated()])
    curated = generated() | {name: None for name in CURATED.schema.names if name not in GENERATED.schema.names}
    run.write(CURATED, [curated | {"reason": reason} for reason in ("", "correct")])
    loss = [{"epoch": 0.5, "loss": 2.0}, {"epoch": 3.0, "loss": 0.5}]
    run.write_json(
        "training.json",
        {"rows": 1, "dtype": "float32", "loss": loss, "validation": VALIDATION, "chosen": 3},
    )
    run.write_json("manifest.json", {"stages": {"generate": {"seconds": 3.0}}, "versions": {"potstill": "0"},
                                     "hardware": {"python": "3", "machine": HOSTILE}})  # fmt: skip
    report(run.recipe, run)
    return run


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_text_stays_text_at_every_width(run, width):
    from playwright.sync_api import sync_playwright

    requested = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("request", lambda request: requested.append(request.url))
        page.goto(run.report_path.as_uri())
        assert page.title() == "potstill: hostile"
        assert page.locator("script, img").count() == 0
        assert page.locator("figure.split").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "only student correct" in page.inner_text("body")
        assert page.locator("ul.pitfalls li").count() == 2
        browser.close()
    assert requested == [run.report_path.as_uri()]


def test_long_answers_are_clipped_and_the_verdict_comes_first(run):
    html = run.report_path.read_text()
    assert len(html) < 200_000
    assert "<script" not in html
    verdict = json.loads(run.path("evaluation.json").read_text())["verdict"]
    text = unescape(html)
    places = [text.index(line) for line in [*verdict["lines"], *verdict["notes"], "the teacher read"]]
    assert places == sorted(places)
    assert places[0] < text.index("<svg")
    assert "the teacher read 1,200 tokens and wrote 34, $1.27 at its server's prices" in text


def test_truncated_answers_make_a_finding_uncertain(run):
    """All answers of the base are truncated: if they were correct, there would be no difference."""
    comparison = run.evaluation["splits"]["test"]["comparisons"][0]
    assert comparison["finding"] == "not distinguishable"
    assert comparison["bounds"]["lower"]["difference"] == 0
    assert comparison["bounds"]["upper"]["difference"] == 1


def test_earlier_looks_and_what_was_set_after_them_are_in_verdict_and_report(run):
    text = " ".join(unescape(run.report_path.read_text()).split())
    assert "1 of its questions were looked at before, by 2 other students" in text
    assert "margin was 0.05 when the test set was first used, and is 0.1" in text
    notes = "\n".join(run.evaluation["verdict"]["notes"])
    assert notes.count("1 of these questions were looked at before, by 2 other students") == 2
    assert notes.count("set after looking at these questions: margin.") == 2


def test_validation_scores_have_their_intervals(run):
    """The figure is 160 high: an interval of .125 to .75 reaches from 140 to 40."""
    html = run.report_path.read_text()
    assert html.count('<line class="whisker" x1="200.0" x2="200.0" y1="40.0" y2="140.0"/>') == 1
    caption = html[html.index("Line: loss on the completion") :]
    assert "20 validation questions after each epoch" in caption
    assert "Fewer than 100 questions can hardly tell epochs apart" in caption


def test_a_score_that_applies_to_no_answer_is_shown_as_such(run):
    evaluation = run.evaluation
    for system in evaluation["splits"]["test"]["systems"].values():
        assert system["without_score"] == []
        system["without_score"] = ["density"]
    run.write_json("evaluation.json", evaluation)
    assert '<td class="n">no score' not in run.report_path.read_text()
    report(run.recipe, run)
    html = run.report_path.read_text()
    assert '<th class="n">density' in html
    assert html.count('<td class="n">no score') == 2


def test_the_report_says_which_rows_are_left_out_and_which_answers_contradict(run):
    report(run.recipe, run)
    html = unescape(run.report_path.read_text(encoding="utf-8"))
    assert "data.train: 3 of 9 rows were left out: 2 empty '" in html
    assert ", 1 tool calls." in html
    assert f"1 question: {HOSTILE}" in html
    run.remove("data.json")
    report(run.recipe, run)
    assert "Your rows" not in run.report_path.read_text(encoding="utf-8")


def test_pitfalls_have_a_section_alarms_first(run):
    html = run.report_path.read_text(encoding="utf-8")
    section = html[html.index('<h2 id="pitfalls">') :]
    assert section.index("<b>few-questions</b>") < section.index("About this split (template-in-training)")
    assert "The checks found nothing." in section
    assert "docs/footguns.md" in section
