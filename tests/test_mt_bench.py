"""Chats of two turns with reference answers, as MT-Bench's: what judges see, the results by turn, and the whole chat in the report."""

import json
import re
import shutil
from html import unescape

import jsonschema
import pyarrow.parquet as pq
import pytest

from faulty_server import faulty
from mt_bench import HOSTILE, QUESTIONS, REFERENCES, carry_out, reply
from potstill import stats
from potstill.stages.judged.result import schema
from potstill.stages.report.stage import report
from potstill.workspace import artifacts
from potstill.workspace.workspace import Workspace
from small import potstill

N = len(QUESTIONS)


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The folder of the run, the server, and the judge's prompts by form."""
    folder = tmp_path_factory.mktemp("bench")
    with faulty(reply) as server:
        result = carry_out(folder, server.url)
        assert result.returncode == 0, result.stderr[-3000:]
        found = {"pairwise": (prompts(server), *judged(folder))}
        printed = {"run": result.stdout}
        report = (folder / "runs/bench/report.html").read_text(encoding="utf-8")
        for form in ("scores", "reference"):
            server.bodies.clear()
            result = potstill("judge", "bench", "--form", form, cwd=folder)
            assert result.returncode == 0, result.stderr[-3000:]
            found[form], printed[form] = (prompts(server), *judged(folder)), result.stdout
    return folder / "runs/bench", found, printed, report


def prompts(server):
    """What the judge was asked, by question and turn."""
    by_turn = {}
    for body in server.bodies:
        if body["model"] == "judge":
            (message,) = body["messages"]
            text = message["content"]
            question = next(q for q in QUESTIONS if q["turns"][0] in text)
            by_turn.setdefault((str(question["question_id"]), 2 if "-turn-2" in text else 1), []).append(text)
    return by_turn


def judged(folder):
    run = folder / "runs/bench"
    return json.loads((run / "judged.json").read_text()), pq.read_table(run / "labels.parquet").to_pylist()


def references(prompt):
    """The reference answers in a prompt, by the name of their marks."""
    return dict(re.findall(r"^<(reference[\w-]*?)-\w{10}>\n(.*)\n</reference", prompt, re.MULTILINE))


# Reference answers


@pytest.mark.parametrize("form", ["pairwise", "scores"])
def test_judges_see_the_references_up_to_the_turn_that_they_judge(bench, form):
    by_turn = bench[1][form][0]
    assert len(by_turn) == 2 * N
    assert all(len(several) == 2 for several in by_turn.values()), "two orders, or two systems"
    expected = {
        ("103", 1): {"reference": f"In {HOSTILE} Rome"},
        ("103", 2): {"reference-turn-1": f"In {HOSTILE} Rome"},
        ("111", 1): {"reference": "Area is 3"},
        ("111", 2): {"reference-turn-1": "Area is 3", "reference-turn-2": "5pi"},
        ("112", 1): {"reference": "12000"},
        ("112", 2): {"reference-turn-1": "12000", "reference-turn-2": "2000"},
        ("133", 2): {"reference-turn-2": "Harry"},
    }
    for turn, several in by_turn.items():
        for prompt in several:
            assert references(prompt) == expected.get(turn, {})
            assert ("A reference answer is right" in prompt) == (turn in expected)


def test_the_form_reference_is_about_the_turns_that_have_one(bench):
    by_turn, _, labels = bench[1]["reference"]
    assert set(by_turn) == REFERENCES
    assert {(label["question"], label["form"]) for label in labels} == {
        (f"test-{question}/{2 * turn - 2}", "reference") for question, turn in REFERENCES
    }
    assert "reference-turn-2" in references(by_turn["111", 2][0])
    assert not any("may be only a part or a hint" in prompt for several in by_turn.values() for prompt in several)


def test_references_are_no_gold(bench):
    run = bench[0]
    examples = pq.read_table(run / "examples.parquet").to_pylist()
    assert {row["gold"] for row in examples if row["split"] == "test"} == {None}
    evaluation = json.loads((run / "evaluation.json").read_text())
    assert not evaluation["splits"]["test"]["decided"]
    assert not {"accuracy", "rouge_l"} & set(evaluation["splits"]["test"]["systems"]["student"]["metrics"])
    assert {*bench[1]["pairwise"][1]["verdict"]["by"].values()} == {"nobody"}, "judges were not asked about the student"


# Results by turn


