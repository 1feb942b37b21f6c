"""Who holds which line of the header: asked of the kernel, changing nothing. Standard library only.

linux/gpio.h, version 2: struct gpio_v2_line_info is name[32], consumer[32], offset, num_attrs, flags, and more that
nobody needs here.
"""

import array
import fcntl
import os
import struct
from collections.abc import Iterable
from pathlib import Path

from relays import header

GPIO_V2_GET_LINEINFO_IOCTL = 0xC100B405
GPIO_V2_LINE_FLAG_USED = 1
LINE_INFO = struct.Struct("=32s32sIIQ176x")


def taken(device: Path) -> dict[str, str]:
    """The lines of the header that somebody holds, each with what the holder calls itself. OSError if it is closed."""
    handle = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = {line: _holder(handle, header.number_of(line)) for line in header.LINES}
    finally:
        os.close(handle)
    return {line: holder for line, holder in found.items() if holder is not None}


def _holder(chip: int, number: int) -> str | None:
    """What the holder of a line calls itself; None where nobody holds it."""
    info = array.array("B", LINE_INFO.pack(b"", b"", number, 0, 0))
    fcntl.ioctl(chip, GPIO_V2_GET_LINEINFO_IOCTL, info)
    _, consumer, _, _, flags = LINE_INFO.unpack(info.tobytes())
    if not flags & GPIO_V2_LINE_FLAG_USED:
        return None
    return bytes(consumer).rstrip(b"\0").decode(errors="replace")


def processes(line: str, user: str) -> list[str]:
    """``pid 812, gpioset`` for each process but this that holds the line, as far as this user may see.

    Newer kernels say in fdinfo which line a descriptor holds; older ones only that it holds some.
    """
    number = str(header.number_of(line))
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if int(process.name) != os.getpid() and _holds(process, number):
                found.append(f"pid {process.name}, {(process / 'comm').read_text().strip()}")
        except OSError:
            continue
    named = [holder for holder in found if holder.endswith(f", {user}")]
    return named or found


def _holds(process: Path, number: str) -> bool:
    for link in (process / "fd").iterdir():
        if not str(link.readlink()).startswith("anon_inode:gpio-line"):
            continue
        said = [
            row.split()[-1] for row in (process / "fdinfo" / link.name).read_text().splitlines() if "gpio-line" in row
        ]
        if not said or number in said:
            return True
    return False


def by_others(device: Path, own: Iterable[str], wired: Iterable[str]) -> dict[str, str]:
    """Who but us holds lines, in words; of those that are ``wired`` for relays with its process, where one can see it.

    ``own``: the lines that this process holds.
    """
    own, wired = set(own), set(wired)
    found = {}
    for line, user in taken(device).items():
        if line not in own:
            seen = processes(line, user) if line in wired else []
            found[line] = " or ".join(seen) or user or "unknown"
    return found
