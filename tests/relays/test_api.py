"""The API: what each call gives, takes and refuses, and that every refusal is a problem document in words."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.test import Client
from django.utils import timezone

from accounts.models import Token, User
from iotsite import api as calls
from iotsite.bridge import AFTERWARDS
from relays import clock
from relays.models import Board, Event, Interlock, Relay, Room
from relays.schemas import WAIT
from tests.relays.test_controller import House

KEYS = {
    "id": int,
    "slug": str,
    "name": str,
    "kind": str,
    "room": str | None,
    "board": str,
    "line": str,
    "mode": str,
    "wanted": bool,
    "actual": bool | None,
    "since": str | None,
    "until": str | None,
    "pending": dict | None,
    "fault": str | None,
    "command": int,
    "is_locked": bool,
    "lock_reason": str | None,
    "is_simulated": bool,
    "is_served": bool,
}
SILENT = "The relay controller does not answer: start it, then try again."


class Program:
    """A program with a token, and nothing else: no cookie is ever kept for it."""

    def __init__(self, text: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {text}"})

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        data = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
        response = self.client.generic(method, f"/api{path}", data, "application/json", headers=headers)
        assert not response.cookies
        return response

    def get(self, path: str) -> Any:
        return self.ask("GET", path)

    def put(self, path: str, **body: Any) -> Any:
        return self.ask("PUT", path, {name.rstrip("_"): value for name, value in body.items()})

    def post(self, path: str, body: Any = None) -> Any:
        return self.ask("POST", path, body)


def problem(response: Any) -> tuple[int, str, str]:
    """Status, code and sentence of a refusal, having made sure that it is one in the form of RFC 9457."""
    assert response["Content-Type"] == "application/problem+json"
    said = response.json()
    assert said["type"] == "about:blank"
    assert said["status"] == response.status_code
    assert said["title"]
    assert re.search(r"^\S.*[.…]$", said["detail"], re.DOTALL), "a sentence"
    return response.status_code, said.get("code", ""), said["detail"]


@pytest.fixture
def program(owner: User) -> Program:
    return Program(Token.make(owner, "Home Assistant", "switch")[1])


@pytest.fixture
def reader(owner: User) -> Program:
    return Program(Token.make(owner, "display", "read")[1])


@pytest.fixture
def house(owner: User) -> Iterator[House]:
    """A lamp and a fan, and a controller that carries out what was asked at each ``look``."""
    made = House()
    made.start()
    made.files.beat(at=clock.boot_seconds() + 3600)
    yield made
    made.crash()
    for path in Path(django_settings.RUN_DIR).glob("board-*"):
        path.unlink()


# --- GET /api/relays ----------------------------------------------------------------------------------------


def test_a_relay_is_told_in_these_words(program: Program, served: Board, pump: Relay) -> None:
    Relay.objects.update(room=Room.objects.create(name="Garden"), actual=False, actual_at=timezone.now())
    said = program.get("/relays")
    assert said.status_code == 200
    assert said["Content-Type"].startswith("application/json")
    assert said.json().keys() == {"items", "next_cursor"}
    [item] = said.json()["items"]
    assert list(item) == list(KEYS)
    for name, kind in KEYS.items():
        assert isinstance(item[name], kind), name
    expected = {"id": pump.pk, "slug": "pump", "name": "Pump", "room": "Garden", "board": "Shed", "line": "GPIO17"}
    expected |= {"mode": "switch", "wanted": False, "actual": False, "pending": None, "fault": None}
    assert expected.items() <= item.items()
    assert datetime.fromisoformat(item["since"]).tzinfo is not None
    assert (item["is_locked"], item["is_simulated"], item["is_served"]) == (False, True, True)
    assert program.get("/relays/pump").json() == item


def test_a_list_goes_on_at_its_cursor_without_gap_or_repeat(program: Program, served: Board) -> None:
    for number in range(7):
        Relay.objects.create(
            name=f"R{6 - number}", slug=f"r{number}", board=served, line=f"GPIO{number}", polarity="active-low"
        )
    Relay.objects.filter(slug="r3").update(is_enabled=False)
    seen, cursor = [], ""
    while True:
        page = program.get(f"/relays?limit=2{cursor}").json()
        seen += [item["slug"] for item in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["r0", "r1", "r2", "r4", "r5", "r6"], "all that are enabled, by number"


def test_what_is_wanted_is_not_yet_what_is_so(program: Program, served: Board, pump: Relay) -> None:
    Relay.objects.update(actual=False, actual_at=timezone.now())
    said = program.put("/relays/pump", on=True, for_=600, wait=0).json()
    assert (said["wanted"], said["actual"]) == (True, False)
    assert said["pending"] == {"why": "the relay controller has not confirmed it yet", "until": None}
    left = datetime.fromisoformat(said["until"]) - timezone.now()
    assert timedelta(seconds=595) < left <= timedelta(seconds=600)


def test_of_a_silent_controller_nothing_is_known(program: Program, board: Board, pump: Relay) -> None:
    Relay.objects.update(actual=True, wanted=True, actual_at=timezone.now())
    said = program.get("/relays/pump").json()
    assert (said["wanted"], said["actual"], said["is_served"]) == (True, None, False)
    assert said["pending"] == {"why": "the relay controller does not answer", "until": None}


def test_a_wait_says_until_when(program: Program, house: House) -> None:
    fan = house.fan
    fan.min_off = timedelta(minutes=5)
    fan.save_edited(by=None, via="admin")
    house.look()
    assert program.put("/relays/fan", on=True, wait=0).status_code == 202
    house.look()
    pending = program.get("/relays/fan").json()["pending"]
    assert "stays off for at least 5m" in pending["why"]
    assert timedelta(minutes=4) < datetime.fromisoformat(pending["until"]) - timezone.now() < timedelta(minutes=6)


def test_a_fault_and_a_lock_are_told(program: Program, served: Board, pump: Relay) -> None:
    Relay.objects.update(fault="GPIO17 stays low.", is_locked=True, lock_reason="being painted", locked_by="anna")
    said = program.get("/relays/pump").json()
    assert (said["fault"], said["is_locked"], said["lock_reason"]) == ("GPIO17 stays low.", True, "being painted")


def test_a_relay_that_is_not_there(program: Program, served: Board, pump: Relay) -> None:
    Relay.objects.update(is_enabled=False)
    sentence = "There is no enabled relay “{}”: GET /api/relays lists them."
    assert problem(program.get("/relays/pump")) == (404, "no_such_relay", sentence.format("pump"))
    assert problem(program.put("/relays/pump", on=True)) == (409, "disabled", "Pump is disabled: enable it first.")
    for method, path, body in (("GET", "", None), ("PUT", "", {"on": True}), ("POST", "/press", None)):
        response = program.ask(method, f"/relays/nowhere{path}", body)
        assert problem(response) == (404, "no_such_relay", sentence.format("nowhere"))


# --- PUT ----------------------------------------------------------------------------------------------------


def test_a_switch_is_applied_once_the_pin_was_read_back(program: Program, house: House) -> None:
    first = program.put("/relays/lamp", on=True, wait=0, command_id="a")
    assert (first.status_code, first.json()["actual"]) == (202, False)
    house.look()
    second = program.put("/relays/lamp", on=True, wait=0, command_id="a")
    assert (second.status_code, second.json()["actual"], second.json()["pending"]) == (200, True, None)
    assert second.json()["command"] == first.json()["command"] == Event.objects.get(command_id="a").pk
    assert house.levels("GPIO17") == [1, 0]


def test_it_waits_no_longer_than_it_is_told(program: Program, served: Board, pump: Relay) -> None:
    program.get("/relays")  # whoever asks first waits for imports too
    begun = clock.boot_seconds()
    assert program.put("/relays/pump", on=True, wait=0.3).status_code == 202
    assert 0.3 <= clock.boot_seconds() - begun < WAIT
    begun = clock.boot_seconds()
    assert program.put("/relays/pump", on=True, wait=0).status_code == 202
    assert clock.boot_seconds() - begun < WAIT / 2, "it does not wait at all"


def test_an_on_without_a_controller_is_refused_and_not_stored(program: Program, board: Board, pump: Relay) -> None:
    assert problem(program.put("/relays/pump", on=True)) == (503, "no_controller", SILENT)
    pump.refresh_from_db()
    assert (pump.wanted, pump.command) == (False, 0)
    assert [event.outcome for event in Event.objects.all()] == ["refused"]


def test_an_off_without_a_controller_is_stored(program: Program, board: Board, pump: Relay) -> None:
    Relay.objects.update(wanted=True, actual=True)
    response = program.put("/relays/pump", on=False)
    sentence = "The relay controller does not answer: Pump is switched once it is back."
    assert problem(response) == (503, "no_controller", sentence)
    pump.refresh_from_db()
    assert (pump.wanted, pump.command) == (False, response.json()["command"])
    assert [event.outcome for event in Event.objects.all()] == ["accepted"]


def test_a_refusal_of_the_door_is_a_conflict_with_its_code_and_sentence(
    program: Program, served: Board, pump: Relay
) -> None:
    Relay.objects.update(is_locked=True, lock_reason="being painted")
    assert problem(program.put("/relays/pump", on=True)) == (409, "locked", "Pump is locked: being painted.")
    Relay.objects.update(is_locked=False, max_on=timedelta(minutes=5))
    sentence = "Pump stays on for at most 5m: 10m is too long."
    assert problem(program.put("/relays/pump", on=True, for_=600)) == (409, "too_long", sentence)
    sentence = "Off takes no duration: only “on for …” does."
    assert problem(program.put("/relays/pump", on=False, for_=600)) == (409, "off_with_duration", sentence)
    Board.objects.update(stopped_at=timezone.now())
    sentence = "Everything is stopped: reset the stop first."
    assert problem(program.put("/relays/pump", on=True)) == (409, "stopped", sentence)
    assert {event.outcome for event in Event.objects.all()} == {"refused"}


def test_an_interlock_names_the_other_relay(program: Program, house: House) -> None:
    interlock = Interlock.objects.create(name="Gate", board=house.board, policy="refuse")
    Relay.objects.update(interlock=interlock)
    assert program.put("/relays/fan", on=True, wait=0).status_code == 202
    status, code, sentence = problem(program.put("/relays/lamp", on=True, wait=0))
    assert (status, code) == (409, "interlock")
    assert sentence == "Fan is on, and only one of the two may be: switch Fan off first."


def test_a_superseded_command_is_a_conflict(program: Program, house: House) -> None:
    first = program.put("/relays/lamp", on=True, wait=0, command_id="a").json()["command"]
    program.put("/relays/lamp", on=False, wait=0)
    house.look()
    response = program.put("/relays/lamp", on=True, wait=0, command_id="a")
    assert problem(response) == (409, "superseded", "Lamp: a newer command came first.")
    assert response.json()["command"] == first


def test_a_board_that_fails_is_a_bad_gateway(program: Program, house: House) -> None:
    house.files.faults.write_text('{"GPIO17": "failing"}')
    program.put("/relays/lamp", on=True, wait=0, command_id="a")
    house.look()
    response = program.put("/relays/lamp", on=True, wait=0, command_id="a")
    sentence = "Lamp: GPIO17 cannot be written (simulated): check the board."
    assert problem(response) == (502, "failed", sentence)
    assert response.json()["command"] == Event.objects.get(command_id="a").pk
    assert program.get("/relays/lamp").json()["fault"] == "GPIO17 cannot be written (simulated): check the board."


@pytest.mark.parametrize("seconds", [0.1, 1, 600.5, 30 * 24 * 3600])
def test_how_long_it_may_be_on(program: Program, served: Board, pump: Relay, seconds: float) -> None:
    assert program.put("/relays/pump", on=True, for_=seconds, wait=0).status_code == 202
    assert Event.objects.get().lasting == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"on": None},
        {"on": 1},
        {"on": "on"},
        {"on": True, "For": 5},
        {"on": True, "lasting": 5},
        {"on": True, "for": 0},
        {"on": True, "for": 0.09},
        {"on": True, "for": -5},
        {"on": True, "for": 30 * 24 * 3600 + 1},
        {"on": True, "for": "600"},
        {"on": True, "for": True},
        {"on": True, "for": [600]},
        {"on": True, "for": float("nan")},
        {"on": True, "for": float("inf")},
        {"on": True, "for": 10**300},
        {"on": True, "wait": -0.1},
        {"on": True, "wait": 2.1},
        {"on": True, "wait": "1"},
        {"on": True, "wait": None},
        {"on": True, "wait": float("nan")},
        {"on": True, "wait": -float("inf")},
        {"on": True, "command_id": ""},
        {"on": True, "command_id": "a b"},
        {"on": True, "command_id": "a\n"},
        {"on": True, "command_id": "ä"},
        {"on": True, "command_id": "\x00"},
        {"on": True, "command_id": "\ud800"},
        {"on": True, "command_id": "a" * 101},
        {"on": True, "command_id": 7},
        {"on": True, "\ud800": 7},
        {"on": True, "\x00": 7},
        {"on": True, "": 7},
        [],
        [{"on": True}],
        "on",
        7,
        None,
        True,
    ],
)
def test_a_body_of_the_wrong_kind_is_refused_and_nothing_happens(
    program: Program, served: Board, pump: Relay, body: Any
) -> None:
    status, code, _ = problem(program.ask("PUT", "/relays/pump", json.dumps(body)))
    assert (status, code) == (422, "invalid")
    assert not Event.objects.exists()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"on",
        b"{",
        b'{"on": true',
        b'{"on": true}{"on": true}',
        b"\x00",
        b"\xff\xfe",
        b'{"on": "\xed\xa0\x80"}',
        b'{"on": true, "for": ' + b"9" * 5000 + b"}",
        b"[" * 100_000 + b"]" * 100_000,
        b'{"on":' * 100_000 + b"1" + b"}" * 100_000,
        b"on=true",
    ],
)
def test_what_is_no_json_is_refused(program: Program, served: Board, pump: Relay, body: bytes) -> None:
    status, code, _ = problem(program.ask("PUT", "/relays/pump", body))
    assert (status, code) in {(400, "bad_request"), (422, "invalid")}
    assert not Event.objects.exists()


def test_which_field_is_wrong_is_told(program: Program, served: Board, pump: Relay) -> None:
    response = program.put("/relays/pump", on=True, wait=9, colour="red")
    assert {error["where"] for error in response.json()["errors"]} == {"wait", "colour"}
    assert "wait: Input should be less than or equal to 2" in response.json()["detail"]


def test_of_a_thousand_wrong_fields_a_few_are_told(program: Program, served: Board, pump: Relay) -> None:
    response = program.put("/relays/pump", on=True, **{f"field{number}": 1 for number in range(1000)})
    assert problem(response)[0] == 422
    assert len(response.json()["errors"]) == calls.MOST_ERRORS
    assert len(response.content) < 4000


def test_a_body_of_10_mb_is_too_long(program: Program, served: Board, pump: Relay) -> None:
    for method, path in (("PUT", "/relays/pump"), ("POST", "/relays/pump/press"), ("POST", "/all-off")):
        response = program.ask(method, path, b'{"on": "' + b"a" * 10 * 2**20 + b'"}')
        assert problem(response) == (413, "too_long_body", calls.TOO_LONG)


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "", "x/y"])
def test_the_body_is_json_whatever_it_is_called(program: Program, served: Board, pump: Relay, kind: str) -> None:
    for data, status in ((b'{"on": true, "wait": 0}', 202), (b"on=true", 400)):
        response = program.client.generic("PUT", "/api/relays/pump", data, kind)
        assert response.status_code == status


# --- a command_id -------------------------------------------------------------------------------------------


def test_the_same_command_id_with_the_same_body_is_one_command(program: Program, served: Board, pump: Relay) -> None:
    body = {"on": True, "for_": 600, "wait": 0, "command_id": "a"}
    first, second = program.put("/relays/pump", **body), program.put("/relays/pump", **body)
    assert (first.status_code, first.json()) == (second.status_code, second.json())
    assert Event.objects.count() == 1


@pytest.mark.parametrize("other", [{"on": False}, {"on": True}, {"on": True, "for_": 601}])
def test_with_another_body_it_is_refused(program: Program, served: Board, pump: Relay, other: dict[str, Any]) -> None:
    program.put("/relays/pump", on=True, for_=600, wait=0, command_id="a")
    sentence = "This command_id was used for another command: choose a new one."
    response = program.put("/relays/pump", **other, wait=0, command_id="a")
    assert problem(response) == (409, "command_id_reused", sentence)
    assert [event.outcome for event in Event.objects.order_by("id")] == ["accepted", "refused"]


def test_another_user_s_command_id_is_not_one_s_own(
    program: Program, served: Board, pump: Relay, django_user_model: type[User]
) -> None:
    other = Program(Token.make(django_user_model.objects.create_superuser("berta"), "x", "switch")[1])
    program.put("/relays/pump", on=True, wait=0, command_id="a")
    assert problem(other.put("/relays/pump", on=True, wait=0, command_id="a"))[1] == "command_id_reused"


def test_after_a_day_it_is_new(program: Program, served: Board, pump: Relay) -> None:
    first = program.put("/relays/pump", on=True, wait=0, command_id="a").json()["command"]
    Event.objects.update(at=timezone.now() - timedelta(hours=23, minutes=59))
    assert program.put("/relays/pump", on=True, wait=0, command_id="a").json()["command"] == first
    Event.objects.update(at=timezone.now() - timedelta(hours=24, seconds=1))
    assert program.put("/relays/pump", on=True, wait=0, command_id="a").json()["command"] > first
    assert program.put("/relays/pump", on=True, wait=0, command_id="b").json()["command"] > first + 1


def test_another_relay_s_command_id_is_its_own(program: Program, house: House) -> None:
    first = program.put("/relays/lamp", on=True, wait=0, command_id="a").json()["command"]
    assert program.put("/relays/fan", on=True, wait=0, command_id="a").json()["command"] > first


# --- press, all off, stop everything ------------------------------------------------------------------------


def test_a_momentary_relay_is_pressed(program: Program, house: House) -> None:
    house.add("Bell", "GPIO22", mode="momentary", pulse=timedelta(seconds=1))
    house.look()
    pressed = program.post("/relays/bell/press", {"wait": 0, "command_id": "a"})
    assert (pressed.status_code, pressed.json()["mode"]) == (202, "momentary")
    house.look()
    again = program.post("/relays/bell/press", {"wait": 0, "command_id": "a"})
    assert (again.status_code, again.json()["command"]) == (200, pressed.json()["command"])
    status, code, sentence = problem(program.post("/relays/bell/press"))
    assert (status, code, sentence) == (409, "pressing", "Bell is being pressed: try again in a moment.")
    house.look(2)
    assert house.levels("GPIO22") == [1, 0, 1]
    sentence = "Bell is momentary: it can only be pressed."
    assert problem(program.put("/relays/bell", on=True)) == (409, "momentary", sentence)
    sentence = "Lamp is a switch, not momentary: switch it on or off."
    assert problem(program.post("/relays/lamp/press")) == (409, "not_momentary", sentence)


def test_all_off_says_what_is_off_what_is_pending_and_what_was_refused(program: Program, house: House) -> None:
    assert program.post("/all-off").json() == {"off": [], "pending": [], "refused": []}
    for slug in ("lamp", "fan"):
        program.put(f"/relays/{slug}", on=True, wait=0)
    house.look()
    house.lamp.lock("being painted", by=None, via="admin")
    response = program.post("/all-off", {"wait": 0})
    refusal = {"slug": "lamp", "code": "locked", "detail": "Lamp is locked: being painted."}
    assert (response.status_code, response.json()) == (202, {"off": [], "pending": ["fan"], "refused": [refusal]})
    house.look()
    house.lamp.unlock(by=None, via="admin")
    assert (house.levels("GPIO17"), house.levels("GPIO18")) == ([1, 0], [1, 0, 1])
    assert program.post("/all-off", {"wait": 0}).json()["pending"] == ["lamp"]


def test_stop_everything_and_its_reset(program: Program, house: House) -> None:
    state = {"is_stopped": False, "boards": [{"board": "Board", "is_stopped": False, "since": None, "by": None}]}
    assert program.get("/stop").json() == state | {"note": None}
    program.put("/relays/lamp", on=True, wait=0)
    house.look()
    stopped = program.post("/stop")
    [board] = stopped.json()["boards"]
    assert (stopped.status_code, stopped.json()["is_stopped"], board["by"]) == (200, True, "anna")
    assert datetime.fromisoformat(board["since"]).tzinfo is not None
    house.look()
    assert house.levels("GPIO17") == [1, 0, 1]
    assert program.get("/stop").json() == program.post("/stop").json(), "a second stop changes nothing"
    for body in (None, {}, {"confirm": False}, {"confirm": 1}, {"confirm": "true"}, {"confirm": True, "x": 1}):
        assert problem(program.ask("DELETE", "/stop", body))[:2] == (422, "invalid")
    assert program.get("/stop").json()["is_stopped"]
    reset = program.ask("DELETE", "/stop", {"confirm": True})
    assert (reset.status_code, reset.json()["is_stopped"]) == (200, False)
    house.look()
    assert house.levels("GPIO17") == [1, 0, 1], "what was stopped stays off"


# --- events -------------------------------------------------------------------------------------------------


def test_an_event_is_told_in_these_words(program: Program, house: House) -> None:
    command = program.put("/relays/lamp", on=True, wait=0).json()["command"]
    house.look()
    [applied, asked] = program.get("/events?relay=lamp&limit=2").json()["items"]
    assert asked == {
        "id": command,
        "at": asked["at"],
        "kind": "asked on",
        "outcome": "accepted",
        "board": "Board",
        "relay": "lamp",
        "of": None,
        "who": "anna",
        "via": "api",
        "why": None,
        "sentence": "asked on by anna via API: accepted",
    }
    assert (applied["of"], applied["outcome"], applied["who"]) == (command, "applied", "anna")


def test_events_are_found_by_relay_outcome_and_time(program: Program, house: House) -> None:
    for slug in ("lamp", "fan"):
        program.put(f"/relays/{slug}", on=True, wait=0)
    house.look()
    assert {item["relay"] for item in program.get("/events?relay=fan").json()["items"]} == {"fan"}
    assert len(program.get("/events?outcome=applied").json()["items"]) == 2
    Event.objects.filter(outcome="applied").update(at=datetime(2026, 1, 1, tzinfo=UTC))
    later = program.get("/events?since=2026-01-01T01:00:00%2B00:30&outcome=applied").json()["items"]
    assert later == []
    assert len(program.get("/events?since=2026-01-01T01:00:00%2B01:00&outcome=applied").json()["items"]) == 2
    assert program.get("/events?relay=nowhere").json() == {"items": [], "next_cursor": None}


def test_a_cursor_walks_through_all_events(program: Program, served: Board, pump: Relay) -> None:
    made = [Event.objects.create(kind="fault", board=served, relay=pump, via="controller").pk for _ in range(23)]
    seen, cursor = [], ""
    while True:
        page = program.get(f"/events?limit=5{cursor}").json()
        seen += [item["id"] for item in page["items"]]
        Event.objects.create(kind="cured", board=served, relay=pump, via="controller")  # it goes on while one reads
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == made[::-1]


@pytest.mark.parametrize(
    "query",
    [
        "since=2026-01-01T00:00:00",
        "since=yesterday",
        "since=0001-01-01T00:00:00%2B23:59",
        "since=9999-12-31T23:59:59-23:59",
        "since=",
        "outcome=lost",
        "outcome=",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=five",
        "cursor=-1",
        f"cursor={2**63}",
        "cursor=" + "9" * 5000,
        "cursor=%00",
        "cursor=%ff",
        "colour=red",
        "Relay=pump",
        "relay=pump&%ff=1",
        "&".join(f"x{number}=1" for number in range(500)),
    ],
)
def test_a_wrong_question_is_refused(program: Program, served: Board, pump: Relay, query: str) -> None:
    assert problem(program.get(f"/events?{query}"))[:2] == (422, "invalid")


@pytest.mark.parametrize("query", ["relay=%00", "relay=%ff", "relay=%ed%a0%80", "relay=%F0%9F%92%A1", "relay='%3B--"])
def test_an_odd_name_finds_nothing(program: Program, served: Board, pump: Relay, query: str) -> None:
    assert program.get(f"/events?{query}").json()["items"] == []


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/relays"),
        ("GET", "/relays/pump"),
        ("PUT", "/relays/pump"),
        ("POST", "/relays/pump/press"),
        ("POST", "/all-off"),
        ("GET", "/stop"),
        ("POST", "/stop"),
        ("DELETE", "/stop"),
        ("GET", "/events"),
        ("GET", "/stream"),
    ],
)
def test_a_parameter_that_there_is_not_is_refused(
    program: Program, served: Board, pump: Relay, method: str, path: str
) -> None:
    body = {"PUT": {"on": True}, "DELETE": {"confirm": True}}.get(method)
    status, code, sentence = problem(program.ask(method, f"{path}?colour=red", body))
    assert (status, code) == (422, "invalid")
    assert sentence.startswith("There is no parameter “colour”: ")
    assert not Event.objects.exists()


def test_a_query_of_a_thousand_and_one_parameters_is_unreadable(program: Program, served: Board) -> None:
    query = "&".join(f"x{number}=1" for number in range(1001))
    assert problem(program.get(f"/relays?{query}"))[0] == 400


@pytest.mark.parametrize("path", ["a%00b", "%ff", "%ed%a0%80", "%F0%9F%92%A1", "a" * 5000, "'--", "..%2f..", "PUMP"])
def test_an_odd_slug_is_not_there(program: Program, served: Board, pump: Relay, path: str) -> None:
    assert problem(program.get(f"/relays/{path}"))[0] == 404


def test_a_wrong_method_is_told_the_right_ones(program: Program, served: Board, pump: Relay) -> None:
    response = program.post("/relays/pump", {"on": True})
    assert problem(response) == (405, "wrong_method", "This address takes GET, PUT, not POST.")
    assert response["Allow"] == "GET, PUT"
    assert problem(program.ask("PATCH", "/stop"))[2] == "This address takes DELETE, GET, POST, not PATCH."


def test_another_site_s_name_is_refused(program: Program, served: Board, pump: Relay) -> None:
    for host in ("evil.example", "", "a b", "localhost:port"):
        assert problem(program.ask("PUT", "/relays/pump", {"on": True}, host=host))[0] == 400
    assert not Event.objects.exists()


# --- who may ------------------------------------------------------------------------------------------------

CHANGES = [
    ("PUT", "/relays/pump", {"on": True, "wait": 0}),
    ("POST", "/relays/pump/press", None),
    ("POST", "/all-off", None),
    ("POST", "/stop", None),
    ("DELETE", "/stop", {"confirm": True}),
]
QUESTIONS = [("GET", path, None) for path in ("/relays", "/relays/pump", "/stop", "/events", "/stream")]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES + QUESTIONS)
@pytest.mark.parametrize(
    "authorization",
    [None, "", "Bearer", "Bearer ", "Bearer iot_", "Bearer iot_" + "a" * 43, "Basic YTpi", "Bearer ä", "iot_x"],
)
def test_without_a_valid_token_nobody_comes_in(
    as_owner: Client, served: Board, pump: Relay, authorization: str | None, method: str, path: str, body: Any
) -> None:
    """Not even with the cookie of somebody who is signed in."""
    headers = {} if authorization is None else {"authorization": authorization}
    response = as_owner.generic(method, f"/api{path}", json.dumps(body), "application/json", headers=headers)
    assert problem(response) == (401, "no_token", calls.UNKNOWN)
    assert response["WWW-Authenticate"] == 'Bearer realm="iotsite"'
    assert not response.cookies
    assert not Event.objects.exists()


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
def test_a_token_to_read_with_changes_nothing(
    reader: Program, served: Board, pump: Relay, method: str, path: str, body: Any
) -> None:
    assert problem(reader.ask(method, path, body)) == (403, "read_only", calls.READ_ONLY)
    assert not Event.objects.exists()


@pytest.mark.parametrize(("method", "path", "body"), QUESTIONS)
def test_a_token_to_read_with_reads(
    reader: Program, served: Board, pump: Relay, method: str, path: str, body: Any
) -> None:
    assert reader.ask(method, path, body).status_code == 200


def test_a_token_may_no_more_than_its_user(viewer: User, served: Board, pump: Relay) -> None:
    Relay.objects.update(wanted=True)
    program = Program(Token.make(viewer, "x", "switch")[1])
    sentence = "You may look at Pump, but not switch it: ask an administrator."
    assert problem(program.put("/relays/pump", on=True)) == (403, "not_allowed", sentence)
    [event] = Event.objects.all()
    assert (event.outcome, event.who, event.via, event.why) == ("refused", "viola", "api", sentence)
    assert problem(program.post("/all-off")) == (403, "not_allowed", sentence)
    for method, body in (("POST", None), ("DELETE", {"confirm": True})):
        assert problem(program.ask(method, "/stop", body))[:2] == (403, "not_allowed")
    pump.refresh_from_db()
    assert (pump.wanted, pump.command, served.is_stopped) == (True, 0, False)


@pytest.mark.parametrize("end", ["expired", "revoked", "inactive"])
def test_a_token_that_ended_opens_nothing_from_then_on(
    program: Program, owner: User, served: Board, pump: Relay, end: str
) -> None:
    assert program.get("/relays").status_code == 200
    if end == "expired":
        now = timezone.now()
        Token.objects.update(created_at=now - timedelta(days=2), expires_at=now)
    elif end == "revoked":
        Token.objects.all().delete()
    else:
        User.objects.update(is_active=False)
    assert problem(program.get("/relays"))[0] == 401
    assert problem(program.put("/relays/pump", on=True))[0] == 401


def test_a_cookie_is_neither_read_nor_set(program: Program, as_owner: Client, served: Board, pump: Relay) -> None:
    program.client.cookies = as_owner.cookies
    response = program.client.get("/api/relays")
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")


def test_the_use_of_a_token_is_noted_after_the_answer_and_once_a_day(
    program: Program, served: Board, pump: Relay
) -> None:
    response = program.get("/relays")
    assert Token.objects.get().last_used_on is None, "what waits for the database comes after the answer"
    response.wsgi_request.META[AFTERWARDS]()
    assert Token.objects.get().last_used_on == timezone.localdate()
    assert AFTERWARDS not in program.get("/relays").wsgi_request.META
