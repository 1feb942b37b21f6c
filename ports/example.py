"""An example port for a try-out: Hong Kong under a code of its own, as recorded on two days. Never fetched."""

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.db.models import Exists, OuterRef

from iotsite.database import writing
from ports.models import (
    Berth,
    BerthName,
    Change,
    Feed,
    Follow,
    Identifier,
    Port,
    PortCall,
    Refresh,
    Stay,
    Vessel,
    VesselName,
)
from ports.refresh import FeedBusyError, RefreshError, alone, replay
from ports.sources.mardep import PORT as HONG_KONG

LOCODE = "XXHKG"
RECORDINGS = Path(__file__).with_name("example")
_ZONE = ZoneInfo(HONG_KONG.zone)
TAKEN_AT = {
    "hk-mardep-2025-08-18": datetime(2025, 8, 18, 20, 30, tzinfo=_ZONE),
    "hk-mardep-2025-08-22": datetime(2025, 8, 22, 21, 25, tzinfo=_ZONE),
}
"""The folders of RECORDINGS, in the order of time."""
SLICE = 500
"""So many calls go in one transaction: a switch of a relay never waits for long."""


def load() -> Port:
    """The example, whole; RefreshError where its recordings cannot be read. One that was cut short is made anew."""
    if port := Port.objects.filter(locode=LOCODE).select_related("feed").first():
        if port.feed.refreshes.good().count() >= len(TAKEN_AT):
            return port
        remove(port)
    port = _make()
    for folder, at in TAKEN_AT.items():
        files = {path.name: path.read_bytes() for path in (RECORDINGS / folder).iterdir()}
        try:
            result = replay(port.feed, files, at)
        except Feed.DoesNotExist:
            raise RefreshError("It was removed while it was loaded.") from None
        if not result.is_whole:
            remove(port)
            raise RefreshError(f"{RECORDINGS / folder}: {result.error}")
    port.refresh_from_db()
    return port


def _make() -> Port:
    with writing():
        feed = Feed(source="mardep", name="example", is_example=True)
        feed.interval = feed.publisher.interval
        feed.save()
        return Port.objects.create(
            locode=LOCODE,
            name=f"{HONG_KONG.name} (example)",
            country=HONG_KONG.country,
            zone=HONG_KONG.zone,
            latitude=HONG_KONG.latitude,
            longitude=HONG_KONG.longitude,
            feed=feed,
            is_example=True,
            example_at=max(TAKEN_AT.values()),
        )


def remove(port: Port) -> None:
    """Remove an example with all it told: its calls, and the vessels that nothing else here is about.

    A vessel stays that another port told of, that somebody follows, or that somebody put right by hand. FeedBusyError
    while another process loads it.
    """
    if not port.is_example:
        raise ValueError(f"{port.locode} is no example.")
    try:
        with alone(port.feed):
            _remove(port)
    except FeedBusyError:
        raise FeedBusyError("The example is being loaded: try again in a moment.") from None


def _remove(port: Port) -> None:
    Port.objects.filter(pk=port.pk).update(loaded_at=None)  # while it goes, no list shows half of it
    while calls := dict(port.calls.values_list("pk", "vessel")[:SLICE]):
        with writing():
            _drop(Change.objects.filter(call__in=calls))
            _drop(Stay.objects.filter(call__in=calls))
            _drop(PortCall.objects.filter(pk__in=calls))
            _drop_vessels(set(calls.values()))
    with writing():
        _drop(BerthName.objects.filter(berth__port=port))
        _drop(Berth.objects.filter(port=port))
        _drop(Port.objects.filter(pk=port.pk))
        _drop(Refresh.objects.filter(feed=port.feed))
        _drop(Feed.objects.filter(pk=port.feed.pk))


def _drop_vessels(vessels: set[int]) -> None:
    is_known = Exists(PortCall.objects.filter(vessel=OuterRef("pk"))) | Exists(
        Follow.objects.filter(vessel=OuterRef("pk"))
    )
    unknown = Vessel.objects.filter(~is_known, pk__in=vessels, corrected=[])
    gone = list(unknown.values_list("pk", flat=True))
    _drop(VesselName.objects.filter(vessel__in=gone))
    _drop(Identifier.objects.filter(vessel__in=gone))
    _drop(Vessel.objects.filter(pk__in=gone))


def _drop(rows: Any) -> None:
    """Delete without asking for what hangs on each: that is gone already, and the database refuses where it is not."""
    rows._raw_delete(rows.db)
