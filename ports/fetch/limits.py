"""What one file may take."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds and bytes that one file may take."""

    connect: float = 10
    read: float = 20
    """Of silence."""
    whole: float = 60
    """From the first try to the last byte, tries and pauses included."""
    size: int = 20_000_000
    """Unpacked."""
    tries: int = 3
    pause: float = 1
    """Before the second try, at least; doubled before each further one."""


LIMITS = Limits()
