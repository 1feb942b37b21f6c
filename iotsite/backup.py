"""A backup: the whole database as it is at one moment, in one file that was checked before it got its name.

It is an ordinary SQLite database, ours and one table more, ``iotsite_backup``, which says where it is from and has the
key that signs the addresses of calendars. It can be made while everything runs: SQLite's backup API copies all pages in
one step, from one read transaction. (Of several steps each would begin from the start whenever somebody writes.) Nobody
who writes waits for that; the write-ahead log alone cannot be emptied meanwhile.
"""

import os
import re
import shutil
import sqlite3
import time
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError
from django.db.backends.sqlite3._functions import register  # type: ignore[import-untyped]

from iotsite import __version__, database, places

NAME = re.compile(r"iotsite-(\d{4}-\d\d-\d\dT\d{6}Z)(?:-(\d+))?\.sqlite3")
DRAFT = re.compile(rf"\.{NAME.pattern}\.draft(?:-wal|-shm|-journal)?")
APPLICATION = "iotsite"
OUR_TABLES = {"django_migrations", "accounts_user", "relays_relay", "relays_event"}


class BackupError(Exception):
    """Why there is no backup, in a sentence."""


def make(folder: Path) -> Path:
    """Make a backup in ``folder``: whole, checked and durable, or BackupError and nothing left of it."""
    if not database.path().exists():
        raise BackupError(f"There is no database {database.path()}: there is nothing to back up.")
    try:
        with places.one_at_a_time(settings.RUN_DIR / "backup.lock"):
            _sweep(folder)
            need_room(folder, database.size() + database.wal_size())
            path = _free_name(folder)
            try:
                _write(folder / f".{path.name}.draft").rename(path)
            finally:
                _sweep(folder)
            sync(folder)
            return path
    except OSError as error:
        raise BackupError(f"{folder} cannot be used for a backup: {error.strerror}.") from error
    except DatabaseError as error:
        raise BackupError(str(error)) from error
    except sqlite3.Error as error:
        raise (
            _damaged(str(error)) if is_corrupt(error) else BackupError(f"There is no new backup in {folder}: {error}.")
        ) from error


def _damaged(how: str) -> BackupError:
    return BackupError(f"The database is damaged ({how}): there is no new backup. The last one may be whole.")


def rotate(folder: Path, keep: int, made: Path) -> list[Path]:
    """Remove the oldest backups but ``keep``, never another file and never the one just ``made``; which ones."""
    found = [path for path in folder.iterdir() if NAME.fullmatch(path.name) and path.is_file()]
    old = [path for path in sorted(found, key=_age)[:-keep] if path != made and not path.is_symlink()]
    for path in old:
        path.unlink(missing_ok=True)
    return old


def _age(path: Path) -> tuple[str, int]:
    moment, number = NAME.fullmatch(path.name).groups()  # type: ignore[union-attr]
    return moment, int(number or 1)


def connect(path: Path, mode: str = "rw") -> sqlite3.Connection:
    """A connection of our own: it leaves the log alone, and has the functions that Django's constraints call."""
    connection = sqlite3.connect(f"{path.as_uri()}?mode={mode}", uri=True, timeout=5, isolation_level=None)
    connection.execute("PRAGMA wal_autocheckpoint=0")
    register(connection)
    return connection


def copy_all(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy a whole database, as it is now. (Its read transaction begun here: Python's backup() would wait for ever.)"""
    source.execute("BEGIN")
    source.execute("SELECT count(*) FROM sqlite_master").fetchone()
    source.backup(target)
    source.execute("COMMIT")


def is_ours(connection: sqlite3.Connection) -> bool:
    """Whether it is a database of this application."""
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return tables >= OUR_TABLES


def is_corrupt(error: sqlite3.Error) -> bool:
    """Whether it is the file that is wrong, and not what was asked of it."""
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def damage(connection: sqlite3.Connection) -> str:
    """What is wrong with a database, in a few words; empty where all is well."""
    try:
        [found] = connection.execute("PRAGMA integrity_check(1)").fetchone()
        loose = connection.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.DatabaseError as error:
        return str(error)
    if found != "ok":
        return " ".join(str(found).split())
    return f"a row of {loose[0]} refers to one of {loose[2]} that is not there" if loose else ""


def need_room(folder: Path, size: int) -> None:
    """OSError where ``folder`` has less room than ``size``."""
    room = shutil.disk_usage(folder)
    if room.total and room.free < size:  # some file systems do not tell, and say 0 of 0
        raise OSError(0, f"{megabytes(size)} are needed and {megabytes(room.free)} free")


def megabytes(size: int) -> str:
    return f"{size / 1e6:.1f} MB"


def sync(path: Path) -> None:
    """Make a file, or the names in a folder, durable. Of a database only while this process has it not open: closing
    any handle of a file gives up all of SQLite's locks on it."""
    handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def moment() -> str:
    """Now, as in the names of files."""
    return time.strftime("%Y-%m-%dT%H%M%SZ", time.gmtime())


def _sweep(folder: Path) -> None:
    for path in folder.iterdir():
        if DRAFT.fullmatch(path.name):
            path.unlink()


def _free_name(folder: Path) -> Path:
    """A name younger than all others, of which some of this second may be there."""
    now = moment()
    ages = [_age(path) for path in folder.iterdir() if NAME.fullmatch(path.name)]
    newest = max((number for of, number in ages if of == now), default=0)
    return folder / f"iotsite-{now}{f'-{newest + 1}' if newest else ''}.sqlite3"


def _write(draft: Path) -> Path:
    os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    database.admit()
    with closing(connect(draft)) as target:
        target.execute("PRAGMA synchronous=OFF")  # made durable once, at its end
        with closing(connect(database.path(), "ro")) as source:
            database.remember()
            copy_all(source, target)
        database.check()
        target.execute("PRAGMA journal_mode=DELETE")  # one file: no log beside it
        _label(target)
    with closing(connect(draft, "ro")) as written:
        if found := damage(written):
            raise _damaged(found)
        if not is_ours(written):
            raise BackupError(f"{database.path()} is not a database of iotsite: there is no new backup.")
    sync(draft)
    return draft


def _label(target: sqlite3.Connection) -> None:
    key = settings.DATA_DIR / "secret_key"
    said = {
        "application": APPLICATION,
        "version": __version__,
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "secret_key": key.read_text().strip() if key.exists() else "",
    }
    target.execute("CREATE TABLE iotsite_backup (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID")
    target.executemany("INSERT INTO iotsite_backup VALUES (?, ?)", said.items())
