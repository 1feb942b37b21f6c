"""A backup is whole, checked and alone in its file, or there is none."""

import fcntl
import os
import resource
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest
import requests

from iotsite import backup, holders
from tests.iotsite.shelf import Shelf, blocked, content, edit
from tests.site import ROOT, add_relays, wait_for

pytestmark = pytest.mark.xdist_group("backup")


def test_it_has_every_row_and_says_where_it_is_from(shelf: Shelf) -> None:
    path, said = shelf.runner.do("backup").splitlines()
    assert backup.NAME.fullmatch(Path(path).name)
    assert said == f"{Path(path).stat().st_size / 1e6:.1f} MB, checked."
    assert content(Path(path)) == content(shelf.database)
    with closing(sqlite3.connect(path)) as connection:
        label = dict(connection.execute("SELECT name, value FROM iotsite_backup"))
    assert label.pop("made_at").endswith("Z")
    key = (shelf.site.data_dir / "secret_key").read_text()
    assert label == {"application": "iotsite", "version": "0.1.0", "secret_key": key}


def test_nobody_else_can_read_it_and_nothing_lies_beside_it(shelf: Shelf) -> None:
    path = shelf.back_up()
    assert path.stat().st_mode & 0o777 == 0o600
    assert shelf.backups.stat().st_mode & 0o777 == 0o700
    assert list(shelf.backups.iterdir()) == [path]


def test_the_database_and_its_log_stay_as_they_are(shelf: Shelf) -> None:
    files = [shelf.site.data_dir / name for name in ("db.sqlite3", "db.sqlite3-wal")]
    before = [file.read_bytes() for file in files]
    path = shelf.back_up()
    assert [file.read_bytes() for file in files] == before
    assert [row[1] for row in content(path)["relays_room"]] == ["In the log"]


def test_two_within_a_second_get_names_of_their_own(shelf: Shelf) -> None:
    made = [shelf.back_up("--keep", "2") for _ in range(12)]
    assert len(set(made)) == 12, "nor does a name come back that was given to an older one"
    assert sorted(made, key=backup._age) == made
    assert set(shelf.backups.iterdir()) == set(made[-2:])


def test_the_oldest_go_and_no_other_file(shelf: Shelf, tmp_path: Path) -> None:
    old = [tmp_path / f"iotsite-2020-01-0{day}T040000Z{more}.sqlite3" for day, more in [(1, ""), (2, ""), (2, "-2")]]
    others = [tmp_path / name for name in ("iotsite-2019.sqlite3", "db.sqlite3", "iotsite-2019-01-01T040000Z.sqlite3~")]
    for file in (*old, *others):
        file.touch()
    (tmp_path / "iotsite-2018-01-01T040000Z.sqlite3").mkdir()
    path, _, *said = shelf.runner.do("backup", "--to", str(tmp_path), "--keep", "2").splitlines()
    assert said == [f"Removed, older than the 2 newest: {name.name}" for name in old[:2]]
    assert {file for file in tmp_path.iterdir() if file.is_file()} == {old[2], Path(path), *others}


def test_a_clock_that_was_wrong_never_costs_the_new_one(shelf: Shelf, tmp_path: Path) -> None:
    later = tmp_path / "iotsite-2099-01-01T040000Z.sqlite3"
    later.touch()
    made = shelf.back_up("--to", str(tmp_path), "--keep", "1")
    assert set(tmp_path.iterdir()) == {later, made}


@pytest.mark.parametrize("keep", ["0", "-1", "all", "²"])
def test_a_number_that_would_keep_nothing_is_refused(shelf: Shelf, keep: str) -> None:
    said = shelf.refusal("backup", f"--keep={keep}")
    assert f"“{keep}” is not a number of backups: give 1 or more." in said


def test_a_folder_that_is_not_there_is_not_made(shelf: Shelf, tmp_path: Path) -> None:
    place = tmp_path / "stick"
    said = f"There is no folder {place}: make it, or mount what it lies on."
    assert shelf.refusal("backup", "--to", str(place)) == said
    assert not place.exists()


def test_a_folder_that_cannot_be_written(shelf: Shelf) -> None:
    assert shelf.refusal("backup", "--to", "/sys") == "/sys cannot be used for a backup: Permission denied."


@pytest.mark.skipif(os.geteuid() != 0, reason="needs the right to mount")
def test_too_little_room_is_said_before_anything_is_written(shelf: Shelf, tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "disk", tmp_path], capture_output=True).returncode:
        pytest.skip("needs the right to mount")
    try:
        files = [shelf.site.data_dir / name for name in ("db.sqlite3", "db.sqlite3-wal")]
        needed = sum(file.stat().st_size for file in files) / 1e6
        said = f"{tmp_path} cannot be used for a backup: {needed:.1f} MB are needed and 0.1 MB free."
        assert shelf.refusal("backup", "--to", str(tmp_path)) == said
        assert not list(tmp_path.iterdir())
    finally:
        subprocess.run(["umount", "--lazy", tmp_path], check=True)


