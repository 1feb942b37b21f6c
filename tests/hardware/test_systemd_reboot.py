"""What a reboot does to relays that are on and to an update that was killed, as test_systemd.py left them.

Then it is updated, and taken off.
"""

import json
import urllib.request

import pytest

from tests.hardware.card import COLOUR, NEXT_VERSION
from tests.hardware.chip import Chip, steps_in
from tests.hardware.machine import SHARE
from tests.hardware.pi import (
    ADDRESS,
    CONTROLLER,
    CURRENT,
    DATA_DIR,
    FAILSAFE,
    FREED_AND_CLAIMED,
    RECOVER,
    SERVICES,
    Pi,
    at_rest,
    moves,
)

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


def test_an_update_that_was_killed_was_undone_before_anything_ran(pi: Pi) -> None:
    assert pi.property(RECOVER, "Result") == "success"
    assert pi.has_run(RECOVER)
    assert CURRENT.resolve().name == (SHARE / "installed").read_text()
    assert pi.migrated() != COLOUR
    assert len(list(DATA_DIR.glob("before-restore-*"))) == 1, "what it replaced is kept"
    assert not CURRENT.with_name("update.json").exists()


def test_an_update_brings_the_next_release_without_an_edge(pi: Pi) -> None:
    pi.make_ready()
    pid, release = pi.pid(), CURRENT.resolve()
    said = pi.script("update")
    assert f"{NEXT_VERSION} ({CURRENT.resolve().name[:7]}) runs, and everything answers. No relay moved." in said
    assert (pi.pid(), pi.beat()["code"]) == (pid, str(CURRENT.resolve()))
    assert CURRENT.resolve() != release
    assert pi.migrated() == COLOUR
    assert pi.chip.claims() == FREED_AND_CLAIMED
    assert pi.moves() == {}


def test_taken_off_it_switches_off_what_is_not_to_be_held_and_leaves_the_data(pi: Pi) -> None:
    pi.make_ready()
    said = pi.script("install", "--uninstall")
    assert f"What the site wrote is still in {DATA_DIR}" in said
    assert pi.moves() == {"lamp": ["off"], "pump": ["off"]}
    for unit in SERVICES:
        assert (pi.property(unit, "LoadState"), pi.property(unit, "UnitFileState")) == ("not-found", "")
    assert not CURRENT.exists()
    assert (DATA_DIR / "db.sqlite3").exists()
