import html
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.db import connection, models
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from iotsite import database
from relays import clock
from relays.admin import relay as relay_admin
from relays.models import Board, Event, Interlock, Relay, Room
from tests.relays import reading

LIST = "/admin/relays/relay/"


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No controller runs here: waiting for one proves nothing."""
    monkeypatch.setattr(relay_admin, "WAIT", 0.0)


def page(row: models.Model, what: str = "change") -> str:
    return reverse(f"admin:relays_{row._meta.model_name}_{what}", args=[row.pk])


def text(response: Any) -> str:
    """What a person reads on the page, without markup."""
    stripped = re.sub(r"<[^>]+>", " ", response.content.decode())
    return html.unescape(re.sub(r"\s+", " ", stripped))


def said(response: Any) -> list[str]:
    """The messages of the page that a POST led to."""
    return [str(message) for message in response.context["messages"]]


def act(client: Client, action: str, *relays: Relay, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(relay.pk) for relay in relays]}
    return client.post(LIST, chosen | more, follow=True)


def form_of(client: Client, path: str, **changes: str) -> dict[str, Any]:
    """The fields of the form at ``path`` as a browser would send them, with some changed."""
    form = client.get(path).context["adminform"].form
    values = {name: form[name].value() for name in form.fields}
    sent = {name: "" if value is None else value for name, value in values.items() if value is not False}
    return {name: value for name, value in (sent | changes).items() if value != "(unticked)"}


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    return {field: list(found) for field, found in response.context["adminform"].form.errors.items()}


NEW = {"name": "Fan", "line": "27", "polarity": "active-low", "kind": "fan", "mode": "switch", "position": "0"}
NEW |= {"power_up": "off", "on_stop": "off", "on_lost": "off", "is_enabled": "on"}


def new(at: Board, **fields: str) -> dict[str, str]:
    return NEW | {"board": str(at.pk)} | fields


# --- the way in ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/admin/", "/admin/login/", LIST, "/admin/relays/relay/1/change/"])
def test_a_stranger_is_led_to_the_sites_own_sign_in_page(client: Client, db: None, path: str) -> None:
    response = client.get(path, follow=True)
    target = "/admin/" if path == "/admin/login/" else path
    assert response.redirect_chain[-1] == (f"/account/sign-in/?next={target}", 302)
    assert response.templates[0].name == "account/sign_in.html"


def test_nobody_signs_in_at_the_admins_own_page(client: Client, owner: User) -> None:
    assert client.post("/admin/login/", {"username": "anna", "password": "x"}).status_code == 405


def test_who_may_not_use_the_admin_is_told_so(client: Client, db: None) -> None:
    client.force_login(User.objects.create_user("gustav"))
    response = client.get("/admin/relays/relay/", follow=True)
    assert response.redirect_chain[-1][0].startswith("/account/sign-in/")
    assert said(response) == ["gustav may not use the admin: sign in as somebody who may."]


# --- the list -----------------------------------------------------------------------------------------------


def test_the_list_shows_what_is_so_what_is_wanted_and_the_last_event(
    as_owner: Client, pump: Relay, served: Board
) -> None:
    Relay.objects.filter(pk=pump.pk).update(
        actual=False, wanted=True, fault="GPIO17 is stuck", is_locked=True, lock_reason="being repaired"
    )
    Event.objects.create(kind="asked on", outcome="accepted", board=served, relay=pump, who="anna", via="page")
    shown = text(as_owner.get(LIST))
    assert "Off · wanted on · locked: being repaired · Fault: GPIO17 is stuck" in shown
    assert "asked on by anna via page: accepted" in shown


def test_the_list_never_shows_what_a_silent_controller_said_last(as_owner: Client, pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(actual=True, wanted=True)
    assert "Not known · wanted on" in text(as_owner.get(LIST))


def test_the_list_asks_as_much_of_the_database_for_one_relay_as_for_many(
    as_owner: Client, pump: Relay, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    garden = Room.objects.create(name="Garden")
    for number in range(2, 14):
        fan = Relay.objects.create(
            name=f"Fan {number}",
            slug=f"fan-{number}",
            room=garden,
            board=pump.board,
            line=f"GPIO{number}",
            polarity="active-low",
        )
        asked = Event.objects.create(kind="asked on", board=pump.board, relay=fan, via="page", outcome="accepted")
        Event.objects.create(kind="asked on", board=pump.board, relay=fan, via="controller", of=asked)
    with django_assert_max_num_queries(9):  # session, user, two counts, the relays, their Events, three for filters
        as_owner.get(LIST)


@pytest.mark.parametrize("query", ["pump", "PUM", "GPIO17", "shed", "garden"])
def test_relays_are_found_by_name_line_room_and_board(as_owner: Client, pump: Relay, query: str) -> None:
    pump.room = Room.objects.create(name="Garden")
    pump.save()
    assert "1 relay " in text(as_owner.get(LIST, {"q": query}))
    assert "0 relays" in text(as_owner.get(LIST, {"q": f"{query}x"}))


@pytest.mark.parametrize(
    ("fields", "states"),
    [
        ({"actual": True, "wanted": True}, {"on"}),
        ({"actual": False}, {"off"}),
        ({"actual": None}, {"unknown"}),
        ({"actual": True, "is_enabled": False}, {"unknown"}),
        ({"actual": False, "wanted": True}, {"off", "differs"}),
        ({"actual": False, "fault": "stuck"}, {"off", "fault"}),
    ],
)
def test_relays_are_filtered_by_what_is_so(
    as_owner: Client, pump: Relay, served: Board, fields: dict[str, Any], states: set[str]
) -> None:
    Relay.objects.filter(pk=pump.pk).update(**fields)
    asked = ("on", "off", "unknown", "differs", "fault")
    assert {state for state in asked if "1 relay " in text(as_owner.get(LIST, {"state": state}))} == states
    served.files.end_beat()
    assert "1 relay " in text(as_owner.get(LIST, {"state": "unknown"}))


# --- actions ------------------------------------------------------------------------------------------------


def test_switching_on_goes_through_the_door(as_owner: Client, owner: User, pump: Relay, served: Board) -> None:
    response = act(as_owner, "switch_on", pump)
    assert said(response) == ["Pump: pending: the relay controller has not confirmed it yet."]
    event = pump.events.get()
    assert (event.kind, event.outcome, event.by, event.via) == ("asked on", "accepted", owner, "admin")
    assert Relay.objects.get(pk=pump.pk).wanted is True


def test_what_was_switched_is_said(as_owner: Client, pump: Relay, served: Board) -> None:
    columns = "at, kind, outcome, board_id, relay_id, of_id, who, via, why, command_id, field, was, became"
    values = "NEW.at, NEW.kind, 'applied', NEW.board_id, NEW.relay_id, NEW.id, '', 'controller', '', '', '', '', ''"
    with connection.cursor() as cursor:  # a controller that answers at once
        cursor.execute(
            "CREATE TRIGGER answer AFTER INSERT ON relays_event WHEN NEW.outcome = 'accepted'"
            f" BEGIN INSERT INTO relays_event ({columns}) VALUES ({values}); END"
        )
    assert said(act(as_owner, "switch_on", pump)) == ["Switched on: Pump."]
    assert said(act(as_owner, "switch_off", pump)) == ["Switched off: Pump."]


def test_each_relay_that_refuses_says_why(as_owner: Client, pump: Relay, board: Board) -> None:
    bell = Relay.objects.create(
        name="Bell",
        slug="bell",
        board=board,
        line="GPIO27",
        polarity="active-low",
        mode="momentary",
        pulse=timedelta(seconds=1),
    )
    assert set(said(act(as_owner, "switch_on", pump, bell))) == {
        "The relay controller does not answer: start it, then try again.",
        "Bell is momentary: it can only be pressed.",
    }
    assert set(Event.objects.values_list("outcome", flat=True)) == {"refused"}


def test_a_relay_that_is_deleted_while_others_are_switched_is_said_to_be_gone(
    as_owner: Client, pump: Relay, served: Board
) -> None:
    fan = Relay.objects.create(name="Fan", slug="fan", board=served, line="GPIO27", polarity="active-low", position=9)
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TRIGGER gone AFTER INSERT ON relays_event BEGIN DELETE FROM relays_relay WHERE id > 1; END"
        )
    assert "This relay was deleted meanwhile." in said(act(as_owner, "switch_on", pump, fan))


def test_locking_asks_for_a_reason_on_a_page_of_its_own(as_owner: Client, pump: Relay) -> None:
    asking = act(as_owner, "lock", pump)
    assert "Locking switches nothing" in text(asking)
    assert not pump.events.exists()
    blank = act(as_owner, "lock", pump, reason=" ")
    assert "Say why: others will read it." in text(blank)
    assert said(act(as_owner, "lock", pump, reason="being repaired")) == ["Locked: Pump."]
    locked = Relay.objects.get(pk=pump.pk)
    assert (locked.is_locked, locked.lock_reason) == (True, "being repaired")
    event = pump.events.get()
    assert (event.kind, event.via, event.why) == ("locked", "admin", "being repaired")


def test_unlocking_leaves_an_event(as_owner: Client, pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(is_locked=True, lock_reason="being repaired")
    assert said(act(as_owner, "unlock", pump)) == ["Unlocked: Pump."]
    assert Relay.objects.get(pk=pump.pk).is_locked is False
    assert pump.events.get().kind == "unlocked"


def test_who_may_only_look_is_offered_nothing(as_viewer: Client, pump: Relay) -> None:
    page_of_list = as_viewer.get(LIST).content.decode()
    assert "Pump" in page_of_list
    assert "Switch on" not in page_of_list
    assert "_selected_action" not in page_of_list
    assert 'name="_save"' not in as_viewer.get(page(pump)).content.decode()


def test_a_request_made_by_hand_by_who_may_only_look_is_refused_and_recorded(
    as_viewer: Client, viewer: User, pump: Relay, served: Board
) -> None:
    sentence = "You may look at Pump, but not switch it: ask an administrator."
    assert said(act(as_viewer, "switch_on", pump)) == [sentence]
    event = pump.events.get()
    assert (event.outcome, event.by, event.why) == ("refused", viewer, sentence)
    assert Relay.objects.get(pk=pump.pk).wanted is False


@pytest.mark.parametrize("action", ["lock", "unlock"])
def test_who_may_only_look_cannot_lock(as_viewer: Client, pump: Relay, action: str) -> None:
    sentence = "You may not lock or unlock Pump: ask an administrator."
    assert said(act(as_viewer, action, pump, reason="mine now")) == [sentence]
    assert said(act(as_viewer, action, pump)) == [sentence]
    assert Relay.objects.get(pk=pump.pk).is_locked is False


def test_who_may_switch_but_not_change_is_offered_just_that(as_viewer: Client, viewer: User, pump: Relay) -> None:
    viewer.user_permissions.add(Permission.objects.get(codename="switch_relay"))
    shown = as_viewer.get(LIST).content.decode()
    assert "Switch on" in shown
    assert "Unlock" not in shown


# --- saving -------------------------------------------------------------------------------------------------


def test_a_relay_is_added(as_owner: Client, board: Board) -> None:
    response = as_owner.post(f"{LIST}add/", new(board, line="J8:13", max_on="2h30m"), follow=True)
    fan = Relay.objects.get()
    assert (fan.slug, fan.line, fan.max_on) == ("fan", "GPIO27", timedelta(hours=2, minutes=30))
    assert len(said(response)) == 1


def test_an_edit_is_an_event_with_who_field_from_and_to(as_owner: Client, owner: User, pump: Relay) -> None:
    as_owner.post(page(pump), form_of(as_owner, page(pump), min_off="90s"))
    event = pump.events.get()
    assert (event.kind, event.by, event.via) == ("edited", owner, "admin")
    assert (event.field, event.was, event.became) == ("shortest off", "", "1m30s")


def test_saving_a_form_as_it_came_changes_nothing(as_owner: Client, pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(max_on=timedelta(hours=1, minutes=2, seconds=3, milliseconds=4))
    as_owner.post(page(pump), form_of(as_owner, page(pump)))
    assert not Event.objects.exists()


def test_an_edit_leaves_what_was_asked_meanwhile(as_owner: Client, pump: Relay) -> None:
    form = form_of(as_owner, page(pump), name="Well pump")
    Relay.objects.filter(pk=pump.pk).update(wanted=True, actual=True, command=5)
    as_owner.post(page(pump), form)
    assert Relay.objects.filter(name="Well pump", wanted=True, actual=True, command=5).exists()


def test_a_poor_line_is_warned_of_after_saving_and_on_the_page(as_owner: Client, board: Board) -> None:
    warning = "GPIO14 is the serial port, which toggles while the Pi boots: choose another line if you can."
    response = as_owner.post(f"{LIST}add/", new(board, line="14"), follow=True)
    assert warning in said(response)
    assert f"Pin 8 of the header. {warning}" in text(as_owner.get(page(Relay.objects.get())))


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"name": ""}, "name", "This field is required."),
        ({"name": "pump"}, "name", "There is a relay of this name."),
        ({"slug": "pump"}, "slug", "There is a relay of this slug."),
        ({"name": "☀"}, "slug", "The name has no letter for an address: write a slug, like porch-lamp."),
        ({"line": "17"}, "line", "Another enabled relay of this board uses this line: choose another line."),
        ({"line": "lamp"}, "line", "“lamp” is not a line: write GPIO17, or J8:11 for pin 11 of the header."),
        ({"line": "J8:1"}, "line", "Pin 1 of the header carries no GPIO line: choose another pin."),
        ({"line": "28"}, "line", "GPIO28 is not on this board's header, which has GPIO0 to GPIO27."),
        ({"polarity": ""}, "polarity", "This field is required."),
        ({"position": "-1"}, "position", "Ensure this value is greater than or equal to 0."),
        ({"pulse": "1s"}, "pulse", "A momentary relay needs a pulse, and only a momentary one has it."),
        (
            {"mode": "momentary"},
            "pulse",
            "A momentary relay needs a pulse, and only a momentary one has it.",
        ),
        ({"mode": "momentary", "pulse": "11s"}, "pulse", "A pulse lasts 100ms to 10s."),
        (
            {"mode": "momentary", "pulse": "1s", "power_up": "on"},
            "mode",
            "A momentary relay is off at power-up, stop and loss: choose off for all.",
        ),
        ({"max_on": "10"}, "max_on", "“10” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
        ({"max_on": "31d"}, "max_on", "“31d” is too long: at most 30 days."),
        ({"min_on": "1ms"}, "min_on", "“1ms” is too short: at least 100ms."),
        ({"min_off": "5m5m"}, "min_off", "“5m5m” names a unit twice: write it like 500ms, 90s, 10m or 2h30m."),
        (
            {"min_on": "10m", "max_on": "5m"},
            "min_on",
            "The shortest on cannot be longer than the longest on.",
        ),
        (
            {"board": "999"},
            "board",
            "Select a valid choice. That choice is not one of the available choices.",
        ),
    ],
)
def test_what_is_wrong_with_a_relay_is_said_at_its_field(
    as_owner: Client, pump: Relay, fields: dict[str, str], field: str, sentence: str
) -> None:
    found = errors(as_owner.post(f"{LIST}add/", new(pump.board, **fields)))
    assert sentence in found[field]
    assert "__all__" not in found
    assert Relay.objects.count() == 1


@pytest.mark.parametrize("hostile", ["9" * 30, "1e9", "\0", "1 OR 1=1", "<script>"])
@pytest.mark.parametrize("field", ["position", "line", "name", "slug", "board", "room", "interlock", "max_on"])
def test_nothing_that_is_typed_breaks_the_form(as_owner: Client, board: Board, field: str, hostile: str) -> None:
    response = as_owner.post(f"{LIST}add/", new(board, **{field: hostile}))
    assert response.status_code in (200, 302)
    assert b"<script>" not in response.content.replace(b"<script src", b"").replace(b"<script>\n", b"")


@pytest.mark.parametrize(
    ("field", "value"),
    [("line", "22"), ("polarity", "active-high"), ("is_enabled", "(unticked)")],
)
def test_a_relay_that_is_on_keeps_its_pin(as_owner: Client, pump: Relay, field: str, value: str) -> None:
    form = form_of(as_owner, page(pump), **{field: value})
    Relay.objects.filter(pk=pump.pk).update(wanted=True)
    assert errors(as_owner.post(page(pump), form)) == {field: ["Switch Pump off first."]}


def test_a_board_whose_relay_is_on_stays_enabled(as_owner: Client, pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(actual=True)
    form = form_of(as_owner, page(pump.board), is_enabled="(unticked)")
    assert errors(as_owner.post(page(pump.board), form)) == {"is_enabled": ["Switch Pump off first."]}


def test_a_second_board_for_the_header_is_refused_at_the_driver(as_owner: Client, board: Board) -> None:
    Board.objects.create(name="Pi", driver="gpio")
    form = form_of(as_owner, page(board), driver="gpio")
    sentence = "This machine has one header: another enabled board uses it already."
    assert errors(as_owner.post(page(board), form)) == {"driver": [sentence]}


@pytest.mark.parametrize(
    ("dead_time", "sentence"),
    [
        ("", "This field is required."),
        ("soon", "“soon” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
        ("99ms", "“99ms” is too short: at least 100ms."),
    ],
)
def test_a_dead_time_is_a_duration(as_owner: Client, board: Board, dead_time: str, sentence: str) -> None:
    fields = {"name": "Gate", "board": str(board.pk), "policy": "replace", "dead_time": dead_time}
    response = as_owner.post("/admin/relays/interlock/add/", fields)
    assert errors(response) == {"dead_time": [sentence]}


def test_a_relay_that_was_deleted_meanwhile_is_said_to_be_gone(as_owner: Client, pump: Relay) -> None:
    path, form = page(pump), form_of(as_owner, page(pump), name="Well pump")
    pump.delete()
    response = as_owner.post(path, form, follow=True)
    assert said(response)[0].endswith("doesn’t exist. Perhaps it was deleted?")
    assert not Relay.objects.exists()


def test_what_the_database_refuses_at_the_last_moment_is_said_not_thrown(as_owner: Client, pump: Relay) -> None:
    form = form_of(as_owner, page(pump), name="Well pump")
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER no BEFORE UPDATE ON relays_relay BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    response = as_owner.post(page(pump), form, follow=True)
    assert said(response) == ["Nothing was changed, the database refused it: disk is full."]
    assert not Event.objects.exists()


def test_nothing_is_saved_into_a_database_that_was_replaced(
    as_owner: Client, pump: Relay, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    form = form_of(as_owner, page(pump), name="Well pump")
    (tmp_path / "db.sqlite3").touch()
    settings.DATA_DIR = tmp_path
    monkeypatch.setattr(database, "_opened", (0, 0))
    (sentence,) = said(as_owner.post(page(pump), form, follow=True))
    assert "was replaced while iotsite was running: restart iotsite." in sentence
    assert Relay.objects.get().name == "Pump"


# --- who may only look --------------------------------------------------------------------------------------


def test_who_may_only_look_reads_durations_in_words(as_viewer: Client, pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(max_on=timedelta(minutes=90))
    shown = text(as_viewer.get(page(pump)))
    assert "Longest on: 1h30m" in shown
    assert "Shortest on: none" in shown


@pytest.mark.parametrize("what", ["change", "delete"])
def test_who_may_only_look_changes_and_deletes_nothing(as_viewer: Client, pump: Relay, what: str) -> None:
    for row in (pump, pump.board):
        assert as_viewer.post(page(row, what), {"name": "Mine", "post": "yes"}).status_code == 403
    assert (Relay.objects.get().name, Board.objects.get().name) == ("Pump", "Shed")


# --- deleting -----------------------------------------------------------------------------------------------


def happened(relay: Relay, times: int = 1) -> None:
    for _ in range(times):
        Event.objects.create(kind="pressed", board=relay.board, relay=relay, via="page")


def test_a_relay_without_history_is_deleted(as_owner: Client, pump: Relay) -> None:
    as_owner.post(page(pump, "delete"), {"post": "yes"})
    assert not Relay.objects.exists()


def test_a_relay_with_a_history_is_kept_with_the_advice_to_disable_it(as_owner: Client, pump: Relay) -> None:
    happened(pump)
    sentence = "Pump has a history: disable it instead of deleting it."
    for response in (as_owner.get(page(pump, "delete")), as_owner.post(page(pump, "delete"), {"post": "yes"})):
        assert sentence in text(response)
        assert "Are you sure" not in text(response)
    assert Relay.objects.exists()


def test_several_are_deleted_all_or_none(as_owner: Client, pump: Relay) -> None:
    fan = Relay.objects.create(name="Fan", slug="fan", board=pump.board, line="GPIO27", polarity="active-low")
    happened(pump)
    for more in ({}, {"post": "yes"}):
        shown = text(act(as_owner, "delete_selected", pump, fan, **more))
        assert "Nothing was deleted. Pump has a history: disable it instead of deleting it. Back to the list" in shown
    assert Relay.objects.count() == 2
    act(as_owner, "delete_selected", fan, post="yes")
    assert Relay.objects.get() == pump


def test_refusing_to_delete_does_not_read_the_whole_history(
    as_owner: Client, pump: Relay, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    happened(pump, 20)
    with django_assert_max_num_queries(6) as asked:
        as_owner.get(page(pump, "delete"))
    assert all("LIMIT 1" in query["sql"] for query in asked.captured_queries if "relays_event" in query["sql"])


def test_a_board_is_deleted_only_while_nothing_hangs_on_it(as_owner: Client, pump: Relay) -> None:
    board = pump.board
    sentence = "Shed has relays or interlocks: delete those first, or disable the board."
    assert sentence in text(as_owner.post(page(board, "delete"), {"post": "yes"}))
    happened(pump)
    sentence = "Shed has a history: disable it instead of deleting it."
    assert sentence in text(as_owner.post(page(board, "delete"), {"post": "yes"}))
    bare = Board.objects.create(name="Attic", driver="simulated")
    as_owner.post(page(bare, "delete"), {"post": "yes"})
    assert Board.objects.get() == board


def test_an_interlock_or_a_room_is_deleted_only_when_empty(as_owner: Client, pump: Relay) -> None:
    gate, garden = Interlock.objects.create(name="Gate", board=pump.board), Room.objects.create(name="Garden")
    Relay.objects.update(interlock=gate, room=garden)
    refused = as_owner.post(page(gate, "delete"), {"post": "yes"})
    assert "Gate keeps Pump apart: take the relays out of it first." in text(refused)
    refused = as_owner.post(page(garden, "delete"), {"post": "yes"})
    assert "Garden has relays: put them into another room first." in text(refused)
    Relay.objects.update(interlock=None, room=None)
    for row in (gate, garden):
        as_owner.post(page(row, "delete"), {"post": "yes"})
    assert not Interlock.objects.exists()
    assert not Room.objects.exists()


def test_a_history_that_begins_while_one_deletes_is_said_not_thrown(as_owner: Client, pump: Relay) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER no BEFORE DELETE ON relays_relay BEGIN SELECT RAISE(ABORT, 'it is used'); END")
    response = as_owner.post(page(pump, "delete"), {"post": "yes"}, follow=True)
    assert said(response) == ["Nothing was changed, the database refused it: it is used."]


# --- boards, rooms, interlocks, events ----------------------------------------------------------------------


def test_the_boards_page_says_what_is_wired_where(as_owner: Client, pump: Relay) -> None:
    Relay.objects.create(
        name="Fan", slug="fan", board=pump.board, line="GPIO2", polarity="active-high", is_enabled=False
    )
    response = as_owner.get(page(pump.board))
    assert f'<a href="{page(pump)}"><bdi>Pump</bdi></a>' in response.content.decode()
    shown = reading.text(response)
    assert "Pin 11: GPIO17 Pump active-low" in shown
    assert "Pin 3: GPIO2 I²C bus Fan active-high, disabled" in shown
    assert "GPIO2 is the I2C bus, with fixed pull-ups of its own: choose another line if you can." in shown
    assert "Pin 40: GPIO21 free" in shown


def test_the_boards_page_has_the_lines_for_config_txt_ready_to_copy(as_owner: Client, pump: Relay) -> None:
    Relay.objects.create(name="Fan", slug="fan", board=pump.board, line="GPIO5", polarity="active-high")
    shown = as_owner.get(page(pump.board)).content.decode()
    assert "<pre>gpio=5=op,dl\ngpio=17=op,dh</pre>" in shown
    assert "/boot/firmware/config.txt" in shown
    assert "/boot/config.txt" in shown


@pytest.mark.parametrize(
    ("silent_for", "sentence"),
    [
        (None, r"Its controller does not run: start it with script/server or manage\.py run_relays\."),
        (-60, r"Its controller answers\."),
        (60, r"Its controller has not answered for 6\d s\."),  # making the page may take seconds
    ],
)
def test_a_board_says_whether_its_controller_answers(
    as_owner: Client, board: Board, silent_for: float | None, sentence: str
) -> None:
    if silent_for is not None:
        board.files.beat(at=clock.boot_seconds() - silent_for)
    assert re.search(sentence, text(as_owner.get("/admin/relays/board/")))
    assert re.search(sentence, text(as_owner.get(page(board))))


def test_a_stopped_board_says_so(as_owner: Client, board: Board) -> None:
    as_owner.post("/stop")
    for path in ("/admin/relays/board/", page(board)):
        assert re.search(
            r"Everything is stopped since .* by anna\. Nothing can be switched on", text(as_owner.get(path))
        )


def test_a_stop_that_the_database_does_not_know_is_said_too(as_owner: Client, board: Board) -> None:
    board.files.latch("anna", "page")
    assert "Everything is stopped by anna. Nothing can be switched on" in text(as_owner.get(page(board)))


def test_an_interlock_lists_its_relays(as_owner: Client, pump: Relay) -> None:
    gate = Interlock.objects.create(name="Gate", board=pump.board)
    Relay.objects.update(interlock=gate)
    for path in ("/admin/relays/interlock/", page(gate)):
        assert f'<a href="{page(pump)}">Pump</a>' in as_owner.get(path).content.decode()


def test_rooms_are_put_in_order_in_the_list(as_owner: Client, db: None) -> None:
    garden = Room.objects.create(name="Garden")
    form = {"form-TOTAL_FORMS": "1", "form-INITIAL_FORMS": "1", "form-0-id": garden.pk, "form-0-position": "3"}
    as_owner.post("/admin/relays/room/", form | {"_save": "Save"})
    assert Room.objects.get().position == 3


def test_history_is_read_only(as_owner: Client, pump: Relay) -> None:
    happened(pump)
    event = Event.objects.get()
    assert as_owner.get(page(event)).status_code == 200
    assert as_owner.get("/admin/relays/event/add/").status_code == 403
    for what in ("change", "delete"):
        assert as_owner.post(page(event, what), {"kind": "fault", "post": "yes"}).status_code == 403
    response = as_owner.post("/admin/relays/event/", {"action": "delete_selected", "_selected_action": event.pk})
    assert Event.objects.get().kind == "pressed", response


def test_the_history_of_a_row_is_its_events(as_owner: Client, pump: Relay) -> None:
    gate = Interlock.objects.create(name="Gate", board=pump.board)
    happened(pump)
    for row in (pump, pump.board, gate):
        response = as_owner.get(page(row, "history"), follow=True)
        assert "1 event " in text(response)
        assert "pressed via page" in text(response)


def test_the_list_of_events_counts_no_further_than_people_turn_pages(
    as_owner: Client, pump: Relay, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened(pump, 5)
    monkeypatch.setattr("iotsite.admin.COUNTED_AT_MOST", 3)
    assert "3 events" in text(as_owner.get("/admin/relays/event/"))


def test_names_cannot_smuggle_in_markup(as_owner: Client, pump: Relay) -> None:
    hostile = "<script>alert(1)</script>"
    gate = Interlock.objects.create(name=hostile, board=pump.board)
    Relay.objects.update(name=hostile, fault=hostile, lock_reason=hostile, is_locked=True, interlock=gate)
    Event.objects.create(
        kind="edited", board=pump.board, relay=pump, via="admin", who=hostile, why=hostile, was=hostile
    )
    paths = [LIST, page(pump), page(pump.board), page(gate), page(pump, "delete"), page(Event.objects.get())]
    paths += ["/admin/relays/interlock/", "/admin/relays/event/", "/admin/relays/board/"]
    answers = [as_owner.get(path) for path in paths]
    answers.append(act(as_owner, "lock", pump))
    answers.append(act(as_owner, "delete_selected", pump))
    for answer in answers:
        assert hostile not in answer.content.decode()
        assert "&lt;script&gt;" in answer.content.decode() or answer.request["PATH_INFO"] == "/admin/relays/board/"


def _fields_without_help(form: Any) -> list[str]:
    return [name for name, field in form.fields.items() if not field.help_text]


@pytest.mark.parametrize("model", ["board", "room", "relay", "interlock"])
def test_every_field_has_help_in_plain_words(as_owner: Client, board: Board, model: str) -> None:
    form = as_owner.get(f"/admin/relays/{model}/add/").context["adminform"].form
    assert _fields_without_help(form) == []
