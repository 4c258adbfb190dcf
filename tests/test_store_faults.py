"""A store that is locked, corrupt or on a full disk."""

import sqlite3
import subprocess
import sys

import pytest

from potstill.errors import PotstillError
from potstill.models.complete import Billing, complete
from potstill.models.store.store import Store, key_function
from small import questions


class ConstantModel:
    """Gives every request the same answer."""

    identity = {"weights": "w"}
    name, price, address, left_out = "constant", None, "", ()

    async def complete(self, requests):
        from potstill.models import Completion

        async for request in requests:
            yield [Completion(request.id, request.sample, text="fine", finish_reason="stop")]


def test_a_store_that_another_process_locks_for_a_second(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('locked', flush=True); time.sleep(1)"
    )
    process = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "locked\n"
    assert len(list(complete(ConstantModel(), questions(20), "model", Billing(store)))) == 20
    process.wait()


def test_a_disk_that_is_full_during_a_commit(tmp_path, monkeypatch):
    """Earlier commits stay intact, and the same call resumes when there is space again."""
    store = Store(tmp_path / "s.sqlite")
    list(complete(ConstantModel(), questions(50), "model", Billing(store)))
    with store.connection() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 2}")  # the same error as on a full disk: SQLITE_FULL
    with pytest.raises(sqlite3.OperationalError, match="full"):
        list(complete(ConstantModel(), questions(5000), "model", Billing(store)))
    with store.connection() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    key = key_function(ConstantModel.identity)
    assert len(store.existing([key(q) for q in questions(50)])) == 50
    assert len(list(complete(ConstantModel(), questions(5000), "model", Billing(store)))) == 5000


def test_a_corrupt_store_is_reported_with_a_remedy_and_not_changed(tmp_path):
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"not a database any more" * 1000)
    with pytest.raises(PotstillError, match=r"corrupt.*store export"):
        Store(path)
    assert path.read_bytes() == b"not a database any more" * 1000
