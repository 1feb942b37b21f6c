"""Which processes hold a lock (flock), as the kernel tells: a file with a pid in it may be older than the process."""

import os
import re
from pathlib import Path

READINGS = 4
"""Of the kernel's list, which it gives a page at a time. Where locks go meanwhile, one on the next page is missed: with
300 locks, and others that came and went, in one reading of twenty."""


def pids(lock: Path) -> set[int]:
    """The processes that hold the lock ``lock``; one that let it go this moment may be among them, none is missing."""
    try:
        found = lock.stat()
    except FileNotFoundError:
        return set()
    mark = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"
    rows = [row.split() for _ in range(READINGS) for row in Path("/proc/locks").read_text().splitlines()]
    return {int(row[4]) for row in rows if row[1] == "FLOCK" and row[5] == mark}


def unit(pid: int) -> str:
    """The systemd unit of ours that a process belongs to; empty where it belongs to none."""
    found = re.search(r"/(iotsite-[^/\n]+\.service)$", _read(pid, "cgroup"), re.MULTILINE)
    return found[1] if found else ""


def described(pid: int) -> str:
    """A process in words that tell a person which one it is."""
    return f"{unit(pid) or _read(pid, 'cmdline').replace(chr(0), ' ').strip() or 'a process'} (pid {pid})"


def _read(pid: int, name: str) -> str:
    try:
        return Path(f"/proc/{pid}/{name}").read_text(errors="replace")
    except OSError:
        return ""
