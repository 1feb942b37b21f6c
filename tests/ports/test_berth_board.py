"""Who lies where, drawn: from stays to bars, and the words of each."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from django.test import Client
from hypothesis import given
from hypothesis import strategies as st

from ports import berth_board
from ports.berth_board import LANE, MOST_LANES, Board, Lying, draw
from ports.models import Berth, Port, PortCall, Stay
from ports.snapshot import BerthKind, Status, StayReport
from ports.times import Clock
from tests.ports.told import Teller, call, hour
from tests.relays.test_views import text

NOW = datetime(2026, 1, 11, 18, tzinfo=UTC)
CLOCK = Clock(NOW, UTC, "UTC")
QUAY = Berth(pk=1, key="q2", name="Quay 2")


def lying(since: float, until: float | None = None, name: str = "SHIP", **rest: Any) -> Lying:
    """From and until so many hours after now."""
    end = NOW + timedelta(hours=until) if until is not None else None
    known = {"vessel": 1, "type": "bulk", "has_come": since <= 0} | rest
    return Lying(name=name, since=NOW + timedelta(hours=since), until=end, **known)


def bars(*there: Lying) -> Any:
    board = draw([(QUAY, one) for one in there], CLOCK)
    return board.rows[0].bars if board.rows else ()


# --- one bar ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("there", "x", "past", "width"),
    [
        (lying(-24, -12, has_left=True), 25, 12.5, 12.5),
        (lying(-24, 24), 25, 25, 50),
        (lying(-24), 25, 25, 25),
        (lying(-24, -1), 25, 25, 25),  # she should have left, and lies there still
        (lying(-1000, 1000), 0, 50, 100),
        (lying(12, 36), 62.5, 0, 25),
        (lying(12), 62.5, 0, 6.25),  # nobody says when she leaves
        (lying(47), 98.96, 0, 1.04),
        (lying(-0.1), 49.9, 0.8, 0.8),  # too thin to be seen
    ],
)
def test_a_bar_is_filled_up_to_now_and_hollow_after_it(there: Lying, x: float, past: float, width: float) -> None:
    (bar,) = bars(there)
    assert (bar.x, bar.past, bar.width) == pytest.approx((x, past, width), abs=0.02)


@pytest.mark.parametrize("there", [lying(-60, -49, has_left=True), lying(49, 60), lying(-70, -49, has_come=False)])
def test_what_is_out_of_reach_is_not_drawn(there: Lying) -> None:
    assert bars(there) == ()


@pytest.mark.parametrize(
    ("there", "sentence"),
    [
        (lying(-4, 20), "SHIP, bulk, Quay 2: since 14:00, to leave 12 Jan 14:00"),
        (lying(-4), "SHIP, bulk, Quay 2: since 14:00"),
        (lying(-20, -4, has_left=True), "SHIP, bulk, Quay 2: from 10 Jan 22:00 to 14:00"),
        (lying(20, 30), "SHIP, bulk, Quay 2: expected 12 Jan 14:00, to leave 13 Jan 00:00"),
        (lying(-2, has_come=False), "SHIP, bulk, Quay 2: expected 16:00, overdue"),
    ],
)
def test_a_bar_says_all_of_it_in_words(there: Lying, sentence: str) -> None:
    assert bars(there)[0].sentence == sentence


# --- ships beside each other --------------------------------------------------------------------------------


def test_ships_that_lie_there_at_once_lie_beside_each_other() -> None:
    first, second, third = bars(lying(-40, 10, "A"), lying(-30, 10, "B"), lying(40, 44, "C"))
    assert first.y < second.y
    assert first.y == third.y


def test_a_name_has_room_even_beside_a_thin_bar() -> None:
    thin, next_to_it = bars(lying(-20, -19, "THIN", has_left=True), lying(-18, 0, "NEXT"))
    assert thin.label_width == pytest.approx(berth_board.NAME)
    assert next_to_it.y > thin.y


def test_more_ships_than_fit_are_counted() -> None:
    board = draw([(QUAY, lying(-10, name=f"S{n}", vessel=n)) for n in range(MOST_LANES + 3)], CLOCK)
    assert (len(board.rows[0].bars), board.rows[0].more, board.ships) == (MOST_LANES, 3, MOST_LANES + 3)


@given(
    st.lists(
        st.tuples(st.floats(-200, 200), st.none() | st.floats(0, 200), st.booleans(), st.booleans()).map(
            lambda one: lying(one[0], None if one[1] is None else one[0] + one[1], has_come=one[2], has_left=one[3])
        ),
        max_size=30,
    )
)
def test_no_bar_leaves_the_drawing_and_none_lies_over_another(there: list[Lying]) -> None:
    for row in draw([(QUAY, one) for one in there], CLOCK).rows:
        for bar in row.bars:
            assert 0 <= bar.x <= bar.x + bar.width <= 100.01
            assert 0 <= bar.past <= bar.width
            assert 0 <= bar.label_x <= bar.label_x + bar.label_width <= 100.01
            assert bar.y + LANE <= row.height
        for lane in {bar.y for bar in row.bars}:
            beside = [bar for bar in row.bars if bar.y == lane]
            for left, right in pairwise(beside):
                assert left.x + left.width <= right.x + 0.02
                assert left.label_x + left.label_width <= right.label_x + 0.02


# --- places -------------------------------------------------------------------------------------------------


def berth(name: str, kind: BerthKind = BerthKind.BERTH, area: str = "") -> Berth:
    return Berth(key=name, name=name, kind=kind, area=area)


def test_places_stand_in_the_order_of_their_numbers_anchorages_last() -> None:
    places = [berth("Buoy 1", BerthKind.ANCHORAGE), berth("Berth 10"), berth("Berth 2"), berth("Berth 2b")]
    rows = draw([(place, lying(-1)) for place in places], CLOCK).rows
    assert [row.berth.name for row in rows] == ["Berth 2", "Berth 2b", "Berth 10", "Buoy 1"]
    assert [row.heading for row in rows] == ["At berth", "", "", "At anchor"]


def test_a_page_has_so_many_places(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(berth_board, "BERTHS", 2)
    found = [(berth(f"Berth {n}"), lying(-1)) for n in range(5)]
    pages = [draw(found, CLOCK, page) for page in (1, 2, 3, 9)]
    assert [[row.berth.name[-1] for row in one.rows] for one in pages] == [["0", "1"], ["2", "3"], ["4"], ["4"]]
    assert {one.pages for one in pages} == {3}


def test_midnights_are_those_of_the_zone_across_a_change_to_summer_time() -> None:
    zone = ZoneInfo("Europe/Helsinki")
    spring = Clock(datetime(2026, 3, 29, 9, tzinfo=UTC), zone, "Helsinki time")  # the night it lost an hour
    ticks = dict(map(reversed, draw([(QUAY, lying(0))], spring).ticks))  # type: ignore[arg-type]
    assert list(ticks) == ["Sat 28", "Sun 29", "Mon 30", "Tue 31"]
    widths = [ticks["Sun 29"] - ticks["Sat 28"], ticks["Mon 30"] - ticks["Sun 29"]]
    assert widths == pytest.approx([25, 25 * 23 / 24], abs=0.02)


# --- from the database --------------------------------------------------------------------------------------


@pytest.fixture
def alpha(known: Teller) -> Port:
    east, west = StayReport("East", kind=BerthKind.BERTH), StayReport("West", kind=BerthKind.ANCHORAGE)
    planned = StayReport("East", eta=hour(36), etd=hour(48))
    known.tell(
        call(Status.IN_PORT, "LYING", ata=hour(20), etd=hour(40), stays=(east,)),
        call(Status.IN_PORT, "WAITING", ata=hour(10), stays=(west,)),
        call(name="COMING", eta=hour(36), stays=(planned,)),
        call(name="FAR", eta=hour(200), stays=(StayReport("East", eta=hour(200)),)),
        call(name="PILOTED", pilot_ordered_at=hour(31), stays=(east,)),
        at=29,
    )
    Port.objects.filter(locode="XXAAA").update(is_example=True, example_at=hour(30), is_enabled=False)
    return Port.objects.get(locode="XXAAA")


def test_who_was_told_of_only_when_she_had_left_lay_there_before(alpha: Port) -> None:
    feed = Teller(alpha.feed, 29)
    left = {"atd": hour(27), "stays": (StayReport("Quay 9", atd=hour(27)),)}
    feed.tell(call(Status.DEPARTED, "GONE SOON", **left))
    board = Board.of(alpha, Clock(hour(30), UTC, "UTC"))
    (bar,) = next(row.bars for row in board.rows if row.berth.name == "Quay 9")
    assert bar.lying.until == hour(27)
    assert bar.x + bar.width < 50
    assert bar.sentence == "GONE SOON, other, Quay 9: until 15:00"


def said(port: Port) -> list[str]:
    return [bar.sentence for row in Board.of(port, Clock.of(port)).rows for bar in row.bars]


def test_who_departed_lay_there_though_her_times_were_only_planned(alpha: Port) -> None:
    feed, plan = Teller(alpha.feed, 29), StayReport("Quay 9", eta=hour(21), etd=hour(60))
    feed.tell(call(Status.IN_PORT, "PLANNED", stays=(plan,)), at=29.2, complete=frozenset())
    assert "PLANNED, other, Quay 9: expected 09:00, overdue, to leave 13 Jan 00:00" in said(alpha)
    feed.tell(call(Status.DEPARTED, "PLANNED", atd=hour(28), stays=(plan,)), at=29.4, complete=frozenset())
    assert "PLANNED, other, Quay 9: from 09:00 to 16:00" in said(alpha)


def test_a_stay_is_not_over_because_her_call_has_a_time_of_leaving(alpha: Port) -> None:
    PortCall.objects.filter(vessel__name="LYING").update(atd=hour(25))
    assert "LYING, other, East: since 08:00, to leave 12 Jan 04:00" in said(alpha)
    Stay.objects.filter(call__vessel__name="LYING").update(seen_until=hour(26))
    assert "LYING, other, East: from 08:00 to 14:00" in said(alpha)


def test_who_is_in_the_feed_no_more_lies_there_for_two_days_at_most(alpha: Port) -> None:
    PortCall.objects.update(last_seen_at=hour(30) - timedelta(hours=47))
    assert "WAITING, other, West: since 10 Jan 22:00; not in the feed since 9 Jan" in said(alpha)
    coming = "COMING, other, East: expected 12 Jan 00:00, to leave 12 Jan 12:00"
    assert f"{coming}; not in the feed since 9 Jan" in said(alpha)
    PortCall.objects.update(last_seen_at=hour(30) - timedelta(hours=49))
    assert said(alpha) == []


def test_the_board_tells_who_lies_where_and_who_comes(alpha: Port) -> None:
    board = Board.of(alpha, Clock.of(alpha))
    said = {row.berth.name: [bar.sentence for bar in row.bars] for row in board.rows}
    assert said == {
        "East": [
            "LYING, other, East: since 08:00, to leave 12 Jan 04:00",
            "COMING, other, East: expected 12 Jan 00:00, to leave 12 Jan 12:00",
        ],
        "West": ["WAITING, other, West: since 10 Jan 22:00"],
    }


def test_every_bar_is_a_link_with_its_words_and_the_words_stand_as_a_list_too(as_viewer: Client, alpha: Port) -> None:
    response = as_viewer.get("/ports/XXAAA/berths/")
    page = response.content.decode()
    sentence = "LYING, other, East: since 08:00, to leave 12 Jan 04:00"
    assert f'aria-label="{sentence}"' in page
    assert text(response).count(sentence) == 2, "as a title, and in the list"
    assert "style=" not in page


def test_a_board_of_more_ships_than_can_be_drawn_says_so(
    as_viewer: Client, alpha: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(berth_board, "MOST_STAYS", 1)
    assert "There are more ships than can be drawn" in text(as_viewer.get("/ports/XXAAA/berths/"))
