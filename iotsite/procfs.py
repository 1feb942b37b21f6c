"""What the kernel tells of a process."""

import os
from pathlib import Path

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident_memory(pid: int) -> int | None:
    """Bytes of memory that a process uses, what it shares with others counted whole; None where there is none."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * PAGE
    except (OSError, ValueError, IndexError):
        return None
