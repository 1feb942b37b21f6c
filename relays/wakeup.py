"""Wake-ups between web, command line and controller: Unix datagrams, 37 µs each.

A datagram is a hint, never a fact: whoever gets one looks at the database. A lost one costs a second at most.
"""

import json
import os
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from functools import cache, partial
from typing import Any, TypeVar

from django.conf import settings
from django.db import transaction

from relays.runfiles import BoardFiles

LONGEST = 1024
REMEMBERED = 256
TELL_FOR = 3.0
"""So long (seconds) a controller tells a process that asked for it what it recorded."""
ASK_AGAIN = 1.0
LOOK_EVERY = 0.25
WAITERS = 32
"""So many threads of a process wait for controllers at a time; one more does not wait."""
TELL = json.dumps({"tell": True}).encode()

T = TypeVar("T")


def wake(files: BoardFiles) -> bool:
    """Wake the controller of a board; says whether one listens."""
    return _send(_sender(), b"{}", files)


@cache
def _sender() -> socket.socket:
    return socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)


def wake_after_commit(board: int) -> None:
    transaction.on_commit(partial(wake, BoardFiles(settings.RUN_DIR, board)))


def _send(sender: socket.socket, message: bytes, files: BoardFiles) -> bool:
    try:
        # A controller that hangs empties nothing: who waited for room here would hang with it.
        sender.sendto(message, socket.MSG_DONTWAIT, os.fspath(files.socket))
    except OSError:
        return False
    return True


class Ear(threading.Thread):
    """This process's end, one for all its threads that wait: hears which commands a controller has recorded."""

    def __init__(self) -> None:
        super().__init__(name="ear", daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind("")  # the kernel chooses an abstract address; a stranger's datagram there only makes us look
        self._places = threading.BoundedSemaphore(WAITERS)
        self._waiting: dict[int, threading.Event] = {}
        self._recorded: deque[int] = deque(maxlen=REMEMBERED)
        self._asked_at: dict[BoardFiles, float] = {}

    def wait(self, command: int, files: BoardFiles, seconds: float, look: Callable[[], T | None]) -> T | None:
        """What ``look()`` gives, asked when the controller says that it recorded ``command``, and now and then.

        None where that is nothing for so many seconds, or where too many wait already.
        """
        if not self._places.acquire(blocking=False):
            return None
        try:
            told = self._waiting.setdefault(command, threading.Event())
            if command in self._recorded or not self._is_told_by(files):
                told.set()
            end = time.monotonic() + seconds
            while (left := end - time.monotonic()) > 0:
                if not told.wait(min(left, LOOK_EVERY)):
                    self._ask(files)
                told.clear()
                if found := look():
                    return found
            return None
        finally:
            self._waiting.pop(command, None)
            self._places.release()

    def _is_told_by(self, files: BoardFiles) -> bool:
        """Whether its controller has been telling us for a while, so that nothing can have been missed."""
        silence = time.monotonic() - self._asked_at.get(files, 0.0)
        if silence > ASK_AGAIN:
            self._ask(files)
        return silence < TELL_FOR - ASK_AGAIN

    def _ask(self, files: BoardFiles) -> None:
        if _send(self._socket, TELL, files):
            self._asked_at[files] = time.monotonic()
        else:
            self._asked_at.pop(files, None)

    def run(self) -> None:
        while True:
            recorded = _commands(self._socket.recv(LONGEST))
            self._recorded.extend(recorded)
            for command in recorded or list(self._waiting):
                if told := self._waiting.get(command):
                    told.set()


def _commands(message: bytes) -> list[int]:
    """The commands that a datagram names; none where it only says that something was recorded."""
    try:
        found = json.loads(message).get("recorded", [])
    except (ValueError, AttributeError, RecursionError):
        return []
    return [number for number in found if isinstance(number, int)] if isinstance(found, list) else []


@cache
def ear() -> Ear:
    """The ear of this process, listening."""
    made = Ear()
    made.start()
    return made


class Mailbox:
    """The controller's end: receives wake-ups and tells those who wait."""

    def __init__(self, files: BoardFiles) -> None:
        self.files = files
        self._waiting: dict[Any, float] = {}
        self.open()

    def open(self) -> None:
        """Listen at the board's address, whatever lies there."""
        self.files.socket.unlink(missing_ok=True)
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind(os.fspath(self.files.socket))

    def empty(self) -> None:
        """Take all that has come, and note who wants to be told."""
        while True:
            try:
                message, sender = self.socket.recvfrom(LONGEST)
            except OSError:
                return
            if message == TELL and sender and len(self._waiting) < REMEMBERED:
                self._waiting[sender] = time.monotonic() + TELL_FOR

    def tell(self, commands: Iterable[int]) -> None:
        """Tell everybody who asked which commands were recorded. May be called from another thread."""
        message = json.dumps({"recorded": list(commands)}).encode()
        for address, until in list(self._waiting.items()):
            if until < time.monotonic():
                self._waiting.pop(address, None)
                continue
            try:
                self.socket.sendto(message if len(message) <= LONGEST else b"{}", address)
            except OSError:
                self._waiting.pop(address, None)
