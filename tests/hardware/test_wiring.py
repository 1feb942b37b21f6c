"""Lines that change hands: edited, or held by another program."""

import subprocess
from collections.abc import Iterator

import pytest

from tests.hardware.house import House, wait_until


@pytest.fixture
def spare_house(house: House) -> Iterator[House]:
    """The house with the pulls that its spare relay needs, which is not enabled before and after."""
    for line in ("GPIO12", "GPIO16"):
        house.chip.pull(line, up=True)
    yield house
    house.edit("spare", line="GPIO16", is_enabled=False)
    house.settle()


@pytest.mark.parametrize("keeps_outputs", [True, False])
def test_a_new_line_is_claimed_off_after_the_old_one_was_let_go_off(spare_house: House, keeps_outputs: bool) -> None:
    house = spare_house
    house.chip.keep_outputs(keeps_outputs)
    house.edit("spare", is_enabled=True)
    wait_until(lambda: house.chip.steps("GPIO16"), "the claim of the line")
    house.settle()
    house.chip.begin()
    house.edit("spare", line="GPIO12")
    wait_until(lambda: house.chip.steps("GPIO12"), "the claim of the new line")
    house.settle()
    steps = [(step.line, step.cause, step.level) for step in house.chip.steps()]
    assert steps == [("GPIO16", "set", 1), ("GPIO16", "free", 1), ("GPIO12", "output", 1)]


def test_a_line_that_another_program_holds_is_a_fault_until_it_lets_go(spare_house: House) -> None:
    house = spare_house
    rival = subprocess.Popen(["gpioset", "--mode=signal", "gpiochip0", "16=1"])
    wait_until(lambda: house.chip.steps("GPIO16"), "the other program's claim")
    house.edit("spare", is_enabled=True)
    wait_until(lambda: house.site.relay("spare")["fault"], "the fault")
    assert house.site.relay("spare")["fault"] == (
        f"GPIO16 is in use by another program (pid {rival.pid}, gpioset): stop it or choose another line."
    )
    rival.kill()
    rival.wait()
    wait_until(lambda: house.site.relay("spare")["actual"] == 0, "the cure")
    assert house.site.relay("spare")["fault"] == ""
    house.switch(True, "spare")
    house.switch(False, "spare")
    assert house.moves() == {"spare": ["on", "off"]}
