"""Pilotage authorities that run one and the same portal: the coast of British Columbia, and the Columbia River.

Their portal tells of moves, not of ships in port: ``pilotage`` makes calls of them.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ports import identity
from ports.snapshot import BerthKind, Ship, Snapshot, Status, VesselType
from ports.sources import Address, KnownPort, Source, SourceError, countries
from ports.sources.pilotage import Move, Place, Progress, calls_of
from ports.sources.text import clean

MOST_BYTES = 2_000_000
MOST_MOVES = 5_000
"""The coast has forty moves a day: more is something else, and would only take our time."""
ENOUGH = 10
"""Moves after which a field that none of them has must have been renamed."""

Job = dict[str, Any]
"""A move as the portal has it. Every field may be null, or not be there."""


@dataclass(frozen=True, slots=True)
class Spot:
    """What is known of a place beside its name."""

    port: str = ""
    """Empty: at sea."""
    area: str = ""
    kind: BerthKind = BerthKind.BERTH
    near: str = ""
    """At sea, the port that ships mostly make for from there."""
    name: str = ""
    """Where the portal gives none."""


@dataclass(frozen=True, slots=True)
class Chart:
    """The places of a portal, by their codes, and by words that stand in their names. The first that fits counts."""

    ports: tuple[KnownPort, ...]
    """The main one first: what lies nobody knows where is listed there."""
    codes: dict[str, Spot]
    words: tuple[tuple[str, Spot], ...]

    def find(self, code: str, name: str) -> Spot | None:
        if code in self.codes:
            return self.codes[code]
        return next((spot for words, spot in self.words if re.search(rf"\b(?:{words})\b", name.upper())), None)


_PILOTS = BerthKind.PILOT_STATION


def _port(locode: str, name: str, latitude: float, longitude: float) -> KnownPort:
    zone = "America/Vancouver" if locode.startswith("CA") else "America/Los_Angeles"
    return KnownPort(locode, name, locode[:2], zone, latitude, longitude)


# The port of Vancouver is one, from Indian Arm to Roberts Bank and up the Fraser: what lies in it is no port here.
_FRASER, _ROBERTS_BANK = Spot("CAVAN", "Fraser River"), Spot("CAVAN", "Roberts Bank")
_BURRARD, _ENGLISH_BAY = Spot("CAVAN", "Burrard Inlet"), Spot("CAVAN", "English Bay", BerthKind.ANCHORAGE)

BC_COAST = Chart(
    ports=(
        _port("CAVAN", "Vancouver", 49.2833, -123.1167),
        _port("CAVIC", "Victoria", 48.4167, -123.35),
        _port("CANNO", "Nanaimo", 49.1667, -123.9333),
        _port("CASQA", "Squamish", 49.7, -123.15),
        _port("CAKTM", "Kitimat", 54.05, -128.65),
        _port("CAPRR", "Prince Rupert", 54.3167, -130.3167),
        _port("CAPAB", "Port Alberni", 49.2333, -124.8),
    ),
    codes={
        "BRO": Spot(kind=_PILOTS, near="CAVAN", name="Brotchie pilot station"),
        "TPL": Spot(kind=_PILOTS, near="CAPRR", name="Triple Island pilot station"),
        # Pilots of the coast and of the river change here, at the mouth of the Fraser: she has not left.
        "SHD": replace(_FRASER, kind=_PILOTS, name="Sandheads"),
        **{code: replace(_ROBERTS_BANK, name=f"Roberts Bank {code[-1]}") for code in ("RB1", "RB2")},
        **{code: replace(_ROBERTS_BANK, name=f"Deltaport {code[-1]}") for code in ("DP1", "DP2", "DP3")},
        **{code: replace(_BURRARD, name=f"Cargill {code[-1]}") for code in ("CG1", "CG2")},
        "CADEL": replace(_FRASER, name="Delta"),
        "CANWE": replace(_FRASER, name="New Westminster"),
        "CAEBY": replace(_ENGLISH_BAY, name="English Bay"),
    },
    words=(
        (r"SANDHEADS", replace(_FRASER, kind=_PILOTS)),
        (r"BROTCHIE", Spot(kind=_PILOTS, near="CAVAN")),
        (r"TRIPLE ISL(?:AND|\.)?", Spot(kind=_PILOTS, near="CAPRR")),
        (r"PILOT STATION|\(SEA\)|AT SEA", Spot(kind=_PILOTS, near="CAVAN")),
        (r"ENGLISH BAY", _ENGLISH_BAY),
        (r"ROBERTS BANK|DELTAPORT|WESTSHORE", _ROBERTS_BANK),
        (r"FRASER|NEW WESTMINSTER|ANNACIS|DELTA", _FRASER),
        (r"BURRARD|CARGILL|PORT MOODY|INDIAN ARM|CENTERM|VANTERM|LYNNTERM|CANADA PLACE|WESTRIDGE", _BURRARD),
        (r"NANAIMO|DUKE POINT", Spot("CANNO")),
        (r"SQUAMISH", Spot("CASQA")),
        (r"KITIMAT", Spot("CAKTM")),
        (r"PRINCE RUPERT|RIDLEY", Spot("CAPRR")),
        (r"PORT ALBERNI", Spot("CAPAB")),
        (r"VICTORIA|OGDEN POINT", Spot("CAVIC")),
        (r"VANCOUVER(?! ISL)", Spot("CAVAN")),
    ),
)

COLUMBIA_RIVER = Chart(
    ports=(
        _port("USPDX", "Portland, Oregon", 45.5167, -122.6667),
        _port("USVAN", "Vancouver, Washington", 45.6333, -122.6667),
        _port("USLOG", "Longview, Washington", 46.1333, -122.9333),
        _port("USAST", "Astoria, Oregon", 46.1833, -123.8333),
    ),
    codes={
        "LS": Spot(kind=_PILOTS, near="USPDX", name="Columbia River pilot station"),
        "SEA": Spot(kind=_PILOTS, near="USPDX", name="Sea"),
    },
    words=(
        (r"PILOT STATION|LIGHTSHIP|\(SEA\)|AT SEA", Spot(kind=_PILOTS, near="USPDX")),
        (r"ASTORIA", Spot("USAST")),
        (r"LONGVIEW", Spot("USLOG")),
        (r"VANCOUVER", Spot("USVAN")),
        (r"PORTLAND", Spot("USPDX")),
    ),
)

_TYPES = (
    (r"CAR CARRIER|VEHICLE|PCC|PCTC|AUTO", VesselType.CAR_CARRIER),
    (r"CONTAINER", VesselType.CONTAINER),
    (r"TANK|CHEMICAL|LNG|LPG|CRUDE", VesselType.TANKER),
    (r"CRUISE|PASSENGER", VesselType.CRUISE),
    (r"BULK", VesselType.BULK),
    (r"FISH|TRAWL", VesselType.FISHING),
    (r"TUG|ATB", VesselType.TUG),
    (r"CARGO|BREAKBULK|RO-?RO|REEFER|HEAVY LIFT", VesselType.GENERAL),
)
_NO_NAME = {"", "TBN", "TBA", "TBD", "N/A", "NA", "UNKNOWN", "-"}
UNNAMED = "a ship without a name"
NOWHERE = "a place without a name"


class Portal(Source):
    """One pilotage authority's portal."""

    interval = timedelta(minutes=15)
    is_timeless = False  # the moment for which a move was ordered passes while the bytes stay the same
    is_derived = True
    licence = "none stated"

    def __init__(self, *, name: str, title: str, url: str, page: str, feed: str, chart: Chart) -> None:
        self.name, self.title, self.publisher, self.attribution = name, title, title, title
        self.url, self.page, self.chart = url, page, chart
        self.zone = chart.ports[0].zone
        self.feeds = {feed: chart.ports}
        self.warning = (
            "Not yet checked against a live answer. In port is worked out from the moves of pilots: a ship is listed "
            "once she is seen to move, and those here already appear when they next do. “Leaves” is when a move is to "
            "begin, never when a ship arrives."
        )

    @property
    def file(self) -> str:
        return f"{self.name}.json"

    def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
        return [Address(self.file, self.url, headers={"Accept": "application/json"})]

    def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
        there = {name.casefold(): content for name, content in files.items()}
        if self.file not in there:
            raise SourceError(f"{self.file} is not there.")
        jobs = _jobs(there[self.file], self.file)
        unknown: Counter[str] = Counter()
        moves = list(self._moves(jobs, at, unknown))
        if not moves:
            raise SourceError(f"No move in {self.file} names its ship. {_CHANGED}")
        calls = tuple(calls_of(moves, {port.locode: port.name for port in self.chart.ports}))
        if not calls:
            raise SourceError(f"No move in {self.file} begins or ends in a port. {_CHANGED}")
        return Snapshot(
            at=at,
            calls=calls,
            # Who is in port stands here only while she moves. An order that is withdrawn goes without a word.
            complete=frozenset({Status.EXPECTED}),
            unknown=dict(unknown),
        )

    def _moves(self, jobs: Sequence[Job], at: datetime, unknown: Counter[str]) -> Iterator[Move]:
        for job in jobs:
            ship = _ship(job.get("vessel"))
            if not ship:
                unknown[UNNAMED] += 1
                continue
            start, end = self._ends(job, unknown)
            begins_at = _moment(job.get("etd"))
            yield Move(
                ship,
                start,
                end,
                _progress(job.get("status"), begins_at, at),
                begins_at,
                _moment(job.get("orderTime")),
                clean(job.get("agencyName")),
            )

    def _ends(self, job: Job, unknown: Counter[str]) -> tuple[Place, Place]:
        """Where a move begins and ends. A place that nobody knows lies in the port of the other end."""
        start, start_spot = self._place(job, "from")
        end, end_spot = self._place(job, "to")
        for place, spot in ((start, start_spot), (end, end_spot)):
            if not spot:
                unknown[place.code or place.name or NOWHERE] += 1
        main = self.chart.ports[0].locode
        if not start_spot and start.name:
            start = replace(start, port=(end_spot.port or end_spot.near) if end_spot else main)
        if not end_spot:  # one without a name keeps her where she was: nothing says that she has left
            known = start_spot or Spot(start.port)
            end = replace(end, port=known.port or (known.near or main if end.name else ""))
        return start, end

    def _place(self, job: Job, side: str) -> tuple[Place, Spot | None]:
        name, code = clean(job.get(f"{side}LocationName")), clean(job.get(f"{side}LocationShortCode"), 20).upper()
        behind = re.fullmatch(r"(.+?)\s*\((\w{2,6})\)", name)  # “BROTCHIE (SEA) (BRO)”: the code stands there too
        if behind and (behind[2] == code or (not code and behind[2] in self.chart.codes)):
            name, code = behind[1], behind[2]
        spot = self.chart.find(code, name) or self._own_port(code)
        if not spot:
            return Place(name or code, code, kind=_kind(name)), None
        kind = spot.kind if spot.kind is not BerthKind.BERTH else _kind(name)
        return Place(name or spot.name or code, code, spot.port, spot.area, kind), spot

    def _own_port(self, code: str) -> Spot | None:
        return Spot(code) if any(code == port.locode for port in self.chart.ports) else None


