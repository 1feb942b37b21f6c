"""The one process that keeps the ports fresh, ``manage.py refresh_ships --watch``, and how others reach it.

It listens at RUN_DIR/refresh.sock and holds RUN_DIR/refresh.lock, which the kernel frees at its death. A datagram is a
hint, never a fact: the wish itself stands in the database (``Feed.wish``), and a lost hint costs some seconds.
What is being fetched right now, by it or by a command, is told by ``running()``: see ports/progress.py.
"""

import fcntl
import logging
import os
import random
import select
import socket
import time
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from iotsite import database, places, starting
from iotsite.notify import notify
from ports.models import Feed, Refresh
from ports.progress import running, tell, telling
from ports.schedule import LONGEST_PAUSE, WISH_AFTER, Standing

if TYPE_CHECKING:
    from ports.takeover import Result

__all__ = ["START_IT", "AlreadyWatchingError", "Watch", "is_running", "running", "wake"]

log = logging.getLogger(__name__)

LOOK_EVERY = 10.0
"""Seconds between two looks at the database where nobody wakes us: a port that was turned on otherwise."""
ALIVE = "WATCHDOG=1"
"""Said at each look, each file that is asked for and each step told: the longest between two is one file's time."""
BUSY_FOR = 5.0
"""Seconds until a feed that another process works at is looked at again."""
MOST_FAILURES = 10
START_IT = f"Nothing fetches ships now: start it with {starting.refresh()}."
GIVEN_UP = "refresh.given-up"
"""The file in RUN_DIR by which script/server says so (iotsite/supervisor.py)."""


def address() -> Path:
    return Path(settings.RUN_DIR) / "refresh.sock"


def wake() -> bool:
    """Let the running watch look at the database now; says whether ``is_running()``. Call it after the commit."""
    return _reach(b"wake") or _is_about_to()


def is_running() -> bool:
    """Whether somebody keeps the ports fresh, or will within seconds, because script/server runs: it sees to that.

    The socket of a dead process refuses, and the one that listens is not disturbed by this.
    """
    return _reach(b"") or _is_about_to()


def _is_about_to() -> bool:
    """Whether script/server runs, which starts a watch as soon as a port is on, and has not given that up."""
    try:
        pid = int((settings.RUN_DIR / "server.lock").read_text())
        is_alive = b"iotsite.supervisor" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (OSError, ValueError):
        return False
    return is_alive and not (settings.RUN_DIR / GIVEN_UP).exists()


def _reach(message: bytes) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as asking:
        try:
            asking.connect(os.fspath(address()))
        except OSError:
            return False
        if message:
            try:
                asking.send(message)
            except OSError:
                pass  # its box is full of hints: it will look
    return True


class AlreadyWatchingError(Exception):
    """Another process keeps the ports of this site fresh."""

    def __init__(self, holder: str) -> None:
        super().__init__(f"The ports are kept fresh already, by the process with pid {holder}: stop that one first.")


@dataclass
class _Rest:
    """How long a feed is let alone because of what happened here and stands in no database."""

    until: float = 0.0
    stumbles: int = 0

    def take(self, seconds: float) -> None:
        self.until = time.monotonic() + seconds

    def stumble(self) -> None:
        """No row tells of this try: the pause after it grows here."""
        pause = min(WISH_AFTER * (1 << min(self.stumbles, 10)), LONGEST_PAUSE)
        self.stumbles += 1
        self.take(pause.total_seconds())


