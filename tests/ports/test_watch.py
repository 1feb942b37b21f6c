"""What keeps the ports fresh, as a process: woken, killed, told to wait, with a database that goes away."""

import os
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pytest_django import Settings

from ports import watch
from tests.ports.harbour import HarbourSite, body, harbour_site
from tests.ports.servers import silence, status, tagged, whole
from tests.site import wait_for

HOUR = timedelta(hours=1)
A_MOMENT = 1.0
"""Seconds in which a watch that had a reason to ask would have asked."""
SIGNALS_ELSEWHERE = """
import pathlib, signal, sys, threading, time
import django
from django.core.management import call_command

def send():
    while not pathlib.Path(sys.argv[1]).exists():
        time.sleep(0.01)
    signal.pthread_kill(other.ident, signal.SIGTERM)

other = threading.Thread(target=threading.Event().wait, daemon=True)
other.start()
threading.Thread(target=send, daemon=True).start()
django.setup()
from ports import watch
watch.LOOK_EVERY = 60.0
call_command("refresh_ships", "--watch")
"""
"""A watch that sends itself a signal once a file is there, and another thread catches it: that interrupts what the main
one waits for as little as a signal that comes just before it."""


@pytest.fixture
def site(
    tmp_path_factory: pytest.TempPathFactory, template_database: Path, settings: Settings
) -> Iterator[HarbourSite]:
    with harbour_site(tmp_path_factory.mktemp("s"), template_database) as made:
        settings.RUN_DIR = made.run_dir  # so that we wake what runs there
        yield made


def asked(site: HarbourSite, feed: str = "north") -> int:
    return len(site.server.asked_for(f"{feed}.told"))


def test_nobody_is_asked_until_a_port_is_turned_on_and_then_at_once(site: HarbourSite) -> None:
    assert (watch.is_running(), watch.wake()) == (False, False)
    site.start_watch()
    assert watch.is_running()
    time.sleep(A_MOMENT)
    assert site.server.asked == []
    site.turn_on("XXAAA")
    assert watch.wake()
    site.wait_refreshes(1)
    assert site.ships() == ["EVER GIVEN", "MOL TRIUMPH"]
    assert [request.path for request in site.server.asked] == ["/north.told"]
    wait_for(lambda: "XXAAA harbour: 2 calls: 2 new, 0 changed, " in site.log(), 10, site.log())


def test_where_script_server_runs_one_is_about_to_be_started_unless_that_was_given_up(site: HarbourSite) -> None:
    lock, given_up = site.run_dir / "server.lock", site.run_dir / watch.GIVEN_UP
    server = site.start(sys.executable, "-c", "import signal; signal.pause()", "iotsite.supervisor")
    lock.write_text(str(server.pid))
    wait_for(watch.is_running)
    assert watch.wake()
    given_up.touch()
    assert (watch.is_running(), watch.wake()) == (False, False)
    given_up.unlink()
    server.kill()
    server.wait()
    assert not watch.is_running()
    lock.write_text(str(os.getpid()))
    assert not watch.is_running(), "its number was given to another process"


def test_one_that_is_turned_off_is_asked_no_more(site: HarbourSite) -> None:
    site.turn_on("XXAAA", "XXCCC")
    site.start_watch()
    site.wait_refreshes(1, "north")
    site.wait_refreshes(1, "south")
    site.turn_on("XXAAA", on=False)
    site.grow_older(HOUR)
    watch.wake()
    site.wait_refreshes(2, "south")
    assert (asked(site, "north"), asked(site, "south")) == (1, 2)


def test_a_wish_is_granted_at_once_but_not_a_hasty_one(site: HarbourSite) -> None:
    site.turn_on("XXAAA")
    site.start_watch()
    site.wait_refreshes(1)
    site.wish("north")
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 1, "it was asked within the last minute"
    site.grow_older(timedelta(minutes=2))
    watch.wake()
    site.wait_refreshes(2)
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 2, "the wish is granted"


def test_killed_and_started_again_it_goes_on_where_it_was(site: HarbourSite) -> None:
    """The interval counts over restarts, and so does what the publisher said of its answer."""
    site.server.tell("/north.told", tagged(body("EVER GIVEN"), '"one"'))
    site.turn_on("XXAAA")
    process = site.start_watch()
    site.wait_refreshes(1)
    process.kill()
    process.wait()
    assert not watch.is_running()
    site.start_watch()
    assert watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 1
    site.grow_older(HOUR)
    watch.wake()
    site.wait_refreshes(2)
    assert site.server.asked[1].headers["if-none-match"] == '"one"'
    assert site.refreshes()[1]["outcome"] == "unchanged"


