"""What the API gives of ports, in the words of OpenAPI, and how rows become that."""

from datetime import datetime
from typing import Any, Literal

from iotsite.api import Told
from ports.counts import Counts
from ports.models import Berth, Change, PortCall, Stay, Vessel

Statuses = Literal["expected", "in_port", "departed", "cancelled", "gone"]
Types = Literal["bulk", "container", "tanker", "car_carrier", "cruise", "general", "fishing", "tug", "other"]
BerthKinds = Literal["berth", "anchorage", "pilot_station"]


class PlaceOut(Told):
    latitude: float
    longitude: float


class CountsOut(Told):
    at_berth: int
    at_anchor: int
    expected: int
    due_24h: int
    """Of those the ones that are due within 24 hours, or overdue."""
    departed_24h: int
    """Those that left within the last 24 hours."""


class SourceOut(Told):
    name: str
    publisher: str
    attribution: str
    """As the publisher asks for it: show it with what you show."""
    licence: str
    page: str
    """Where people find the same data at the publisher's."""
    warning: str | None
    """What to know before it is trusted."""


class PortOut(Told):
    locode: str
    """UN/LOCODE."""
    name: str
    country: str
    """ISO 3166-1, two letters."""
    zone: str
    """Its time zone, by its IANA name. All moments are told in UTC."""
    place: PlaceOut | None
    is_on: bool
    """Nobody is asked about a port that is off, and it has no calls here."""
    is_example: bool
    """Recorded once, and shown as of `now`."""
    now: datetime | None
    """Of an example, the moment of the recording; of other ports null: it is now."""
    counts: CountsOut | None
    """Null while it is off or not loaded yet."""
    refreshed_at: datetime | None
    """As of when its list is; null: there is none yet."""
    source: SourceOut


