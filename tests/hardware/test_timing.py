"""Times as the kernel's trace has them. The emulated processor is slow: lower bounds are exact, upper ones are not."""

import time
from datetime import timedelta
from itertools import pairwise
from statistics import median

from relays.models import Relay
from tests.hardware.house import CONSOLE, House, asked, assert_applied, wait_until

DEAD_TIME = 0.5
PULSE = 0.3
CLOCK = 0.001
"""Two clocks are compared: the controller's and the trace's."""
LATE = 0.4
"""Measured here: 20 to 190 ms as a rule, on a processor about 15 times slower than a real one and sometimes shared.
It only shows that nothing waits for a look that comes once a second."""


def test_an_interlock_keeps_its_dead_time_and_never_has_two_on(house: House) -> None:
    house.switch(True, "up")
    for name in ("down", "up", "down", "up"):
        house.switch(True, name)
    edges = house.chip.edges()
    is_on = [edge.level == (0 if edge.line == "GPIO25" else 1) for edge in edges]
    assert [edge.line for edge in edges] == ["GPIO25", *(2 * ["GPIO25", "GPIO26", "GPIO26", "GPIO25"])]
    assert is_on == [True, *(4 * [False, True])]
    gaps = [on.at - off.at for off, on in pairwise(edges) if off.line != on.line]
    print("dead times:", [f"{gap:.4f}" for gap in gaps])
    assert min(gaps) >= DEAD_TIME - CLOCK
    assert median(gaps) <= DEAD_TIME + LATE


def test_a_race_for_an_interlock_never_has_two_on(house: House) -> None:
    events = []
    for name in 5 * ("up", "down"):
        relay = Relay.objects.called(name)
        events.append(asked(lambda relay=relay: relay.switch(True, by=None, via=CONSOLE)))
    assert_applied(events[-1])
    on: set[str] = set()
    for edge in house.chip.edges():
        (on.add if edge.level == (0 if edge.line == "GPIO25" else 1) else on.discard)(edge.line)
        assert len(on) <= 1
    assert on == {"GPIO26"}


def test_a_pulse_is_never_shorter_than_asked_for(house: House) -> None:
    for _ in range(5):
        assert_applied(asked(lambda: Relay.objects.called("gate").press(by=None, via=CONSOLE)))
        wait_until(lambda: not house.site.relay("gate")["wanted"], "the end of the pulse")
        house.settle()
    edges = house.chip.edges("GPIO24")
    assert [edge.level for edge in edges] == 5 * [0, 1]
    widths = [off.at - on.at for on, off in zip(edges[::2], edges[1::2], strict=True)]
    print("pulses:", [f"{width:.4f}" for width in widths])
    assert min(widths) >= PULSE - CLOCK
    assert median(widths) <= PULSE + LATE


def test_a_pulse_that_kill_9_cut_ends_when_the_controller_is_back(house: House) -> None:
    house.edit("gate", pulse=timedelta(seconds=10))  # longer than the kill takes to come
    try:
        asked(lambda: Relay.objects.called("gate").press(by=None, via=CONSOLE))
        wait_until(lambda: house.chip.edges("GPIO24"), "the pulse")
        house.kill()
        assert house.moves() == {"gate": ["on"]}
        time.sleep(10)
        house.start()
        assert house.moves() == {"gate": ["on", "off"]}
    finally:
        house.edit("gate", pulse=timedelta(seconds=PULSE))
