"""What systemd wants to hear from a service (sd_notify(3)); silence where no systemd listens."""

import os
import socket

PATIENCE = 1.0
"""Seconds for a supervisor that does not empty its box: who tells it has relays or pages to see to."""


def notify(message: str) -> None:
    """Send ``READY=1``, ``WATCHDOG=1`` and the like to the supervisor that started us, if there is one."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    if address.startswith("@"):
        address = "\0" + address[1:]
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
        sender.settimeout(PATIENCE)
        try:
            sender.sendto(message.encode(), address)
        except OSError:
            pass  # a supervisor that is gone is no reason to drop a relay


def be_patient(seconds: float) -> None:
    """Ask the supervisor's watchdog to wait so long for the next word, until ``ready()``."""
    notify(f"WATCHDOG_USEC={seconds * 1_000_000:.0f}")


def ready() -> None:
    """Say that the work has begun; from now on with the patience that the unit says (WatchdogSec=)."""
    notify("READY=1")
    if usual := os.environ.get("WATCHDOG_USEC"):
        notify(f"WATCHDOG_USEC={usual}")
