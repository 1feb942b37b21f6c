"""The machine that the site is installed on: where things lie, and how its programs and units are run.

Standard library only, any Python 3.9: this runs before anything is installed. With a root of its own all of it lies
below that folder, and nothing is started.
"""

from __future__ import annotations

import fcntl
import os
import pwd
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

PYTHON = "/usr/bin/python3"
"""A Python in somebody's home is one that the services cannot see."""
USER = "iotsite"


class MachineError(Exception):
    """Why it cannot be done, in a sentence that says what to do."""


def say(sentence: str) -> None:
    try:
        print(sentence, flush=True)
    except OSError:
        pass  # the terminal is gone; what was begun is still to be ended


@dataclass(frozen=True)
class Account:
    """Somebody of this machine, as whom a program can be run."""

    uid: int
    gid: int
    home: str
    groups: tuple[int, ...] = ()

    @classmethod
    def of(cls, uid: int) -> Account:
        try:
            found = pwd.getpwuid(uid)
        except KeyError:
            return cls(uid, uid, "/")
        return cls(uid, found.pw_gid, found.pw_dir)

    def becoming(self) -> dict[str, Any]:
        """What subprocess needs to be told; only root can become somebody else."""
        if os.geteuid() != 0:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": list(self.groups)}


PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def run(
    *command: str | Path,
    account: Account | None = None,
    cwd: str | Path = "/",
    env: Mapping[str, str] | None = None,
    stdin: IO[bytes] | int = subprocess.DEVNULL,
    stdout: IO[bytes] | int = subprocess.PIPE,
    shows: bool = False,
    keeps: Sequence[int] = (),
) -> str:
    """Run a program to its end; what it printed. ``shows``: what it prints is shown instead. ``keeps``: open files.

    MachineError, with its last words, where it failed. Of our environment it sees only what ``env`` hands on.
    """
    home = account.home if account else "/"
    given = {"PATH": PATH, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "HOME": home, **(env or {})}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=cwd,
            env=given,
            stdin=stdin,
            stdout=None if shows else stdout,
            stderr=None if shows else subprocess.PIPE,
            pass_fds=keeps,
            **(account.becoming() if account else {}),
        )
    except OSError as error:
        raise MachineError(f"{command[0]} cannot be run: {error.strerror}.") from error
    if done.returncode != 0:
        raise MachineError(_last_words(command, done))
    return (done.stdout or b"").decode(errors="replace")


def _last_words(command: Sequence[str | Path], done: subprocess.CompletedProcess[bytes]) -> str:
    called = " ".join(str(part) for part in command)
    said = (done.stderr or done.stdout or b"").decode(errors="replace").strip()
    how = f"was killed by signal {-done.returncode}" if done.returncode < 0 else f"ended with status {done.returncode}"
    return f"“{called}” {how}" + (f":\n{said}" if said else ".")


