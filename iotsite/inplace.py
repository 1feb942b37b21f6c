"""Put a backup into the living database file, while controllers run: how script/update goes back.

All of it is one transaction of SQLite's backup API, into the same file, so that a controller goes on with its lines and
reads its rows anew. Nothing moves: what is wanted of each relay, and what became of it, stays as it is now, with the
Events of that; everything else is as in the backup.
"""

import shutil
import sqlite3
import time
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError

from iotsite import database, holders
from iotsite.backup import connect, copy_all, need_room, sync
from iotsite.restore import Ready, RestoreError, go_on_counting, in_use, kept_folder, put_key

OF_A_RELAY = (
    *("wanted", "wanted_at", "wanted_until", "wanted_by_id", "wanted_via", "command", "applied_command"),
    *("actual", "actual_at", "fault", "cycles", "on_for"),
)
OF_A_BOARD = ("stopped_at", "stopped_by")
A_MOMENT = 2.0
MOVED_BY_EDITS = ("board_id", "line", "polarity", "mode", "is_enabled", "interlock_id")
"""Where one of these is another one in the backup, the controller lets a line go."""


def refuse_while_others_write() -> None:
    """RestoreError where anything but the controllers of boards uses the database.

    A controller that starts just now reads which board is its own before it takes the lock of that: it has a moment.
    """
    end = time.monotonic() + A_MOMENT
    while others := holders.pids(database.lock_path()) - _controllers():
        if time.monotonic() > end:
            raise in_use(others)
        time.sleep(0.1)


def _controllers() -> set[int]:
    return set[int]().union(*(holders.pids(lock) for lock in settings.RUN_DIR.glob("board-*.lock")))


def overwrite(ready: Ready) -> Path:
    """Write it over the database; where a copy of what was there is kept."""
    refuse_while_others_write()
    try:
        database.admit()
    except DatabaseError as error:
        raise RestoreError(str(error)) from error
    with closing(connect(ready.file)) as source, closing(connect(database.path())) as target:
        database.remember()
        _compare_pages(source, target)
        # A copy of the old, and the new once more in the log.
        need_room(settings.DATA_DIR, database.size() + database.wal_size() + ready.file.stat().st_size)
        kept = _keep(target, ready.file.with_name("copy"))
        _overwrite(source, target)
    put_key(ready)
    return kept


def _compare_pages(*connections: sqlite3.Connection) -> None:
    if len({connection.execute("PRAGMA page_size").fetchone() for connection in connections}) > 1:
        raise RestoreError("Its pages are of another size: stop everything and restore it without --in-place.")


def _keep(living: sqlite3.Connection, folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    copy = folder / "db.sqlite3"
    copy.touch(mode=0o600)
    with closing(connect(copy)) as target:
        target.execute("PRAGMA synchronous=OFF")
        copy_all(living, target)
        target.execute("PRAGMA journal_mode=DELETE")
    sync(copy)
    if (key := settings.DATA_DIR / "secret_key").exists():
        shutil.copy2(key, folder)
    sync(folder)
    kept = folder.rename(kept_folder())
    sync(settings.DATA_DIR)
    return kept


def _overwrite(source: sqlite3.Connection, target: sqlite3.Connection) -> None:
    """Copy all pages in one transaction of the target, in which nobody else can write from the first page on.

    After that page what is wanted now can be read for good: it is written into the source, and SQLite brings pages
    that it copied before up to date. That is why it goes page by page: the last step would be the commit already.
    """
    source.execute("ATTACH ? AS living", (f"{database.path().as_uri()}?mode=ro",))
    is_begun = False

    def after_a_page(status: int, remaining: int, total: int) -> None:
        nonlocal is_begun
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):  # Python would try again for ever
            raise RestoreError("Others have been writing for too long: try again. Nothing was changed.")
        if not is_begun:
            is_begun = True
            _take_over(source)

    try:
        source.backup(target, pages=1, progress=after_a_page)
    except sqlite3.DatabaseError as error:
        raise RestoreError(f"It does not go with the relays as they are now ({error}): {STOP_FIRST}") from error


STOP_FIRST = "stop the controllers and restore it without --in-place. Nothing was changed."


def _take_over(source: sqlite3.Connection) -> None:
    """Into the backup: what is wanted now, and how it came to that."""
    _refuse_moves(source)
    source.execute("BEGIN IMMEDIATE")
    source.execute("UPDATE relays_relay SET wanted = 0, wanted_until = NULL")
    _take_columns(source, "relays_relay", OF_A_RELAY)
    _take_columns(source, "relays_board", OF_A_BOARD)
    source.execute(
        "UPDATE relays_relay SET wanted_by_id = NULL WHERE wanted_by_id NOT IN (SELECT id FROM accounts_user)"
    )
    _take_events(source)
    go_on_counting(source, "living")
    source.execute("COMMIT")


def _refuse_moves(source: sqlite3.Connection) -> None:
    same = " AND ".join(f"mine.{name} IS now.{name}" for name in MOVED_BY_EDITS)
    moving = source.execute(
        "SELECT now.name FROM living.relays_relay AS now JOIN living.relays_board AS board ON board.id = now.board_id"
        f" LEFT JOIN relays_relay AS mine ON mine.id = now.id AND {same}"
        " LEFT JOIN relays_board AS its ON its.id = mine.board_id"
        " AND its.is_enabled = board.is_enabled AND its.driver = board.driver"
        " WHERE (now.wanted OR now.actual) AND its.id IS NULL"
    ).fetchone()
    if moving:
        raise RestoreError(f"{moving[0]} is on, and not the same relay in the backup: {STOP_FIRST}")


def _take_columns(source: sqlite3.Connection, table: str, wished: Iterable[str]) -> None:
    """The columns of all rows that both have, from the living table; those that both versions know."""
    both = _columns(source, "main", table).keys() & _columns(source, "living", table).keys()
    names = ", ".join(name for name in wished if name in both)
    source.execute(
        f"UPDATE main.{table} SET ({names}) = (SELECT {names} FROM living.{table} AS now WHERE now.id = {table}.id)"
        f" WHERE id IN (SELECT id FROM living.{table})"
    )


def _take_events(source: sqlite3.Connection) -> None:
    """The Events since the backup, of boards and relays that it has; none where this version asks more of one."""
    mine, theirs = _columns(source, "main", "relays_event"), _columns(source, "living", "relays_event")
    if any(is_needed for name, is_needed in mine.items() if name not in theirs):
        return
    names = [name for name in mine if name in theirs]
    by = "CASE WHEN by_id IN (SELECT id FROM accounts_user) THEN by_id END"
    values = ", ".join(by if name == "by_id" else name for name in names)
    source.execute(
        f"INSERT INTO main.relays_event ({', '.join(names)}) SELECT {values} FROM living.relays_event"
        " WHERE id > ?1 AND board_id IN (SELECT id FROM main.relays_board)"
        " AND (relay_id IS NULL OR relay_id IN (SELECT id FROM main.relays_relay))"
        " AND (of_id IS NULL OR of_id > ?1 OR of_id IN (SELECT id FROM main.relays_event)) ORDER BY id",
        source.execute("SELECT coalesce(max(id), 0) FROM main.relays_event").fetchone(),
    )


def _columns(source: sqlite3.Connection, database: str, table: str) -> dict[str, bool]:
    """The columns of a table, and whether each must have a value."""
    return {row[1]: bool(row[3]) for row in source.execute(f"PRAGMA {database}.table_info({table})")}
