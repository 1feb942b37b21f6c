"""Two vessels that are one, and what is put right by hand: shown with refreshes before and after."""

import pytest
from django.db import IntegrityError, connection
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts.models import User
from ports.merging import Merge
from ports.models import Change, Follow, Identifier, PortCall, Stay, Vessel
from ports.snapshot import CallReport, Ship, Status, StayReport, VesselType
from tests.ports.told import Teller, call, hour

OLD = call(Status.IN_PORT, "OLD LADY", ata=hour(-500))


def vessel(name: str) -> Vessel:
    return Vessel.objects.get(name=name)


def merge(stays: str, goes: str) -> Vessel:
    Merge(vessel(stays), vessel(goes)).carry_out()
    return Vessel.objects.get(name=stays)


def told(calls: list[CallReport]) -> list[CallReport]:
    return [OLD, *calls]


# --- merging ------------------------------------------------------------------------------------------------


def test_the_next_refresh_finds_the_one_that_stays(known: Teller) -> None:
    by_imo = call(ship=Ship("EVER GIVEN", imo="9811000"), eta=hour(20))
    by_mmsi = call(Status.IN_PORT, ship=Ship("EVERGIVEN", mmsi="353136000"), port="XXBBB", ata=hour(-2))
    known.tell(*told([by_imo, by_mmsi]))
    stays = merge("EVER GIVEN", "EVERGIVEN")
    assert (stays.imo, stays.mmsi) == ("9811000", "353136000")
    assert {(row.port.locode, row.status) for row in stays.calls.all()} == {("XXAAA", "expected"), ("XXBBB", "in_port")}
    again = known.tell(*told([by_imo, by_mmsi]))
    assert again.counts["XXAAA"].is_nothing
    assert again.counts["XXBBB"].is_nothing
    later = call(ship=Ship("EVERGIVEN", mmsi="353136000"), port="XXBBB", eta=hour(400))
    known.tell(*told([by_imo, by_mmsi, later]))
    assert Vessel.objects.count() == 2
    assert {row.vessel.pk for row in PortCall.objects.exclude(vessel__name="OLD LADY")} == {stays.pk}


def test_a_vessel_known_by_her_name_only_is_found_too(known: Teller) -> None:
    known.tell(
        *told([call(ship=Ship("GIVEN"), eta=hour(20)), call(ship=Ship("EVER GIVEN", imo="9811000"), port="XXBBB")])
    )
    stays = merge("EVER GIVEN", "GIVEN")
    known.tell(
        *told([call(ship=Ship("GIVEN"), eta=hour(21)), call(ship=Ship("EVER GIVEN", imo="9811000"), port="XXBBB")])
    )
    assert Vessel.objects.count() == 2
    assert PortCall.objects.get(eta=hour(21)).vessel == stays


def test_numbers_that_differ_find_her_both_and_the_imo_that_was_chosen_stays(known: Teller) -> None:
    right, wrong = Ship("EVER GIVEN", imo="9811000", call_sign="A"), Ship("EVER GIVEM", imo="9074729", call_sign="B")
    calls = [call(ship=right, eta=hour(20)), call(ship=wrong, port="XXBBB", eta=hour(30))]
    known.tell(*told(calls))
    assert Merge(vessel("EVER GIVEN"), vessel("EVER GIVEM")).contradictions == ["imo", "call_sign"]
    stays = merge("EVER GIVEN", "EVER GIVEM")
    assert (stays.imo, stays.corrected) == ("9811000", ["imo"])
    known.tell(*told([calls[0], call(ship=wrong, port="XXBBB", eta=hour(31))]))
    stays.refresh_from_db()
    assert (stays.imo, Vessel.objects.count()) == ("9811000", 2)
    assert PortCall.objects.get(eta=hour(31)).vessel == stays


def test_of_two_expected_calls_at_one_port_the_one_that_tells_more_stays(known: Teller) -> None:
    little = call(name="ONE", eta=hour(20))
    more = call(name="TWO", eta=hour(21), agent="GAC", previous_port="SGSIN", stays=(StayReport("Quay"),))
    known.tell(*told([little, more]))
    stays = merge("ONE", "TWO")
    kept, ended = PortCall.objects.get(agent="GAC"), PortCall.objects.get(agent="", vessel=stays)
    assert (kept.vessel, kept.status, ended.vessel, ended.status) == (stays, "expected", stays, "gone")
    assert ended.last_seen_at == hour(1), "when it stood in the feed last"
    change = Change.objects.get(call=ended, became="gone")
    assert (change.field, change.was, change.port.locode) == ("status", "expected", "XXAAA")


