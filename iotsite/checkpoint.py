"""The one place that moves the write-ahead log into the database file (see settings.DATABASES for why one).

Whoever holds RUN_DIR/checkpoint.lock does it. A controller keeps the lock for its life; the web takes it
only for the moment of one checkpoint, so that it steps in where no controller runs and steps back when one does.
"""

import fcntl
import logging
import os
import sqlite3
import threading

from django.conf import settings

from iotsite import database

log = logging.getLogger(__name__)

WORTH_IT = 1024 * 1024
LOOK_EVERY = 5.0


class Checkpointer(threading.Thread):
    """Looks at the log every few seconds and checkpoints it once it is worth it; at rest it writes nothing."""

    def __init__(self, *, keeps_lock: bool) -> None:
        super().__init__(name="checkpoint", daemon=True)
        self.keeps_lock = keeps_lock
        self._lock: int | None = None

    def run(self) -> None:
        wait = threading.Event()
        while not wait.wait(LOOK_EVERY):
            try:
                self.look()
                database.remember()
            except (OSError, sqlite3.Error) as error:
                log.warning("checkpoint failed: %s", error)

    def look(self) -> bool:
        """Checkpoint if it is worth it and ours to do; says whether it did."""
        if not self._take_lock():
            return False
        try:
            if database.wal_size() < WORTH_IT or database.problem():
                return False
            checkpoint()
            return True
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