def test_killed_while_it_fetches_it_leaves_nothing_behind(site: HarbourSite) -> None:
    site.server.tell("/north.told", silence(30), whole(body("EVER GIVEN")))
    site.turn_on("XXAAA")
    process = site.start_watch()
    [now] = wait_for(lambda: [now for now in watch.running().values() if now.stage == "fetching"])
    assert datetime.now(UTC) - now.since < timedelta(minutes=1)
    wait_for(lambda: asked(site))
    process.kill()
    process.wait()
    assert (watch.running(), watch.is_running()) == ({}, False)
    site.start_watch()
    site.wait_refreshes(1)
    assert site.ships() == ["EVER GIVEN"]
    wait_for(lambda: watch.running() == {})


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_it_in_the_middle_of_a_fetch(site: HarbourSite, number: signal.Signals) -> None:
    site.server.tell("/north.told", silence(60))
    site.turn_on("XXAAA")
    process = site.start_watch()
    wait_for(lambda: asked(site))
    process.send_signal(number)
    assert process.wait(20) == 0
    assert "Traceback" not in site.log()
    assert list(site.run_dir.glob("*.now")) == []
    assert site.refreshes() == [], "it was not tried to the end"


def test_a_signal_ends_it_while_it_sleeps(site: HarbourSite) -> None:
    process = site.start_watch()
    process.terminate()
    assert process.wait(20) == 0
    assert "Traceback" not in site.log()


@pytest.mark.parametrize("is_asleep", [True, False])
def test_a_signal_that_interrupts_nothing_ends_it_too(site: HarbourSite, is_asleep: bool) -> None:
    site.server.tell("/north.told", silence(60))
    if not is_asleep:
        site.turn_on("XXAAA")
    process = site.start(sys.executable, "-c", SIGNALS_ELSEWHERE, str(site.folder / "now"))
    wait_for(lambda: "watch=start" in site.log() if is_asleep else asked(site))
    time.sleep(A_MOMENT)
    (site.folder / "now").touch()
    assert process.wait(15) == 0


def test_there_is_one_for_each_site(site: HarbourSite) -> None:
    process = site.start_watch()
    done = site.refresh("--watch")
    assert done.returncode == 1
    assert done.stderr == (
        f"CommandError: The ports are kept fresh already, by the process with pid {process.pid}: stop that one first.\n"
    )
    assert watch.wake(), "the first one listens still"


def test_it_waits_as_long_as_the_publisher_asks_whoever_wishes_otherwise(site: HarbourSite) -> None:
    site.server.tell("/north.told", status(429, Retry_After="3600"))
    site.turn_on("XXAAA")
    process = site.start_watch()
    site.wait_refreshes(1)
    [refresh] = site.refreshes()
    assert (refresh["outcome"], asked(site)) == ("failed", 1)
    process.kill()
    process.wait()
    site.start_watch()
    site.grow_older(timedelta(minutes=30))
    site.wish("north")
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 1
    with site.database() as connection:
        connection.execute("UPDATE ports_feed SET next_allowed_at = '2026-01-01 00:00:00'")
    watch.wake()
    site.wait_refreshes(2)


def test_a_failure_is_told_and_keeps_no_other_feed_waiting(site: HarbourSite) -> None:
    site.server.tell("/north.told", whole(b"<html>Down for maintenance", "text/html"))
    site.turn_on("XXAAA", "XXCCC")
    site.start_watch()
    site.wait_refreshes(1, "south")
    [refresh] = site.refreshes("north")
    assert (refresh["outcome"], bool(refresh["error"])) == ("failed", True)
    assert f"harbour north: failed: {refresh['error']}" in site.log()
    assert "Traceback" not in site.log()
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site, "north") == 1


def test_the_more_often_it_failed_the_longer_it_waits(site: HarbourSite) -> None:
    site.server.tell("/north.told", whole(b"<html>", "text/html"))
    site.turn_on("XXAAA")
    site.start_watch()
    for count in (1, 2, 3):
        site.wait_refreshes(count)
        site.grow_older(timedelta(minutes=20))
        watch.wake()
        if count < 2:
            continue
        time.sleep(A_MOMENT)
        assert asked(site) == count, "20 minutes are enough after one failure, not after two"
        site.grow_older(HOUR)
        watch.wake()