class Machine:
    """Where everything lies, below ``root``."""

    def __init__(self, root: Path = Path("/"), units: Units | None = None) -> None:
        self.root = root
        self.units = units or Units(root)
        self.releases = self.at("/opt/iotsite/releases")
        self.current = self.at("/opt/iotsite/current")
        self.config = self.at("/etc/iotsite.env")
        self.data_dir = self.at("/var/lib/iotsite")
        self.run_dir = self.at("/run/iotsite")
        self.command = self.at("/usr/local/bin/iotsite")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    @property
    def is_live(self) -> bool:
        """Whether this is the machine that runs, and not a folder that is to become one."""
        return self.root == Path("/")

    @property
    def release(self) -> Path | None:
        """The release in use."""
        return self.current.resolve() if self.current.exists() else None

    @property
    def has_user(self) -> bool:
        return USER in self._entries("passwd")

    @property
    def account(self) -> Account:
        """The user iotsite, with the group that may open GPIO chips."""
        users, groups = self._entries("passwd"), self._entries("group")
        if USER not in users:
            raise MachineError("This machine has no user iotsite yet: run script/install first.")
        gpio = (int(groups["gpio"][2]),) if "gpio" in groups else ()
        return Account(int(users[USER][2]), int(users[USER][3]), str(self.data_dir), gpio)

    def _entries(self, file: str) -> dict[str, list[str]]:
        try:
            rows = self.at(f"/etc/{file}").read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return {}
        return {row.split(":")[0]: row.split(":") for row in rows if row.count(":") >= 3}

    def own(self, path: Path, mode: int, *, uid: int = 0, gid: int = 0) -> None:
        """Give a file to whom it belongs; without root's power it stays ours."""
        path.chmod(mode)
        if os.geteuid() == 0:
            os.chown(path, uid, gid)

    def manage(
        self, *arguments: str, release: Path | None = None, shows: bool = False, keeps: Sequence[int] = ()
    ) -> str:
        """manage.py of a release (the one in use), as the user iotsite; what it printed."""
        release = release or self.current
        env = {"DATA_DIR": str(self.data_dir), "RUN_DIR": str(self.run_dir)} if not self.is_live else {}
        program = (release / ".venv/bin/python", release / "manage.py")
        return run(*program, *arguments, account=self.account, env=env, shows=shows, keeps=keeps)

    def boards(self) -> list[int]:
        """The numbers of the enabled boards; none where there is no database yet."""
        database = self.data_dir / "db.sqlite3"
        if not database.exists():
            return []
        # As the user iotsite: what root opened for reading could leave files behind that are root's.
        said = run(PYTHON, "-I", "-c", ASK_BOARDS, database.as_uri(), account=self.account)
        return [int(number) for number in said.split()]

    def services(self) -> list[str]:
        """The units that shall run: a controller for each enabled board, web, refresh."""
        return [*(controller(number) for number in self.boards()), WEB, REFRESH]

    def release_of(self, unit: str) -> Path | None:
        """The release whose code a unit runs: the folder it works in; None where it does not run."""
        pid = self.units.property(unit, "MainPID")
        try:
            return Path(f"/proc/{pid}/cwd").readlink() if pid not in ("", "0") else None
        except OSError:
            return None

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Be the only one that installs, updates or removes; the kernel frees the lock at death."""
        with self._lock_file("iotsite.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise MachineError("Another script/install or script/update is at work: let it end first.") from None
            yield

    @contextmanager
    def changing_data(self) -> Iterator[int]:
        """Wait until no other changes the database, and be the one. Whatever is run with this lock has it until its
        own end, also where we are killed: nothing may be put back before that."""
        with self._lock_file("iotsite-data.lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock.fileno()

    def _lock_file(self, name: str) -> IO[str]:
        folder = self.at("/run/lock")
        folder.mkdir(parents=True, exist_ok=True)
        return (folder / name).open("a")


ASK_BOARDS = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1] + "?mode=ro", uri=True, timeout=5)
connection.execute("PRAGMA wal_autocheckpoint=0")
print(*(number for number, in connection.execute("SELECT id FROM relays_board WHERE is_enabled ORDER BY id")))
"""

WEB, REFRESH = "iotsite-web.service", "iotsite-refresh.service"
CONTROLLER = "iotsite-controller@.service"
RECOVER = "iotsite-recover.service"
"""At boot, before all others: brings an update to its end that was interrupted."""


def controller(board: int) -> str:
    return CONTROLLER.replace("@", f"@{board}")


class Units:
    """systemd, as far as we need it. Below a root only what lies on the disk can be changed: nothing runs there."""

    def __init__(self, root: Path = Path("/")) -> None:
        self.root = root

    def _systemctl(self, *arguments: str) -> str:
        where = [] if self.root == Path("/") else [f"--root={self.root}"]
        return run("systemctl", *where, "--no-ask-password", *arguments)

    def _systemctl_live(self, *arguments: str) -> str:
        return self._systemctl(*arguments) if self.root == Path("/") else ""

    def enable(self, *units: str) -> None:
        """Let them start at each boot."""
        self._systemctl("--quiet", "enable", *units)

    def disable(self, *units: str) -> None:
        """No more; of a template, all its instances."""
        self._systemctl("--quiet", "disable", *units)

    def daemon_reload(self) -> None:
        self._systemctl_live("daemon-reload")

    def start(self, *units: str) -> None:
        self._systemctl_live("start", *units)

    def stop(self, *units: str) -> None:
        self._systemctl_live("stop", *units)

    def restart(self, *units: str) -> None:
        self._systemctl_live("restart", *units)

    def reload(self, *units: str) -> None:
        self._systemctl_live("reload", *units)

    def forget_failures(self, *units: str) -> None:
        """Forget that they failed and how often they were started, so that they may be started again."""
        self._systemctl_live("reset-failed", *units)

    def property(self, unit: str, name: str) -> str:
        """What systemd knows of a unit: ActiveState, NRestarts, Result, MainPID, …"""
        return self._systemctl_live("show", f"--property={name}", "--value", unit).strip()

    def instances(self, template: str) -> list[str]:
        """The units of a template that systemd knows of now: iotsite-controller@1.service, …"""
        name, at, ending = template.partition("@")
        rows = self._systemctl_live("list-units", "--all", "--plain", "--no-legend", f"{name}{at}*{ending}")
        return [row.split()[0] for row in rows.splitlines() if row.split()]

    def is_active(self, unit: str) -> bool:
        return self.property(unit, "ActiveState") in ("active", "reloading")


def end_well(work: Callable[[], None]) -> int:
    """Run the work of a script; its exit status."""
    os.umask(0o022)  # sudo may keep one under which the services could not read what is installed
    try:
        work()
    except MachineError as error:
        print(error, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("Interrupted. Running it again finishes it.", file=sys.stderr)
        return 130
    return 0
