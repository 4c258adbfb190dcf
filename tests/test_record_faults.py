"""Clients that go, servers that fail, and more than the proxy may hold: traffic passes as it would without it."""

import json
import socket
import threading
import time
from http.client import HTTPConnection, IncompleteRead, RemoteDisconnected

import pytest

from recorded import CHAT, answer, chunked, delta, events, post, recording, reply, upstream


def test_a_client_that_goes_stops_the_server(tmp_path):
    with (
        upstream(lambda *_: chunked(*events(delta("2+"), done=False), 5.0, b"data: late\n\n")) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            body = json.dumps(CHAT).encode()
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            assert connection.recv(10)
        assert server.gone.wait(2)
        proxy.settled(1)
        assert (proxy.counts, proxy.rows()) == ({"streams that ended early": 1}, [])


def test_a_client_that_goes_before_the_answer_stops_the_server(tmp_path):
    with upstream(lambda *_: [5.0, reply(answer())]) as server, recording(server.url, tmp_path) as proxy:
        with socket.create_connection(("127.0.0.1", proxy.port)) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}")
            time.sleep(0.1)
        assert server.gone.wait(2)
        proxy.settled(1)
        assert proxy.counts == {"given up by the client": 1}


def test_a_client_that_reads_a_stream_to_its_end_and_goes_is_recorded(tmp_path):
    """As the openai client does: it closes the connection when it has read [DONE]."""
    with (
        upstream(lambda *_: [*chunked(*events(delta("4", "stop")), end=False), 5.0]) as server,
        recording(server.url, tmp_path) as proxy,
    ):
        connection = HTTPConnection("127.0.0.1", proxy.port)
        connection.request("POST", "/v1/chat/completions", json.dumps(CHAT))
        response = connection.getresponse()
        got = b""
        while b"[DONE]" not in got:
            got += response.read1()
        response.close()
        connection.close()
        proxy.settled(1)
        assert proxy.proxy.writer.recorded == 1


@pytest.mark.parametrize(("response", "status"), [([None], 502), ([9.0, b""], 504), ([b"nonsense\r\n\r\n", None], 502)])
def test_a_server_that_fails_before_its_answer_is_an_error_of_its_own(tmp_path, response, status):
    with upstream(lambda *_: response) as server, recording(server.url, tmp_path, timeout=1.0) as proxy:
        got, _, _, body = post(proxy.port, CHAT)
        assert (got, json.loads(body)["error"]["type"]) == (status, "proxy_error")
        assert "127.0.0.1" in json.loads(body)["error"]["message"]
        proxy.settled(1)
        assert proxy.counts == {"failed requests": 1}


@pytest.mark.parametrize("ending", [[None], [9.0]])
def test_an_answer_that_is_broken_off_is_broken_off_for_the_client(tmp_path, ending):
    with (
        upstream(lambda *_: [*chunked(*events(delta("2+"), done=False), end=False), *ending]) as server,
        recording(server.url, tmp_path, timeout=1.0) as proxy,
    ):
        with pytest.raises((IncompleteRead, RemoteDisconnected, ConnectionResetError)):
            post(proxy.port, CHAT)
        proxy.settled(1)
        assert proxy.counts == {"broken off by the server": 1}


def test_an_unreachable_server(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with recording(f"http://127.0.0.1:{port}/v1", tmp_path) as proxy:
        assert post(proxy.port, CHAT)[0] == 502


def test_long_bodies_pass_in_both_directions_and_are_not_recorded(tmp_path):
    large = CHAT | {"messages": [{"role": "user", "content": "x" * (9 << 20)}]}
    with upstream(lambda *_: reply(answer("y" * (9 << 20)))) as server, recording(server.url, tmp_path) as proxy:
        assert len(post(proxy.port, large)[3]) > 9 << 20
        assert server.seen[0][1] == json.dumps(large).encode()
        assert len(post(proxy.port, CHAT)[3]) > 9 << 20
        proxy.settled(2)
        assert proxy.counts == {"too long": 2}
        assert proxy.proxy.room.held == 0


def test_what_is_held_is_bounded(tmp_path, monkeypatch):
    """While the log hangs, traffic passes, and what does not fit is lost and counted."""
    wait = threading.Event()
    with upstream(lambda *_: reply(answer("y" * 1000))) as server, recording(server.url, tmp_path) as proxy:
        append = proxy.proxy.writer.log.append
        monkeypatch.setattr(proxy.proxy.writer.log, "append", lambda line: (wait.wait(10), append(line)))
        proxy.proxy.room.limit = 30_000
        for _ in range(10):
            assert post(proxy.port, CHAT)[0] == 200
        assert proxy.proxy.room.held <= 30_000
        wait.set()
        proxy.settled(10)
        lost = proxy.counts["lost, because the log is slower than the traffic"]
        assert 0 < lost < 10
        assert len(proxy.rows()) == 10 - lost
        assert proxy.proxy.room.held == 0
