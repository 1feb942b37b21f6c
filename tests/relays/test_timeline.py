from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from relays import timeline
from relays.models import Board, Event, Relay
from relays.timeline import Happened, Shown
from relays.views import relay as relay_page
from tests.relays.test_views import text

MIDNIGHT = datetime(2026, 3, 2, tzinfo=UTC)
DAY = MIDNIGHT + timedelta(days=1)


@pytest.fixture(autouse=True)
def _in_utc(settings: Settings) -> None:
    settings.TIME_ZONE = "UTC"


def at(hours: float) -> datetime:
    return MIDNIGHT + timedelta(hours=hours)


def on(hours: float, who: str = "anna") -> list[Happened]:
    return [Happened(at(hours), "asked on", outcome, who, "page") for outcome in ("accepted", "applied")]


def off(hours: float) -> list[Happened]:
    return [Happened(at(hours), "asked off", outcome, "", "timer") for outcome in ("accepted", "applied")]


def spans(*happened: Sequence[Happened]) -> list[tuple[float, float, str]]:
    """Each by its hours and what is shown."""
    found = timeline.spans([one for several in happened for one in several], MIDNIGHT, DAY)
    hours = timedelta(hours=1)
    return [((span.start - MIDNIGHT) / hours, (span.end - MIDNIGHT) / hours, span.shown.value) for span in found]


def board(hours: float, kind: str, why: str = "") -> list[Happened]:
    return [Happened(at(hours), kind, why=why)]


@pytest.mark.parametrize(
    ("happened", "expected"),
    [
        ([], [(0, 24, "unknown")]),
        ([on(6), off(8)], [(0, 6, "unknown"), (6, 8, "on"), (8, 24, "off")]),
        ([on(-3)], [(0, 24, "on")]),
        ([off(-3), on(20)], [(0, 20, "off"), (20, 24, "on")]),
        ([off(-3), on(6)[:1]], [(0, 24, "off")]),
        ([off(-3), on(6), on(7), off(8)], [(0, 6, "off"), (6, 8, "on"), (8, 24, "off")]),
        (
            [on(-3), board(6, "stopped", "an orderly stop"), board(9, "started", "clean restart")],
            [(0, 6, "on"), (6, 9, "unknown"), (9, 24, "on")],
        ),
        ([on(-3), board(6, "stopped", "the controller stopped: switched off")], [(0, 6, "on"), (6, 24, "off")]),
        (
            [off(-3), on(5)[:1], board(6, "fault", "stuck"), board(7, "cured")],
            [(0, 6, "off"), (6, 6, "fault"), (6, 7, "unknown"), (7, 24, "on")],
        ),
    ],
)
def test_what_happened_becomes_spans(happened: list[list[Happened]], expected: list[tuple[float, float, str]]) -> None:
    assert spans(*happened) == expected


def drawn(*happened: Sequence[Happened]) -> timeline.Drawing:
    found = list(timeline.spans([one for several in happened for one in several], MIDNIGHT, DAY))
    return timeline.draw(found, MIDNIGHT, DAY, [(at(6), "06:00")])


@pytest.fixture
def _in_june(monkeypatch: pytest.MonkeyPatch) -> None:
    """In another year a moment is said with its year."""
    monkeypatch.setattr(timezone, "now", lambda: datetime(2026, 6, 1, tzinfo=UTC))


@pytest.mark.usefixtures("_in_june")
def test_a_bar_stands_at_its_time_and_says_who() -> None:
    drawing = drawn(off(-1), on(6), off(12), on(18))
    assert [(bar.x, bar.width, bar.shown) for bar in drawing.bars] == [(25.0, 25.0, Shown.ON), (75.0, 25.0, Shown.ON)]
    assert [bar.sentence for bar in drawing.bars] == [
        "2 Mar 06:00 to 12:00: on for 6h, by anna via page",
        "since 2 Mar 18:00: on for 6h, by anna via page",
    ]
    assert drawing.ticks == ((25.0, "06:00"),)
    assert drawing.summary == "on for 12h, twice"


