"""A store that is locked, damaged or out of room."""

import sqlite3
import subprocess
import sys

import pytest

from potstill.errors import PotstillError
from potstill.models.complete import Billing, complete
from potstill.models.store.store import Store, key_function
from small import questions


class Fixed:
    """A model at hand, for what happens to answers once they are there."""

    identity = {"weights": "w"}
    name, price = "fixed", None

    async def complete(self, requests):
        from potstill.models import Completion

        async for request in requests:
            yield [Completion(request.id, request.sample, text="fine", finish_reason="stop")]


def test_a_store_that_another_process_has_locked_for_a_while(tmp_path):
    store = Store(tmp_path / "s.sqlite")
    code = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute('BEGIN IMMEDIATE');"
        "print('locked', flush=True); time.sleep(1)"
    )
    other = subprocess.Popen([sys.executable, "-c", code, str(store.path)], stdout=subprocess.PIPE, text=True)
    assert other.stdout.readline() == "locked\n"
    assert len(list(complete(Fixed(), questions(20), "model", Billing(store)))) == 20
    other.wait()


def test_a_disk_that_fills_up_while_committing(tmp_path, monkeypatch):
    """What was committed before is whole, and the same call goes on when there is room."""
    store = Store(tmp_path / "s.sqlite")
    list(complete(Fixed(), questions(50), "model", Billing(store)))
    with store.connection() as connection:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count={pages + 2}")  # as SQLite meets a full disk: SQLITE_FULL
    with pytest.raises(sqlite3.OperationalError, match="full"):
        list(complete(Fixed(), questions(5000), "model", Billing(store)))
    with store.connection() as connection:
        connection.execute("PRAGMA max_page_count=1000000")
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    key = key_function(Fixed.identity)
    assert len(store.existing([key(q) for q in questions(50)])) == 50
    assert len(list(complete(Fixed(), questions(5000), "model", Billing(store)))) == 5000


def test_a_damaged_store_is_named_with_its_cure_and_left_as_it_is(tmp_path):
    path = tmp_path / "s.sqlite"
    path.write_bytes(b"not a database, or no longer" * 1000)
    with pytest.raises(PotstillError, match=r"damaged.*store export"):
        Store(path)
    assert path.read_bytes() == b"not a database, or no longer" * 1000
