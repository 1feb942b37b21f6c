"""The machine that is looked at, and what one types on it. Looking changes nothing."""

import ctypes
import os
import pwd
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, wraps
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from iotsite import database, places
from iotsite.doctor.findings import Finding, untold
from relays.runfiles import BoardFiles

PATIENCE = 5.0
"""Seconds that another program has to answer."""


class Timex(ctypes.Structure):
    """The beginning of struct timex (adjtimex(2)), and room for the rest."""

    _fields_ = [
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("rest", ctypes.c_byte * 512),
    ]


def clock_error() -> int | None:
    """By how many microseconds the kernel reckons that its clock may be wrong, from whoever keeps it; None: unsaid."""
    told = Timex()
    return told.maxerror if ctypes.CDLL(None).adjtimex(ctypes.byref(told)) >= 0 else None


@dataclass
class Machine:
    """What lies below ``root`` (all but DATA_DIR and RUN_DIR), seen once; made anew for each look."""

    root: Path = Path("/")
    code: Path = settings.BASE_DIR
    port: int | None = None
    """The one of the web server that asks; others go by the settings."""
    python: tuple[int, ...] = sys.version_info[:3]
    file_system: Callable[[Path], os.statvfs_result] = os.statvfs
    clock_error: Callable[[], int | None] = clock_error

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def read(self, path: str) -> str:
        """The text of a file; empty where there is none, or none for us."""
        try:
            return self.at(path).read_text(errors="replace")
        except OSError:
            return ""

    def run(self, program: str, *arguments: str) -> str | None:
        """What another program prints; None where it is not there or fails."""
        try:
            done = subprocess.run(  # noqa: S603 fixed programs, no shell
                [self.at(program), *arguments],
                capture_output=True,
                text=True,
                errors="replace",
                timeout=PATIENCE,
                env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return done.stdout if done.returncode == 0 else None

    @cached_property
    def user(self) -> str:
        return user_called(os.geteuid())

    @property
    def is_installed(self) -> bool:
        """Whether systemd runs it, as script/install sets it up; else script/server does."""
        return self.code.is_relative_to(self.at("/opt/iotsite"))

    @cached_property
    def is_confined(self) -> bool:
        """Whether systemd keeps this process from much that it could otherwise look at."""
        return re.search(r"^Seccomp:\s*[12]", self.read("/proc/self/status"), re.MULTILINE) is not None

    @cached_property
    def model(self) -> str:
        """Which Raspberry Pi this is; empty where it is none."""
        said = self.read("/proc/device-tree/model") or self.read("/sys/firmware/devicetree/base/model")
        return said.rstrip("\0\n") if "Raspberry Pi" in said else ""

    @cached_property
    def server(self) -> list[str]:
        """The number and the words of the script/server that runs with these data; nothing where none does."""
        try:
            pid = (settings.RUN_DIR / "server.lock").read_text().strip()
        except OSError:
            return []
        words = self.read(f"/proc/{pid}/cmdline").split("\0") if pid.isdecimal() else []
        return [pid, *words] if "iotsite.supervisor" in words else []

    @cached_property
    def away(self) -> str:
        """Why the rows of the database cannot be read, in a sentence; empty where they can."""
        if self._is_replaced:
            return database.REPLACED.format(database.path())
        try:
            database.check()
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM sqlite_master")
        except DatabaseError as error:
            if not database.path().exists():
                return f"The database {database.path()} is gone."
            return database.problem() or f"The database does not answer: {error}."
        return ""

    @property
    def _is_replaced(self) -> bool:
        """Opening it then would lay the log of the old one aside: that is for those who work with it."""
        known = places.read_whole(settings.RUN_DIR / "database")
        try:
            found = database.path().stat()
        except OSError:
            return False
        return known is not None and known.get("file") != [found.st_dev, found.st_ino]

    # --- what one types -------------------------------------------------------------------------------------

    def manage(self, words: str) -> str:
        return f"sudo iotsite {words}" if self.is_installed else f".venv/bin/python manage.py {words}"

    def start(self, unit: str) -> str:
        """Start, or start anew, one of the programs of the site."""
        if self.is_installed:
            return f"sudo systemctl restart iotsite-{unit}"
        return f"kill -HUP {self.server[0]}" if self.server else "script/server"

    def stop(self) -> list[str]:
        """End all of them, in good order; nothing to type where nothing runs."""
        if self.is_installed:
            return [f"sudo systemctl stop {self._services}"]
        return [f"kill {self.server[0]}"] if self.server else []

    def anew(self, *between: str) -> str:
        """End all of them, do what is ``between``, and start all of them."""
        again = f"sudo systemctl start {self._services}" if self.is_installed else "script/server"
        return "\n".join([*self.stop(), *between, again])

    @property
    def _services(self) -> str:
        """By their names: a pattern would mean the failsafe, too, which switches off."""
        boards = [f"controller@{files.board}" for files in BoardFiles.all(settings.RUN_DIR)]
        return " ".join(f"iotsite-{unit}" for unit in ("web", "refresh", *boards))

    def reinstall(self) -> str:
        """Mend what is installed."""
        return "sudo script/install" if self.is_installed else "script/server"

    def set(self, name: str, value: str = "") -> list[str]:
        """Give a setting another value, or its default."""
        file, sudo = ("/etc/iotsite.env", "sudo ") if self.is_installed else (".env", "")
        rows = [f"{sudo}sed -i '/^{name}=/d' {file}"]
        return [*rows, f"echo {name}={value} | {sudo}tee -a {file}"] if value else rows


Check = Callable[[Machine], Iterator[Finding]]


def user_called(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def of_rows(about: str) -> Callable[[Check], Check]:
    """For a check that reads rows: where they cannot be read, it says so and no more."""

    def of(check: Check) -> Check:
        @wraps(check)
        def looked(machine: Machine) -> Iterator[Finding]:
            if machine.away:
                yield untold(about, "It stands in the database, which does not answer: mend that first.")
            else:
                yield from check(machine)

        return looked

    return of