def test_a_short_time_is_drawn_wide_enough_to_be_seen_and_within_the_drawing() -> None:
    bars = drawn(off(-1), on(6), off(6.001), on(23.9999)).bars
    assert [(bar.x, bar.width) for bar in bars] == [(25.0, timeline.THINNEST), (99.5, timeline.THINNEST)]


def test_what_cannot_be_told_apart_is_one_bar_that_says_how_often() -> None:
    clicks = [part for number in range(100) for part in (on(6 + number / 1000), off(6.0005 + number / 1000))]
    drawing = drawn(off(-1), *clicks)
    assert len(drawing.bars) == 1
    assert "on 100 times" in drawing.bars[0].sentence
    assert drawing.summary.endswith(", 100 times")


@pytest.mark.usefixtures("_in_june")
def test_a_fault_is_marked_and_its_time_is_not_known() -> None:
    drawing = drawn(off(-1), board(6, "fault", "GPIO17 reads back on"), off(12))
    assert [(bar.shown, bar.x) for bar in drawing.bars] == [(Shown.UNKNOWN, 25.0), (Shown.FAULT, 25.0)]
    assert drawing.bars[1].sentence == "2 Mar 06:00: fault: GPIO17 reads back on"
    assert drawing.summary == "never on; once at fault; not known for 6h"


# --- the page -----------------------------------------------------------------------------------------------


def clicks(relay: Relay, number: int, seconds: float) -> None:
    """So many Events, from ``seconds`` ago until now: on and off in turn."""
    now = datetime.now(UTC)
    Event.objects.bulk_create(
        Event(
            kind=["asked on", "asked off"][count % 2],
            outcome="applied",
            board=relay.board,
            relay=relay,
            via="page",
            who="anna",
            at=now - timedelta(seconds=seconds * (1 - count / number)),
        )
        for count in range(number)
    )


def test_the_page_of_a_relay_tells_all_about_it(as_viewer: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(actual=False, cycles=3, on_for=timedelta(hours=5))
    clicks(pump, 4, 3600)
    shown = text(as_viewer.get("/relays/pump/"))
    for words in (
        "It went on 3 times and was on for 5.0 h in all.",
        "on for 30m, twice",
        "GPIO17 of Shed, pin 11 of its header; active-low: on when the pin is low.",
        "At power-up it is off.",
        "Power cut",
        "asked off by anna via page: applied",
        "simulated board",
    ):
        assert words in shown


def test_a_relay_that_clicked_much_is_drawn_in_part_and_says_so(
    as_owner: Client, pump: Relay, served: Board, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(relay_page, "EVENTS_DRAWN", 10)
    clicks(pump, 50, 36_000)
    assert "not drawn, too much happened since" in text(as_owner.get("/relays/pump/"))


def test_a_silent_controller_ends_what_is_known(as_owner: Client, pump: Relay) -> None:
    Relay.objects.update(actual=True, wanted=True)
    clicks(pump, 3, 3600)
    (_, drawing), _ = as_owner.get("/relays/pump/").context["drawings"]
    assert drawing.bars[-1].sentence.startswith("since ")
    assert "not known for" in drawing.bars[-1].sentence


def test_the_page_costs_as_much_for_many_events_as_for_few(
    as_owner: Client, pump: Relay, served: Board, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    clicks(pump, 300, 36_000)
    with django_assert_max_num_queries(10):
        as_owner.get("/relays/pump/")


def test_a_line_that_was_taken_as_it_was_is_known_from_then_on(as_owner: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(actual=False, actual_at=datetime.now(UTC) - timedelta(days=30))
    Event.objects.create(kind="started", why="clean restart", board=served, via="controller")
    (_, drawing), _ = as_owner.get("/relays/pump/").context["drawings"]
    assert (drawing.bars, drawing.summary) == ((), "never on")


def test_a_disabled_relay_has_its_page(as_owner: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(is_enabled=False)
    assert "It is disabled" in text(as_owner.get("/relays/pump/"))
