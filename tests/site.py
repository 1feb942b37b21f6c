"""A real site in folders of its own: real processes, a real database file, a simulated board.

For what cannot be shown within one process: kills, races, restarts, a database that goes away.
"""

import itertools
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from relays.boards.simulated import Row, history
from relays.runfiles import BoardFiles

ROOT = Path(__file__).resolve().parent.parent


def wait_for(is_so: Callable[[], Any], seconds: float = 20.0, what: str = "") -> Any:
    """Wait until ``is_so()`` gives something true, and return that; fail after ``seconds``."""
    end = time.monotonic() + seconds
    while not (found := is_so()):
        assert time.monotonic() < end, f"did not come about within {seconds} s: {what or is_so}"
        time.sleep(0.01)
    return found


def children_of(pid: int) -> dict[int, str]:
    """The children of a process by their pids, with their command lines."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return {int(child): command for child in found if (command := command_of(int(child)))}


def command_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def patient(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """Those of manage.py. A busy machine may take longer to switch than people like to wait."""
    return (*arguments, "--wait", "20") if arguments[0] == "switch" and "--wait" not in arguments else arguments


PORTS_OF_A_WORKER = 1_000
_ports = itertools.count(10_240 + PORTS_OF_A_WORKER * int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]))


def free_port() -> int:
    """One that nobody else is given, neither by the kernel (32768 and up) nor in another worker: it is bound late."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError


