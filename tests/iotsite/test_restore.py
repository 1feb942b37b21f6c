"""A backup takes the place of the database whole or not at all, and what was there is kept."""

import fcntl
import json
import os
import shutil
import signal
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from tests.iotsite.shelf import Shelf, blocked, content, edit
from tests.site import add_relays, children_of, command_of, wait_for

pytestmark = pytest.mark.xdist_group("backup")


def restored(shelf: Shelf, file: Path) -> str:
    """By a process of its own, whose settings are as the site is now."""
    done = shelf.site.manage("restore", str(file))
    assert done.returncode == 0, done.stderr
    return done.stdout


def relays(database: Path) -> list[str]:
    return [row[1] for row in content(database)["relays_relay"]]


def rooms(database: Path) -> list[str]:
    return [row[1] for row in content(database)["relays_room"]]


# --- what takes the place -----------------------------------------------------------------------------------------


def test_everything_is_as_it_was_and_what_was_replaced_is_kept(shelf: Shelf) -> None:
    before = content(shelf.database)
    said = shelf.restore()
    assert content(shelf.database) == content(shelf.backup)
    assert shelf.database.stat().st_mode & 0o777 == 0o600
    [folder] = shelf.kept
    assert content(folder / "db.sqlite3") == before
    assert (folder / "secret_key").read_text() == (shelf.site.data_dir / "secret_key").read_text()
    assert f"What it replaced is kept in {folder}.\n" in said
    assert not (shelf.site.data_dir / ".restore").exists()


def test_what_was_kept_can_be_restored(shelf: Shelf) -> None:
    before = content(shelf.database)
    shelf.restore()
    said = shelf.restore(shelf.kept[0] / "db.sqlite3")
    assert content(shelf.database) == before
    assert "Restored: a bare database (a copy made while iotsite ran lacks what only its log had), " in said


def test_the_site_starts_as_ever_after_it(shelf: Shelf) -> None:
    shelf.restore()
    shelf.runner.do("first_run")
    shelf.site.start_controller()
    shelf.runner.do("switch", "Lamp", "on")


def test_the_key_comes_with_it(shelf: Shelf) -> None:
    key = shelf.site.data_dir / "secret_key"
    of_the_backup = key.read_text()
    key.write_text("another key that is long enough to sign what people are given")
    restored(shelf, shelf.backup)
    assert key.read_text() == of_the_backup
    assert key.stat().st_mode & 0o777 == 0o600
    assert (shelf.kept[0] / "secret_key").read_text().startswith("another key")


