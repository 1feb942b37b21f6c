"""What becomes of the lists when a feed tells something: seen from the outside, by its calls and their changes."""

from datetime import timedelta
from typing import Any

import pytest
from django.db import IntegrityError, connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from ports.freshness import at_hand
from ports.ledger import Ledger
from ports.models import Change, Port, PortCall, Refresh, Vessel
from ports.refresh import FeedBusyError, RefreshError, alone, next_at, refresh, replay
from ports.snapshot import CallReport, Ship, Status, StayReport, VesselType
from tests.ports.told import Teller, call, hour, ship, told

EXPECTED, IN_PORT, DEPARTED, GONE = Status.EXPECTED, Status.IN_PORT, Status.DEPARTED, Status.GONE
OLD = call(IN_PORT, "OLD LADY", ata=hour(-500))


def calls(name: str = "EVER GIVEN") -> list[PortCall]:
    return list(PortCall.objects.filter(vessel__name=name).order_by("id"))


def statuses(name: str = "EVER GIVEN") -> list[str]:
    return [call.status for call in calls(name)]


def moves(name: str = "EVER GIVEN") -> list[tuple[str, str, str]]:
    changes = Change.objects.filter(call__vessel__name=name).order_by("id")
    return [(change.field, change.was, change.became) for change in changes]


# --- what is new, and what is not ---------------------------------------------------------------------------


def test_a_first_load_is_no_news(feed: Teller) -> None:
    result = feed.tell(call(eta=hour(20)), call(IN_PORT, "MOL TRIUMPH", ata=hour(-3)))
    assert result.counts["XXAAA"].new == 2
    assert not Change.objects.exists()
    assert feed.feed.ports.get(locode="XXAAA").loaded_at


def test_what_is_told_twice_writes_a_refresh_and_nothing_else(known: Teller) -> None:
    told = [OLD, call(eta=hour(20), stays=(StayReport("Pier 1", eta=hour(20)),))]
    known.tell(*told)
    with CaptureQueriesContext(
        connection,
    ) as queries:
        result = known.tell(*told)
    written = [query["sql"] for query in queries if query["sql"].startswith(("INSERT", "UPDATE", "DELETE"))]
    assert [sql.split()[2] for sql in written] == ['"ports_refresh"']
    assert result.outcome == Refresh.Outcome.UNCHANGED
    assert result.counts["XXAAA"].is_nothing


def test_a_moved_eta_is_a_change_of_the_same_call(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(20)))
    result = known.tell(OLD, call(eta=hour(23)))
    assert statuses() == [EXPECTED]
    assert moves()[1:] == [("eta", "2026-01-11T08:00:00Z", "2026-01-11T11:00:00Z")]
    assert result.counts["XXAAA"].as_json() == {
        **{"calls": 2, "new": 0, "changed": 1, "departed": 0, "gone": 0},
        "fields": {"eta": 1},
    }


def test_a_call_is_followed_from_expected_to_departed(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(2)))
    known.tell(OLD, call(IN_PORT, ata=hour(2.5)))
    known.tell(OLD, call(DEPARTED, atd=hour(9)), at=10)
    (one,) = calls()
    assert (one.eta, one.ata, one.atd, one.status) == (hour(2), hour(2.5), hour(9), DEPARTED)
    assert moves() == [("status", "", EXPECTED), ("status", EXPECTED, IN_PORT), ("status", IN_PORT, DEPARTED)]


def test_a_dry_run_tells_what_would_change_and_writes_nothing(known: Teller) -> None:
    result = known.tell(OLD, call(eta=hour(20)), dry_run=True)
    assert [str(change) for change in result.changes] == ["EVER GIVEN at Alpha: status none → expected"]
    assert result.refresh is None
    assert not calls()
    assert Refresh.objects.count() == 1


# --- one ship, several calls --------------------------------------------------------------------------------


def test_a_ship_that_left_and_is_due_again_has_two_calls(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(DEPARTED, ata=hour(-5), atd=hour(1.5)), call(eta=hour(30)))
    assert statuses() == [DEPARTED, EXPECTED]


