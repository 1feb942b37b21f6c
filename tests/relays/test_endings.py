from datetime import timedelta

import pytest
from django.utils import timezone
from pytest_django import Settings

from relays import endings
from relays.boards import kernel
from relays.models import Board, Relay

KEEPS, LETS_GO, UNSAID = True, False, None
DOUBT = "This kernel does not say whether it keeps outputs. If it does not: "


@pytest.fixture
def lamp() -> Relay:
    """On a real board, on a line that is pulled down at boot; not in the database, for none of this needs it."""
    board = Board(pk=1, name="Pi", driver=Board.Driver.GPIO)
    return Relay(name="Lamp", slug="lamp", board=board, line="GPIO17", polarity="active-low")


def told(relay: Relay, what: str, keeps: bool | None = KEEPS) -> str:
    return dict(endings.told(relay, keeps))[what]


@pytest.fixture(autouse=True)
def _own_run_dir(settings: Settings, tmp_path: object) -> None:
    settings.RUN_DIR = tmp_path


@pytest.mark.parametrize("keeps", [KEEPS, LETS_GO, UNSAID])
def test_an_orderly_stop_switches_it_off_on_every_kernel(lamp: Relay, keeps: bool | None) -> None:
    sentence = "It is switched off first. The next start counts as a power-up (see “Reboot”)."
    assert told(lamp, endings.STOP, keeps) == sentence


HELD = "The pin stays as it is, on or off. The next start goes on with what is wanted."
NOT_HELD = "t drops until the controller is started again: this kernel cannot hold it; if it is off, it stays off."


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [
        (KEEPS, HELD),
        (LETS_GO, f"If it is on, i{NOT_HELD}"),
        (UNSAID, f"{HELD} {DOUBT}if it is on, i{NOT_HELD}"),
    ],
)
def test_a_stop_holds_it_where_the_kernel_can(lamp: Relay, keeps: bool | None, sentence: str) -> None:
    lamp.on_stop = "hold"
    assert told(lamp, endings.STOP, keeps) == sentence


STILL = "The pin does not move."
A_SECOND = "it drops for about a second, until the new controller takes it; if it is off, it stays off."


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [
        (KEEPS, STILL),
        (LETS_GO, f"If it is on, {A_SECOND}"),
        (UNSAID, f"{STILL} {DOUBT}if it is on, {A_SECOND}"),
    ],
)
@pytest.mark.parametrize("choice", ["off", "hold"])
def test_an_upgrade_moves_nothing_where_the_kernel_keeps_outputs(
    lamp: Relay, choice: str, keeps: bool | None, sentence: str
) -> None:
    lamp.on_stop = lamp.on_lost = choice
    assert told(lamp, endings.UPGRADE, keeps) == sentence


GOES_ON = "The pin does not move, and what it was switched on for still ends on time."
DROPS = "it drops until the controller is back; if it is off, it stays off."


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [(KEEPS, GOES_ON), (LETS_GO, f"If it is on, {DROPS}"), (UNSAID, f"{GOES_ON} {DOUBT}if it is on, {DROPS}")],
)
def test_a_crash_with_a_quick_return(lamp: Relay, keeps: bool | None, sentence: str) -> None:
    assert told(lamp, endings.CRASH, keeps) == sentence


def test_a_press_cut_short_ends_when_the_controller_is_back(lamp: Relay) -> None:
    lamp.mode, lamp.pulse = "momentary", timedelta(seconds=1)
    ends = "A press that is cut short ends when the controller is back."
    assert told(lamp, endings.CRASH) == f"{GOES_ON} {ends}"
    assert told(lamp, endings.CRASH, UNSAID) == f"{GOES_ON} {DOUBT}if it is on, {DROPS} {ends}"
    drops = "A press that is cut short drops at once; what is left of it is made up for."
    assert told(lamp, endings.CRASH, LETS_GO) == f"If it is on, {DROPS} {drops}"


FAILSAFE = "A small program without Django or database switches it off. The next start counts as a power-up."


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [(KEEPS, FAILSAFE), (UNSAID, FAILSAFE), (LETS_GO, f"It drops with the controller. {FAILSAFE}")],
)
def test_a_lost_controller_leaves_it_off(lamp: Relay, keeps: bool | None, sentence: str) -> None:
    assert told(lamp, endings.LOSS, keeps) == sentence


LEFT = "The pin stays as it is. If it is on, nothing switches it off, not even the end of “on for …”"
CANNOT = "it drops and stays off: this kernel cannot hold it; if it is off, it stays off."


