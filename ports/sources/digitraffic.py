"""Finland: port calls that ships' agents report to Portnet, published by Fintraffic as Digitraffic.

Three shapes of one thing are read: port calls of today (v1), those recorded in 2019, and visits (v2), which are to take
their place in 2026 and have no berths.
"""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, time, timedelta
from typing import Any

from iotsite import __version__
from ports import identity
from ports.snapshot import BerthKind, CallReport, Ship, Snapshot, Status, StayReport, VesselType
from ports.sources import Address, KnownPort, Source, SourceError, countries
from ports.sources.text import clean

_ZONE = "Europe/Helsinki"
_URL = "https://meri.digitraffic.fi/api/port-call/v1/port-calls"
_HEADERS = {"Digitraffic-User": f"iotsite/{__version__}", "Accept-Encoding": "gzip"}
"""Without the first it answers 60 requests a minute only, without the second none at all (406)."""

_PLACES = {
    "FIHEL": ("Helsinki", 60.1667, 24.9667),
    "FIHKO": ("Hanko", 59.8167, 22.9667),
    "FIHMN": ("Hamina", 60.5667, 27.1833),
    "FIKEM": ("Kemi", 65.7333, 24.5667),
    "FIKOK": ("Kokkola", 63.8333, 23.1333),
    "FIKTK": ("Kotka", 60.4667, 26.95),
    "FINLI": ("Naantali", 60.4667, 22.0333),
    "FIOUL": ("Oulu", 65.0167, 25.4667),
    "FIPOR": ("Pori", 61.4833, 21.7833),
    "FIPRS": ("Pietarsaari", 63.6667, 22.7),
    "FIRAA": ("Raahe", 64.6833, 24.4833),
    "FIRAU": ("Rauma", 61.1333, 21.5),
    "FISKV": ("Sköldvik", 60.3, 25.55),
    "FITKU": ("Turku", 60.45, 22.2833),
    "FITOR": ("Tornio", 65.85, 24.15),
    "FIUKI": ("Uusikaupunki", 60.8, 21.4167),
    "FIVAA": ("Vaasa", 63.1, 21.6167),
}
PORTS = {
    locode: KnownPort(locode, name, "FI", _ZONE, latitude, longitude)
    for locode, (name, latitude, longitude) in _PLACES.items()
}

# More than 1000 calls are refused (400). Helsinki has some 25 a day, ferries among them, so that 31 days are about
# 800; no other port has half as many, and there 70 days take in ships that lie long.
_BACK = {"FIHEL": timedelta(days=21)}
_BACK_ELSEWHERE = timedelta(days=60)
_AHEAD = timedelta(days=10)

LARGEST = 8 * 1024 * 1024
"""Over twice what a thousand calls take."""

_TYPES: dict[str, tuple[VesselType, str]] = {
    "10": (VesselType.CRUISE, "passenger vessel"),
    "20": (VesselType.OTHER, "passenger car ferry"),
    "30": (VesselType.OTHER, "rail ferry"),
    "40": (VesselType.GENERAL, "roro"),
    "44": (VesselType.CAR_CARRIER, "car carrier"),
    "50": (VesselType.CONTAINER, "container ship"),
    "60": (VesselType.BULK, "dry-bulk vessel"),
    "70": (VesselType.GENERAL, "dry cargo vessel"),
    "80": (VesselType.TANKER, "tanker"),
    "81": (VesselType.TANKER, "oil tanker"),
    "82": (VesselType.TANKER, "gas tanker"),
    "83": (VesselType.TANKER, "chemical tanker"),
    "90": (VesselType.OTHER, "other vessel"),
    "91": (VesselType.TUG, "tug"),
    "93": (VesselType.OTHER, "barge"),
    "94": (VesselType.TUG, "pusher"),
    "95": (VesselType.OTHER, "pusher barge"),
    "96": (VesselType.OTHER, "tanker barge"),
    "97": (VesselType.OTHER, "other non propulsory vessel"),
    "99": (VesselType.OTHER, "other vessel not specified"),
}
_STATUSES = {
    "expected to arrive": Status.EXPECTED,
    "arrived": Status.IN_PORT,
    "departed": Status.DEPARTED,
    "cancelled": Status.CANCELLED,
}
_UNKNOWN = {"ei tiedossa", "unknow", "unknown", "muu", "zzukn"}
"""“Not known” and “other” in Finnish, the system's own misspelling, and the code of a port that is not known."""
_CALL = (
    *("portCallId", "portToVisit", "prevPort", "nextPort", "agentInfo", "portAreaDetails"),
    *("vesselName", "radioCallSign", "imoLloyds", "mmsi", "nationality", "vesselTypeCode"),
)
_AREA = ("portAreaCode", "portAreaName", "berthCode", "berthName", "eta", "etd", "ata", "atd")
_VISIT = ("visitId", "vesselId", "portOfCall", "eta", "status")
_MOMENTS = ("eta", "etd", "ata", "atd")

