import html
import re
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from relays import clock
from relays.models import Board, Event, Interlock, Relay, Room
from relays.views import home

EVERYTHING = ("/relays/pump/switch", "/relays/pump/press", "/rooms/off", "/stop", "/stop/reset")


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No controller runs here: waiting for one proves nothing."""
    monkeypatch.setattr(home, "WAIT", 0.0)


@pytest.fixture
def bell(board: Board) -> Relay:
    return Relay.objects.create(
        name="Bell",
        slug="bell",
        board=board,
        line="GPIO22",
        polarity="active-low",
        mode="momentary",
        pulse=timedelta(milliseconds=500),
    )


def text(response: Any) -> str:
    """What a person reads on the page, without markup."""
    stripped = re.sub(r"<[^>]+>", " ", response.content.decode())
    return html.unescape(re.sub(r"\s+", " ", stripped))


def said(response: Any) -> list[str]:
    return [str(message) for message in response.context["messages"]]


def post(client: Client, path: str, **fields: str) -> list[str]:
    """Send a form; the messages of the page that it leads to."""
    response = client.post(path, fields, follow=True)
    assert response.redirect_chain == [("/", 302)]
    return said(response)


def rows() -> list[Any]:
    """All that a request could have changed."""
    return [list(model.objects.order_by("pk").values()) for model in (Board, Room, Interlock, Relay, Event)]


# --- who may come in ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", ["/", *EVERYTHING])
@pytest.mark.parametrize("method", ["get", "post"])
def test_a_stranger_is_led_to_sign_in(client: Client, pump: Relay, path: str, method: str) -> None:
    response = getattr(client, method)(path)
    assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={path}")
    assert not Event.objects.exists()


@pytest.mark.parametrize("path", ["/", *EVERYTHING])
def test_looking_never_writes(as_owner: Client, pump: Relay, path: str) -> None:
    Relay.objects.update(wanted=True, actual=True)
    before = rows()
    assert as_owner.get(path).status_code in (200, 405)
    assert rows() == before


@pytest.mark.parametrize("path", EVERYTHING)
def test_a_form_of_another_site_is_refused(owner: User, pump: Relay, served: Board, path: str) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    before = rows()
    assert client.post(path, {"on": "on"}).status_code == 403
    assert rows() == before


def test_a_form_of_our_own_is_accepted(owner: User, pump: Relay, served: Board) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    token = client.get("/").context["csrf_token"]
    client.post("/relays/pump/switch", {"on": "on", "csrfmiddlewaretoken": str(token)})
    assert Relay.objects.get().wanted is True


# --- switching ----------------------------------------------------------------------------------------------


def test_on_and_off_go_through_the_door(as_owner: Client, owner: User, pump: Relay, served: Board) -> None:
    for word, wanted in (("on", True), ("off", False)):
        post(as_owner, "/relays/pump/switch", on=word)
        assert Relay.objects.get().wanted is wanted
    asked = [(event.kind, event.outcome, event.by, event.via) for event in pump.events.order_by("id")]
    assert asked == [("asked on", "accepted", owner, "page"), ("asked off", "accepted", owner, "page")]


def test_what_is_not_carried_out_yet_is_said_to_be_pending(as_owner: Client, pump: Relay, served: Board) -> None:
    sentence = "Pump: pending: the relay controller has not confirmed it yet."
    assert post(as_owner, "/relays/pump/switch", on="on") == [sentence]


def test_on_for_a_while_has_an_end(as_owner: Client, pump: Relay, served: Board) -> None:
    post(as_owner, "/relays/pump/switch", on="on", lasting="2h30m")
    row = Relay.objects.get()
    assert row.wanted_at
    assert row.wanted_until
    assert row.wanted_until - row.wanted_at == timedelta(hours=2, minutes=30)


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({}, "Say on or off."),
        ({"on": "toggle"}, "Say on or off."),
        ({"on": "on", "lasting": "10"}, "“10” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
        ({"on": "on", "lasting": "1h1h"}, "“1h1h” names a unit twice: write it like 500ms, 90s, 10m or 2h30m."),
        ({"on": "on", "lasting": "50ms"}, "“50ms” is too short: at least 100ms."),
        ({"on": "on", "lasting": "31d"}, "“31d” is too long: at most 30 days."),
        ({"on": "on", "lasting": "30s"}, "Pump stays on for at least 1m: 30s is too short."),
        ({"on": "on", "lasting": "3h"}, "Pump stays on for at most 2h: 3h is too long."),
        ({"on": "off", "lasting": "5m"}, "Off takes no duration: only “on for …” does."),
    ],
)
def test_what_cannot_be_asked_is_answered_in_a_sentence(
    as_owner: Client, pump: Relay, served: Board, fields: dict[str, str], sentence: str
) -> None:
    Relay.objects.update(min_on=timedelta(minutes=1), max_on=timedelta(hours=2))
    assert post(as_owner, "/relays/pump/switch", **fields) == [sentence]
    assert Relay.objects.get().wanted is False


@pytest.mark.parametrize("lasting", ["", "  "])
def test_an_empty_duration_is_none(as_owner: Client, pump: Relay, served: Board, lasting: str) -> None:
    post(as_owner, "/relays/pump/switch", on="on", lasting=lasting)
    assert Relay.objects.get().wanted_until is None


def test_a_momentary_relay_is_pressed_and_nothing_else(as_owner: Client, bell: Relay, served: Board) -> None:
    assert post(as_owner, "/relays/bell/switch", on="on") == ["Bell is momentary: it can only be pressed."]
    post(as_owner, "/relays/bell/press")
    assert Relay.objects.get().wanted is True
    assert post(as_owner, "/relays/bell/press") == ["Bell is being pressed: try again in a moment."]


def test_a_switch_cannot_be_pressed(as_owner: Client, pump: Relay, served: Board) -> None:
    sentence = "Pump is a switch, not momentary: switch it on or off."
    assert post(as_owner, "/relays/pump/press") == [sentence]


def test_nothing_goes_on_without_a_controller_and_off_is_kept_for_it(as_owner: Client, pump: Relay) -> None:
    sentence = "The relay controller does not answer: start it, then try again."
    assert post(as_owner, "/relays/pump/switch", on="on") == [sentence]
    assert Relay.objects.get().wanted is False
    assert Event.objects.get().outcome == "refused"
    Relay.objects.update(wanted=True)
    sentence = "Pump: pending: the relay controller does not answer: start it and it will be done."
    assert post(as_owner, "/relays/pump/switch", on="off") == [sentence]
    assert Relay.objects.get().wanted is False


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"is_locked": True, "lock_reason": "being repaired"}, "Pump is locked: being repaired."),
        ({"is_enabled": False}, "Pump is disabled: enable it first."),
    ],
)
def test_a_locked_or_disabled_relay_says_so(
    as_owner: Client, pump: Relay, served: Board, fields: dict[str, Any], sentence: str
) -> None:
    Relay.objects.update(**fields)
    for word in ("on", "off"):
        assert post(as_owner, "/relays/pump/switch", on=word) == [sentence]


def test_a_relay_of_a_disabled_board_says_so(as_owner: Client, pump: Relay, served: Board) -> None:
    Board.objects.update(is_enabled=False)
    assert post(as_owner, "/relays/pump/switch", on="on") == ["Shed is disabled: enable it first."]


def test_the_other_relay_of_an_interlock_goes_off_or_refuses(
    as_owner: Client, pump: Relay, bell: Relay, served: Board
) -> None:
    gate = Interlock.objects.create(name="Gate", board=served, policy="refuse")
    Relay.objects.update(interlock=gate, mode="switch", pulse=None)
    post(as_owner, "/relays/pump/switch", on="on")
    sentence = "Pump is on, and only one of the two may be: switch Pump off first."
    assert post(as_owner, "/relays/bell/switch", on="on") == [sentence]
    Interlock.objects.update(policy="replace")
    post(as_owner, "/relays/bell/switch", on="on")
    assert list(Relay.objects.order_by("name").values_list("wanted", flat=True)) == [True, False]
    replaced = pump.events.latest("id")
    assert replaced.sentence.startswith("asked off by anna via interlock: accepted (only one of")


@pytest.mark.parametrize("path", ["/relays/nowhere/switch", "/relays/nowhere/press"])
def test_an_unknown_relay_is_not_found(as_owner: Client, board: Board, path: str) -> None:
    assert as_owner.post(path, {"on": "on"}).status_code == 404


def test_without_scripts_a_form_leads_back_to_where_it_stood(as_owner: Client, pump: Relay, served: Board) -> None:
    response = as_owner.post("/relays/pump/switch", {"on": "on", "back": "/relays/pump/"})
    assert (response.status_code, response["Location"]) == (302, "/relays/pump/")


@pytest.mark.parametrize(
    "back",
    ["https://evil.example/", "//evil.example/relays/pump/", "/admin/", "/nowhere", "\0", "javascript:x", "/stop"],
)
def test_a_form_leads_to_no_page_but_ours(as_owner: Client, pump: Relay, served: Board, back: str) -> None:
    response = as_owner.post("/relays/pump/switch", {"on": "on", "back": back})
    assert (response.status_code, response["Location"]) == (302, "/")


def test_a_duration_alone_means_on(as_owner: Client, pump: Relay, served: Board) -> None:
    post(as_owner, "/relays/pump/switch", lasting="5m")
    row = Relay.objects.get()
    assert row.wanted
    assert row.wanted_until


# --- a live page --------------------------------------------------------------------------------------------

LIVE = {"HX-Request": "true"}


def test_a_live_page_gets_the_card_and_no_word_of_what_the_card_shows(
    as_owner: Client, pump: Relay, served: Board
) -> None:
    Relay.objects.update(actual=False)
    answer = as_owner.post("/relays/pump/switch", {"on": "on"}, headers=LIVE)
    assert (answer.status_code, answer["HX-Retarget"]) == (200, f"#relay-{pump.pk}")
    assert "Switching… Off · wanted on" in text(answer)
    assert "pending" not in text(answer)


def test_a_live_page_gets_a_refusal_in_words(as_owner: Client, pump: Relay) -> None:
    answer = as_owner.post("/relays/pump/switch", {"on": "on"}, headers=LIVE)
    assert answer.status_code == 200
    assert "The relay controller does not answer: start it, then try again." in text(answer)
    assert 'hx-swap-oob="true"' in answer.content.decode()


def test_a_refusal_is_said_once(as_owner: Client, pump: Relay) -> None:
    as_owner.post("/relays/pump/switch", {"on": "on"}, headers=LIVE)
    assert said(as_owner.get("/")) == []


@pytest.mark.parametrize("path", ["/stop", "/rooms/off"])
def test_a_live_page_fetches_itself_anew_where_no_single_card_tells_all(
    as_owner: Client, pump: Relay, served: Board, path: str
) -> None:
    answer = as_owner.post(path, headers=LIVE)
    assert answer.status_code == 200
    assert "HX-Retarget" not in answer


# --- who may only look --------------------------------------------------------------------------------------


def test_who_may_only_look_sees_the_state_and_no_button(as_viewer: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(actual=True, wanted=True)
    page = as_viewer.get("/").content.decode()
    assert "Pump" in page
    for action in ("/relays/pump/switch", "/rooms/off", 'action="/stop"', "/stop/reset"):
        assert action not in page


@pytest.mark.parametrize(("path", "fields"), [("/relays/pump/switch", {"on": "off"}), ("/relays/pump/press", {})])
def test_a_request_made_by_hand_is_refused_in_a_sentence_and_recorded(
    as_viewer: Client, viewer: User, pump: Relay, served: Board, path: str, fields: dict[str, str]
) -> None:
    Relay.objects.update(wanted=True, actual=True)
    sentence = "You may look at Pump, but not switch it: ask an administrator."
    assert post(as_viewer, path, **fields) == [sentence]
    event = Event.objects.get()
    assert (event.outcome, event.by, event.who, event.why) == ("refused", viewer, "viola", sentence)
    assert Relay.objects.get().wanted is True


def test_who_may_only_look_cannot_switch_a_room_off(as_viewer: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(wanted=True)
    sentence = "You may look at Pump, but not switch it: ask an administrator."
    assert post(as_viewer, "/rooms/off") == [sentence]
    assert Relay.objects.get().wanted is True


def test_who_may_only_look_cannot_stop_or_reset(as_viewer: Client, pump: Relay, served: Board) -> None:
    assert post(as_viewer, "/stop") == ["You may look at the relays, but not stop them: ask an administrator."]
    Board.objects.update(stopped_at=timezone.now())
    sentence = "You may look at the relays, but not reset the stop: ask an administrator."
    assert post(as_viewer, "/stop/reset") == [sentence]
    assert Board.objects.get().is_stopped


# --- a room, and everything ---------------------------------------------------------------------------------


def test_all_off_switches_off_that_room_and_no_other(as_owner: Client, pump: Relay, bell: Relay, served: Board) -> None:
    garden = Room.objects.create(name="Garden")
    Relay.objects.filter(pk=pump.pk).update(room=garden)
    Relay.objects.update(mode="switch", pulse=None, wanted=True)
    post(as_owner, "/rooms/off", room=str(garden.pk))
    assert dict(Relay.objects.values_list("name", "wanted")) == {"Pump": False, "Bell": True}
    post(as_owner, "/rooms/off", room="")
    assert not Relay.objects.filter(wanted=True).exists()


@pytest.mark.parametrize("room", ["x", "-1", "1.5", "999", "\0", "9" * 30])
def test_an_unknown_room_breaks_nothing(as_owner: Client, pump: Relay, served: Board, room: str) -> None:
    Relay.objects.update(wanted=True)
    assert post(as_owner, "/rooms/off", room=room) in ([], ["There is no such room."])
    assert Relay.objects.get().wanted is True


def test_stop_everything_switches_all_off_and_refuses_every_on(
    as_owner: Client, pump: Relay, bell: Relay, served: Board
) -> None:
    Relay.objects.filter(pk=pump.pk).update(wanted=True)
    sentence = "Everything is stopped. Nothing can be switched on until you reset it."
    assert post(as_owner, "/stop") == [sentence]
    assert Relay.objects.get(pk=pump.pk).wanted is False
    assert [event.sentence for event in Event.objects.order_by("id")] == [
        "stopped everything by anna via page",
        "asked off by anna via stop: accepted (everything is stopped)",
    ]
    for path, fields in (("/relays/pump/switch", {"on": "on"}), ("/relays/bell/press", {})):
        assert post(as_owner, path, **fields) == ["Everything is stopped: reset the stop first."]
    assert "Everything is stopped." in text(as_owner.get("/"))


def test_the_reset_takes_two_steps_and_restores_nothing(as_owner: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(wanted=True)
    post(as_owner, "/stop")
    assert "Nothing goes on by itself" in text(as_owner.get("/stop/reset"))
    assert Board.objects.get().is_stopped
    sentence = "The stop is reset. What was on stays off until you switch it on."
    assert post(as_owner, "/stop/reset") == [sentence]
    assert not Board.objects.get().is_stopped
    assert Relay.objects.get().wanted is False
    assert Event.objects.latest("id").sentence == "reset the stop by anna via page"


def test_a_stop_latched_without_the_database_is_seen_and_reset(as_owner: Client, pump: Relay, served: Board) -> None:
    served.files.latch("anna", "page")
    assert "Everything is stopped." in text(as_owner.get("/"))
    assert post(as_owner, "/relays/pump/switch", on="on") == ["Everything is stopped: reset the stop first."]
    post(as_owner, "/stop/reset")
    assert not served.files.is_latched


def test_resetting_what_is_not_stopped_leaves_no_event(as_owner: Client, pump: Relay) -> None:
    post(as_owner, "/stop/reset")
    assert not Event.objects.exists()


# --- what the page says -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"actual": True, "wanted": True}, "On"),
        ({"actual": False}, "Off"),
        ({"actual": False, "wanted": True}, "Off · wanted on"),
        ({"actual": None}, "Not known wanted off"),
        ({"actual": False, "fault": "GPIO17 reads back on"}, "Fault: GPIO17 reads back on"),
        ({"actual": False, "is_locked": True, "lock_reason": "being repaired"}, "Locked: being repaired"),
    ],
)
def test_the_state_is_said_in_words(
    as_owner: Client, pump: Relay, served: Board, fields: dict[str, Any], words: str
) -> None:
    Relay.objects.update(**fields)
    assert words in text(as_owner.get("/"))


def test_a_silent_controller_is_said_and_its_last_word_is_no_fact(as_owner: Client, pump: Relay, board: Board) -> None:
    Relay.objects.update(actual=True, wanted=True)
    board.files.beat(at=clock.boot_seconds() - 60)
    shown = text(as_owner.get("/"))
    assert re.search(r"The relay controller of Shed has not answered for 6\d s", shown)
    assert "Not known" in shown


def test_a_site_without_a_board_says_how_to_add_one_and_has_nothing_to_stop(as_owner: Client, db: None) -> None:
    response = as_owner.get("/")
    assert "There is no board." in text(response)
    assert "Stop everything" not in text(response)


def test_a_board_without_relays_says_how_to_add_one(as_owner: Client, served: Board) -> None:
    assert "No relay yet" in text(as_owner.get("/"))


def test_a_simulated_board_is_called_so(as_owner: Client, served: Board) -> None:
    assert "simulated" in text(as_owner.get("/"))


def test_relays_stand_in_their_rooms_in_the_order_of_their_owner(as_owner: Client, board: Board) -> None:
    for room_position, room in enumerate(("Kitchen", "Attic")):
        place = Room.objects.create(name=room, position=room_position)
        for position, name in enumerate(("Lamp", "Fan")):
            slug = f"{room}-{name}".lower()
            line = f"GPIO{4 + room_position * 2 + position}"
            Relay.objects.create(
                name=slug, slug=slug, room=place, position=position, board=board, line=line, polarity="active-low"
            )
    shown = text(as_owner.get("/"))
    names = ("Kitchen", "kitchen-lamp", "kitchen-fan", "Attic", "attic-lamp", "attic-fan")
    places = [shown.index(name) for name in names]
    assert places == sorted(places)


def test_disabled_relays_and_boards_are_not_shown(as_owner: Client, pump: Relay, bell: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(is_enabled=False)
    shown = text(as_owner.get("/"))
    assert ("Pump" in shown, "Bell" in shown) == (False, True)
    Board.objects.update(is_enabled=False)
    assert "Bell" not in text(as_owner.get("/"))


def test_names_cannot_smuggle_in_markup(as_owner: Client, pump: Relay, served: Board) -> None:
    hostile = "<script>alert(1)</script>"
    Room.objects.create(name=hostile)
    Board.objects.update(name=hostile)
    Relay.objects.update(
        name=hostile, fault=hostile, lock_reason=hostile, is_locked=True, room=Room.objects.get(), actual=False
    )
    answers = [as_owner.get("/"), as_owner.post("/relays/pump/switch", {"on": "on", "lasting": hostile}, follow=True)]
    for answer in answers:
        assert hostile not in answer.content.decode()
        assert "&lt;script&gt;" in answer.content.decode()


def test_the_page_asks_as_much_of_the_database_for_one_relay_as_for_many(
    as_owner: Client, pump: Relay, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(2, 14):
        room = Room.objects.create(name=f"Room {number}")
        name = f"fan-{number}"
        Relay.objects.create(
            name=name, slug=name, room=room, board=pump.board, line=f"GPIO{number}", polarity="active-low"
        )
    with django_assert_max_num_queries(7):  # session, user, menu, relays, boards, and the boards' relays and interlocks
        as_owner.get("/")


def test_the_page_asks_no_more_for_who_is_no_superuser(
    viewer: User, as_viewer: Client, pump: Relay, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(7):  # session, user, menu, boards, relays, and what the user and the groups may
        as_viewer.get("/")


def test_a_live_page_can_tell_whether_it_is_up_to_date(as_owner: Client, pump: Relay, served: Board) -> None:
    def seen() -> str:
        return re.findall(r'data-seen="(\w+)"', as_owner.get("/").content.decode())[0]

    before = seen()
    assert seen() == before
    Relay.objects.update(fault="stuck")
    assert seen() != before


def test_without_scripts_the_page_asks_anew_by_itself(as_owner: Client, pump: Relay) -> None:
    assert re.search(r'<noscript>\s*<meta http-equiv="refresh"', as_owner.get("/").content.decode())


def test_a_database_that_cannot_be_written_is_said_not_thrown(as_owner: Client, pump: Relay, served: Board) -> None:
    with connection.cursor() as cursor:
        cursor.execute("CREATE TRIGGER no BEFORE INSERT ON relays_event BEGIN SELECT RAISE(ABORT, 'disk is full'); END")
    sentence = "Nothing was changed, the database cannot be written: disk is full."
    assert post(as_owner, "/relays/pump/switch", on="on") == [sentence]
    assert Relay.objects.get().wanted is False
