"""The report in a real browser: nothing a model said becomes markup, and nothing overflows."""

import json
import shutil
from html import unescape

import pytest

from potstill.recipe import loading as recipe_file
from potstill.stages.evaluate.summary import summary
from potstill.stages.evaluate.verdict import verdict
from potstill.stages.report.stage import report
from potstill.workspace.run import Run
from potstill.tasks.math import Math

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


@pytest.fixture
def run(tmp_path):
    """A run whose files say hostile things wherever a model or a user can."""
    made = Run(tmp_path, recipe_file.parse(RECIPE))
    made.path("recipe.yaml").write_text(RECIPE + f"# {HOSTILE!r}\n")
    examples = [
        {"id": f"{split}-{i}", "split": split, "question": HOSTILE + "x" * 300, "gold": "7"}
        for split in ("test_unseen", "test")
        for i in range(2)
    ]
    made.write("examples.parquet", examples)
    predictions = {}
    for system in ("base", "student"):
        predictions[system] = [
            {
                "id": row["id"], "outcome": "right" if system == "student" else "truncated", "text": HOSTILE * 10_000,
                "scores": {"strict": 1.0, "lenient": 1.0}, "completion_tokens": 3, "seconds": 0.5, "gold": "7",
            }
            for row in examples
        ]  # fmt: skip
        made.write(f"predictions/{system}.parquet", predictions[system])
    splits = {
        split: summary({s: [r for r in rows if r["id"].startswith(f"{split}-")] for s, rows in predictions.items()}, Math(), 0.95, 0.05)
        for split in ("test_unseen", "test")
    }  # fmt: skip
    seal = {"sha256": "a" * 64, "first_used": "2026-01-01", "evaluations": 2, "students": 1, "test_sets": 1}
    splits = {split: values | {"sealed": seal} for split, values in splits.items()}
    made.write_json("evaluation.json", {"splits": splits, "verdict": verdict(splits)})
    made.write("generated.parquet", [{"prompt_tokens": 1200, "completion_tokens": 34, "cached_tokens": 0}])
    made.write("curated.parquet", [{"reason": ""}, {"reason": "right"}])
    loss = [{"epoch": 0.5, "loss": 2.0}, {"epoch": 3.0, "loss": 0.5}]
    made.write_json(
        "training.json",
        {"rows": 1, "dtype": "float32", "loss": loss, "validation": [{"epoch": 3, "score": 0.5}], "chosen": 3},
    )
    made.write_json("manifest.json", {"stages": {"generate": {"seconds": 3.0}}, "versions": {"potstill": "0"},
                                      "hardware": {"python": "3", "machine": HOSTILE}})  # fmt: skip
    report(made.recipe, made)
    return made


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize("width", [390, 1280])
def test_hostile_text_stays_text_at_every_width(run, width):
    from playwright.sync_api import sync_playwright

    asked = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800})
        page.on("request", lambda request: asked.append(request.url))
        page.goto(run.report_path.as_uri())
        assert page.title() == "potstill: hostile"
        assert page.locator("script, img").count() == 0
        assert page.locator("figure.split").count() == 2
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert "only student" in page.inner_text("body")
        browser.close()
    assert asked == [run.report_path.as_uri()]


def test_long_answers_are_cut_and_the_verdict_stands_first(run):
    html = run.report_path.read_text()
    assert len(html) < 200_000
    assert "<script" not in html
    verdict = json.loads(run.path("evaluation.json").read_text())["verdict"]
    assert verdict.split(",")[0] in html
    text = unescape(html)
    assert (
        text.index("How good") < text.index("How sure") < text.index("What it cost") < text.index(verdict.split(",")[0])
    )
    assert "the teacher read 1,200 tokens and wrote 34, $1.27 at its server's prices" in text
    assert verdict.index("test_unseen") < verdict.index("(test,")


def test_cut_answers_make_a_finding_uncertain(run):
    """All of the base's answers were cut: had they been right, there would be no difference."""
    comparison = run.evaluation["splits"]["test"]["comparisons"][0]
    assert comparison["finding"] == "not distinguishable"
    assert comparison["truncated_right"]["difference"] == 0
