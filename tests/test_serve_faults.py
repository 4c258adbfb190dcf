"""What a server does when something goes wrong: clients that leave, engines that die, ports that are taken."""

import json
import os
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import openai
import psutil
import pytest

import served
import small

LONG = {"model": "one", "messages": [{"role": "user", "content": "q"}], "max_tokens": 1500, "stream": True}


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    served.tiny_weights(folder / "hf", folder / "tiny.gguf")
    return folder


@pytest.fixture(scope="module")
def endless(tmp_path_factory):
    folder = tmp_path_factory.mktemp("endless")
    served.endless_weights(folder / "hf", folder / "endless.gguf")
    return folder


@pytest.fixture
def slow(endless, tmp_path):
    """The folder of a run whose student takes its time."""
    served.run_with_student(tmp_path, endless / "hf", endless / "endless.gguf")
    return tmp_path


@pytest.fixture
def runs(weights, tmp_path):
    served.run_with_student(tmp_path, weights / "hf", weights / "tiny.gguf")
    return tmp_path


def begin(server, body=LONG):
    """A raw connection on which an answer has begun to come."""
    host, port = server.address.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)))
    data = json.dumps(body).encode()
    head = f"POST /v1/chat/completions HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
    connection.sendall(head.encode() + data)
    received = b""
    while b'"content"' not in received:
        received += connection.recv(4096)
    return connection


def engines():
    """The llama.cpp servers that descend from this process's commands."""
    return [
        one for one in psutil.process_iter(["cmdline", "environ"])
        if "llama_server.py" in "".join((one.info["cmdline"] or [])[:2])
        and (one.info["environ"] or {}).get("SERVED_BY_TEST") == str(os.getpid())
    ]  # fmt: skip


@pytest.fixture(autouse=True)
def _owned(monkeypatch):
    monkeypatch.setenv("SERVED_BY_TEST", str(os.getpid()))


def test_a_client_that_leaves_in_mid_stream_frees_its_place_and_the_engine(slow):
    with served.Server(slow, "--concurrency", 1) as server:
        connection = begin(server)
        connection.close()
        began = time.monotonic()
        answer = server.client().chat.completions.create(model="one", messages=LONG["messages"], max_tokens=2)
        assert answer.usage.completion_tokens == 2
        assert time.monotonic() - began < 5
        metrics = server.metrics()
        assert metrics['potstill_requests_total{status="client gone"}'] == 1
        assert metrics["potstill_requests_in_flight"] == 0
        assert metrics["potstill_completion_tokens_total"] == 2, "an answer that nobody got is not counted"


def test_more_than_may_wait_is_refused_with_a_time(slow):
    with served.Server(slow, "--concurrency", 1, "--waiting", 0) as server:
        connection = begin(server)
        status, body, headers = server.post({**LONG, "stream": False})
        assert status == 429
        assert body["error"]["code"] == "rate_limit_exceeded"
        assert int(headers["Retry-After"]) >= 1
        connection.close()
        assert served.eventually(lambda: server.post({**LONG, "stream": False, "max_tokens": 1})[0] == 200)


def test_sigterm_in_mid_stream_finishes_the_answer(slow):
    with served.Server(slow) as server:
        chunks = server.client().chat.completions.create(**{**LONG, "max_tokens": 300})
        first = next(chunks)
        server.command.send_signal(signal.SIGTERM)
        rest = list(chunks)
        assert first.choices[0].delta.role == "assistant"
        assert rest[-1].choices[0].finish_reason in ("stop", "length")
        assert server.end(None) == 0
        assert not engines()


def test_answers_that_take_longer_than_the_grace_are_cut_off(slow):
    with served.Server(slow, "--concurrency", 6, "--grace", 1) as server:
        connections = [begin(server, {**LONG, "max_tokens": 2000}) for _ in range(6)]
        server.command.send_signal(signal.SIGTERM)
        assert server.end(None) == 0
        assert not engines()
        received = []
        for connection in connections:
            blocks = b""
            with suppress(ConnectionError):
                while block := connection.recv(65536):
                    blocks += block
            received.append(blocks)
        assert not all(b"[DONE]" in blocks for blocks in received)


