import re
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client

from accounts.models import User
from relays.models import Board, Interlock, Relay, Room
from tests.relays.reading import errors, text

PAGE = "/relays/pump/edit/"


def form_of(client: Client, **changes: Any) -> dict[str, Any]:
    """What a browser would send of the page as it is, with ``changes``."""
    form = client.get(PAGE).context["form"]
    sent = {field.name: field.value() for field in form if field.value() is not None and field.value() is not False}
    return {name: value for name, value in (sent | changes).items() if value is not None}


def test_saving_the_page_as_it_is_changes_nothing(as_owner: Client, pump: Relay) -> None:
    Relay.objects.update(room=Room.objects.create(name="Garden"), max_on=timedelta(hours=2, milliseconds=5))
    before = Relay.objects.values().get()
    response = as_owner.post(PAGE, form_of(as_owner))
    assert response["Location"] == "/relays/pump/"
    assert Relay.objects.values().get() == before
    assert not pump.events.exists()


def test_every_field_is_saved_with_an_event_each(as_owner: Client, owner: User, pump: Relay) -> None:
    gate = Interlock.objects.create(name="Gate", board=pump.board)
    changes = {
        **{"name": "Well pump", "slug": "well", "room_name": "Yard", "position": 3, "line": "GPIO5", "kind": "pump"},
        **{"polarity": "active-high", "power_up": "last", "on_stop": "hold", "on_lost": "hold"},
        **{"max_on": "2h", "min_on": "5s", "min_off": "3m", "interlock": gate.pk},
    }
    as_owner.post(PAGE, form_of(as_owner, **changes))
    row = Relay.objects.get()
    assert {name: str(getattr(row, name)) for name in changes if name in ("name", "slug", "line", "kind")} == {
        "name": "Well pump",
        "slug": "well",
        "line": "GPIO5",
        "kind": "pump",
    }
    assert (row.max_on, row.min_on, row.min_off) == (timedelta(hours=2), timedelta(seconds=5), timedelta(minutes=3))
    assert (row.power_up, row.on_stop, row.on_lost, row.polarity) == ("last", "hold", "hold", "active-high")
    assert (str(row.room), row.position, row.interlock) == ("Yard", 3, gate)
    assert pump.events.count() == len(changes)
    assert {(event.kind, event.by, event.via) for event in pump.events.all()} == {("edited", owner, "page")}


def test_an_edit_writes_nothing_of_what_is_wanted_or_so(as_owner: Client, pump: Relay) -> None:
    form = form_of(as_owner, name="Well pump")
    Relay.objects.update(wanted=True, actual=True, command=5, applied_command=5)
    as_owner.post(PAGE, form)
    assert Relay.objects.filter(name="Well pump", wanted=True, actual=True, command=5, applied_command=5).exists()


def test_a_relay_is_removed_by_disabling_it(as_owner: Client, pump: Relay) -> None:
    as_owner.post(PAGE, form_of(as_owner, is_enabled=None))
    assert not Relay.objects.get().is_enabled
    assert as_owner.get(PAGE).status_code == 200


@pytest.mark.parametrize(
    ("changes", "field", "sentence"),
    [
        ({"line": "GPIO5"}, "line", "Switch Pump off first."),
        ({"polarity": "active-high"}, "polarity", "Switch Pump off first."),
        ({"is_enabled": None}, "is_enabled", "Switch Pump off first."),
        ({"slug": "add"}, "slug", "“add” is the address of a page of this site: write another slug."),
        ({"slug": "ADD"}, "slug", "“ADD” is the address of a page of this site: write another slug."),
        ({"min_on": "2h", "max_on": "1h"}, "min_on", "The shortest on cannot be longer than the longest on."),
        ({"max_on": "31d"}, "max_on", "“31d” is too long: at most 30 days."),
        ({"min_off": "soon"}, "min_off", "“soon” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
        ({"position": "-1"}, "position", "Ensure this value is greater than or equal to 0."),
        ({"position": "9" * 30}, "position", "Ensure this value is less than or equal to 9223372036854775807."),
        ({"power_up": "maybe"}, "power_up", "Select a valid choice. maybe is not one of the available choices."),
        ({"interlock": "99"}, "interlock", "Select a valid choice. That choice is not one of the available choices."),
    ],
)
def test_what_cannot_be_is_refused_at_its_field(
    as_owner: Client, pump: Relay, changes: dict[str, Any], field: str, sentence: str
) -> None:
    form = form_of(as_owner, room_name="Attic", **changes)
    Relay.objects.update(actual=True)
    response = as_owner.post(PAGE, form)
    assert errors(response) == {field: [sentence]}
    assert sentence in text(response)
    assert not pump.events.exists()
    assert not Room.objects.exists()


def test_a_momentary_relay_is_off_at_every_end(as_owner: Client, pump: Relay) -> None:
    response = as_owner.post(PAGE, form_of(as_owner, mode="momentary", pulse="1s", on_stop="hold"))
    sentence = "A momentary relay is off at power-up, stop and loss: choose off for all."
    assert errors(response) == {"mode": [sentence]}


def test_its_own_line_is_offered_and_chosen(as_owner: Client, pump: Relay) -> None:
    page = as_owner.get(PAGE).content.decode()
    assert re.findall(r'value="(GPIO\d+)"[^>]*\bchecked\b', page) == ["GPIO17"]
    assert "Where it is wired: GPIO17 of Shed , active-low" in text(as_owner.get(PAGE))


def test_it_can_move_to_another_board(as_owner: Client, pump: Relay) -> None:
    attic = Board.objects.create(name="Attic", driver="simulated")
    form = form_of(as_owner, line="GPIO4")
    assert "On Attic instead" in text(as_owner.get(PAGE))
    as_owner.post(f"{PAGE}?board={attic.pk}", form)
    row = Relay.objects.get()
    assert (row.board, row.line) == (attic, "GPIO4")


# --- lock ---------------------------------------------------------------------------------------------------


def test_a_lock_has_a_reason_and_is_taken_away_again(as_owner: Client, pump: Relay) -> None:
    as_owner.post("/relays/pump/lock", {"reason": "Being repaired"})
    row = Relay.objects.get()
    assert (row.is_locked, row.lock_reason, row.locked_by) == (True, "Being repaired", "anna")
    assert "Locked: Being repaired ( anna )" in text(as_owner.get(PAGE))
    as_owner.post("/relays/pump/unlock")
    assert not Relay.objects.get().is_locked
    assert [(event.kind, event.via) for event in pump.events.all()] == [("unlocked", "page"), ("locked", "page")]


def test_a_lock_without_a_reason_is_refused(as_owner: Client, pump: Relay) -> None:
    response = as_owner.post("/relays/pump/lock", {"reason": " "}, follow=True)
    assert "Say why Pump is locked: others will read it." in text(response)
    assert not Relay.objects.get().is_locked


@pytest.mark.parametrize("path", ["lock", "unlock", "polarity"])
def test_what_changes_something_is_never_done_by_looking(as_owner: Client, pump: Relay, path: str) -> None:
    assert as_owner.get(f"/relays/pump/{path}").status_code == 405
