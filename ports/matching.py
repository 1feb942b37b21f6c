"""Which stored call a report tells of, where the source gives its calls no number of their own. Pure.

One open call for a vessel and port: a due row updates the expected call or opens the next one, an arrival turns it,
a departure closes the one in port. An ETA says nothing about which call it is: it moves.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from functools import partial

from ports.models import PortCall
from ports.snapshot import CallReport, Status

SAME_DEPARTURE = timedelta(hours=6)
"""Departures of one vessel that lie closer together are one, put right."""
EARLY = timedelta(hours=12)
"""A vessel that left was expected this long after at most."""

_ORDER = {Status.CANCELLED: 0, Status.DEPARTED: 1, Status.IN_PORT: 2, Status.EXPECTED: 3}

Test = Callable[[CallReport, PortCall], bool]


def pair(
    reports: Sequence[CallReport], stored: Sequence[PortCall], last_look: datetime | None, *, is_stale: bool = False
) -> list[tuple[CallReport, PortCall | None]]:
    """The stored call of each report, None for a new one. All are of one vessel and port.

    ``last_look`` is the moment of the last answer before: who was in port then and arrived later is on another visit.
    ``is_stale``: that was long ago, so that only the moment of an arrival or departure says which call it is.
    """
    free = list(stored)
    due = [report.eta for report in reports if report.status == Status.EXPECTED and report.eta]
    pairs: list[tuple[CallReport, PortCall | None]] = []
    for report in sorted(reports, key=lambda report: (_ORDER[report.status], _seconds(report.eta))):
        found = _first(report, sorted(free, key=partial(_distance, report)), last_look, due, is_stale=is_stale)
        if found:
            free.remove(found)
        pairs.append((report, found))
    return pairs


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _distance(report: CallReport, call: PortCall) -> tuple[float, int]:
    """How far apart the two are in time; of calls as far the earlier one."""
    told, known = report.ata or report.atd or report.eta, call.ata or call.atd or call.eta
    return abs(_seconds(told) - _seconds(known)) if told and known else 0.0, call.pk


def _first(
    report: CallReport,
    free: Sequence[PortCall],
    last_look: datetime | None,
    due: Sequence[datetime],
    *,
    is_stale: bool,
) -> PortCall | None:
    if not free:
        return None

    def is_same_visit(report: CallReport, call: PortCall) -> bool:
        return not (report.ata and call.ata and last_look and report.ata > last_look >= call.ata)

    def is_this_voyage(report: CallReport, call: PortCall) -> bool:
        """Expected, and not rather the next one, of which a due row still tells."""
        came = report.ata or report.atd
        if call.status != Status.EXPECTED or came is None or call.eta is None:
            return call.status == Status.EXPECTED
        return not any(abs(eta - call.eta) < abs(came - call.eta) for eta in due)

    tests: dict[Status, Sequence[Test]] = {
        Status.EXPECTED: (_is(Status.EXPECTED), _was_expected),
        Status.IN_PORT: (_both(_is(Status.IN_PORT), is_same_visit), is_this_voyage, _was_expected),
        Status.DEPARTED: (
            *(_both(_is(Status.IN_PORT), _could_leave), _left_about_then),
            *(_both(is_this_voyage, _could_leave), _both(_is(Status.GONE), _could_leave)),
        ),
        Status.CANCELLED: (_is(Status.CANCELLED), _is(Status.EXPECTED), _was_expected),
    }
    certain = (_left_then, _arrived_then) if report.status in (Status.IN_PORT, Status.DEPARTED) else ()
    for test in (*certain, *(() if is_stale else tests[report.status])):
        for call in free:
            if test(report, call):
                return call
    return None


def _is(status: Status) -> Test:
    return lambda report, call: call.status == status


def _both(one: Test, other: Test) -> Test:
    return lambda report, call: one(report, call) and other(report, call)


def _was_expected(report: CallReport, call: PortCall) -> bool:
    """It was gone before she arrived, and is back."""
    return call.status == Status.GONE and call.ata is None


def _arrived_then(report: CallReport, call: PortCall) -> bool:
    return report.ata is not None and report.ata == call.ata


def _left_then(report: CallReport, call: PortCall) -> bool:
    return report.atd is not None and report.atd == call.atd


def _left_about_then(report: CallReport, call: PortCall) -> bool:
    if call.status != Status.DEPARTED:
        return False
    left, known = report.atd or report.etd, call.atd or call.etd
    if left is None or known is None:  # pilotage tells of departures without a moment
        return call.last_seen_at is None
    return abs(left - known) <= SAME_DEPARTURE


def _could_leave(report: CallReport, call: PortCall) -> bool:
    """Whether she was there, or was due about then, when she left."""
    if report.atd is None:
        return True
    if call.ata:
        return call.ata <= report.atd
    return call.eta is None or call.eta <= report.atd + EARLY