def test_an_engine_that_is_killed_ends_the_server_with_the_reason(slow):
    with served.Server(slow) as server:
        connection = begin(server)
        (engine,) = engines()
        engine.send_signal(signal.SIGKILL)
        received = b""
        while block := connection.recv(65536):
            received += block
        assert b'"error"' in received
        assert b"engine" in received
        assert server.end(None) == 1
        assert "llama.cpp server exited unexpectedly (signal 9)" in server.errors()


def test_a_killed_server_leaves_no_engine_behind(runs):
    with served.Server(runs) as server:
        started = engines()
        assert started
        server.command.send_signal(signal.SIGKILL)
        server.end(None)
        _, alive = psutil.wait_procs(started, timeout=15)
        assert not alive


def test_two_servers_of_one_run_at_once(runs):
    with served.Server(runs) as one, served.Server(runs) as other:
        assert one.address != other.address
        for server in (one, other):
            assert server.post({"messages": LONG["messages"]})[0] == 200


def test_a_port_that_is_taken(runs):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = small.potstill("serve", "one", "--runs", runs, "--port", port, cwd=runs)
    assert done.returncode == 1
    assert f"Port {port} is taken" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_key(runs):
    with served.Server(runs, "--api-key-env", "SERVED_KEY", env={"SERVED_KEY": "s3cret"}) as server:
        assert server.client("s3cret").chat.completions.create(model="one", messages=LONG["messages"])
        with pytest.raises(openai.AuthenticationError) as refused:
            server.client("wrong").chat.completions.create(model="one", messages=LONG["messages"])
        assert refused.value.code == "invalid_api_key"
        assert server.post({"messages": LONG["messages"]})[0] == 401
        assert server.metrics(), "needs no key"
        command = next(line for line in server.lines if "curl" in line)
        assert "$SERVED_KEY" in command
        assert "s3cret" not in "".join(server.lines) + server.errors()
    done = small.potstill("serve", "one", "--runs", runs, "--api-key-env", "NOT_SET", cwd=runs)
    assert done.returncode == 2
    assert "NOT_SET" in done.stderr


def test_a_run_without_a_student(runs):
    manifest = runs / "one" / "manifest.json"
    manifest.write_text(json.dumps({"id": "one", "stages": {}}))
    done = small.potstill("serve", "one", "--runs", runs, cwd=runs)
    assert done.returncode == 2
    assert "has no student yet" in done.stderr
    assert "potstill run" in done.stderr


def test_weights_that_are_missing(runs):
    (runs / "one" / "student" / "model.safetensors").unlink()
    done = small.potstill("serve", "one", "--runs", runs, cwd=runs)
    assert done.returncode == 2
    assert "weights of the student are missing" in done.stderr


def test_a_student_that_would_be_asked_otherwise_than_it_was_trained(runs):
    template = runs / "one" / "student" / "chat_template.jinja"
    template.write_text(template.read_text() + "!")
    done = small.potstill("serve", "one", "--runs", runs, cwd=runs)
    assert done.returncode == 1
    assert "another form than it was trained on" in done.stderr


def test_memory_that_does_not_suffice_is_said_before_loading(weights, tmp_path):
    large = tmp_path / "large"
    shutil.copytree(weights / "hf", large)
    config = json.loads((large / "config.json").read_text())
    (large / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 10**6}))
    served.run_with_student(tmp_path, large, weights / "tiny.gguf")
    done = small.potstill("serve", "one", "--runs", tmp_path, cwd=tmp_path)
    assert done.returncode == 1, done.stderr
    assert "GB of memory" in done.stderr
    assert "--concurrency" in done.stderr
    assert "starting the server" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--context", "999999"], "takes 2048 tokens at most"),
        (["--form", "onnx"], "onnx"),
        (["--host", "192.0.2.1"], "Cannot listen at 192.0.2.1"),
        (["--shadow", "0.5"], "would run in this process"),
    ],
)
def test_options_that_cannot_be(runs, arguments, words):
    done = small.potstill("serve", "one", "--runs", runs, "--port", "0", *arguments, cwd=runs)
    assert done.returncode == 2
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_many_clients_at_once_all_get_their_own_answer(runs):
    with served.Server(runs, "--concurrency", 4) as server, ThreadPoolExecutor(16) as pool:
        texts = [f"What is {i} + {i}?" for i in range(32)]

        def ask(text):
            body = {"messages": [{"role": "user", "content": text}], "max_tokens": 8}
            return server.post(body)[1]["choices"][0]["message"]["content"]

        assert list(pool.map(ask, texts)) == [ask(text) for text in texts]
