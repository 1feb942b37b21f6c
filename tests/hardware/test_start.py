"""How lines are taken: once, at the level they are to have, and by one controller only."""

import subprocess
import sys

from relays.models import Relay
from tests.hardware.house import ON, RELAYS, House
from tests.site import ROOT


def test_after_a_boot_each_line_is_claimed_once_at_its_off_level(house: House) -> None:
    house.reboot()
    house.chip.begin()
    house.start()
    for wiring in RELAYS.values():
        steps = [(step.cause, step.level) for step in house.chip.steps(wiring["line"])]
        assert steps == [("output", 1 if wiring["polarity"] == "active-low" else 0)]
    assert house.moves() == {}


def test_after_a_boot_relays_go_on_in_one_edge_where_that_is_their_power_up(house: House) -> None:
    house.switch(True, "lamp", "pump", "fan")
    house.edit("fan", power_up=Relay.PowerUp.LAST)
    house.edit("heater", power_up=Relay.PowerUp.ON)
    house.reboot()
    house.chip.begin()
    house.start()
    assert house.moves() == {"fan": ["on"], "heater": ["on"]}


def test_a_second_controller_names_the_first_and_moves_no_line(house: House) -> None:
    house.switch(True, *ON)
    house.chip.begin()
    command = [sys.executable, "manage.py", "run_relays"]
    second = subprocess.run(command, cwd=ROOT, env=house.site.env, capture_output=True, text=True)
    assert second.returncode == 1
    assert f"served already, by the controller with pid {house.pid}" in second.stderr
    assert house.chip.steps() == []
    house.settle()
