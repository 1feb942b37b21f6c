"""Pilotage moves, and the calls that follow from them. Pure.

A move says that a ship is taken from one place to another. Where she is follows from the end of the last one made,
or from the start of the first one planned; when she came or left nobody tells, only when each move was to begin.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from ports.snapshot import BerthKind, CallReport, Ship, Status, StayReport, VesselType


@dataclass(frozen=True, slots=True)
class Place:
    name: str = ""
    code: str = ""
    port: str = ""
    """UN/LOCODE of the port it lies in; empty at sea, where pilots come aboard and leave."""
    area: str = ""
    kind: BerthKind = BerthKind.BERTH

    @property
    def stays(self) -> tuple[StayReport, ...]:
        return (StayReport(self.name, self.code, self.area, self.kind),) if self.name else ()


class Progress(Enum):
    PLANNED = "planned"
    MADE = "made"
    """Under way, or done: the pilot is with her, and the next that is heard of her is from its end."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Move:
    ship: Ship
    start: Place
    end: Place
    progress: Progress
    begins_at: datetime | None = None
    ordered_at: datetime | None = None
    agent: str = ""

    @property
    def enters(self) -> str:
        """The port that she comes to from outside; empty for none."""
        return self.end.port if self.end.port != self.start.port else ""

    @property
    def leaves(self) -> str:
        """The port that she leaves; empty for none."""
        return self.start.port if self.end.port != self.start.port else ""


def calls_of(moves: Iterable[Move], port_names: Mapping[str, str]) -> Iterator[CallReport]:
    """The calls that ``moves`` tell of: of one ship and port at most one that is expected or in port."""
    for of_one_ship in _by_ship(moves):
        track = _Track(port_names)
        for move in _in_order(of_one_ship):
            track.follow(move)
        yield from track.calls(_merged([move.ship for move in of_one_ship]))


@dataclass(slots=True)
class _Visit:
    status: Status
    place: Place
    agent: str = ""
    previous_port: str = ""
    next_port: str = ""
    etd: datetime | None = None
    next_move: Move | None = None


class _Track:
    """One ship's visits, one for each port and kind of status, as her moves are told in order."""

    def __init__(self, port_names: Mapping[str, str]) -> None:
        self.port_names = port_names
        self.here: Place | None = None
        """Where she is; None while no move has told."""
        self.open: dict[str, _Visit] = {}
        self.departed: dict[str, _Visit] = {}
        self.cancelled: dict[str, _Visit] = {}

    def follow(self, move: Move) -> None:
        if move.progress is Progress.MADE:
            self._make(move)
            return
        enters = self._enters(move)
        self.here = self.here or move.start
        visit = None if enters and enters == move.start.port else self._visit_at_start(move)
        if move.progress is Progress.CANCELLED:
            if enters:
                self.cancelled[enters] = self._visit(Status.CANCELLED, move)
                self.cancelled[enters].next_move = move
            return
        if visit:
            visit.agent = move.agent or visit.agent
            visit.next_move = visit.next_move or move
            if move.leaves:
                visit.etd, visit.next_port = move.begins_at, self._called(move.end)
        if enters and enters not in self.open:
            self.open[enters] = self._visit(Status.EXPECTED, move)
            self.open[enters].next_move = move

    def calls(self, ship: Ship) -> Iterator[CallReport]:
        called_off = {port: visit for port, visit in self.cancelled.items() if port not in self.open}
        for visits in (self.departed, self.open, called_off):
            for port, visit in visits.items():
                yield CallReport(
                    port=port,
                    ship=ship,
                    status=visit.status,
                    etd=visit.etd,
                    leaves_at=visit.next_move.begins_at if visit.next_move else None,
                    pilot_ordered_at=visit.next_move.ordered_at if visit.next_move else None,
                    agent=visit.agent,
                    previous_port=visit.previous_port,
                    next_port=visit.next_port,
                    stays=visit.place.stays,
                )

    def _make(self, move: Move) -> None:
        if move.start.name or move.end.name:
            self._leave_all_but(move.start.port, move.end.port)
        if move.leaves:
            left = self.open.pop(move.leaves, None) or self._visit(Status.DEPARTED, move)
            self.departed[move.leaves] = replace(
                left,
                status=Status.DEPARTED,
                place=move.start if move.start.name else left.place,
                agent=move.agent or left.agent,
                next_port=self._called(move.end),
                etd=move.begins_at,
                next_move=move,
            )
        if move.end.port:
            self.departed.pop(move.end.port, None)  # she is back: the visit in port is the one that counts
            visit = self.open.setdefault(move.end.port, self._visit(Status.IN_PORT, move))
            visit.place, visit.agent = move.end, move.agent or visit.agent
        self.here = move.end

    def _leave_all_but(self, *ports: str) -> None:
        """She is moved elsewhere: she has left where she was before, by a move that nobody told of."""
        for port in [port for port in self.open if port not in ports]:
            self.departed[port] = replace(self.open.pop(port), status=Status.DEPARTED)

    def _enters(self, move: Move) -> str:
        """The port that a move brings her into, also from a pilot station in its mouth, if she is not in yet."""
        port = move.start.port
        is_in = port in self.open or (self.here is not None and self.here.port == port)
        if port == move.end.port and move.start.kind is BerthKind.PILOT_STATION and not is_in:
            return port
        return move.enters

    def _visit_at_start(self, move: Move) -> _Visit | None:
        """Her visit to the port where a move begins that is not made; None at sea, and where she has left already."""
        port = move.start.port
        if not port or port in self.departed:
            return self.open.get(port)
        if port not in self.open:
            # Elsewhere, or at sea, she has to come here first, by a move that nobody has ordered yet.
            is_there = self.here is not None and self.here.port == port
            self.open[port] = _Visit(Status.IN_PORT if is_there else Status.EXPECTED, move.start)
        return self.open[port]

    def _visit(self, status: Status, move: Move) -> _Visit:
        """To the port of a move's end, or, where that is left, of its start."""
        if status is Status.DEPARTED:
            return _Visit(status, move.start, move.agent)
        previous = self.port_names.get(move.leaves, "")
        return _Visit(status, move.end, move.agent, previous_port=previous)

    def _called(self, place: Place) -> str:
        return self.port_names.get(place.port) or place.name


