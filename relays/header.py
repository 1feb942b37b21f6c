"""The Pi's header: which GPIO line stands on which pin, and which lines want a warning.

Pin tables: Raspberry Pi documentation, "GPIO and the 40-pin header"; the first boards (2012) have 26 pins,
and revision 1 of them carries other lines on three pins.
"""

import re

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

_WARNINGS = {
    (0, 1): "is reserved for the identity chip of a HAT",
    (2, 3): "is the I2C bus, with fixed pull-ups of its own",
    (14, 15): "is the serial port, which toggles while the Pi boots",
    (7, 8, 9, 10, 11): "is the SPI bus",
}


def lines_of(header: str) -> list[str]:
    """The lines of a header in the order of their numbers."""
    return [f"GPIO{number}" for number in sorted(PINS[header].values())]


def pin_of(header: str, line: str) -> int | None:
    """The pin of the header that carries ``line``."""
    return next((pin for pin, number in PINS[header].items() if f"GPIO{number}" == line), None)


def warning(line: str) -> str:
    """Why ``line`` is a poor choice for a relay, in a sentence; empty where it is a good one."""
    for numbers, what in _WARNINGS.items():
        if line in {f"GPIO{number}" for number in numbers}:
            return f"{line} {what}: choose another line if you can."
    return ""


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
