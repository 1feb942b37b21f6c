"""Who holds which line of a real chip, and what the controller tells of it."""

import subprocess
from pathlib import Path

from relays.boards import taken
from relays.header_report import HeaderReport
from tests.hardware.house import RELAYS, House, wait_until

CHIP = Path("/dev/gpiochip0")


def test_the_kernel_names_whoever_holds_a_line(house: House) -> None:
    ours = {str(wiring["line"]) for wiring in RELAYS.values()}
    assert taken.taken(CHIP).keys() == ours
    rival = subprocess.Popen(["gpioset", "--mode=signal", "gpiochip0", "16=1"])
    try:
        wait_until(lambda: "GPIO16" in taken.taken(CHIP), "the other program's claim")
        assert taken.by_others(CHIP, ours, ["GPIO16"]) == {"GPIO16": f"pid {rival.pid}, gpioset"}
        assert taken.by_others(CHIP, ours, []) == {"GPIO16": "gpioset"}
    finally:
        rival.kill()
        rival.wait()


def test_the_controller_tells_of_the_lines_that_it_holds(house: House) -> None:
    heard: list[HeaderReport | None] = [None]
    wait_until(lambda: heard.append(HeaderReport.last(house.site.files())) or heard[-1], "the controller's report")
    told = heard[-1]
    assert told is not None
    assert (told.device, told.problem, told.others) == ("/dev/gpiochip0", "", {})
    assert set(told.own) == {wiring["line"] for wiring in RELAYS.values()}
