"""Durations as people write them: 500ms, 90s, 10m, 2h30m, 1d."""

import re
from datetime import timedelta

UNITS = {"d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
PATTERN = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|d|h|m|s)")
SHORTEST = timedelta(milliseconds=100)
LONGEST = timedelta(days=30)
HOW = "write it like 500ms, 90s, 10m or 2h30m"


def parse(text: str) -> timedelta:
    """Read a duration; ValueError with a sentence where the text is none or it is not sane (100 ms to 30 days)."""
    tidy = text.strip().lower()
    if not re.fullmatch(rf"(?:{PATTERN.pattern}\s*)+", tidy, re.ASCII):
        raise ValueError(f"“{text}” is not a duration: {HOW}.")
    parts = PATTERN.findall(tidy)
    units = [unit for _, unit in parts]
    if len(set(units)) != len(units):
        raise ValueError(f"“{text}” names a unit twice: {HOW}.")
    milliseconds = sum(float(number) * UNITS[unit] for number, unit in parts)
    if milliseconds > LONGEST / timedelta(milliseconds=1):
        raise ValueError(f"“{text}” is too long: at most 30 days.")
    if milliseconds < SHORTEST / timedelta(milliseconds=1):
        raise ValueError(f"“{text}” is too short: at least 100ms.")
    return timedelta(milliseconds=round(milliseconds))


def exact(duration: timedelta) -> str:
    """A duration in full, so that ``parse`` gives it back: 1h2m3s."""
    return "".join(_parts(duration.total_seconds())) or "0s"


def words(duration: timedelta | float) -> str:
    """A duration (or seconds) for a glance, in its two largest units: 2h30m, 1m5s, 500ms."""
    seconds = duration.total_seconds() if isinstance(duration, timedelta) else duration
    return "".join(_parts(seconds)[:2]) or "0s"


def _parts(seconds: float) -> list[str]:
    left = round(seconds * 1000)
    parts = []
    for unit, size in UNITS.items():
        count, left = divmod(left, size)
        if count:
            parts.append(f"{count}{unit}")
    return parts
