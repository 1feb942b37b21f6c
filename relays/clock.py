"""Two clocks. Durations run on the boot clock; the wall clock counts only across boots.

A Pi has no clock chip: NTP may step the wall clock by years while a relay is "on for 10 minutes".
CLOCK_BOOTTIME never steps and goes on through a suspend.
"""

import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Now:
    """One moment on both clocks: ``boot`` in seconds since the boot, ``wall`` aware and in UTC."""

    boot: float
    wall: datetime

    def boot_at(self, wall: datetime) -> float:
        """The boot clock's moment for one of the wall clock."""
        return self.boot + (wall - self.wall).total_seconds()

    def wall_at(self, boot: float) -> datetime:
        """The wall clock's moment for one of the boot clock."""
        return self.wall + timedelta(seconds=boot - self.boot)


def boot_seconds() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def now() -> Now:
    return Now(boot_seconds(), datetime.now(UTC))


@cache
def boot_id() -> str:
    """The kernel's name for this boot."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
