"""What is found when the site is looked at: each thing right, wrong, or not to be told from where one looks."""

from dataclasses import dataclass
from enum import StrEnum

from relays import durations


class State(StrEnum):
    """How a thing is; the value is its word."""

    RIGHT = "right"
    WRONG = "wrong"
    UNTOLD = "unknown"
    """It cannot be told from where one looks."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at, in a sentence, and what mends it."""

    about: str
    state: State
    says: str
    command: str = ""
    """What to type, exactly; several lines where it takes several."""


def right(about: str, says: str) -> Finding:
    return Finding(about, State.RIGHT, says)


def wrong(about: str, says: str, command: str = "") -> Finding:
    return Finding(about, State.WRONG, says, command)


def untold(about: str, says: str, command: str = "") -> Finding:
    return Finding(about, State.UNTOLD, says, command)


def lasting(seconds: float) -> str:
    """How long something lasts already, for a glance: in its largest unit alone."""
    unit = next((unit for unit in (86400, 3600, 60) if seconds >= unit), 1)
    return durations.words(seconds // unit * unit)