def test_a_ship_that_is_in_port_and_due_again_has_two_calls(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(1)))
    known.tell(OLD, call(IN_PORT, ata=hour(1)), call(eta=hour(40)))
    assert statuses() == [IN_PORT, EXPECTED]


def test_a_ship_that_left_and_came_back_between_two_looks_has_two_calls(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(DEPARTED, atd=hour(5)), call(IN_PORT, ata=hour(9)), at=10)
    assert statuses() == [DEPARTED, IN_PORT]


def test_an_arrival_after_the_last_look_is_another_visit(known: Teller) -> None:
    """Nobody saw her leave: the old call is gone from the feed, never departed."""
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(IN_PORT, ata=hour(20)), at=24)
    assert statuses() == [GONE, IN_PORT]


def test_another_visit_ends_one_that_was_not_told_of_for_a_while(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, complete=frozenset())
    known.tell(OLD, call(IN_PORT, ata=hour(20)), at=24)
    assert statuses() == [GONE, IN_PORT]


def test_an_arrival_that_is_put_right_is_the_same_visit(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(IN_PORT, ata=hour(-6)))
    assert statuses() == [IN_PORT]
    assert moves()[1:] == [("ata", "2026-01-10T07:00:00Z", "2026-01-10T06:00:00Z")]


def test_a_departure_that_is_told_for_long_is_one(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    for _ in range(3):
        known.tell(OLD, call(DEPARTED, atd=hour(1.5)))
    known.tell(OLD, call(DEPARTED, atd=hour(1.7)))
    known.tell(OLD)
    assert statuses() == [DEPARTED]


def test_a_departure_without_a_moment_that_is_told_otherwise_is_one(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT))
    known.tell(OLD, call(DEPARTED, agent="one"))
    known.tell(OLD, call(DEPARTED, agent="other"), call(eta=hour(90)))
    assert statuses() == [DEPARTED, EXPECTED]


def test_a_ship_told_in_port_twice_lies_there_once(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-9), agent="one"), call(IN_PORT, ata=hour(-2), agent="other"))
    assert [(call.ata, call.agent) for call in calls()] == [(hour(-2), "other")]


def test_of_two_calls_that_are_due_the_nearer_one_moved(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(3)), call(eta=hour(90)))
    known.tell(OLD, call(eta=hour(95)))
    assert [(call.status, call.eta) for call in calls()] == [(GONE, hour(3)), (EXPECTED, hour(95))]


def test_a_ship_that_came_unannounced_is_not_the_one_due_in_weeks(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(300)))
    known.tell(OLD, call(IN_PORT, ata=hour(1.5)), call(eta=hour(301)))
    assert [(call.status, call.eta) for call in calls()] == [(EXPECTED, hour(301)), (IN_PORT, None)]


def test_after_months_without_a_look_a_ship_that_is_due_is_on_another_voyage(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(20)))
    known.tell(OLD, call(eta=hour(3000)), at=2990)
    assert [(call.status, call.eta) for call in calls()] == [(GONE, hour(20)), (EXPECTED, hour(3000))]
    assert statuses("OLD LADY") == [IN_PORT]


def test_after_months_off_a_port_is_as_old_as_its_own_last_look(known: Teller) -> None:
    """Its feed went on for the other port."""
    alpha, beta = known.feed.ports.order_by("locode")
    known.tell(OLD, call(eta=hour(20)), at=1)
    Port.objects.filter(pk=alpha.pk).update(is_enabled=False)
    known.tell(call(name="OTHER", port=beta.locode), at=2989, ports=[beta])
    looks = {port.locode: port.good_as_of for port in at_hand(Port.objects.filter(feed=known.feed))}
    assert looks == {alpha.locode: hour(1), beta.locode: hour(2989)}

    known.tell(OLD, call(eta=hour(3000)), at=2990)
    assert [(call.status, call.eta, call.last_seen_at) for call in calls()] == [
        (GONE, hour(20), hour(1)),
        (EXPECTED, hour(3000), None),
    ]


