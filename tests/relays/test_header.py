import pytest
from gpiozero.pins import data

from relays import header
from relays.header import canonical, pin_of, warning


@pytest.mark.parametrize(
    "text", ["17", "BCM17", "GPIO17", "gpio17", " GPIO17 ", "GPIO017", "J8:11", "j8:11", "P1:11", "BOARD11", "board11"]
)
def test_a_line_may_be_spelled_in_many_ways(text: str) -> None:
    assert canonical(text, "J8") == "GPIO17"


@pytest.mark.parametrize(
    "text", ["", "lamp", "GPIO", "J8", "J8:", "J9:11", "17x", "-1", "1.7", "GPIO١٧", "BOARD 11", "\0"]
)
def test_what_is_no_line_is_answered_with_how_to_write_one(text: str) -> None:
    with pytest.raises(ValueError) as refused:
        canonical(text, "J8")
    assert str(refused.value) == f"“{text}” is not a line: write GPIO17, or J8:11 for pin 11 of the header."


@pytest.mark.parametrize("pin", [1, 2, 4, 6, 9, 39, 41, 0, 9999])
def test_a_pin_without_a_line_is_refused(pin: int) -> None:
    with pytest.raises(ValueError) as refused:
        canonical(f"J8:{pin}", "J8")
    assert str(refused.value) == f"Pin {pin} of the header carries no GPIO line: choose another pin."


def test_a_line_that_the_header_lacks_is_refused_with_those_it_has() -> None:
    with pytest.raises(ValueError) as refused:
        canonical("28", "J8")
    assert str(refused.value) == "GPIO28 is not on this board's header, which has GPIO0 to GPIO27."
    with pytest.raises(ValueError) as refused:
        canonical("5", "P1")
    assert str(refused.value) == (
        "GPIO5 is not on this board's header, which has GPIO2 to GPIO4, GPIO7 to GPIO11,"
        " GPIO14 to GPIO15, GPIO17 to GPIO18, GPIO22 to GPIO25, GPIO27."
    )


def test_a_pin_beyond_the_26th_is_refused_where_the_header_ends_there() -> None:
    with pytest.raises(ValueError) as refused:
        canonical("BOARD29", "P1")
    assert str(refused.value) == "Pin 29 of the header carries no GPIO line: choose another pin."


def test_the_first_boards_carry_other_lines_on_three_pins() -> None:
    pins = ["P1:3", "P1:5", "P1:13"]
    assert [canonical(pin, "P1") for pin in pins] == ["GPIO2", "GPIO3", "GPIO27"]
    assert [canonical(pin, "P1-rev1") for pin in pins] == ["GPIO0", "GPIO1", "GPIO21"]


def test_each_header_has_as_many_lines_as_the_raspberry_pi_foundation_says() -> None:
    assert {name: len(header.lines_of(name)) for name in header.PINS} == {"J8": 28, "P1": 17, "P1-rev1": 17}
    assert all(len(set(pins.values())) == len(pins) for pins in header.PINS.values())


def test_every_line_names_its_pin_and_reads_back_from_it() -> None:
    for name in header.PINS:
        for line in header.lines_of(name):
            assert canonical(f"BOARD{pin_of(name, line)}", name) == line
    assert pin_of("P1", "GPIO5") is None


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ([0, 1], "is reserved for the identity chip of a HAT: choose another line if you can."),
        ([2, 3], "is the I2C bus, with fixed pull-ups of its own: choose another line if you can."),
        ([14, 15], "is the serial port, which toggles while the Pi boots: choose another line if you can."),
        ([7, 8, 9, 10, 11], "is the SPI bus: choose another line if you can."),
    ],
)
def test_lines_with_another_job_want_a_warning(numbers: list[int], sentence: str) -> None:
    assert [warning(f"GPIO{number}") for number in numbers] == [f"GPIO{number} {sentence}" for number in numbers]


def test_the_other_lines_want_no_warning() -> None:
    warned = {line for line in header.LINES if warning(line)}
    assert warned == {f"GPIO{number}" for number in (0, 1, 2, 3, 7, 8, 9, 10, 11, 14, 15)}


# --- the drawing --------------------------------------------------------------------------------------------

GPIOZERO = {"J8": data.PLUS_J8, "P1": data.REV2_P1, "P1-rev1": data.REV1_P1}
NAMES = {"5V": "5 V", "3V3": "3.3 V", "GND": "Ground"}


@pytest.mark.parametrize("name", ["J8", "P1", "P1-rev1"])
def test_every_pin_carries_what_gpiozero_knows_of_it(name: str) -> None:
    pins = GPIOZERO[name][2]
    known = {number: said.get("gpio") or NAMES.get(said[""], said[""]) for number, said in pins.items()}
    assert {pin.number: pin.label for pin in header.pins(name)} == known


def test_pins_stand_in_the_order_of_their_numbers() -> None:
    assert {name: [pin.number for pin in header.pins(name)] for name in header.PINS} == {
        "J8": [*range(1, 41)],
        "P1": [*range(1, 27)],
        "P1-rev1": [*range(1, 27)],
    }


def test_a_pin_with_another_job_says_which_in_two_words_and_in_a_sentence() -> None:
    jobs = {pin.line: pin.job for pin in header.pins("J8") if pin.job}
    assert jobs == {
        **dict.fromkeys(("GPIO0", "GPIO1"), "HAT identity"),
        **dict.fromkeys(("GPIO2", "GPIO3"), "I²C bus"),
        **dict.fromkeys(("GPIO14", "GPIO15"), "serial port"),
        **dict.fromkeys(("GPIO7", "GPIO8", "GPIO9", "GPIO10", "GPIO11"), "SPI bus"),
    }
    assert all(pin.warning == warning(pin.line) for pin in header.pins("J8") if pin.line)
    assert not any(pin.job or pin.warning for pin in header.pins("J8") if not pin.line)


def test_the_chip_pulls_the_first_nine_lines_up_and_the_others_down() -> None:
    assert [line for line in header.LINES if header.is_pulled_up(line)] == [f"GPIO{number}" for number in range(9)]


def test_the_firmware_can_drive_a_line_to_its_off_level() -> None:
    assert header.off_in_config_txt("GPIO17", is_active_low=True) == "gpio=17=op,dh"
    assert header.off_in_config_txt("GPIO5", is_active_low=False) == "gpio=5=op,dl"
