"""The controller within one process, on a clock that the test turns: what it reads, writes, remembers and records."""

import json
import os
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from relays import door, runfiles
from relays.boards.simulated import Simulated, append, history
from relays.clock import Now, boot_id
from relays.controller import Controller
from relays.models import Board, Event, Interlock, Relay
from tests.site import Site, add_relays, wait_for

VIA = Event.Via.COMMAND_LINE

pytestmark = pytest.mark.django_db(transaction=True)


class Clock:
    """Both clocks, turned by hand."""

    def __init__(self) -> None:
        self.boot = runfiles.clock.boot_seconds()
        self.wall = datetime.now(UTC)

    def __call__(self) -> Now:
        return Now(self.boot, self.wall)

    def turn(self, seconds: float) -> None:
        self.boot += seconds
        self.wall += timedelta(seconds=seconds)

    def step_wall(self, seconds: float) -> None:
        self.wall += timedelta(seconds=seconds)


class House:
    """A board with a lamp and a fan, and a controller that a test can start, turn and end."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.board = Board.objects.create(name="Board", driver="simulated")
        self.files = self.board.files
        self.lamp = self.add("Lamp", "GPIO17")
        self.fan = self.add("Fan", "GPIO18")
        self.controller: Controller

    def add(self, name: str, line: str, **rules: Any) -> Relay:
        relay = Relay(name=name, board=self.board, line=line, polarity=rules.pop("polarity", "active-low"), **rules)
        relay.save_edited(by=None, via=VIA)
        return relay

    def start(self) -> None:
        self.controller = Controller(self.board, Simulated(self.files), self.files, self.files.take_lock(), self.clock)
        self.controller.begin()
        self.record()

    def _look(self) -> float:
        self.controller.seen_version = None  # one connection serves all here, and does not see its own commits
        return self.controller.look()

    def look(self, seconds: float = 0.0) -> None:
        """Let time go by, looking whenever the controller asked for it, and record."""
        end = self.clock.boot + seconds
        due = self._look()
        while due <= end:
            self.clock.turn(due - self.clock.boot)
            due = self._look()
            self.record()
        self.clock.turn(end - self.clock.boot)
        self._look()
        self.record()

    def record(self) -> None:
        assert self.controller.recorder.work_off()

    def crash(self) -> None:
        """Nothing more of it runs; what it left is on the lines and in RUN_DIR."""
        self.controller.mailbox.socket.close()
        os.close(self.controller.lock)

    def end(self) -> None:
        self.controller.is_ending = True
        self.controller.recorder.start()
        self.controller.stop()
        self.crash()

    def switch(self, relay: Relay, on: bool, seconds: float | None = None) -> Event:
        self.files.beat()
        lasting = timedelta(seconds=seconds) if seconds else None
        return relay.switch(on, by=None, via=VIA, lasting=lasting)

    def levels(self, line: str) -> list[int]:
        levels: list[int] = []
        for row in history(self.files.lines):
            if row.line == line and (not levels or levels[-1] != row.level):
                levels.append(row.level)
        return levels

    def events(self, relay: Relay) -> list[str]:
        return [event.sentence for event in relay.events.order_by("id")]


@pytest.fixture
def house() -> Iterator[House]:
    made = House()
    yield made
    for path in Path(settings.RUN_DIR).glob("board-*"):
        path.unlink()


def test_a_switch_goes_from_the_door_to_the_pin_and_back(house: House) -> None:
    house.start()
    event = house.switch(house.lamp, True)
    assert door.outcome_of(event).word == "pending"
    house.look()
    house.lamp.refresh_from_db()
    assert (house.lamp.wanted, house.lamp.actual, house.lamp.applied_command) == (True, True, event.pk)
    assert door.outcome_of(event).word == "applied"
    assert house.levels("GPIO17") == [1, 0]
    assert house.levels("GPIO18") == [1]


def test_a_first_heartbeat_says_that_the_lines_are_taken(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    beat = runfiles.BoardFiles.beat
    seen = []

    def see(files: runfiles.BoardFiles, **said: Any) -> None:
        seen.append(house.levels("GPIO17"))
        beat(files, **said)

    monkeypatch.setattr(runfiles.BoardFiles, "beat", see)
    house.start()
    assert seen == [[1]]


def test_an_active_high_relay_is_on_when_its_line_is_high(house: House) -> None:
    pump = house.add("Pump", "GPIO22", polarity="active-high")
    house.start()
    house.switch(pump, True)
    house.look()
    assert house.levels("GPIO22") == [0, 1]


@pytest.mark.parametrize("step", [3600, -3600, -1.7e9, 1e9])
def test_a_step_of_the_wall_clock_moves_no_deadline(house: House, step: float) -> None:
    house.start()
    house.switch(house.lamp, True, 600)
    house.look(300)
    house.clock.step_wall(step)
    house.look(299)
    assert house.levels("GPIO17") == [1, 0]
    house.look(2)
    assert house.levels("GPIO17") == [1, 0, 1]


@pytest.mark.parametrize("step", [3600, -3600])
def test_a_deadline_survives_a_crash_and_a_step_of_the_wall_clock(house: House, step: float) -> None:
    house.start()
    house.switch(house.lamp, True, 600)
    house.look(100)
    house.crash()
    house.clock.turn(100)
    house.clock.step_wall(step)
    house.start()
    house.look(399)
    assert house.levels("GPIO17") == [1, 0]
    house.look(2)
    assert house.levels("GPIO17") == [1, 0, 1]


def test_a_deadline_that_passed_while_the_controller_was_away_is_kept_first_thing(house: House) -> None:
    house.start()
    house.switch(house.lamp, True, 60)
    house.look(10)
    house.crash()
    house.clock.turn(100)
    house.start()
    assert house.levels("GPIO17") == [1, 0, 1]
    assert house.events(house.lamp)[2:] == [
        "asked off via timer: accepted (its time is over)",
        "asked off via timer: applied",
    ]


def forget_this_boot(house: House) -> None:
    """As after a reboot: RUN_DIR is empty, the pins are at rest."""
    for path in Path(settings.RUN_DIR).glob("board-*"):
        path.unlink()


@pytest.mark.parametrize(("policy", "levels"), [("off", [1]), ("on", [1, 0]), ("last", [1, 0])])
def test_power_up_does_what_the_relay_says(house: House, policy: str, levels: list[int]) -> None:
    Relay.objects.filter(pk=house.lamp.pk).update(power_up=policy)
    house.start()
    house.switch(house.lamp, True)
    house.look(5)
    house.crash()
    forget_this_boot(house)
    house.start()
    house.look(5)
    assert house.levels("GPIO17") == levels
    house.lamp.refresh_from_db()
    assert house.lamp.wanted is (policy != "off")


def test_a_plan_file_of_another_boot_is_not_believed(house: House) -> None:
    house.start()
    house.switch(house.lamp, True)
    house.look(5)
    house.crash()
    left = json.loads(house.files.plan.read_text())
    assert left["boot_id"] == boot_id()
    house.files.plan.write_text(json.dumps(left | {"boot_id": "another"}))
    house.start()
    assert house.levels("GPIO17") == [1, 0, 1]


@pytest.mark.parametrize(("policy", "levels"), [("off", [1, 0, 1]), ("hold", [1, 0])])
def test_an_orderly_stop_switches_off_or_holds(house: House, policy: str, levels: list[int]) -> None:
    Relay.objects.filter(pk=house.lamp.pk).update(on_stop=policy)
    house.start()
    house.switch(house.lamp, True)
    house.look(5)
    house.end()
    assert house.levels("GPIO17") == levels
    house.start()
    house.look(60)
    assert house.levels("GPIO17") == levels, "the start that follows moves nothing"
    house.lamp.refresh_from_db()
    assert house.lamp.wanted is (policy == "hold")


def test_after_an_orderly_stop_a_relay_with_power_up_last_goes_on_again(house: House) -> None:
    Relay.objects.filter(pk=house.lamp.pk).update(power_up="last")
    house.start()
    house.switch(house.lamp, True)
    house.look(5)
    house.end()
    house.start()
    house.look(5)
    assert house.levels("GPIO17") == [1, 0, 1, 0]


def test_an_edited_line_is_let_go_off_before_the_new_one_is_claimed_off(house: House) -> None:
    house.start()
    house.lamp.line = "GPIO27"
    house.lamp.save_edited(by=None, via=VIA)
    house.look()
    rows = [(row.line, row.level, row.cause) for row in history(house.files.lines)]
    assert rows[2:] == [("GPIO17", 1, "release"), ("GPIO27", 1, "claim")]


def test_an_edited_polarity_claims_the_line_anew_at_its_off_level(house: House) -> None:
    house.start()
    house.lamp.polarity = "active-high"
    house.lamp.save_edited(by=None, via=VIA)
    house.look()
    rows = [(row.line, row.level, row.cause) for row in history(house.files.lines)]
    assert rows[2:] == [("GPIO17", 1, "release"), ("GPIO17", 0, "claim")]


def test_a_disabled_relay_is_let_go_and_unknown(house: House) -> None:
    house.start()
    house.lamp.is_enabled = False
    house.lamp.save_edited(by=None, via=VIA)
    house.look()
    house.lamp.refresh_from_db()
    assert house.lamp.actual is None
    assert history(house.files.lines)[-1].cause == "release"


def set_fault(house: House, line: str, fault: str) -> None:
    house.files.faults.write_text(json.dumps({line: fault}))


def test_a_stuck_line_is_a_fault_in_words_and_stops_no_other(house: House) -> None:
    house.start()
    set_fault(house, "GPIO17", "stuck")
    event = house.switch(house.lamp, True)
    house.switch(house.fan, True)
    house.look(1)
    house.lamp.refresh_from_db()
    sentence = "GPIO17 reads back off though it was switched on: check its wiring, and what else drives it."
    assert (house.lamp.actual, house.lamp.fault) == (False, sentence)
    assert (door.outcome_of(event).word, door.outcome_of(event).sentence) == ("failed", sentence)
    assert house.levels("GPIO18") == [1, 0]
    house.files.faults.unlink()
    house.look(10)
    house.lamp.refresh_from_db()
    assert (house.lamp.actual, house.lamp.fault) == (True, "")
    assert [event.kind for event in house.lamp.events.order_by("id")] == ["asked on", "asked on", "fault", "cured"]


def test_a_line_that_is_busy_is_claimed_as_soon_as_it_is_free(house: House) -> None:
    set_fault(house, "GPIO17", "busy")
    house.start()
    house.look(1)
    house.lamp.refresh_from_db()
    assert house.lamp.actual is None
    assert house.lamp.fault == "GPIO17 is in use by another program (simulated): stop it or choose another line."
    house.files.faults.unlink()
    house.look(10)
    house.lamp.refresh_from_db()
    assert (house.lamp.actual, house.lamp.fault) == (False, "")


def test_a_line_that_somebody_else_moved_is_noticed_and_put_right(house: House) -> None:
    house.start()
    append(house.files.lines, "GPIO17", 0, "somebody")
    house.look(2)
    house.lamp.refresh_from_db()
    assert house.lamp.actual is False
    assert house.levels("GPIO17") == [1, 0, 1]
    assert [event.kind for event in house.lamp.events.order_by("id")] == ["fault", "cured"]


def test_a_kill_between_two_writes_of_the_memory_leaves_the_line_as_wanted(house: House) -> None:
    """The plan file says where a line was being moved: the next start moves it there, or not at all."""
    house.start()
    house.switch(house.lamp, True)
    house.look(1)
    house.crash()
    left = json.loads(house.files.plan.read_text())
    left["lines"][str(house.lamp.pk)] |= {"level": False, "moving_to": True}
    house.files.plan.write_text(json.dumps(left))
    house.start()
    assert house.levels("GPIO17") == [1, 0]


def start_as_a_pair(house: House) -> None:
    """Lamp and fan in an interlock with a dead time of 5 s, long after the last start."""
    interlock = Interlock(name="Pair", board=house.board, dead_time=timedelta(seconds=5))
    interlock.save_edited(by=None, via=VIA)
    Relay.objects.update(interlock=interlock)
    house.start()
    house.look(10)


@pytest.mark.parametrize("left", [{}, {"level": True, "moving_to": False, "since": 0.0}], ids=["after", "within"])
def test_dead_time_counts_from_the_start_after_a_crash(house: House, left: dict[str, object]) -> None:
    """Also where the kill came when the line was off already, and the plan file did not say so yet."""
    start_as_a_pair(house)
    house.switch(house.lamp, True)
    house.look(1)
    house.switch(house.lamp, False)
    house.look(1)
    house.crash()
    plan = json.loads(house.files.plan.read_text())
    plan["lines"][str(house.lamp.pk)] |= left
    house.files.plan.write_text(json.dumps(plan))
    house.start()
    house.switch(house.fan, True)
    house.look(4)
    assert house.levels("GPIO18") == [1]
    house.look(2)
    assert house.levels("GPIO18") == [1, 0]


def test_dead_time_counts_from_the_claim_that_switched_off(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill hit the lamp as it went on, it is no longer wanted, and the board takes its time to claim it."""
    start_as_a_pair(house)
    house.switch(house.lamp, True)
    house.look(1)
    house.crash()
    house.switch(house.lamp, False)
    left = json.loads(house.files.plan.read_text())
    left["lines"][str(house.lamp.pk)] |= {"level": False, "moving_to": True, "since": 0.0}
    house.files.plan.write_text(json.dumps(left))
    claim = Simulated.claim

    def slow(board: Simulated, line: str, on: bool, *, active_low: bool) -> None:
        house.clock.turn(1)
        claim(board, line, on, active_low=active_low)

    monkeypatch.setattr(Simulated, "claim", slow)
    house.start()
    assert house.levels("GPIO17") == [1, 0, 1]
    house.switch(house.fan, True)
    house.look(3.5)  # the fan's own claim was a second after the lamp's
    assert house.levels("GPIO18") == [1]
    house.look(1)
    assert house.levels("GPIO18") == [1, 0]


