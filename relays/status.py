"""What is told of the relays at this moment, on the pages, in the API and over the streams: facts, no markup."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from zlib import crc32

from relays import clock, plan
from relays.models import Board, Relay
from relays.runfiles import is_fresh


class State(StrEnum):
    """What a glance should tell; where two hold, the earlier one."""

    UNKNOWN = "unknown"
    FAULT = "fault"
    SWITCHING = "switching"
    ON = "on"
    OFF = "off"


@dataclass(frozen=True)
class BoardStatus:
    """A board and whether its controller answers. Equal as long as nothing changed that a person would see."""

    id: int
    name: str
    is_simulated: bool
    is_served: bool
    silent_since: datetime | None
    """When its controller answered last; None where it answers, or never did in this boot."""
    is_stopped: bool
    stopped_by: str
    stopped_at: datetime | None

    @classmethod
    def of(cls, board: Board, now: clock.Now) -> "BoardStatus":
        age = board.silent_for
        is_served = is_fresh(age)
        silent_since = None if is_served or age is None else now.wall - timedelta(seconds=age)
        is_stopped = board.is_stopped
        who = board.stopped_by or (board.files.latched_by().get("who", "") if is_stopped else "")
        return cls(
            board.pk,
            board.name,
            board.is_simulated,
            is_served,
            silent_since.replace(microsecond=0) if silent_since else None,
            is_stopped,
            str(who),
            board.stopped_at,
        )


@dataclass(frozen=True)
class RelayStatus:
    """A relay: what is wanted of it, what is so, and why the two differ. Equal as long as nothing changed."""

    id: int
    slug: str
    name: str
    kind: str
    room: str
    room_id: int | None
    board: BoardStatus = field(repr=False)
    line: str
    is_momentary: bool
    command: int
    """The number of the Event that asked for ``wanted``."""
    wanted: bool
    wanted_by: str
    until: datetime | None
    """When it goes off by itself."""
    last_known: bool | None
    """What its controller said last."""
    since: datetime | None
    """Since when that is so."""
    fault: str
    lock: str | None
    """Why it is locked; None where it is not."""
    locked_by: str
    why: str
    """Why it is not yet as wanted, where the plan knows."""
    why_until: datetime | None
    """How long that lasts; None where only an event can tell."""

    @classmethod
    def of(cls, relay: Relay, board: BoardStatus, wait: plan.Wait | None, now: clock.Now) -> "RelayStatus":
        """``relay`` with its room and wanted_by at hand: no query is made."""
        return cls(
            id=relay.pk,
            slug=relay.slug,
            name=relay.name,
            kind=relay.kind,
            room=relay.room.name if relay.room else "",
            room_id=relay.room_id,
            board=board,
            line=relay.line,
            is_momentary=relay.is_momentary,
            command=relay.command,
            wanted=relay.wanted,
            wanted_by=relay.wanted_by.get_username() if relay.wanted_by else "",
            until=relay.wanted_until,
            last_known=relay.actual,
            since=relay.actual_at,
            fault=relay.fault,
            lock=relay.lock_reason if relay.is_locked else None,
            locked_by=relay.locked_by if relay.is_locked else "",
            why=wait.why if wait else "",
            why_until=_to_the_millisecond(now.wall_at(wait.until)) if wait and wait.until is not None else None,
        )

    @property
    def actual(self) -> bool | None:
        """What is so; None, not known, where the controller is silent: what was so is no news then."""
        return self.last_known if self.board.is_served else None

    @property
    def is_pending(self) -> bool:
        """Whether what is so is not yet what is wanted."""
        return self.actual is not self.wanted

    @property
    def state(self) -> State:
        if not self.board.is_served:
            return State.UNKNOWN
        if self.fault:
            return State.FAULT
        if self.actual is None:
            return State.UNKNOWN
        if self.is_pending:
            return State.SWITCHING
        return State.ON if self.actual else State.OFF


@dataclass(frozen=True)
class House:
    """All enabled boards and relays, the relays in the order in which the home page shows them."""

    boards: tuple[BoardStatus, ...]
    relays: tuple[RelayStatus, ...]

    @property
    def silent(self) -> list[BoardStatus]:
        return [board for board in self.boards if not board.is_served]

    @property
    def stopped(self) -> list[BoardStatus]:
        """The boards that Stop everything holds off."""
        return [board for board in self.boards if board.is_stopped]

    @property
    def is_simulated(self) -> bool:
        return any(board.is_simulated for board in self.boards)

    @property
    def lit(self) -> int:
        """How many relays are on."""
        return sum(relay.actual is True for relay in self.relays)

    @cached_property
    def fingerprint(self) -> str:
        """Differs once anything shown differs: a page tells by it whether it is up to date."""
        return f"{crc32(repr(self).encode()):08x}"


def house(now: clock.Now | None = None) -> House:
    """Everything as it is now: two queries."""
    now = now or clock.now()
    boards = list(Board.objects.enabled())
    relays = list(Relay.objects.by_room())
    told = {board.pk: BoardStatus.of(board, now) for board in boards}
    waits = {board.pk: _waits(board, [row for row in relays if row.board_id == board.pk], now) for board in boards}
    shown = [
        RelayStatus.of(relay, told[relay.board_id], waits[relay.board_id].get(relay.pk), now)
        for relay in relays
        if relay.board_id in told
    ]
    return House(tuple(told.values()), tuple(shown))


def of(relay: Relay, now: clock.Now | None = None) -> RelayStatus:
    """One relay as it is now; ``relay`` with board, room and wanted_by at hand. No query unless it waits."""
    now = now or clock.now()
    board = BoardStatus.of(relay.board, now)
    waits = _waits(relay.board, relay.board.rows_around(relay), now) if relay.is_pending else {}
    return RelayStatus.of(relay, board, waits.get(relay.pk), now)


def _waits(board: Board, relays: Sequence[Relay], now: clock.Now) -> dict[int, plan.Wait]:
    if not any(relay.is_pending for relay in relays):
        return {}
    return plan.plan(board.as_seen(relays, now), now).waits


def _to_the_millisecond(moment: datetime) -> datetime:
    moment += timedelta(microseconds=500)
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)


def rooms(relays: Iterable[RelayStatus]) -> list[tuple[str, int | None, list[RelayStatus]]]:
    """The relays by room, in their order: name (empty for those without one), number, relays."""
    found: dict[int | None, list[RelayStatus]] = {}
    for relay in relays:
        found.setdefault(relay.room_id, []).append(relay)
    return [(shown[0].room, room, shown) for room, shown in found.items()]
