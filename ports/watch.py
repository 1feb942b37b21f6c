"""The one process that keeps the ports fresh, ``manage.py refresh_ships --watch``, and how others reach it.

It listens at RUN_DIR/refresh.sock and holds RUN_DIR/refresh.lock, which the kernel frees at its death. A datagram is a
hint, never a fact: the wish itself stands in the database (``Feed.wish``), and a lost hint costs some seconds.
What is being fetched right now, by it or by a command, is told by ``running()``: see ports/progress.py.
"""

import os
import socket
from pathlib import Path

from django.conf import settings

from ports.progress import running

__all__ = ["is_running", "running", "wake"]


def address() -> Path:
    return Path(settings.RUN_DIR) / "refresh.sock"


def wake() -> bool:
    """Let the running watch look at the database now; says whether there is one. Call it after the commit."""
    return _reach(b"wake")


def is_running() -> bool:
    """Whether somebody keeps the ports fresh. The socket of a dead process refuses; none is disturbed by this."""
    return _reach(b"")


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
