"""Expected arrivals as a calendar (RFC 5545), for programs that ask again and again and know an event by its UID."""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db.models import Count, Max, Q
from django.urls import reverse
from django.utils.crypto import salted_hmac
from icalendar import Calendar, Event

from ports import countries, voyages
from ports.models import Change, PortCall
from ports.sources.text import clean
from ports.voyages import exact

LONGEST = 1_000
ASK_AGAIN = timedelta(minutes=15)


class Edits(NamedTuple):
    """How often the time of a call moved, and when any of it did last."""

    sequence: int
    at: datetime


def calendar(calls: Iterable[PortCall], name: str, site: str) -> bytes:
    """The ``calls`` at hand, each of which has an ETA or a time she leaves; ``site`` is where this one is reached."""
    told, name = list(calls), clean(name)
    edits = _edits(told)
    made = Calendar()
    for key, value in (("prodid", "-//iotsite//ports//EN"), ("version", "2.0"), ("name", name), ("x-wr-calname", name)):
        made.add(key, value)
    made.add("refresh-interval", ASK_AGAIN, parameters={"value": "DURATION"})
    for call in told:
        made.add_component(_event(call, edits.get(call.pk, Edits(0, call.first_seen_at)), site))
    return bytes(made.to_ical())


def _event(call: PortCall, edits: Edits, site: str) -> Event:
    """Without an ETA it tells of what is known, when her next move begins, under a UID of its own."""
    ship, port = clean(call.vessel.name), clean(call.port.name)
    at, kind = (call.eta, "eta") if call.eta else (call.leaves_at, "leaves")
    uid = salted_hmac("ports.arrivals", f"{call.pk} {kind}", algorithm="sha256").hexdigest()[:40]
    event = Event()
    event.add("uid", f"{uid}@iotsite")
    event.add("summary", f"{ship} due at {port}" if call.eta else f"{ship} leaves for {port}")
    event.add("dtstart", at)
    event.add("dtstamp", edits.at)
    event.add("last-modified", edits.at)
    event.add("sequence", edits.sequence)
    event.add("location", ", ".join(part for part in (clean(call.berth.name) if call.berth else "", port) if part))
    event.add("description", _description(call))
    event.add("url", site + reverse("ports:vessel", args=[call.vessel_id]))
    event.add("transp", "TRANSPARENT")  # nobody is busy because a ship comes
    return event


def _description(call: PortCall) -> str:
    vessel, say = call.vessel, exact(call.port.tzinfo)
    lines = [
        ", ".join(part for part in (vessel.get_type_display(), countries.name(vessel.flag)) if part),
        f"IMO {vessel.imo}" if vessel.imo else "",
        *(f"{word}: {say(at)}" for word, at in voyages.known(call)),
        "" if call.eta else "Her source gives no ETA.",
        f"from: {call.previous_port}" if call.previous_port else "",
        f"agent: {call.agent}" if call.agent else "",
        f"Recorded, an example as of {say(call.port.now)}" if call.port.is_example else "",
        call.port.feed.publisher.attribution,
    ]
    return "\n".join(clean(line, 300) for line in lines if line)


def _edits(calls: Sequence[PortCall]) -> dict[int, Edits]:
    moved = Count("id", filter=Q(field__in=[Change.Field.ETA, Change.Field.LEAVES]))
    rows: Any = Change.objects.filter(call__in=[call.pk for call in calls]).order_by().values_list("call")
    return {call: Edits(times, at) for call, times, at in rows.annotate(moved=moved, last=Max("seen_at"))}
