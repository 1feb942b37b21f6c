"""The one place that moves the write-ahead log into the database file (see settings.DATABASES for why one).

Whoever holds RUN_DIR/checkpoint.lock does it. A controller keeps the lock for its life; the web takes it
only for the moment of one checkpoint, so that it steps in where no controller runs and steps back when one does.
Who does it also takes away what is too old to be kept (see iotsite/pruning.py).
"""

import fcntl
import logging
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from django.conf import settings
from django.db import DatabaseError

from iotsite import database

if TYPE_CHECKING:
    from iotsite.pruning import Housekeeper

log = logging.getLogger(__name__)

LOOK_EVERY = 5.0


class Checkpointer(threading.Thread):
    """Looks at the log every few seconds and checkpoints it once it is worth it; at rest it writes nothing."""

    def __init__(self, *, keeps_lock: bool) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self.keeps_lock = keeps_lock
        self._lock: int | None = None

    def run(self) -> None:
        # Only now, since it needs the models: the web makes us before Django is set up.
        from iotsite.pruning import Housekeeper

        wait, pause, housekeeper = threading.Event(), LOOK_EVERY, Housekeeper()
        while not wait.wait(pause):
            pause = LOOK_EVERY
            try:
                self.look()
                database.remember()
                pause = self._prune(housekeeper)
            except (OSError, sqlite3.Error, DatabaseError) as error:
                log.warning("checkpoint failed: %s", error)

    def look(self) -> bool:
        """Checkpoint if it is worth it and ours to do; says whether it did."""
        with self._having_lock() as is_ours:
            if not is_ours or database.wal_size() < database.WORTH_A_CHECKPOINT or database.problem():
                return False
            checkpoint()
            return True

    def _prune(self, housekeeper: "Housekeeper") -> float:
        """Let a bite be taken, if that is ours to do; seconds until the next look."""
        with self._having_lock() as is_ours:
            return min(housekeeper.look(), LOOK_EVERY) if is_ours else LOOK_EVERY

    @contextmanager
    def _having_lock(self) -> Iterator[bool]:
        try:
            yield self._take_lock()
        finally:
            if not self.keeps_lock:
                self._give_lock()

    def _take_lock(self) -> bool:
        if self._lock is not None:
            return True
        handle = os.open(settings.RUN_DIR / "checkpoint.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(handle)
            return False
        self._lock = handle
        return True

    def _give_lock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None


def checkpoint() -> None:
    """Move the log into the database and empty it, as far as readers and writers let it within 0.2 s."""
    connection = sqlite3.connect(f"{database.path().as_uri()}?mode=rw", uri=True, timeout=0.2)
    try:
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    finally:
        connection.close()
