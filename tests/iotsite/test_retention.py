"""What is too old is taken away in bites that hold nobody up, and nothing that is needed, whatever the clock says."""

import json
import signal
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.core.management import call_command
from django.db import connection
from django.test import Client
from pytest_django import Settings

from iotsite import pruning, retention
from iotsite.histories import HISTORIES
from iotsite.pruning import LARGEST, LONG, WORK, Housekeeper, Pruning, next_size
from relays.models import Board, Event, Relay
from tests.iotsite.test_settings import load
from tests.site import Site, add_relays, wait_for

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
NOTHING = {"events": 0, "changes": 0, "refreshes": 0}


@pytest.fixture(autouse=True)
def _now(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """The same moment in each test within this process; a machine whose clock no network has set."""
    monkeypatch.setattr(pruning, "SYNCHRONISED", tmp_path / "synchronized")
    if "site" in request.fixturenames:
        yield
    else:
        with time_machine.travel(NOW, tick=False):
            yield


def add(board: Board, days: float, kind: str = "asked on", **fields: Any) -> Event:
    """An Event that is so many days old."""
    return Event.objects.create(board=board, at=NOW - timedelta(days=days), kind=kind, via="page", **fields)


def command(relay: Relay, days: float, outcome: str = "applied", answered: float | None = None) -> list[Event]:
    """A command of a relay, and what became of it."""
    asked = add(relay.board, days, relay=relay, outcome="accepted")
    return [asked, add(relay.board, answered or days, relay=relay, outcome=outcome, of=asked)]


def prune(*, trust_clock: bool = True) -> dict[str, int]:
    done = Pruning(trust_clock=trust_clock)
    while done.bite():
        pass
    return done.counts


def left() -> set[int]:
    return set(Event.objects.values_list("pk", flat=True))


def numbers(*events: Event) -> set[int]:
    return {event.pk for event in events}


# --- settings -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["-1", "two years", "", "1.5", "36501", "²", "9" * 5000])
def test_what_is_no_number_of_days_is_refused(text: str) -> None:
    with pytest.raises(retention.RetentionError, match=r"^KEEP_EVENTS is “.*”: it takes days, 1 to 36500, like 730"):
        retention.days("KEEP_EVENTS", text)


def test_a_wrong_number_of_days_ends_the_start_with_a_sentence(tmp_path: Path) -> None:
    done = load(tmp_path / "data", tmp_path / "run", KEEP_CHANGES="-1")
    sentence = "KEEP_CHANGES is “-1”: it takes days, 1 to 36500, like 730 for two years, or 0 for ever."
    assert (done.returncode, done.stderr) == (1, f"iotsite: {sentence}\n")


# --- what goes, and what stays ------------------------------------------------------------------------------


def test_what_is_older_than_two_years_goes_and_a_second_pass_finds_nothing(pump: Relay) -> None:
    command(pump, 1000)
    add(pump.board, 731, relay=pump, outcome="refused")
    young = [add(pump.board, 729, relay=pump, outcome="refused"), *command(pump, 2)]
    assert prune() == NOTHING | {"events": 3}
    assert left() == numbers(*young)
    assert prune() == NOTHING


def test_nothing_goes_where_it_is_kept_for_ever(pump: Relay, settings: Settings) -> None:
    settings.KEEP_EVENTS = 0
    command(pump, 5000)
    command(pump, 1)
    assert prune() == NOTHING


def test_a_command_stays_as_long_as_its_answer(pump: Relay) -> None:
    kept = [*command(pump, 731, answered=729), *command(pump, 1)]
    assert prune() == NOTHING
    assert left() == numbers(*kept)


def test_a_command_that_nobody_answered_stays(pump: Relay) -> None:
    open_one = add(pump.board, 1000, relay=pump, outcome="accepted")
    command(pump, 900)
    recent = command(pump, 1)
    assert prune() == NOTHING | {"events": 2}
    assert left() == numbers(open_one, *recent)


def test_what_a_relay_was_asked_and_did_last_stays_however_old(pump: Relay) -> None:
    done, overtaken, last = command(pump, 2000), command(pump, 1500, "superseded"), command(pump, 1400, "failed")
    Relay.objects.filter(pk=pump.pk).update(command=last[0].pk, applied_command=done[0].pk)
    newest = add(pump.board, 1300, "fault", relay=pump)
    add(pump.board, 1, "started")
    assert prune() == NOTHING | {"events": len(overtaken)}
    assert numbers(*done, *last, newest) < left()


def test_of_each_board_the_newest_stays(pump: Relay) -> None:
    boat = Board.objects.create(name="Boat", driver=Board.Driver.SIMULATED)
    add(boat, 1000, "started")
    kept = [add(pump.board, 800, "started"), add(boat, 900, "started"), *command(pump, 1)]
    assert prune() == NOTHING | {"events": 1}
    assert left() == numbers(*kept)


def test_a_bite_takes_so_many_and_all_are_counted(pump: Relay) -> None:
    for _ in range(30):
        command(pump, 1000)
    command(pump, 1)
    done = Pruning(trust_clock=True)
    assert done.bite()
    assert Event.objects.count() == 2 + 2 * (30 - pruning.FIRST)
    while done.bite():
        pass
    assert done.counts == NOTHING | {"events": 60}


@pytest.mark.parametrize(
    ("size", "worked", "took", "then"),
    [
        (20, WORK, WORK, 20),
        (20, WORK / 10, WORK, 40),
        (200, WORK * 2, WORK * 3, 100),
        (1, 10.0, 10.0, 1),
        (LARGEST, 0.0, 0.0, LARGEST),
        (200, WORK, LONG * 2, 100),
        (30, 0.001, LONG * 9, 20),  # a disk on which every commit takes long
        (20, WORK * 20, LONG * 9, 10),
    ],
)
def test_the_next_bite_is_as_large_as_the_last_was_fast(size: int, worked: float, took: float, then: int) -> None:
    assert next_size(size, worked, took) == then


def test_what_is_old_is_found_by_the_time_however_many_rows_there_are(pump: Relay) -> None:
    """Without statistics of the rows and with them, by which SQLite would choose another way."""
    for days in range(100):
        command(pump, days)
    for _ in range(2):
        for history in HISTORIES:
            rows = history._may_go(history._by_time().filter(**{f"{history.moment}__lt": NOW}), NOW)
            first = rows.exclude(pk__in=[1, 2]).filter(number__lt=9).explain().splitlines()[0]
            assert f"SEARCH {history.model._meta.db_table} USING INDEX" in first
            assert f"({history.moment}<?)" in first
        with connection.cursor() as cursor:
            cursor.execute("ANALYZE")


# --- clocks -------------------------------------------------------------------------------------------------


def test_a_clock_that_was_never_set_takes_nothing_away(pump: Relay) -> None:
    command(pump, 1000)
    command(pump, 1)
    with time_machine.travel(datetime(1970, 1, 1, 0, 5, tzinfo=UTC), tick=False):
        assert prune(trust_clock=False) == NOTHING


@pytest.fixture
def jump(pump: Relay) -> Iterator[Pruning]:
    """A pass on a machine whose clock jumped ten years ahead before the controller started."""
    for days in (700, 300, 0):
        command(pump, days)
    with time_machine.travel(NOW + timedelta(days=3650), tick=False):
        Event.objects.create(board=pump.board, kind="started", via="controller")
        yield Pruning()


def test_a_clock_that_is_years_ahead_takes_nothing_away_and_it_is_said(jump: Pruning) -> None:
    assert not jump.bite()
    assert jump.counts == NOTHING
    assert jump.doubts == [
        "The clock of this machine may be wrong: by it, nothing happened from 2026-11-26 to 2036-11-23, and the "
        "network did not set it. No events were taken away."
    ]


def test_who_knows_that_it_is_right_can_say_so(jump: Pruning) -> None:
    assert prune() == NOTHING | {"events": 4}  # the last command of the relay stays


def test_a_clock_that_the_network_set_is_right(jump: Pruning) -> None:
    pruning.SYNCHRONISED.touch()
    assert prune(trust_clock=False) == NOTHING | {"events": 4}


def test_what_was_written_before_the_clock_was_set_goes_with_its_neighbours(pump: Relay) -> None:
    """A Pi without network that started in 1970 again and again."""
    unset = (NOW - datetime(1970, 1, 2, tzinfo=UTC)) / timedelta(days=1)
    command(pump, unset), command(pump, 800)
    kept = [*command(pump, unset), *command(pump, 700), *command(pump, unset), *command(pump, 1)]
    assert prune(trust_clock=False) == NOTHING | {"events": 4}
    assert left() == numbers(*kept)


def test_what_was_written_by_a_clock_that_stood_still_is_not_old(pump: Relay) -> None:
    command(pump, 750)
    kept = [*command(pump, 720), *command(pump, 10), *command(pump, 740), *command(pump, 1)]
    assert prune(trust_clock=False) == NOTHING | {"events": 2}
    assert left() == numbers(*kept)


# --- the command --------------------------------------------------------------------------------------------


def test_the_command_says_what_it_took_away(
    pump: Relay, settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.KEEP_REFRESHES = 0
    settings.TIME_ZONE = "UTC"
    command(pump, 740), command(pump, 720)
    call_command("prune", "--dry-run")
    assert capsys.readouterr().out.splitlines()[0] == "events: 2 would go, of those from before 26 November 2024"
    call_command("prune")
    assert capsys.readouterr().out.splitlines() == [
        "events: 2 taken away, of those from before 26 November 2024",
        "changes: none taken away, of those from before 26 November 2024",
        "refreshes: kept for ever (KEEP_REFRESHES is 0)",
    ]
    call_command("prune", "--json")
    said = json.loads(capsys.readouterr().out)
    assert said["events"] == {"count": 0, "days": 730, "before": "2024-11-26T12:00:00+00:00"}
    assert said["refreshes"] == {"count": 0, "days": 0, "before": None}


@pytest.mark.parametrize("option", [(), ("--dry-run",)])
def test_a_doubt_is_said_and_ends_it_with_1(
    jump: Pruning, capsys: pytest.CaptureFixture[str], option: tuple[str, ...]
) -> None:
    with pytest.raises(SystemExit, match="1"):
        call_command("prune", *option)
    assert "If it is 23 November 2036 indeed, add --trust-clock." in capsys.readouterr().err
    call_command("prune", "--trust-clock")
    assert Event.objects.count() == 3


# --- in a living site ---------------------------------------------------------------------------------------


def test_it_is_looked_at_now_and_then_only(pump: Relay) -> None:
    command(pump, 1000), command(pump, 1)
    housekeeper = Housekeeper()
    assert housekeeper.look() == float("inf")
    assert Event.objects.count() == 4


HISTORY = """
from datetime import timedelta
from django.utils import timezone
from relays.models import Event, Relay
relay = Relay.objects.get()
def some(count, at):
    told = dict(kind="asked on", board_id=relay.board_id, relay=relay)
    Event.objects.bulk_create([Event(**told, at=at, outcome="accepted", via="page") for _ in range(count)])
    asked = list(Event.objects.filter(at=at))
    Event.objects.bulk_create([Event(**told, at=at, outcome="applied", via="controller", of=one) for one in asked])
some({count}, timezone.now() - timedelta(days=1000))
some(1, timezone.now() - timedelta(days=700))
"""


def with_history(site: Site, count: int) -> None:
    """A pump with so many old commands and a younger one."""
    add_relays(site, "Pump")
    done = site.manage("shell", "-v0", "-c", HISTORY.format(count=count))
    assert done.returncode == 0, done.stderr
    return site


def ask(site: Site, sql: str) -> list[Any]:
    with site.database() as opened:
        return [tuple(row) for row in opened.execute(sql)]


@pytest.mark.slow
def test_a_kill_in_the_middle_leaves_whole_commands_and_the_next_run_does_the_rest(site: Site) -> None:
    with_history(site, 2000)
    process = site.start(sys.executable, "manage.py", "prune")
    wait_for(lambda: site.count("relays_event") < 4002, what="that it has begun")
    process.send_signal(signal.SIGKILL)
    process.wait()
    rest = site.count("relays_event")
    assert 2 < rest < 4002
    assert ask(site, "SELECT count(*) FROM relays_event WHERE of_id IS NOT NULL") == [(rest / 2,)]
    assert ask(site, "PRAGMA foreign_key_check") == []
    assert ask(site, "PRAGMA integrity_check") == [("ok",)]
    assert json.loads(site.manage("prune", "--json").stdout)["events"]["count"] == rest - 2


IMPATIENT = """
import os
os.environ["DJANGO_SETTINGS_MODULE"] = "iotsite.settings"
import django
django.setup()
from iotsite import checkpoint, pruning
checkpoint.LOOK_EVERY, pruning.FIRST_AFTER = 0.1, 0.0
from django.core.management import execute_from_command_line
execute_from_command_line(["manage.py", "run_relays"])
"""
SWITCHER = """
from relays import door
from relays.models import Relay
for number in range(20):
    event = Relay.objects.get().switch(number % 2 == 0, by=None, via="command line")
    print(door.wait_for(event, 10).word)
"""
OLD = "SELECT count(*) FROM relays_event WHERE at < datetime('now', '-900 days')"


@pytest.mark.slow
def test_a_controller_does_it_beside_its_work_and_the_counters_stay(site: Site) -> None:
    with_history(site, 2000)
    site.start(sys.executable, "-c", IMPATIENT)
    wait_for(lambda: site.files().is_served, what="the controller's heartbeat")
    switched = site.manage("shell", "-v0", "-c", SWITCHER)
    assert switched.stdout.split() == ["applied"] * 20, switched.stderr
    wait_for(lambda: ask(site, OLD) == [(0,)], what="that all that is old is gone")
    before = site.relay("pump")
    assert before["cycles"] == 10
    assert before["on_for"] > 0
    with site.database() as opened:
        opened.execute("UPDATE relays_event SET at = '2020-02-02 02:02:02' WHERE id > 4000")
    done = site.manage("prune", "--trust-clock")
    assert "events: none" not in done.stdout
    assert site.relay("pump") == before


QUIET = """
from django.db import connection
from iotsite.pruning import Quiet
import sqlite3
from iotsite import database
quiet = Quiet()
other = sqlite3.connect(database.path(), isolation_level=None)
other.execute("PRAGMA wal_autocheckpoint=0")
def say(): print(quiet.has_come())
say(); say()
other.execute("CREATE TABLE filler (bytes)")
say(); say()
other.execute("BEGIN IMMEDIATE"); other.execute("ROLLBACK")
say()
other.execute("INSERT INTO filler VALUES (zeroblob(2000000))")
say(); say()
quiet._came_at -= 5
say()
"""


def test_a_bite_waits_while_somebody_writes_or_the_log_is_long_but_not_for_ever(site: Site) -> None:
    done = site.manage("shell", "-v0", "-c", QUIET)
    assert done.stdout.split() == ["False", "True", "False", "True", "True", "False", "False", "True"], done.stderr


# --- what was there before ----------------------------------------------------------------------------------


def test_a_search_jumps_over_what_is_gone(as_owner: Client, pump: Relay) -> None:
    """A few old rows are kept, a million numbers before the next."""
    add(pump.board, 2000, relay=pump, pk=7)
    add(pump.board, 1, relay=pump, pk=1_000_000)
    query, seen = "?who=nobody", 0
    while query:
        query, seen = as_owner.get(f"/activity/{query}").context["older"], seen + 1
    assert seen == 2
