"""The Pi's header: which GPIO line stands on which pin, and which lines want a warning.

Pin tables: Raspberry Pi documentation, "GPIO and the 40-pin header"; the first boards (2012) have 26 pins,
and revision 1 of them carries other lines on three pins.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

LINES = tuple(f"GPIO{number}" for number in range(28))

_FIRST_26 = {3: 2, 5: 3, 7: 4, 8: 14, 10: 15, 11: 17, 12: 18, 13: 27, 15: 22, 16: 23, 18: 24, 19: 10, 21: 9, 22: 25}
_FIRST_26 |= {23: 11, 24: 8, 26: 7}
_LAST_14 = {27: 0, 28: 1, 29: 5, 31: 6, 32: 12, 33: 13, 35: 19, 36: 16, 37: 26, 38: 20, 40: 21}

PINS: dict[str, dict[int, int]] = {
    "J8": _FIRST_26 | _LAST_14,
    "P1": _FIRST_26,
    "P1-rev1": _FIRST_26 | {3: 0, 5: 1, 13: 21},
}
"""For each header, the GPIO number on each of its pins (power and ground left out)."""

POWER_5V = (2, 4)
POWER_3V3 = (1, 17)
SIZES = {"J8": 40, "P1": 26, "P1-rev1": 26}
"""How many pins each header has, in two columns; those that are neither power nor a line are ground."""

PULLED_UP = range(9)
"""The numbers of the lines that the chip itself pulls up from power-on; it pulls the others down."""

_WARNINGS = {
    (0, 1): ("HAT identity", "is reserved for the identity chip of a HAT"),
    (2, 3): ("I²C bus", "is the I2C bus, with fixed pull-ups of its own"),
    (14, 15): ("serial port", "is the serial port, which toggles while the Pi boots"),
    (7, 8, 9, 10, 11): ("SPI bus", "is the SPI bus"),
}


class Kind(StrEnum):
    """What a pin of the header carries; the value is how it is called on a drawing."""

    POWER_5V = "5 V"
    POWER_3V3 = "3.3 V"
    GROUND = "Ground"
    LINE = "line"


@dataclass(frozen=True)
class Pin:
    """One pin of a header. Odd ones stand in the inner column, even ones along the edge of the board."""

    number: int
    kind: Kind
    line: str = ""
    job: str = ""
    """What else the line is wanted for, in two words; empty where it is free for a relay."""
    warning: str = ""

    @property
    def label(self) -> str:
        return self.line or self.kind.value


def pins(header: str) -> list[Pin]:
    """Every pin of a header, by number."""
    return [_pin(header, number) for number in range(1, SIZES[header] + 1)]


def _pin(header: str, number: int) -> Pin:
    if number in PINS[header]:
        line = f"GPIO{PINS[header][number]}"
        return Pin(number, Kind.LINE, line, job(line), warning(line))
    if number in POWER_5V:
        return Pin(number, Kind.POWER_5V)
    return Pin(number, Kind.POWER_3V3 if number in POWER_3V3 else Kind.GROUND)


def number_of(line: str) -> int:
    return int(line.removeprefix("GPIO"))


def is_pulled_up(line: str) -> bool:
    """Which way the chip pulls ``line`` from power-on until something drives it."""
    return number_of(line) in PULLED_UP


def off_in_config_txt(line: str, *, is_active_low: bool) -> str:
    """The line for config.txt by which the firmware drives it to its off level, before any program runs."""
    return f"gpio={number_of(line)}=op,{'dh' if is_active_low else 'dl'}"


def lines_of(header: str) -> list[str]:
    """The lines of a header in the order of their numbers."""
    return [f"GPIO{number}" for number in sorted(PINS[header].values())]


def pin_of(header: str, line: str) -> int | None:
    """The pin of the header that carries ``line``."""
    return next((pin for pin, number in PINS[header].items() if f"GPIO{number}" == line), None)


def warning(line: str) -> str:
    """Why ``line`` is a poor choice for a relay, in a sentence; empty where it is a good one."""
    what = _other_job(line)[1]
    return f"{line} {what}: choose another line if you can." if what else ""


def job(line: str) -> str:
    """What else ``line`` is wanted for, in two words; empty where it is free for a relay."""
    return _other_job(line)[0]


def _other_job(line: str) -> tuple[str, str]:
    return next((said for numbers, said in _WARNINGS.items() if number_of(line) in numbers), ("", ""))


def canonical(text: str, header: str) -> str:
    """``GPIO17`` for 17, BCM17, GPIO17, or the pin J8:11 or BOARD11; ValueError with a sentence otherwise."""
    tidy = text.strip().upper()
    if match := re.fullmatch(r"(?:GPIO|BCM)?0*(\d{1,4})", tidy, re.ASCII):
        line = f"GPIO{match[1]}"
    elif match := re.fullmatch(r"(?:(?:J8|P1):|BOARD)0*(\d{1,4})", tidy, re.ASCII):
        pin = int(match[1])
        if pin not in PINS[header]:
            raise ValueError(f"Pin {pin} of the header carries no GPIO line: choose another pin.")
        line = f"GPIO{PINS[header][pin]}"
    else:
        raise ValueError(f"“{text}” is not a line: write GPIO17, or J8:11 for pin 11 of the header.")
    if line not in lines_of(header):
        raise ValueError(f"{line} is not on this board's header, which has {_spans(header)}.")
    return line


def _spans(header: str) -> str:
    numbers = sorted(PINS[header].values())
    spans: list[list[int]] = []
    for number in numbers:
        if spans and spans[-1][1] == number - 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"GPIO{a}" if a == b else f"GPIO{a} to GPIO{b}" for a, b in spans)