Record = Mapping[str, Any]


class Digitraffic(Source):
    name = "digitraffic"
    title = "Digitraffic, Finland"
    publisher = "Fintraffic"
    attribution = "Source: Fintraffic / digitraffic.fi, license CC 4.0 BY"
    licence = "CC BY 4.0"
    licence_url = "https://creativecommons.org/licenses/by/4.0/"
    page = "https://www.digitraffic.fi/en/marine-traffic/"
    zone = _ZONE
    interval = timedelta(minutes=15)
    feeds = {locode: (port,) for locode, port in PORTS.items()}

    def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
        since, until = _window(feed, at)
        params = {"locode": feed, "etaFrom": _as_text(since), "etaTo": _as_text(until)}
        return [Address(f"{feed}.json", _URL, params, _HEADERS)]

    def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
        file, content = _one(files)
        port = file.upper().removesuffix(".JSON")
        answer = _read(content, file)
        unknown: dict[str, int] = {}
        if isinstance(answer, list):
            rows = _here(_records(answer, file, _VISIT), "portOfCall", port, file, unknown)
            _check_moments(rows, file)
            for row in rows:
                _count_status(row, unknown)
            return Snapshot(at=at, calls=_told(rows, "visitId", _visit, unknown), unknown=unknown)
        told = answer.get("portCalls") if isinstance(answer, dict) else None
        if not isinstance(told, list):
            raise SourceError(f"{file} has changed: it has no list “portCalls”{_instead(answer)}.")
        rows = _here(_records(told, file, _CALL), "portToVisit", port, file, unknown)
        _check_areas(rows, file)
        since, until = _window(port, at)
        return Snapshot(
            at=at,
            calls=_told(rows, "portCallId", _port_call, unknown),
            complete=frozenset({Status.EXPECTED, Status.IN_PORT}),
            eta_from=since,
            eta_to=until,
            has_whole_stays=True,
            unknown=unknown,
        )


SOURCES: list[Source] = [Digitraffic()]


def _window(port: str, at: datetime) -> tuple[datetime, datetime]:
    """Between which ETAs calls are asked for: whole days, so that the address is the same all day."""
    today = datetime.combine(at.astimezone(UTC), time.min, UTC)
    return today - _BACK.get(port, _BACK_ELSEWHERE), today + timedelta(days=1) + _AHEAD


def _as_text(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%SZ}"


# --- reading ------------------------------------------------------------------------------------------------


def _one(files: dict[str, bytes]) -> tuple[str, bytes]:
    """The one file, which is named after its port."""
    ours = [name for name in files if name.upper().endswith(".JSON") and name[:-5].upper() in PORTS]
    if len(ours) != 1:
        raise SourceError("One file named after its port is needed, such as FIHEL.json.")
    return ours[0], files[ours[0]]


