"""Wake-ups between web, command line and controller: Unix datagrams, 37 µs each.

A datagram is a hint, never a fact: whoever gets one looks at the database. A lost one costs a second at most.
"""

import json
import os
import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from relays.runfiles import BoardFiles

LONGEST = 1024
REMEMBERED = 256
ANSWER_WITHIN = 3.0


def wake(files: BoardFiles) -> bool:
    """Wake the controller of a board; says whether one listens."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        return _send(sender, b"{}", files)


def wake_after_commit(board: int) -> None:
    transaction.on_commit(partial(wake, BoardFiles(settings.RUN_DIR, board)))


def _send(sender: socket.socket, message: bytes, files: BoardFiles) -> bool:
    try:
        sender.sendto(message, os.fspath(files.socket))
    except OSError:
        return False
    return True


def wait_until(is_so: Callable[[], bool], files: BoardFiles, seconds: float) -> bool:
    """Wait until ``is_so()``, asked anew whenever the controller says that it recorded something."""
    end = time.monotonic() + seconds
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind("")  # the kernel chooses an abstract address; a stranger's datagram there only makes us look
        listens = _send(ear, json.dumps({"tell": True}).encode(), files)
        while not is_so():
            left = end - time.monotonic()
            if left <= 0:
                return False
            ear.settimeout(min(left, 0.25 if listens else 0.05))
            try:
                ear.recv(LONGEST)
            except TimeoutError:
                listens = _send(ear, json.dumps({"tell": True}).encode(), files)
    return True


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

    def empty(self) -> bool:
        """Take all that has come; says whether there was anything."""
        was_woken = False
        while True:
            try:
                message, sender = self.socket.recvfrom(LONGEST)
            except OSError:
                return was_woken
            was_woken = True
            if sender and b"tell" in message and len(self._waiting) < REMEMBERED:
                self._waiting[sender] = time.monotonic() + ANSWER_WITHIN

    def tell(self) -> None:
        """Tell everybody who waits that something was recorded. May be called from another thread."""
        for address, until in list(self._waiting.items()):
            if until < time.monotonic():
                self._waiting.pop(address, None)
                continue
            try:
                self.socket.sendto(b"{}", address)
            except OSError:
                self._waiting.pop(address, None)