SOURCES: list[Source] = [
    Portal(
        name="ppa",
        title="Pacific Pilotage Authority",
        url="https://ppaportal.portlink.co/api/pdams/GetCurrentVesselTraffic",
        page="https://ppaportal.portlink.co/mt-tm",
        feed="bc-coast",
        chart=BC_COAST,
    ),
    Portal(
        name="colrip",
        title="Columbia River Pilots",
        url="https://colrip-portal.azurewebsites.net/api/pdams/GetCurrentVesselTraffic",
        page="https://colrip.com/",
        feed="columbia-river",
        chart=COLUMBIA_RIVER,
    ),
]

_CHANGED = "The publisher has changed something: see whether there is a newer version of this site."


def _jobs(content: bytes, file: str) -> list[Job]:
    """What stands under ``data``, each move once."""
    if len(content) > MOST_BYTES:
        raise SourceError(f"{file} has more than {MOST_BYTES // 1_000_000} MB, as no list of moves has.")
    try:
        answer = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{file} is not JSON: {clean(str(error), 100)}.") from error
    if not isinstance(answer, dict):
        raise SourceError(f"{file} is not an object with a result and data. {_CHANGED}")
    if answer.get("result") != "Succeed":
        raise SourceError(f"{file} says “{clean(answer.get('result'), 60)}” where “Succeed” should be.")
    jobs = answer.get("data")
    if not isinstance(jobs, list):
        raise SourceError(f"{file} has no list of moves under “data”. {_CHANGED}")
    _look_at(jobs, file)
    return _once(jobs)


