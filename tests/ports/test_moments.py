"""Clocks that are put back and forward, years that end, moments that are over, ships whose call sign changes."""

from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client

from ports.models import Change, Port, PortCall, Vessel
from ports.moves import sentence
from ports.refresh import replay
from ports.snapshot import Status
from ports.times import Clock
from tests.ports.told import Teller, call, hour, ship, told
from tests.relays.test_views import text

VANCOUVER = ZoneInfo("America/Vancouver")
HELSINKI = ZoneInfo("Europe/Helsinki")
HONG_KONG = ZoneInfo("Asia/Hong_Kong")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


# --- clocks that change -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (at(2026, 11, 1, 7, 59), "00:59"),
        (at(2026, 11, 1, 8, 30), "01:30 PDT"),
        (at(2026, 11, 1, 9, 30), "01:30 PST"),
        (at(2026, 11, 1, 10, 0), "02:00"),
        (at(2026, 11, 2, 9, 30), "2 Nov 01:30"),
    ],
)
def test_the_hour_that_comes_twice_says_which_one_it_is(moment: datetime, words: str) -> None:
    clock = Clock(at(2026, 11, 1, 18), VANCOUVER, "Vancouver time")
    assert clock.words(moment) == words
    tomorrow = Clock(at(2026, 11, 2, 18), VANCOUVER, "Vancouver time")
    assert tomorrow.words(moment) == (words.removeprefix("2 Nov ") if "Nov" in words else f"1 Nov {words}")


def test_both_are_told_apart_for_programs_and_by_their_distance() -> None:
    clock = Clock(at(2026, 11, 1, 8, 30), VANCOUVER, "Vancouver time")
    assert 'datetime="2026-11-01T01:30-07:00"' in clock.told(at(2026, 11, 1, 8, 30))
    second = clock.told(at(2026, 11, 1, 9, 30))
    assert 'datetime="2026-11-01T01:30-08:00"' in second
    assert "in 1 h" in second


def test_the_hour_that_never_comes_is_left_out() -> None:
    clock = Clock(at(2026, 3, 8, 9, 59), VANCOUVER, "Vancouver time")
    assert [clock.words(at(2026, 3, 8, *time)) for time in ((9, 59), (10, 0))] == ["01:59", "03:00"]
    assert clock.distance(at(2026, 3, 8, 10, 0)) == "in 1 min"


@pytest.mark.parametrize(
    ("was", "became", "words"),
    [
        (
            at(2026, 10, 24, 17),
            at(2026, 10, 25, 18),
            "ETA moved 1 d 1 h later, from 24 Oct 20:00 to 25 Oct 20:00",
        ),
        (at(2026, 3, 28, 18), at(2026, 3, 29, 17), "ETA moved 23 h later, from 28 Mar 20:00 to 29 Mar 20:00"),
        (
            at(2026, 10, 25, 0, 30),
            at(2026, 10, 25, 1, 30),
            "ETA moved 1 h later, from 25 Oct 03:30 EEST to 25 Oct 03:30 EET",
        ),
        (at(2026, 3, 29, 0, 59), at(2026, 3, 29, 1, 0), "ETA moved 1 min later, from 29 Mar 02:59 to 29 Mar 04:00"),
    ],
)
def test_an_eta_moves_by_what_passes_and_not_by_what_clocks_show(was: datetime, became: datetime, words: str) -> None:
    clock = Clock(at(2026, 11, 25), HELSINKI, "Helsinki time")
    known: dict[str, Any] = {"field": "eta", "was": was.isoformat(), "became": became.isoformat()}
    assert sentence(Change(**known), clock.words) == words


# --- years that end -----------------------------------------------------------------------------------------


