"""A machine in a folder on which the site is installed and runs, and where its releases come from."""

import fcntl
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from importlib import metadata
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from machine import PYTHON, WEB, Machine
from relays.boards.simulated import history
from relays.runfiles import BoardFiles
from tests.deploy.manager import Manager, StandIn
from tests.site import ROOT, free_port
from tests.test_clean_clone import copy_tree, newcomers_env

CONTROLLER = "iotsite-controller@1.service"
CONTROLLERS = "deploy/systemd/iotsite-controller@.service"
PATIENCE = 60
GIT = ("git", "-c", "user.name=Tests", "-c", "user.email=tests@localhost", "-c", "commit.gpgsign=false")
Edits = dict[str, str | Callable[[str], str]]


class Upstream:
    """The repository that the clone comes from: this tree as its first release, and what tests commit on top."""

    def __init__(self, folder: Path) -> None:
        self.folder = copy_tree(folder)
        self.git("init", "--quiet", "--initial-branch=main")
        self.commit("v0.1.0", {CONTROLLERS: lambda text: text.replace("StartLimitBurst=5", "StartLimitBurst=3")}, on="")

    def git(self, *arguments: str) -> str:
        done = subprocess.run([*GIT, *arguments], cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def commit(self, tag: str, edits: Edits, on: str = "v0.1.0") -> str:
        """Commit what the edits make of files, and tag it; its name as a release."""
        if on:
            self.git("checkout", "--quiet", "--detach", on)
        for name, edit in edits.items():
            file = self.folder / name
            file.write_text(edit if isinstance(edit, str) else edit(file.read_text()))
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", f"Make {tag}")
        self.git("tag", tag)
        return self.name(tag)

    def name(self, tag: str) -> str:
        return self.git("rev-parse", "--short=12", f"{tag}^{{commit}}")


def lend_packages(venv: Path, clone: Path) -> bool:
    """Make .venv for the system's Python out of the one that the tests run in, where both are alike; whether they are.

    These are the files that pip would install: for the same Python, in the same versions.
    """
    subprocess.run([PYTHON, "-m", "venv", "--without-pip", venv], check=True)
    place = next(venv.glob("lib/python3*/site-packages"))
    if place.parent.name != f"python3.{sys.version_info.minor}":
        return False
    for name in needed((clone / "requirements.txt").read_text().splitlines()):
        for file in metadata.distribution(name).files or []:
            if ".." not in file.parts:
                (place / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), place / file)  # with its time, or what is compiled would not count
    shutil.copy(clone / "requirements.txt", venv)
    describe = '. script/_venv; describe "$0/bin/python" >"$0/made-for"'
    subprocess.run(["bash", "-c", describe, venv], cwd=clone, check=True)
    return True


def needed(lines: list[str], extras: Iterable[str] = ("",)) -> set[str]:
    """The names of the packages that these lines of requirements ask for, and of those that they need in turn."""
    found: set[str] = set()
    for asked in (Requirement(line) for line in lines if not line.startswith("#")):
        if not asked.marker or any(asked.marker.evaluate({"extra": extra}) for extra in extras):
            found |= {asked.name} | needed(metadata.requires(asked.name) or [], asked.extras or ("",))
    return found


