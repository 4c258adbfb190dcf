"""The log survives full disks, killed recorders and other recorders, and the traffic does not notice."""

import errno
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections import Counter

import pytest

import small
from potstill.data import logs
from potstill.data.files import read_rows
from potstill.record.log import Log
from recorded import CHAT, answer, post, raw, recording, reply, upstream

ROW = b'{"recorded":"2026-01-01","messages":[{"role":"user","content":"a"}],"response":{"choices":[{"message":{"content":"b"}}]}}\n'


def contents(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.jsonl"))}


def read(folder):
    return [one.text for _, one in logs.parse(read_rows(folder), Counter())]


def test_files_are_rotated_and_only_their_owner_reads_them(tmp_path):
    log = Log(tmp_path, max_bytes=2 * len(ROW))
    for _ in range(5):
        log.append(ROW)
    log.close()
    assert contents(tmp_path) == {
        "recorded-000001.jsonl": 2 * ROW,
        "recorded-000002.jsonl": 2 * ROW,
        "recorded-000003.jsonl": ROW,
    }
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("*.jsonl")} == {0o600}
    assert read(tmp_path) == ["b"] * 5
    log.append(ROW)
    log.close()
    assert len(contents(tmp_path)["recorded-000003.jsonl"]) == 2 * len(ROW)


@pytest.mark.parametrize("cut", [1, 2, 12, 13, 60, len(ROW) - 1])
def test_a_cut_row_is_not_read_and_is_taken_back(tmp_path, cut):
    file = tmp_path / "recorded-000001.jsonl"
    file.write_bytes(ROW + ROW[:cut])
    if cut > 1:
        assert read(tmp_path) == (["b", "b"] if cut == len(ROW) - 1 else ["b"])
    log = Log(tmp_path)
    log.append(ROW)
    log.close()
    assert file.read_bytes() == ROW + ROW


def test_a_cut_row_of_a_long_file_is_taken_back(tmp_path):
    file = tmp_path / "recorded-000001.jsonl"
    file.write_bytes(ROW + b'{"recorded":"' + b"x" * 200_000)
    Log(tmp_path).append(ROW)
    assert file.read_bytes() == ROW + ROW


def test_a_broken_row_within_a_log_is_still_an_error(tmp_path):
    (tmp_path / "recorded-000001.jsonl").write_bytes(ROW + ROW[:50] + b"\n" + ROW)
    with pytest.raises(Exception, match="line 2"):
        read(tmp_path)


def test_a_file_that_is_removed_is_begun_again(tmp_path):
    log = Log(tmp_path)
    log.append(ROW)
    (tmp_path / "recorded-000001.jsonl").unlink()
    log.append(ROW)
    assert contents(tmp_path) == {"recorded-000001.jsonl": ROW}


@pytest.fixture
def served(tmp_path):
    with upstream(lambda *_: reply(answer("4"))) as server, recording(server.url, tmp_path / "logs") as proxy:
        yield proxy


def test_a_full_disk_leaves_no_half_row_and_traffic_continues(served, monkeypatch, capsys):
    """A write that stops within a row, and then fails, as on a disk that becomes full; later there is room again."""
    post(served.port, CHAT)
    served.settled(1)
    write, full = os.write, [True]

    def failing(file, data):
        if full[0] and data.startswith(b'{"recorded"'):
            return write(file, data[:20])
        if full[0] and b'"messages"' in data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return write(file, data)

    monkeypatch.setattr("potstill.record.log.os.write", failing)
    monkeypatch.setattr("potstill.record.writer.RETRY_SECONDS", 0.2)
    for _ in range(3):
        assert post(served.port, CHAT)[0] == 200
    served.settled(4)
    assert served.counts == {"lost, because the log could not be written": 3}
    assert len(served.rows()) == 1
    full[0] = False
    time.sleep(0.25)
    post(served.port, CHAT)
    served.settled(5)
    assert len(served.rows()) == 2
    said = capsys.readouterr().err
    assert said.count("No space left on device") == 1
    assert "3 answers were lost" in said


def test_a_real_full_disk(tmp_path, served):
    """/dev/full refuses every write."""
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    served.proxy.writer.log._close_file()
    served.proxy.writer.log._file = os.open("/dev/full", os.O_RDWR)
    assert post(served.port, CHAT)[0] == 200
    served.settled(1)
    assert served.counts == {"lost, because the log could not be written": 1}


def test_a_folder_that_cannot_be_made_does_not_stop_traffic(tmp_path, capsys):
    (tmp_path / "logs").write_text("a file")
    with upstream(lambda *_: reply(answer())) as server, recording(server.url, tmp_path / "logs") as proxy:
        assert post(proxy.port, CHAT)[0] == 200
        proxy.settled(1)
        assert proxy.counts == {"lost, because the log could not be written": 1}
        assert "1 request passed, 0 answers recorded" in proxy.summary
    assert "Answers are not recorded" in capsys.readouterr().err


def test_of_two_recorders_one_has_the_log(tmp_path, served):
    post(served.port, CHAT)
    served.settled(1)
    with recording(served.url + "/v1", tmp_path / "logs") as second:
        assert post(second.port, CHAT)[0] == 200
        second.settled(1)
        assert second.counts == {"lost, because the log could not be written": 1}
        served.settled(2)
        assert len(served.rows()) == 2


