"""The database file: is it still the one this process opened, and how large is its log?

A database that was deleted or replaced under a running site is never opened: what is known belongs to the file
that was there, and must not be merged into a foreign one. SQLite itself would: it finds the write-ahead log by its
name, and plays the log of the old file into the new one as soon as a connection to that is opened and closed.

So every process that uses the database holds ``RUN_DIR/database.lock``, shared, and ``RUN_DIR/database`` says which
file and which log they use. Another file is taken for ours only when nobody holds the lock any more; the log of the
old one is laid aside then.
"""

import fcntl
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, connection, transaction

from iotsite import places

WAL_LIMIT = 16 * 1024 * 1024
WORTH_A_CHECKPOINT = 1024 * 1024
"""Bytes in the write-ahead log."""
QUEUE_FOR = 5.0
TOO_LONG = "others have been writing for too long"
REPLACED = "The database {} was replaced while iotsite was running: restart iotsite."

# SQLite lets one write at a time and makes the others sleep and try; threads of one process queue here instead.
_writing = threading.Lock()

T = TypeVar("T")

_opened: list[int] | None = None
"""Device and inode of the file this process uses."""
_users: int | None = None
"""The lock that says so to the other processes."""


def path() -> Path:
    return _file_in(settings.DATA_DIR)


@cache
def _file_in(data_dir: Path) -> Path:
    return Path(data_dir) / "db.sqlite3"


def log_path() -> Path:
    return path().with_name("db.sqlite3-wal")


def size() -> int:
    """Bytes in the database file; 0 where there is none."""
    return _size(path())


def wal_size() -> int:
    """Bytes in the write-ahead log; 0 where there is none."""
    return _size(log_path())


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
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
    if [found.st_dev, found.st_ino] != _opened:
        return REPLACED.format(path())
    return ""


def check() -> None:
    """Raise DatabaseError where the file is not the one this process opened."""
    if sentence := problem():
        raise DatabaseError(sentence)


def admit() -> None:
    """Look before a connection is opened: DatabaseError where the file is not the one that the site uses."""
    global _opened, _users
    check()
    found = _identity(path())
    if _opened is not None or found is None:
        return
    users = _open_lock()
    known = places.read_whole(settings.RUN_DIR / "database")
    if known and known.get("file") != found:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(users)
            raise DatabaseError(REPLACED.format(path())) from None
        _lay_aside(known.get("log"))
    fcntl.flock(users, fcntl.LOCK_SH)
    if _identity(path()) != found:  # a backup was restored while we waited for the lock
        os.close(users)
        admit()
        return
    _opened, _users = found, users
    remember()


def _open_lock() -> int:
    return os.open(lock_path(), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def lock_path() -> Path:
    """The lock that every process holds that uses the database."""
    return Path(settings.RUN_DIR / "database.lock")


@contextmanager
def alone() -> Iterator[None]:
    """Be the only process that uses the database; BlockingIOError where others do.

    The file that lies there at the end is the site's from then on, and its log.
    """
    users = _open_lock()
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        known = places.read_whole(settings.RUN_DIR / "database") or {}
        if known.get("file") != _identity(path()):
            _lay_aside(known.get("log"))
        yield
        _write_down(_identity(path()))
    finally:
        os.close(users)


def remember() -> None:
    """Say to the other processes which file and which log are in use, where that is news."""
    if _opened is not None:
        _write_down(_opened)


def _write_down(file: list[int] | None) -> None:
    now = {"file": file, "log": _identity(log_path())}
    place = settings.RUN_DIR / "database"
    if places.read_whole(place) != now:
        places.write_whole(place, now)


def _identity(file: Path) -> list[int] | None:
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return [found.st_dev, found.st_ino]


def _lay_aside(old_log: list[int] | None) -> None:
    """Keep the log of a file that was replaced from being played into the new one."""
    log = log_path()
    if old_log is not None and _identity(log) == old_log:
        log.rename(log.with_name(f"{log.name}-of-the-replaced-database"))
        log.with_name("db.sqlite3-shm").unlink(missing_ok=True)


@contextmanager
def writing() -> Iterator[None]:
    """A transaction that writes to the file this process opened; DatabaseError where that cannot be, within 10 s."""
    if not _writing.acquire(timeout=QUEUE_FOR):
        raise DatabaseError(TOO_LONG)
    try:
        with transaction.atomic():
            check()
            yield
    finally:
        _writing.release()


@dataclass
class _Write:
    """One thing to write, and what became of it."""

    work: Callable[[], Any]
    result: Any = None
    error: Exception | None = None
    is_done: bool = False

    def carry_out(self, *, is_alone: bool) -> None:
        """Do it, whole or not at all; ``is_alone`` in its transaction, it needs no savepoint for that."""
        try:
            with nullcontext() if is_alone else transaction.atomic():
                self.result = self.work()
        except Exception as error:  # it is raised where it belongs
            self.error = error
            if is_alone:
                transaction.set_rollback(True)


_waiting: deque[_Write] = deque()


def write(work: Callable[[], T]) -> T:
    """What ``work()`` gives, durable. Raises what that raises, and DatabaseError where nothing is written within 10 s.

    A commit costs the same for one or many: of the threads that queue, the first does the work of all of them, in one
    transaction.
    """
    mine = _Write(work)
    _waiting.append(mine)
    if not _writing.acquire(timeout=QUEUE_FOR):
        try:
            _waiting.remove(mine)
        except ValueError:
            _writing.acquire()  # somebody is at it
        else:
            raise DatabaseError(TOO_LONG)
    try:
        if not mine.is_done:
            _write_all()
    finally:
        _writing.release()
    if mine.error:
        raise mine.error
    result: T = mine.result
    return result


def _write_all() -> None:
    """Do what waits, the work of each in a savepoint of its own."""
    batch = [_waiting.popleft() for _ in range(len(_waiting))]
    try:
        with transaction.atomic():
            check()
            for one in batch:
                one.carry_out(is_alone=len(batch) == 1)
    except DatabaseError as error:
        for one in batch:
            one.error = error
    finally:
        for one in batch:
            one.is_done = True


def answers() -> str:
    """Ask the database something; what went wrong in a sentence, empty where it answered."""
    try:
        check()
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
    except DatabaseError as error:
        return str(error) if problem() else f"The database does not answer: {error}."
    return ""
