"""What a source tells, whatever it is fetched from: the calls of its ports at one moment. Values, nothing else."""

import hashlib
import marshal
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from django.db.models import TextChoices


class Status(TextChoices):
    EXPECTED = "expected", "expected"
    IN_PORT = "in_port", "in port"
    DEPARTED = "departed", "departed"
    CANCELLED = "cancelled", "cancelled"
    GONE = "gone", "gone from the feed"
    """No longer in the feed, which does not say why. Never called departed. No source reports it."""


OPEN = (Status.EXPECTED, Status.IN_PORT)


class VesselType(TextChoices):
    BULK = "bulk", "bulk"
    CONTAINER = "container", "container"
    TANKER = "tanker", "tanker"
    CAR_CARRIER = "car_carrier", "car carrier"
    CRUISE = "cruise", "cruise"
    GENERAL = "general", "general cargo"
    FISHING = "fishing", "fishing"
    TUG = "tug", "tug"
    OTHER = "other", "other"


class BerthKind(TextChoices):
    BERTH = "berth", "berth"
    ANCHORAGE = "anchorage", "anchorage"
    PILOT_STATION = "pilot_station", "pilot station"


@dataclass(frozen=True, slots=True)
class Ship:
    """A vessel as one row of a feed has it. What is not known, or not valid, is empty."""

    name: str
    imo: str = ""
    """Seven digits, the last of which is right."""
    mmsi: str = ""
    """Nine digits."""
    call_sign: str = ""
    flag: str = ""
    """ISO 3166-1, two letters."""
    type: VesselType = VesselType.OTHER
    source_type: str = ""
    """The type in the source's own words."""


@dataclass(frozen=True, slots=True)
class StayReport:
    """A time at one berth or anchorage, had or planned."""

    berth: str
    """Its name."""
    key: str = ""
    """The source's code of the berth; empty where it has none, so that its name is its identity."""
    area: str = ""
    kind: BerthKind = BerthKind.BERTH
    eta: datetime | None = None
    etd: datetime | None = None
    ata: datetime | None = None
    atd: datetime | None = None


@dataclass(frozen=True)
class CallReport:
    """One visit of one vessel to one port. All moments are aware."""

    port: str
    """UN/LOCODE."""
    ship: Ship
    status: Status
    key: str = ""
    """The source's own number of the call; empty where it has none."""
    eta: datetime | None = None
    etd: datetime | None = None
    ata: datetime | None = None
    atd: datetime | None = None
    pilot_ordered_at: datetime | None = None
    leaves_at: datetime | None = None
    """When her next move begins, which is no ETA: pilotage tells no more."""
    agent: str = ""
    previous_port: str = ""
    next_port: str = ""
    stays: tuple[StayReport, ...] = ()
    """In the order of time."""

    @cached_property
    def digest(self) -> int:
        """64 bits that are the same for the same report, in any process: what is known needs no second look."""
        told = (
            *(self.port, self.key, str(self.status), self.agent, self.previous_port, self.next_port),
            *(_seconds(moment) for moment in (self.eta, self.etd, self.ata, self.atd)),
            *(_seconds(self.pilot_ordered_at), _seconds(self.leaves_at)),
            *(self.ship.name, self.ship.imo, self.ship.mmsi, self.ship.call_sign, self.ship.flag),
            *(str(self.ship.type), self.ship.source_type),
            *(
                (
                    stay.berth,
                    stay.key,
                    stay.area,
                    str(stay.kind),
                    *map(_seconds, (stay.eta, stay.etd, stay.ata, stay.atd)),
                )
                for stay in self.stays
            ),
        )
        # Version 2 of marshal has no references: equal values are equal bytes, whichever objects they are.
        return int.from_bytes(hashlib.blake2b(marshal.dumps(told, 2), digest_size=8).digest(), signed=True)


def _seconds(moment: datetime | None) -> float | None:
    return moment.timestamp() if moment else None


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What one answer of a feed says."""

    at: datetime
    calls: tuple[CallReport, ...]
    complete: frozenset[Status] = frozenset()
    """The statuses of which every call is here: an open call that is missing is gone from the feed."""
    eta_from: datetime | None = None
    eta_to: datetime | None = None
    """Between which ETAs it is complete; None where the feed knows no such bounds."""
    has_whole_stays: bool = False
    """Each call has all its stays here; else it has the one that is told now, and earlier ones are kept."""
    missing: tuple[str, ...] = ()
    """The files that were not there, so that nothing is said about what they tell."""
    unknown: dict[str, int] = field(default_factory=dict)
    """Codes of places that this site does not know, and how often each stood there."""
