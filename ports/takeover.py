"""The part of a try at a Feed that begins with the bytes: read, compare with what is stored, write what differs."""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, IntegrityError, connection
from django.utils import timezone

from iotsite.database import writing
from ports.ledger import Ledger, Tally
from ports.models import Change, Feed, Port, PortCall, Refresh, Stay, Vessel
from ports.register import Register
from ports.snapshot import CallReport, Snapshot
from ports.sources import SourceError

log = logging.getLogger(__name__)

SLICE = 500
"""So many calls of a first load are written in one transaction: a switch of a relay never waits for long."""
LONGEST = 500
"""So much is kept of what went wrong."""
TRIES = 3
"""So often a write begins anew because somebody merged or removed what it was about."""

Progress = Callable[[int, int], None]
"""Told how many calls of how many are done."""


@dataclass
class Result:
    """What became of one try."""

    feed: Feed
    outcome: Refresh.Outcome
    took: timedelta
    error: str = ""
    counts: dict[str, Tally] = field(default_factory=dict)
    """By UN/LOCODE."""
    changes: list[Change] = field(default_factory=list)
    missing: tuple[str, ...] = ()
    """The files that were not there."""
    unknown: dict[str, int] = field(default_factory=dict)
    """What is not understood in the answer, and how often it stood there."""
    unkept: str = ""
    """Why the bytes that came are not all in the folder they were to be kept in."""
    refresh: Refresh | None = None
    """The row; None for a dry run."""

    @property
    def is_whole(self) -> bool:
        return self.outcome in (Refresh.Outcome.DONE, Refresh.Outcome.UNCHANGED)