class Installed:
    """The machine; its programs run, and its folder is short enough for sockets."""

    def __init__(self, upstream: Upstream) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="iu-", dir="/tmp"))
        self.folder.chmod(0o755)
        self.clone = self.folder / "clone"
        upstream.git("clone", "--quiet", str(upstream.folder), str(self.clone))
        self._run(["git", "checkout", "--quiet", "v0.1.0"], cwd=self.clone)
        self.root = self.folder / "r"
        self.root.mkdir()
        self._lend_packages()
        self._run(["/usr/bin/python3", "-B", self.clone / "deploy/install.py", "--root", self.root])
        self.machine = Machine(self.root, StandIn(self.folder))
        self.address = f"127.0.0.1:{free_port()}"
        with self.machine.config.open("a") as config:
            config.write(f"LISTEN={self.address}\n")
        self.machine.manage("first_run")
        self.manager = Manager(self.machine, self.folder)
        self.manager.boot()
        self.board = BoardFiles(self.machine.run_dir, 1)

    def _lend_packages(self) -> None:
        """Let the installer find a release whose packages it can take over, as an update does: pip takes its time."""
        seed = self.root / "opt/iotsite/releases/seed"
        seed.mkdir(parents=True)
        if lend_packages(seed / ".venv", self.clone):
            (self.root / "opt/iotsite/current").symlink_to("releases/seed")

    @staticmethod
    def _run(command: list[Any], **options: Any) -> None:
        done = subprocess.run(command, env=newcomers_env(), capture_output=True, text=True, **options)
        assert done.returncode == 0, done.stdout + done.stderr

    # --- the update -----------------------------------------------------------------------------------------

    def updating(self, *options: str, patience: int = PATIENCE) -> subprocess.Popen[str]:
        """script/update, as it begins."""
        program = [PYTHON, "-B", ROOT / "tests/deploy/updating.py", self.root, self.folder, patience]
        return subprocess.Popen(
            [*map(str, program), "--clone", str(self.clone), *options],
            env=newcomers_env(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def update(self, *options: str, patience: int = PATIENCE) -> tuple[int, str]:
        """Its status and what it says."""
        process = self.updating(*options, patience=patience)
        said, _ = process.communicate(timeout=300)
        return process.returncode, said

    def update_until(self, words: str, number: int, *options: str) -> str:
        """Send it a signal as soon as it says these words; what it says in all."""
        process, said = self.updating(*options), ""
        assert process.stdout
        for row in process.stdout:
            said += row
            if row.startswith(words):
                process.send_signal(number)
        process.wait(300)
        assert f"\n{words}" in said, said
        return said

    # --- what is so -----------------------------------------------------------------------------------------

    @property
    def release(self) -> str:
        assert self.machine.release
        return self.machine.release.name

    def running(self) -> dict[str, str]:
        """The release that each unit runs."""
        units = (WEB, CONTROLLER)
        return {unit: found.name for unit in units if (found := self.machine.release_of(unit))}

    def is_ready(self) -> bool:
        try:
            return bool(urllib.request.urlopen(f"http://{self.address}/readyz", timeout=5).status == 200)
        except OSError:
            return False

    def pid(self, unit: str) -> str:
        return self.machine.units.property(unit, "MainPID")

    def levels(self) -> dict[str, list[int]]:
        """The sequence of levels of each line, without repetitions."""
        found: dict[str, list[int]] = {}
        for row in history(self.board.lines):
            levels = found.setdefault(row.line, [])
            if levels[-1:] != [row.level]:
                levels.append(row.level)
        return found

    @contextmanager
    def looked_into(self) -> Iterator[None]:
        """While somebody looks into the database, and does not stop: it cannot be put back."""
        with (self.machine.run_dir / "database.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield

    def switch_on(self, relay: str) -> None:
        self.machine.manage("switch", relay, "on")

    def content(self) -> dict[str, list[Any]]:
        """All that the database has, but for who is signed in and that controllers started."""
        place = self.machine.data_dir / "db.sqlite3"
        with closing(sqlite3.connect(f"{place.as_uri()}?mode=ro", uri=True)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            tables = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
            rows = {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for name in tables}
            columns = [row[1] for row in connection.execute("PRAGMA table_info(relays_event)")]
        kind = columns.index("kind")
        rows["relays_event"] = [row for row in rows["relays_event"] if row[kind] != "started"]
        del rows["sqlite_sequence"]
        return {name: [tables[name], *found] for name, found in rows.items()}

    def end(self) -> None:
        self.manager.cut_power()
        shutil.rmtree(self.folder)
