"""A vessel's calls and stays as a drawing: pure, from what is known to what is drawn and said.

A lane for each port, time across. What she had is a full bar, what is only expected a hollow one.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum

from ports.models import PortCall, Stay
from ports.snapshot import Status
from ports.sources.text import isolated
from ports.times import length
from ports.voyages import Voyage

THINNEST = 1.0
"""Per cent of the drawing: nothing is drawn narrower."""
MOST_TICKS = 5
STEPS = tuple(timedelta(days=days) for days in (1, 2, 7, 14, 28, 91, 182, 365, 730, 1826, 3652, 7305, 18262))
UNKNOWN_LENGTH = timedelta(hours=12)
"""Drawn for a call of which nobody says when she leaves."""
LANE = 56


class Shown(StrEnum):
    HAD = "past"
    PLANNED = "plan"
    DOUBTFUL = "doubtful"


@dataclass(frozen=True)
class Span:
    call: PortCall
    start: datetime
    end: datetime
    shown: Shown
    sentence: str


@dataclass(frozen=True)
class Bar:
    """In per cent of the width, and pixels of the height."""

    call: int
    x: float
    width: float
    y: int
    shown: Shown
    sentence: str


@dataclass(frozen=True)
class Drawing:
    lanes: tuple[tuple[str, int], ...]
    """The name of each port, and where it stands."""
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    now: float | None
    height: int
    summary: str


def draw(voyages: Sequence[Voyage]) -> Drawing | None:
    """None where no moment is known that could be drawn."""
    spans = [span for voyage in voyages for span in _spans(voyage)]
    if not spans:
        return None
    now = max(voyage.clock.now for voyage in voyages)
    start = min(span.start for span in spans)
    end = max(*(span.end for span in spans), start + timedelta(days=1))
    if now - end < (end - start):
        end = max(end, now)  # unless that would leave most of the drawing empty
    whole = end - start
    names = {voyage.call.port_id: voyage.call.port.name for voyage in voyages}
    tops = {port: number * LANE for number, port in enumerate(names)}
    bars = [_bar(span, start, whole, tops[span.call.port_id]) for span in spans]
    return Drawing(
        lanes=tuple((name, tops[port]) for port, name in names.items()),
        bars=tuple(bars),
        ticks=tuple((_share(at - start, whole), word) for at, word in _ticks(start, end)),
        now=_share(now - start, whole) if start <= now <= end else None,
        height=len(names) * LANE,
        summary=_summary(voyages, start, end),
    )


def _spans(voyage: Voyage) -> Iterator[Span]:
    if not voyage.stays:
        yield from _span(voyage, voyage.call, voyage.call.berth.name if voyage.call.berth else "", None, None)
        return
    for stay in voyage.stays:
        yield from _span(voyage, stay, stay.berth.name, stay.seen_from, stay.seen_until)


def _span(
    voyage: Voyage, told: PortCall | Stay, berth: str, seen_from: datetime | None, seen_until: datetime | None
) -> Iterator[Span]:
    """From when to when she was or will be there, by the best that is known of it."""
    call, clock = voyage.call, voyage.clock
    was_here = told.ata is not None or told.atd is not None or call.status in (Status.IN_PORT, Status.DEPARTED)
    is_here = call.status == Status.IN_PORT and told.atd is None and seen_until is None
    if was_here:
        start = told.ata or (told.eta if told.eta and told.eta <= clock.now else None) or seen_from or told.atd
        end = told.atd or (call.unseen_since or clock.now if is_here else seen_until or call.last_seen_at or told.etd)
    else:
        start = told.eta or told.etd or call.eta or call.leaves_at or call.pilot_ordered_at
        end = told.etd
    if start is None:
        return
    is_doubtful = call.is_doubtful or bool(end and end < start)
    end = end if end and end > start else start + (timedelta(0) if was_here else UNKNOWN_LENGTH)
    shown = Shown.DOUBTFUL if is_doubtful else Shown.HAD if was_here else Shown.PLANNED
    yield Span(call, start, end, shown, _sentence(voyage, berth, start, end, shown, is_here))


def _sentence(voyage: Voyage, berth: str, start: datetime, end: datetime, shown: Shown, is_here: bool) -> str:
    clock, call = voyage.clock, voyage.call
    where = f"{call.port.name}{f', {isolated(berth)}' if berth else ''}"
    if shown is Shown.DOUBTFUL:
        return f"{where}: {clock.words(start)}; its source contradicts itself"
    lost = f"; {voyage.unseen}" if voyage.unseen else ""
    if shown is Shown.PLANNED:
        over = {Status.CANCELLED: ", cancelled", Status.GONE: ", gone from the feed"}
        return f"{where}: expected {clock.words(start)}{over.get(Status(call.status), '')}{lost}"
    if is_here:
        return f"{where}: since {clock.words(start)}, {length(end - start)}{lost}"
    return f"{where}: {clock.words(start)} to {clock.words(end)}, {length(end - start)}"


def _bar(span: Span, start: datetime, whole: timedelta, top: int) -> Bar:
    width = max(THINNEST, _share(span.end - span.start, whole))
    x = min(_share(span.start - start, whole), 100 - width)
    return Bar(span.call.pk, round(x, 2), round(width, 2), top + 22, span.shown, span.sentence)


def _share(part: timedelta, whole: timedelta) -> float:
    return round(part / whole * 100, 2)


def _ticks(start: datetime, end: datetime) -> Iterator[tuple[datetime, str]]:
    step = next((one for one in STEPS if (end - start) / one <= MOST_TICKS), end - start)
    at = start.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    while (at := at + step) < end:
        yield at, f"{at:%-d %b}" if step < timedelta(days=91) else f"{at:%b %Y}"


def _summary(voyages: Sequence[Voyage], start: datetime, end: datetime) -> str:
    number, ports = len(voyages), len({voyage.call.port_id for voyage in voyages})
    calls = f"{number} call{'s' if number != 1 else ''} at {ports} port{'s' if ports != 1 else ''}"
    return f"{calls}, {start:%-d %b %Y} to {end:%-d %b %Y}"
