"""The stays of calls: which of them a report tells of, which has begun, and which says where a ship is."""

from collections.abc import Sequence

from iotsite.bulk import chunks
from ports.models import Berth, PortCall, Stay
from ports.snapshot import Status

MOMENTS = ("eta", "etd", "ata", "atd")
CAME = (Status.IN_PORT, Status.DEPARTED)


def stays_of(calls: Sequence[PortCall]) -> dict[int, list[Stay]]:
    found: dict[int, list[Stay]] = {}
    for chunk in chunks(call.pk for call in calls):
        for stay in Stay.objects.filter(call__in=chunk).select_related("berth").order_by("position"):
            found.setdefault(stay.call_id, []).append(stay)
    return found


def facts(stay: Stay) -> tuple[object, ...]:
    """What of a stay may change."""
    return stay.berth.key, stay.seen_until, *(getattr(stay, name) for name in MOMENTS)


def overlap(stored: Sequence[Stay], berths: Sequence[Berth]) -> int:
    """How many of the last stored stays are the first of those told."""
    keys, had = [berth.key for berth in berths], [stay.berth.key for stay in stored]
    return next(size for size in range(min(len(keys), len(had)), -1, -1) if had[len(had) - size :] == keys[:size])


def where(call: PortCall, stays: Sequence[Stay]) -> Stay:
    """The stay that tells where she is, was last or will be first; one with an ETA alone is only planned."""
    if call.status not in CAME:
        return stays[0]
    had = [stay for stay in stays if has_begun(stay)]
    return had[-1] if had else stays[-1]


def has_begun(stay: Stay) -> bool:
    """Of a ship that came: whether she was there already."""
    return bool(stay.ata or stay.atd or not stay.eta)