def test_one_that_fails_half_way_leaves_nothing(shelf: Shelf) -> None:
    whole = shelf.back_up()
    done = subprocess.run(
        [sys.executable, "manage.py", "backup"],
        cwd=ROOT,
        env=shelf.site.env,
        capture_output=True,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)),
    )
    assert done.returncode == 1
    assert done.stderr.startswith(f"CommandError: There is no new backup in {shelf.backups}: ")
    assert list(shelf.backups.iterdir()) == [whole]


def test_without_a_database_there_is_nothing_to_back_up(shelf: Shelf) -> None:
    shelf.database.unlink()
    said = f"There is no database {shelf.database}: there is nothing to back up."
    assert shelf.refusal("backup") == said


def test_a_database_that_was_replaced_meanwhile_is_not_backed_up(shelf: Shelf, template_database: Path) -> None:
    shelf.site.start_controller()
    (shelf.site.data_dir / "foreign").write_bytes(template_database.read_bytes())
    (shelf.site.data_dir / "foreign").replace(shelf.database)
    said = f"The database {shelf.database} was replaced while iotsite was running: restart iotsite."
    assert shelf.refusal("backup") == said
    assert not list(shelf.backups.iterdir())


@pytest.mark.slow
def test_a_database_that_another_program_locks(shelf: Shelf) -> None:
    with closing(sqlite3.connect(shelf.database, isolation_level=None)) as other:
        other.execute("PRAGMA locking_mode=EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        said = f"There is no new backup in {shelf.backups}: database is locked."
        assert shelf.runner.run("backup") == {"status": 1, "said": said}
    assert not list(shelf.backups.iterdir())


def test_of_a_damaged_database_none_is_made(shelf: Shelf) -> None:
    content(shelf.database)  # and with that the log is in it
    with shelf.database.open("r+b") as file:
        file.seek(5 * 4096)
        file.write(os.urandom(4096 * 20))
    said = shelf.refusal("backup")
    assert said.startswith("The database is damaged (")
    assert said.endswith("): there is no new backup. The last one may be whole.")
    assert not list(shelf.backups.iterdir())


def test_what_restore_would_refuse_is_no_backup(shelf: Shelf) -> None:
    edit(shelf.database, "UPDATE relays_relay SET board_id = 99")
    why = "a row of relays_relay refers to one of relays_board that is not there"
    said = f"The database is damaged ({why}): there is no new backup. The last one may be whole."
    assert shelf.refusal("backup") == said


def test_one_at_a_time_the_second_waits(shelf: Shelf) -> None:
    lock = shelf.site.run_dir / "backup.lock"
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = shelf.site.start(sys.executable, "manage.py", "backup")
        wait_for(lambda: f":{lock.stat().st_ino} " in blocked())
        assert not list(shelf.backups.iterdir())
        assert holders.pids(lock) == {os.getpid()}
    assert waiting.wait(20) == 0, shelf.site.log()


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_whole_backups_only_and_the_next_sweeps(shelf: Shelf) -> None:
    whole = content(shelf.database)
    shelf.backups.mkdir()
    kills, drafts, line = 0, 0, 1
    while shelf.runner.is_killed("backup", line=line):
        kills, line = kills + 1, line + 9
        drafts += take_whole(shelf.backups, whole) > 0
    for moment in range(1, 16):
        shelf.runner.is_killed("backup", after=moment * 0.004)
        take_whole(shelf.backups, whole)
    made = shelf.back_up()
    assert list(shelf.backups.iterdir()) == [made]
    assert kills > 20
    assert drafts > 5


def take_whole(folder: Path, expected: object) -> int:
    """Take the backups away, each of which must be whole; how many files are left of those that were begun."""
    for path in folder.iterdir():
        if backup.NAME.fullmatch(path.name):
            assert content(path) == expected
            path.unlink()
    left = list(folder.iterdir())
    assert all(backup.DRAFT.fullmatch(path.name) for path in left)
    return len(left)


SLUGS = ("lamp", "pump", "fan", "door")


@pytest.mark.slow
def test_under_load_it_has_every_command_that_was_acknowledged_before_it_began(shelf: Shelf) -> None:
    site = shelf.site
    add_relays(site, "Fan", "Door")
    site.add_user()
    token = site.manage("create_token", "bench", "--name", "load", "--scope", "switch").stdout.strip()
    site.start_controller()
    _, address = site.start_web()
    acknowledged: list[int] = []
    is_over = threading.Event()
    clients = [threading.Thread(target=switching, args=[address, token, slug, acknowledged, is_over]) for slug in SLUGS]
    for client in clients:
        client.start()
    before: list[tuple[Path, list[int]]] = []
    wait_for(lambda: acknowledged)
    while len(before) < 5 or len(acknowledged) < 60:
        known = list(acknowledged)
        before.append((shelf.back_up("--keep", "1000"), known))
    is_over.set()
    for client in clients:
        client.join()
    for path, known in before:
        assert set(known) <= {row[0] for row in content(path)["relays_event"]}


def switching(address: str, token: str, slug: str, acknowledged: list[int], is_over: threading.Event) -> None:
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {token}"
    on = False
    while not is_over.is_set():
        on = not on
        answer = session.put(f"{address}/api/relays/{slug}", json={"on": on}, timeout=15)
        assert answer.status_code in (200, 202), answer.text
        acknowledged.append(answer.json()["command"])
