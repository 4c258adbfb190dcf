"""Streams of `potstill serve --fallback`: the teacher's answer is passed on as it arrives, by a real server to OpenAI's own client."""

import json
import socket
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import openai
import pytest

import served
from evaluated import example
from potstill.models import markup, reasoning
from potstill.models.arriving import settled
from potstill.workspace import artifacts
from potstill.workspace.digests import Part

QUESTION = [{"role": "user", "content": "What is 3 + 4?"}]
USAGE = {"prompt_tokens": 30, "completion_tokens": 9, "total_tokens": 39, "prompt_tokens_details": {"cached_tokens": 4}}
PATIENCE = 30
"""Seconds after which a test that waits has failed."""


def event(delta, finish=None):
    choice = {"index": 0, "delta": delta, "finish_reason": finish}
    return b"data: " + json.dumps({"object": "chat.completion.chunk", "choices": [choice]}).encode() + b"\n\n"


END = event({}, "stop") + b"data: " + json.dumps({"choices": [], "usage": USAGE}).encode() + b"\n\ndata: [DONE]\n\n"


class Upstream:
    """A teacher's server: ``stream(write, connection)`` writes a streamed answer, ``whole`` another one, which is ``text`` where it is None."""

    def __init__(self):
        self.bodies, self.headers, self.text = [], [], ""
        self.stream, self.whole = lambda write, connection: None, None
        upstream = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                upstream.bodies.append(body)
                upstream.headers.append(self.headers)
                self.send_response(200)
                self.send_header("Content-Type", "text/event-stream" if body.get("stream") else "application/json")
                self.end_headers()
                if body.get("stream"):
                    upstream.stream(self.write, self.connection)
                elif upstream.whole:
                    upstream.whole(self.write, self.connection)
                else:
                    message = {"role": "assistant", "content": upstream.text}
                    choice = {"message": message, "finish_reason": "stop"}
                    self.write(json.dumps({"choices": [choice], "usage": USAGE}).encode())

            def write(self, data):
                self.wfile.write(data)
                self.wfile.flush()

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # connections that are broken off on purpose
        self.url = f"http://127.0.0.1:{self.server.server_port}/v1"

    def says(self, text, size=1):
        """Answer with a text, so many characters a piece."""
        self.text = text
        pieces = [text[i : i + size] for i in range(0, len(text), size)]
        self.stream = lambda write, _: [write(event({"content": one})) for one in pieces] and write(END)


