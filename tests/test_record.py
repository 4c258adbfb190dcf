"""The proxy passes bytes unchanged, whatever they are, and what it records is a log that potstill reads."""

import gzip
import json
import zlib
from collections import Counter
from http.client import HTTPConnection
from itertools import count, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import small
from potstill.data import logs
from potstill.data.files import read_rows
from potstill.errors import RecipeError
from potstill.record.server import parse_address
from recorded import CHAT, answer, chunked, delta, events, post, raw, recording, reply, upstream

HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "via", "host"}


def passed_on(headers):
    return [(name, value) for name, value in headers if name.lower() not in HOP]


def request_of(seen):
    """Method, path, headers and body of a request as a server got it."""
    head, body = seen
    first, *lines = head.decode("latin-1").strip().split("\r\n")
    headers = [tuple(line.split(": ", 1)) if ": " in line else (line.rstrip(":"), "") for line in lines]
    return first.rsplit(" ", 1)[0], passed_on(headers), body


TOKEN = st.text("abcXYZ019-_", min_size=1, max_size=12).map(lambda name: f"X-{name}")
VALUE = st.text("abc XYZ=;,/\"'()%{}~!", max_size=30).map(str.strip)
HEADERS = st.lists(st.tuples(TOKEN, VALUE), max_size=6)
BODY = st.binary(max_size=3000)
PATH = st.text("abcZ09-._~!$&'()*+,;=:@%/?", max_size=30).map(lambda path: f"/v1/{path}")
PATH = PATH.filter(lambda path: path.find("?") != len(path) - 1)  # an empty query is not told from none
SERVED, PORTS = {}, count()


@pytest.fixture(scope="module")
def anything(tmp_path_factory):
    """A server that sends what ``SERVED["response"]`` is, and the proxy in front of it."""
    with (
        upstream(lambda head, body: SERVED["response"]) as server,
        recording(server.url, tmp_path_factory.mktemp("log")) as proxy,
    ):
        yield server, proxy