def test_two_ships_of_one_name_stay_two(known: Teller) -> None:
    one, other = ship("YUNNAN", call_sign="9V9911"), ship("YUNNAN", call_sign="VROI7")
    known.tell(OLD, call(ship=one, eta=hour(9)), call(ship=other, eta=hour(19)))
    known.tell(OLD, call(ship=one, eta=hour(10)), call(ship=other, eta=hour(19)))
    assert [(call.vessel.call_sign, call.eta) for call in calls("YUNNAN")] == [
        ("9V9911", hour(10)),
        ("VROI7", hour(19)),
    ]


def test_two_calls_of_a_source_that_numbers_them_are_kept_apart(known: Teller) -> None:
    known.tell(OLD, call(key="1", eta=hour(9)), call(key="2", eta=hour(99)))
    known.tell(OLD, call(key="1", eta=hour(9)), call(key="2", eta=hour(98)))
    assert [(call.key, call.eta) for call in calls()] == [("1", hour(9)), ("2", hour(98))]


# --- absence ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [EXPECTED, IN_PORT])
def test_a_ship_that_vanishes_is_gone_from_the_feed_and_never_departed(known: Teller, status: Status) -> None:
    known.tell(OLD, call(status, ata=hour(-1) if status == IN_PORT else None))
    result = known.tell(OLD)
    assert statuses() == [GONE]
    assert calls()[0].last_seen_at == hour(1)
    assert result.counts["XXAAA"].gone == 1


def test_a_ship_that_vanished_and_is_back_is_the_same_call(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(30)))
    known.tell(OLD)
    known.tell(OLD, call(eta=hour(31)))
    assert statuses() == [EXPECTED]
    assert calls()[0].last_seen_at is None


def test_absence_says_nothing_where_the_feed_is_not_complete(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(30)))
    known.tell(OLD, complete=frozenset({IN_PORT}))
    assert statuses() == [EXPECTED]


def test_absence_says_nothing_outside_the_etas_that_were_asked_for(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(30)), call(name="MOL TRIUMPH", eta=hour(90)))
    known.tell(OLD, eta_to=hour(48), eta_from=hour(0))
    assert (statuses(), statuses("MOL TRIUMPH")) == ([GONE], [EXPECTED])


@pytest.mark.parametrize("status", [EXPECTED, IN_PORT])
def test_of_whom_a_feed_told_nothing_for_a_month_is_gone_too(known: Teller, status: Status) -> None:
    known.tell(OLD, call(status, eta=hour(30), stays=(StayReport("Pier 7"),)))
    known.tell(OLD, complete=frozenset())
    known.tell(OLD, complete=frozenset(), at=30 * 24)
    assert statuses() == [status]
    known.tell(OLD, complete=frozenset(), missing=("due",), at=30 * 24 + 2)
    assert statuses() == [status], "nobody was asked"
    result = known.tell(OLD, complete=frozenset(), at=30 * 24 + 3)
    assert statuses() == [GONE]
    assert calls()[0].last_seen_at == hour(1)
    assert not calls()[0].stays.filter(seen_until=None).exists()
    assert result.counts["XXAAA"].gone == 1
    assert known.tell(OLD, complete=frozenset()).counts["XXAAA"].is_nothing


def test_who_is_forgotten_is_not_looked_for_among_all_that_ever_left(known: Teller) -> None:
    asked = PortCall.objects.filter(port=known.feed.ports.first()).forgotten(hour(0)).explain()
    assert "calls_by_" in asked
    assert "calls_that_left" not in asked


def test_a_file_that_was_not_there_says_nothing(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(30)))
    known.tell(OLD, complete=frozenset({IN_PORT}), missing=("due",))
    result = known.tell(OLD, call(eta=hour(30)))
    assert result.counts["XXAAA"].is_nothing


def test_a_departure_that_is_told_no_more_stays_a_departure(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(DEPARTED, atd=hour(1.5)))
    result = known.tell(OLD)
    assert statuses() == [DEPARTED]
    assert result.counts["XXAAA"].is_nothing


# --- berths -------------------------------------------------------------------------------------------------


def at(*berths: str) -> dict[str, object]:
    return {"stays": tuple(StayReport(berth) for berth in berths)}