@pytest.fixture(scope="module")
def upstream():
    found = Upstream()
    threading.Thread(target=found.server.serve_forever, daemon=True).start()
    yield found
    found.server.shutdown()
    found.server.server_close()


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A run with a threshold that no answer of the student reaches."""
    folder, runs = tmp_path_factory.mktemp("weights"), tmp_path_factory.mktemp("runs")
    served.tiny_weights(folder / "hf", folder / "tiny.gguf")
    rows = [example("a", split="train", question="What is 2 + 3?")]
    more = "evaluate: {systems: [student, teacher-cot]}"
    run = served.run_with_student(runs, folder / "hf", folder / "tiny.gguf", rows=rows, more=more)
    chosen = {"signal": "mean", "threshold": 1.0, "samples": 0}
    cascade = {"weights": run.digest(Part(artifacts.STUDENT)), "state": "confirmed", "teacher": "teacher-cot"}
    run.write_json(artifacts.CASCADE, cascade | {"chosen": chosen, "lines": []})
    return runs


@contextmanager
def serving(runs, upstream, timeout=PATIENCE, more=""):
    given = f"{{url: '{upstream.url}', model: t{more}}}"
    arguments = ("--concurrency", 2, "--fallback", given, "--fallback-timeout", timeout)
    with served.Server(runs, *arguments) as running:
        yield running


@pytest.fixture(scope="module")
def server(runs, upstream):
    with serving(runs, upstream) as running:
        yield running


def streamed(server, **options):
    return server.client().chat.completions.create(model="one", messages=QUESTION, stream=True, **options)


def text_of(chunks):
    return "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)


def listen(stream, heard, chunks):
    """Read a stream to its end into ``chunks``, and say when its first text has come."""
    for chunk in stream:
        chunks.append(chunk)
        if text_of(chunks):
            heard.set()


def test_a_piece_reaches_the_client_before_the_next_one_is_sent(server, upstream):
    heard, order = threading.Event(), []

    def stream(write, _):
        write(event({"role": "assistant"}) + event({"content": "3 + 4"}))
        heard.wait(PATIENCE)
        order.append("rest sent")
        write(event({"content": " is 7.\nAnswer: 7"}) + END)

    upstream.stream = stream
    with server.client().chat.completions.with_streaming_response.create(
        model="one", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    ) as response:
        assert response.headers["x-potstill-answered-by"] == "teacher"
        chunks = []
        for chunk in response.parse():
            chunks.append(chunk)
            if text_of(chunks) and not heard.is_set():
                order.append(text_of(chunks))
                heard.set()
    assert order == ["3 + 4", "rest sent"]
    assert text_of(chunks) == "3 + 4 is 7.\nAnswer: 7"
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage.model_dump(exclude_none=True) == USAGE
    body = upstream.bodies[-1]
    assert body["stream_options"] == {"include_usage": True}
    assert "Solve the problem" in body["messages"][-1]["content"], "the teacher's own prompt"


TEXTS = [
    "7",
    "  Ein Prüfstück: ½ < ¾ \U0001f600\n",
    "<think>3 and 4 make 7.</think>\n\nAnswer: 7",
    "Here's my thought process: 3 and 4.\nHere's my response: 7",
    "Here is the answer: 7",
    "analysis of it: 3 + 4 = 7",
    "<|channel|>analysis<|message|>7<|end|><|start|>assistant<|channel|>final<|message|>It is 7.<|return|>",
    "Answer: 7<|im_end|>\n<|im_start|>user\nAnd 8?",
    "a[1] < a[2] and [INST] is a mark </s>",
    "Answer: 7\n\n",
]


@pytest.mark.parametrize("text", TEXTS)
def test_a_stream_is_the_answer_that_comes_at_once(server, upstream, text):
    upstream.says(text)
    whole = server.client().chat.completions.create(model="one", messages=QUESTION)
    assert text_of(streamed(server)) == whole.choices[0].message.content
    stops = {"stop": ["er: 7", "zzz"]}
    whole = server.client().chat.completions.create(model="one", messages=QUESTION, **stops)
    assert text_of(streamed(server, **stops)) == whole.choices[0].message.content


@pytest.mark.parametrize("text", TEXTS)
def test_what_was_passed_on_is_never_taken_back(text):
    answer = markup.without_turns(reasoning.split(text)[1])[0]
    for i in range(len(text) + 1):
        assert answer.startswith(settled(text[:i]))


def test_a_long_answer_is_not_held_back_for_its_brackets():
    text = "items[0] is less than <b>one</b>. " * 40
    assert len(settled(text)) > len(text) - 250


def test_a_teacher_that_breaks_off_ends_the_stream_with_an_error(server, upstream):
    heard = threading.Event()

    def stream(write, connection):
        write(event({"content": "3 + 4"}))
        heard.wait(PATIENCE)
        connection.shutdown(socket.SHUT_RDWR)

    upstream.stream = stream
    before, asked, chunks = server.metrics(), len(upstream.bodies), []
    with pytest.raises(openai.APIError, match="broke it off"):
        listen(streamed(server), heard, chunks)
    assert text_of(chunks) == "3 + 4"
    assert len(upstream.bodies) == asked + 1, "it is not asked again once a part has arrived"
    after = server.metrics()
    assert after['potstill_requests_total{status="502"}'] == before.get('potstill_requests_total{status="502"}', 0) + 1
    by_teacher = 'potstill_answers_total{by="teacher"}'
    assert after[by_teacher] == before[by_teacher], "it is no answer"


@pytest.mark.parametrize("broken", [b"", b"data: {\n\n", b'data: {"error": {"message": "no GPU is left"}}\n\n'])
def test_one_that_breaks_off_before_its_first_part_leaves_the_students_answer(server, upstream, broken):
    upstream.stream = lambda write, _: write(broken)
    with server.client().chat.completions.with_streaming_response.create(
        model="one", messages=QUESTION, stream=True
    ) as response:
        assert response.headers["x-potstill-answered-by"] == "student (fallback failed)"
        chunks = list(response.parse())
    assert text_of(chunks)
    assert chunks[-1].choices[0].finish_reason in ("stop", "length")


def test_a_client_that_leaves_ends_the_request_to_the_teacher(server, upstream):
    left = threading.Event()

    def stream(write, connection):
        write(event({"content": "3 + 4"}))
        connection.settimeout(PATIENCE)
        if connection.recv(1) == b"":
            left.set()

    upstream.stream = stream
    chunks = streamed(server)
    while not text_of([next(chunks)]):
        pass
    chunks.response.close()
    assert left.wait(PATIENCE)
    assert served.eventually(lambda: server.metrics()["potstill_requests_in_flight"] == 0)


def test_reasoning_that_came_as_the_answer_ends_the_stream_and_is_said(server, upstream):
    heard = threading.Event()

    def stream(write, _):
        write(event({"content": "3 and 4 make 7."}))
        heard.wait(PATIENCE)
        write(event({"content": " </think>\n\nAnswer: 7"}) + END)

    upstream.stream = stream
    with pytest.raises(openai.APIError, match="not what began to arrive"):
        listen(streamed(server), heard, [])
    assert "thinking_tokens" in server.errors()


def test_of_a_teacher_that_reasons_only_the_whole_answer_is_passed_on(runs, upstream):
    upstream.says("3 and 4 make 7. </think>\n\nAnswer: 7", size=4)
    with serving(runs, upstream, more=", thinking_tokens: 100") as running:
        assert text_of(streamed(running)) == "Answer: 7"


def test_a_teacher_that_hangs(runs, upstream):
    """Before its first part the student's answer takes its place; later the stream ends with an error."""
    over = threading.Event()
    with serving(runs, upstream, timeout=0.3) as running:
        upstream.stream = lambda write, _: over.wait(PATIENCE)
        assert text_of(streamed(running))
        assert running.metrics()['potstill_answers_total{by="student (fallback failed)"}'] == 1
        upstream.stream = lambda write, _: (write(event({"content": "3 + 4"})), over.wait(PATIENCE))
        with pytest.raises(openai.APIError, match="broke it off"):
            list(streamed(running))
        over.set()


