"""A vessel's calls as her page and the Followed list tell them: each with the moments that are known of it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, tzinfo

from django.utils.safestring import SafeString

from ports.models import PortCall, Stay
from ports.snapshot import Status
from ports.times import Clock, length


@dataclass(frozen=True)
class Voyage:
    """One call, its times in the zone of its port."""

    call: PortCall
    clock: Clock
    stays: tuple[Stay, ...] = ()

    @property
    def moments(self) -> list[tuple[str, SafeString]]:
        return [(word, self.clock.told(at)) for word, at in known(self.call)]

    @property
    def overdue(self) -> str:
        """For how long; empty where she is not."""
        call, now = self.call, self.clock.now
        is_late = call.status == Status.EXPECTED and call.eta is not None and call.eta < now
        return length(now - call.eta) if is_late and call.eta and not call.unseen_since else ""

    @property
    def status(self) -> str:
        words = self.call.get_status_display()
        return f"last known: {words}" if self.call.unseen_since else words

    @property
    def unseen(self) -> str:
        return not_in_feed(self.call.unseen_since, self.clock)

    @property
    def berths(self) -> list[str]:
        """In their order; where she never had a stay, the one berth that is told of."""
        told = [stay.berth.name for stay in self.stays]
        return told or ([self.call.berth.name] if self.call.berth else [])

    @property
    def route(self) -> list[tuple[str, str]]:
        told = (("from", self.call.previous_port), ("to", self.call.next_port), ("agent", self.call.agent))
        return [(word, value) for word, value in told if value]


def known(call: PortCall) -> list[tuple[str, datetime]]:
    """What is known of the times of ``call``, in words: what happened takes the place of what was expected."""
    is_over = call.status in (Status.DEPARTED, Status.CANCELLED, Status.GONE)
    told = [
        ("arrived", call.ata) if call.ata else ("ETA", call.eta),
        ("departed", call.atd) if call.atd else ("ETD", call.etd),
        ("pilot ordered", None if is_over else call.pilot_ordered_at),
        ("leaves", None if is_over else call.leaves_at),
        ("seen last", call.last_seen_at if call.status == Status.GONE else None),
    ]
    return [(word, at) for word, at in told if at]


def not_in_feed(since: datetime | None, clock: Clock) -> str:
    """“not in the feed since 23 Nov”, of a call that is ``unseen_since`` then; empty for None."""
    return f"not in the feed since {clock.day(since)}" if since else ""


def of(calls: Iterable[PortCall], stays: Callable[[PortCall], Iterable[Stay]] = lambda call: ()) -> list[Voyage]:
    """``calls`` with their ports at hand; ``stays`` gives those of one."""
    clocks: dict[int, Clock] = {}
    made = []
    for call in calls:
        clock = clocks.setdefault(call.port_id, Clock.of(call.port))
        made.append(Voyage(call, clock, tuple(stays(call))))
    return made


def exact(zone: tzinfo) -> Callable[[datetime], str]:
    """Says moments so that they stay true for ever: 26 Nov 2026, 14:30 HKT."""

    def say(at: datetime) -> str:
        here = at.astimezone(zone)
        return f"{here:%-d %b %Y, %H:%M} {here.tzname()}"

    return say
