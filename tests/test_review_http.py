"""Requests to a review: who is let in, what is refused, and that nothing is lost."""

import re
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

from potstill.labels.table import State
from potstill.review import reviewing
from potstill.review.database import FILE, connect
from potstill.review.security import MAX_BODY
from reviewed import math_run, served

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


class Client:
    """A browser without scripts: one cookie, and the token of the last form."""

    def __init__(self, server):
        self.address, self.cookie, self.token = urlsplit(server.address), "", ""

    def request(self, method, path, body=None, **headers):
        """The status, headers and text of the answer."""
        connection = HTTPConnection(self.address.hostname, self.address.port, timeout=20)
        sent = ({"Cookie": self.cookie} if self.cookie else {}) | {
            name.replace("_", "-"): v for name, v in headers.items()
        }
        connection.request(method, path, body, sent)
        response = connection.getresponse()
        text = response.read().decode()
        if cookie := response.getheader("Set-Cookie"):
            self.cookie = cookie.partition(";")[0]
        if found := re.search(r'name="token" value="(\w+)"', text):
            self.token = found[1]
        connection.close()
        return response.status, response.headers, text

    def enter(self, link, name=""):
        self.request("GET", link.removeprefix(f"{self.address.scheme}://{self.address.netloc}"))
        self.request("GET", "/")
        if name:
            assert self.post("/join", name=name)[0] == 303
        return self

    def post(self, path, headers=None, **fields):
        return self.request("POST", path, urlencode({"token": self.token} | fields), **(FORM | (headers or {})))

    def item(self):
        """The item that is shown."""
        return re.search(r'name="item" value="(\w[\w-]*)"', self.request("GET", "/label")[2])[1]


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return math_run(tmp_path_factory.mktemp("runs"), 400)


@pytest.fixture(scope="module")
def server(run):
    with served(run, "--form", "pass") as server:
        yield server


@pytest.fixture(scope="module")
def ana(server):
    client = Client(server).enter(server.link, "Ana")
    server.next_link()
    return client


def stored(run, reviewer):
    connection = connect(run.path(FILE))
    rows = connection.execute("SELECT item, answer FROM answers WHERE reviewer = ?", (reviewer,)).fetchall()
    connection.close()
    return {row["item"]: reviewing.answer_of(row["answer"]) for row in rows}


def test_a_link_works_once(server):
    client, other = Client(server), Client(server)
    path = server.link.removeprefix(server.address)
    status, headers, _ = client.request("GET", path)
    assert status == 303
    assert {"HttpOnly", "SameSite=lax"} <= {part.strip() for part in headers["Set-Cookie"].split(";")}
    server.next_link()
    status, headers, text = other.request("GET", path)
    assert (status, headers["Set-Cookie"]) == (403, None)
    assert "Each link works once" in text


@pytest.mark.parametrize(
    "path", ["/", "/label", "/browse", "/browse/row?id=test-1", "/adjudicate", "/enter?token=x", "/enter"]
)
def test_nothing_is_shown_without_a_link(server, path):
    status, _, text = Client(server).request("GET", path)
    assert status == 403
    assert "train" not in text


def test_nothing_is_written_without_a_link(server, run):
    status, _, _ = Client(server).post("/join", name="Eve")
    assert status == 403
    assert "Eve" not in reviewing.unfinished(connect(run.path(FILE)))


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example"}, 421), ({"Host": "127.0.0.1.evil.example:80"}, 421), ({"Host": "[::bad"}, 421), ({"Host": ""}, 421),
        ({"Origin": "https://evil.example"}, 403), ({"Origin": "null"}, 403), ({"Origin": "http://[x"}, 403), ({"Sec_Fetch_Site": "cross-site"}, 403),
        ({"Host": "localhost:1234"}, 303), ({"Host": "[::1]"}, 303),
    ],
)  # fmt: skip
def test_other_sites_are_refused(ana, headers, status):
    item = ana.item()
    assert ana.post("/label", headers, item=item, action="skip")[0] == status


def test_a_form_needs_its_token(ana, run):
    item = ana.item()
    for token in ("", "x", "ä", ana.token[:-1]):
        assert ana.post("/label", item=item, action="pass", token=token)[0] == 403
    assert item not in stored(run, "Ana")


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        ("x" * (MAX_BODY + 1), {}, 413),
        (iter([b"7\r\ntoken=x\r\n0\r\n\r\n"]), {"Transfer_Encoding": "chunked"}, 413),
        ("&".join(f"f{i}=1" for i in range(200)), {}, 400),
        (b"\xff\xfe=%ff", {}, 400),
    ],
)
def test_requests_that_are_no_small_forms_are_refused(ana, body, headers, status):
    assert ana.request("POST", "/label", body, **FORM, **headers)[0] == status


@pytest.mark.parametrize(
    "path",
    [
        "/static/../review.css",
        "/static/%2e%2e/visit.py",
        "/static/visit.py",
        "/static//etc/passwd",
        "/../../etc/passwd",
        "/nothing",
    ],
)
def test_no_address_names_a_file(ana, path):
    status, _, text = ana.request("GET", path)
    assert status == 404
    assert "import" not in text


