"""The berth board: who lies where over the last and next 48 hours. ``draw`` is pure: from stays to what is drawn."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby

from django.db.models import Q, QuerySet

from ports import voyages
from ports.models import Berth, Port, Stay
from ports.snapshot import BerthKind, Status
from ports.sources.text import isolated
from ports.times import Clock

REACH = timedelta(hours=48)
"""To both sides of now."""
WHOLE = 2 * REACH
UNKNOWN_END = timedelta(hours=6)
"""So long a bar is where nobody says when she leaves, or since when she had been there when she left."""
THINNEST = 0.8
"""Per cent of the drawing: no bar is narrower."""
NAME = 15.0
"""Per cent that are kept for a name, if need be beside its bar: 7 letters on a phone, 20 on a desk."""
MOST_LANES = 8
"""Ships beside each other at one place; a sentence tells how many more."""
BERTHS = 40
"""Places on one page."""
MOST_STAYS = 4_000

LANE, GAP = 26, 4
"""Height of a bar, and what is between two, in px."""


@dataclass(frozen=True, slots=True)
class Lying:
    """One ship at one place, from then to then."""

    vessel: int
    name: str
    type: str
    since: datetime
    until: datetime | None
    """When she left, or is said to leave; None where nobody says."""
    has_come: bool
    has_left: bool = False
    is_since_told: bool = True
    unseen_since: datetime | None = None
    """Since when her feed has told no more of her, though her call is open."""


@dataclass(frozen=True, slots=True)
class Bar:
    """As it is drawn: ``x`` and ``width`` in per cent of the drawing, ``y`` in px."""

    lying: Lying
    x: float
    past: float
    """Width of the filled part, up to now."""
    width: float
    """Of all of it."""
    y: int
    label_x: float
    label_width: float
    sentence: str

    @property
    def plan_x(self) -> float:
        return round(self.x + self.past, 2)

    @property
    def plan(self) -> float:
        """Width of the hollow part."""
        return round(self.width - self.past, 2)


@dataclass(frozen=True, slots=True)
class Row:
    berth: Berth
    bars: tuple[Bar, ...]
    height: int
    more: int
    """Ships that found no lane."""
    heading: str = ""
    """Above it, where another kind of place begins."""


HEADINGS = {BerthKind.BERTH: "At berth", BerthKind.ANCHORAGE: "At anchor", BerthKind.PILOT_STATION: "Pilot station"}


@dataclass(frozen=True, slots=True)
class Board:
    rows: tuple[Row, ...]
    ticks: tuple[tuple[float, str], ...]
    page: int
    pages: int
    ships: int
    is_cut: bool = False

    @classmethod
    def of(cls, port: Port, clock: Clock, page: int = 1) -> "Board":
        stays = list(stays_around(port, clock.now)[: MOST_STAYS + 1]) if port.loaded_at else []
        drawn = draw([(stay.berth, lying(stay, clock.now)) for stay in stays[:MOST_STAYS]], clock, page)
        return replace(drawn, is_cut=len(stays) > MOST_STAYS)


def stays_around(port: Port, now: datetime) -> QuerySet[Stay]:
    """The stays of which something may be within reach of ``now``."""
    # Of an open call that its feed has not spoken of for so long nobody knows whether she lies there, or will.
    calls, told = port.calls.order_by().values("pk"), Q(last_seen_at=None) | Q(last_seen_at__gt=now - REACH)
    within = calls.filter(told, status=Status.IN_PORT).union(
        calls.filter(told, status=Status.EXPECTED, eta__lt=now + REACH),
        calls.filter(status=Status.DEPARTED, atd__gt=now - REACH),
        all=True,
    )
    return Stay.objects.filter(call__in=within).select_related("call__vessel", "berth").order_by("id")


def lying(stay: Stay, now: datetime) -> Lying | None:
    """When she lay, lies or will lie there; None where no moment is known."""
    call, vessel, is_first = stay.call, stay.call.vessel, stay.position == 0
    who, unseen = (vessel.pk, vessel.name, vessel.type), call.unseen_since
    if _is_planned(stay):
        since, until = stay.eta or (call.eta if is_first else None), stay.etd or call.etd
        return Lying(*who, since, until, has_come=False, unseen_since=unseen) if since else None
    told = stay.eta if stay.eta and stay.eta <= now else None
    since = stay.ata or (call.ata if is_first else None) or told or stay.seen_from
    left = _left(stay)
    if left and (left <= now or call.status == Status.DEPARTED):
        is_told = since <= left  # who was seen only after she left was there before
        begun = since if is_told else left - UNKNOWN_END
        return Lying(*who, begun, left, True, has_left=True, is_since_told=is_told)
    leaves = stay.etd or call.etd or call.leaves_at
    return Lying(*who, since, leaves, has_come=True, unseen_since=unseen)


def _is_planned(stay: Stay) -> bool:
    """Who has left was there, though nobody said when she came."""
    if stay.call.status == Status.IN_PORT:
        return bool(stay.eta and not (stay.ata or stay.atd or stay.seen_until))
    return stay.call.status == Status.EXPECTED


def _left(stay: Stay) -> datetime | None:
    """When she left the place: told, or seen elsewhere, or with her call; None while she lies there."""
    if stay.atd:
        return stay.atd
    departed = stay.call.atd if stay.call.status == Status.DEPARTED else None
    return min(filter(None, (stay.seen_until, departed)), default=None)


def draw(found: Iterable[tuple[Berth, Lying | None]], clock: Clock, page: int = 1) -> Board:
    """What is within reach of the clock's now, place by place."""
    start, end = clock.now - REACH, clock.now + REACH
    seen = [(berth, one) for berth, one in found if one and _end(one, clock) > start and one.since < end]
    seen.sort(key=lambda pair: (_order(pair[0]), pair[1].since, pair[1].name))
    places = [(key, list(pairs)) for key, pairs in groupby(seen, key=lambda pair: _order(pair[0]))]
    pages = max(1, -(-len(places) // BERTHS))
    page = min(page, pages)
    rows, kind = [], None
    for _, pairs in places[(page - 1) * BERTHS : page * BERTHS]:
        berth = pairs[0][0]
        heading = "" if berth.kind == kind else HEADINGS[BerthKind(berth.kind)]
        rows.append(_row(berth, [one for _, one in pairs], clock, heading))
        kind = berth.kind
    ships = len({one.vessel for _, one in seen})
    return Board(tuple(rows), tuple(_ticks(clock)), page, pages, ships)


def _order(berth: Berth) -> tuple[int, str, list[tuple[int, str]], str]:
    """Berths before anchorages; Berth 2 before Berth 10."""
    parts = [(int(part), "") if part.isdecimal() else (0, part) for part in re.split(r"(\d{1,9})", berth.name.lower())]
    kinds = list(BerthKind)
    return (kinds.index(BerthKind(berth.kind)), berth.area.casefold(), parts, berth.key)


def _row(berth: Berth, there: Sequence[Lying], clock: Clock, heading: str) -> Row:
    lanes: list[float] = []
    bars: list[Bar] = []
    more = 0
    for one in there:
        x, past, width = _span(one, clock)
        label_x = max(0.0, min(x, 100 - NAME))
        taken = max(x + width, label_x + NAME)
        lane = next((number for number, free in enumerate(lanes) if free <= min(x, label_x)), len(lanes))
        if lane == MOST_LANES:
            more += 1
            continue
        lanes[lane : lane + 1] = [taken]
        y = GAP + lane * (LANE + GAP)
        bars.append(Bar(one, x, past, width, y, label_x, taken - label_x, sentence(one, berth, clock)))
    return Row(berth, tuple(bars), GAP + len(lanes) * (LANE + GAP), more, heading)


def _end(one: Lying, clock: Clock) -> datetime:
    """Where her bar ends. Who should have left, and has not, lies there still."""
    if one.has_left and one.until:
        return one.until
    if one.has_come:
        return max(one.until or clock.now, clock.now)
    return max(one.until or one.since + UNKNOWN_END, one.since)


def _span(one: Lying, clock: Clock) -> tuple[float, float, float]:
    """Its beginning, the width of what has been, and the whole width, in per cent."""
    x, end = _place(one.since, clock), _place(_end(one, clock), clock)
    width = max(THINNEST, end - x)
    x = min(x, 100 - width)
    past = min(width, max(0.0, 50 - x)) if one.has_come else 0.0
    return round(x, 2), round(max(past, THINNEST) if one.has_come else 0.0, 2), round(width, 2)


def _place(at: datetime, clock: Clock) -> float:
    return min(100.0, max(0.0, (at - clock.now + REACH) / WHOLE * 100))


def sentence(one: Lying, berth: Berth, clock: Clock) -> str:
    """All of a bar in words."""
    where = f"{isolated(one.name)}, {one.type.replace('_', ' ')}, {isolated(berth.name)}"
    since, until = clock.words(one.since), clock.words(one.until) if one.until else ""
    if one.has_left:
        return f"{where}: from {since} to {until}" if one.is_since_told else f"{where}: until {until}"
    lost = f"; {voyages.not_in_feed(one.unseen_since, clock)}" if one.unseen_since else ""
    if not one.has_come:
        late = ", overdue" if one.since < clock.now and not lost else ""
        return f"{where}: expected {since}{late}{f', to leave {until}' if until else ''}{lost}"
    return f"{where}: since {since}{f', to leave {until}' if until else ''}{lost}"


def _ticks(clock: Clock) -> Iterator[tuple[float, str]]:
    """The midnights within reach, by their day."""
    day = (clock.now - REACH).astimezone(clock.zone).date()
    for number in range(6):
        here = datetime.combine(day + timedelta(days=number), datetime.min.time(), clock.zone)
        if clock.now - REACH <= here <= clock.now + REACH:
            yield round(_place(here, clock), 2), f"{here:%a %-d}"
