"""The database locked, read-only, full, deleted, replaced: deadlines are kept, Stop everything works."""

import hashlib
import os
import shutil
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from relays import clock
from tests.site import Site, add_relays, make_site, post, sign_in, wait_for

LATE = 0.3
"""What a deadline may be late on a busy machine; the promise is 50 ms, measured by bench/kills.py."""


@contextmanager
def mounted(folder: Path, *how: str) -> Iterator[Path]:
    """A file system of its own, so that it can be filled or fail; skips where that is not allowed."""
    folder.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", *how, str(folder)], capture_output=True).returncode:
        pytest.skip("needs root and the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def furnish(site: Site) -> None:
    add_relays(site, "Lamp", "Pump")
    site.start_controller()
    switch_on(site)


def switch_on(site: Site) -> None:
    """A lamp whose deadline passes while the database is away, and a pump that stays on."""
    assert site.manage("switch", "Pump", "on").returncode == 0
    assert site.manage("switch", "Lamp", "on", "--for", "5s").returncode == 0


def deadline(site: Site) -> float:
    """The lamp's end on the boot clock."""
    asked = site.events("lamp")[0]
    return clock.now().boot_at(datetime.fromisoformat(asked["at"]).replace(tzinfo=UTC)) + asked["lasting"] / 1e6


def assert_deadline_is_kept(site: Site, end: float) -> None:
    off = wait_for(lambda: [row for row in site.history("GPIO17") if row.level == 1 and row.at > end - 1], 10)
    assert -0.01 <= off[0].at - end < LATE


def assert_stop_works(site: Site) -> "subprocess.CompletedProcess[str]":
    """Off within a second of the command reaching RUN_DIR, whatever the database does."""
    done = site.manage("stop")
    assert_off_within_a_second(site)
    assert done.returncode == 0
    return done


def assert_off_within_a_second(site: Site) -> None:
    latched_at = clock.now().boot - (time.time() - (site.run_dir / "board-1.stop").stat().st_mtime)
    off = wait_for(lambda: site.history("GPIO18")[-1].level == 1 and site.history("GPIO18")[-1], 2)
    assert off.at - latched_at < 1.0


def assert_all_is_recorded(site: Site) -> None:
    """What was done while the database was away stands in it, in order, once it is back."""

    def is_recorded() -> bool:
        with site.database() as database:
            stopped_at = database.execute("SELECT stopped_at FROM relays_board").fetchone()[0]
        return stopped_at is not None and not site.relay("pump")["wanted"] and site.relay("pump")["actual"] == 0

    wait_for(is_recorded, 15, "the record of the stop")
    said = [(event["kind"], event["via"], event["outcome"]) for event in site.events("lamp")]
    assert said == [
        ("asked on", "command line", "accepted"),
        ("asked on", "controller", "applied"),
        ("asked off", "timer", "accepted"),
        ("asked off", "controller", "applied"),
    ]
    said = [(event["kind"], event["via"], event["outcome"]) for event in site.events("pump")][2:]
    assert said == [("asked off", "stop", "accepted"), ("asked off", "controller", "applied")]
    assert site.levels("GPIO17") == site.levels("GPIO18") == [1, 0, 1]


@pytest.mark.slow
def test_a_locked_database(site: Site) -> None:
    furnish(site)
    end = deadline(site)
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("BEGIN EXCLUSIVE")
        locked_at = time.monotonic()
        assert_deadline_is_kept(site, end)
        done = assert_stop_works(site)
        assert done.stdout.startswith("Stopped, but not recorded yet, since the database cannot be written: ")
        done = site.manage("switch", "Pump", "off")
        assert done.returncode == 4
        assert (
            done.stderr == "Pump: refused: Nothing was changed, the database cannot be written: database is locked.\n"
        )
        time.sleep(max(0.0, 10 - (time.monotonic() - locked_at)))
        other.execute("ROLLBACK")
    assert_all_is_recorded(site)


def fill(path: Path) -> None:
    with path.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(4096))


@pytest.mark.slow
def test_the_page_stops_everything_while_the_database_is_locked(site: Site) -> None:
    add_relays(site, "Lamp", "Pump")
    site.add_user()
    site.start_controller()
    _, address = site.start_web()
    browser = sign_in(address)
    switch_on(site)
    with closing(sqlite3.connect(site.data_dir / "db.sqlite3", isolation_level=None)) as other:
        other.execute("PRAGMA wal_autocheckpoint=0")
        other.execute("BEGIN EXCLUSIVE")
        answer = post(browser, f"{address}/stop")
        assert_off_within_a_second(site)
        assert answer.status_code == 302
        assert "Stopped, but not recorded yet" in browser.get(address, timeout=10).text
        other.execute("ROLLBACK")
    wait_for(lambda: site.relay("pump")["wanted"] == 0 and site.relay("pump")["actual"] == 0, 15)


