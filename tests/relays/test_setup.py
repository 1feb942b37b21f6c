import re
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.contrib.messages import get_messages
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import DjangoAssertNumQueries
from pytest_django import Settings as Configured

from accounts.models import User
from relays.boards import BoardError
from relays.models import Board, Event, Relay, Room
from relays.views import setup
from tests.relays.reading import errors, text
from tests.site import Site, add_relays, post, sign_in, wait_for

NEW = {"name": "Porch lamp", "line": "GPIO17", "kind": "lamp", "polarity": "active-low", "mode": "switch"}


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """No controller runs here: waiting for one proves nothing."""
    monkeypatch.setattr(setup, "WAIT", 0.0)


@pytest.fixture
def no_board(db: None, settings: Configured, tmp_path: Path) -> None:
    settings.RUN_DIR = tmp_path


def said(response: object) -> list[str]:
    return [str(message) for message in get_messages(response.wsgi_request)]  # type: ignore[attr-defined]


# --- a board ------------------------------------------------------------------------------------------------


def test_a_machine_without_header_is_offered_a_simulated_board(as_owner: Client, no_board: None) -> None:
    page = text(as_owner.get("/setup/"))
    assert "There is none yet. No GPIO header was found" in page
    assert "A simulated board does all that a real one does, and switches nothing. Add a simulated board" in page


def test_a_header_that_is_found_is_offered_first(
    as_owner: Client, no_board: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(setup.gpio, "find_chip", lambda: 0)
    assert "This machine has a header Name Pins 40 pins (J8)" in text(as_owner.get("/setup/"))
    as_owner.post("/boards/add", {"name": "Pi", "driver": "gpio", "header": "P1"})
    assert Board.objects.get(name="Pi", driver="gpio", header="P1").is_enabled


def test_a_header_that_may_not_be_used_is_told_with_what_to_do(
    as_owner: Client, no_board: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def closed() -> int:
        raise BoardError("/dev/gpiochip0 may not be opened by this user: run “sudo usermod …”, sign in again.")

    monkeypatch.setattr(setup.gpio, "find_chip", closed)
    assert "/dev/gpiochip0 may not be opened by this user: run “sudo usermod …”" in text(as_owner.get("/setup/"))


def test_a_simulated_board_is_made_by_one_button(as_owner: Client, no_board: None) -> None:
    form = {"name": "Simulated board", "driver": "simulated", "header": "J8"}
    response = as_owner.post("/boards/add", form, follow=True)
    assert "Simulated board is added. Its controller starts by itself within seconds." in text(response)
    assert "Simulated board : nothing is switched for real." in text(response)
    assert Board.objects.get().is_simulated


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"driver": "gpio"}, "This machine has no GPIO header that can be used: add a simulated board."),
        ({"name": "Shed"}, "There is a board of this name."),
        ({"header": "J9"}, "Select a valid choice. J9 is not one of the available choices."),
    ],
)
def test_a_board_that_cannot_be_is_refused_in_a_sentence(
    as_owner: Client, board: Board, monkeypatch: pytest.MonkeyPatch, form: dict[str, str], sentence: str
) -> None:
    monkeypatch.setattr(setup.gpio, "find_chip", lambda: None)
    response = as_owner.post("/boards/add", {"name": "New", "driver": "simulated", "header": "J8"} | form)
    assert said(response) == [sentence]
    assert Board.objects.get() == board


def test_the_next_step_after_the_board_is_a_relay(as_owner: Client, served: Board) -> None:
    page = text(as_owner.get("/setup/"))
    assert page.count("Add the first relay") == 1
    assert "Its controller answers. Add a relay" in page
    assert "Pin 11: GPIO17 free" in page
    assert "Pin 3: GPIO2 I²C bus" in page
    assert "Pin 6: Ground" in page


def test_a_board_without_a_controller_says_how_to_start_one(as_owner: Client, board: Board) -> None:
    page = text(as_owner.get("/setup/"))
    assert "Its controller does not run. Start it with script/server or manage.py run_relays ." in page


# --- a relay ------------------------------------------------------------------------------------------------


def test_a_relay_is_added_in_a_new_room_and_tried_next(as_owner: Client, owner: User, board: Board) -> None:
    Room.objects.create(name="Garden", position=3)
    response = as_owner.post("/relays/add/", NEW | {"room_name": "Living room"})
    assert response["Location"] == "/relays/porch-lamp/try/"
    relay = Relay.objects.select_related("room", "board").get()
    assert (relay.name, relay.line, relay.kind, relay.board) == ("Porch lamp", "GPIO17", "lamp", board)
    assert relay.room is not None
    assert (relay.room.name, relay.room.position) == ("Living room", 4)
    assert (relay.wanted, relay.actual, relay.command) == (False, None, 0)


