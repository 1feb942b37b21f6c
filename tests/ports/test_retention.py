"""What is too old of ports goes, and nothing that a page, a feed or a program still needs."""

from datetime import timedelta
from typing import Any

import pytest
import time_machine

from accounts.models import Token, User
from iotsite.pruning import Pruning
from ports.freshness import Freshness, at_hand
from ports.models import Change, Port, PortCall, Refresh
from tests.ports.test_api import CALLS, names
from tests.ports.told import START, Teller, call, hour
from tests.relays.test_api import Program

LATER = START + timedelta(days=1000)
"""More than the two years that things are kept."""


@pytest.fixture
def told(feed: Teller) -> Teller:
    """A port from which a ship is gone, and in which one lies that was to come earlier."""
    for hours, calls in (
        (0, [call(name="STAYS", eta=hour(1)), call(name="GOES", eta=hour(2))]),
        (1, [call(name="STAYS", eta=hour(3)), call(name="GOES", eta=hour(4))]),
        (2, [call(name="STAYS", eta=hour(5))]),
        (3, [call(name="STAYS", eta=hour(5))]),
    ):
        with time_machine.travel(hour(hours), tick=False):
            feed.tell(*calls, at=hours)
    return feed


def prune(days: float = 1000) -> dict[str, int]:
    with time_machine.travel(START + timedelta(days=days), tick=False):
        done = Pruning(trust_clock=True)
        while done.bite():
            pass
    return done.counts


def moved() -> set[str]:
    return {f"{change.call.vessel.name} {change.field}" for change in Change.objects.select_related("call__vessel")}


def test_changes_of_a_call_that_left_go_and_of_one_that_is_listed_stay(told: Teller) -> None:
    assert moved() == {"STAYS eta", "GOES eta", "GOES status"}
    assert prune() == {"events": 0, "changes": 2, "refreshes": 1}
    assert moved() == {"STAYS eta"}
    assert prune() == {"events": 0, "changes": 0, "refreshes": 0}


def test_nothing_goes_before_its_time(told: Teller) -> None:
    assert prune(days=729) == {"events": 0, "changes": 0, "refreshes": 0}


def test_calls_and_vessels_stay(told: Teller) -> None:
    before = set(PortCall.objects.values_list("vessel__name", "status"))
    prune()
    assert set(PortCall.objects.values_list("vessel__name", "status")) == before


def test_an_example_stays_whole(told: Teller) -> None:
    Port.objects.update(is_example=True, example_at=START)
    told.feed.is_example = True
    told.feed.save()
    assert prune() == {"events": 0, "changes": 0, "refreshes": 0}


def test_a_refresh_stays_as_long_as_a_change_that_it_brought(told: Teller) -> None:
    prune()
    assert {*Refresh.objects.values_list("as_of", flat=True)} == {hour(1), hour(2), hour(3)}
    assert not Change.objects.filter(refresh=None).exists()
    PortCall.objects.update(last_seen_at=hour(9))
    assert prune() == {"events": 0, "changes": 2, "refreshes": 2}


def fresh(locode: str) -> Any:
    port = at_hand(Port.objects.filter(locode=locode)).get()
    return Freshness.of(port).as_of, port.last_started_at, port.last_asked_at, port.last_look()


def test_how_fresh_a_list_is_stays_known_also_of_a_port_that_was_turned_off(told: Teller) -> None:
    Port.objects.filter(locode="XXBBB").update(is_enabled=False)
    alpha = list(Port.objects.filter(locode="XXAAA"))
    for hours in (4, 5):
        with time_machine.travel(hour(hours), tick=False):
            told.tell(call(name="STAYS", eta=hour(5)), at=hours, ports=alpha)
    Refresh.objects.filter(as_of=hour(4)).update(outcome="failed", error="It was away.")
    was = [fresh("XXAAA"), fresh("XXBBB")]
    assert (was[0][0], was[1][0]) == (hour(5), hour(3))
    prune()
    assert [fresh("XXAAA"), fresh("XXBBB")] == was
    assert told.feed.last_good() == told.feed.last_refresh()


def test_the_last_good_refresh_and_the_last_that_asked_stay_beneath_failed_ones(told: Teller) -> None:
    good, asked = told.feed.last_good(), Refresh.objects.order_by("id").first()
    assert asked is not None
    for number in range(3):
        Refresh.objects.create(
            feed=told.feed,
            started_at=hour(10 + number),
            as_of=hour(10 + number),
            took=timedelta(0),
            outcome="failed",
            error="It was away.",
            is_replay=number != 1,
        )
    prune()
    assert told.feed.last_good() == good
    assert told.feed.last_asked().started_at == hour(11)  # type: ignore[union-attr]
    assert told.feed.last_refresh().started_at == hour(12)  # type: ignore[union-attr]
    assert not Refresh.objects.filter(started_at=hour(10)).exists()


def test_a_program_that_asks_for_what_is_gone_gets_all_calls(told: Teller, owner: User) -> None:
    """A call too many is harmless, one too few is not."""
    program = Program(Token.make(owner, "tablet", "read")[1])
    since = f"{CALLS}?changed_since={hour(1.5):%Y-%m-%dT%H:%M:%SZ}"
    late = f"{CALLS}?changed_since={hour(50):%Y-%m-%dT%H:%M:%SZ}"
    assert (names(program.get(since)), names(program.get(late))) == (["GOES", "STAYS"], [])
    prune()
    assert names(program.get(since)) == names(program.get(late)) == ["GOES", "STAYS"]
    assert Port.objects.get(locode="XXAAA").seen_since == LATER - timedelta(days=730)


def test_without_the_answer_before_a_program_gets_all_calls(told: Teller, owner: User) -> None:
    program = Program(Token.make(owner, "tablet", "read")[1])
    late = f"{CALLS}?changed_since={hour(2.5):%Y-%m-%dT%H:%M:%SZ}"
    assert names(program.get(late)) == []
    Change.objects.all().delete()
    Refresh.objects.filter(as_of__lt=hour(3)).delete()
    assert names(program.get(late)) == ["GOES", "STAYS"]


def test_the_changes_that_are_left_come_page_by_page(told: Teller, owner: User) -> None:
    prune()
    program = Program(Token.make(owner, "tablet", "read")[1])
    page = program.get("/changes?limit=1").json()
    assert page["items"][0]["field"] == "eta"
    rest = program.get(f"/changes?limit=1&cursor={page['next_cursor']}").json()
    assert len(rest["items"]) == 1
    assert rest["next_cursor"] is None
