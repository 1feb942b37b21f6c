"""A source for tests, real to the last line: its files are reports, as bytes, and what it is complete for."""

import pickle
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from ports.models import Feed, Port
from ports.refresh import replay
from ports.snapshot import CallReport, Ship, Snapshot, Status
from ports.sources import KnownPort, Source, SourceError, registry
from ports.takeover import Result

START = datetime(2026, 1, 10, 12, tzinfo=UTC)
BOTH = frozenset({Status.EXPECTED, Status.IN_PORT})


class Told(Source):
    name = "told"
    title = "What tests tell"
    publisher = "The tests"
    attribution = "Nobody's"
    licence = "none stated"
    page = "https://ships.invalid/"
    zone = "UTC"
    interval = timedelta(minutes=15)
    feeds = {"told": (KnownPort("XXAAA", "Alpha", "XX", "UTC"), KnownPort("XXBBB", "Beta", "XX", "UTC"))}

    def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
        try:
            snapshot: Snapshot = pickle.loads(files["told"])
        except (KeyError, pickle.UnpicklingError) as error:
            raise SourceError("told: this cannot be read.") from error
        return replace(snapshot, at=at)


def hour(hours: float) -> datetime:
    return START + timedelta(hours=hours)


def ship(name: str = "EVER GIVEN", **known: Any) -> Ship:
    return Ship(name, **({"call_sign": f"CS{name.replace(' ', '')[:8]}"} | known))


def call(status: Status = Status.EXPECTED, name: str = "EVER GIVEN", port: str = "XXAAA", **told: Any) -> CallReport:
    return CallReport(port=port, ship=told.pop("ship", None) or ship(name), status=status, **told)


@dataclass
class Teller:
    """A feed with two ports, told at one hour after another."""

    feed: Feed
    hours: float = 0.0

    @classmethod
    def make(cls) -> "Teller":
        registry().setdefault("told", Told())
        feed = Feed.objects.create(source="told", name="told", interval=timedelta(minutes=15))
        for known in Told.feeds["told"]:
            Port.objects.create(
                feed=feed, locode=known.locode, name=known.name, country="XX", zone=known.zone, is_enabled=True
            )
        return cls(feed)

    def tell(
        self,
        *calls: CallReport,
        at: float | None = None,
        ports: list[Port] | None = None,
        dry_run: bool = False,
        **snapshot: Any,
    ) -> Result:
        """What becomes of these calls, an hour after the last ones or at hour ``at``."""
        self.hours = self.hours + 1 if at is None else at
        files = {"told": told(calls, **snapshot)}
        return replay(self.feed, files, hour(self.hours), ports=ports, dry_run=dry_run)


def told(calls: Iterable[CallReport], **snapshot: Any) -> bytes:
    facts: dict[str, Any] = {"at": START, "calls": tuple(calls), "complete": BOTH} | snapshot
    return pickle.dumps(Snapshot(**facts))