def test_a_room_that_exists_is_found_whatever_the_case(as_owner: Client, board: Board) -> None:
    garden = Room.objects.create(name="Garden")
    as_owner.post("/relays/add/", NEW | {"room_name": "garden"})
    assert Relay.objects.get().room == garden
    assert '<option value="Garden">' in as_owner.get("/relays/add/").content.decode()


def test_a_momentary_relay_has_a_pulse(as_owner: Client, board: Board) -> None:
    as_owner.post("/relays/add/", NEW | {"mode": "momentary", "pulse": "500ms"})
    assert Relay.objects.get().is_momentary


def test_a_poor_line_is_warned_of(as_owner: Client, board: Board) -> None:
    response = as_owner.post("/relays/add/", NEW | {"line": "GPIO14"})
    assert said(response) == [
        "GPIO14 is the serial port, which toggles while the Pi boots: choose another line if you can."
    ]


@pytest.mark.parametrize(
    ("fields", "field", "sentence"),
    [
        ({"name": ""}, "name", "Say what it switches."),
        ({"name": "PUMP", "slug": "other"}, "name", "There is a relay of this name."),
        ({"name": "Pump!"}, "slug", "There is a relay of this slug."),
        ({"name": "☀"}, "slug", "The name has no letter for an address: write a slug, like porch-lamp."),
        ({"name": "Add"}, "slug", "“add” is the address of a page of this site: write another slug."),
        ({"name": "x" * 61}, "name", "Ensure this value has at most 60 characters (it has 61)."),
        ({"room_name": "x" * 61}, "room_name", "Ensure this value has at most 60 characters (it has 61)."),
        ({"line": ""}, "line", "Choose a line on the drawing."),
        ({"line": "GPIO22"}, "line", "Another enabled relay of this board uses this line: choose another line."),
        ({"line": "GPIO99"}, "line", "GPIO99 is not on this board's header, which has GPIO0 to GPIO27."),
        ({"line": "lamp"}, "line", "“lamp” is not a line: write GPIO17, or J8:11 for pin 11 of the header."),
        ({"polarity": ""}, "polarity", "Say at which level it is on; if in doubt take active-low, and try it."),
        ({"mode": "momentary"}, "pulse", "A momentary relay needs a pulse, and only a momentary one has it."),
        ({"pulse": "1s"}, "pulse", "A momentary relay needs a pulse, and only a momentary one has it."),
        ({"mode": "momentary", "pulse": "1m"}, "pulse", "A pulse lasts 100ms to 10s."),
        (
            {"mode": "momentary", "pulse": "x"},
            "pulse",
            "“x” is not a duration: write it like 500ms, 90s, 10m or 2h30m.",
        ),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(
    as_owner: Client, pump: Relay, fields: dict[str, str], field: str, sentence: str
) -> None:
    Relay.objects.update(line="GPIO22")
    response = as_owner.post("/relays/add/", NEW | {"room_name": "Attic"} | fields)
    assert errors(response) == {field: [sentence]}
    assert sentence.replace("'", "’") in text(response).replace("'", "’")
    assert Relay.objects.get() == pump
    assert not Room.objects.exists()


def test_only_free_lines_are_offered_each_with_its_pin_as_label(as_owner: Client, pump: Relay) -> None:
    Relay.objects.create(
        name="Old", slug="old", board=pump.board, line="GPIO22", polarity="active-low", is_enabled=False
    )
    page = as_owner.get("/relays/add/").content.decode()
    offered = re.findall(r'<input type="radio"\s+name="line"\s+value="(GPIO\d+)"', page)
    assert sorted(offered) == sorted({f"GPIO{number}" for number in range(28)} - {"GPIO17"})
    assert '<a href="/relays/pump/"><bdi>Pump</bdi></a>' in page
    assert "Pin 15: GPIO22 disabled: Old" in text(as_owner.get("/relays/add/"))


def test_what_was_chosen_stays_chosen_after_a_refusal(as_owner: Client, board: Board) -> None:
    page = as_owner.post("/relays/add/", NEW | {"name": ""}).content.decode()
    chosen = re.findall(r'value="([^"]+)"[^>]*\bchecked\b', page)
    assert chosen == ["GPIO17", "active-low"]


def test_of_several_boards_one_is_chosen_first(as_owner: Client, board: Board) -> None:
    other = Board.objects.create(name="Attic", driver="simulated", header="P1")
    assert "Which board is it wired to? Attic (simulated) Shed (simulated)" in text(as_owner.get("/relays/add/"))
    assert "Pin 40" not in text(as_owner.get(f"/relays/add/?board={other.pk}"))
    as_owner.post(f"/relays/add/?board={other.pk}", NEW)
    assert Relay.objects.get().board == other


def test_without_a_board_there_is_none_to_choose(as_owner: Client, no_board: None) -> None:
    assert as_owner.get("/relays/add/")["Location"] == "/setup/"


def test_names_are_never_markup(as_owner: Client, pump: Relay) -> None:
    evil = "<script>x</script>"
    Room.objects.create(name=evil)
    Board.objects.update(name=evil)
    Relay.objects.update(name=evil)
    for path in ("/setup/", "/relays/add/", "/relays/pump/try/", "/relays/pump/edit/", f"/boards/{pump.board_id}/"):
        page = as_owner.get(path).content.decode()
        assert "<script>x" not in page
        assert "&lt;script&gt;x" in page


# --- trying it ----------------------------------------------------------------------------------------------


def test_a_try_clicks_for_one_second_through_the_door(
    as_owner: Client, owner: User, pump: Relay, served: Board
) -> None:
    response = as_owner.post("/relays/pump/try/")
    event = pump.events.get()
    assert response["Location"] == f"/relays/pump/try/?event={event.pk}"
    assert (event.kind, event.outcome, event.by, event.via) == ("asked on", "accepted", owner, "page")
    assert event.lasting == setup.CLICK
    page = text(as_owner.get(response["Location"]))
    assert "It was asked to click: pending, the relay controller has not confirmed it yet." in page


def test_a_momentary_relay_is_pressed(as_owner: Client, pump: Relay, served: Board) -> None:
    Relay.objects.update(mode="momentary", pulse=setup.CLICK)
    assert "Press it once" in text(as_owner.get("/relays/pump/try/"))
    as_owner.post("/relays/pump/try/")
    assert pump.events.get().kind == "pressed"


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"is_locked": True, "lock_reason": "repair"}, "Pump is locked: repair."),
        ({"is_enabled": False}, "Pump is disabled: enable it first."),
    ],
)
def test_a_refusal_of_the_door_is_shown(
    as_owner: Client, pump: Relay, served: Board, fields: dict[str, object], sentence: str
) -> None:
    Relay.objects.update(**fields)
    assert sentence in text(as_owner.post("/relays/pump/try/", follow=True))


