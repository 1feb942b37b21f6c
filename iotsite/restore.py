"""Put a backup in the place of the database, while nothing uses that.

It is made ready beside the database first, in ``DATA_DIR/.restore``: copied, checked, brought up to this version. The
database is then exchanged by one rename. The old one's log was moved into it before, so that no log is left that SQLite
could take for the new one's. A kill at any moment leaves the old database whole or the new one; what it leaves in
``.restore`` the next restore clears away, or keeps, where that is all there is of the replaced database.
"""

import fcntl
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain, count
from pathlib import Path

from django.conf import settings

from iotsite import database, holders, schema
from iotsite.backup import APPLICATION, connect, damage, is_corrupt, is_ours, moment, need_room, sync

MAGIC = b"SQLite format 3\0"
IN_WAL_MODE = 2
"""The byte after the page size: a bare database, that may have a log, and no backup, which never has."""
SHORTEST_KEY = 50


BARE = "a bare database (a copy made while iotsite ran lacks what only its log had),"


class RestoreError(Exception):
    """Why nothing was restored, in a sentence."""


@dataclass(frozen=True)
class Ready:
    """A backup made ready: a database of this version, and what its maker said of it."""

    file: Path
    key: str
    source: str
    """What it is, in words."""


@contextmanager
def made_ready(file: Path) -> Iterator[Ready]:
    """``file`` as a database that can take the place of ours; RestoreError where that cannot be."""
    work = settings.DATA_DIR / ".restore"
    with _one_at_a_time() as lock:
        try:
            clear_away(work)
            work.mkdir(mode=0o700)
            yield _make_ready(file, work / "db.sqlite3", lock)
        except OSError as error:
            raise RestoreError(f"{error.filename or settings.DATA_DIR} cannot be used: {error.strerror}.") from error
        except sqlite3.Error as error:
            raise RestoreError(f"It cannot be restored: {error}.") from error
        finally:
            clear_away(work)


