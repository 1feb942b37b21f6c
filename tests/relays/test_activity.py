import csv
import io
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from relays.models import Board, Event, Relay
from relays.views import activity
from tests.relays.test_views import text


@pytest.fixture
def fan(board: Board) -> Relay:
    return Relay.objects.create(name="Fan", slug="fan", board=board, line="GPIO18", polarity="active-low")


@pytest.fixture
def history(pump: Relay, fan: Relay, owner: User) -> list[Event]:
    """Anna asks the pump on and off over five hours; the fan goes off by its timer."""
    board, made = pump.board, []

    def add(hours: int, **fields: Any) -> Event:
        made.append(Event.objects.create(board=board, at=timezone.now() - timedelta(hours=hours), **fields))
        return made[-1]

    asked = add(5, relay=pump, kind="asked on", outcome="accepted", by=owner, who="anna", via="page")
    add(5, relay=pump, kind="asked on", outcome="applied", of=asked, via="controller")
    add(4, relay=pump, kind="asked off", outcome="refused", who="viola", via="api", why="she may not")
    add(3, relay=fan, kind="asked off", outcome="accepted", via="timer", why="its time is over")
    add(2, relay=fan, kind="fault", via="controller", why="GPIO18 reads back on")
    add(1, kind="started", via="controller", why="power-up")
    return made


def listed(client: Client, query: str = "") -> list[int]:
    return [event.pk for event in client.get(f"/activity/?{query}").context["events"]]


def test_everything_stands_there_newest_first_in_sentences(as_viewer: Client, history: list[Event]) -> None:
    assert listed(as_viewer) == [event.pk for event in reversed(history)]
    shown = text(as_viewer.get("/activity/"))
    assert "Pump asked on by anna via page: applied" in shown
    assert "Shed started via controller (power-up)" in shown


@pytest.mark.parametrize(
    ("query", "places"),
    [
        ("relay=pump", [2, 1, 0]),
        ("who=Anna", [1, 0]),
        ("via=page", [1, 0]),
        ("via=controller", [5, 4]),
        ("outcome=refused", [2]),
        ("kind=fault", [4]),
        ("relay=fan&outcome=accepted", [3]),
        ("who=nobody", []),
    ],
)
def test_filters_stand_in_the_address(as_owner: Client, history: list[Event], query: str, places: list[int]) -> None:
    assert listed(as_owner, query) == [history[place].pk for place in places]


def test_it_is_filtered_by_time(as_owner: Client, history: list[Event]) -> None:
    since = timezone.localtime() - timedelta(hours=4, minutes=30)
    until = timezone.localtime() - timedelta(hours=2, minutes=30)
    query = f"since={since:%Y-%m-%dT%H:%M}&until={until:%Y-%m-%dT%H:%M}"
    assert listed(as_owner, query) == [history[3].pk, history[2].pk]
    assert listed(as_owner, "since=2099-01-01T00:00") == []
    assert listed(as_owner, "until=1999-01-01T00:00") == []


@pytest.mark.parametrize(
    ("query", "sentence"),
    [
        ("relay=nowhere", "There is no such relay"),
        ("outcome=toggled", "toggled is not one of the available choices."),
        ("since=yesterday", "Enter a valid date/time."),
        ("before=x", "Enter a number."),
        (f"before={10**30}", "Ensure this value is less than or equal to"),
        ("who=%00", "Null characters are not allowed."),
    ],
)
@pytest.mark.parametrize("path", ["/activity/", "/activity.csv"])
def test_what_cannot_be_asked_is_said_in_words(
    as_owner: Client, history: list[Event], path: str, query: str, sentence: str
) -> None:
    response = as_owner.get(f"{path}?{query}")
    assert response.status_code == 400
    assert sentence in text(response)
    assert "Nothing is listed: correct the filter." in text(response)


def test_pages_follow_each_other_without_a_gap(
    as_owner: Client, pump: Relay, history: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "PAGE", 2)
    seen, query = [], "?relay=pump"
    while query:
        context = as_owner.get(f"/activity/{query}").context
        seen += [event.pk for event in context["events"]]
        query = context["older"]
        assert not query or "relay=pump" in query
    assert seen == [history[place].pk for place in (2, 1, 0)]


def test_a_search_looks_through_so_many_and_says_where_it_goes_on(
    as_owner: Client, history: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity, "LOOKED_AT", 2)
    monkeypatch.setattr(activity, "WRITTEN_LATE", 1)
    first = as_owner.get("/activity/?who=anna")
    assert "Nothing of this among the newest 2." in text(first)
    query, seen = first.context["older"], []
    while query:
        context = as_owner.get(f"/activity/{query}").context
        seen += [event.pk for event in context["events"]]
        query = context["older"]
    assert seen == [history[1].pk, history[0].pk]


def test_a_page_costs_few_queries(
    as_owner: Client, history: list[Event], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(6):  # session, user, menu, relays to choose from, the newest number, the page
        as_owner.get("/activity/")


def rows(response: Any) -> list[list[str]]:
    return list(csv.reader(io.StringIO(response.content.decode())))


def test_what_is_shown_can_be_had_as_a_table(as_owner: Client, history: list[Event]) -> None:
    response = as_owner.get("/activity.csv?relay=pump&outcome=applied")
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    head, row = rows(response)
    assert row[2:8] == ["Pump", "Shed", "asked on", "applied", "anna", "page"]
    assert head == list(activity.COLUMNS)


@pytest.mark.parametrize("name", ["=1+1", "+1", "-1", "@sum", "\tx"])
def test_no_name_becomes_a_formula(as_owner: Client, pump: Relay, history: list[Event], name: str) -> None:
    Relay.objects.filter(pk=pump.pk).update(name=name)
    assert rows(as_owner.get("/activity.csv?relay=pump"))[1][2] == f"'{name}"


def test_a_table_that_is_cut_says_so(as_owner: Client, history: list[Event], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(activity, "ROWS_IN_CSV", 2)
    table = rows(as_owner.get("/activity.csv"))
    assert len(table) == 4
    assert table[3] == [
        f"There is more before number {history[4].pk}: narrow the filter, or ask with before={history[4].pk}."
    ]


def test_names_stay_text(as_owner: Client, pump: Relay, history: list[Event]) -> None:
    Relay.objects.filter(pk=pump.pk).update(name="<script>alert(1)</script>")
    assert b"<script>alert" not in as_owner.get("/activity/").content
