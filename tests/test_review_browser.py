"""The review in a real browser: a whole session by keyboard, what survives, and how it looks.

Screenshots are written to tests/screenshots, for people to look at.
"""

import re
import shutil
from pathlib import Path

import pytest

from potstill.labels.table import State
from potstill.review import reviewing
from potstill.review.database import FILE, connect
from reviewed import RATIONALES, SUMMARIES, math_run, served, summarization_run

pytestmark = pytest.mark.skipif(not shutil.which("chromium"), reason="needs Debian's chromium")
SCREENSHOTS = Path(__file__).parent / "screenshots"
PHONE = {"width": 360, "height": 740}
HOSTILE = (
    '<script>document.title="owned"</script><img src=x onerror="document.title=\'owned\'"> [link](javascript:document.title="owned") '
    "<a href='javascript:1'>x</a> \u202egnp.exe </div></main></body> $\\text{<img src=x onerror=alert(1)>}$ "
    "<svg onload=alert(1)> ![pixel](https://elsewhere.example/p.png)\n\n| "
    + "W" * 3000
    + " |\n|---|\n| 1 |\n\n"
    + "m" * 5000
)


@pytest.fixture(scope="module")
def browser():
    from playwright.sync_api import sync_playwright

    SCREENSHOTS.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody with a browser of their own. ``faults``: what the browser complained about."""

    def __init__(self, browser, server, name="", **options):
        self.context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options)
        self.page, self.server, self.faults = self.context.new_page(), server, []
        self.page.set_default_timeout(60_000)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("console", lambda line: self.faults.append(line.text) if line.type == "error" else None)
        self.page.goto(server.link)
        server.next_link()
        self.page.wait_for_selector("#name:focus")
        if name:
            self.page.keyboard.type(name)
            self.page.keyboard.press("Enter")
            self.shown("Answer 1 of")

    def shown(self, heading):
        """Wait for a page by its heading."""
        from playwright.sync_api import expect

        expect(self.page.locator("h1")).to_contain_text(heading, timeout=60_000)
        self.page.wait_for_selector("html.scripted", state="attached")
        return self

    def press(self, *keys):
        for key in keys:
            self.page.keyboard.press(key)
        return self

    def picture(self, name, **options):
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", **options)

    def violations(self):
        """What axe-core finds, in words."""
        from axe_playwright_python.sync_playwright import Axe

        found = Axe().run(self.page).response["violations"]
        return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]

    def checked(self, name):
        """Look at a page in light and dark, on a large and a small screen: nothing overflows, and axe-core finds nothing."""
        large = self.page.viewport_size
        for suffix, scheme, size in (("light", "light", large), ("dark", "dark", large), ("phone", "light", PHONE)):
            self.page.emulate_media(color_scheme=scheme)
            self.page.set_viewport_size(size)
            self.picture(f"{name}-{suffix}", full_page=suffix == "phone")
            assert self.page.evaluate("document.documentElement.scrollWidth") <= size["width"], suffix
            assert self.violations() == [], suffix
        self.page.set_viewport_size(large)


def stored(run, reviewer):
    connection = connect(run.path(FILE))
    rows = connection.execute("SELECT answer FROM answers WHERE reviewer = ? ORDER BY n", (reviewer,)).fetchall()
    connection.close()
    return [reviewing.answer_of(row["answer"]) for row in rows]


def test_a_whole_session_by_keyboard(browser, tmp_path):
    run = summarization_run(tmp_path, 2)
    with served(run) as server:
        ana = Person(browser, server)
        ana.checked("start")
        ana.page.wait_for_selector("#name:focus")
        ana.page.keyboard.type("Ana")
        ana.press("Enter").shown("Answer 1 of 4")
        ana.checked("scores")
        ana.press("?")
        assert ana.page.locator("dialog").is_visible()
        ana.picture("keys")
        ana.press("Escape", "4", "5", "ArrowUp", "3", "c", "2", "1", "r")
        ana.page.keyboard.type("Clear, but it says 5 things that I cannot check")
        ana.picture("scores-given")
        ana.press("Escape", "Enter").shown("Answer 2 of 4")
        given = stored(run, "Ana")[0]
        assert given.values == {"coherence": 4, "consistency": 3, "fluency": None, "relevance": 2, "density": 1}
        assert given.reason == "Clear, but it says 5 things that I cannot check"
        ana.page.wait_for_selector("#live:has-text('Saved. Answer 2 of 4.')")
        ana.press("s").shown("Answer 3 of 4").press("C").shown("Answer 4 of 4").press("u").shown("Answer 3 of 4")
        assert [one.state for one in stored(run, "Ana")] == [State.GIVEN, State.SKIPPED]
        ana.press("u").shown("Answer 2 of 4").press("u").shown("Answer 1 of 4")
        assert ana.page.locator("input[name=score-fluency]:checked").get_attribute("value") == "?", (
            "it is filled in again"
        )
        assert ana.page.locator("#reason").input_value().startswith("Clear")
        for number in (2, 3, 4):
            ana.press("4", "4", "4", "4", "4", "Enter").shown(f"Answer {number} of 4")
        ana.press("s").shown("All answered")
        ana.checked("done")
        ana.page.click("text=Show the skipped ones again (1)")
        ana.shown("Answer 4 of 4").press("5", "5", "5", "5", "5", "Enter").shown("All answered")
        ana.page.click("button.primary")
        ana.page.wait_for_selector("text=You have finished, Ana")
        assert ana.faults == []
        assert [one.state for one in stored(run, "Ana")] == [State.GIVEN] * 4


def test_sentences_show_what_supports_them(browser, tmp_path):
    with served(summarization_run(tmp_path, 1, summaries={"student": SUMMARIES["student"]})) as server:
        page = Person(browser, server, "Ana").page
        page.locator(".sentence", has_text="4.2 million").hover()
        assert "The repair will cost 4.2 million dollars" in page.locator(".supports").first.inner_text()
        page.locator(".sentence", has_text="free bus").focus()
        assert "The council promised them a free bus" in page.locator(".supports").first.inner_text()
        page.screenshot(path=SCREENSHOTS / "support.png")
        page.mouse.move(5, 5)
        page.locator("#reason").focus()
        assert page.locator(".supports").count() == 0


def test_reload_and_kill_in_the_middle_lose_nothing(browser, tmp_path):
    run = math_run(tmp_path, 3)
    with served(run, "--systems", "student") as server:
        ana = Person(browser, server, "Ana")
        ana.press("4", "4", "Enter").shown("Answer 2 of 3").press("2", "r")
        ana.page.keyboard.type("half a reas")
        ana.page.reload()
        ana.shown("Answer 2 of 3")
        assert ana.page.locator("#reason").input_value() == "half a reas"
        assert ana.page.locator("input[name=score-sound]:checked").get_attribute("value") == "2"
        server.kill()
        port = server.port
        ana.press("3").page.locator("[value=save]").click()
        ana.page.wait_for_selector("#unsaved:has-text('Not saved yet')")
        ana.picture("not-saved")
        with served(run, port=port):
            ana.shown("Answer 3 of 3")
            assert [one.values for one in stored(run, "Ana")] == [
                {"sound": 4, "supports": 4},
                {"sound": 2, "supports": 3},
            ]
            assert stored(run, "Ana")[1].reason == "half a reas"
            ana.page.reload()
            ana.shown("Answer 3 of 3")
            assert ana.page.locator("#reason").input_value() == ""


def test_two_reviewers_at_once_and_what_they_disagree_about(browser, tmp_path):
    run = math_run(tmp_path, 3)
    with served(run, "--form", "pairwise") as server:
        ana, ben = Person(browser, server, "Ana"), Person(browser, server, "Ben")
        ana.press("d")
        assert ana.page.locator(".marked mark").count() > 2
        ana.picture("pairwise-differences")
        ana.press("d").checked("pairwise")
        for number in (2, 3):
            ana.page.locator("#reason").fill(f"Because {number}")
            ana.press("Escape", "ArrowLeft").shown(f"Answer {number} of 3")
            ben.press("ArrowDown" if number == 2 else "ArrowRight").shown(f"Answer {number} of 3")
        ana.press("t").shown("All answered")
        ana.page.click("button.primary")
        ana.page.wait_for_selector("text=You have finished")
        ana.page.goto(f"{server.address}/adjudicate")
        ana.shown("Disagreements").checked("waiting")
        assert "Because" not in ana.page.content()
        ben.page.goto(f"{server.address}/")
        ben.page.click("summary")
        ben.page.click("text=Finish my review")
        ben.page.wait_for_selector("text=You have finished")
        ana.page.reload()
        ana.shown("Disagreement 1 of").checked("adjudication")
        assert "Because 2" in ana.page.locator(".said").inner_text()
        while "Disagreement" in (heading := ana.page.inner_text("h1")):
            number = int(re.search(r"\d+", heading)[0])
            ana.press("ArrowRight")
            ana.page.wait_for_selector(f"h1:not(:text('Disagreement {number} of'))")
        ana.shown("All disagreements are decided").checked("adjudicated")
        assert ana.faults == ben.faults == []
        assert len(stored(run, "Ana")) == 3
        assert len(stored(run, "Ben")) == 2
        ana.page.goto(f"{server.address}/browse")
        ana.shown("All rows").checked("browse")
        ana.page.goto(f"{server.address}/browse/row?id=test-1&with=base")
        ana.shown("test-1").checked("row")
        ana.page.goto(f"{server.address}/browse/row?id=train-1/1")
        ana.shown("train-1/1").checked("history")


@pytest.mark.parametrize("form", ["pass", "scores", "pairwise"])
def test_hostile_answers_stay_text(browser, tmp_path, form):
    run = math_run(tmp_path, 1, answers={"student": HOSTILE, "base": RATIONALES["base"] + HOSTILE})
    with served(run, "--form", form) as server:
        eve = Person(browser, server, "<b>Eve</b>")
        asked = []
        eve.page.on("request", lambda request: asked.append(request.url))
        eve.checked(f"hostile-{form}")
        eve.page.reload()
        eve.shown("Answer 1 of")
        assert "owned" not in eve.page.title()
        assert eve.page.locator("main script, main img, main a, main svg, main b:text('Eve')").count() == 0
        assert eve.page.locator("main").count() == 1
        assert all(url.startswith(server.address) for url in asked)
        assert "\u202e" not in eve.page.content()
        assert eve.faults == []


def test_pass_or_fail_with_reasons(browser, tmp_path):
    run = math_run(tmp_path, 2)
    with served(run, "--form", "pass", "--systems", "base", "--attention", 1) as server:
        ana = Person(browser, server, "Ana").press("1")
        ana.checked("pass")
        ana.press("f").shown("Answer 2 of 3").press("p").shown("Answer 3 of 3").press("c").shown("All answered")
        answers = stored(run, "Ana")
        assert [one.failed for one in answers] == [("sound",), (), ()]
        assert [one.state for one in answers] == [State.GIVEN, State.GIVEN, State.CANNOT_TELL]
        ana.page.goto(server.address)
        assert "The labels of a reviewer who rates fewer than two in three" in ana.page.inner_text("main")


def test_without_scripts_it_works_too(browser, tmp_path):
    run = math_run(tmp_path, 1)
    with served(run, "--systems", "base") as server:
        context = browser.new_context(java_script_enabled=False)
        page = context.new_page()
        page.goto(server.link)
        page.fill("#name", "Ana")
        page.click("button.primary")
        page.check("input[name=score-sound][value='4']", force=True)
        page.check("input[name=score-supports][value='?']", force=True)
        page.click("[value=save]")
        assert page.inner_text("h1") == "All answered"
        assert stored(run, "Ana")[0].values == {"sound": 4, "supports": None}