@contextmanager
def _one_at_a_time() -> Iterator[int]:
    lock = os.open(settings.RUN_DIR / "restore.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lock
    except BlockingIOError:
        raise RestoreError("Another restore is under way: wait for its end.") from None
    finally:
        os.close(lock)


def clear_away(work: Path) -> None:
    """Remove what a restore left, and keep what it replaced."""
    replaced = work / "replaced"
    old = replaced / "db.sqlite3"
    if old.exists() and not (database.path().exists() and old.samefile(database.path())):
        replaced.rename(kept_folder())
        sync(settings.DATA_DIR)
    if work.exists():
        shutil.rmtree(work)


def kept_folder() -> Path:
    """Where what is replaced now is to be kept."""
    now = settings.DATA_DIR / f"before-restore-{moment()}"
    others = (now.with_name(f"{now.name}-{number}") for number in count(2))
    return next(path for path in chain([now], others) if not path.exists())


# --- making ready -----------------------------------------------------------------------------------------------


def _make_ready(file: Path, draft: Path, lock: int) -> Ready:
    _copy(file, draft)
    with closing(connect(draft)) as connection:
        said = _examine(file, connection)
        applied = set(connection.execute("SELECT app, name FROM django_migrations"))
        if newest := schema.newer(applied):
            raise RestoreError(f"{file} is of a newer iotsite ({newest}): install that one first.")
        connection.execute("DROP TABLE IF EXISTS iotsite_backup")
    if schema.is_behind(applied):
        _migrate(draft, lock)
    if not said:
        key = file.with_name("secret_key")
        return Ready(draft, _usable(key.read_text(errors="replace") if key.exists() else ""), f"{BARE} {file}")
    source = f"the backup of {said['made_at']}, made by iotsite {said['version']}"
    return Ready(draft, _usable(said.get("secret_key", "")), source)


def _copy(file: Path, draft: Path) -> None:
    """Copy it before it is looked into: it may lie where others write, and SQLite would leave files beside it."""
    if not file.is_file():
        raise RestoreError(f"There is no file {file}.")
    if database.path().exists() and file.samefile(database.path()):
        raise RestoreError(f"{file} is the database in use itself.")
    with file.open("rb") as content:
        head = content.read(20)
    if not head.startswith(MAGIC) or len(head) < 20:
        raise RestoreError(f"{file} is not a backup: it is no SQLite database.")
    log = file.with_name(f"{file.name}-wal")
    parts = {file: draft}
    if head[18] == IN_WAL_MODE and log.exists():
        parts[log] = draft.with_name("db.sqlite3-wal")
    need_room(draft.parent, sum(part.stat().st_size for part in parts))
    for part, copy in parts.items():
        with part.open("rb") as content, os.fdopen(os.open(copy, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as written:
            shutil.copyfileobj(content, written, 1024 * 1024)


def _examine(file: Path, connection: sqlite3.Connection) -> dict[str, str]:
    """What a backup says of itself, empty for a bare database; RestoreError where it is broken or not ours."""
    try:
        is_known = is_ours(connection)
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE name='iotsite_backup'")]
        rows = connection.execute("SELECT name, value FROM iotsite_backup") if tables else []
        said = {str(name): "".join(filter(str.isprintable, str(value)))[:200] for name, value in rows}
    except sqlite3.DatabaseError as error:
        raise RestoreError(f"{file} is broken: {error}.") from error
    if not is_known or (said and said.get("application") != APPLICATION):
        raise RestoreError(f"{file} is a database of another application.")
    if found := damage(connection):
        raise RestoreError(f"{file} is broken: {found}.")
    return {"made_at": "an unknown moment", "version": "an unknown version"} | said if said else {}


def _usable(key: str) -> str:
    key = key.strip()
    return key if len(key) >= SHORTEST_KEY and key.isprintable() else ""


def _migrate(draft: Path, lock: int) -> None:
    """Bring it up to this version, in a process of its own: the settings of this one name the database in use.

    It has the lock too: of a restore that is killed, it may go on.
    """
    run_dir = settings.RUN_DIR / "restore"
    places = {"DATA_DIR": str(draft.parent), "RUN_DIR": str(run_dir), "SECRET_KEY": settings.SECRET_KEY}
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--verbosity", "0", "--no-input"]
    try:
        done = subprocess.run(command, env=os.environ | places, pass_fds=[lock], capture_output=True, text=True)
    finally:
        shutil.rmtree(run_dir, ignore_errors=True)
    if done.returncode != 0:
        why = done.stderr.strip().splitlines()[-1:] or ["it says nothing"]
        raise RestoreError(f"It cannot be brought up to this version: {why[0]}")


# --- the exchange -----------------------------------------------------------------------------------------------


def refuse_while_in_use() -> None:
    """RestoreError where a process uses the database, with what is to be stopped."""
    with _alone():
        pass


@contextmanager
def _alone() -> Iterator[None]:
    if supervisor := holders.pids(settings.RUN_DIR / "server.lock"):  # it would start the others any moment
        raise in_use(supervisor)
    try:
        with database.alone():
            yield
    except BlockingIOError:
        raise in_use(holders.pids(database.lock_path())) from None


def in_use(by: set[int]) -> RestoreError:
    names = ", ".join(holders.described(pid) for pid in sorted(by)) or "a process that cannot be seen from here"
    units = sorted({unit for pid in by if (unit := holders.unit(pid))})
    if holders.pids(settings.RUN_DIR / "server.lock"):
        way_out = "press Ctrl-C where script/server runs"
    elif units:
        way_out = f"sudo systemctl stop {' '.join(units)}"
    else:
        way_out = "end these processes"
    return RestoreError(f"The database is in use by {names}: {way_out}, and try again. Nothing was changed.")


def exchange(ready: Ready) -> Path | None:
    """Let it take the place of the database; where what it replaced is kept, None where there was nothing."""
    with _alone():
        _fold_in_log()
        _complete(ready.file)
        return _exchange(ready)


def _fold_in_log() -> None:
    """Move the old database's log into it, so that the file alone is all of it; one too broken for that is left."""
    if not database.path().exists():
        return
    try:
        with closing(connect(database.path())) as old:
            [is_busy, *_] = old.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.DatabaseError as error:
        if not is_corrupt(error):
            raise
        return
    if is_busy:
        raise RestoreError("Another program has the database open: close it and try again. Nothing was changed.")


def _complete(draft: Path) -> None:
    with closing(connect(draft)) as connection:
        if database.path().exists():
            try:
                connection.execute("ATTACH ? AS old", (f"{database.path().as_uri()}?mode=ro",))
                go_on_counting(connection, "old")
            except sqlite3.DatabaseError:
                pass  # too broken to say how far it had counted
        # A press that was under way then is over: a gate must not open because a backup is restored.
        connection.execute("UPDATE relays_relay SET wanted = 0, wanted_until = NULL WHERE mode = 'momentary'")
        connection.execute("PRAGMA main.journal_mode=WAL")
    sync(draft)


def go_on_counting(connection: sqlite3.Connection, other: str) -> None:
    """Give no number twice: who follows the Events by their numbers would miss those that have old ones."""
    connection.execute(
        f"UPDATE main.sqlite_sequence AS mine SET seq = max(seq, coalesce("
        f"(SELECT max(seq) FROM {other}.sqlite_sequence AS theirs WHERE theirs.name = mine.name), 0))"
    )
    connection.execute(
        f"INSERT INTO main.sqlite_sequence SELECT name, seq FROM {other}.sqlite_sequence"
        " WHERE name IN (SELECT name FROM main.sqlite_master) AND name NOT IN (SELECT name FROM main.sqlite_sequence)"
    )


def _exchange(ready: Ready) -> Path | None:
    place, log, work = database.path(), database.log_path(), ready.file.parent
    replaced = work / "replaced"
    replaced.mkdir(mode=0o700)
    for part in (place, log, settings.DATA_DIR / "secret_key"):
        if part.exists() and part.stat().st_size:
            os.link(part, replaced / part.name)
    for folder in (replaced, work, settings.DATA_DIR):
        sync(folder)
    for leftover in (log, log.with_name("db.sqlite3-shm")):
        leftover.unlink(missing_ok=True)
    ready.file.replace(place)
    sync(settings.DATA_DIR)
    put_key(ready)
    if not (replaced / place.name).exists():
        return None
    kept = replaced.rename(kept_folder())
    sync(settings.DATA_DIR)
    return kept


def has_other_key(ready: Ready) -> bool:
    """Whether the settings name a key, which counts wherever a backup is from, and not the backup's."""
    key = settings.DATA_DIR / "secret_key"
    is_named = not key.exists() or key.read_text().strip() != settings.SECRET_KEY
    return is_named and ready.key not in ("", settings.SECRET_KEY)


def put_key(ready: Ready) -> None:
    """Take the key that signed what is in the backup."""
    if ready.key in ("", settings.SECRET_KEY) or has_other_key(ready):
        return
    key = settings.DATA_DIR / "secret_key"
    draft = ready.file.with_name("secret_key")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(ready.key)
    sync(draft)
    draft.replace(key)
    sync(settings.DATA_DIR)
