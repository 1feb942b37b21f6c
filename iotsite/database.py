"""The database file: is it still the one this process opened, and how large is its log?

A database that was deleted or replaced under a running site is never written to: what this process knows
belongs to the file it started with, and must not be merged into a foreign one.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import DatabaseError, connection, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

WAL_LIMIT = 16 * 1024 * 1024
QUEUE_FOR = 5.0

# SQLite lets one write at a time and makes the others sleep and try; threads of one process queue here instead.
_writing = threading.Lock()

_opened: tuple[int, int] | None = None


def path() -> Path:
    return Path(settings.DATA_DIR) / "db.sqlite3"


def wal_size() -> int:
    """Bytes in the write-ahead log; 0 where there is none."""
    try:
        return path().with_name("db.sqlite3-wal").stat().st_size
    except FileNotFoundError:
        return 0


def problem() -> str:
    """What is wrong with the database file, in a sentence; empty where it is the one we opened."""
    if _opened is None:
        return ""
    try:
        found = path().stat()
    except FileNotFoundError:
        return f"The database {path()} was deleted while iotsite was running: put it back and restart iotsite."
    except OSError as error:
        return f"The database {path()} cannot be reached: {error.strerror}."
    if (found.st_dev, found.st_ino) != _opened:
        return f"The database {path()} was replaced while iotsite was running: restart iotsite."
    return ""


def check() -> None:
    """Raise DatabaseError where the file is not the one this process opened."""
    if sentence := problem():
        raise DatabaseError(sentence)


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that writes to the file this process opened; DatabaseError where that cannot be, within 10 s."""
    if not _writing.acquire(timeout=QUEUE_FOR):
        raise DatabaseError("others have been writing for too long")
    try:
        with transaction.atomic():
            check()
            yield
    finally:
        _writing.release()


def answers() -> str:
    """Ask the database something; what went wrong in a sentence, empty where it answered."""
    try:
        check()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return str(error) if problem() else f"The database does not answer: {error}."
    return ""


def refuse_another_file(connection: BaseDatabaseWrapper, **kwargs: Any) -> None:
    """Remember which file the first connection opened; close any later one to another file."""
    global _opened
    if not Path(path()).exists() or "mode=memory" in str(connection.settings_dict["NAME"]):
        return
    if _opened is None:
        found = path().stat()
        _opened = (found.st_dev, found.st_ino)
    elif sentence := problem():
        connection.close()
        raise DatabaseError(sentence)
