"""What a snapshot changes in one port, worked out before anything is written: rows, and the Changes that tell of it."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from iotsite.bulk import chunks, insert_all, update_all
from ports.berths import Berths
from ports.matching import pair
from ports.models import Change, Port, PortCall, Refresh, Stay
from ports.register import Register
from ports.snapshot import OPEN, CallReport, Snapshot, Status
from ports.stays import CAME, MOMENTS, facts, has_begun, overlap, stays_of, where

TOLD = ("eta", "etd", "ata", "atd", "pilot_ordered_at", "leaves_at", "agent", "previous_port", "next_port")
"""The fields that a call takes over from its report as they are."""
CLOSED_LATELY = timedelta(days=14)
"""So long after it was seen last a call may still turn out to be what a report tells of."""
FORGOTTEN_AFTER = timedelta(days=30)
"""An open call of which its feed has said nothing for so long tells nothing of now. Pilots speak of a ship only when
she moves, and some lie at anchor for weeks."""


@dataclass
class Tally:
    """What became of the calls of one port. A call counts once: as new, departed, gone or else changed."""

    calls: int = 0
    new: int = 0
    changed: int = 0
    departed: int = 0
    gone: int = 0
    fields: Counter[str] = field(default_factory=Counter)

    def as_json(self) -> dict[str, Any]:
        return {**vars(self), "fields": dict(self.fields)}

    @property
    def is_nothing(self) -> bool:
        return not (self.new or self.changed or self.departed or self.gone)


class Ledger:
    """The rows that some reports of one port make and change."""

    def __init__(
        self, port: Port, snapshot: Snapshot, last_look: datetime | None, counts: Tally, *, is_logged: bool = True
    ) -> None:
        self.port, self.snapshot, self.at, self.last_look = port, snapshot, snapshot.at, last_look
        self.counts = counts
        self.is_logged = is_logged
        """That a first load finds everything new is no news."""
        self.is_stale = last_look is not None and self.at - last_look > CLOSED_LATELY
        """The last look was so long ago that open calls are of other visits, unless a moment says otherwise."""
        self.changes: list[Change] = []
        self._new: list[PortCall] = []
        self._changed: list[tuple[PortCall, tuple[str, ...]]] = []
        """Calls, and their fields to write: no more, since each has its index."""
        self._stays: list[Stay] = []
        self._dropped_stays: list[int] = []
        self._berths = Berths(port, self.at)
        self.matched: set[int] = set()
        """The calls that a report was found to tell of."""

    # --- reports --------------------------------------------------------------------------------------------

    def take(self, reports: Sequence[CallReport], register: Register, known: Iterable[int]) -> None:
        """Enter what ``reports`` say. ``known`` are the calls that stand in this answer as they did in the last."""
        pairs = [(report, call, register.vessel_of(report.ship)) for report, call in self._keyed(reports)]
        pairs += self._keyless([report for report in reports if not report.key], register, set(known))
        stays = stays_of([call for _, call, _ in pairs if call])
        for report, call, vessel in pairs:
            if call is None:
                self._enter(report, vessel)
            else:
                self.matched.add(call.pk)
                self._update(call, report, vessel, stays.get(call.pk, []))

    def _keyed(self, reports: Sequence[CallReport]) -> list[tuple[CallReport, PortCall | None]]:
        told = {report.key: report for report in reports if report.key}
        stored: dict[str, PortCall] = {}
        for chunk in chunks(told):
            stored |= {call.key: call for call in self._calls().filter(key__in=chunk)}
        return [(report, stored.get(key)) for key, report in told.items()]

    def _keyless(
        self, reports: Sequence[CallReport], register: Register, known: set[int]
    ) -> list[tuple[CallReport, PortCall | None, Any]]:
        by_vessel: dict[int, tuple[Any, list[CallReport]]] = {}
        for report in reports:
            vessel = register.vessel_of(report.ship)
            by_vessel.setdefault(id(vessel), (vessel, []))[1].append(report)
        stored = self._lately([vessel.pk for vessel, _ in by_vessel.values() if vessel.pk])
        pairs: list[tuple[CallReport, PortCall | None, Any]] = []
        for vessel, told in by_vessel.values():
            calls = stored.get(vessel.pk, [])
            is_in_port = any(call.pk in known and call.status == Status.IN_PORT for call in calls)
            free = [call for call in calls if call.pk not in known]
            one_visit = _at_one_time_in_port(told, is_in_port)
            found = pair(one_visit, free, self.last_look, is_stale=self.is_stale)
            pairs += [(report, call, vessel) for report, call in found]
            if any(report.status == Status.IN_PORT for report in one_visit):
                self._overtake(call for call in free if call not in [paired for _, paired in found])
        return pairs

    def _overtake(self, calls: Iterable[PortCall]) -> None:
        """A vessel is on another visit: how the one before ended, nobody saw."""
        for call in calls:
            if call.status == Status.IN_PORT:
                self.matched.add(call.pk)
                self._lose(call, is_gone=True)

    def _calls(self) -> Any:
        return PortCall.objects.filter(port=self.port).select_related("vessel", "berth")

    def _lately(self, vessels: list[int]) -> dict[int, list[PortCall]]:
        """The calls of these vessels that are open, or were seen lately."""
        found: dict[int, list[PortCall]] = {}
        for chunk in chunks(vessels):
            # Not asked by port: SQLite would go through all calls of the port, where a vessel has few.
            theirs = PortCall.objects.filter(vessel__in=chunk, key="").select_related("vessel", "berth")
            lately = theirs.filter(last_seen_at__gte=self.at - CLOSED_LATELY)
            for call in {*theirs.filter(last_seen_at=None), *theirs.filter(status__in=OPEN), *lately}:
                if call.port_id == self.port.pk:
                    found.setdefault(call.vessel_id, []).append(call)
        return found

    # --- calls ----------------------------------------------------------------------------------------------

    def _enter(self, report: CallReport, vessel: Any) -> None:
        call = PortCall.new(port=self.port, vessel=vessel, key=report.key, first_seen_at=self.at)
        self._tell(call, report)
        self._new.append(call)
        self._stay(call, report, [], is_whole=True)
        self._note(call, "status", "", report.status)
        self.counts.new += 1

    def _update(self, call: PortCall, report: CallReport, vessel: Any, stays: list[Stay]) -> None:
        was = {name: getattr(call, name) for name in ("status", *TOLD, "berth", "last_seen_at", "vessel")}
        was_named = call.vessel.name
        self._tell(call, report)
        call.last_seen_at = None
        is_planned = was["status"] == Status.EXPECTED
        self._stay(call, report, stays, is_whole=self.snapshot.has_whole_stays or is_planned)
        call.vessel = vessel
        differ = [name for name, value in was.items() if getattr(call, name) != value]
        moved = self._note_moves(call, was, differ)
        if "vessel" in differ or was_named != vessel.name:
            moved.append("vessel")
            self._note(call, "vessel", was_named, vessel.name)
        self._changed.append((call, (*differ, "digest", "is_doubtful")))
        if call.status != was["status"] and call.status == Status.DEPARTED:
            self.counts.departed += 1
        elif moved:
            self.counts.changed += 1
            self.counts.fields.update(moved)

    def _tell(self, call: PortCall, report: CallReport) -> None:
        """Take over what the report says. A closed call keeps the moments of which its source speaks no more."""
        for name in TOLD:
            told = getattr(report, name)
            if told or name in ("leaves_at", "pilot_ordered_at") or report.status == Status.EXPECTED:
                setattr(call, name, told)
        call.status, call.digest = report.status, report.digest
        call.is_doubtful = _is_doubtful(call)

    def _note_moves(self, call: PortCall, was: dict[str, Any], differ: list[str]) -> list[str]:
        """A Change for each field that moved; their names. An arrival or departure tells its own moment and berth."""
        names = [name for name in differ if name not in ("last_seen_at", "vessel")]
        if "status" in names:
            names = [name for name in names if name in ("status", "eta", "etd") or (name == "berth" and was["berth"])]
        for name in names:
            self._note(call, name, was[name], getattr(call, name))
        return names

    def _note(self, call: PortCall, name: str, was: object, became: object) -> None:
        if self.is_logged:
            self.changes.append(
                Change.new(
                    port=self.port, call=call, field=name, was=as_text(was), became=as_text(became), seen_at=self.at
                )
            )

    def lose(self, calls: Iterable[int]) -> None:
        """Enter that these calls, which stood in the last answer, do not stand in this one."""
        for chunk in chunks(calls):
            for call in self._calls().filter(id__in=chunk):
                if self._is_asked_for(call):
                    self._lose(call, is_gone=self._is_gone(call))

    def forget(self) -> None:
        """Enter that open calls which left the feed long ago, and whose end it never told, are gone."""
        for call in self._calls().forgotten(self.at - FORGOTTEN_AFTER):
            if call.pk not in self.matched and self._is_asked_for(call):
                self._lose(call, is_gone=True)

    def _is_asked_for(self, call: PortCall) -> bool:
        """Whether no file is missing that would tell of it."""
        return not self.snapshot.missing or Status(call.status) in self.snapshot.complete

    def _lose(self, call: PortCall, *, is_gone: bool) -> None:
        if is_gone:
            self._note(call, "status", call.status, Status.GONE)
            call.status = Status.GONE
            self.counts.gone += 1
        call.last_seen_at = call.last_seen_at or self.last_look or self.at
        self._changed.append((call, ("status", "last_seen_at")))
        if call.status not in OPEN:
            self._end_stays(call)

    def _is_gone(self, call: PortCall) -> bool:
        if call.status not in OPEN or Status(call.status) not in self.snapshot.complete:
            return False
        bounds = (self.snapshot.eta_from, self.snapshot.eta_to)
        if bounds == (None, None):
            return True
        return call.eta is not None and all(
            (bounds[0] is None or bounds[0] <= call.eta, bounds[1] is None or call.eta <= bounds[1])
        )

    # --- stays ----------------------------------------------------------------------------------------------

    def _stay(self, call: PortCall, report: CallReport, stored: list[Stay], *, is_whole: bool) -> None:
        """Bring the stays of ``call`` to what the report says, and say where she is."""
        told = [(self._berths.berth(stay), stay) for stay in report.stays]
        if report.status == Status.DEPARTED and not is_whole:
            # Where she lay last, which is not where she was seen last on her way out.
            told = [
                (berth, stay) for berth, stay in told if berth.key not in {known.berth.key for known in stored[:-1]}
            ]
        before = {stay.pk: facts(stay) for stay in stored}
        start = 0 if is_whole else len(stored) - overlap(stored, [berth for berth, _ in told])
        stays = stored[:start]
        for position, (berth, report_of_it) in enumerate(told, start):
            if position < len(stored):
                stay = stored[position]
            else:
                stay = Stay.new(call=call, position=position, berth=berth, seen_from=self.at)
            if stay.berth.key != berth.key:
                stay.berth, stay.seen_from, stay.seen_until = berth, self.at, None
            for name in MOMENTS:
                setattr(stay, name, getattr(report_of_it, name) or (None if is_whole else getattr(stay, name)))
            if position and stay.ata == call.ata:
                stay.ata = None  # that is when she came to the port, not to her second berth
            stays.append(stay)
        self._dropped_stays += [stay.pk for stay in stored[len(stays) :]]
        begun = [number for number, stay in enumerate(stays) if has_begun(stay)] if call.status in CAME else []
        for number, stay in enumerate(stays):
            is_over = call.status not in OPEN or bool(stay.atd) or (bool(begun) and number < begun[-1])
            stay.seen_until = (stay.seen_until or stay.atd or self.at) if is_over else None
        self._stays += [stay for stay in stays if stay.pk is None or before[stay.pk] != facts(stay)]
        if stays:
            call.berth = where(call, stays).berth

    def _end_stays(self, call: PortCall) -> None:
        for stay in call.stays.filter(seen_until=None):
            stay.seen_until = stay.atd or self.at
            self._stays.append(stay)

    # --- writing --------------------------------------------------------------------------------------------

    def save(self, refresh: Refresh | None) -> None:
        """Write it all; within a transaction."""
        self._berths.save()
        Stay.objects.filter(pk__in=self._dropped_stays).delete()
        self._save_changed()
        insert_all(self._new)
        update_all([stay for stay in self._stays if stay.pk], "berth", "seen_from", "seen_until", *MOMENTS)
        insert_all([stay for stay in self._stays if not stay.pk])
        for change in self.changes:
            change.refresh = refresh
        insert_all(self.changes)

    def _save_changed(self) -> None:
        """The closed calls first: they make room for others of their vessels."""
        alike: dict[tuple[bool, tuple[str, ...]], list[PortCall]] = {}
        for call, names in self._changed:
            alike.setdefault((call.status in OPEN, names), []).append(call)
        for kind in sorted(alike):
            update_all(alike[kind], *kind[1])


def as_text(value: object) -> str:
    """A field as a Change keeps it."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value or "")[:160]


def _at_one_time_in_port(reports: Sequence[CallReport], is_in_port: bool) -> list[CallReport]:
    """A vessel lies in a port once at a time: where a feed has her there twice, the later arrival counts."""
    here = [report for report in reports if report.status == Status.IN_PORT]
    latest = max(here, key=lambda report: report.ata.timestamp() if report.ata else 0.0, default=None)
    return [report for report in reports if report.status != Status.IN_PORT or (report is latest and not is_in_port)]


def _is_doubtful(call: PortCall) -> bool:
    """Whether she left before she came."""
    return bool((call.ata and call.atd and call.ata > call.atd) or (call.eta and call.etd and call.eta > call.etd))
