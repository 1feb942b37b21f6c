"""A board for a laptop: nothing is switched, and everything else is as on a Pi.

Its lines live in a file in RUN_DIR, one row for each thing done to one: ``boot-time pid line level cause``, the
level being the pin's (1 is high). Like pins they outlive a kill -9, and others may move them: a row appended by
somebody else moves the line. Faults are set in a second file, ``{"GPIO17": "stuck"}``: stuck (writes move
nothing), busy (cannot be claimed), failing (writes fail), slow (a write takes 0.3 s).
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from iotsite.places import read_whole
from relays import clock
from relays.boards import BoardError
from relays.runfiles import BoardFiles

SLOW = 0.3
LONGEST = 100_000
"""Rows; some 4 MB."""


@dataclass(frozen=True)
class Row:
    """One thing that was done to a line."""

    at: float
    pid: int
    line: str
    level: int
    cause: str


def history(path: Path) -> list[Row]:
    """Everything that was done to the lines of a simulated board, oldest first."""
    try:
        return [_row(text) for text in path.read_text().splitlines()]
    except FileNotFoundError:
        return []


def _row(text: str) -> Row:
    at, pid, line, level, cause = text.split()
    return Row(float(at), int(pid), line, int(level), cause)


def append(path: Path, line: str, level: int, cause: str) -> None:
    """Move a line. One write call: a kill leaves the whole row or none."""
    row = f"{clock.boot_seconds():.6f} {os.getpid()} {line} {level} {cause}\n".encode()
    handle = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(handle, row)
    finally:
        os.close(handle)


class Simulated:
    """The driver: levels follow the file, so that it shows what others did to the lines too."""

    def __init__(self, files: BoardFiles) -> None:
        self.files = files
        self._active_low: dict[str, bool] = {}
        self._levels: dict[str, int] = {}
        self._read_to = 0
        _trim(files.lines)

    def claim(self, line: str, on: bool, *, active_low: bool) -> None:
        fault = self._fault(line)
        if fault == "busy":
            raise BoardError(f"{line} is in use by another program (simulated): stop it or choose another line.")
        self._active_low[line] = active_low
        self._drive(line, on, "claim", fault)

    def write(self, line: str, on: bool) -> None:
        fault = self._fault(line)
        if fault == "failing":
            raise BoardError(f"{line} cannot be written (simulated): check the board.")
        self._drive(line, on, "write", fault)

    def read(self, line: str) -> bool:
        self._catch_up()
        return bool(self._levels.get(line, 0)) is not self._active_low[line]

    def release(self, line: str, *, hold: bool) -> None:
        if not hold and self.read(line):
            self._drive(line, False, "write", self._fault(line))
        self._catch_up()
        append(self.files.lines, line, self._levels[line], "release")
        del self._active_low[line]

    def _drive(self, line: str, on: bool, cause: str, fault: str) -> None:
        if fault == "slow":
            time.sleep(SLOW)
        if fault != "stuck":
            append(self.files.lines, line, int(on is not self._active_low[line]), cause)

    def _fault(self, line: str) -> str:
        return str((read_whole(self.files.faults) or {}).get(line, ""))

    def _catch_up(self) -> None:
        try:
            with self.files.lines.open("rb") as file:
                if file.seek(0, os.SEEK_END) < self._read_to:
                    self._read_to = 0  # another file: RUN_DIR was swept away
                file.seek(self._read_to)
                new = file.read()
        except FileNotFoundError:
            return
        self._read_to += len(new)
        for text in new.decode().splitlines():
            row = _row(text)
            self._levels[row.line] = row.level


def _trim(path: Path) -> None:
    """Keep the newer half of a long history, and of each line at least its last row."""
    rows = history(path)
    if len(rows) <= LONGEST:
        return
    older, newer = rows[: -LONGEST // 2], rows[-LONGEST // 2 :]
    missing = {row.line: row for row in older}.keys() - {row.line for row in newer}
    last = {row.line: row for row in older if row.line in missing}
    draft = path.with_suffix(".trimmed")
    draft.write_text("".join(f"{r.at:.6f} {r.pid} {r.line} {r.level} {r.cause}\n" for r in [*last.values(), *newer]))
    draft.replace(path)


def open_board(files: BoardFiles) -> Simulated:
    return Simulated(files)