@settings(max_examples=60)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND"]), path=PATH, sent=HEADERS,
    body=BODY, in_chunks=st.booleans(), status=st.sampled_from(["200 OK", "201 Made", "404 Not Here", "429 Slow Down", "500 Oh", "204 No"]),
    got=HEADERS, answered=BODY, cuts=st.lists(st.integers(1, 900), max_size=4), framing=st.sampled_from(["length", "chunked"]),
)  # fmt: skip
def test_requests_and_answers_pass_unchanged(
    anything, method, path, sent, body, in_chunks, status, got, answered, cuts, framing
):
    server, proxy = anything
    empty = method == "HEAD" or status.startswith("204")
    head = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in got)]
    if empty:
        pieces = ["\r\n".join([*head, "", ""]).encode()]
    elif framing == "length":
        pieces = ["\r\n".join([*head, f"Content-Length: {len(answered)}", "", ""]).encode() + answered]
    else:
        places = [0, *sorted(cut % (len(answered) + 1) for cut in cuts), len(answered)]
        parts = [answered[a:b] for a, b in pairwise(places)]
        pieces = ["\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode()]
        pieces += [b"%x\r\n%b\r\n" % (len(part), part) for part in parts if part] + [b"0\r\n\r\n"]
    SERVED["response"] = pieces

    def ask(port):
        connection = HTTPConnection("127.0.0.1", port, timeout=10)
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in sent:
            connection.putheader(name, value)
        has_body = method in ("POST", "PUT", "PATCH")
        if has_body and in_chunks:
            connection.putheader("Transfer-Encoding", "chunked")
            connection.endheaders(iter([body[:7], body[7:]]) if body else iter([]), encode_chunked=True)
        elif has_body:
            connection.putheader("Content-Length", str(len(body)))
            connection.endheaders(body)
        else:
            connection.endheaders()
        response = connection.getresponse()
        told = response.status, response.reason, passed_on(response.getheaders()), response.read()
        connection.close()
        return told, request_of(server.seen[-1])

    assert ask(proxy.port) == ask(server.port)


def compressed(body, how):
    return gzip.compress(body) if how == "gzip" else zlib.compress(body)


@pytest.mark.parametrize("how", ["gzip", "deflate"])
def test_compressed_answers_pass_compressed_and_are_recorded(tmp_path, how):
    packed = compressed(json.dumps(answer("vier")).encode(), how)
    with (
        upstream(lambda *_: reply(packed, "200 OK", f"Content-Encoding: {how}")) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        assert post(proxy.port, CHAT)[3] == packed
        proxy.settled(1)
        assert proxy.rows()[0]["response"]["choices"][0]["message"]["content"] == "vier"


def test_an_answer_in_an_unknown_compression_is_counted(tmp_path):
    with (
        upstream(lambda *_: reply(b"\x8b\x02", "200 OK", "Content-Encoding: br")) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        assert post(proxy.port, CHAT)[3] == b"\x8b\x02"
        proxy.settled(1)
        assert proxy.counts == {"compressed in an unknown way": 1}


def test_a_stream_arrives_as_it_is_written(tmp_path):
    first, *rest = events(delta("2+2 "), delta("is "), delta("4.", "stop"))
    with (
        upstream(lambda *_: chunked(first, 0.3, b"".join(rest))) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        connection = HTTPConnection("127.0.0.1", proxy.port)
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT | {"stream": True}))
        response = connection.getresponse()
        assert response.read1() == first
        assert first + response.read() == b"".join([first, *rest])
        proxy.settled(1)
        assert proxy.rows()[0]["response"]["choices"] == [
            {"message": {"role": "assistant", "content": "2+2 is 4."}, "finish_reason": "stop"}
        ]
        connection.close()


def test_the_official_client_notices_nothing(tmp_path):
    """Whole answers, streams, which it closes when it has read [DONE], and errors."""
    openai = pytest.importorskip("openai")

    def respond(head, body):
        asked = json.loads(body)
        if asked["messages"][0]["content"] == "fail":
            return reply(
                {"error": {"message": "slower", "code": "rate_limit"}}, "429 Too Many Requests", "x-request-id: r1"
            )
        return (
            chunked(*events(delta("2+2 "), delta("is 4."), delta(finish="stop")))
            if asked.get("stream")
            else reply(answer("four"))
        )

    with upstream(respond) as server, recording(server.url, tmp_path) as proxy:
        with openai.OpenAI(base_url=f"{proxy.url}/v1", api_key="sk-test-0123456789abcdef", max_retries=0) as client:

            def ask(text, **options):
                return client.chat.completions.create(
                    model="big", messages=[{"role": "user", "content": text}], **options
                )

            assert ask("a").choices[0].message.content == "four"
            assert "".join(part.choices[0].delta.content or "" for part in ask("b", stream=True)) == "2+2 is 4."
            with pytest.raises(openai.RateLimitError, match="slower") as failed:
                ask("fail")
            assert failed.value.request_id == "r1"
        proxy.settled(3)
        found = [row["response"]["choices"][0]["message"]["content"] for row in proxy.rows()]
        assert (found, proxy.counts) == (["four", "2+2 is 4."], {"failed requests": 1})


MESSAGES = [
    {"type": "message_start", "message": {"id": "m", "model": "claude", "content": [], "usage": {"input_tokens": 9}}},
    {"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}},
    {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "sum"}},
    {"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "jo@exa"}},
    {"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "mple.com"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"output_tokens": 4}},
    {"type": "message_stop"},
]
RESPONSES = [
    {"type": "response.created", "response": {"id": "r", "status": "in_progress", "output": []}},
    {"type": "response.output_text.delta", "delta": "jo@example.com"},
    {"type": "response.completed", "response": {
        "id": "r", "model": "gpt", "status": "completed", "usage": {"input_tokens": 9, "output_tokens": 4},
        "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "jo@example.com"}]}]}},
]  # fmt: skip
TEXTS = [
    {"id": "t", "model": "old", "choices": [{"index": 0, "text": "jo@example", "finish_reason": None}]},
    {"id": "t", "model": "old", "choices": [{"index": 0, "text": ".com", "finish_reason": "stop"}]},
]


@pytest.mark.parametrize(("path", "body", "streamed"), [
    ("chat/completions", CHAT, events(delta("jo@exam"), delta("ple.com", "stop"))),
    ("messages", {"model": "claude", "system": "Be brief.", "messages": CHAT["messages"]}, events(*MESSAGES, done=False)),
    ("responses", {"model": "gpt", "instructions": "Be brief.", "input": "What is 2+2?"}, events(*RESPONSES, done=False)),
    ("completions", {"model": "old", "prompt": "What is 2+2?"}, events(*TEXTS)),
])  # fmt: skip
def test_streams_of_all_apis_are_assembled_and_redacted(tmp_path, path, body, streamed):
    with (
        upstream(lambda *_: chunked(*streamed)) as server,
        recording(server.url, tmp_path, ["email"]) as proxy,
    ):
        assert post(proxy.port, body | {"stream": True}, f"/v1/{path}")[3] == b"".join(streamed)
        proxy.settled(1)
        [(_, logged)] = logs.parse(read_rows(tmp_path), Counter())
        assert (logged.messages[-1], logged.text) == (CHAT["messages"][0], "[EMAIL]")
        assert b"jo@" not in b"".join(file.read_bytes() for file in tmp_path.glob("*.jsonl"))


def test_what_is_recorded_is_what_the_reader_of_logs_takes(tmp_path):
    answers = [
        answer("4"), answer("five", "length"), answer("6", reasoning_content="three and three"), answer("", refusal="I will not."),
        answer("ünï\u2028\U0001f600 \u0000 \\ \""),
    ]  # fmt: skip
    left = list(answers)
    with upstream(lambda *_: reply(left.pop(0))) as server, recording(server.url, tmp_path) as proxy:
        for _ in answers:
            assert post(proxy.port, CHAT)[0] == 200
        proxy.settled(len(answers))
    found = [logged for _, logged in logs.parse(read_rows(tmp_path), Counter())]
    direct = [
        one for body in answers for _, one in logs.parse(iter([("", {"request": CHAT, "response": body})]), Counter())
    ]
    assert [(one.messages, one.text, one.reasoning, one.finish_reason, one.prompt_tokens) for one in found] == [
        (one.messages, one.text, one.reasoning, one.finish_reason, one.prompt_tokens) for one in direct
    ]


TOOL = {
    "role": "assistant",
    "content": None,
    "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
}
IMAGE = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}]


@pytest.mark.parametrize(("body", "response", "reason"), [
    (CHAT, reply(answer(None, "tool_calls", tool_calls=TOOL["tool_calls"])), "tool calls"),
    (CHAT, list(chunked(*events(delta(tool_calls=TOOL["tool_calls"]), delta(finish="tool_calls")))), "tool calls"),
    (CHAT | {"messages": [*CHAT["messages"], TOOL, {"role": "tool", "content": "4"}]}, reply(answer()), "tool calls"),
    (CHAT | {"messages": IMAGE}, reply(answer()), "images or files"),
    (CHAT, reply({"error": {"message": "no"}}, "400 Bad Request"), "failed requests"),
    (CHAT, reply({"error": {"message": "no"}}), "failed requests"),
    ({"model": "e", "input": "text"}, reply({"data": [{"embedding": [0.1]}]}), "embeddings"),
    ({"documents": []}, reply({"results": []}), "not a chat"),
    (CHAT, reply(b"{"), "unreadable bodies"),
    (CHAT, list(chunked(*events(delta("2+"), done=False))), "streams that ended early"),
    (CHAT, list(chunked(*events({"error": {"message": "overloaded"}}))), "failed requests"),
    ({"model": "old", "prompt": [1, 2]}, reply({"choices": [{"text": "x", "finish_reason": "stop"}]}), "not a chat"),
])  # fmt: skip
def test_what_cannot_be_recorded_passes_and_is_counted(tmp_path, body, response, reason):
    with upstream(lambda *_: response) as server, recording(server.url, tmp_path) as proxy:
        direct = post(server.port, body)
        assert post(proxy.port, body)[3] == direct[3]
        proxy.settled(1)
        assert (proxy.counts, proxy.rows()) == ({reason: 1}, [])


def test_keys_are_never_written(tmp_path):
    key, other = "sk-proj-abcDEF123456789xyz", "0f9e8d7c6b5a"
    body = CHAT | {
        "user": "u",
        "api_key": other,
        "messages": [{"role": "user", "content": f"Is {key} or {other} or plainsecret mine?"}],
    }
    headers = {"Authorization": f"Bearer {key}", "api-key": other, "X-Goog-Api-Key": "plainsecret"}
    with (
        upstream(lambda *_: reply(answer(f"{key}, {other}, ghp_{'a' * 36}") | {"id": other, "model": key})) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        assert key.encode() in post(proxy.port, body, f"/v1/chat/completions?key={other}", headers=headers)[3]
        head, got = server.seen[0]
        assert all(secret.encode() in head for secret in (key, other, "plainsecret"))
        assert got == json.dumps(body).encode()
        proxy.settled(1)
        written = proxy.rows()[0]
    assert written["messages"][0]["content"] == "Is [KEY] or [KEY] or [KEY] mine?"
    assert written["response"]["choices"][0]["message"]["content"] == "[KEY], [KEY], [KEY]"
    text = "".join(file.read_text() for file in tmp_path.glob("*.jsonl"))
    assert not any(secret in text for secret in (key, other, "plainsecret", "ghp_", "Bearer"))


def test_own_patterns_redact(tmp_path):
    with (
        upstream(lambda *_: reply(answer("Ask ACME-77 or jo@example.com"))) as server,
        recording(server.url, tmp_path, ["email"], {"customer": r"ACME-\d+"}) as proxy,
    ):
        post(proxy.port, CHAT)
        proxy.settled(1)
        assert proxy.rows()[0]["response"]["choices"][0]["message"]["content"] == "Ask [CUSTOMER] or [EMAIL]"
        assert "redacted: 1 customer, 1 email" in proxy.summary


@pytest.mark.parametrize(("to", "path", "sent"), [
    ("/v1", "/v1/models", "/v1/models"), ("", "/any/path?a=1", "/any/path?a=1"), ("", "/v1/x", "/v1/x"),
    ("/openai/deployments/d?api-version=1", "/v1/chat/completions?b=%2F", "/openai/deployments/d/chat/completions?b=%2F&api-version=1"),
    ("/v1/", "/v1", "/v1"), ("/v1", "/v1/a%2Fb//c/../d?x", "/v1/a%2Fb//c/../d?x"),
])  # fmt: skip
def test_paths(tmp_path, to, path, sent):
    with upstream(lambda *_: reply({})) as server, recording(server.url.removesuffix("/v1") + to, tmp_path) as proxy:
        assert post(proxy.port, None, path, "GET")[0] == 200
        assert server.seen[0][0].decode().split()[1] == sent


def test_other_paths_and_forms_of_requests_are_refused(tmp_path):
    with upstream(lambda *_: reply({})) as server, recording(server.url, tmp_path) as proxy:
        assert post(proxy.port, None, "/metrics", "GET")[0] == 404
        assert post(proxy.port, None, "/v10/x", "GET")[0] == 404
        assert raw(
            proxy.port, b"GET http://example.com/v1/x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        ).startswith(b"HTTP/1.1 404")
        upgrade = b"GET /v1/realtime HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        assert raw(proxy.port, upgrade, 1).startswith(b"HTTP/1.1 501")
        assert raw(proxy.port, b"\x16\x03\x01nonsense\r\n\r\n", 1).startswith(b"HTTP/1.0 400")
        assert not server.seen


def test_a_loop_is_found_by_its_first_request(tmp_path):
    with (
        recording("http://127.0.0.1:9/v1", tmp_path / "a") as first,
        recording(first.url + "/v1", tmp_path / "b") as second,
    ):
        first.proxy.to = parse_address(second.url + "/v1")
        status, _, _, body = post(first.port, CHAT)
        assert (status, first.proxy.passed, second.proxy.passed) == (508, 2, 1)
        assert b"come back" in body


def test_connections_to_the_server_are_used_again(tmp_path):
    with upstream(lambda *_: reply(answer())) as server, recording(server.url, tmp_path) as proxy:
        for _ in range(5):
            post(proxy.port, CHAT)
        assert len(server.seen) == 5
        [connector] = [proxy.proxy.session.connector]
        assert sum(map(len, connector._conns.values())) == 1


@pytest.mark.parametrize(
    "to",
    ["example.com/v1", "ftp://x/v1", "http://", "http://x:99999/v1", "http://u:p@x/v1", "http://x/v1/chat/completions"],
)
def test_an_address_that_is_none_is_refused(to):
    with pytest.raises(RecipeError, match="--to"):
        parse_address(to)
    assert "u:p" not in str(RecipeError(to[:0]))


def test_init_and_preview_read_what_was_recorded(tmp_path, tiny_folder):
    """From the bill to training data: a recipe out of a recorded log, and its prompts."""
    words = [f"Word {i}?" for i in range(60)]
    with (
        upstream(
            lambda head, body: reply(answer(f"It is a word: {json.loads(body)['messages'][0]['content']} Yes."))
        ) as server,
        recording(server.url, tmp_path / "logs") as proxy,
    ):
        for word in words:
            post(proxy.port, CHAT | {"messages": [{"role": "user", "content": word}]})
        proxy.settled(len(words))
    made = small.potstill(
        "init", "logs", "--name", "mine", "--student", tiny_folder, "--teacher", tiny_folder, cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr
    assert "source: logs" in (tmp_path / "mine.yaml").read_text()
    shown = small.potstill("preview", "mine.yaml", "-n", "2", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert sum(word in shown.stdout for word in words) >= 2
