"""A program that iotsite/supervisor.py keeps running."""

import ctypes
import math
import os
import signal
import subprocess
import time
from collections import deque
from dataclasses import dataclass, field

from iotsite import settings
from relays.runfiles import BoardFiles

DEATHS, WITHIN = 5, 60.0
"""A controller, or what keeps the ports fresh, that ends so often within so many seconds is given up."""
PAUSES = (0.0, 0.5, 1.0, 2.0, 5.0)
"""Seconds before a child is started again, by how often it ended lately."""
LAST_RESORT = 10.0
"""A child that was told to end and has not after so many seconds is killed."""

PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)


def say(sentence: str) -> None:
    try:
        print(sentence, flush=True)
    except OSError:
        pass  # the terminal is gone; the relays are not


def _become_child(parent: int) -> None:
    """In the new process: end when the supervisor does, however that ends, and hear signals again."""
    _libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
    if os.getppid() != parent:
        os._exit(1)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())


def spawn(command: list[str]) -> subprocess.Popen[bytes]:
    """Start a child in a session of its own, so that the terminal's Ctrl-C reaches only us."""
    # preexec_fn wants that no thread runs here, and none does.
    parent = os.getpid()
    return subprocess.Popen(  # noqa: S603 our own programs only
        command,
        cwd=settings.BASE_DIR,
        stdin=subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=lambda: _become_child(parent),
    )


@dataclass
class Child:
    """A program that shall run, and what became of it."""

    name: str
    command: list[str]
    files: BoardFiles | None = None
    """Those of its board, where it is a controller."""
    is_wanted: bool = True
    is_given_up: bool = False
    process: subprocess.Popen[bytes] | None = None
    start_at: float = 0.0
    kill_at: float | None = None
    """When it is killed; None while nobody asked it to end."""
    deaths: deque[float] = field(default_factory=lambda: deque(maxlen=DEATHS))

    @property
    def is_due(self) -> bool:
        """Whether it shall run and does not."""
        return self.process is None and self.is_wanted and not self.is_given_up

    @property
    def dies_too_often(self) -> bool:
        return len(self.deaths) == DEATHS and self.deaths[-1] - self.deaths[0] < WITHIN

    def forgive(self) -> None:
        """Forget how often it ended."""
        self.is_given_up = False
        self.deaths.clear()

    def start(self) -> None:
        try:
            self.process = spawn(self.command)
        except OSError as error:
            say(f"{self.name} could not be started: {error.strerror}. Trying again.")
            self.start_at = time.monotonic() + PAUSES[-1]

    def end(self) -> None:
        """Ask it to end, in good order."""
        if self.process and self.kill_at is None:
            self.process.terminate()
            self.kill_at = time.monotonic() + LAST_RESORT

    def has_ended(self, now: float) -> bool:
        """Whether it has ended since the last look; kills it when it is overdue."""
        if self.process is None:
            return False
        if self.process.poll() is not None:
            return True
        if self.kill_at is not None and now >= self.kill_at:
            say(f"{self.name} does not end: killing it.")
            self.process.kill()
            self.kill_at = math.inf
        return False

    def note_end(self, now: float) -> str:
        """Take leave of the process that ended; how that came about, in words, where nobody had asked for it."""
        assert self.process is not None
        status, was_asked = self.process.returncode, self.kill_at is not None
        self.process = self.kill_at = None
        if was_asked:
            return ""
        self.deaths.append(now)
        lately = sum(death > now - WITHIN for death in self.deaths)
        self.start_at = now + PAUSES[lately - 1]
        return f"killed by signal {-status}" if status < 0 else f"with status {status}"