@pytest.mark.parametrize(
    ("keeps", "sentence"),
    [(KEEPS, f"{LEFT}."), (LETS_GO, f"If it is on, {CANNOT}"), (UNSAID, f"{LEFT}. {DOUBT}if it is on, {CANNOT}")],
)
def test_a_lost_controller_leaves_it_as_it_is_where_that_was_chosen(
    lamp: Relay, keeps: bool | None, sentence: str
) -> None:
    lamp.on_lost = "hold"
    assert told(lamp, endings.LOSS, keeps) == sentence


def test_nothing_keeps_the_longest_on_of_a_relay_that_is_left_on(lamp: Relay) -> None:
    lamp.on_lost, lamp.max_on = "hold", timedelta(hours=2)
    assert told(lamp, endings.LOSS) == f"{LEFT} or its longest on, 2h."


@pytest.mark.parametrize("keeps", [KEEPS, LETS_GO, UNSAID])
def test_the_end_of_the_web_server_is_nothing_to_a_relay(lamp: Relay, keeps: bool | None) -> None:
    assert told(lamp, endings.WEB, keeps) == "Nothing: it owns no pin."


POWER_UP = {
    "off": "It is off, and stays off until somebody asks.",
    "on": "It goes on when the controller has started.",
    "last": "It goes on if on is what was wanted last, unless its time is over meanwhile; else it stays off.",
}


@pytest.mark.parametrize("choice", POWER_UP)
@pytest.mark.parametrize("keeps", [KEEPS, LETS_GO, UNSAID])
def test_a_boot_brings_what_was_chosen_for_power_up(lamp: Relay, choice: str, keeps: bool | None) -> None:
    lamp.power_up = choice
    reboot = f"The controller is stopped in order, as above. {POWER_UP[choice]}"
    assert told(lamp, endings.REBOOT, keeps) == reboot
    assert told(lamp, endings.POWER_CUT, keeps) == f"The relay drops. When the power is back: {POWER_UP[choice]}"


@pytest.mark.parametrize("choice", ["on", "last"])
def test_a_lock_or_a_stop_keeps_it_off_at_power_up(lamp: Relay, choice: str) -> None:
    lamp.power_up = choice
    lamp.board.stopped_at = timezone.now()
    assert told(lamp, endings.POWER_CUT).endswith("It stays off as long as everything is stopped.")
    lamp.is_locked = True
    assert told(lamp, endings.POWER_CUT).endswith("It stays off as long as it is locked.")


@pytest.mark.parametrize(
    ("line", "polarity", "sentence"),
    [
        (
            "GPIO17",
            "active-low",
            "GPIO17 is an input, weakly pulled down: it may click or go on, as it is active-low. “gpio=17=op,dh” in"
            " config.txt prevents that.",
        ),
        (
            "GPIO5",
            "active-low",
            "GPIO5 is an input, weakly pulled up: that is off for it, as it is active-low. To be sure, put"
            " “gpio=5=op,dh” in config.txt.",
        ),
        (
            "GPIO8",
            "active-high",
            "GPIO8 is an input, weakly pulled up: it may click or go on, as it is active-high. “gpio=8=op,dl” in"
            " config.txt prevents that.",
        ),
        (
            "GPIO9",
            "active-high",
            "GPIO9 is an input, weakly pulled down: that is off for it, as it is active-high. To be sure, put"
            " “gpio=9=op,dl” in config.txt.",
        ),
    ],
)
def test_before_any_program_runs_the_chip_pulls_the_line(lamp: Relay, line: str, polarity: str, sentence: str) -> None:
    lamp.line, lamp.polarity = line, polarity
    assert told(lamp, endings.BOOT) == sentence


def test_a_simulated_line_outlives_its_program_but_no_boot(lamp: Relay) -> None:
    lamp.board.driver, lamp.on_stop = "simulated", "hold"
    said = dict(endings.sentences(lamp))
    assert said[endings.STOP] == HELD
    assert said[endings.POWER_CUT] == (f"Its simulated line is forgotten. When the machine is back: {POWER_UP['off']}")
    assert endings.BOOT not in said


def test_a_real_line_is_told_of_as_the_running_kernel_treats_it(lamp: Relay) -> None:
    assert endings.sentences(lamp) == endings.told(lamp, kernel.keeps_outputs())


def test_a_disabled_relay_is_driven_by_nobody(lamp: Relay) -> None:
    lamp.is_enabled = False
    assert told(lamp, "Whatever happens") == "Nothing drives it: it is disabled, and its line is let go."
    assert [what for what, _ in endings.told(lamp, KEEPS)] == ["Whatever happens", endings.BOOT]
