"""A relay's Events as a drawing: pure, from what was written down to what is drawn and said.

A span is a time in which the relay was on, off or not known. What is too thin to be seen is merged with what stands
beside it, so that a relay that clicked a hundred thousand times is drawn as fast as one that clicked twice.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from django.utils import timezone

from relays import durations
from relays.templatetags import moments

THINNEST = 0.5
"""Per cent of the drawing: nothing is drawn narrower, and what stands closer is merged."""


class Shown(StrEnum):
    ON = "on"
    OFF = "off"
    UNKNOWN = "unknown"
    FAULT = "fault"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Happened:
    """What the drawing needs of an Event. An answer carries who asked, and by what means."""

    at: datetime
    kind: str
    outcome: str = ""
    who: str = ""
    via: str = ""
    why: str = ""

    @property
    def cause(self) -> str:
        return " ".join(part for part in (f"by {self.who}" if self.who else "", f"via {self.via}") if part)


@dataclass(frozen=True)
class Span:
    """``shown`` from ``start`` to ``end``; ``times`` of them where they were merged."""

    start: datetime
    end: datetime
    shown: Shown
    words: str = ""
    times: int = 1
    lasted: timedelta = timedelta(0)

    @property
    def duration(self) -> timedelta:
        return self.end - self.start


@dataclass(frozen=True)
class Bar:
    """A span as it is drawn, in per cent of the drawing's width."""

    x: float
    width: float
    shown: Shown
    sentence: str


@dataclass(frozen=True)
class Drawing:
    bars: tuple[Bar, ...]
    ticks: tuple[tuple[float, str], ...]
    summary: str
    """All of it in a line."""


ON, OFF = {"asked on", "pressed"}, {"asked off"}


def spans(happened: Iterable[Happened], start: datetime, end: datetime) -> Iterator[Span]:
    """What was so from ``start`` to ``end``; ``happened`` oldest first, and from before ``start`` what led to it."""
    state, words, since, wanted = Shown.UNKNOWN, "", start, Shown.UNKNOWN
    for one in happened:
        if one.kind in ON | OFF and one.outcome in ("accepted", "applied"):
            wanted = Shown.ON if one.kind in ON else Shown.OFF
        after, caused = _after(one, state, wanted), one.cause
        at = min(max(one.at, start), end)
        if after is not state:
            if at > since:
                yield Span(since, at, state, words)
            state, words, since = after, caused, at
        if one.kind == "fault" and one.at >= start:
            yield Span(at, at, Shown.FAULT, one.why)
    if end > since:
        yield Span(since, end, state, words)


def _after(one: Happened, state: Shown, wanted: Shown) -> Shown:
    """What is so after an Event."""
    if one.kind == "fault" or (one.kind == "stopped" and one.why == "an orderly stop"):
        return Shown.UNKNOWN
    if one.kind == "stopped":
        return Shown.OFF
    if one.kind in ("cured", "started"):
        return wanted
    if one.outcome == "applied" and one.kind in ON | OFF:
        return Shown.ON if one.kind in ON else Shown.OFF
    return state


def draw(found: Sequence[Span], start: datetime, end: datetime, ticks: Sequence[tuple[datetime, str]]) -> Drawing:
    """``found`` as bars: off is the line they stand on."""
    whole = (end - start).total_seconds()
    on = [span for span in found if span.shown is Shown.ON]
    on_for = sum((span.duration for span in on), timedelta(0))
    thin = timedelta(seconds=whole * THINNEST / 100)
    bars = [_bar(span, start, end) for shown in Shown if shown is not Shown.OFF for span in _merged(found, shown, thin)]
    unknown = sum((span.duration for span in found if span.shown is Shown.UNKNOWN), timedelta(0))
    faults = sum(span.shown is Shown.FAULT for span in found)
    said = [f"on for {durations.words(_round(on_for))}, {_times(len(on))}" if on else "never on"]
    said += [f"{_times(faults)} at fault"] if faults else []
    said += [f"not known for {durations.words(_round(unknown))}"] if unknown >= timedelta(seconds=1) else []
    placed = tuple((round((at - start).total_seconds() / whole * 100, 2), word) for at, word in ticks)
    return Drawing(tuple(bars), placed, "; ".join(said))


def _merged(found: Sequence[Span], shown: Shown, thin: timedelta) -> Iterator[Span]:
    """The spans of one kind, those that cannot be told apart by eye as one."""
    last: Span | None = None
    for span in (one for one in found if one.shown is shown):
        now = replace(span, lasted=span.duration)
        if last and now.start - last.end < thin and (now.duration < thin or last.duration < thin or last.times > 1):
            last = replace(last, end=now.end, times=last.times + 1, lasted=last.lasted + now.lasted)
            continue
        if last:
            yield last
        last = now
    if last:
        yield last


def _bar(span: Span, start: datetime, end: datetime) -> Bar:
    whole = (end - start).total_seconds()
    x = (span.start - start).total_seconds() / whole * 100
    width = max(THINNEST, span.duration.total_seconds() / whole * 100)
    return Bar(round(min(x, 100 - width), 2), round(width, 2), span.shown, _sentence(span, is_now=span.end == end))


def _sentence(span: Span, *, is_now: bool) -> str:
    begun = moments.words(span.start)
    if span.shown is Shown.FAULT:
        return f"{begun}: fault: {span.words}" if span.times == 1 else f"From {begun}: {_times(span.times)} at fault"
    time = f"since {begun}" if is_now else f"{begun} to {_end(span)}"
    lasted = durations.words(_round(span.lasted))
    if span.shown is Shown.LEFT_OUT:
        return f"{time}: not drawn, too much happened since"
    what = "on" if span.shown is Shown.ON else "not known"
    if span.times > 1:
        return f"{time}: {what} {_times(span.times)}, {lasted} in all"
    return f"{time}: {what} for {lasted}{f', {span.words}' if span.shown is Shown.ON else ''}"


def _end(span: Span) -> str:
    """When it ended; of the day it began on, the time alone."""
    begun, ended = timezone.localtime(span.start), timezone.localtime(span.end)
    return f"{ended:%H:%M}" if begun.date() == ended.date() else moments.words(span.end)


def _times(number: int) -> str:
    return {1: "once", 2: "twice"}.get(number, f"{number:,} times")


def _round(duration: timedelta) -> timedelta:
    """Milliseconds matter only below a second."""
    return duration if duration < timedelta(seconds=1) else timedelta(seconds=round(duration.total_seconds()))
