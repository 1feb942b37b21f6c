"""manage.py doctor on a real site: its processes, its files, a database that is away, a terminal."""

import json
import os
import re
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.site import ROOT, Site, add_relays, free_port

FREE = {"Clock"}
"""What is as this machine happens to be."""


def found(site: Site) -> dict[str, dict[str, str]]:
    """What doctor finds, by what it is about."""
    done = site.manage("doctor", "--json")
    assert done.stderr == ""
    said = json.loads(done.stdout)
    assert (done.returncode == 0) is said["is_well"]
    return {finding["about"]: finding for finding in said["findings"]}


def bad(said: dict[str, dict[str, str]]) -> dict[str, tuple[str, str]]:
    """All that is not right: what is said, and what is to be typed."""
    return {
        about: (finding["says"], finding["command"])
        for about, finding in said.items()
        if finding["state"] != "right" and about not in FREE
    }


def files(site: Site) -> dict[Path, Any]:
    kept = [file for file in site.folder.rglob("*") if file.is_file() and not file.name.endswith("-shm")]
    return {file: (file.read_bytes(), file.stat().st_mode, file.stat().st_mtime_ns) for file in kept}


def test_a_site_that_runs_is_well_and_says_so_on_a_terminal_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("LISTEN", f"127.0.0.1:{port}")
    add_relays(site, "Lamp")
    controller = site.start_controller()
    site.start_web(port)
    said = found(site)
    assert bad(said) == {}
    assert said["Web server"]["says"] == f"It answers at http://127.0.0.1:{port}."
    assert said["Controller of Test board"]["says"] == (
        f"It runs (pid {controller.pid}, version 0.1.0); the board is simulated, nothing is switched for real."
    )
    assert "\x1b[32mright  \x1b[0m  Python: " in on_terminal(site)


def on_terminal(site: Site) -> str:
    ours, theirs = os.openpty()
    command = [sys.executable, "manage.py", "doctor"]
    process = subprocess.Popen(command, cwd=ROOT, env=site.env, stdout=theirs, stderr=theirs)
    os.close(theirs)
    printed = b""
    try:
        while some := os.read(ours, 4096):
            printed += some
    except OSError:
        pass  # the terminal is closed
    os.close(ours)
    process.wait(20)
    return printed.decode()


KILLED = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("UPDATE relays_board SET ons_per_second = 5")
os.kill(os.getpid(), 9)
"""


def test_looking_changes_nothing(site: Site) -> None:
    """Not even the log that a killed process left: who closes a database as the last one empties it otherwise."""
    add_relays(site, "Lamp")
    subprocess.run([sys.executable, "-c", KILLED, site.data_dir / "db.sqlite3"])
    before = files(site)
    assert (site.data_dir / "db.sqlite3-wal").stat().st_size > 0
    done = site.manage("doctor")
    assert (done.returncode, done.stderr) == (1, "")
    assert re.search(r"^  right    Database: [\d.]+ .?B, with the tables of this version\.$", done.stdout, re.MULTILINE)
    row = "  WRONG    Controller of Test board: It does not run: no relay follows what is asked."
    assert f"{row}\n           $ script/server\n" in done.stdout
    assert f"Type what stands behind $ in {ROOT}." in done.stdout
    assert "\x1b" not in done.stdout
    assert files(site) == before


# --- a database that is away ------------------------------------------------------------------------------------


@contextmanager
def locked(site: Site) -> Iterator[None]:
    holder = sqlite3.connect(site.data_dir / "db.sqlite3", isolation_level=None)
    holder.execute("PRAGMA locking_mode=EXCLUSIVE")
    holder.execute("BEGIN IMMEDIATE")
    yield
    holder.close()


def assert_database(site: Site, says: str, command: str) -> None:
    said = bad(found(site))
    assert said["Database"] == (says.format(site.data_dir / "db.sqlite3"), command)
    mend = "It stands in the database, which does not answer: mend that first."
    assert {said[about][0] for about in ("Controllers", "Faults", "GPIO lines", "Refreshes")} == {mend}
    others = said.keys() - {"Database", "Controllers", "Faults", "GPIO lines", "Refreshes", "Web server", "SQLite"}
    assert others == set()


def test_there_is_no_database_yet(site: Site) -> None:
    (site.data_dir / "db.sqlite3").unlink()
    assert_database(site, "There is none yet at {}.", "script/server")


def test_a_database_that_is_locked(site: Site) -> None:
    with locked(site):
        assert_database(site, "The database does not answer: database is locked.", "script/server")


def test_a_database_that_is_none_any_more_is_restored(site: Site) -> None:
    (site.data_dir / "db.sqlite3").write_text("Once upon a time there was a database. " * 1000)
    backup = site.data_dir / "backups" / "iotsite-2026-01-02T030405Z.sqlite3"
    backup.parent.mkdir(mode=0o700)
    backup.touch()
    command = f".venv/bin/python manage.py restore {backup}\nscript/server"
    assert_database(site, "The database does not answer: file is not a database.", command)


def test_a_database_that_was_replaced_or_deleted(site: Site) -> None:
    """By somebody, after its controller was killed: whoever opened it now would lay the log of the old one aside."""
    add_relays(site, "Lamp")
    controller = site.start_controller()
    controller.kill()
    controller.wait()
    database = site.data_dir / "db.sqlite3"
    other = database.with_name("other")
    other.write_bytes(database.read_bytes())
    other.rename(database)
    log = database.with_name("db.sqlite3-wal")
    before = log.stat().st_ino
    assert_database(site, "The database {} was replaced while iotsite was running: restart iotsite.", "script/server")
    assert log.stat().st_ino == before, "the log of the old one lies where it lay"
    database.unlink()
    assert_database(site, "The database {} is gone.", "script/server")


# --- where packages are missing ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("folder", "remedy"),
    [("clone", "script/server"), ("releases/abc", "sudo script/install, in the clone that it came from")],
)
def test_a_package_that_is_missing_is_named(tmp_path: Path, folder: str, remedy: str) -> None:
    place = tmp_path / folder
    place.mkdir(parents=True)
    (place / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    done = run_bare(place)
    assert (done.returncode, done.stderr) == (
        1,
        f"The Python package “django” is missing here. This mends it: {remedy}\n",
    )


def test_another_python_than_the_sites_is_told_which_one_is(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    python = tmp_path / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.touch()
    done = run_bare(tmp_path)
    assert done.stderr == f"This Python is not the one of the site. Type: {python} manage.py doctor\n"


def test_a_module_of_ours_that_is_missing_is_not_taken_for_a_package(tmp_path: Path) -> None:
    (tmp_path / "manage.py").write_bytes((ROOT / "manage.py").read_bytes())
    (tmp_path / "iotsite").mkdir()
    command = [sys.executable, "manage.py", "doctor"]
    done = subprocess.run(command, cwd=tmp_path, env={}, capture_output=True, text=True, timeout=20)
    assert "ModuleNotFoundError: No module named 'iotsite.settings'" in done.stderr


def run_bare(folder: Path) -> subprocess.CompletedProcess[str]:
    """With a Python that has no packages at all."""
    command = [sys.executable, "-S", "manage.py", "doctor"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=20)