def test_a_ship_that_moves_keeps_the_berths_she_had(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Anchorage 1")))
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Pier 7")))
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Anchorage 1", "Pier 7")))
    (one,) = calls()
    assert [(stay.berth.name, stay.seen_until) for stay in one.stays.all()] == [
        ("Anchorage 1", hour(2)),
        ("Pier 7", None),
    ]
    assert one.berth
    assert one.berth.name == "Pier 7"
    assert moves()[1:] == [("berth", "Anchorage 1", "Pier 7")]


def test_another_spelling_of_a_berth_is_the_same_berth(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("BERTH NO. 19 (TERMINAL 9)")))
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("BERTH NO.19 (TERMINAL9)")))
    (one,) = calls()
    assert moves()[1:] == []
    assert one.berth
    assert [known.name for known in one.berth.names.all()] == ["BERTH NO. 19 (TERMINAL 9)", "BERTH NO.19 (TERMINAL9)"]


def test_a_berth_that_is_only_planned_does_not_end_the_stay_before(known: Teller) -> None:
    stays = (StayReport("Pier 1", ata=hour(-5)), StayReport("Pier 2", eta=hour(9)))
    known.tell(OLD, call(IN_PORT, key="1", ata=hour(-5), stays=stays), has_whole_stays=True)
    (one,) = calls()
    assert [stay.seen_until for stay in one.stays.all()] == [None, None]
    assert str(one.berth) == "Pier 1"


def test_no_stay_of_a_call_that_is_expected_has_ended(known: Teller) -> None:
    stays = (StayReport("Pier 1", eta=hour(5)), StayReport("Pier 2"))
    known.tell(OLD, call(key="1", eta=hour(5), stays=stays), has_whole_stays=True)
    assert [stay.seen_until for stay in calls()[0].stays.all()] == [None, None]


def test_planned_stays_are_replaced_by_what_came(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(3), **at("Pier 1")))
    known.tell(OLD, call(IN_PORT, ata=hour(2), **at("Pier 2")))
    assert [stay.berth.name for stay in calls()[0].stays.all()] == ["Pier 2"]


def test_the_last_berth_told_at_a_departure_is_not_a_way_back(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Pier 1")))
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Channel")))
    known.tell(OLD, call(DEPARTED, atd=hour(2.5), **at("Pier 1")))
    assert [stay.berth.name for stay in calls()[0].stays.all()] == ["Pier 1", "Channel"]


def test_the_arrival_at_the_port_is_not_that_at_the_second_berth(known: Teller) -> None:
    came = hour(-5)
    known.tell(OLD, call(IN_PORT, ata=came, stays=(StayReport("Pier 1", ata=came),)))
    known.tell(OLD, call(IN_PORT, ata=came, stays=(StayReport("Pier 2", ata=came),)))
    assert [stay.ata for stay in calls()[0].stays.all()] == [came, None]


def test_stays_end_when_the_ship_leaves(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5), **at("Pier 1")))
    known.tell(OLD, call(DEPARTED, atd=hour(1.5)))
    assert calls()[0].stays.get().seen_until == hour(2)


# --- vessels ------------------------------------------------------------------------------------------------

IMO = "9811000"


def test_an_imo_number_that_comes_later_is_the_same_ship(known: Teller) -> None:
    known.tell(OLD, call(ship=ship(call_sign="H3RC")))
    known.tell(OLD, call(IN_PORT, ship=ship(call_sign="H3RC", imo=IMO), ata=hour(1.5)))
    assert [(vessel.imo, vessel.call_sign) for vessel in Vessel.objects.filter(name="EVER GIVEN")] == [(IMO, "H3RC")]
    assert statuses() == [IN_PORT]


def test_two_vessels_that_turn_out_to_be_one_are_merged(known: Teller) -> None:
    known.tell(OLD, call(ship=Ship("EVER GIVEN", imo=IMO), port="XXBBB", key="7", eta=hour(90)), call(eta=hour(5)))
    assert Vessel.objects.filter(name="EVER GIVEN").count() == 2
    both = ship(imo=IMO)
    known.tell(OLD, call(ship=both, port="XXBBB", key="7", eta=hour(90)), call(IN_PORT, ship=both, ata=hour(1.5)))
    vessel = Vessel.objects.get(name="EVER GIVEN")
    assert (vessel.imo, vessel.call_sign) == (IMO, both.call_sign)
    assert [call.status for call in vessel.calls.order_by("port")] == [IN_PORT, EXPECTED]


