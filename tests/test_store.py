"""The store: keys, concurrent writers, corruption, export and import."""

import gzip
import hashlib
import json
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from potstill.errors import PotstillError
from potstill.models import Completion, ErrorKind, Request, Sampling, tally
from potstill.models.complete import Billing, complete
from potstill.models.store import admin
from potstill.models.store.store import Store, key_function

REQUEST = Request("a", [{"role": "system", "content": "s"}, {"role": "user", "content": "q"}], Sampling(10, 0.7))


def key_of(request, identity=None):
    return key_function(identity or {"weights": "w"})(request)


class CountingModel:
    """Answers (or fails) immediately, and records the ids of the requests that it gets."""

    identity: ClassVar = {"weights": "w"}
    name, price, address, left_out = "counting", None, "", ()

    def __init__(self, error=None):
        self.requested, self.error = [], error

    async def complete(self, requests):
        async for request in requests:
            self.requested.append(request.id)
            yield [
                Completion(request.id, request.sample, text=f"to {request.messages[-1]['content']}", error=self.error)
            ]


def completed(model, store, *requests):
    return list(complete(model, requests, "model", Billing(store)))


def test_a_stored_completion_is_reused_and_never_requested_again(tmp_path):
    model = CountingModel()
    first = completed(model, Store(tmp_path / "s.sqlite"), REQUEST)
    again = completed(model, Store(tmp_path / "s.sqlite"), replace(REQUEST, id="other row"))
    assert again[0].text == first[0].text == "to q"
    assert again[0].id == "other row"
    assert model.requested == ["a"]


def test_failures_are_recorded_and_never_returned_as_completions(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    with pytest.raises(PotstillError, match="timeout"):
        completed(CountingModel(ErrorKind.TIMEOUT), store, REQUEST)
    assert store.get([key_of(REQUEST)])[key_of(REQUEST)].error is ErrorKind.TIMEOUT
    assert completed(CountingModel(), store, REQUEST)[0].text == "to q"


def test_the_key_depends_on_the_request_and_not_on_the_row():
    key = key_of(REQUEST)
    assert key_of(replace(REQUEST, id="b")) == key
    others = [
        key_of(REQUEST, {"weights": "v"}),
        key_of(replace(REQUEST, sample=1)),
        key_of(replace(REQUEST, messages=REQUEST.messages[1:])),
        key_of(replace(REQUEST, sampling=Sampling(11, 0.7))),
        key_of(replace(REQUEST, sampling=Sampling(10, 0.7, top_logprobs=2))),
        key_of(replace(REQUEST, schema={"type": "object"})),
    ]
    assert len({key, *others}) == 7


TEXT = st.text(st.characters(exclude_categories=["Cs"]))
MESSAGES = st.lists(st.fixed_dictionaries({"role": st.sampled_from(["user", "system"]), "content": TEXT}), min_size=1)


@given(MESSAGES, MESSAGES, st.integers(0, 3), st.integers(0, 3))
def test_two_requests_share_a_key_exactly_if_messages_and_sample_are_equal(messages, others, sample, other):
    same = messages == others and sample == other
    assert (key_of(Request("a", messages, sample=sample)) == key_of(Request("b", others, sample=other))) == same


@given(st.dictionaries(st.binary(min_size=1, max_size=32), TEXT, max_size=20), st.data())
@settings(max_examples=50, deadline=None)
def test_put_and_get_round_trip(texts, data):
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "s.sqlite")
        store.put([Completion("i", 0, text=text, finish_reason="stop", key=key) for key, text in texts.items()])
        keys = data.draw(st.lists(st.sampled_from([*texts, b"none"])))
        stored = store.get(keys)
        assert {key: completion.text for key, completion in stored.items()} == {k: texts[k] for k in keys if k in texts}
        assert store.existing(keys) == {key for key in keys if key in texts}