_NO_MOMENT = datetime.max.replace(tzinfo=UTC)


def _in_order(moves: Sequence[Move]) -> list[Move]:
    """Those made, then those that are not; without what is older than the last one made, which tells where she is."""

    def when(move: Move) -> tuple[datetime, datetime]:
        return move.begins_at or _NO_MOMENT, move.ordered_at or _NO_MOMENT

    made = sorted((move for move in moves if move.progress is Progress.MADE), key=when)
    others = sorted((move for move in moves if move.progress is not Progress.MADE), key=when)
    if made:
        others = [move for move in others if when(move)[0] > when(made[-1])[0]]
    return made + others


def _by_ship(moves: Iterable[Move]) -> list[list[Move]]:
    """By IMO number, MMSI and name: a move may have one that another of the same ship lacks."""
    moves = list(moves)
    imo_of = {move.ship.mmsi: move.ship.imo for move in moves if move.ship.mmsi and move.ship.imo}

    def number(ship: Ship) -> str:
        return ship.imo or imo_of.get(ship.mmsi, ship.mmsi)

    numbers: dict[str, set[str]] = {}
    for move in moves:
        numbers.setdefault(move.ship.name, set()).add(number(move.ship))
    ships: dict[tuple[str, str], list[Move]] = {}
    for move in moves:
        others = numbers[move.ship.name] - {""}
        known = number(move.ship) or (next(iter(others)) if len(others) == 1 else "")
        ships.setdefault((known, "" if known else move.ship.name), []).append(move)
    return list(ships.values())


def _merged(told: Sequence[Ship]) -> Ship:
    """One ship from what several moves say of her: for each field the last word."""

    def last(words: Iterable[str]) -> str:
        return next((word for word in reversed(list(words)) if word), "")

    typed = next((ship for ship in reversed(told) if ship.type is not VesselType.OTHER), told[-1])
    return Ship(
        name=last(ship.name for ship in told),
        imo=last(ship.imo for ship in told),
        mmsi=last(ship.mmsi for ship in told),
        flag=last(ship.flag for ship in told),
        type=typed.type,
        source_type=typed.source_type or last(ship.source_type for ship in told),
    )
