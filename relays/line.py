"""One relay's line, as its controller keeps it while it runs."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from relays import plan
from relays.clock import Now
from relays.memory import LineMemory, Memory
from relays.models import Event, Relay
from relays.recorder import Found, Key

BACKOFF = (0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds between tries of a line at fault; the last one repeats."""


@dataclass
class Line:
    """One relay's line while this controller runs."""

    row: Relay
    memory: LineMemory
    start: plan.Start = plan.Start.RUNNING
    is_claimed: bool = False
    level: bool | None = None
    failures: int = 0
    retry_at: float = 0.0
    fault: str = ""
    change: plan.Change | None = None
    """Our own newest change of wanted, while the rows do not show it yet."""
    step: int = 0
    """How many changes we made on top of the command in the rows."""
    looked_at: tuple[Any, ...] = ()
    """Of what it was last looked for news."""
    told: tuple[Any, ...] = ()
    """What was last handed to the recorder."""
    settled: Key | None = None
    """The command whose outcome was handed to the recorder."""
    _seen: tuple[Relay, tuple[Any, ...], plan.RelayState] | None = None
    """Of what the state was made that the plan saw last, and that state."""

    @property
    def key(self) -> Key:
        """What it follows: the command in the rows, or our own change on top of it."""
        return Key(self.row.id, self.change.command if self.change else self.row.command, self.step)

    @property
    def wanted(self) -> bool:
        return self.change.on if self.change else self.row.wanted

    def as_state(self) -> plan.RelayState:
        """It as the plan sees it; made anew where something changed, which at each look is true of few lines."""
        left = self.memory
        facts = (
            *(self.start, self.is_claimed, self.level, self.failures, self.retry_at, self.change),
            *(left.level, left.moving_to, left.since, left.asked_at, left.until),
        )
        if self._seen is None or self._seen[0] is not self.row or self._seen[1] != facts:
            state = self.row.as_state(
                start=self.start,
                is_claimed=self.is_claimed,
                held=left_at(left, self.wanted),
                level=self.level,
                since=left.since,
                asked_at=left.asked_at,
                until=left.until,
                is_faulty=self.failures > 0,
                retry_at=self.retry_at,
            )
            self._seen = (self.row, facts, state)
        return self._seen[2]

    def follow(self, row: Relay, recorded: dict[Key, int]) -> None:
        """Take the row as the database has it now, and drop our own change once the row shows it or a newer one."""
        if self.change and row.command != self.change.command:
            older = {recorded.get(self.key._replace(step=step)) for step in range(1, self.step)}
            if row.command not in older:
                before = self.key
                self.row, self.change, self.step = row, None, 0
                if recorded.get(before) == row.command:
                    self._rename(before)
        self.row = row

    def note_command(self, now: Now) -> None:
        """At the first sight of a command, turn its moments of the wall clock into moments of the boot clock."""
        memory, row = self.memory, self.row
        memory.name, memory.on_lost = row.name, row.on_lost
        if memory.command == row.command:
            return
        memory.command = row.command
        memory.asked_at = min(now.boot, now.boot_at(row.wanted_at or now.wall))
        memory.until = _deadline(row, now)
        self.retry_at = 0.0

    def news(self, at: datetime) -> Found | None:
        """What it does and what became of its command, where the recorder was not handed that yet: it is now."""
        facts = (self.row.command, self.row.wanted, self.change, self.step, self.is_claimed, self.level, self.fault)
        if facts == self.looked_at:
            return None
        self.looked_at = facts
        key = self.key
        outcome = "" if self.settled == key else self._outcome()
        news = (key, self.level, self.fault, outcome)
        if news[:3] == self.told[:3] and outcome in ("", self.told[3]):
            return None
        self.told = news
        if outcome == Event.Outcome.APPLIED:
            self.settled = key
        return Found(key, self.level, self.fault, outcome, at)

    def _outcome(self) -> str:
        if self.is_claimed and self.level is self.wanted:
            return Event.Outcome.APPLIED
        return Event.Outcome.FAILED if self.fault else ""

    def _rename(self, before: Key | None) -> None:
        """What was told under our own change's key was told under the key that the row gives it."""
        if self.settled == before:
            self.settled = self.key
        if self.told and self.told[0] == before:
            self.told = (self.key, *self.told[1:])

    def failed(self, sentence: str, now: Now) -> None:
        self.retry_at = now.boot + BACKOFF[min(self.failures, len(BACKOFF) - 1)]
        self.failures += 1
        self.fault = sentence

    def succeeded(self) -> None:
        self.failures, self.retry_at, self.fault = 0, 0.0, ""


def new_line(row: Relay, boot: float, start: plan.Start = plan.Start.RUNNING) -> Line:
    """The line of a relay that nobody has moved yet."""
    return Line(row, LineMemory(row.name, row.line, row.is_active_low, row.on_lost, since=boot), start)


def line_as_left(row: Relay, left: Memory | None, boot: float) -> Line:
    """A relay's line as a controller begins with it: as the last one of this boot left it, or off."""
    if left is None:
        return new_line(row, boot, plan.Start.POWER_UP)
    memory = left.lines.get(row.pk)
    if memory is None or (memory.line, memory.active_low) != (row.line, row.is_active_low):
        return new_line(row, boot)
    if not left.ended_well and not memory.level:
        memory.level, memory.since = None, boot  # a kill may have hit it as it went on: it goes off at its claim
    start = plan.Start.POWER_UP if memory.is_over else plan.Start.RESUMED
    memory.is_over = False
    return Line(row, memory, start)


def left_at(memory: LineMemory, wanted: bool) -> bool:
    """The level to claim a line at, so that nothing moves.

    Where a kill hit a line while it was being moved, either level may be so: on only if that is still wanted.
    """
    if memory.moving_to is not None:
        return memory.moving_to and wanted
    return bool(memory.level)


def _deadline(row: Relay, now: Now) -> float | None:
    """The end on the boot clock: what is left by the wall clock, but never longer than was asked for."""
    if row.wanted_until is None or row.wanted_at is None:
        return None
    left = min(row.wanted_until - now.wall, row.wanted_until - row.wanted_at)
    return now.boot + left.total_seconds()


def reads_back(line: str, level: bool) -> str:
    """What is wrong with a line that does not do what it was told."""
    is_, was = ("on", "off") if level else ("off", "on")
    return f"{line} reads back {is_} though it was switched {was}: check its wiring, and what else drives it."