def test_thousands_of_partly_stored_requests_are_completed_once_and_in_order(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    requests = [Request(str(i), [{"role": "user", "content": str(i // 2)}]) for i in range(2406)]
    completed(CountingModel(), store, *requests[::4])
    model = CountingModel()
    got = completed(model, store, *requests)
    assert [c.id for c in got] == [r.id for r in requests]
    assert all(c.text == f"to {int(c.id) // 2}" for c in got)
    # A prompt that occurs in two rows is requested once.
    assert model.requested == [r.id for r in requests if int(r.id) % 4 == 2]


def test_no_more_requests_are_sent_after_the_first_ones_all_failed(tmp_path):
    model = CountingModel(ErrorKind.INVALID_REQUEST)
    with pytest.raises(PotstillError, match="invalid-request"):
        completed(
            model,
            Store(tmp_path / "s.sqlite"),
            *(Request(str(i), [{"role": "user", "content": str(i)}]) for i in range(900)),
        )
    assert len(model.requested) == tally.ABORT_AFTER


def test_two_processes_write_concurrently(tmp_path):
    code = (
        "import sys; from pathlib import Path; from potstill.models import Completion; from potstill.models.store.store import Store\n"
        "for i in range(100): Store(Path(sys.argv[1])).put([Completion('i', 0, text='t', finish_reason='stop', key=f'{sys.argv[2]}-{i}'.encode())])"
    )
    path = tmp_path / "s.sqlite"
    writers = [subprocess.Popen([sys.executable, "-c", code, str(path), name]) for name in "ab"]
    assert [writer.wait() for writer in writers] == [0, 0]
    assert len(Store(path).get([f"{name}-{i}".encode() for name in "ab" for i in range(100)])) == 200


def test_a_symbolic_link_opens_the_store_that_it_points_to(tmp_path):
    (tmp_path / "there").mkdir()
    (tmp_path / "s.sqlite").symlink_to(tmp_path / "there" / "s.sqlite")
    assert completed(CountingModel(), Store(tmp_path / "s.sqlite"), REQUEST)[0].text == "to q"


def test_a_short_lock_timeout_applies_to_one_put_only(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    store.put([Completion("a", 0, key=b"k")], lock_timeout=0.01)
    with store.connection() as connection:
        assert connection.execute("PRAGMA busy_timeout").fetchone() == (60_000,)


def test_an_empty_list_of_requests_is_not_a_failure(tmp_path):
    assert completed(CountingModel(), Store(tmp_path / "s.sqlite")) == []


def filled(path, n=400):
    """Write a store with long answers and close it; returns the texts by key."""
    texts = {hashlib.sha256(str(i).encode()).digest(): f"{i} " + "an answer " * 60 for i in range(n)}
    store = Store(path)
    store.put([Completion("", 0, text=text, finish_reason="stop", key=key) for key, text in texts.items()])
    with store.connection() as connection:
        connection.close()
    return texts


def recovered(path):
    """The texts by key that export recovers from a file."""
    target = path.with_name("out.jsonl")
    target.unlink(missing_ok=True)
    admin.export(path, target)
    return {bytes.fromhex(row["key"]): row["text"] for row in map(json.loads, target.read_text().splitlines())}


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_export_recovers_the_intact_rows_of_a_corrupt_store_and_nothing_else(data):
    with TemporaryDirectory() as folder:
        path = Path(folder) / "s.sqlite"
        texts = filled(path)
        intact = path.read_bytes()
        corruption = data.draw(st.sampled_from(["zeroed", "truncated", "bit flip"]))
        at = data.draw(st.integers(8192, len(intact) - 1))
        corrupt = {
            "zeroed": intact[:at] + bytes(len(intact[at : at + 512])) + intact[at + 512 :],
            "truncated": intact[: max(at, len(intact) * 3 // 4)],
            "bit flip": intact[:at] + bytes([intact[at] ^ 4]) + intact[at + 1 :],
        }[corruption]
        path.write_bytes(corrupt)
        rows = recovered(path)
        assert rows.items() <= texts.items()
        if corruption != "truncated":
            assert len(rows) > len(texts) * 0.9
        if len(rows) < len(texts):
            assert admin.verify(path)
            new = Store(Path(folder) / "new.sqlite")
            assert admin.import_(new, path.with_name("out.jsonl")) == (len(rows), 0)
        assert path.read_bytes() == corrupt


def test_a_completion_with_a_wrong_checksum_is_not_returned(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    assert completed(CountingModel(), store, REQUEST)[0].text == "to q"
    with store.connection() as connection:
        connection.execute("UPDATE completions SET text = 'tu q'")
    with pytest.raises(PotstillError, match="corrupt"):
        completed(CountingModel(), store, REQUEST)
    assert admin.verify(store.path) == ["1 completions cannot be read"]


def test_verify_detects_a_corrupt_write_ahead_log_and_does_not_change_it(tmp_path):
    path = tmp_path / "s.sqlite"
    code = (
        "import os, sys; from pathlib import Path; from potstill.models import Completion; from potstill.models.store.store import Store\n"
        "store = Store(Path(sys.argv[1]))\n"
        "for i in range(90): store.put([Completion('i', 0, text='t' * 900, finish_reason='stop', key=i.to_bytes(32, 'big'))])\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    wal = Path(f"{path}-wal")
    before = path.read_bytes(), wal.read_bytes()
    assert admin.verify(path) == []
    assert (path.read_bytes(), wal.read_bytes()) == before
    wal.write_bytes(before[1][:-100])  # a truncated last frame, as after a crash
    assert admin.verify(path) == []
    middle = len(before[1]) // 2
    wal.write_bytes(before[1][:middle] + bytes([before[1][middle] ^ 1]) + before[1][middle + 1 :])
    assert "write-ahead log" in admin.verify(path)[0]
    wal.write_bytes(before[1])
    assert len(recovered(path)) == 90


def test_a_copy_made_by_sqlite_is_a_store(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    completed(CountingModel(), store, REQUEST)
    with store.connection() as connection:
        connection.execute(f"VACUUM INTO '{tmp_path / 'copy.sqlite'}'")
    model = CountingModel()
    completed(model, Store(tmp_path / "copy.sqlite"), REQUEST, Request("b", [{"role": "user", "content": "new"}]))
    assert model.requested == ["b"]


def test_another_database_or_a_folder_is_not_a_store(tmp_path):
    with sqlite3.connect(tmp_path / "other.sqlite") as connection:
        connection.execute("CREATE TABLE t (x)")
    with pytest.raises(PotstillError, match="not a store of potstill"):
        admin.verify(tmp_path / "other.sqlite")
    with pytest.raises(PotstillError, match="not a file"):
        admin.verify(tmp_path)
    Store(tmp_path / "empty.sqlite")
    assert admin.verify(tmp_path / "empty.sqlite") == admin.stats(tmp_path / "empty.sqlite") == []


@pytest.mark.parametrize(("field", "value"), [
    ("cost", float("inf")), ("cost", float("nan")), ("cost", -1), ("prompt_tokens", -3), ("prompt_tokens", True),
    ("prompt_tokens", 10**30), ("text", "\ud800"), ("text", None), ("key", "ab"),
])  # fmt: skip
def test_import_rejects_a_file_with_an_invalid_row(tmp_path, field, value):
    filled(tmp_path / "s.sqlite", 1)
    admin.export(tmp_path / "s.sqlite", tmp_path / "a.jsonl")
    row = json.loads((tmp_path / "a.jsonl").read_text())
    (tmp_path / "b.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(row | {field: value}))
    new = Store(tmp_path / "new.sqlite")
    with pytest.raises(PotstillError, match=f"b.jsonl, line 2: .*{field}"):
        admin.import_(new, tmp_path / "b.jsonl")
    assert admin.stats(new.path) == []
    text = "\ufeff" + json.dumps(row) + "\n\n"
    (tmp_path / "c.jsonl").write_bytes(gzip.compress(text.encode()))
    assert admin.import_(new, tmp_path / "c.jsonl") == (1, 0)


def test_what_servers_do_not_take_is_exported_too(tmp_path):
    filled(tmp_path / "s.sqlite", 1)
    Store(tmp_path / "s.sqlite").leave_out("http://a m", ("seed", "top_p"))
    assert admin.export(tmp_path / "s.sqlite", tmp_path / "a.jsonl") == (1, 0)
    new = Store(tmp_path / "new.sqlite")
    new.leave_out("http://a m", ("stop",))
    assert admin.import_(new, tmp_path / "a.jsonl") == (1, 0)
    assert new.left_out("http://a m") == ("stop", "seed", "top_p")
    for line in (
        {"server": "s", "left_out": "seed"},
        {"server": "s", "left_out": [1]},
        {"server": 1, "left_out": []},
        [],
    ):
        (tmp_path / "b.jsonl").write_text(json.dumps(line))
        with pytest.raises(PotstillError, match="line 1: not an exported completion"):
            admin.import_(new, tmp_path / "b.jsonl")