def test_win_rates_by_turn_beside_the_total(bench):
    _, found, _ = bench[1]["pairwise"]
    jsonschema.validate(found, schema())
    (pair,) = found["splits"]["test"]["comparisons"]
    assert (pair["estimate"], pair["n"], pair["groups"]) == (0.5, 2 * N, N)
    assert [(of["turn"], of["estimate"], of["n"], of["groups"]) for of in pair["turns"]] == [
        (1, 1.0, N, N),
        (2, 0.0, N, N),
    ]
    expected = stats.corrected_mean([1.0] * N, None, list("abcdef"), None, (0.0, 1.0), 0.95)
    assert (pair["turns"][0]["low"], pair["turns"][0]["high"]) == pytest.approx((expected.low, expected.high))


def test_scores_by_turn_beside_the_total(bench):
    _, found, labels = bench[1]["scores"]
    jsonschema.validate(found, schema())
    of_good = {
        one["criterion"]: one
        for one in found["splits"]["test"]["scores"]
        if one["system"] == "good" and one["kind"] == "judge"
    }
    assert "all criteria" in of_good
    for one in of_good.values():
        assert (one["estimate"], [of["estimate"] for of in one["turns"]]) == (3.0, [5.0, 1.0])
    given = [label["value"] for label in labels if (label["system"], label["criterion"]) == ("good", "overall")]
    assert sorted(given) == [1.0] * N + [5.0] * N
    (difference,) = (one for one in found["splits"]["test"]["differences"] if one["criterion"] == "overall")
    assert [of["estimate"] for of in difference["turns"]] == [3.0, -1.0]


def test_the_terminal_shows_the_turns(bench):
    heading = next(line for line in bench[2]["scores"].splitlines() if line.startswith("split"))
    assert re.split(r"\s{2,}", heading)[4:8] == ["result", "turn 1", "turn 2", "n"]
    (row,) = (line for line in bench[2]["scores"].splitlines() if re.search(r"score {2,}good ", line))
    values = re.split(r"\s{2,}", row)
    assert [one.split()[0] for one in values[4:7]] == ["3.00", "5.00", "1.00"]


# The report


def test_the_report_shows_each_chat_once_and_escaped(bench):
    html = bench[3]
    assert "<script>" not in html
    shown = re.findall(
        r"<details.*?</details>", html[html.index("side by side") : html.index("Time, versions")], re.DOTALL
    )
    assert len(shown) == N
    for question, chat in zip(QUESTIONS, shown, strict=True):
        text = unescape(re.sub(r"<[^>]+>", " ", chat))
        places = [
            text.index(part)
            for part in (
                question["turns"][0],
                f"I am good, at turn 1 {HOSTILE}",
                question["turns"][1],
                f"I am good, at turn 2 {HOSTILE}",
            )
        ]
        assert places == sorted(places)
        for one in filter(None, question.get("reference", ())):
            assert one in text


def test_the_report_shows_what_the_data_have_before_a_turn(bench, tmp_path):
    """The same chats with the data's replies: each turn is a question of its own, after these."""
    shutil.copytree(bench[0], tmp_path / "bench")
    run = Workspace(tmp_path).open("bench")
    rows = list(run.examples())
    for row in rows:
        for message in row["messages"]:
            message["content"] = message["content"] or f"In the data {HOSTILE}"
    run.write(artifacts.examples(run.recipe.task), rows)
    report(run.recipe, run)
    html = run.report_path.read_text(encoding="utf-8")
    assert "<script>" not in html
    first, second = re.findall(r"<details.*?</details>", html[html.index("side by side") :], re.DOTALL)[:2]
    assert "Write a poem about rain." in first
    assert "before</span>" not in first
    text = unescape(re.sub(r"<[^>]+>", " ", second))
    parts = [
        f"Shorten it {HOSTILE}.",
        "user, before",
        "rain.",
        "assistant, before",
        f"In the data {HOSTILE}",
        "I am good, at turn 2",
    ]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)


@pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_turns_and_chats_in_a_browser(bench, width, scheme):
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        page.set_content(bench[3])
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        row = page.locator("tr", has_text="good against poor, win rate").first.locator("td").all_inner_texts()
        chat = page.locator("details", has_text="Write a poem about rain.").first.inner_text()
        browser.close()
    assert [cell.split(" [")[0] for cell in row[1:]] == ["50 %", "100 %", "0 %"]
    assert f"Shorten it {HOSTILE}." in chat
    assert f"I am poor, at turn 2 {HOSTILE}." in chat