@pytest.mark.slow
def test_a_full_disk(tmp_path: Path, template_database: Path) -> None:
    with mounted(tmp_path / "disk", "-t", "tmpfs", "-o", "size=4M", "disk") as folder:
        site = make_site(folder, template_database)
        try:
            furnish(site)
            end = deadline(site)
            filler = folder / "filler"
            with pytest.raises(OSError, match="No space"):
                fill(filler)
            assert_deadline_is_kept(site, end)
            done = assert_stop_works(site)
            assert done.stdout.startswith("Stopped, but not recorded yet, since the database cannot be written: ")
            filler.unlink()
            assert_all_is_recorded(site)
        finally:
            site.end()


@pytest.mark.slow
def test_a_disk_that_turns_read_only(tmp_path: Path, template_database: Path) -> None:
    image = tmp_path / "image"
    with image.open("wb") as file:
        file.truncate(32 * 2**20)
    subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
    with mounted(tmp_path / "disk", "-o", "loop", str(image)) as folder:
        site = make_site(folder, template_database)
        try:
            furnish(site)
            end = deadline(site)
            subprocess.run(["mount", "-o", "remount,abort", str(folder)], check=True)
            assert_deadline_is_kept(site, end)
            done = assert_stop_works(site)
            assert done.stdout.startswith("Stopped, but not recorded yet, since the database cannot be written: ")
            beat = wait_for(lambda: (b := site.files().last_beat()) and b["problem"] and b, 5)
            assert beat["problem"].startswith("The database cannot be written: ")
        finally:
            site.end()


def readyz(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(f"{address}/readyz", timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


@pytest.mark.slow
@pytest.mark.parametrize("is_replaced", [False, True], ids=["deleted", "replaced"])
def test_a_database_that_is_deleted_or_replaced(site: Site, template_database: Path, is_replaced: bool) -> None:
    add_relays(site, "Lamp", "Pump")
    site.start_controller()
    _, address = site.start_web()
    switch_on(site)
    assert readyz(address)[0] == 200
    end = deadline(site)
    path = site.data_dir / "db.sqlite3"
    if is_replaced:
        foreign = site.data_dir / "foreign"
        shutil.copy(template_database, foreign)
        foreign.replace(path)
    else:
        path.unlink()
    before = content(site)
    assert_deadline_is_kept(site, end)
    status, said = readyz(address)
    assert status == 503
    word = "replaced" if is_replaced else "deleted"
    assert f"was {word} while iotsite was running" in said
    assert "restart iotsite" in said
    beat = wait_for(lambda: (b := site.files().last_beat()) and b["problem"] and b, 5)
    assert f"was {word} while iotsite was running" in beat["problem"]
    assert_stop_works(site)
    assert content(site) == before


def content(site: Site) -> dict[str, str]:
    """What lies in DATA_DIR: a foreign file must stay as it is."""
    files = sorted(site.data_dir.glob("db.sqlite3"))
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def test_the_log_of_a_replaced_database_is_not_played_into_the_new_one(site: Site, template_database: Path) -> None:
    """Everything was killed, and only then the file replaced: SQLite would find the old log by its name."""
    add_relays(site, "Lamp")
    controller = site.start_controller()
    wait_for(lambda: site.count("relays_event"), what="that its start is written down")
    controller.kill()
    controller.wait()
    log = site.data_dir / "db.sqlite3-wal"
    assert log.stat().st_size > 0
    foreign = site.data_dir / "foreign"
    shutil.copy(template_database, foreign)
    foreign.replace(site.data_dir / "db.sqlite3")
    before = content(site)
    done = site.manage("relays", "--json")
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
    assert content(site) == before
    assert log.with_name(f"{log.name}-of-the-replaced-database").exists()


@pytest.mark.slow
def test_at_rest_nothing_is_written_to_the_disk(site: Site) -> None:
    add_relays(site, "Lamp", "Pump")
    process = site.start_controller()
    assert site.manage("switch", "Lamp", "on").returncode == 0
    time.sleep(2)

    def written() -> int:
        rows = Path(f"/proc/{process.pid}/io").read_text().splitlines()
        return int(next(row for row in rows if row.startswith("write_bytes")).split()[1])

    before = written()
    time.sleep(60)
    assert written() == before