def test_every_page_forbids_what_it_does_not_use(ana):
    for path in ("/", "/label", "/nothing"):
        headers = ana.request("GET", path)[1]
        assert headers["Content-Security-Policy"].startswith(
            "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self';"
        )
        assert "unsafe" not in headers["Content-Security-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"


def test_no_page_has_inline_code_or_styles(ana):
    for path in ("/", "/label"):
        text = ana.request("GET", path)[2]
        assert not re.search(r"<style|style=|\son\w+=|<script(?! src)", text)


@pytest.mark.parametrize("name", ["", "  ", "x" * 41, "adjudication", "a\x00b", "a\u202eb"])
def test_names_that_are_none_are_refused(server, name):
    client = Client(server).enter(server.link)
    server.next_link()
    status, _, text = client.post("/join", name=name)
    assert status == 422
    assert "A name has 1 to 40 letters" in text


def test_a_name_that_is_taken_must_be_confirmed(server, ana):
    client = Client(server).enter(server.link)
    server.next_link()
    status, _, text = client.post("/join", name="ana")
    assert (status, "Is that you, Ana?" in text) == (200, True)
    assert client.post("/join", name="Ana", same="Ana")[0] == 303
    assert client.item() == ana.item()


def test_the_same_answer_twice_is_stored_once(ana, run):
    item = ana.item()
    for _ in range(2):
        assert ana.post("/label", item=item, action="fail", failed="sound", shown="0")[0] == 303
    assert stored(run, "Ana")[item].failed == ("sound",)
    rows = connect(run.path(FILE)).execute(
        "SELECT count(*) FROM history WHERE item = ? AND answer LIKE '%sound%'", (item,)
    )
    assert rows.fetchone()[0] == 1
    assert ana.item() != item


def test_an_unknown_item_and_an_unknown_action(ana):
    assert ana.post("/label", item="nothing", action="pass")[0] == 409
    status, _, text = ana.post("/label", item=ana.item(), action="nothing", reason="<b>kept</b>")
    assert status == 422
    assert "&lt;b&gt;kept&lt;/b&gt;" in text


def test_browse_opens_when_the_reviewer_has_finished(ana):
    for path in ("/browse", "/browse/row?id=test-1"):
        status, _, text = ana.request("GET", path)
        assert (status, "student" in text) == (403, False)


def test_many_reviewers_at_once_lose_nothing_and_see_nothing_of_each_other(server, run):
    links = [server.link]
    clients = []
    for number in range(6):
        clients.append(Client(server).enter(links[-1], f"many-{number}"))
        links.append(server.next_link())

    def work(number):
        sent = {}
        for turn in range(15):
            item = clients[number].item()
            sent[item] = ("pass", "fail")[(turn + number) % 2]
            assert clients[number].post("/label", item=item, action=sent[item], reason=f"said-by-{number}")[0] == 303
        return sent, clients[number].request("GET", "/label")[2] + clients[number].request("GET", "/")[2]

    with ThreadPoolExecutor(6) as pool:
        done = list(pool.map(work, range(6)))
    for number, (answers, pages) in enumerate(done):
        assert "said-by-" not in pages
        found = stored(run, f"many-{number}")
        assert {item: "pass" if answer.values["overall"] else "fail" for item, answer in found.items()} == answers
        assert len(answers) == 15


def test_after_kill_and_restart_everything_is_there(tmp_path):
    run = math_run(tmp_path, 5)
    with served(run, "--form", "pass") as server:
        client = Client(server).enter(server.link, "Ana")
        for action in ("pass", "cannot-tell", "skip"):
            client.post("/label", item=client.item(), action=action)
        following = client.item()
        server.kill()
        port = server.port
    with served(run, port=port) as server:
        assert client.item() == following
        states = [answer.state for answer in stored(run, "Ana").values()]
        assert sorted(states) == sorted([State.GIVEN, State.CANNOT_TELL, State.SKIPPED])
        assert client.post("/label/undo")[0] == 303
        assert len(stored(run, "Ana")) == 2
        assert client.post("/finish")[0] == 303
        status, _, text = client.post("/label", item=following, action="pass")
        assert (status, "has finished" in text) == (409, True)
        assert "student" in client.request("GET", "/browse")[2]


def test_who_joins_later_is_waited_for(tmp_path):
    run = math_run(tmp_path, 1)
    with served(run, "--form", "pass", "--systems", "student") as server:
        ana = Client(server).enter(server.link)
        assert "No answer was labelled by two reviewers" in ana.request("GET", "/adjudicate")[2]
        ana.post("/join", name="Ana")
        ana.post("/label", item=ana.item(), action="pass")
        ana.post("/finish")
        ben = Client(server).enter(server.next_link(), "Ben")
        ben.post("/label", item=ben.item(), action="fail")
        assert "every reviewer has finished" in ana.request("GET", "/adjudicate")[2]
        ana.post("/finish", name="Ben")
        assert "Disagreement 1 of 1" in ana.request("GET", "/adjudicate")[2]