def _read(content: bytes, file: str) -> Any:
    if len(content) > LARGEST:
        raise SourceError(f"{file} is too large: {len(content):,} bytes, and at most {LARGEST:,} are read.")
    start = content.lstrip()[:1]
    if not start:
        raise SourceError(f"{file} is empty.")
    if start == b"<":
        raise SourceError(f"{file} is a web page, not the list.")
    try:
        return json.loads(content)
    except RecursionError:
        raise SourceError(f"{file} is nested too deeply.") from None
    except ValueError as error:
        raise SourceError(f"{file} is not JSON: {error}.") from None


def _records(told: list[Any], file: str, fields: tuple[str, ...]) -> list[Record]:
    """Never an empty list: with these windows, no port is without a call."""
    if not told:
        raise SourceError(f"{file} tells of no call at all, which is never so.")
    records: list[Record] = [record for record in told if isinstance(record, dict)]
    if len(records) < len(told):
        raise SourceError(f"{file} has changed: what stands in its list is no record of a call.")
    _check_fields(records, file, fields)
    return records


def _check_fields(records: Iterable[Record], file: str, fields: tuple[str, ...]) -> None:
    """A field that no record has was renamed."""
    seen = set().union(*records)
    lost = [field for field in fields if field not in seen]
    if lost:
        raise SourceError(f"{file} has changed: no call has “{lost[0]}”.")


def _check_areas(calls: list[Record], file: str) -> None:
    areas = [area for call in calls for area in _list(call, "portAreaDetails")]
    if not areas:
        raise SourceError(f"{file} has changed: no call has a record under “portAreaDetails”.")
    _check_fields(areas, file, _AREA)
    _check_moments(areas, file)


def _check_moments(records: list[Record], file: str) -> None:
    """One that cannot be read is not known; when most cannot, they are written in another way than before."""
    for field in _MOMENTS:
        told = [record[field] for record in records if record.get(field)]
        unread = [moment for moment in told if not _moment(moment)]
        if len(unread) * 2 > len(told):
            raise SourceError(f"{file} writes “{field}” in a way that cannot be read: “{clean(str(unread[0]), 40)}”.")


def _here(records: list[Record], field: str, port: str, file: str, unknown: dict[str, int]) -> list[Record]:
    """The calls at ``port``; others count as unknown."""
    ours = []
    for record in records:
        where = clean(record.get(field), 5)
        if where == port:
            ours.append(record)
        else:
            _count(unknown, where or "no port")
    if not ours:
        raise SourceError(f"{file} tells of {next(iter(unknown))}, not of {port}.")
    return ours


def _told(
    records: list[Record], key: str, tell: Callable[[Record, str], CallReport], unknown: dict[str, int]
) -> tuple[CallReport, ...]:
    """A report of each; the last word on a call that stands there twice.

    One without its number, or that says not which ship it is, counts as unknown.
    """
    calls: dict[str, CallReport] = {}
    for record in records:
        number = clean(record.get(key), 60)
        report = tell(record, number)
        ship = report.ship
        if not number:
            _count(unknown, f"no {key}")
        elif ship.name or ship.imo or ship.mmsi or ship.call_sign:
            calls[number] = report
        else:
            _count(unknown, "no ship")
    return tuple(calls.values())


def _count(unknown: dict[str, int], what: str) -> None:
    unknown[what] = unknown.get(what, 0) + 1


def _instead(answer: Any) -> str:
    lists = [name for name, value in answer.items() if isinstance(value, list)] if isinstance(answer, dict) else []
    return f", but “{clean(lists[0], 40)}”" if lists else ""


def _list(record: Record, field: str) -> list[Record]:
    value = record.get(field)
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(record: Record, field: str) -> str:
    """Blank where it says that it is not known."""
    text = clean(record.get(field))
    return "" if text.casefold() in _UNKNOWN else text


