"""What the processes of one board share in RUN_DIR: heartbeat, lock, the latch of Stop everything, addresses.

RUN_DIR lies in memory: a heartbeat every second costs the SD card nothing.
"""

import fcntl
import os
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from iotsite.places import read_whole, write_whole
from relays import clock

STALE_AFTER = 3.0
"""A controller whose heartbeat is older than this (seconds) is silent."""


def is_fresh(age: float | None) -> bool:
    """Whether a heartbeat of this age (seconds; None where there is none) is a living controller's."""
    return age is not None and age <= STALE_AFTER


class LockHeldError(Exception):
    """Another process serves the board; ``holder`` is its pid."""

    def __init__(self, holder: str) -> None:
        super().__init__(holder)
        self.holder = holder


LOCK_VARIABLE = "IOTSITE_LOCK"


def hand_on(lock: int) -> None:
    """Keep a board's lock taken for the program that this process is about to become."""
    os.set_inheritable(lock, True)
    os.environ[LOCK_VARIABLE] = str(lock)


@lru_cache(1000)
def _path(run_dir: Path, board: int, ending: str) -> Path:
    return run_dir / f"board-{board}.{ending}"


@dataclass(frozen=True)
class BoardFiles:
    """The files of one board, by the number of its row."""

    run_dir: Path
    board: int

    @classmethod
    def all(cls, run_dir: Path) -> list["BoardFiles"]:
        """Those of every board that a controller served in this boot; needs no database."""
        return [cls(run_dir, int(path.stem.removeprefix("board-"))) for path in sorted(run_dir.glob("board-*.lock"))]

    def _path(self, ending: str) -> Path:
        return _path(self.run_dir, self.board, ending)

    @property
    def socket(self) -> Path:
        return self._path("sock")

    @property
    def plan(self) -> Path:
        """What the controller remembers of its lines; read by its successor and by failsafe.py."""
        return self._path("plan")

    @property
    def lines(self) -> Path:
        """The lines of a simulated board."""
        return self._path("lines")

    @property
    def faults(self) -> Path:
        """The faults set on the lines of a simulated board."""
        return self._path("faults")

    @property
    def header(self) -> Path:
        """What the controller sees of the header of the machine; see header_report.py."""
        return self._path("header")

    def take_lock(self) -> int:
        """Become the one controller of the board: the lock's file descriptor. The kernel frees it at death."""
        if handed_on := os.environ.pop(LOCK_VARIABLE, ""):
            os.set_inheritable(int(handed_on), False)
            return int(handed_on)
        handle = os.open(self._path("lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode()
            os.close(handle)
            raise LockHeldError(holder.strip() or "unknown") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return handle

    def beat(self, **said: Any) -> None:
        """Say that the controller lives, and what else the web should know of it."""
        beat = {"pid": os.getpid(), "boot_id": clock.boot_id(), "at": clock.boot_seconds(), **said}
        write_whole(self._path("beat"), beat)

    def last_beat(self) -> dict[str, Any] | None:
        """What the controller said last in this boot."""
        beat = read_whole(self._path("beat"))
        return beat if beat and beat.get("boot_id") == clock.boot_id() else None

    def beat_age(self) -> float | None:
        beat = self.last_beat()
        return max(0.0, clock.boot_seconds() - float(beat["at"])) if beat else None

    @property
    def is_served(self) -> bool:
        return is_fresh(self.beat_age())

    def end_beat(self) -> None:
        """Say goodbye: from now on the board is silent."""
        self._path("beat").unlink(missing_ok=True)

    def latch(self, who: str, via: str) -> None:
        """Hold everything off, with or without a database, until ``unlatch``."""
        if not self.is_latched:
            write_whole(self._path("stop"), {"who": who, "via": via})

    def unlatch(self) -> None:
        self._path("stop").unlink(missing_ok=True)

    @property
    def is_latched(self) -> bool:
        return self._path("stop").exists()

    def latched_by(self) -> dict[str, Any]:
        """Who latched it and by what means."""
        return read_whole(self._path("stop")) or {}