def _look_at(jobs: list[Any], file: str) -> None:
    if not jobs:
        raise SourceError(f"{file} tells of no move at all, which never happens.")
    if len(jobs) > MOST_MOVES:
        raise SourceError(f"{file} tells of {len(jobs):,} moves, more than {MOST_MOVES:,}.")
    if not all(isinstance(job, dict) for job in jobs):
        raise SourceError(f"{file} has a move that is no object. {_CHANGED}")
    if not any(f"{side}Location{what}" in job for job in jobs for side in ("from", "to") for what in _NAMED):
        raise SourceError(f"No move in {file} says from where or to where. {_CHANGED}")
    for field in ("status", "etd", "fromLocationName", "toLocationName"):
        if len(jobs) >= ENOUGH and not any(field in job for job in jobs):
            raise SourceError(f"No move in {file} has “{field}”. {_CHANGED}")


_NAMED = ("Name", "ShortCode")
_ENDS = tuple(f"{side}Location{what}" for side in ("from", "to") for what in _NAMED)


def _once(jobs: Sequence[Job]) -> list[Job]:
    """Each move once: of those with one number the last, and of two pilots on one move the one who is under way."""
    numbered: dict[str, Job] = {}
    for position, job in enumerate(jobs):
        told = (clean(job.get(field)) for field in ("id", "jobPilotId", "jobId"))
        numbered[next(filter(None, told), f"at {position}")] = job
    moves: dict[str, Job] = {}
    for number, job in numbered.items():
        ends = " ".join(clean(job.get(field)) for field in _ENDS)
        move = f"{clean(job.get('jobId'))} {ends}" if clean(job.get("jobId")) else number
        if move not in moves or not _is_under_way(moves[move].get("status")):
            moves[move] = job
    return list(moves.values())