def test_a_clock_that_was_set_back_neither_stops_nor_hurries_it(site: HarbourSite) -> None:
    site.turn_on("XXAAA")
    process = site.start_watch()
    site.wait_refreshes(1)
    site.grow_older(-timedelta(days=4000))
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 1, "this process knows that it asked just now"
    process.kill()
    process.wait()
    site.start_watch()
    wait_for(lambda: asked(site) == 2)
    watch.wake()
    time.sleep(A_MOMENT)
    assert asked(site) == 2


@pytest.mark.slow
def test_it_looks_by_itself_now_and_then(site: HarbourSite) -> None:
    site.start_watch()
    site.turn_on("XXAAA")
    site.wait_refreshes(1)


@pytest.mark.slow
def test_a_locked_database_is_waited_for(site: HarbourSite) -> None:
    site.turn_on("XXAAA", "XXCCC")
    with site.database() as connection:
        connection.execute("BEGIN EXCLUSIVE")
        site.start_watch()
        wait_for(lambda: "watch=waiting database=" in site.log(), 60)
        connection.execute("ROLLBACK")
    site.wait_refreshes(1, "south")
    wait_for(lambda: "watch=goes on" in site.log(), 30)
    assert asked(site, "north") == 1, "it fetched in vain, and does not hammer"
    assert "Traceback" not in site.log()


@pytest.mark.slow
def test_a_database_that_was_moved_away_is_waited_for(site: HarbourSite) -> None:
    site.start_watch()
    database = site.data_dir / "db.sqlite3"
    away = database.rename(database.with_name("away"))
    watch.wake()
    wait_for(lambda: "was deleted while iotsite was running" in site.log())
    assert not database.exists(), "it makes none of its own"
    away.rename(database)
    site.turn_on("XXAAA")
    watch.wake()
    site.wait_refreshes(1)
    wait_for(lambda: "watch=goes on" in site.log())


@pytest.mark.slow
def test_a_foreign_database_is_never_read(site: HarbourSite) -> None:
    site.start_watch()
    database, foreign = site.data_dir / "db.sqlite3", site.folder / "foreign"
    with site.database() as connection:
        connection.execute("VACUUM INTO ?", (str(foreign),))
    foreign.replace(database)
    for log in database.parent.glob("db.sqlite3-*"):
        log.unlink()
    site.turn_on("XXAAA")
    watch.wake()
    wait_for(lambda: "was replaced while iotsite was running" in site.log())
    time.sleep(A_MOMENT)
    assert site.server.asked == []


@pytest.mark.slow
def test_a_run_dir_that_was_swept_away_is_laid_anew(site: HarbourSite) -> None:
    process = site.start_watch()
    process.send_signal(signal.SIGSTOP)  # at its next look it lays it anew
    wait_for(lambda: " T " in Path(f"/proc/{process.pid}/stat").read_text())
    shutil.rmtree(site.run_dir)
    assert not watch.wake()
    process.send_signal(signal.SIGCONT)
    wait_for(watch.is_running, 30)
    assert site.refresh("--watch").returncode == 1, "it holds the new lock"
    site.turn_on("XXAAA")
    assert watch.wake()
    site.wait_refreshes(1)
    assert process.poll() is None


@pytest.mark.slow
def test_at_rest_it_writes_nothing_and_costs_next_to_nothing(site: HarbourSite) -> None:
    site.turn_on("XXAAA", "XXBBB", "XXCCC")
    process = site.start_watch()
    wait_for(lambda: "XXCCC harbour: " in site.log(), 30, "the last one, rows counted and all")
    time.sleep(A_MOMENT)
    written, burnt = written_by(process.pid), seconds_of(process.pid)
    time.sleep(2.2 * watch.LOOK_EVERY)
    assert written_by(process.pid) == written
    assert seconds_of(process.pid) - burnt < 0.005 * 2.2 * watch.LOOK_EVERY


def written_by(pid: int) -> str:
    """Bytes that a process caused to be written to disk."""
    lines = Path(f"/proc/{pid}/io").read_text().splitlines()
    return next(line for line in lines if line.startswith("write_bytes"))


def seconds_of(pid: int) -> float:
    """Of processor time that a process took."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
