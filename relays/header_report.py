"""What a controller sees of its machine's header, told now and then in RUN_DIR/board-1.header.

It may open the chip; who looks at the site often may not: the web server under systemd, an administrator who is not in
the group gpio.
"""

import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from iotsite.places import read_whole, write_whole
from relays import clock
from relays.boards import taken
from relays.line import Line
from relays.runfiles import BoardFiles

EVERY = 60.0


class Reporter:
    """Tells it for one board, once a minute; of a board that is not this machine's header there is nothing to tell."""

    def __init__(self, files: BoardFiles, chip: int | None) -> None:
        self.files = files
        self.chip = chip
        self.due_at = math.inf

    def begin(self) -> None:
        """Tell it from now on: the lines are claimed."""
        self.due_at = clock.boot_seconds()

    @property
    def is_due(self) -> bool:
        return self.chip is not None and clock.boot_seconds() >= self.due_at

    def tell(self, lines: Iterable[Line]) -> None:
        now = clock.boot_seconds()
        self.due_at = now + EVERY
        lines = list(lines)
        own = [line.memory.line for line in lines if line.is_claimed]
        device, others, problem = Path(f"/dev/gpiochip{self.chip}"), {}, ""
        try:
            others = taken.by_others(device, own, [line.memory.line for line in lines])
        except OSError as error:
            problem = str(error)
        told = {"at": now, "pid": os.getpid(), "device": str(device), "problem": problem, "own": own, "others": others}
        write_whole(self.files.header, told)


@dataclass(frozen=True)
class HeaderReport:
    """Who holds which line of the header."""

    device: str
    own: tuple[str, ...]
    """The lines that the board's controller holds."""
    others: dict[str, str]
    """The lines that somebody else holds, and who."""
    problem: str
    age: float
    """Seconds ago."""

    @classmethod
    def last(cls, files: BoardFiles) -> "HeaderReport | None":
        """What the running controller told; None where none runs, or it has told nothing yet."""
        told, beat = read_whole(files.header), files.last_beat()
        if not (told and beat and files.is_served and told.get("pid") == beat.get("pid")):
            return None
        try:
            age = max(0.0, clock.boot_seconds() - told["at"])
            return cls(told["device"], tuple(told["own"]), dict(told["others"]), told["problem"], age)
        except (KeyError, TypeError, ValueError):
            return None