class PortsOut(Told):
    items: list[PortOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none."""


class VesselOut(Told):
    id: int
    name: str
    imo: str | None
    mmsi: str | None
    call_sign: str | None
    type: Types
    flag: str | None
    """ISO 3166-1, two letters."""


class BerthOut(Told):
    name: str
    area: str | None
    kind: BerthKinds


class StayOut(Told):
    berth: BerthOut
    eta: datetime | None
    etd: datetime | None
    ata: datetime | None
    atd: datetime | None
    seen_from: datetime
    """When the feed told of it first."""
    seen_until: datetime | None
    """When she was seen elsewhere, or the call ended; null while this is her last known place."""


class CallOut(Told):
    id: int
    port: str
    """UN/LOCODE."""
    vessel: VesselOut
    status: Statuses
    """`gone`: no longer in the feed, which does not say why."""
    berth: BerthOut | None
    """Where she lies, lay last or will lie first."""
    stays: list[StayOut]
    """In the order of time."""
    eta: datetime | None
    etd: datetime | None
    ata: datetime | None
    atd: datetime | None
    pilot_ordered_at: datetime | None
    leaves_at: datetime | None
    """When her next move begins. It is no ETA."""
    agent: str | None
    previous_port: str | None
    next_port: str | None
    first_seen: datetime
    """When the feed told of the call first."""
    last_seen: datetime | None
    """When it stood in the feed last."""
    is_listed: bool
    """It stood in the feed's last good answer."""
    is_doubtful: bool
    """Its moments are not in order: the source contradicts itself."""


class CallsOut(Told):
    items: list[CallOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none. A page may be short, or empty, before the last."""


class NameOut(Told):
    name: str
    first_seen: datetime


class WholeVesselOut(VesselOut):
    source_type: str | None
    """Her type in the source's own words."""
    first_seen: datetime
    names: list[NameOut]
    """Where she had several: all of them, the oldest first."""
    calls: list[CallOut]
    """The newest 50, at the ports that are on."""


class ChangeOut(Told):
    id: int
    seen_at: datetime
    """When a refresh saw it."""
    port: str
    """UN/LOCODE."""
    call: int
    vessel: VesselOut
    field: str
    """What moved: status, eta, etd, ata, atd, leaves_at, pilot_ordered_at, berth, agent, …"""
    was: str | None
    """As text, a moment in ISO 8601. Of a status, null means that the call is new."""
    became: str | None


class ChangesOut(Told):
    items: list[ChangeOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none. A page may be short, or empty, before the last."""


def port_item(port: Any, counts: Counts | None) -> dict[str, Any]:
    """A port that came ``at_hand``, as programs see it: what PortOut describes."""
    has_place = port.latitude is not None and port.longitude is not None
    source = port.feed.publisher
    return {
        "locode": port.locode,
        "name": port.name,
        "country": port.country,
        "zone": port.zone,
        "place": {"latitude": port.latitude, "longitude": port.longitude} if has_place else None,
        "is_on": port.is_on,
        "is_example": port.is_example,
        "now": port.example_at,
        "counts": _counts(counts) if counts else None,
        "refreshed_at": port.good_as_of if port.is_on else None,
        "source": {
            "name": source.title,
            "publisher": source.publisher,
            "attribution": source.attribution,
            "licence": source.licence,
            "page": source.page,
            "warning": source.warning or None,
        },
    }


def _counts(counts: Counts) -> dict[str, int]:
    there = {"at_berth": counts.at_berth, "at_anchor": counts.at_anchor}
    return there | {"expected": counts.expected, "due_24h": counts.due, "departed_24h": counts.left}


def vessel_item(vessel: Vessel) -> dict[str, Any]:
    """A vessel as programs see it in a list: what VesselOut describes."""
    return {
        "id": vessel.pk,
        "name": vessel.name,
        "imo": vessel.imo or None,
        "mmsi": vessel.mmsi or None,
        "call_sign": vessel.call_sign or None,
        "type": vessel.type,
        "flag": vessel.flag or None,
    }


def call_item(call: PortCall, refreshed_at: datetime | None) -> dict[str, Any]:
    """A call as programs see it: what CallOut describes. ``refreshed_at`` is as of when its port's list is."""
    return {
        "id": call.pk,
        "port": call.port.locode,
        "vessel": vessel_item(call.vessel),
        "status": call.status,
        "berth": _berth(call.berth) if call.berth else None,
        "stays": [_stay(stay) for stay in call.stays.all()],
        "eta": call.eta,
        "etd": call.etd,
        "ata": call.ata,
        "atd": call.atd,
        "pilot_ordered_at": call.pilot_ordered_at,
        "leaves_at": call.leaves_at,
        "agent": call.agent or None,
        "previous_port": call.previous_port or None,
        "next_port": call.next_port or None,
        "first_seen": call.first_seen_at,
        "last_seen": call.last_seen_at or refreshed_at,
        "is_listed": call.last_seen_at is None,
        "is_doubtful": call.is_doubtful,
    }


def whole_vessel_item(vessel: Vessel, calls: list[dict[str, Any]]) -> dict[str, Any]:
    """A vessel with what is known of her: what WholeVesselOut describes."""
    return vessel_item(vessel) | {
        "source_type": vessel.source_type or None,
        "first_seen": vessel.first_seen_at,
        "names": [{"name": told.name, "first_seen": told.first_seen_at} for told in vessel.names.all()],
        "calls": calls,
    }


def change_item(change: Change) -> dict[str, Any]:
    """A Change as programs see it: what ChangeOut describes."""
    return {
        "id": change.pk,
        "seen_at": change.seen_at,
        "port": change.port.locode,
        "call": change.call_id,
        "vessel": vessel_item(change.call.vessel),
        "field": change.field,
        "was": change.was or None,
        "became": change.became or None,
    }


def _stay(stay: Stay) -> dict[str, Any]:
    moments = {name: getattr(stay, name) for name in ("eta", "etd", "ata", "atd", "seen_from", "seen_until")}
    return {"berth": _berth(stay.berth)} | moments


def _berth(berth: Berth) -> dict[str, Any]:
    return {"name": berth.name, "area": berth.area or None, "kind": berth.kind}