def test_another_ship_with_her_call_sign_is_not_merged(known: Teller) -> None:
    known.tell(
        OLD, call(ship=Ship("EVER GIVEN", imo=IMO), port="XXBBB", key="7"), call(ship=ship("TUG", call_sign="X"))
    )
    known.tell(OLD, call(ship=Ship("EVER GIVEN", imo=IMO, call_sign="X"), port="XXBBB", key="7"))
    assert Vessel.objects.exclude(name="OLD LADY").count() == 2


def test_a_ship_that_changes_her_name_is_the_same_ship(known: Teller) -> None:
    known.tell(OLD, call(ship=Ship("OLD NAME", imo=IMO)))
    known.tell(OLD, call(ship=Ship("NEW NAME", imo=IMO)))
    vessel = Vessel.objects.get(imo=IMO)
    assert [name.name for name in vessel.names.all()] == ["OLD NAME", "NEW NAME"]
    assert moves("NEW NAME")[-1] == ("vessel", "OLD NAME", "NEW NAME")


def test_a_ship_that_changes_her_call_sign_is_found_by_the_old_one_too(known: Teller) -> None:
    known.tell(OLD, call(ship=ship(call_sign="OLD1", imo=IMO), eta=hour(50)))
    known.tell(OLD, call(ship=ship(call_sign="NEW1", imo=IMO), eta=hour(50)))
    known.tell(OLD, call(ship=ship(call_sign="OLD1"), eta=hour(51)))
    assert Vessel.objects.filter(name="EVER GIVEN").count() == 1
    assert statuses() == [EXPECTED]


def test_a_call_sign_that_another_ship_has_now_does_not_make_the_two_one(known: Teller) -> None:
    known.tell(OLD, call(ship=ship("FIRST", call_sign="SAME", imo=IMO), eta=hour(50)))
    known.tell(
        *(OLD, call(ship=ship("FIRST", call_sign="SAME", imo=IMO), eta=hour(50))),
        call(ship=ship("SECOND", call_sign="SAME", imo="9074729"), eta=hour(60)),
    )
    assert sorted(Vessel.objects.exclude(name="OLD LADY").values_list("name", "imo")) == [
        ("FIRST", IMO),
        ("SECOND", "9074729"),
    ]


def test_what_a_person_put_right_stays(known: Teller) -> None:
    known.tell(OLD, call(ship=ship(flag="PA")))
    Vessel.objects.filter(name="EVER GIVEN").update(flag="HK", corrected=["flag"])
    known.tell(OLD, call(ship=ship(flag="LR")))
    assert Vessel.objects.get(name="EVER GIVEN").flag == "HK"


