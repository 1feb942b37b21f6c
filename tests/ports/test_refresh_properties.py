"""Whatever a feed tells, in whatever order: its history holds together."""

from collections import Counter
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.django import TestCase

from ports.models import Change, PortCall, Refresh, Stay
from ports.snapshot import CallReport, Ship, Status, StayReport
from ports.sources import registry
from tests.ports.told import BOTH, Teller, hour

SHIPS = (
    Ship("ALPHA", call_sign="AAAA"),
    Ship("ALPHA", imo="9811000", call_sign="AAAA"),
    Ship("BETA", call_sign="BBBB"),
    Ship("BETA", call_sign="BBBB", mmsi="235011250"),
    Ship("Nameless"),
)
BERTHS = ("Pier 1", "PIER 1", "Anchorage")
hours = st.integers(-40, 60).map(hour)
stays = st.lists(st.builds(StayReport, st.sampled_from(BERTHS), ata=st.none() | hours), max_size=2).map(tuple)


@st.composite
def reports(draw: Any) -> CallReport:
    status = draw(st.sampled_from([Status.EXPECTED, Status.IN_PORT, Status.DEPARTED, Status.CANCELLED]))
    has_come = status in (Status.IN_PORT, Status.DEPARTED)
    return CallReport(
        port=draw(st.sampled_from(["XXAAA", "XXBBB"])),
        ship=draw(st.sampled_from(SHIPS)),
        status=status,
        eta=draw(st.none() | hours),
        etd=draw(st.none() | hours),
        ata=draw(st.none() | hours) if has_come else None,
        atd=draw(st.none() | hours) if status == Status.DEPARTED else None,
        stays=draw(stays),
    )


def numbered(told: list[CallReport]) -> list[CallReport]:
    """The same as a source with numbers of its own tells it: one for each ship and port."""
    from dataclasses import replace

    return list({(one.ship.name, one.port): replace(one, key=f"{one.ship.name}-{one.port}") for one in told}.values())


answers = st.tuples(st.lists(reports(), max_size=5), st.sampled_from([BOTH, frozenset(), frozenset({Status.EXPECTED})]))


class History(TestCase):
    @pytest.fixture(autouse=True)
    def _run_dir(self, settings: Any, tmp_path: Any) -> Any:
        settings.RUN_DIR = tmp_path
        yield
        registry().pop("told", None)

    @settings(max_examples=200)
    @given(st.lists(answers, min_size=1, max_size=6), st.booleans(), st.booleans())
    def test_any_sequence_of_answers_gives_a_history_that_holds_together(
        self, told: list[tuple[list[CallReport], frozenset[Status]]], has_keys: bool, has_whole_stays: bool
    ) -> None:
        teller = Teller.make()
        for reports, complete in told:
            calls = numbered(reports) if has_keys else reports
            result = teller.tell(*calls, complete=complete, has_whole_stays=has_whole_stays)
            assert result.refresh, result.error
            assert result.refresh.is_good
            _counts_are_those_of_the_log(result.refresh)
            again = teller.tell(*calls, complete=complete, has_whole_stays=has_whole_stays)
            assert again.outcome == Refresh.Outcome.UNCHANGED
            _what_is_told_is_listed(calls)
        _each_change_begins_where_the_last_ended()
        _nobody_is_twice_in_port()
        _only_who_was_told_to_leave_has_left([report for reports, _ in told for report in reports])
        _moments_are_in_order_or_doubtful()
        _stays_follow_each_other()


def _counts_are_those_of_the_log(refresh: Refresh) -> None:
    for locode, counts in refresh.counts.items():
        logged = Change.objects.filter(refresh=refresh, port__locode=locode)
        if not logged and not Change.objects.filter(port__locode=locode).exists():
            continue  # the first load leaves no log
        moved = {change.call_id for change in logged}
        assert len(moved) == counts["new"] + counts["changed"] + counts["departed"] + counts["gone"]


def _what_is_told_is_listed(told: list[CallReport]) -> None:
    """Each of them by the digest of its report; of those that are one visit told twice, one."""
    listed = Counter(PortCall.objects.listed().values_list("port__locode", "digest"))
    once = [report for report in told if report.status != Status.IN_PORT]
    assert {(report.port, report.digest) for report in once} <= set(listed)


def _each_change_begins_where_the_last_ended() -> None:
    known: dict[tuple[int, str], str] = {}
    for change in Change.objects.order_by("id"):
        place = (change.call_id, change.field)
        if place in known and change.field == "status":
            assert change.was == known[place]
        known[place] = change.became
    for (call, name), became in known.items():
        if name == "status":
            assert PortCall.objects.get(pk=call).status == became


def _nobody_is_twice_in_port() -> None:
    here = Counter(PortCall.objects.in_port().values_list("vessel", "port"))
    assert all(count == 1 for count in here.values())


def _only_who_was_told_to_leave_has_left(told: list[CallReport]) -> None:
    left = {(report.ship.name, report.port) for report in told if report.status == Status.DEPARTED}
    for call in PortCall.objects.departed().select_related("vessel", "port"):
        assert (call.vessel.name, call.port.locode) in left


def _moments_are_in_order_or_doubtful() -> None:
    for call in PortCall.objects.all():
        assert call.is_doubtful or not (call.ata and call.atd and call.ata > call.atd)


def _stays_follow_each_other() -> None:
    for call in PortCall.objects.all():
        stays = list(Stay.objects.filter(call=call))
        assert [stay.position for stay in stays] == list(range(len(stays)))
        is_closed = call.status not in ("expected", "in_port")
        begun = [number for number, stay in enumerate(stays) if stay.ata or stay.atd or not stay.eta]
        for number, stay in enumerate(stays):
            has_moved_on = call.status == "in_port" and number < max(begun, default=0)
            assert (stay.seen_until is not None) == (is_closed or has_moved_on or stay.atd is not None)
