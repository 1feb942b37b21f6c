"""Raspberry Pi's config.txt: to which level the firmware drives each line, before any program runs.

As its documentation says: what stands below ``[pi4]`` holds for that model only, filters of different kinds count
together and ``[all]`` ends them; settings of a line add up, later ones win; ``include`` brings in another file.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

MODELS = {
    "pi0": "Zero",
    "pi0w": "Zero (2 )?W",
    "pi02": "Zero 2",
    "pi1": "Pi Model [AB]|Compute Module Rev",
    "pi2": "Pi 2 ",
    "pi3": "Pi 3 |Compute Module 3",
    "pi3+": "Pi 3 Model [AB] Plus",
    "pi4": "Pi 4|Compute Module 4",
    "pi400": "Pi 400",
    "cm4": "Compute Module 4 ",
    "cm4s": "Compute Module 4S",
    "pi5": "Pi 5|Compute Module 5",
    "pi500": "Pi 500",
    "cm5": "Compute Module 5",
}
"""What stands in the name of each model that a filter means, as the device tree has it."""
MOST_INCLUDES = 10


@dataclass
class BootLine:
    """What the firmware does with a line."""

    is_output: bool = False
    level: str = ""
    """dh or dl; empty where nothing says it."""
    is_doubtful: bool = False
    """Something is said of it under a condition that cannot be judged here: a serial number, another pin."""


@dataclass
class _Filters:
    """The conditions that hold for what follows."""

    model: str
    verdicts: dict[str, bool | None] = field(default_factory=dict)
    """By their kind: whether each holds, None where that cannot be told."""

    def meet(self, name: str) -> None:
        if name == "all":
            self.verdicts.clear()
        elif name == "none":
            self.verdicts["none"] = False
        elif name in MODELS:
            self.verdicts["model"] = re.search(MODELS[name], self.model) is not None
        else:
            self.verdicts[re.split(r"[=\d]", name)[0]] = None

    @property
    def hold(self) -> bool | None:
        found = self.verdicts.values()
        return False if False in found else None if None in found else True


def boot_lines(file: Path, model: str) -> dict[int, BootLine]:
    """The lines by their numbers of which a config.txt says something, on a Pi of this model. OSError without file."""
    lines: dict[int, BootLine] = {}
    filters = _Filters(model)
    for row in _rows(file, MOST_INCLUDES):
        if match := re.fullmatch(r"\[(.+)\]", row):
            filters.meet(match[1])
        elif row.startswith("gpio=") and filters.hold is not False:
            numbers, _, words = row.removeprefix("gpio=").partition("=")
            for number in _numbers(numbers):
                _say(lines.setdefault(number, BootLine()), words.split(","), is_sure=filters.hold is True)
    return lines


def _rows(file: Path, includes: int) -> Iterator[str]:
    for row in file.read_text(errors="replace").splitlines():
        tidy = row.strip()
        if tidy.startswith("include ") and includes:
            try:
                yield from _rows(file.parent / tidy.removeprefix("include ").strip(), includes - 1)
            except OSError:
                continue
        else:
            yield tidy


def _numbers(text: str) -> Iterator[int]:
    """``17,20-22`` in numbers."""
    for part in text.split(","):
        if match := re.fullmatch(r"(\d{1,2})(?:-(\d{1,2}))?", part.strip(), re.ASCII):
            yield from range(int(match[1]), int(match[2] or match[1]) + 1)


def _say(line: BootLine, words: list[str], *, is_sure: bool) -> None:
    if not is_sure:
        line.is_doubtful = True
        return
    if {"op", "ip"} & {*words} and {"dh", "dl"} & {*words}:
        line.is_doubtful = False  # all of it is said anew
    for word in words:
        if word in ("dh", "dl"):
            line.level = word
        elif word == "op":
            line.is_output = True
        elif word == "ip" or re.fullmatch("a[0-5]", word):
            line.is_output = False