def test_what_a_person_puts_right_in_the_middle_of_a_refresh_stays(
    known: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    known.tell(OLD, call(ship=ship(flag="PA")))

    def take(ledger: Ledger, *told: Any) -> None:
        take_over(ledger, *told)
        Vessel.objects.get(name="EVER GIVEN").correct(flag="HK")

    take_over = Ledger.take
    monkeypatch.setattr(Ledger, "take", take)
    known.tell(OLD, call(ship=ship(flag="LR", type=VesselType.BULK)))
    vessel = Vessel.objects.get(name="EVER GIVEN")
    assert (vessel.flag, vessel.type, vessel.corrected) == ("HK", VesselType.BULK, ["flag"])


def test_a_ship_without_any_number_is_known_by_her_name(known: Teller) -> None:
    nameless = Ship("Ferry 7")
    known.tell(OLD, call(ship=nameless, eta=hour(5)))
    known.tell(OLD, call(ship=nameless, eta=hour(6)))
    assert Vessel.objects.filter(name="Ferry 7").count() == 1


def test_a_type_that_comes_later_is_taken_over(known: Teller) -> None:
    known.tell(OLD, call(eta=hour(5)))
    known.tell(OLD, call(ship=ship(type=VesselType.CONTAINER, source_type="CONTAINER"), eta=hour(5)))
    assert Vessel.objects.get(name="EVER GIVEN").type == VesselType.CONTAINER


def test_one_ship_leaves_a_port_for_another_of_the_same_feed(known: Teller) -> None:
    known.tell(OLD, call(IN_PORT, ata=hour(-5)))
    known.tell(OLD, call(DEPARTED, atd=hour(1.5)), call(port="XXBBB", eta=hour(9)), call("expected", "NEW", "XXBBB"))
    assert {(call.port.locode, call.status) for call in calls()} == {("XXAAA", DEPARTED), ("XXBBB", EXPECTED)}
    assert Vessel.objects.filter(name="EVER GIVEN").count() == 1


# --- what goes wrong ----------------------------------------------------------------------------------------


def test_an_answer_that_cannot_be_read_leaves_the_list_as_it_was(known: Teller) -> None:
    result = replay(known.feed, {"told": b"<html>"}, hour(5))
    assert (result.outcome, result.error) == (Refresh.Outcome.FAILED, "told: this cannot be read.")
    assert [call.status for call in PortCall.objects.all()] == [IN_PORT]
    assert known.feed.last_good() != known.feed.last_refresh()


def test_recorded_files_leave_the_publisher_unasked(known: Teller) -> None:
    known.tell(OLD)
    assert known.feed.last_refresh()
    assert known.feed.last_asked() is None
    assert next_at(known.feed) < timezone.now()


def test_recorded_files_of_one_port_bring_all_that_are_on(known: Teller) -> None:
    one = known.feed.ports.get(locode="XXBBB")
    replay(known.feed, {"told": told([OLD, call()])}, hour(5), ports=[one])
    assert statuses() == [EXPECTED]


def test_nobody_is_asked_where_no_port_is_on(known: Teller) -> None:
    known.feed.ports.update(is_enabled=False)
    with pytest.raises(RefreshError, match="No port of told told is on"):
        refresh(known.feed)


def test_what_the_database_refuses_is_not_counted(known: Teller, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(ledger: Ledger, row: Refresh) -> None:
        raise IntegrityError("no")

    monkeypatch.setattr(Ledger, "save", refuse)
    result = known.tell(OLD, call())
    assert (result.outcome, result.counts, result.changes) == (Refresh.Outcome.FAILED, {}, [])


def test_what_is_not_understood_is_kept_once(known: Teller) -> None:
    result = known.tell(OLD, unknown={"ZZZ": 2})
    assert result.refresh
    assert result.refresh.unknown == {"ZZZ": 2}


def test_an_older_answer_is_refused(known: Teller) -> None:
    known.tell(OLD, at=5)
    with pytest.raises(RefreshError, match="has told of 2026-01-10 17:00 UTC already"):
        known.tell(OLD, at=4)


def test_two_at_once_exclude_each_other(known: Teller) -> None:
    with alone(known.feed), pytest.raises(FeedBusyError, match="is being refreshed by another process"):
        known.tell(OLD)


def test_moments_out_of_order_are_marked_doubtful(known: Teller) -> None:
    known.tell(OLD, call(DEPARTED, ata=hour(1), atd=hour(0)))
    assert calls()[0].is_doubtful


def test_long_agents_and_names_are_cut_nowhere_but_at_the_source(known: Teller) -> None:
    known.tell(OLD, call(agent="A" * 120, previous_port="B" * 120, eta=hour(1)))
    known.tell(OLD, call(agent="C" * 120, previous_port="B" * 120, eta=hour(1)))
    assert moves()[-1] == ("agent", "A" * 120, "C" * 120)


def test_a_call_report_has_one_digest_in_every_process() -> None:
    report: CallReport = call(eta=hour(1) + timedelta(microseconds=1), stays=(StayReport("Pier 1", eta=hour(1)),))
    assert report.digest == call(eta=report.eta, stays=(StayReport("Pier " + "1", eta=hour(1)),)).digest
    assert report.digest != call(eta=hour(1), stays=(StayReport("Pier 1", eta=hour(1)),)).digest
