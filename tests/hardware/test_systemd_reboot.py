"""What a reboot does to the relays that test_systemd.py left on, that all comes back by itself, and is taken off."""

import json
import urllib.request

import pytest

from tests.hardware.chip import Chip, steps_in
from tests.hardware.machine import SHARE
from tests.hardware.pi import ADDRESS, CONTROLLER, CURRENT, DATA_DIR, FAILSAFE, SERVICES, Pi, at_rest, moves

TRACE = SHARE / "trace"
"""What was done to the lines while the boot before this one ended."""


@pytest.fixture
def pi() -> Pi:
    """As it came up, with the trace of all that was done to the lines since the chip is there."""
    if not TRACE.exists():
        pytest.skip("the tests of the boot before this one were left out")
    return Pi(Chip(levels=at_rest()))


def test_on_the_way_down_what_is_not_to_be_held_is_switched_off(pi: Pi) -> None:
    levels = json.loads((SHARE / "levels").read_text())
    assert moves(steps_in(TRACE), levels) == {"lamp": ["off"], "pump": ["off"]}


def test_each_relay_does_what_its_power_up_says_in_one_edge(pi: Pi) -> None:
    pi.wait_for_state(CONTROLLER, "active")
    pi.settle()
    assert pi.moves() == {"pump": ["on"], "fan": ["on"]}


def test_all_that_was_installed_runs_again_and_answers(pi: Pi) -> None:
    for unit in SERVICES:
        pi.wait_for_state(unit, "active")
        assert pi.property(unit, "NRestarts") == "0"
    with urllib.request.urlopen(f"{ADDRESS}/readyz") as answer:
        assert answer.status == 200
    assert not pi.has_run(FAILSAFE)


def test_taken_off_it_switches_off_what_is_not_to_be_held_and_leaves_the_data(pi: Pi) -> None:
    said = pi.script("install", "--uninstall")
    assert f"What the site wrote is still in {DATA_DIR}" in said
    assert pi.moves() == {"pump": ["on", "off"], "fan": ["on"]}
    for unit in SERVICES:
        assert (pi.property(unit, "LoadState"), pi.property(unit, "UnitFileState")) == ("not-found", "")
    assert not CURRENT.exists()
    assert (DATA_DIR / "db.sqlite3").exists()
