"""What the site is made of: Python, its packages, SQLite."""

import platform
import re
import sqlite3
import sys
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec

from django.db import connection

from iotsite.doctor.findings import Finding, right, untold, wrong
from iotsite.doctor.machine import Machine

REQUIREMENT = re.compile(r"([\w.-]+)(?:\[[\w,]+\])?==([\w.]+)(?:; *(.+))?")
CONDITION = re.compile(r'(\w+) (<|==|in) "([^"]*)"')
SAFE_SQLITE = (3, 51, 3)


def python(machine: Machine) -> Iterator[Finding]:
    found = ".".join(map(str, machine.python))
    if (3, 11) <= machine.python < (3, 14):
        yield right("Python", f"{found}.")
    else:
        says = f"This is Python {found}; it takes 3.11, 3.12 or 3.13."
        yield wrong("Python", says, f"sudo apt install python3 python3-venv\n{machine.reinstall()}")


def packages(machine: Machine) -> Iterator[Finding]:
    try:
        wanted = dict(required((machine.code / "requirements.txt").read_text(), machine))
    except OSError as error:
        yield wrong("Packages", f"requirements.txt cannot be read: {error.strerror}.", machine.reinstall())
        return
    others = [said for name, version in wanted.items() if (said := _difference(name, version))]
    if others:
        yield wrong("Packages", f"{'; '.join(others)}.", machine.reinstall())
    elif machine.model and find_spec("lgpio") is None:
        command = f"sudo apt install python3-lgpio\n{machine.reinstall()}"
        yield wrong("Packages", "Python's lgpio is missing: no relay can be switched without it.", command)
    else:
        yield right("Packages", f"All {len(wanted)} that requirements.txt names, in its versions.")


def required(text: str, machine: Machine) -> Iterator[tuple[str, str]]:
    """The name and the version of each package that requirements.txt wants on this machine."""
    for row in text.splitlines():
        match = REQUIREMENT.fullmatch(row.strip())
        if match and _is_wanted(match[3] or "", machine):
            yield match[1], match[2]


def _is_wanted(conditions: str, machine: Machine) -> bool:
    here = {"sys_platform": sys.platform, "platform_machine": platform.machine()}
    for name, relation, value in CONDITION.findall(conditions):
        if name == "python_version":
            is_so = machine.python[:2] < tuple(int(part) for part in value.split("."))
        else:
            is_so = here[name] in value.split() if relation == "in" else here[name] == value
        if not is_so:
            return False
    return True


def _difference(name: str, version: str) -> str:
    try:
        found = metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"{name} {version} is missing"
    return "" if found == version else f"{name} {found} is installed and {version} is wanted"


def sqlite(machine: Machine) -> Iterator[Finding]:
    """Before 3.51.3 a database with a write-ahead log could be damaged by two checkpoints at a time."""
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info >= SAFE_SQLITE:
        yield right("SQLite", f"{found}.")
    elif machine.away:
        yield untold("SQLite", f"{found}. Whether its checkpoints are safe is told once the database answers.")
    elif _leaves_checkpoints():
        says = (
            f"{found}. Two checkpoints at a time could damage the database before 3.51.3; here one process makes all."
        )
        yield right("SQLite", says)
    else:
        says = f"{found}, which may damage the database: before 3.51.3, checkpoints must be left to one process."
        yield wrong("SQLite", says, machine.reinstall())


def _leaves_checkpoints() -> bool:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint")
        return bool(cursor.fetchone()[0] == 0)
