"""Takes along the data of a try-out, which script/server ran on."""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from machine import Machine, MachineError, say


def check(machine: Machine, source: Path) -> None:
    """MachineError where they cannot be taken along; nothing was changed then."""
    database = source / "db.sqlite3"
    if not database.is_file():
        raise MachineError(f"{source} holds no data of iotsite: there is no db.sqlite3 in it.")
    if (machine.data_dir / "db.sqlite3").exists():
        raise MachineError(
            f"{machine.data_dir} holds data already, and nothing is written over. Leave out --from to go on with those."
        )
    if users := _users_of(database):
        raise MachineError(
            f"The data in {source} are in use (pid {', '.join(users)}): end script/server there first, with Ctrl-C."
        )


def _users_of(database: Path) -> list[str]:
    """The pids of those who have the file open, as far as we may see."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(handle.resolve() == database for handle in (process / "fd").iterdir()):
                found.append(process.name)
        except OSError:
            continue
    return found


def take_along(machine: Machine, source: Path) -> None:
    """Copy the database and the key; theirs stay as they are."""
    account = machine.account
    if (source / "secret_key").exists():
        key = machine.data_dir / "secret_key"
        shutil.copyfile(source / "secret_key", key)
        machine.own(key, 0o600, uid=account.uid, gid=account.gid)
    draft = machine.data_dir / ".db.sqlite3"
    draft.unlink(missing_ok=True)
    try:
        _copy(source / "db.sqlite3", draft)
    except sqlite3.Error as error:
        draft.unlink(missing_ok=True)
        raise MachineError(f"The database in {source} cannot be copied: {error}. Nothing was taken along.") from error
    machine.own(draft, 0o600, uid=account.uid, gid=account.gid)
    draft.rename(machine.data_dir / "db.sqlite3")
    say(f"The data in {source} are taken along. They are a copy: what lies there is not used any more.")


def _copy(source: Path, target: Path) -> None:
    with closing(sqlite3.connect(source)) as old, closing(sqlite3.connect(target)) as new:
        old.execute("PRAGMA wal_autocheckpoint=0")
        old.execute("SELECT count(*) FROM relays_board").fetchone()  # another program's would have none
        old.backup(new)
        new.create_function("REGEXP", 2, lambda pattern, text: re.search(pattern, text) is not None)
        [[verdict]] = new.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)