class Work:
    """One answer, taken over whole or not at all."""

    def __init__(
        self,
        feed: Feed,
        at: datetime,
        *,
        ports: Sequence[Port],
        is_dry: bool,
        progress: Progress | None,
        is_replay: bool = False,
    ) -> None:
        self.feed, self.at, self.ports, self.is_dry, self.is_replay = feed, at, ports, is_dry, is_replay
        self.progress = progress or (lambda done, of: None)
        self.began = time.monotonic()
        self.started_at = timezone.now()
        self.bytes = 0
        self.memory: dict[str, Any] = {} if is_replay else feed.memory
        """What to remember of the answer; after recorded files, nothing that was fetched is what the list says."""
        self.counts: dict[str, Tally] = {}
        self.changes: list[Change] = []
        self.missing: tuple[str, ...] = ()
        self.unkept = ""
        self.unknown: dict[str, int] = {}

    def apply(self, files: dict[str, bytes], errors: str = "") -> Result:
        """Read ``files`` and take over what they say; ``errors`` tells of those that could not be got."""
        try:
            snapshot = self.feed.publisher.parse(files, self.at)
        except SourceError as error:
            return self.end(Refresh.Outcome.FAILED, " ".join(filter(None, (str(error), errors))))
        self.missing, self.unknown = snapshot.missing, snapshot.unknown
        for attempt in range(TRIES):
            try:
                return self._take_over(snapshot, errors)
            except IntegrityError as error:
                self.counts, self.changes = {}, []
                if attempt == TRIES - 1:
                    return self.end(Refresh.Outcome.FAILED, f"The database refused what the feed says: {error}.")
        raise AssertionError

    def _take_over(self, snapshot: Snapshot, errors: str) -> Result:
        answers = [Answer(port, self._reports_of(port, snapshot)) for port in self.ports]
        self.counts = {answer.port.locode: answer.counts for answer in answers}
        for answer in answers:
            if answer.port.loaded_at is None and not self.is_dry:
                self._load(answer, snapshot)
        register = self._register([report for answer in answers for report in answer.news])
        ledgers = [self._entered(answer, snapshot, register) for answer in answers]
        self.changes = [change for ledger in ledgers for change in ledger.changes]
        is_new = any(not counts.is_nothing for counts in self.counts.values())
        outcome = Refresh.Outcome.DONE if is_new else Refresh.Outcome.UNCHANGED
        return self.end(Refresh.Outcome.PARTIAL if errors else outcome, errors, register, ledgers)

    def _register(self, reports: Sequence[CallReport]) -> Register:
        """The vessels of ``reports``, after those who turn out to be one are one."""
        ships = [report.ship for report in reports]
        register = Register(ships, self.feed.source, self.at)
        merges = [] if self.is_dry else register.doubles(ships)
        for merge in merges:
            with writing():
                merge.carry_out()
        return Register(ships, self.feed.source, self.at) if merges else register

    def _reports_of(self, port: Port, snapshot: Snapshot) -> list[CallReport]:
        """What is told of ``port``. An example has a code of its own, and its recording the real port's."""
        if port.is_example:
            return list(snapshot.calls)
        return [report for report in snapshot.calls if report.port == port.locode]

    def _load(self, answer: "Answer", snapshot: Snapshot) -> None:
        """The first load of a port, in slices: no list shows it before the last, and a killed one goes on."""
        total = len(answer.news)
        while answer.news:
            part, answer.news = answer.news[:SLICE], answer.news[SLICE:]
            register = self._register(part)
            ledger = Ledger(answer.port, snapshot, answer.last_look, answer.counts, is_logged=False)
            ledger.take(part, register, answer.known)
            answer.absent -= ledger.matched
            with writing():
                register.save()
                ledger.save(None)
            self.progress(total - len(answer.news), total)

    def _entered(self, answer: "Answer", snapshot: Snapshot, register: Register) -> Ledger:
        is_logged = self.is_dry or answer.port.loaded_at is not None
        ledger = Ledger(answer.port, snapshot, answer.last_look, answer.counts, is_logged=is_logged)
        if answer.news:
            ledger.take(answer.news, register, answer.known)
        ledger.lose(answer.absent - ledger.matched)
        ledger.forget()
        return ledger

    def end(
        self,
        outcome: Refresh.Outcome,
        error: str = "",
        register: Register | None = None,
        ledgers: Sequence[Ledger] = (),
    ) -> Result:
        """Write what was entered, and the row of this try, in one transaction."""
        if outcome == Refresh.Outcome.UNCHANGED and not self.counts:
            self.counts = {port.locode: Tally(calls=port.calls.listed().count()) for port in self.ports}
        row = Refresh(
            feed=self.feed,
            started_at=self.started_at,
            as_of=self.at,
            outcome=outcome,
            counts={locode: counts.as_json() for locode, counts in self.counts.items()},
            unknown=self.unknown,
            is_replay=self.is_replay,
            bytes=self.bytes,
            error=error if len(error) <= LONGEST else f"{error[: LONGEST - 1]}…",
        )
        if not self.is_dry:
            is_first = any(port.loaded_at is None for port in self.ports)
            with writing():
                if register:
                    register.save()
                row.took = timedelta(seconds=time.monotonic() - self.began)
                row.save()
                for ledger in ledgers:
                    ledger.save(row)
                if row.is_good:
                    self._note_success()
            if row.is_good and is_first:
                _count_rows()
        took = timedelta(seconds=time.monotonic() - self.began)
        refresh = None if self.is_dry else row
        return Result(
            self.feed, outcome, took, error, self.counts, self.changes, self.missing, self.unknown, self.unkept, refresh
        )

    def _note_success(self) -> None:
        """What a later try has to know, written only where it is news."""
        if self.memory != self.feed.memory:
            Feed.objects.filter(pk=self.feed.pk).update(memory=self.memory)
        for port in self.ports:
            if port.loaded_at is None:
                port.loaded_at, port.seen_since = timezone.now(), self.at
                port.save(update_fields=["loaded_at", "seen_since"])


def _count_rows() -> None:
    """Let the database see how its rows lie after a first load: it chooses indexes by that."""
    try:
        with connection.cursor() as cursor:
            for model in (PortCall, Vessel, Change, Stay):
                cursor.execute(f"ANALYZE {connection.ops.quote_name(model._meta.db_table)}")
    except DatabaseError as error:  # busy: the refresh is done all the same
        log.warning("rows were not counted: %s", error)


class Answer:
    """What an answer says of one port, beside what is stored of it."""

    def __init__(self, port: Port, reports: Sequence[CallReport]) -> None:
        self.port = port
        self.last_look = port.last_look()
        self.counts = Tally(calls=len(reports))
        listed = dict(port.calls.listed().values_list("digest", "id"))
        told = {report.digest: report for report in reports}
        self.news = [report for digest, report in told.items() if digest not in listed]
        self.known = {call for digest, call in listed.items() if digest in told}
        """The calls that stand there as they did before."""
        self.absent = set(listed.values()) - self.known
        """Those that do not; some of them are among the news."""