def test_of_two_calls_in_one_port_one_stays_and_the_places_of_the_other_end(known: Teller) -> None:
    quay = StayReport("Quay", ata=hour(-3))
    one = call(Status.IN_PORT, "ONE", ata=hour(-3), agent="GAC", stays=(quay,))
    two = call(Status.IN_PORT, "TWO", ata=hour(-3), stays=(quay,))
    known.tell(*told([one, two]))
    stays = merge("TWO", "ONE")
    assert [row.agent for row in stays.calls.in_port()] == ["GAC"]
    assert [stay.seen_until for stay in Stay.objects.filter(call__status="gone")] == [hour(1)]
    assert Stay.objects.get(call__status="in_port").seen_until is None
    known.tell(*told([one, two]))
    assert stays.calls.in_port().count() == 1
    assert Vessel.objects.count() == 2


def test_a_source_that_numbers_its_calls_keeps_them_all(known: Teller) -> None:
    known.tell(*told([call(name="ONE", key="17", eta=hour(20)), call(name="TWO", key="18", eta=hour(30))]))
    stays = merge("ONE", "TWO")
    assert [row.status for row in stays.calls.all()] == ["expected", "expected"]


def test_names_and_stars_go_over_without_a_double(known: Teller, owner: User, viewer: User) -> None:
    guest = User.objects.create_user("gustav")
    for number, names in enumerate((("ONE", "TWO"), ("BOTH", "TOO"), ("ONE", "TWO"))):
        both = zip(names, ("9811000", "9074729"), strict=True)
        known.tell(*told([call(ship=Ship(name, imo=imo), eta=hour(20)) for name, imo in both]), at=number + 1)
    one, two = vessel("ONE"), vessel("TWO")
    two.be_called("BOTH", hour(1))
    for user, followed in ((owner, one), (owner, two), (viewer, two), (guest, one)):
        followed.follow(user, on=True)
    assert Merge(one, two).names == ["TOO", "TWO"]
    assert Merge(one, two).followers == 1
    stays = merge("ONE", "TWO")
    assert {(told.name, told.first_seen_at) for told in stays.names.all()} == {
        ("ONE", hour(1)),
        ("BOTH", hour(1)),
        ("TWO", hour(1)),
        ("TOO", hour(2)),
    }
    assert {follow.user for follow in Follow.objects.filter(vessel=stays)} == {owner, viewer, guest}
    assert Follow.objects.count() == 3


def test_what_only_one_knew_is_taken_over(known: Teller) -> None:
    rich = Ship("RICH", imo="9811000", mmsi="353136000", flag="PA", type=VesselType.TANKER, source_type="Oil")
    known.tell(
        *told([call(ship=Ship("POOR", call_sign="C1"), eta=hour(1)), call(ship=rich, port="XXBBB", eta=hour(2))])
    )
    Vessel.objects.filter(name="RICH").update(first_seen_at=hour(-9), corrected=["flag"])
    stays = merge("POOR", "RICH")
    assert (stays.imo, stays.mmsi, stays.call_sign, stays.flag) == ("9811000", "353136000", "C1", "PA")
    assert (stays.type, stays.source_type, stays.first_seen_at) == ("tanker", "Oil", hour(-9))
    assert stays.corrected == ["flag"], "what somebody put right stays right"


def test_it_is_done_whole_or_not_at_all(known: Teller) -> None:
    known.tell(*told([call(name="ONE", eta=hour(1)), call(name="TWO", eta=hour(2))]))
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER no BEFORE DELETE ON ports_vessel BEGIN SELECT RAISE(ABORT, 'no'); END")
    with pytest.raises(IntegrityError):
        merge("ONE", "TWO")
    assert PortCall.objects.filter(vessel=vessel("TWO"), status="expected").exists()
    assert not Change.objects.filter(became="gone").exists()