def test_a_key_that_the_settings_name_stays_and_that_is_said(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    key = shelf.site.data_dir / "secret_key"
    before = key.read_text()
    monkeypatch.setenv("SECRET_KEY", "k" * 60)
    said = restored(shelf, shelf.backup)
    assert key.read_text() == before
    assert "SECRET_KEY is another one than the backup's: the secret addresses of calendars changed.\n" in said


def test_on_a_new_machine_there_is_nothing_to_keep(shelf: Shelf) -> None:
    shutil.rmtree(shelf.site.data_dir)
    said = restored(shelf, shelf.backup)
    assert relays(shelf.database) == ["Lamp"]
    assert "kept" not in said
    assert not shelf.kept


def test_one_of_an_older_version_is_brought_up_to_this_one(shelf: Shelf) -> None:
    shelf.runner.do("migrate", "relays", "0002", "--verbosity", "0")
    older = shelf.back_up()
    assert "0003_board_may_start_more_at_once" not in str(content(older)["django_migrations"])
    shelf.runner.do("migrate", "--verbosity", "0")
    shelf.restore(older)
    shelf.runner.do("migrate", "--check")
    assert relays(shelf.database) == ["Lamp", "Pump"]
    assert not (shelf.site.run_dir / "restore").exists()


@pytest.mark.parametrize(
    "harm",
    [
        pytest.param(lambda file: file.write_bytes(file.read_bytes()[:8192] + os.urandom(50_000)), id="overwritten"),
        pytest.param(lambda file: file.write_bytes(b"What is this?" * 5000), id="no database"),
        pytest.param(lambda file: file.write_bytes(b""), id="empty"),
        pytest.param(lambda file: file.unlink(), id="deleted"),
    ],
)
def test_a_broken_database_can_be_replaced_and_is_kept_as_it_is(shelf: Shelf, harm: Callable[[Path], None]) -> None:
    content(shelf.database)  # and with that the log is in it
    harm(shelf.database)
    there = shelf.database.read_bytes() if shelf.database.exists() else b""
    shelf.restore()
    assert relays(shelf.database) == ["Lamp"]
    assert [(folder / "db.sqlite3").read_bytes() for folder in shelf.kept] == ([there] if there else [])


def test_the_log_of_the_old_one_is_kept_with_it_and_never_played_into_the_new_one(shelf: Shelf) -> None:
    assert shelf.database.with_name("db.sqlite3-wal").stat().st_size
    shelf.restore()
    assert rooms(shelf.database) == []
    assert rooms(shelf.kept[0] / "db.sqlite3") == ["In the log"]


def test_another_program_that_only_has_the_old_one_open_does_no_harm(shelf: Shelf) -> None:
    with closing(sqlite3.connect(shelf.database, isolation_level=None)) as other:
        other.execute("SELECT count(*) FROM relays_relay").fetchone()
        shelf.restore()
        add_relays(shelf.site, "Heater")
        assert relays(shelf.database) == ["Lamp", "Heater"]
        assert other.execute("SELECT name FROM relays_relay").fetchall() == [("Lamp",), ("Pump",)]
    assert relays(shelf.database) == ["Lamp", "Heater"]


def test_who_wants_to_begin_meanwhile_waits_and_has_the_new_one(shelf: Shelf) -> None:
    lock = shelf.site.run_dir / "database.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = shelf.site.start(sys.executable, "manage.py", "switch", "Lamp", "off")
        wait_for(lambda: f":{lock.stat().st_ino} " in blocked())
        shelf.backup.replace(shelf.database)
        shelf.database.with_name("db.sqlite3-wal").unlink()
    assert waiting.wait(20) == 3, shelf.site.log()  # stored: no controller runs
    assert relays(shelf.database) == ["Lamp"]
    assert shelf.site.count("relays_event") == len(content(shelf.database)["relays_event"])


def test_a_bare_database_brings_its_log_along(shelf: Shelf, tmp_path: Path) -> None:
    """The files of an old card, pulled out of a machine that ran."""
    for file in shelf.site.data_dir.glob("db.sqlite3*"):
        shutil.copy(file, tmp_path)
    shelf.restore()
    shelf.restore(tmp_path / "db.sqlite3")
    assert rooms(shelf.database) == ["In the log"]


def test_no_number_of_an_event_is_given_twice(shelf: Shelf) -> None:
    controller = shelf.site.start_controller()
    shelf.runner.do("switch", "Lamp", "on")
    controller.kill()
    controller.wait()
    newest = shelf.site.events("lamp")[-1]["id"]
    shelf.restore()
    shelf.site.start_controller()
    shelf.runner.do("switch", "Lamp", "off")
    numbers = [row[0] for row in content(shelf.database)["relays_event"]]
    assert min(set(numbers) - {row[0] for row in content(shelf.backup)["relays_event"]}) > newest


# --- what is refused ----------------------------------------------------------------------------------------------


def truncated(backup: Path) -> None:
    os.truncate(backup, backup.stat().st_size // 2)


def flipped(backup: Path) -> None:
    with backup.open("r+b") as file:
        file.seek(0, 2)
        for page in range(2, file.tell() // 4096, 3):
            file.seek(page * 4096 + 4)
            file.write(b"\xff\xff\xff")


@pytest.mark.parametrize("harm", [truncated, flipped])
def test_a_broken_file_is_refused(shelf: Shelf, harm: Callable[[Path], None]) -> None:
    harm(shelf.backup)
    assert refused(shelf).startswith(f"{shelf.backup} is broken: ")


def refused(shelf: Shelf, file: Path | None = None) -> str:
    return shelf.refusal("restore", str(file or shelf.backup))


def test_rows_that_refer_to_nothing_are_refused(shelf: Shelf) -> None:
    edit(shelf.backup, "UPDATE relays_relay SET board_id = 99")
    said = f"{shelf.backup} is broken: a row of relays_relay refers to one of relays_board that is not there."
    assert refused(shelf) == said


def test_what_is_no_database_is_refused(shelf: Shelf, tmp_path: Path) -> None:
    for name, bytes in {"text": b"Dear diary", "empty": b"", "head": b"SQLite format 3\0"}.items():
        (tmp_path / name).write_bytes(bytes)
        said = f"{tmp_path / name} is not a backup: it is no SQLite database."
        assert refused(shelf, tmp_path / name) == said
    assert refused(shelf, tmp_path) == f"There is no file {tmp_path}."
    assert refused(shelf, tmp_path / "none") == f"There is no file {tmp_path / 'none'}."


@pytest.mark.parametrize("statement", ["DROP TABLE relays_event", "UPDATE iotsite_backup SET value = 'notes'"])
def test_a_database_of_another_application_is_refused(shelf: Shelf, statement: str) -> None:
    edit(shelf.backup, statement)
    assert refused(shelf) == f"{shelf.backup} is a database of another application."


def test_one_of_a_newer_version_is_refused(shelf: Shelf) -> None:
    edit(
        shelf.backup, "INSERT INTO django_migrations (app, name, applied) VALUES ('relays', '9999_later', '2030-01-01')"
    )
    said = f"{shelf.backup} is of a newer iotsite (relays.9999_later): install that one first."
    assert refused(shelf) == said


def test_the_database_itself_is_no_backup(shelf: Shelf) -> None:
    assert refused(shelf, shelf.database) == f"{shelf.database} is the database in use itself."


def test_words_of_a_stranger_in_a_backup_reach_no_terminal(shelf: Shelf) -> None:
    edit(shelf.backup, "UPDATE iotsite_backup SET value = 'x\x1b[31m' WHERE name = 'version'")
    assert "made by iotsite x[31m.\n" in shelf.restore()


def test_while_a_controller_runs_it_is_refused_with_what_to_stop(shelf: Shelf) -> None:
    controller = shelf.site.start_controller()
    user = f"{sys.executable} manage.py run_relays (pid {controller.pid})"
    said = f"The database is in use by {user}: end these processes, and try again. Nothing was changed."
    assert refused(shelf) == said


def test_while_script_server_runs_it_is_refused(shelf: Shelf) -> None:
    with (shelf.site.run_dir / "server.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        said = refused(shelf)
    assert f"(pid {os.getpid()}): press Ctrl-C where script/server runs, and try again." in said


@pytest.mark.slow
def test_another_program_that_reads_it_is_to_be_closed_first(shelf: Shelf) -> None:
    with closing(sqlite3.connect(shelf.database, isolation_level=None)) as other:
        other.execute("BEGIN")
        other.execute("SELECT count(*) FROM relays_relay").fetchone()
        edit(shelf.database, "UPDATE relays_relay SET position = 3")
        said = "Another program has the database open: close it and try again. Nothing was changed."
        assert shelf.runner.run("restore", str(shelf.backup)) == {"status": 1, "said": said}
    assert relays(shelf.database) == ["Lamp", "Pump"]


# --- what will be on ----------------------------------------------------------------------------------------------


def test_it_says_what_the_next_start_switches_on(shelf: Shelf) -> None:
    site = shelf.site
    add_relays(site, "Heater")
    edit(shelf.database, "UPDATE relays_relay SET power_up = 'on' WHERE slug = 'heater'")
    edit(shelf.database, "UPDATE relays_relay SET power_up = 'last' WHERE slug = 'pump'")
    controller = site.start_controller()
    for name in ("Lamp", "Pump"):
        shelf.runner.do("switch", name, "on")
    shelf.runner.do("switch", "Heater", "off")
    made = shelf.back_up()
    shelf.runner.do("switch", "Lamp", "off")
    controller.kill()
    controller.wait()
    said = shelf.restore(made)
    assert "No relay moves until the controller is started. On after that: Lamp, Pump.\n" in said
    assert "On if this machine is booted before that: Heater, Pump.\n" in said
    assert site.levels("GPIO17") == [1, 0, 1]
    site.start_controller()
    wait_for(lambda: site.levels("GPIO17") == [1, 0, 1, 0])
    wait_for(lambda: site.levels("GPIO18") == [1, 0])
    wait_for(lambda: site.levels("GPIO19") == [1, 0, 1])


def test_a_press_that_was_under_way_is_not_made_again(shelf: Shelf) -> None:
    edit(shelf.database, "UPDATE relays_relay SET mode = 'momentary', pulse = 10000000 WHERE slug = 'lamp'")
    controller = shelf.site.start_controller()
    shelf.runner.do("switch", "Lamp", "press")
    made = shelf.back_up()
    controller.kill()
    controller.wait()
    files = shelf.site.files()
    left = json.loads(files.plan.read_text())
    del left["lines"]["1"]  # the controller that is to come has never seen this relay
    files.plan.write_text(json.dumps(left))
    files.lines.unlink()
    assert "On after that: none.\n" in shelf.restore(made)
    shelf.site.start_controller()
    assert wait_for(lambda: shelf.site.levels("GPIO17"), what="its claim") == [1]


# --- kills --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_the_old_or_the_new_one_whole(shelf: Shelf) -> None:
    old, new = content(shelf.database), content(shelf.backup)
    found = []
    for how in [{"line": line} for line in range(1, 350, STRIDE)] + [{"after": n * 0.02} for n in range(1, 9)]:
        shelf.fresh()
        is_killed = shelf.runner.is_killed("restore", str(shelf.backup), **how)
        now = content(shelf.database)
        assert now in (old, new)
        found.append(now == new)
        if is_killed and (now == new or len(found) % 10 == 0):
            shelf.restore()
            assert content(shelf.database) == new
            assert any(content(folder / "db.sqlite3") == old for folder in shelf.kept), "the replaced one is lost"
            assert not (shelf.site.data_dir / ".restore").exists()
    assert found.count(False) > 12, "before the exchange"
    assert found.count(True) > 2, "after it"


@pytest.mark.slow
def test_what_a_kill_left_at_work_is_waited_for(shelf: Shelf) -> None:
    shelf.runner.do("migrate", "relays", "0002", "--verbosity", "0")
    older = shelf.back_up()
    shelf.runner.do("migrate", "--verbosity", "0")
    killed = shelf.site.start(sys.executable, "manage.py", "restore", str(older))
    found = wait_for(lambda: [pid for pid, command in children_of(killed.pid).items() if " migrate " in command])
    os.kill(found[0], signal.SIGSTOP)
    killed.kill()
    killed.wait()
    assert refused(shelf) == "Another restore is under way: wait for its end."
    os.kill(found[0], signal.SIGCONT)
    wait_for(lambda: not command_of(found[0]))
    shelf.restore(older)
    assert relays(shelf.database) == ["Lamp", "Pump"]


STRIDE = 12
"""Of the lines that are carried out; 1 tries all of them, in a minute or two."""
