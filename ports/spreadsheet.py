"""Calls and changes as rows of a table: read one after another from one statement, which sees one state of things."""

from collections.abc import Iterable, Iterator
from datetime import datetime, tzinfo
from typing import Any

from django.db.models import QuerySet

from ports.models import Change, PortCall

AT_A_TIME = 500
CALL = {
    "call": "id",
    "port": "port__locode",
    "status": "status",
    "vessel": "vessel__name",
    "imo": "vessel__imo",
    "mmsi": "vessel__mmsi",
    "call sign": "vessel__call_sign",
    "flag": "vessel__flag",
    "type": "vessel__type",
    "type in the source's words": "vessel__source_type",
    "berth": "berth__name",
    "area": "berth__area",
    "eta": "eta",
    "arrived": "ata",
    "etd": "etd",
    "departed": "atd",
    "pilot ordered": "pilot_ordered_at",
    "leaves": "leaves_at",
    "agent": "agent",
    "previous port": "previous_port",
    "next port": "next_port",
    "first seen": "first_seen_at",
    "last seen": "last_seen_at",
}
CHANGE = {
    "change": "id",
    "seen": "seen_at",
    "port": "port__locode",
    "call": "call_id",
    "vessel": "call__vessel__name",
    "imo": "call__vessel__imo",
    "what": "field",
    "was": "was",
    "became": "became",
}


def of_calls(calls: QuerySet[PortCall], zone: tzinfo, source: str) -> Iterator[list[object]]:
    return _table(calls, CALL, zone, source)


def of_changes(changes: QuerySet[Change], zone: tzinfo, source: str) -> Iterator[list[object]]:
    return _table(changes, CHANGE, zone, source)


def _table(rows: QuerySet[Any], columns: dict[str, str], zone: tzinfo, source: str) -> Iterator[list[object]]:
    """Each row names its source, whichever way it goes from here."""
    yield [*columns, "source"]
    for row in rows.values_list(*columns.values()).iterator(chunk_size=AT_A_TIME):
        yield [*_told(row, zone), source]


def _told(row: Iterable[object], zone: tzinfo) -> Iterator[object]:
    for value in row:
        if isinstance(value, datetime):
            yield value.astimezone(zone).isoformat(timespec="minutes")
        else:
            yield "" if value is None else value
