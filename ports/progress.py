"""What is being refreshed right now, told in small files of RUN_DIR: ``feed-<number>.now``, one for each feed at work.

Written at each stage and removed at the end; pages that are open look at them. In memory: it costs no SD card.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.conf import settings

from iotsite.places import read_whole, write_whole

TELL_EVERY = 0.2
"""Seconds between two files that say how far one stage is."""


@dataclass(frozen=True, slots=True)
class Now:
    """How far the refresh of a feed is."""

    feed: int
    since: datetime
    stage: str = "starting"
    """In a word or two: “fetching”, “reading”, “writing”."""
    done: int = 0
    of: int = 0
    """How much there is to do in this stage; 0 where that is not known."""

    def __str__(self) -> str:
        return f"{self.stage} {self.done} of {self.of}" if self.of else self.stage


Listener = Callable[[Now], None]


class _Teller:
    """Writes one feed's file, and tells who listens in this process."""

    def __init__(self, feed: int, listener: Listener | None) -> None:
        self.now = Now(feed, datetime.now(UTC))
        self.listener = listener
        self.file = _file(feed)
        self.told_at = 0.0

    def tell(self, stage: str, done: int, of: int) -> None:
        is_new_stage = stage != self.now.stage
        self.now = Now(self.now.feed, self.now.since, stage, done, of)
        if self.listener:
            self.listener(self.now)
        if is_new_stage or time.monotonic() - self.told_at >= TELL_EVERY:
            self.write()

    def write(self) -> None:
        now = self.now
        said = {"since": now.since.isoformat(), "stage": now.stage, "done": now.done, "of": now.of}
        try:
            write_whole(self.file, {"pid": os.getpid(), "born": _born(os.getpid()), **said})
        except OSError:
            pass  # RUN_DIR was swept away: a refresh goes on without being watched
        self.told_at = time.monotonic()


_teller: ContextVar[_Teller | None] = ContextVar("teller", default=None)


@contextmanager
def telling(feed: int, listener: Listener | None = None) -> Iterator[None]:
    """While this lasts, what ``tell`` says is about the feed of this number.

    Where another process tells of it already, that one is at work, and we are about to be refused.
    """
    if _is_told_by_another(feed):
        yield
        return
    teller = _Teller(feed, listener)
    teller.write()
    token = _teller.set(teller)
    try:
        yield
    finally:
        _teller.reset(token)
        try:
            teller.file.unlink(missing_ok=True)
        except OSError:
            pass


def tell(stage: str, done: int = 0, of: int = 0) -> None:
    """Say how far the work is; silence where nobody asked (outside of ``telling``)."""
    if teller := _teller.get():
        teller.tell(stage, done, of)


def running() -> dict[int, Now]:
    """The feeds that a living process refreshes now, by their number."""
    found = {}
    for file in settings.RUN_DIR.glob("feed-*.now"):
        said = read_whole(file)
        if said and (now := _read(file, said)):
            found[now.feed] = now
    return found


def _is_told_by_another(feed: int) -> bool:
    said = read_whole(_file(feed))
    return bool(said and said.get("pid") != os.getpid() and _read(_file(feed), said))


def _file(feed: int) -> Path:
    return Path(settings.RUN_DIR) / f"feed-{feed}.now"


def _read(file: Path, said: dict[str, Any]) -> Now | None:
    """What a file says; None where its writer is dead, which left it behind."""
    try:
        born = _born(int(said["pid"]))
        if not born or born != said["born"]:
            return None
        number = int(file.stem.removeprefix("feed-"))
        return Now(number, datetime.fromisoformat(said["since"]), said["stage"], said["done"], said["of"])
    except (KeyError, ValueError):
        return None


def _born(pid: int) -> str:
    """When a process began, in the kernel's ticks: numbers of processes are used again. Empty where there is none."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return ""
    return stat.rpartition(")")[2].split()[19]
