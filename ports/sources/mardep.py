"""Hong Kong: four lists of the Marine Department (due, arrived, in port, departed), joined into one truth.

The lists lag each other, have no number for a call, and three of them none for a ship: they are joined by call sign.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from ports import identity
from ports.snapshot import BerthKind, CallReport, Ship, Snapshot, Status, StayReport, VesselType
from ports.sources import Address, KnownPort, Source, SourceError, countries, xml_rows
from ports.sources.text import clean
from ports.sources.visits import Row, Visit, Word, join, meet, or_last

PORT = KnownPort("HKHKG", "Hong Kong", "HK", "Asia/Hong_Kong", 22.3, 114.1667)
_ZONE = ZoneInfo(PORT.zone)
_BASE = "https://www.mardep.gov.hk/e_files/en/opendata/"


@dataclass(frozen=True, slots=True)
class _List:
    file: str
    root: str
    moment: str
    """The field that says when."""
    place: str = ""
    """The field that says where."""
    others: tuple[str, ...] = ()
    """What every row has beside these, a call sign, a name, a type and an agent."""
    optional: tuple[str, ...] = ()

    @property
    def required(self) -> tuple[str, ...]:
        always = ("CALL_SIGN", "VESSEL_NAME", "SHIP_TYPE", "AGENT_NAME", self.moment, self.place, *self.others)
        return tuple(filter(None, always))


DUE = _List("RP04005i.XML", "RP04005IXML", "ETA", others=("LAST_PORT",))
ARRIVED = _List("RP05005i.XML", "RP05005IXML", "ARRIVAL_TIME", "CURRENT_LOCATION", optional=("REMARK",))
IN_PORT = _List("RP06005i.XML", "RP06005IXML", "ARRIVAL_TIME", "CURRENT_LOCATION", ("FLAG",), ("IMO_NO",))
DEPARTED = _List("RP05505i.XML", "RP05505IXML", "ATD_TIME", "LAST_BERTH")
_LISTS = (DUE, ARRIVED, IN_PORT, DEPARTED)

_TELLING = {Status.EXPECTED: (DUE, ARRIVED, IN_PORT), Status.IN_PORT: (ARRIVED, IN_PORT, DEPARTED)}
"""Who leaves a list stands in the next one: without that, an absence says nothing."""

_TYPES = {
    "BULK/ WOODCHIP/ CEMENT/ ORE CARRIER": VesselType.BULK,
    "CAR CARRIER": VesselType.CAR_CARRIER,
    "CHEMICAL": VesselType.TANKER,
    "CONTAINER": VesselType.CONTAINER,
    "FISHING": VesselType.FISHING,
    "GENERAL / HEAVY LIFT CARGO": VesselType.GENERAL,
    "LIQUIFIED NATURAL GAS TANKER": VesselType.TANKER,
    "LIQUIFIED PETROLEUM GAS TANKER": VesselType.TANKER,
    "MULTI-PURPOSE(SEMI CONT.)": VesselType.GENERAL,
    "PASSENGER": VesselType.CRUISE,
    "RORO/REEFER CARRIER": VesselType.GENERAL,
    "TANKER (CRUDE,FUEL,DIESEL,LUB)": VesselType.TANKER,
    "TUG": VesselType.TUG,
}
_AFLOAT = re.compile(r"ANCHORAGE|\bBUOY\b|TYPHOON SHELTER|\b(?:BAY|CHANNEL|ISLAND)$")
"""Names of waters: who is there lies at no quay."""
_PILOTS = re.compile(r"\bPILOT (?:BOARDING|STATION)\b")
_NOBODY = {"UNKNOWN AGENT"}
_NO_CALL_SIGN = {"NIL", "NONE", "NA", "N/A", "TBA", "TBN", "UNKNOWN", "-"}


class MarDep(Source):
    name = "mardep"
    title = "Hong Kong Marine Department"
    publisher = "Marine Department, HKSAR Government"
    attribution = "Marine Department, HKSAR Government, via DATA.GOV.HK"
    licence = "DATA.GOV.HK terms: free to use, with attribution"
    licence_url = "https://data.gov.hk/en/terms-and-conditions"
    page = "https://data.gov.hk/en-data/dataset/hk-md-mardep-vessel-arrivals-and-departures"
    zone = PORT.zone
    interval = timedelta(minutes=15)
    feeds = {"hong-kong": (PORT,)}

    def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
        return [Address(a_list.file, _BASE + a_list.file) for a_list in _LISTS]

    def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
        there = {name.casefold(): content for name, content in files.items()}
        told = {a_list: _read(a_list, there[a_list.file.casefold()]) for a_list in _LISTS if _is_in(there, a_list)}
        if not told:
            raise SourceError(f"None of {', '.join(a_list.file for a_list in _LISTS)} is there.")
        if IN_PORT not in told:
            _forget_places(told.get(ARRIVED, ()))
        unknown: dict[str, int] = {}
        calls = [call for ship in _by_ship(told, unknown) for call in _calls(ship)]
        return Snapshot(
            at=at,
            calls=tuple(calls),
            complete=frozenset(status for status, needed in _TELLING.items() if told.keys() >= set(needed)),
            missing=tuple(a_list.file for a_list in _LISTS if a_list not in told),
            unknown=unknown,
        )


SOURCES: list[Source] = [MarDep()]


# --- reading ------------------------------------------------------------------------------------------------


def _is_in(there: dict[str, bytes], a_list: _List) -> bool:
    return a_list.file.casefold() in there


def _read(a_list: _List, content: bytes) -> list[Row]:
    """The rows of one list. Hong Kong is never without ships: an empty list is a mistake."""
    rows = [
        {field: clean(words) for field, words in row.items()}
        for row in xml_rows.read(content, a_list.root, a_list.file)
    ]
    if not rows:
        raise SourceError(f"{a_list.file} tells of no ship at all, which is never so.")
    _check_fields(a_list, rows)
    unread = [row[a_list.moment] for row in rows if row.get(a_list.moment) and not _moment(row[a_list.moment])]
    if len(unread) * 2 > len(rows):
        raise SourceError(f"{a_list.file} writes {a_list.moment} in a way that cannot be read: “{unread[0][:40]}”.")
    return rows


def _check_fields(a_list: _List, rows: list[Row]) -> None:
    """A field that no row has was renamed; one that may be blank, if an unknown one stands in its place."""
    seen = set().union(*rows)
    lost = [field for field in a_list.required if field not in seen]
    strange = sorted(seen.difference(a_list.required, a_list.optional, ("PASI", "STATUS")))
    if strange:
        lost += [field for field in a_list.optional if field not in seen]
    if lost:
        instead = f", but {strange[0][:40]}" if strange else ""
        raise SourceError(f"{a_list.file} has changed: no row has {lost[0]}{instead}.")


_MONTHS = ["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"]
_SLASHES = re.compile(r"(\d{4})/(\d\d?)/(\d\d?) (\d\d?):(\d\d)(?::\d\d)?", re.ASCII)
_DASHES = re.compile(r"(\d\d?)-([A-Z]{3})-(\d{4}) (\d\d?):(\d\d)(?::\d\d)?", re.ASCII)


def _moment(words: str) -> datetime | None:
    """“2025/08/22 17:28” or “21-AUG-2025 18:47”, in Hong Kong. By hand: strptime takes ten times as long."""
    try:
        if found := _SLASHES.fullmatch(words):
            year, month, day, hour, minute = map(int, found.groups())
        elif found := _DASHES.fullmatch(words.upper()):
            year, month, day = int(found[3]), _MONTHS.index(found[2]) + 1, int(found[1])
            hour, minute = int(found[4]), int(found[5])
        else:
            return None
        return datetime(year, month, day, hour, minute, tzinfo=_ZONE) if 1970 <= year <= 2100 else None
    except ValueError:
        return None


# --- joining ------------------------------------------------------------------------------------------------


def _by_ship(told: dict[_List, list[Row]], unknown: dict[str, int]) -> list[dict[_List, list[Row]]]:
    """The rows of each ship, by list. One that says not which ship it is counts as unknown."""
    ships: dict[str, dict[_List, list[Row]]] = {}
    for a_list, rows in told.items():
        for row in rows:
            row["CALL_SIGN"] = _call_sign(row)
            who = row["CALL_SIGN"] or row.get("VESSEL_NAME", "")
            if who:
                ships.setdefault(who, {}).setdefault(a_list, []).append(row)
            else:
                nobody = f"{a_list.file}: a row without call sign and name"
                unknown[nobody] = unknown.get(nobody, 0) + 1
    return list(ships.values())


def _forget_places(arrived: Iterable[Row]) -> None:
    """Where she arrived is not where she is: without the list in port, a ship that moved would seem to go back."""
    for row in arrived:
        row.pop(ARRIVED.place, None)


def _call_sign(row: Row) -> str:
    sign = identity.call_sign(row.get("CALL_SIGN"))
    return "" if sign in _NO_CALL_SIGN else sign


def _calls(told: dict[_List, list[Row]]) -> list[CallReport]:
    """The calls of one ship, in the order of time."""
    ship = _ship(told)
    visits = join(_words(told, ARRIVED), _words(told, IN_PORT), _words(told, DEPARTED))
    due = {word.at: word.row for word in _words(told, DUE)}
    still_due = sorted(meet(visits, list(due)), key=or_last)
    return [*(_visited(ship, visit) for visit in visits), *(_expected(ship, eta, due[eta]) for eta in still_due)]


def _words(told: dict[_List, list[Row]], a_list: _List) -> list[Word]:
    return [
        Word(_moment(row.get(a_list.moment, "")), row, has_left=row.get("REMARK", "").upper() == "DEPARTED")
        for row in told.get(a_list, ())
    ]


# --- telling ------------------------------------------------------------------------------------------------


def _expected(ship: Ship, eta: datetime | None, row: Row) -> CallReport:
    previous_port = row.get("LAST_PORT", "")
    return CallReport(PORT.locode, ship, Status.EXPECTED, eta=eta, agent=_agent([row]), previous_port=previous_port)


def _visited(ship: Ship, visit: Visit) -> CallReport:
    return CallReport(
        PORT.locode,
        ship,
        Status.DEPARTED if visit.is_over else Status.IN_PORT,
        eta=visit.eta,
        ata=visit.ata,
        atd=visit.atd,
        agent=_agent(visit.rows),
        stays=_stays(visit),
    )


def _stays(visit: Visit) -> tuple[StayReport, ...]:
    """Where she arrived, and where she is or lay last if that is another place.

    The lists tell no times of berths; the first and the last place have that of the arrival and the departure.
    """
    first = visit.arrived.row.get(ARRIVED.place, "") if visit.arrived else ""
    if visit.departed:
        last = visit.departed.row.get(DEPARTED.place, "")
    else:
        last = visit.in_port.row.get(IN_PORT.place, "") if visit.in_port else ""
    places = list(dict.fromkeys(filter(None, (first, last))))
    return tuple(
        StayReport(
            place,
            kind=_kind(place),
            ata=visit.ata if place == first else None,
            atd=visit.atd if place == places[-1] else None,
        )
        for place in places
    )


def _kind(place: str) -> BerthKind:
    """What a place is, as far as its name says."""
    name = place.upper()
    if _PILOTS.search(name):
        return BerthKind.PILOT_STATION
    return BerthKind.ANCHORAGE if _AFLOAT.search(name) else BerthKind.BERTH


def _agent(rows: list[Row]) -> str:
    agents = (row.get("AGENT_NAME", "") for row in rows)
    return next((agent for agent in agents if agent and agent.upper() not in _NOBODY), "")


def _ship(told: dict[_List, list[Row]]) -> Ship:
    """From all rows of her: only the list in port has flag and IMO number."""
    rows = [row for a_list in (IN_PORT, ARRIVED, DEPARTED, DUE) for row in told.get(a_list, ())]

    def first(field: str) -> str:
        return next((row[field] for row in rows if row.get(field)), "")

    source_type = first("SHIP_TYPE")
    return Ship(
        name=first("VESSEL_NAME"),
        imo=identity.imo(first("IMO_NO")),
        call_sign=first("CALL_SIGN"),
        flag=countries.letters(first("FLAG")),
        type=_TYPES.get(source_type.upper(), VesselType.OTHER),
        source_type=source_type,
    )
