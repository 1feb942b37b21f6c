"""Where the site keeps what it writes: its folders, the database, the room for it, the backups."""

import math
import shlex
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from django.template.defaultfilters import filesizeformat

from iotsite import database, places, schema
from iotsite.doctor.findings import Finding, lasting, right, untold, wrong
from iotsite.doctor.machine import Machine, user_called

MEMORY = ("tmpfs", "ramfs")
LEAST_ROOM = 200 * 2**20
"""Bytes that an SD card should have left in any case."""
BACKUP_EVERY = 30 * 86400.0
YOUNG = 7 * 86400.0
"""Seconds for which a new site may go without a backup."""


def data_dir(machine: Machine) -> Iterator[Finding]:
    folder = settings.DATA_DIR
    if machine.file_system(folder).f_flag & 1:  # ST_RDONLY
        says = f"{folder} cannot be written: its file system is read-only, as one becomes when a card fails."
        yield wrong("DATA_DIR", says, "sudo dmesg --level=err,warn | tail -n 20")
        return
    yield from _private("DATA_DIR", folder, f"{folder}, for {machine.user} alone.")


def run_dir(machine: Machine) -> Iterator[Finding]:
    folder = settings.RUN_DIR
    kind = _file_system_of(folder, machine.read("/proc/self/mountinfo"))
    if not kind:
        says = f"Whether {folder} lies in memory cannot be seen here."
        yield untold("RUN_DIR", says, f"findmnt --target {shlex.quote(str(folder))}")
    elif kind not in MEMORY:
        says = f"{folder} lies on a disk ({kind}): a heartbeat each second wears out an SD card."
        in_memory = "/run/iotsite" if machine.is_installed else ""
        yield wrong("RUN_DIR", says, machine.anew(*machine.set("RUN_DIR", in_memory)))
    else:
        yield from _private("RUN_DIR", folder, f"{folder}, in memory, for {machine.user} alone.")


def _private(about: str, folder: Path, as_it_should_be: str) -> Iterator[Finding]:
    """The folder, and all that lies in it, belongs to the one who runs the site, and nobody else may look."""
    found = folder.lstat()
    owner = user_called(found.st_uid)
    if stat.S_IMODE(found.st_mode) != 0o700:
        says = f"{folder} is open to others (mode {stat.S_IMODE(found.st_mode):o})."
        yield wrong(about, says, f"sudo chmod 700 {shlex.quote(str(folder))}")
        return
    foreign = sorted(file.name for file in folder.iterdir() if file.lstat().st_uid != found.st_uid)
    if foreign:
        says = f"In {folder}, {' and '.join(foreign[:3])} do not belong to {owner}, who has to write to them."
        yield wrong(about, says, f"sudo chown -R {owner}: {shlex.quote(str(folder))}")
    else:
        yield right(about, as_it_should_be)


def _file_system_of(folder: Path, mounts: str) -> str:
    """What kind of file system a folder lies on: that of the longest mount point above it; the last one laid there."""
    found, kind = "", ""
    for row in mounts.splitlines():
        before, _, after = row.partition(" - ")
        words = before.split()
        point = words[4].replace("\\040", " ") if len(words) > 4 else ""
        if point and folder.is_relative_to(point) and len(point) >= len(found):
            found, kind = point, after.split(" ")[0]
    return kind


def room(machine: Machine) -> Iterator[Finding]:
    """Whether the disk has room to go on, and for a backup, which is as large as the database."""
    found = machine.file_system(settings.DATA_DIR)
    free = found.f_bavail * found.f_frsize
    need = LEAST_ROOM + database.size() + database.wal_size()
    left = f"{size(free)} of {size(found.f_blocks * found.f_frsize)} are free"
    if free >= need:
        yield right("Disk space", f"{left}.")
    else:
        says = f"{left}; the site, with room for a backup, wants {size(need)}."
        folder = shlex.quote(str(settings.DATA_DIR))
        yield wrong("Disk space", says, f"sudo apt clean\nsudo journalctl --vacuum-size=50M\nsudo du -xsh {folder}/*")


def tables(machine: Machine) -> Iterator[Finding]:
    """The database: there, ours, and its tables those that this version works with."""
    if not machine.away:
        yield from _versions(machine)
    elif _was_never_made():
        yield wrong("Database", f"There is none yet at {database.path()}.", machine.reinstall())
    else:
        yield wrong("Database", machine.away, _how_to_bring_back(machine))


def _was_never_made() -> bool:
    return not database.path().exists() and places.read_whole(settings.RUN_DIR / "database") is None


def _how_to_bring_back(machine: Machine) -> str:
    found = _backups()
    is_lost = not database.path().exists() or any(word in machine.away for word in ("malformed", "not a database"))
    if is_lost and found:
        return machine.anew(machine.manage(f"restore {shlex.quote(str(found[0]))}"))
    return machine.anew()


def _versions(machine: Machine) -> Iterator[Finding]:
    applied = MigrationRecorder(connection).applied_migrations()
    if newer := schema.newer(applied):
        says = f"It was written by a newer iotsite ({newer}), which this one would read wrongly."
        yield wrong("Database", says, "sudo script/update" if machine.is_installed else "git pull && script/server")
    elif schema.is_behind(applied):
        steps = (machine.manage("backup"), machine.manage("migrate"), machine.start("web"))
        yield wrong("Database", "Its tables are those of an older iotsite.", "\n".join(steps))
    else:
        yield right("Database", f"{size(database.size())}, with the tables of this version.")


def log(machine: Machine) -> Iterator[Finding]:
    found = database.wal_size()
    if found <= database.WAL_LIMIT:
        yield right("Write-ahead log", f"{size(found)}.")
    else:
        says = f"The database's log has grown to {size(found)}: something keeps it from being emptied."
        yield wrong("Write-ahead log", says, machine.start("web"))


def backups(machine: Machine) -> Iterator[Finding]:
    found, command = _backups(), machine.manage("backup")
    if found:
        age = _age(found[0])
        says = f"The newest is {lasting(age)} old: {found[0].name}."
        yield right("Backup", says) if age <= BACKUP_EVERY else wrong("Backup", says, command)
    elif _age(settings.DATA_DIR / "secret_key") <= YOUNG:
        yield right("Backup", "None yet, which a site in its first week may do without.")
    else:
        yield wrong("Backup", f"There is none in {settings.DATA_DIR / 'backups'}.", command)


def _age(file: Path) -> float:
    """Seconds since a file was written; without end where it is not there."""
    try:
        return max(0.0, time.time() - file.stat().st_mtime)
    except OSError:
        return math.inf


def _backups() -> list[Path]:
    """Those in the folder where they go unless somebody chooses another, the newest first."""
    return sorted((settings.DATA_DIR / "backups").glob("iotsite-*.sqlite3"), reverse=True)


def size(number: int) -> str:
    """``640 KB``, ``17.0 MB``"""
    return filesizeformat(number).replace("\xa0", " ")