def test_without_a_controller_nothing_clicks(as_owner: Client, pump: Relay) -> None:
    page = text(as_owner.post("/relays/pump/try/", follow=True))
    assert "The relay controller does not answer: start it, then try again." in page
    assert "Nothing on the contacts yet:" in page


def test_after_a_click_it_asks_whether_it_did(as_owner: Client, pump: Relay, served: Board) -> None:
    asked = pump.switch(True, by=None, via=Event.Via.PAGE)
    Relay.objects.update(applied_command=asked.pk, wanted=False, actual=False)
    page = text(as_owner.get(f"/relays/pump/try/?event={asked.pk}"))
    assert "GPIO17 was driven low and read back, and is off again." in page
    assert "Did the relay click on, and off again? Yes, it did No: it was on before, and went off" in page
    assert "No: nothing happened Is the board’s GND on a ground pin" in page


@pytest.mark.parametrize("event", ["", "0", "99999", "x", "-1", "²", "9" * 30])
def test_an_event_that_is_none_of_its_own_shows_no_outcome(as_owner: Client, pump: Relay, event: str) -> None:
    assert "Did the relay click" not in text(as_owner.get("/relays/pump/try/", {"event": event}))


def test_what_was_on_before_is_of_the_other_polarity(as_owner: Client, owner: User, pump: Relay) -> None:
    for polarity in ("active-high", "active-low"):
        response = as_owner.post("/relays/pump/polarity", follow=True)
        assert f"Pump is {polarity} now, and should be off. Try it again." in text(response)
        assert Relay.objects.get().polarity == polarity
    edits = [(event.kind, event.field, event.by, event.via) for event in pump.events.all()]
    assert edits == [("edited", "polarity", owner, "page")] * 2


