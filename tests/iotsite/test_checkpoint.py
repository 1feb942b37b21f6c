"""One checkpointer at a time, and a log that nobody else moves."""

import fcntl
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.conf import settings

from iotsite import database
from iotsite.checkpoint import Checkpointer
from tests.site import Site


@pytest.fixture
def log() -> Iterator[sqlite3.Connection]:
    """A database file with 2 MB in its log, held open."""
    with closing(sqlite3.connect(database.path(), isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE filler (bytes)")
        connection.execute("INSERT INTO filler VALUES (zeroblob(2000000))")
        yield connection
    database.path().unlink()


def test_a_log_that_is_worth_it_is_emptied(log: sqlite3.Connection) -> None:
    assert database.wal_size() > 2_000_000
    assert Checkpointer(keeps_lock=False).look()
    assert database.wal_size() == 0
    assert log.execute("SELECT count(*) FROM filler").fetchone() == (1,)


def test_a_short_log_is_left_alone(log: sqlite3.Connection) -> None:
    assert Checkpointer(keeps_lock=False).look()
    log.execute("INSERT INTO filler VALUES (1)")
    assert not Checkpointer(keeps_lock=False).look()


def test_a_reader_delays_it_and_loses_nothing(log: sqlite3.Connection) -> None:
    log.execute("BEGIN")
    log.execute("SELECT count(*) FROM filler").fetchone()
    Checkpointer(keeps_lock=False).look()
    assert database.wal_size() > 0
    log.execute("COMMIT")
    assert Checkpointer(keeps_lock=False).look()
    assert database.wal_size() == 0


def test_only_the_holder_of_the_lock_does_it(log: sqlite3.Connection) -> None:
    with (Path(settings.RUN_DIR) / "checkpoint.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not Checkpointer(keeps_lock=False).look()
        assert not Checkpointer(keeps_lock=True).look()
    assert Checkpointer(keeps_lock=False).look()


def test_a_controller_keeps_the_lock_and_the_web_steps_back(log: sqlite3.Connection) -> None:
    controller = Checkpointer(keeps_lock=True)
    controller.look()
    log.execute("INSERT INTO filler VALUES (zeroblob(2000000))")
    assert not Checkpointer(keeps_lock=False).look()
    assert controller.look()


def test_connections_are_durable_and_never_checkpoint_by_themselves(site: Site) -> None:
    code = """
from django.db import connection
with connection.cursor() as cursor:
    for name in ("journal_mode", "synchronous", "wal_autocheckpoint"):
        print(cursor.execute(f"PRAGMA {name}").fetchone()[0])
    cursor.execute("CREATE TABLE filler (bytes)")
    for _ in range(8):
        cursor.execute("INSERT INTO filler VALUES (zeroblob(1000000))")
from iotsite import database
print(database.wal_size() > 8_000_000)
"""
    done = site.manage("shell", "--verbosity", "0", "-c", code)
    assert done.stdout.split() == ["wal", "2", "0", "True"], done.stderr
