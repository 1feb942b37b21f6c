"""A kernel that turns the lines of a dead process into inputs (upstream's, or dtparam=strict_gpiod on a Pi).

What is on drops then until it is claimed again. What is off never moves.
"""

import signal

import pytest

from tests.hardware.house import ON, House

DROPS = ["off", "on"]


@pytest.fixture
def strict_house(house: House) -> House:
    house.chip.keep_outputs(False)
    house.switch(True, *ON)
    house.chip.begin()
    return house


def test_a_start_moves_no_line(strict_house: House) -> None:
    strict_house.reboot()
    strict_house.chip.keep_outputs(False)
    strict_house.chip.begin()
    strict_house.start()
    assert strict_house.moves() == {}


def test_kill_9_drops_what_is_on_until_the_next_start_and_moves_nothing_else(strict_house: House) -> None:
    strict_house.kill()
    strict_house.start()
    assert strict_house.moves() == dict.fromkeys(ON, DROPS)


def test_sighup_drops_what_is_on_once_and_moves_nothing_else(strict_house: House) -> None:
    strict_house.upgrade()
    assert strict_house.moves() == dict.fromkeys(ON, DROPS)


def test_sigterm_drops_what_is_held_until_the_next_start_and_moves_nothing_else(strict_house: House) -> None:
    strict_house.end(signal.SIGTERM)
    strict_house.start()
    assert strict_house.moves() == {"lamp": ["off"], "pump": ["off"], "heater": DROPS, "fan": DROPS}


def test_failsafe_leaves_off_what_dropped(strict_house: House) -> None:
    strict_house.kill()
    assert strict_house.fail_safe().returncode == 0
    assert strict_house.moves() == {name: ["off"] for name in ON}
    strict_house.start()
    assert strict_house.moves() == {"lamp": ["off"], "pump": ["off"], "heater": DROPS, "fan": DROPS}
