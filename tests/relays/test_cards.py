"""A card says what is so; what is wanted stands beside it, never in its place."""

import re
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from relays import cards, clock, plan, status
from relays.models import Board, Relay
from relays.status import RelayStatus
from relays.templatetags import moments

Fields = dict[str, Any]


@pytest.fixture
def lamp(pump: Relay, served: Board) -> RelayStatus:
    """Off, and as wanted."""
    Relay.objects.update(actual=False, actual_at=timezone.now())
    return status.of(Relay.objects.select_related("board", "room", "wanted_by").get())


def words(card: str) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", card)).strip()


def switch(card: str) -> dict[str, str]:
    """The attributes of its switch; none where it has none to press."""
    found = re.search(r'<button[^>]*role="switch"[^>]*>', card)
    return dict(re.findall(r'([\w-]+)="([^"]*)"', found[0])) if found else {}


def silent(lamp: RelayStatus) -> RelayStatus:
    return replace(lamp, board=replace(lamp.board, is_served=False, silent_since=timezone.now()))


@pytest.mark.parametrize(
    ("fields", "said", "knob", "checked", "asks"),
    [
        ({}, "Off since", "left", "false", "on"),
        ({"last_known": True, "wanted": True}, "On since", "right", "true", "off"),
        ({"wanted": True}, "Switching… Off · wanted on", "right hollow", "false", "off"),
        ({"last_known": True}, "Switching… On · wanted off", "left hollow", "true", "on"),
        ({"fault": "stuck", "wanted": True}, "Fault: stuck stuck Off · wanted on", "left", "false", "on"),
        ({"last_known": None}, "Not known since", "none", "false", "on"),
    ],
)
def test_knob_words_and_what_a_press_asks_agree(
    lamp: RelayStatus, fields: Fields, said: str, knob: str, checked: str, asks: str
) -> None:
    card = cards.card(replace(lamp, **fields), may_switch=True)
    assert said in words(card)
    drawn = switch(card)
    assert drawn["class"] == f"switch {knob}"
    assert (drawn["aria-checked"], drawn["value"]) == (checked, asks)


def test_why_it_waits_and_how_long_is_said(lamp: RelayStatus) -> None:
    waiting = replace(lamp, wanted=True, why="after Heater is off")
    assert "Goes on: after Heater is off" in words(cards.card(waiting, True))
    until = replace(waiting, why_until=timezone.now() + timedelta(seconds=3))
    assert "On in 3 s , after Heater is off" in words(cards.card(until, True))


def test_time_left_is_given_in_seconds_for_the_page_to_count_on(lamp: RelayStatus) -> None:
    until = timezone.now() + timedelta(minutes=12, seconds=4)
    card = cards.card(replace(lamp, wanted=True, last_known=True, until=until), True)
    assert re.search(r'data-left="72[34]\.\d"', card)
    assert re.search(r"On · 12:0[34] left until \d", words(card))


@pytest.mark.parametrize(
    "fields", [{"lock": "being repaired"}, {"lock": "being repaired", "last_known": True, "wanted": True}]
)
def test_a_locked_relay_says_why_and_by_whom_and_has_nothing_to_press(lamp: RelayStatus, fields: Fields) -> None:
    card = cards.card(replace(lamp, locked_by="anna", **fields), True)
    assert "Locked: being repaired · by anna" in words(card)
    assert "<button" not in card


def test_nothing_is_offered_that_would_be_refused(lamp: RelayStatus) -> None:
    stopped = replace(lamp, board=replace(lamp.board, is_stopped=True))
    assert "<button" not in cards.card(stopped, True)
    assert "<button" not in cards.card(silent(lamp), True)


def test_who_may_only_look_sees_the_state_and_no_switch(lamp: RelayStatus) -> None:
    card = cards.card(lamp, may_switch=False)
    assert "Off since" in words(card)
    assert "switch" not in card