@dataclass
class Site:
    """DATA_DIR below ``folder``, RUN_DIR in memory as in earnest; processes started here are killed at the end."""

    folder: Path
    run_dir: Path = field(default_factory=lambda: Path(tempfile.mkdtemp(prefix="iotsite-test-", dir="/dev/shm")))
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    @property
    def env(self) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("DJANGO", "PYTEST"))}
        return kept | {"DATA_DIR": str(self.data_dir), "RUN_DIR": str(self.run_dir), "PYTHONUNBUFFERED": "1"}

    def files(self, board: int = 1) -> BoardFiles:
        return BoardFiles(self.run_dir, board)

    def history(self, line: str | None = None, board: int = 1) -> list[Row]:
        rows = history(self.files(board).lines)
        return [row for row in rows if line in (None, row.line)]

    def levels(self, line: str, board: int = 1) -> list[int]:
        """The sequence of levels a line went through, without repetitions."""
        levels: list[int] = []
        for row in self.history(line, board):
            if not levels or levels[-1] != row.level:
                levels.append(row.level)
        return levels

    def manage(self, *arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "manage.py", *patient(arguments)]
        return subprocess.run(command, cwd=ROOT, env=self.env, capture_output=True, text=True, timeout=timeout)

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Start a process of the site; what it prints goes to ``folder/log``."""
        with (self.folder / "log").open("ab") as log:
            process = subprocess.Popen(arguments, cwd=ROOT, env=self.env, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def start_controller(self, *arguments: str, board: int = 1) -> subprocess.Popen[bytes]:
        process = self.start(sys.executable, "manage.py", "run_relays", *arguments)

        def is_up() -> bool:
            assert process.poll() is None, self.log()
            return (self.files(board).last_beat() or {}).get("pid") == process.pid

        wait_for(is_up, what="the controller's heartbeat")
        return process

    def freeze(self, controller: subprocess.Popen[bytes]) -> None:
        """Stop a controller (SIGSTOP) between two of its transactions: in one, it would hold up all who write."""

        def holds_nobody_up() -> bool:
            controller.send_signal(signal.SIGSTOP)
            os.waitid(os.P_PID, controller.pid, os.WSTOPPED)
            with self.database() as database, suppress(sqlite3.OperationalError):
                database.execute("PRAGMA busy_timeout = 0")
                database.execute("BEGIN IMMEDIATE")
                return True
            controller.send_signal(signal.SIGCONT)
            return False

        wait_for(holds_nobody_up, what="a moment in which it writes nothing")

    def start_web(self, port: int = 0) -> tuple[subprocess.Popen[bytes], str]:
        """A web process and its address; ``port`` 0 is any free one."""
        port = port or free_port()
        process = self.start(sys.executable, "-m", "iotsite.serve", "--port", str(port))
        address = f"http://127.0.0.1:{port}"

        def is_up() -> bool:
            assert process.poll() is None, self.log()
            try:
                return bool(urllib.request.urlopen(f"{address}/healthz", timeout=2).status == 200)
            except OSError:
                return False

        wait_for(is_up, what="the web server")
        return process, address

    def add_user(self) -> None:
        """An administrator for ``sign_in``."""
        code = f"from accounts.models import User; User.objects.create_superuser('bench', password='{PASSWORD}')"
        done = self.manage("shell", "-c", code)
        assert done.returncode == 0, done.stderr

    def log(self) -> str:
        return (self.folder / "log").read_text()

    @contextmanager
    def database(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.data_dir / "db.sqlite3", timeout=10, isolation_level=None)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.row_factory = sqlite3.Row
            connection.create_function("REGEXP", 2, lambda pattern, text: re.search(pattern, text) is not None)
            yield connection

    def relay(self, slug: str) -> dict[str, Any]:
        """A relay's row."""
        with self.database() as connection:
            row = connection.execute("SELECT * FROM relays_relay WHERE slug = ?", (slug,)).fetchone()
        return dict(row)

    def events(self, slug: str) -> list[dict[str, Any]]:
        """A relay's Events, oldest first."""
        query = "SELECT e.* FROM relays_event e JOIN relays_relay r ON r.id = e.relay_id WHERE r.slug = ? ORDER BY e.id"
        with self.database() as connection:
            return [dict(row) for row in connection.execute(query, (slug,))]

    def count(self, table: str) -> int:
        with self.database() as connection:
            return int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])

    def wait_actual(self, slug: str, actual: bool | None, seconds: float = 10) -> None:
        wait_for(lambda: self.relay(slug)["actual"] == actual, seconds, f"{slug} {actual}")

    def end(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.send_signal(signal.SIGKILL)
            process.wait()
        shutil.rmtree(self.run_dir, ignore_errors=True)


PASSWORD = "a bench needs no secret"


def sign_in(address: str, username: str = "bench") -> requests.Session:
    """A browser's session of a user with PASSWORD, as ``Site.add_user`` makes; RequestException where web is away."""
    session = requests.Session()
    page = session.get(f"{address}/account/sign-in/", timeout=10).text
    token = re.search(r'name="csrfmiddlewaretoken" value="(\w+)"', page)
    form = {"csrfmiddlewaretoken": token[1] if token else "", "username": username, "password": PASSWORD}
    session.post(f"{address}/account/sign-in/", form, timeout=10).raise_for_status()
    return session


def post(session: requests.Session, url: str, **form: str) -> requests.Response:
    """Send a form as the page would, without following where it leads."""
    form["csrfmiddlewaretoken"] = session.cookies.get("csrftoken") or ""
    return session.post(url, form, timeout=15, allow_redirects=False)


def make_site(folder: Path, template: Path) -> Site:
    """A site with an empty, migrated database."""
    site = Site(folder)
    site.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    shutil.copy(template, site.data_dir / "db.sqlite3")
    (folder / "log").touch()
    return site


def migrated_database(folder: Path) -> Path:
    """A migrated database file, to copy from."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(folder)
    done = site.manage("migrate", "--verbosity", "0")
    assert done.returncode == 0, done.stderr
    site.end()
    return site.data_dir / "db.sqlite3"


def add_relays(site: Site, *names: str, **options: str) -> None:
    """A simulated board, if there is none, and active-low relays on it, from GPIO17 on."""
    said = [part for option, value in options.items() for part in (f"--{option.replace('_', '-')}", value)]
    first = 17 + site.count("relays_relay")
    commands = [] if site.count("relays_board") else [["add_board", "Test board", "--driver", "simulated"]]
    commands += [
        ["add_relay", name, "--line", str(line), "--active-low", *said] for line, name in enumerate(names, first)
    ]
    # All in one process: a start of Django takes longer than all else here.
    code = f"from django.core.management import call_command\nfor one in {commands!r}: call_command(*one)"
    done = site.manage("shell", "-c", code)
    assert done.returncode == 0, done.stderr