class Command:
    """`potstill record` in a process of its own."""

    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "potstill", "record", "--port", "0", *arguments], cwd=folder, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.first = self.process.stdout.readline()
        self.hint = self.process.stdout.readline()
        self.port = int(self.first.split("/v1")[0].rsplit(":", 1)[1]) if "/v1" in self.first else 0

    def end(self, number=signal.SIGINT):
        self.process.send_signal(number)
        return *self.process.communicate(timeout=20), self.process.returncode


def test_the_command_records_and_says_what(tmp_path):
    with upstream(lambda *_: reply(answer("Write to jo@example.com"))) as server:
        command = Command(tmp_path, "--to", server.url, "--log", "mine", "--redact", "email")
        for _ in range(3):
            assert post(command.port, CHAT)[0] == 200
        _, err, code = command.end()
    assert (code, command.hint) == (0, f"  export OPENAI_BASE_URL=http://127.0.0.1:{command.port}/v1\n")
    assert "3 requests passed, 3 answers recorded in mine/; redacted: 3 email." in err
    assert read(tmp_path / "mine") == ["Write to [EMAIL]"] * 3


def test_a_killed_recorder_leaves_a_log_that_is_read_and_continued(tmp_path):
    with upstream(lambda *_: reply(answer("y" * 100_000))) as server:
        command = Command(tmp_path, "--to", server.url)
        for _ in range(20):
            assert post(command.port, CHAT)[0] == 200
        written = rows_once(tmp_path / "logs", 10)  # the rest is still being written
        command.end(signal.SIGKILL)
        kept = read(tmp_path / "logs")
        assert written <= len(kept) <= 20
        command = Command(tmp_path, "--to", server.url)
        post(command.port, CHAT)
        command.end()
    assert len(read(tmp_path / "logs")) == len(kept) + 1


def rows_once(folder, count):
    """The number of rows in the log, once there are `count`."""
    end = time.monotonic() + 60
    while (rows := b"".join(contents(folder).values()).count(b"\n")) < count:
        assert time.monotonic() < end, f"{rows} rows"
        time.sleep(0.01)
    return rows


def test_requests_in_flight_end_when_the_proxy_is_stopped(tmp_path):
    with upstream(lambda *_: [1.0, reply(answer("late"))]) as server:
        command = Command(tmp_path, "--to", server.url)
        with socket.create_connection(("127.0.0.1", command.port)) as connection:
            body = json.dumps(CHAT).encode()
            connection.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)
            )
            time.sleep(0.2)
            command.process.send_signal(signal.SIGINT)
            got = b""
            while b"late" not in got:
                block = connection.recv(65536)
                assert block, got
                got += block
        _, err = command.process.communicate(timeout=20)
        assert command.process.returncode == 0
        assert "1 answer recorded" in err


@pytest.mark.parametrize(("arguments", "message", "code"), [
    (["--to", "nowhere"], "--to is the base address", 2),
    (["--to", "http://u:p@example.com/v1"], "contains a password", 2),
    (["--to", "http://127.0.0.1:{taken}/v1", "--port", "{taken}"], "is taken", 1),
    (["--to", "http://localhost:{free}/v1", "--port", "{free}"], "own address", 2),
    (["--to", "http://127.0.0.1:{free}/v1", "--port", "{free}", "--host", "0.0.0.0"], "own address", 2),
    (["--to", "http://127.0.0.1:1/v1", "--host", "203.0.113.1"], "Cannot listen", 2),
    (["--to", "http://127.0.0.1:1/v1", "--redact", "emial"], "did you mean", 2),
    (["--to", "http://127.0.0.1:1/v1", "--recipe", "quickstart"], "is no log", 2),
])  # fmt: skip
def test_bad_usage_is_one_clear_message(tmp_path, arguments, message, code):
    with socket.create_server(("127.0.0.1", 0)) as taken, socket.create_server(("127.0.0.1", 0)) as other:
        free = other.getsockname()[1]
        other.close()
        ports = {"taken": taken.getsockname()[1], "free": free}
        done = small.potstill("record", *(one.format(**ports) for one in arguments), cwd=tmp_path)
    assert (done.returncode, message.lower() in done.stderr.lower()) == (code, True), done.stderr
    assert "Traceback" not in done.stderr
    assert "u:p" not in done.stderr


def test_a_recipe_says_what_is_redacted(tmp_path):
    (tmp_path / "r.yaml").write_text(
        "name: r\ntask: conversation\ncondition: vanilla\nteacher: {model: packaged/qwen2.5-coder-0.5b-instruct}\n"
        "student: {model: packaged/smollm2-135m-instruct}\n"
        "data: {source: logs, train: logs, redact: [email], redact_patterns: {customer: 'ACME-\\d+'}}\n"
    )
    with upstream(lambda *_: reply(answer("ACME-12 is jo@example.com"))) as server:
        command = Command(tmp_path, "--to", server.url, "--recipe", "r.yaml")
        assert post(command.port, CHAT)[0] == 200
        command.end()
    assert read(tmp_path / "logs") == ["[CUSTOMER] is [EMAIL]"]


def test_curl_and_malformed_requests(served):
    """A malformed request is answered by the proxy, and the next one passes."""
    assert b"400" in raw(served.port, b"POST /v1/x HTTP/1.1\r\nContent-Length: nonsense\r\n\r\n", 1).splitlines()[0]
    assert post(served.port, CHAT)[0] == 200