class Watch:
    """Keeps every port that is on fresh, from the lock to the end of the process. One for each site."""

    def __init__(self) -> None:
        self.lock = self._take_lock()
        self.ear = self._listen()
        self.asked: dict[int, float] = {}
        """When this process asked each feed last, by a clock that nobody sets."""
        self.rests: dict[int, _Rest] = {}
        self.problem = ""

    def run(self) -> None:
        """Go on until a signal ends the process: an exception that its handler raises."""
        log.info("watch=start pid=%s", os.getpid())
        notify("READY=1")
        while True:
            notify(ALIVE)
            self._sleep(self.look())

    def look(self) -> float:
        """Refresh what is due; seconds until something is due again, or may have become so."""
        self._keep_run_dir()
        soonest = LOOK_EVERY
        try:
            database.check()
            while due := self._due():
                pause, feed = due[0]
                if pause > 0:
                    soonest = min(soonest, pause)
                    break
                self._refresh(feed)
            self._say_problem("")
        except DatabaseError as error:
            connection.close()
            self._say_problem(str(error))
        return soonest

    def _due(self) -> list[tuple[float, Feed]]:
        """The feeds of ports that are on, the next one first, each with the seconds until then; wishes before turns."""
        now, found = timezone.now(), []
        for feed in Feed.objects.filter(is_example=False, ports__is_enabled=True).distinct():
            standing = self._standing(feed, now)
            resting = self.rests[feed.pk].until - time.monotonic() if feed.pk in self.rests else 0.0
            pause = max((standing.due_at(now) - now).total_seconds(), resting, 0.0)
            found.append((pause, not standing.has_wish(now), feed))
        return [(pause, feed) for pause, _, feed in sorted(found, key=lambda row: (*row[:2], row[2].pk))]

    def _standing(self, feed: Feed, now: datetime) -> Standing:
        last, tries = feed.last_asked(), feed.refreshes.asked()
        good = tries.good().order_by("-started_at", "-id").first()
        failures = tries.filter(started_at__gt=good.started_at) if good else tries
        return Standing(
            feed.interval,
            asked_at=self._asked_at(last, now) if last else None,
            failures=len(failures.values_list("pk")[:MOST_FAILURES]),
            wished_at=feed.wished_at,
            allowed_at=feed.next_allowed_at,
            chance=random.Random(f"{feed.pk} {last.pk}").random() if last else 0.0,  # noqa: S311 no secret
        )

    def _asked_at(self, last: Refresh, now: datetime) -> datetime | None:
        """When a feed was asked last; where the clock was set back since, only what this process saw counts."""
        if last.started_at <= now:
            return last.started_at
        asked = self.asked.get(last.feed_id)
        return None if asked is None else now - timedelta(seconds=time.monotonic() - asked)

    # --- refreshing -----------------------------------------------------------------------------------------

    def _refresh(self, feed: Feed) -> None:
        """Refresh one feed, whose turn it is. Whatever happens, it is not asked again at once."""
        # Only now, with all they need: pages import this module to wake us.
        from ports.refresh import RefreshError, refresh

        self.asked[feed.pk] = time.monotonic()
        rest = self.rests.setdefault(feed.pk, _Rest())
        try:
            with telling(feed.pk, lambda _: notify(ALIVE)):
                tell("fetching")
                result = refresh(feed, force=True, progress=partial(tell, "writing"))
        except RefreshError as error:
            log.info("feed=%s %s", feed, error)
            rest.take(BUSY_FOR)
        except DatabaseError:
            rest.stumble()
            raise
        except Exception:  # a feed that makes us stumble must not end the others
            log.exception("feed=%s refresh=crash", feed)
            rest.stumble()
        else:
            del self.rests[feed.pk]
            _log(result)

    def _say_problem(self, problem: str) -> None:
        if problem and problem != self.problem:
            log.error("watch=waiting database=%r", problem)
        elif self.problem and not problem:
            log.info("watch=goes on database=back")
        self.problem = problem

    # --- being the one ----------------------------------------------------------------------------------------

    @staticmethod
    def _take_lock() -> int:
        handle = os.open(settings.RUN_DIR / "refresh.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(handle, 32).decode()
            os.close(handle)
            raise AlreadyWatchingError(holder or "unknown") from None
        os.ftruncate(handle, 0)
        os.pwrite(handle, str(os.getpid()).encode(), 0)
        return handle

    @staticmethod
    def _listen() -> socket.socket:
        """Listen at our address, whatever lies there."""
        address().unlink(missing_ok=True)
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)
        ear.bind(os.fspath(address()))
        return ear

    def _keep_run_dir(self) -> None:
        """Where RUN_DIR was swept away, lay it anew (see relays/controller.py)."""
        if address().exists() and os.fstat(self.lock).st_nlink:
            return
        log.error("watch=run_dir run_dir=%s was removed: laid anew", settings.RUN_DIR)
        places.run_folder(settings.RUN_DIR)
        if not os.fstat(self.lock).st_nlink:
            self.lock = self._take_lock()
        self.ear.close()
        self.ear = self._listen()

    def _sleep(self, seconds: float) -> None:
        """Until so many seconds are over, or somebody wakes us; all hints that came are one."""
        select.select([self.ear], [], [], seconds)
        while True:
            try:
                self.ear.recv(64)
            except BlockingIOError:
                return


def _log(result: "Result") -> None:
    """A line for each port; where nothing is new only for who asks for it: logs may lie on an SD card."""
    from ports import report

    if trouble := report.trouble(result):
        log.error("%s: %s", result.feed, trouble)
    level = logging.DEBUG if result.outcome == Refresh.Outcome.UNCHANGED else logging.INFO
    if result.outcome in Refresh.GOOD:
        for locode in sorted(result.counts):
            log.log(level, "%s", report.line(locode, result))