def test_stop_by_the_latch_alone_is_carried_out_and_recorded(house: House) -> None:
    house.start()
    house.switch(house.lamp, True)
    house.look(1)
    house.files.latch("anna", "page")
    house.look()
    assert house.levels("GPIO17") == [1, 0, 1]
    house.board.refresh_from_db()
    assert house.board.stopped_by == "anna"
    house.lamp.refresh_from_db()
    assert house.lamp.wanted is False
    door.reset_stop(by=None, via=VIA)
    house.look()
    house.board.refresh_from_db()
    assert not house.board.is_stopped
    assert house.levels("GPIO17") == [1, 0, 1]


def test_a_newer_command_is_not_overwritten_by_a_deadline(house: House) -> None:
    """The deadline's change of wanted is recorded late: the command given meanwhile stands."""
    house.start()
    house.switch(house.lamp, True, 60)
    house.look(59)
    house.clock.turn(2)
    house.controller.look()
    newer = house.switch(house.lamp, True)
    house.record()
    house.look(1)
    house.lamp.refresh_from_db()
    assert (house.lamp.wanted, house.lamp.actual, house.lamp.command) == (True, True, newer.pk)
    overtaken = Event.objects.get(relay=house.lamp, via="timer")
    assert overtaken.outcome == Event.Outcome.SUPERSEDED