def test_what_is_wanted_on_can_be_taken_back_though_the_controller_is_silent(lamp: RelayStatus) -> None:
    card = cards.card(silent(replace(lamp, wanted=True, last_known=True)), True)
    assert "last known on · wanted on" in words(card)
    assert (switch(card)["value"], switch(card)["aria-checked"]) == ("off", "false")
    assert "lit" not in card


def test_a_momentary_relay_is_pressed(lamp: RelayStatus) -> None:
    card = cards.card(replace(lamp, is_momentary=True), True)
    assert 'formaction="/relays/pump/press"' in card
    assert switch(card) == {}


def test_a_card_holds_nothing_of_who_asked_for_it(lamp: RelayStatus) -> None:
    """It is pushed to everybody."""
    assert "csrf" not in cards.card(lamp, True)


def test_hostile_names_stay_text(lamp: RelayStatus) -> None:
    hostile = '"><script>alert(1)</script>'
    card = cards.card(replace(lamp, name=hostile, lock=hostile, locked_by=hostile, fault=hostile), True)
    assert "<script" not in card
    assert hostile not in card


def test_a_card_is_drawn_anew_when_the_day_changes(lamp: RelayStatus, monkeypatch: pytest.MonkeyPatch) -> None:
    assert re.search(r"Off since \d\d:\d\d", words(cards.card(lamp, True)))
    tomorrow = timezone.now() + timedelta(days=1)
    monkeypatch.setattr(timezone, "now", lambda: tomorrow)
    assert "Off since yesterday" in words(cards.card(lamp, True))


NOW = datetime(2026, 11, 25, 12, tzinfo=timezone.get_default_timezone())


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (0, "12:00"),
        (-1, "yesterday 12:00"),
        (1, "tomorrow 12:00"),
        (-3, "Sunday 12:00"),
        (-20, "5 Nov 12:00"),
        (-400, "21 Oct 2025 12:00"),
    ],
)
def test_moments_are_said_as_people_do(days: int, said: str) -> None:
    assert moments.words(NOW + timedelta(days=days), NOW) == said


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0, "0:00"), (-5, "0:00"), (9, "0:09"), (724, "12:04"), (7509, "2:05:09"), (273_900, "3 d 04:05")],
)
def test_countdowns(seconds: float, said: str) -> None:
    assert moments.countdown(seconds) == said


@pytest.mark.parametrize(
    ("seconds", "said"), [(-1, "0 s"), (3.4, "3 s"), (119, "119 s"), (120, "2 min"), (7199, "119 min"), (7200, "2 h")]
)
def test_how_long(seconds: float, said: str) -> None:
    assert moments.age(seconds) == said


# --- what stands above the rooms ----------------------------------------------------------------------------


def test_a_silent_controller_is_named_with_how_long_and_what_to_do(pump: Relay, board: Board) -> None:
    assert "The relay controller of Shed does not run." in words(cards.notices(status.house(), True))
    board.files.beat(at=clock.boot_seconds() - 60)
    told = cards.notices(status.house(), True)
    assert re.search(r"has not answered for 6\d s", words(told))
    assert re.search(r'data-for="6\d\.\d"', told)
    assert "script/server" in told


def test_a_stop_says_who_and_leads_to_its_reset(pump: Relay, served: Board) -> None:
    Board.objects.update(stopped_at=timezone.now(), stopped_by="anna")
    told = cards.notices(status.house(), True)
    assert re.search(r"Stopped by anna , \d\d:\d\d", words(told))
    assert "/stop/reset" in told
    assert "/stop/reset" not in cards.notices(status.house(), may_switch=False)


def test_a_wait_of_the_plan_reaches_the_card(pump: Relay, served: Board) -> None:
    now = clock.now()
    told = RelayStatus.of(
        Relay.objects.select_related("board", "room", "wanted_by").get(),
        status.BoardStatus.of(served, now),
        plan.Wait("it stays off for at least 40s", now.boot + 31),
        now,
    )
    card = cards.card(replace(told, last_known=False, wanted=True), True)
    assert "On in 31 s , it stays off for at least 40s" in words(card)
