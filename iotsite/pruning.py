"""Takes away what is old, in small bites, in moments in which nobody writes.

No bite holds the database for long: each is as large as the last one was fast. Whoever checkpoints
(iotsite/checkpoint.py) does it once an hour; ``manage.py prune`` does it now.
"""

import logging
import math
import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.db import DatabaseError, connection
from django.utils import timezone

from iotsite import database
from iotsite.histories import HISTORIES, History, Rows, silence_around

log = logging.getLogger(__name__)

WORK, LONG = 0.005, 0.04
"""Seconds that the deleting of a bite should take, and, with its commit, should not."""
SMALLEST, FIRST, LARGEST = 1, 20, 500
"""Rows of a bite, beside those that go with them."""
PAUSE = 0.1
"""Seconds from one bite to the next, and so long nobody must have written before."""
PATIENCE = 5.0
"""Seconds after which a bite is taken although somebody writes all the time."""
EVERY, FIRST_AFTER = 3600.0, 300.0
SHORTEST_GAP = timedelta(days=30)
SYNCHRONISED = Path("/run/systemd/timesync/synchronized")
"""There once systemd has set the clock by the network, in this boot."""


class Pruning:
    """One pass over all histories; ``bite()`` goes on with it."""

    def __init__(self, *, trust_clock: bool = False) -> None:
        self.now = timezone.now()
        self.counts = {history.name: 0 for history in HISTORIES}
        self.longest = 0.0
        """Seconds that the longest bite held the database for."""
        self.doubts: list[str] = []
        """Why something was left, in sentences."""
        self._trusts_clock = trust_clock
        self._size = FIRST
        self._bites = self._take_all()

    def bite(self) -> bool:
        """Take away some of it; False where nothing is left."""
        return next(self._bites, False)

    def would_go(self) -> dict[str, int]:
        """How many rows of each history would go; nothing is changed."""
        return {
            history.name: sum(part.count() for part in history.and_with_them(old.order_by().values("pk")))
            for history, _, old in self._old()
        }

    def _old(self) -> Iterator[tuple[History, datetime, Rows]]:
        for history in HISTORIES:
            cutoff = history.cutoff(self.now)
            old = history.old(cutoff) if cutoff else None
            if cutoff is None or old is None:
                continue
            if doubt := self._doubt(cutoff):
                self.doubts.append(f"{doubt} No {history.name} were taken away.")
            else:
                yield history, cutoff, old

    def _doubt(self, cutoff: datetime) -> str:
        """Why the clock may be wrong, in a sentence.

        One that jumped ahead makes all there is old at once. Then, by the clock, nothing was written for longer than
        things are kept: from the last row that is old to the first from after the jump.
        """
        last, following = silence_around(cutoff, self.now)
        is_short = following - last <= max(self.now - cutoff, SHORTEST_GAP)
        if self._trusts_clock or is_short or SYNCHRONISED.exists():
            return ""
        return (
            f"The clock of this machine may be wrong: by it, nothing happened from {last:%Y-%m-%d} "
            f"to {following:%Y-%m-%d}, and the network did not set it."
        )

    def _take_all(self) -> Iterator[bool]:
        for history, cutoff, old in self._old():
            rows = old.values_list(history.moment, "id")
            since: datetime | None = None
            while found := list((rows.filter(**{f"{history.moment}__gte": since}) if since else rows)[: self._size]):
                since = found[-1][0]
                self._take(history, [number for _, number in found], cutoff)
                yield True

    def _take(self, history: History, numbers: list[int], cutoff: datetime) -> None:
        with database.writing():
            began = time.monotonic()
            gone = history.drop(numbers, cutoff)
            worked = time.monotonic() - began
        took = time.monotonic() - began
        self.counts[history.name] += gone
        self.longest = max(self.longest, took)
        self._size = next_size(len(numbers), worked, took)


def next_size(size: int, worked: float, took: float) -> int:
    """How large the next bite may be after one of ``size`` that ``worked``, and with its commit ``took``, some seconds.

    On a slow disk every commit takes long, were it of one row: only bites whose rows take long become that small.
    """
    fitting = int(size * max(0.5, min(2.0, WORK / max(worked, 1e-6))))
    if took > LONG:
        fitting = min(fitting, max(FIRST, size // 2))
    return max(SMALLEST, min(LARGEST, fitting))


class Quiet:
    """When a bite disturbs nobody: nobody wrote since the last look, and no checkpoint is due, which would be long."""

    def __init__(self) -> None:
        self._version: int | None = None
        self._came_at = time.monotonic()

    def has_come(self) -> bool:
        """To be asked every ``PAUSE`` seconds; after ``PATIENCE`` it has come anyhow."""
        was, self._version = self._version, _version()
        is_quiet = was == self._version and database.wal_size() < database.WORTH_A_CHECKPOINT
        if not is_quiet and time.monotonic() - self._came_at < PATIENCE:
            return False
        self._came_at = time.monotonic()
        return True


def _version() -> int:
    """Another number once another connection has committed something."""
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA data_version")
        return int(cursor.fetchone()[0])


class Housekeeper:
    """Prunes once an hour, for as long as the process lives. For one thread."""

    def __init__(self) -> None:
        self._due_at = time.monotonic() + FIRST_AFTER
        self._pruning: Pruning | None = None
        self._quiet = Quiet()
        self._said: list[str] = []

    def look(self) -> float:
        """Take a bite, if one is due and nobody writes; seconds until it is worth looking again."""
        if self._pruning is None and time.monotonic() < self._due_at:
            return math.inf
        try:
            self._pruning = self._pruning or Pruning()
            if not self._quiet.has_come() or self._pruning.bite():
                return PAUSE
        except DatabaseError as error:
            log.warning("prune=failed database=%r", str(error))
            connection.close()
        self._end()
        return math.inf

    def _end(self) -> None:
        done, self._pruning, self._due_at = self._pruning, None, time.monotonic() + EVERY
        if done is None:
            return
        if any(done.counts.values()):
            log.info("prune=done %s longest=%.0fms", _words(done.counts), done.longest * 1000)
        for doubt in done.doubts:
            if doubt not in self._said:
                log.warning("%s If its date is right, run manage.py prune --trust-clock.", doubt)
        self._said = done.doubts


def _words(counts: dict[str, int]) -> str:
    return " ".join(f"{name}={number}" for name, number in counts.items())