def _is_under_way(status: object) -> bool:
    return clean(status, 40).casefold() in ("dispatched", "away")


def _progress(status: object, begins_at: datetime | None, at: datetime) -> Progress:
    if "cancel" in clean(status, 40).casefold():
        return Progress.CANCELLED
    has_begun = begins_at is not None and begins_at <= at
    return Progress.MADE if has_begun and _is_under_way(status) else Progress.PLANNED


def _ship(told: object) -> Ship | None:
    """None where neither a name nor a number says which."""
    vessel = told if isinstance(told, dict) else {}
    imo, mmsi = identity.imo(_number(vessel.get("imo"))), identity.mmsi(_number(vessel.get("mmsi")))
    name = clean(vessel.get("name"))
    if name.upper() in _NO_NAME:
        name = f"IMO {imo}" if imo else f"MMSI {mmsi}" if mmsi else ""
    if not name:
        return None
    word = clean(vessel.get("type"))
    return Ship(name, imo, mmsi, "", countries.letters(clean(vessel.get("flagRegistryName"))), _type(word), word)


def _number(told: object) -> str:
    return clean(told, 20).upper().removeprefix("IMO").removeprefix("MMSI").strip()


def _type(word: str) -> VesselType:
    return next((kind for words, kind in _TYPES if re.search(rf"\b(?:{words})", word.upper())), VesselType.OTHER)


def _kind(name: str) -> BerthKind:
    if re.search(r"\bANCH", name.upper()):
        return BerthKind.ANCHORAGE
    return _PILOTS if "PILOT STATION" in name.upper() else BerthKind.BERTH


def _moment(told: object) -> datetime | None:
    """ISO 8601, UTC where it names no zone; None where it is none, or as far off as the year 1, which means unknown."""
    if not isinstance(told, str):
        return None
    try:
        moment = datetime.fromisoformat(told.strip())
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(microsecond=0) if 2000 <= moment.year < 2100 else None
