"""What the ends of processes do to relays that are on: what their owner chose, in one edge, and nothing else."""

import signal
import time
from datetime import timedelta

from relays.models import Relay
from tests.hardware.house import ON, RELAYS, House, wait_until

FREED_AND_CLAIMED = {wiring["line"]: ["free", "output"] for wiring in RELAYS.values()}


def test_sigterm_switches_off_what_is_not_to_be_held_and_the_next_start_is_a_power_up_for_it(house: House) -> None:
    house.switch(True, *ON)
    house.edit("pump", power_up=Relay.PowerUp.LAST)
    house.chip.begin()
    assert house.end(signal.SIGTERM) == 0
    assert house.moves() == {"lamp": ["off"], "pump": ["off"]}
    house.start()
    assert house.moves() == {"lamp": ["off"], "pump": ["off", "on"]}


def test_sighup_starts_the_controller_anew_without_an_edge(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    pid = house.pid
    house.upgrade()
    assert house.site.files().last_beat()["pid"] == pid
    assert house.chip.claims() == FREED_AND_CLAIMED
    assert house.moves() == {}


def test_kill_9_and_a_new_start_move_no_line(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    house.kill()
    house.start()
    assert house.chip.claims() == FREED_AND_CLAIMED
    assert house.moves() == {}


def test_a_crash_leaves_the_lines_as_they_are(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    with house.site.database() as database:
        database.execute("PRAGMA ignore_check_constraints=ON")
        database.execute("UPDATE relays_relay SET min_on = 'abc' WHERE slug = 'left-low'")
        assert house.exit_status() == 1
        assert "end=crash" in house.site.log()
        database.execute("UPDATE relays_relay SET min_on = NULL WHERE slug = 'left-low'")
    house.start()
    assert house.chip.claims() == FREED_AND_CLAIMED
    assert house.moves() == {}


def test_failsafe_switches_off_what_is_not_to_be_held_and_the_next_start_is_a_power_up_for_it(house: House) -> None:
    house.switch(True, *ON)
    house.edit("pump", power_up=Relay.PowerUp.LAST)
    house.kill()
    house.chip.begin()
    done = house.fail_safe()
    assert (done.returncode, done.stderr) == (0, "")
    assert house.moves() == {"lamp": ["off"], "pump": ["off"]}
    house.start()
    assert house.moves() == {"lamp": ["off"], "pump": ["off", "on"]}
    wait_until(lambda: not house.site.relay("lamp")["wanted"], "the record of what the power-up made of the lamp")


def test_failsafe_does_nothing_while_a_controller_runs(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    done = house.fail_safe()
    assert done.returncode == 1
    assert "its controller runs: nothing was switched" in done.stderr
    assert house.chip.steps() == []


def test_a_deadline_that_passed_while_the_controller_was_dead_is_one_edge_at_its_start(house: House) -> None:
    house.switch(True, "lamp", lasting=timedelta(seconds=20))
    house.chip.begin()
    house.kill()
    time.sleep(20)
    house.start()
    assert house.moves() == {"lamp": ["off"]}
    assert [step.cause for step in house.chip.steps("GPIO17")] == ["free", "output"]