def test_polarity_is_not_changed_while_it_is_on(as_owner: Client, pump: Relay) -> None:
    Relay.objects.update(actual=True)
    assert "Switch Pump off first." in text(as_owner.post("/relays/pump/polarity", follow=True))
    assert Relay.objects.get().polarity == "active-low"


@pytest.mark.slow
def test_from_nothing_to_the_first_click(site: Site) -> None:
    site.add_user()
    _, address = site.start_web()
    session = sign_in(address)
    post(session, f"{address}/boards/add", name="Simulated board", driver="simulated", header="J8")
    site.start_controller()
    assert post(session, f"{address}/relays/add/", **NEW).headers["Location"] == "/relays/porch-lamp/try/"
    site.wait_actual("porch-lamp", False)
    tried = post(session, f"{address}/relays/porch-lamp/try/").headers["Location"]
    told = "GPIO17 was driven low and read back, and is off again."
    wait_for(lambda: told in session.get(address + tried, timeout=10).text, what="the end of the click")
    assert site.levels("GPIO17") == [1, 0, 1]
    post(session, f"{address}/relays/porch-lamp/polarity")
    add_relays(site, "Pump")
    site.wait_actual("pump", False)
    assert site.levels("GPIO17") == [1, 0, 1, 0]


# --- who may ------------------------------------------------------------------------------------------------

REFUSALS = {
    "/relays/add/": "You may not add a relay: ask an administrator.",
    "/boards/add": "You may not add a board: ask an administrator.",
    "/relays/pump/polarity": "You may not edit relays: ask an administrator.",
    "/relays/pump/try/": "You may look at Pump, but not switch it: ask an administrator.",
    "/relays/pump/edit/": "You may not edit relays: ask an administrator.",
    "/relays/pump/lock": "You may not lock or unlock Pump: ask an administrator.",
    "/relays/pump/unlock": "You may not lock or unlock Pump: ask an administrator.",
}


@pytest.mark.parametrize("path", REFUSALS)
def test_who_may_only_look_is_told_so(as_viewer: Client, pump: Relay, served: Board, path: str) -> None:
    response = as_viewer.post(path, NEW | {"driver": "simulated", "header": "J8"})
    assert response.status_code == 403
    assert REFUSALS[path] in text(response)
    assert Relay.objects.get().polarity == "active-low"
    assert Board.objects.count() == 1


def test_who_may_only_look_is_offered_nothing(as_viewer: Client, pump: Relay) -> None:
    page = text(as_viewer.get("/setup/"))
    assert "Ask an administrator to add a relay." in page
    assert "Add a relay" not in page
    assert "Click for one second" not in text(as_viewer.get("/relays/pump/try/"))
    assert as_viewer.get("/relays/add/").status_code == 403


def test_each_right_opens_its_own_step(client: Client, pump: Relay, served: Board) -> None:
    user = User.objects.create_user("ada")
    user.user_permissions.set(Permission.objects.filter(codename__in=["add_relay", "switch_relay"]))
    client.force_login(user)
    assert client.get("/relays/add/").status_code == 200
    assert client.post("/relays/pump/try/").status_code == 302
    assert client.get("/relays/pump/edit/").status_code == 403


@pytest.mark.parametrize("path", ["/setup/", *REFUSALS, "/boards/1/"])
def test_a_stranger_is_led_to_the_sign_in_page(client: Client, pump: Relay, path: str) -> None:
    for response in (client.get(path), client.post(path)):
        assert response["Location"] == f"/account/sign-in/?next={path}"


@pytest.mark.parametrize("path", ["/setup/", "/relays/add/", "/relays/pump/try/", "/relays/pump/edit/", "/boards/1/"])
def test_looking_writes_nothing(as_owner: Client, pump: Relay, path: str) -> None:
    with CaptureQueriesContext(connection) as queries:
        assert as_owner.get(path).status_code == 200
    assert not [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]


QUERIES = {"/setup/": 6, "/relays/add/": 6, "/relays/pump/try/": 5, "/relays/pump/edit/": 8, "/boards/1/": 6}


@pytest.mark.parametrize(("path", "count"), QUERIES.items())
def test_many_relays_cost_no_more_queries(
    as_owner: Client, pump: Relay, path: str, count: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(2, 8):
        Relay.objects.create(
            name=f"Relay {number}", slug=f"r{number}", board=pump.board, line=f"GPIO{number}", polarity="active-low"
        )
    with django_assert_num_queries(count):
        as_owner.get(path)