def test_a_teacher_that_hangs_or_resets_a_whole_answer(runs, upstream):
    over = threading.Event()
    with serving(runs, upstream, timeout=0.3) as running:
        for whole in (lambda *_: over.wait(PATIENCE), lambda _, connection: connection.shutdown(socket.SHUT_RDWR)):
            upstream.whole = whole
            status, body, headers = running.post({"messages": QUESTION})
            assert (status, headers["x-potstill-answered-by"]) == (200, "student (fallback failed)")
            assert body["choices"][0]["message"]["content"]
        over.set()
        errors = running.errors()
    upstream.whole = None
    assert "fallback: timeout" in errors
    assert errors.count("fallback: ") == 2
    assert "Traceback" not in errors


def test_a_fallback_that_leads_back_to_the_server_is_no_endless_loop(server, upstream):
    """As where a proxy in between forwards to it."""

    def forward(write, _):
        body, headers = upstream.bodies[-1], {"Via": upstream.headers[-1]["Via"]}
        body["model"] = "one"
        status, answer, _ = server.post(body, **headers)
        statuses.append(status)
        write(json.dumps(answer).encode())

    statuses, before = [], len(upstream.bodies)
    upstream.whole = forward
    _, _, headers = server.post({"messages": QUESTION})
    upstream.whole = None
    assert headers["x-potstill-answered-by"] == "student (fallback failed)"
    assert set(statuses) == {508}
    assert len(upstream.bodies) - before <= 2, "it is asked twice at most"
    assert "leads back to it" in server.errors()