STATUSES = st.sampled_from([Status.EXPECTED, Status.IN_PORT, Status.DEPARTED])
VISITS = st.lists(st.tuples(STATUSES, st.sampled_from(["XXAAA", "XXBBB"]), st.sampled_from(["", "K"])), max_size=5)


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(one=VISITS, two=VISITS)
def test_any_two_vessels_can_be_merged_and_no_call_is_lost(
    known: Teller, one: list[tuple[Status, str, str]], two: list[tuple[Status, str, str]]
) -> None:
    Change.objects.all().delete()
    PortCall.objects.all().delete()
    Vessel.objects.all().delete()
    ports = {port.locode: port for port in known.feed.ports.all()}
    both = [Vessel.objects.create(name=name, first_seen_at=hour(0)) for name in ("ONE", "TWO")]
    number, taken = 0, set()
    for owner, visits in zip(both, (one, two), strict=True):
        for status, locode, key in visits:
            number += 1
            if status == Status.IN_PORT and not key:
                if (owner, locode) in taken:
                    continue  # which the database does not allow either
                taken.add((owner, locode))
            PortCall.objects.create(
                port=ports[locode],
                vessel=owner,
                key=f"{key}{number}" if key else "",
                status=status,
                digest=number,
                first_seen_at=hour(0),
                atd=hour(0) if status == Status.DEPARTED else None,
            )
    before = PortCall.objects.count()
    Merge(*both).carry_out()
    stays = Vessel.objects.get()
    assert stays.calls.count() == before
    for port in ports.values():
        assert stays.calls.filter(port=port, key="").in_port().count() <= 1


# --- put right by hand --------------------------------------------------------------------------------------


def test_what_is_put_right_by_hand_is_kept_over_refreshes(known: Teller) -> None:
    wrong = Ship("EVR GIVEN", imo="9074729", mmsi="353136001", call_sign="A", flag="XK", type=VesselType.BULK)
    known.tell(*told([call(ship=wrong, eta=hour(20))]))
    right = {"name": "EVER GIVEN", "imo": "9811000", "mmsi": "353136000", "call_sign": "H3RC", "flag": "PA"}
    found = vessel("EVR GIVEN")
    found.correct(**right, type="container")
    known.tell(*told([call(ship=wrong, eta=hour(21))]))
    found.refresh_from_db()
    assert {field: getattr(found, field) for field in right} == right
    assert (found.type, Vessel.objects.count(), found.calls.get().eta) == ("container", 2, hour(21))
    assert {(row.kind, row.value) for row in found.identifiers.all()} == {
        ("imo", "9074729"),
        ("mmsi", "353136001"),
        ("call_sign", "A"),
    }
    assert [told.name for told in found.names.all()] == ["EVR GIVEN", "EVER GIVEN"]
    assert not Change.objects.filter(field="vessel").exists()


def test_another_feed_finds_her_by_the_right_number(known: Teller) -> None:
    known.tell(*told([call(ship=Ship("EVER GIVEN", imo="9074729"), eta=hour(20))]))
    found = vessel("EVER GIVEN")
    found.correct(imo="9811000")
    known.tell(
        *told([call(ship=Ship("EVER GIVEN", imo="9074729"), eta=hour(20))]),
        call(ship=Ship("EVER GIVEN", imo="9811000"), port="XXBBB", eta=hour(30)),
    )
    assert {row.port.locode for row in found.calls.all()} == {"XXAAA", "XXBBB"}


def test_a_wrong_number_can_be_taken_away(known: Teller) -> None:
    told_as = Ship("EVER GIVEN", imo="9074729", call_sign="A")
    known.tell(*told([call(ship=told_as, eta=hour(20))]))
    found = vessel("EVER GIVEN")
    found.correct(imo="")
    known.tell(*told([call(ship=told_as, eta=hour(21))]))
    found.refresh_from_db()
    assert (found.imo, Vessel.objects.count()) == ("", 2)


def test_given_back_to_the_feed_it_is_as_the_feed_has_it(known: Teller) -> None:
    calls = [call(ship=Ship(name, call_sign=f"C{name}"), eta=hour(20)) for name in ("ONE", "TWO", "THREE")]
    known.tell(*told(calls))
    found = vessel("ONE")
    found.correct(name="MINE")
    found.give_back()
    assert vessel("MINE").corrected == []
    known.tell(*told(calls))
    found.refresh_from_db()
    assert found.name == "ONE"
    assert PortCall.objects.listed().count() == 4


def test_a_number_put_back_is_no_longer_an_old_one(known: Teller) -> None:
    known.tell(*told([call(ship=Ship("ONE", imo="9811000"), eta=hour(20))]))
    found = vessel("ONE")
    found.correct(imo="9074729")
    found.correct(imo="9811000")
    assert list(found.identifiers.values_list("value", flat=True)) == ["9074729"]
    assert not Identifier.objects.filter(value="9811000").exists()


def test_a_name_hers_already_is_dated_from_the_earlier_moment(known: Teller) -> None:
    found = vessel("OLD LADY")
    found.be_called("LADY", hour(3))
    found.be_called("LADY", hour(1))
    found.be_called("LADY", hour(2))
    assert found.names.get().first_seen_at == hour(1)