def test_each_change_is_told_once(house: House) -> None:
    """No outcome twice, no row written for nothing, even when looked at again and again."""
    house.start()
    house.switch(house.lamp, True, 5)
    for _ in range(20):
        house.look(1)
    assert house.events(house.lamp) == [
        f"asked on by {door.name_of(None, VIA)} via command line: accepted",
        f"asked on by {door.name_of(None, VIA)} via command line: applied",
        "asked off via timer: accepted (its time is over)",
        "asked off via timer: applied",
    ]
    assert house.controller.recorder.waiting == 0


def test_a_restart_records_no_line_as_unknown_in_between(house: House) -> None:
    house.start()
    house.switch(house.lamp, True)
    house.look(5)
    since = Relay.objects.get(pk=house.lamp.pk).actual_at
    house.crash()
    house.start()
    house.look(5)
    assert Relay.objects.get(pk=house.lamp.pk).actual_at == since


def test_a_full_day_of_presses_is_remembered_in_a_small_file(house: House) -> None:
    gate = house.add("Gate", "GPIO23", mode="momentary", pulse=timedelta(milliseconds=500))
    house.start()
    for _ in range(200):
        house.files.beat()
        gate.press(by=None, via=VIA)
        house.look(2)
    assert house.files.plan.stat().st_size < 2000
    assert len([row for row in history(house.files.lines) if row.line == "GPIO23" and row.level == 0]) == 200


def test_a_run_dir_that_is_removed_is_laid_anew(site: Site) -> None:
    """systemd empties /dev/shm of a user who signs out: the controller goes on, and nothing moves."""
    add_relays(site, "Lamp")
    process = site.start_controller()
    assert site.manage("switch", "Lamp", "on").returncode == 0
    for _ in range(5):
        shutil.rmtree(site.run_dir, ignore_errors=True)
        wait_for(lambda: site.files().is_served and site.files().socket.exists(), 10, "a heartbeat")
    lock = site.run_dir / "board-1.lock"
    lock.unlink()
    wait_for(lock.exists, what="the lock alone, taken anew")
    done = site.manage("run_relays")
    assert f"is served already, by the controller with pid {process.pid}" in done.stderr
    assert site.manage("switch", "Lamp", "on").returncode == 0
    assert site.history("GPIO17") == []
    assert site.manage("switch", "Lamp", "off").returncode == 0
    assert site.levels("GPIO17") == [1]