def _moment(told: object) -> datetime | None:
    """With an offset; without one it says no moment."""
    try:
        moment = datetime.fromisoformat(told) if isinstance(told, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo and 1970 <= moment.year <= 2100 else None


# --- port calls ---------------------------------------------------------------------------------------------


def _port_call(call: Record, key: str) -> CallReport:
    times = sorted(_list(call, "portAreaDetails"), key=_when)
    first, last = (times[0], times[-1]) if times else ({}, {})
    return CallReport(
        _text(call, "portToVisit"),
        _ship(call),
        _status(times),
        key=key,
        eta=_moment(first.get("eta")),
        etd=_moment(last.get("etd")),
        ata=_moment(first.get("ata")),
        atd=_moment(last.get("atd")),
        agent=_agent(call),
        previous_port=_text(call, "prevPort"),
        next_port=_text(call, "nextPort"),
        stays=tuple(stay for area in times if (stay := _stay(area))),
    )


def _when(area: Record) -> float:
    """By the moment she was there, or is to be; berths without any come last."""
    moments = (_moment(area.get(field)) for field in ("ata", "eta", "atd", "etd"))
    return next((moment.timestamp() for moment in moments if moment), float("inf"))


def _status(times: list[Record]) -> Status:
    """No word says it, the moments do: agents report a departure sometimes without the arrival before it."""
    if times and _moment(times[-1].get("atd")):
        return Status.DEPARTED
    is_here = any(_moment(area.get(field)) for area in times for field in ("ata", "atd"))
    return Status.IN_PORT if is_here else Status.EXPECTED


def _stay(area: Record) -> StayReport | None:
    """At her berth, or in the area where that is all that is known; None where neither is."""
    area_name, area_code = _text(area, "portAreaName"), _text(area, "portAreaCode")
    berth_name, berth_code = _text(area, "berthName"), _text(area, "berthCode")
    name = berth_name or berth_code or area_name or area_code
    if not name:
        return None
    return StayReport(
        name,
        key="/".join(filter(None, (area_code[:40], berth_code[:40]))) if berth_code or not berth_name else "",
        area=area_name,
        kind=_kind(f"{area_name} {berth_name}"),
        eta=_moment(area.get("eta")),
        etd=_moment(area.get("etd")),
        ata=_moment(area.get("ata")),
        atd=_moment(area.get("atd")),
    )


def _kind(place: str) -> BerthKind:
    name = place.casefold()
    if "luotsi" in name or "pilot" in name:
        return BerthKind.PILOT_STATION
    return BerthKind.ANCHORAGE if "ankkuri" in name or "anchor" in name else BerthKind.BERTH


def _ship(call: Record) -> Ship:
    imo, mmsi = identity.imo(call.get("imoLloyds")), identity.mmsi(call.get("mmsi"))
    call_sign = identity.call_sign(_text(call, "radioCallSign"))
    code = clean(call.get("vesselTypeCode"))
    vessel_type, word = _TYPES.get(code, (VesselType.OTHER, code))
    return Ship(
        name=_text(call, "vesselName"),
        imo=imo,
        mmsi=mmsi,
        call_sign=call_sign,
        flag=countries.letters(_text(call, "nationality")),
        type=vessel_type,
        source_type=word,
    )


def _agent(call: Record) -> str:
    """Who acts for the ship (1), not who manages her (2) or does something else (3)."""
    return next((_text(agent, "name") for agent in _list(call, "agentInfo") if agent.get("role") == 1), "")


# --- visits -------------------------------------------------------------------------------------------------


def _count_status(visit: Record, unknown: dict[str, int]) -> None:
    word = clean(visit.get("status"), 40)
    if word.casefold() not in _STATUSES:
        _count(unknown, f"status {word}" if word else "no status")


def _visit(visit: Record, key: str) -> CallReport:
    """Her name may be missing: then she is known by her IMO number alone."""
    imo = identity.imo(visit.get("vesselId"))
    word = clean(visit.get("status")).casefold()
    return CallReport(
        _text(visit, "portOfCall"),
        Ship(name=_text(visit, "vesselName"), imo=imo),
        _STATUSES.get(word) or _status([visit]),
        key=key,
        eta=_moment(visit.get("eta")),
        etd=_moment(visit.get("etd")),
        ata=_moment(visit.get("ata")),
        atd=_moment(visit.get("atd")),
    )
