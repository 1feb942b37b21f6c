"""What the ends of processes do to relays that are on, beside those that test_systemd.py brings about by units."""

import time
from datetime import timedelta

from tests.hardware.house import ON, RELAYS, House

FREED_AND_CLAIMED = {wiring["line"]: ["free", "output"] for wiring in RELAYS.values()}


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
    assert house.claims() == FREED_AND_CLAIMED
    assert house.moves() == {}


def test_failsafe_does_nothing_while_a_controller_runs(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    done = house.fail_safe()
    assert done.returncode == 1
    assert "its controller runs: nothing was switched" in done.stderr
    assert house.chip.steps() == []


def test_a_deadline_that_passed_while_the_controller_was_dead_is_one_edge_at_its_start(house: House) -> None:
    house.switch(True, "lamp", lasting=timedelta(seconds=4))
    house.chip.begin()
    house.kill()
    time.sleep(4)
    house.start()
    assert house.moves() == {"lamp": ["off"]}
    assert [step.cause for step in house.chip.steps("GPIO17")] == ["free", "output"]
