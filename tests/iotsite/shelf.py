"""What the tests of backups and restores share: a site to take them from, and looks into database files."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from iotsite.backup import connect
from tests.site import ROOT, Site, add_relays, make_site, patient


def content(file: Path) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of a database, by table, but for how far SQLite has counted and what a backup adds."""
    with closing(connect(file)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
        tables = [name for (name,) in names if name not in ("sqlite_sequence", "iotsite_backup")]
        return {table: connection.execute(f'SELECT * FROM "{table}" ORDER BY 1').fetchall() for table in tables}


def edit(file: Path, *statements: str) -> None:
    with closing(connect(file)) as connection:
        for statement in statements:
            connection.execute(statement)


def blocked() -> str:
    """Who waits for a lock, as the kernel tells."""
    return "\n".join(row for row in Path("/proc/locks").read_text().splitlines() if "->" in row)


@dataclass
class Shelf:
    """A site with a lamp and a pump that was killed, its newest row in the log alone; a backup of when it had no pump.

    ``fresh()`` puts it there anew, as often as wanted.
    """

    site: Site
    runner: "Mortal"

    @property
    def backup(self) -> Path:
        return self.site.folder / "backup"

    @property
    def database(self) -> Path:
        return self.site.data_dir / "db.sqlite3"

    @property
    def backups(self) -> Path:
        return self.site.data_dir / "backups"

    @property
    def kept(self) -> list[Path]:
        return sorted(self.site.data_dir.glob("before-restore-*"))

    def make(self) -> None:
        add_relays(self.site, "Lamp")
        self.back_up().rename(self.backup)
        add_relays(self.site, "Pump")
        self.backups.rmdir()
        self.site.manage("shell", "-c", WRITE_AND_DIE)
        assert (self.site.data_dir / "db.sqlite3-wal").stat().st_size
        shutil.copytree(self.site.data_dir, self.site.folder / "template")
        shutil.copy(self.backup, self.site.folder / "unharmed")

    def fresh(self) -> None:
        for process in self.site.processes:
            process.kill()
            process.wait()
        self.site.processes.clear()
        shutil.rmtree(self.site.data_dir, ignore_errors=True)
        shutil.copytree(self.site.folder / "template", self.site.data_dir)
        shutil.copy(self.site.folder / "unharmed", self.backup)
        for file in self.site.run_dir.iterdir():
            file.unlink()

    def back_up(self, *arguments: str) -> Path:
        return Path(self.runner.do("backup", *arguments).splitlines()[0])

    def restore(self, file: Path | None = None, *arguments: str) -> str:
        return self.runner.do("restore", str(file or self.backup), *arguments)

    def refusal(self, *command: str) -> str:
        """What is said; nothing may change by it."""
        before = self._files()
        done = self.runner.run(*command)
        assert done
        assert done["status"] == 1, done["said"]
        assert self._files() == before
        return str(done["said"])

    def _files(self) -> dict[Path, bytes]:
        """The files in DATA_DIR, but for those in which SQLite keeps locks and logs."""
        files = [file for file in self.site.data_dir.rglob("*") if file.is_file() and "sqlite3-" not in file.name]
        return {file: file.read_bytes() for file in files}


WRITE_AND_DIE = (
    "import os; from relays.models import Room; Room.objects.create(name='In the log'); os.kill(os.getpid(), 9)"
)


@contextmanager
def made_shelf(folder: Path, template: Path) -> Iterator[Shelf]:
    site = make_site(folder, template)
    with mortal(site) as runner:
        shelf = Shelf(site, runner)
        shelf.make()
        yield shelf
        site.end()


class Mortal:
    """A process that runs commands and kills them; see tests/iotsite/mortal.py."""

    def __init__(self, site: Site) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.iotsite.mortal"],
            cwd=ROOT,
            env=site.env | {"DJANGO_SETTINGS_MODULE": "iotsite.settings"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, *command: str, **how: float) -> dict[str, Any] | None:
        """What it said; None where it was killed."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps({"command": patient(command), **how}) + "\n")
        self.process.stdin.flush()
        answer = self.process.stdout.readline()
        found: dict[str, Any] | None = None if answer == "killed\n" else json.loads(answer)
        return found

    def do(self, *command: str) -> str:
        """What it said, once it has done well."""
        done = self.run(*command)
        assert done
        assert done["status"] == 0, done["said"]
        return str(done["said"])

    def is_killed(self, *command: str, **how: float) -> bool:
        """Whether the kill came before the end; a command that ends has done well."""
        done = self.run(*command, **how)
        assert done is None or done["status"] == 0, done["said"]
        return done is None


@contextmanager
def mortal(site: Site) -> Iterator[Mortal]:
    made = Mortal(site)
    try:
        yield made
    finally:
        made.process.kill()
        made.process.wait()
