"""The drivers of boards: one module each behind one small protocol, chosen by name, never fallen back to."""

from collections.abc import Callable
from importlib import import_module
from typing import Protocol, cast

from relays.runfiles import BoardFiles


class BoardError(Exception):
    """A line or board that does not do what it should, with a sentence that names cause and remedy."""


class Driver(Protocol):
    """How the controller reaches the lines of a board. ``on`` is a relay's state: polarity is the driver's business.

    Every method may raise BoardError, and nothing else.
    """

    def claim(self, line: str, on: bool, *, active_low: bool) -> None:
        """Take a line and drive it, in one step: it goes to the level of ``on`` and to no other in between."""

    def write(self, line: str, on: bool) -> None:
        """Drive a claimed line."""

    def read(self, line: str) -> bool:
        """What a claimed line really does."""

    def release(self, line: str, *, hold: bool) -> None:
        """Let a line go: as it is (``hold``), or at its off level."""


DRIVERS = {"gpio": "relays.boards.gpio", "simulated": "relays.boards.simulated"}


def open_board(driver: str, files: BoardFiles) -> Driver:
    """The driver of this name, its board opened; BoardError where that fails."""
    opener = cast(Callable[[BoardFiles], Driver], import_module(DRIVERS[driver]).open_board)
    return opener(files)