def test_a_call_goes_over_from_one_year_to_the_next(feed: Teller, as_viewer: Client) -> None:
    """Expected at half past eleven on New Year's Eve in Hong Kong, in port in the new year."""
    Port.objects.filter(locode="XXBBB").update(zone="Asia/Hong_Kong", is_example=True, example_at=hour(0))
    eve, arrival = (datetime(*parts, tzinfo=HONG_KONG) for parts in ((2025, 12, 31, 23, 30), (2026, 1, 1, 0, 20)))

    def tell(now: datetime, **facts: Any) -> None:
        replay(feed.feed, {"told": told([call(name="EVER NEW", port="XXBBB", **facts)])}, now)
        Port.objects.filter(locode="XXBBB").update(example_at=now)

    def shown(tab: str) -> str:
        return text(as_viewer.get(f"/ports/XXBBB/{tab}/"))

    tell(datetime(2025, 12, 31, 20, 0, tzinfo=HONG_KONG), eta=eve)
    assert "23:30 · in 3 h" in shown("expected")
    tell(datetime(2025, 12, 31, 22, 0, tzinfo=HONG_KONG), eta=arrival)
    assert "1 Jan 2026 00:20 · in 2 h" in shown("expected")
    assert "ETA moved 50 min later, from 23:30 to 1 Jan 2026 00:20" in shown("changes")
    tell(datetime(2026, 1, 1, 0, 30, tzinfo=HONG_KONG), eta=eve, status=Status.IN_PORT, ata=arrival)
    assert "00:20 · 10 min ago" in shown("in-port")
    assert "ETA moved 50 min earlier, from 00:20 to 31 Dec 2025 23:30" in shown("changes")
    [stored] = PortCall.objects.all()
    assert (stored.status, stored.eta, stored.ata) == (Status.IN_PORT, eve, arrival)
    assert not stored.is_doubtful
    tell(
        datetime(2026, 1, 1, 9, 0, tzinfo=HONG_KONG),
        status=Status.DEPARTED,
        atd=datetime(2026, 1, 1, 8, 0, tzinfo=HONG_KONG),
    )
    assert [(left.status, left.ata) for left in PortCall.objects.all()] == [(Status.DEPARTED, arrival)]


# --- moments that are over ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("hours", "badge"), [(-0.5, "overdue 30 min"), (-100, "overdue 4 d"), (-24 * 400, "overdue 13 months"), (0.5, None)]
)
def test_who_did_not_come_when_she_should_have_is_overdue(
    known: Teller, as_viewer: Client, hours: float, badge: str | None
) -> None:
    """And still expected: that she came or will never come is not known."""
    late = call(name="LATE", eta=hour(2 + hours))
    known.tell(call(Status.IN_PORT, "OLD LADY", ata=hour(-500)), late, at=2)
    Port.objects.filter(locode="XXAAA").update(is_example=True, example_at=hour(2))
    page = as_viewer.get("/ports/XXAAA/expected/")
    [line] = page.context["lines"]
    assert line.call.status == Status.EXPECTED
    assert [one.words for one in line.badges if "overdue" in one.words] == ([badge] if badge else [])
    assert ("overdue" in text(page)) == bool(badge)


# --- ships ----------------------------------------------------------------------------------------------------


def test_a_ship_known_by_her_call_sign_alone_is_another_under_a_new_one(known: Teller) -> None:
    """Nothing says that she is the same: two ships may have one name (docs/sources.md)."""
    old = call(Status.IN_PORT, "OLD LADY", ata=hour(-500))
    known.tell(old, call(ship=ship("EVER NEW", call_sign="VRAA1"), eta=hour(30)), at=1)
    known.tell(old, call(ship=ship("EVER NEW", call_sign="9VBB2"), eta=hour(30)), at=2)
    told_of = list(Vessel.objects.filter(name="EVER NEW").order_by("call_sign").values_list("call_sign", flat=True))
    assert told_of == ["9VBB2", "VRAA1"]
    statuses = PortCall.objects.order_by("vessel__call_sign").exclude(vessel__name="OLD LADY")
    assert list(statuses.values_list("status", flat=True)) == [Status.EXPECTED, Status.GONE]


def test_with_her_imo_number_she_is_the_same_under_a_new_call_sign(known: Teller) -> None:
    old, numbered = call(Status.IN_PORT, "OLD LADY", ata=hour(-500)), {"imo": "9811000"}
    known.tell(old, call(ship=ship("EVER NEW", call_sign="VRAA1", **numbered), eta=hour(30)), at=1)
    known.tell(old, call(ship=ship("EVER NEW", call_sign="9VBB2", **numbered), eta=hour(30)), at=2)
    vessel = Vessel.objects.get(name="EVER NEW")
    assert (vessel.call_sign, vessel.identifiers.get(kind="call_sign").value) == ("9VBB2", "VRAA1")
    assert vessel.calls.get().status == Status.EXPECTED
