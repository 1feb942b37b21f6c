from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.db import IntegrityError, models, transaction
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from relays.models import Board, Event, Interlock, Relay, Room

MS = timedelta(milliseconds=1)
DAY = timedelta(days=1)
SWITCHED = {"wanted": True, "actual": True}


def refusals(row: models.Model) -> dict[str, list[str]]:
    """The sentences of ``full_clean`` by field; none where it passes."""
    try:
        row.full_clean()
    except ValidationError as error:
        return error.message_dict
    return {}


def sentences(row: models.Model) -> list[str]:
    return [sentence for found in refusals(row).values() for sentence in found]


def new_relay(board: Board, **fields: Any) -> Relay:
    return Relay(**{"name": "Fan", "board": board, "line": "GPIO27", "polarity": "active-low"} | fields)


def made(board: Board, **fields: Any) -> Relay:
    relay = new_relay(board, slug=str(fields.get("name", "fan")).lower(), **fields)
    relay.save()
    return relay


def database_refuses(row: models.Model, **fields: Any) -> str:
    """What the database says to ``fields`` written past all Python; the name of the constraint is in it."""
    with pytest.raises(IntegrityError) as refused, transaction.atomic():
        type(row)._default_manager.filter(pk=row.pk).update(**fields)
    return str(refused.value)


def test_the_migrations_hold_all_of_the_models(db: None) -> None:
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


# --- constraints of one row ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "constraint", "sentence"),
    [
        ({"pulse": 500 * MS}, "pulse_goes_with", "A momentary relay needs a pulse, and only a momentary one has it."),
        ({"mode": "momentary"}, "pulse_goes_with", "A momentary relay needs a pulse, and only a momentary one has it."),
        ({"mode": "momentary", "pulse": 99 * MS}, "relay_pulse_sane", "A pulse lasts 100ms to 10s."),
        ({"mode": "momentary", "pulse": 10_001 * MS}, "relay_pulse_sane", "A pulse lasts 100ms to 10s."),
        ({"max_on": 99 * MS}, "relay_max_on_sane", "The longest on is 100ms to 30 days."),
        ({"max_on": 30 * DAY + MS}, "relay_max_on_sane", "The longest on is 100ms to 30 days."),
        ({"max_on": -MS}, "relay_max_on_sane", "The longest on is 100ms to 30 days."),
        ({"min_on": timedelta(0)}, "relay_min_on_sane", "The shortest on is 100ms to 30 days."),
        ({"min_on": 31 * DAY}, "relay_min_on_sane", "The shortest on is 100ms to 30 days."),
        ({"min_off": 99 * MS}, "relay_min_off_sane", "The shortest off is 100ms to 30 days."),
        ({"min_off": 31 * DAY}, "relay_min_off_sane", "The shortest off is 100ms to 30 days."),
        (
            {"min_on": 201 * MS, "max_on": 200 * MS},
            "relay_min_on_within_max_on",
            "The shortest on cannot be longer than the longest on.",
        ),
        *(
            (
                {"mode": "momentary", "pulse": 500 * MS, field: choice},
                "momentary_relay_ends_off",
                "A momentary relay is off at power-up, stop and loss: choose off for all.",
            )
            for field, choice in [("power_up", "on"), ("power_up", "last"), ("on_stop", "hold"), ("on_lost", "hold")]
        ),
        (
            {"wanted_until": timezone.now()},
            "relay_until_only_when_on",
            "Only a relay that is wanted on has an end.",
        ),
        (
            {"wanted": True, "is_enabled": False},
            "relay_disabled_is_off",
            "A disabled relay cannot be wanted on.",
        ),
    ],
)
def test_what_a_relay_cannot_be_is_said_and_held_by_the_database(
    pump: Relay, fields: dict[str, Any], constraint: str, sentence: str
) -> None:
    assert sentence in sentences(new_relay(pump.board, **fields))
    assert constraint in database_refuses(pump, **fields)


@pytest.mark.parametrize(
    ("fields", "constraint"),
    [
        ({"line": "GPIO28"}, "relay_line_exists"),
        ({"polarity": ""}, "relay_polarity_known"),
        ({"power_up": "maybe"}, "relay_starts_and_ends_known"),
        ({"on_stop": "on"}, "relay_starts_and_ends_known"),
        ({"on_lost": ""}, "relay_starts_and_ends_known"),
        ({"mode": "toggle"}, "relay_pulse_goes_with_momentary"),
    ],
)
def test_what_a_form_cannot_send_the_database_refuses_too(pump: Relay, fields: dict[str, Any], constraint: str) -> None:
    assert constraint in database_refuses(pump, **fields)


def test_the_shortest_and_the_longest_sane_durations_are_allowed(pump: Relay) -> None:
    widest = {"min_on": 100 * MS, "max_on": 30 * DAY, "min_off": 30 * DAY}
    assert refusals(new_relay(pump.board, **widest)) == {}
    assert refusals(new_relay(pump.board, mode="momentary", pulse=10 * 1000 * MS)) == {}
    Relay.objects.filter(pk=pump.pk).update(**widest)


@pytest.mark.parametrize(
    ("fields", "constraint", "sentence"),
    [
        ({"dead_time": 99 * MS}, "interlock_dead_time_sane", "Choose a dead time from 100ms to 30 days."),
        ({"dead_time": 31 * DAY}, "interlock_dead_time_sane", "Choose a dead time from 100ms to 30 days."),
    ],
)
def test_what_an_interlock_cannot_be_is_said_and_held_by_the_database(
    board: Board, fields: dict[str, Any], constraint: str, sentence: str
) -> None:
    assert sentence in sentences(Interlock(name="Gate", board=board, **fields))
    assert constraint in database_refuses(Interlock.objects.create(name="Hatch", board=board), **fields)


@pytest.mark.parametrize("ons", [0, 1001])
def test_a_board_starts_1_to_1000_relays_a_second(board: Board, ons: int) -> None:
    assert sentences(Board(name="Attic", driver="simulated", ons_per_second=ons)) == [
        "Choose 1 to 1000 ons per second."
    ]
    assert "board_ons_per_second_sane" in database_refuses(board, ons_per_second=ons)


@pytest.mark.parametrize(("field", "constraint"), [("driver", "board_driver_known"), ("header", "board_header_known")])
def test_an_unknown_driver_or_header_is_refused(board: Board, field: str, constraint: str) -> None:
    wrong = Board(**{"name": "Attic", "driver": "simulated", field: "pigpio"})
    assert refusals(wrong) == {field: ["Value 'pigpio' is not a valid choice."]}
    assert constraint in database_refuses(board, **{field: "pigpio"})


def test_an_unknown_policy_of_an_interlock_is_refused(board: Board) -> None:
    wrong = Interlock(name="Gate", board=board, policy="both")
    assert refusals(wrong) == {"policy": ["Value 'both' is not a valid choice."]}
    assert "interlock_policy_known" in database_refuses(Interlock.objects.create(name="Hatch", board=board), policy="x")


# --- constraints between rows -------------------------------------------------------------------------------


def test_one_line_switches_one_enabled_relay(pump: Relay) -> None:
    fan = new_relay(pump.board, line="GPIO17")
    assert sentences(fan) == ["Another enabled relay of this board uses this line: choose another line."]
    spare = made(pump.board, line="GPIO17", is_enabled=False)
    with pytest.raises(IntegrityError, match="UNIQUE"), transaction.atomic():
        Relay.objects.filter(pk=spare.pk).update(is_enabled=True)


def test_a_disabled_relay_leaves_its_line_to_another(pump: Relay) -> None:
    Relay.objects.filter(pk=pump.pk).update(is_enabled=False)
    assert refusals(new_relay(pump.board, line="GPIO17")) == {}


@pytest.mark.parametrize("name", ["Pump", "pump", "PUMP"])
def test_two_relays_never_share_a_name_whatever_the_case(pump: Relay, name: str) -> None:
    assert "There is a relay of this name." in sentences(new_relay(pump.board, name=name, slug="fan"))
    assert "relay_name_unique" in database_refuses(made(pump.board), name=name)


def test_two_relays_never_share_a_slug(pump: Relay) -> None:
    assert sentences(new_relay(pump.board, slug="pump")) == ["There is a relay of this slug."]
    assert "slug" in database_refuses(made(pump.board), slug="pump")


def test_boards_rooms_and_interlocks_have_names_of_their_own(board: Board) -> None:
    Room.objects.create(name="Garden")
    Interlock.objects.create(name="Gate", board=board)
    assert refusals(Board(name="Shed", driver="simulated")) == {"name": ["There is a board of this name."]}
    assert refusals(Room(name="Garden")) == {"name": ["There is a room of this name."]}
    assert refusals(Interlock(name="Gate", board=board)) == {"name": ["There is an interlock so named."]}


def test_the_header_belongs_to_one_enabled_board(board: Board) -> None:
    Board.objects.create(name="Pi", driver="gpio")
    sentence = "This machine has one header: another enabled board uses it already."
    assert sentences(Board(name="Other", driver="gpio")) == [sentence]
    assert refusals(Board(name="Other", driver="gpio", is_enabled=False)) == {}
    with pytest.raises(IntegrityError, match="UNIQUE"), transaction.atomic():
        Board.objects.create(name="Other", driver="gpio")


def test_of_an_interlock_one_relay_is_wanted_on_and_one_is_on_at_power_up(pump: Relay) -> None:
    gate = Interlock.objects.create(name="Gate", board=pump.board)
    Relay.objects.filter(pk=pump.pk).update(interlock=gate, power_up="on", wanted=True)
    fan = new_relay(pump.board, interlock=gate, power_up="on", wanted=True)
    assert set(sentences(fan)) == {
        "Another relay of this interlock is on.",
        "Another relay of this interlock is on at power-up: only one of them can be.",
    }
    fan = made(pump.board, interlock=gate)
    assert "UNIQUE" in database_refuses(fan, wanted=True)
    assert "UNIQUE" in database_refuses(fan, power_up="on")


def test_the_database_refuses_to_drop_what_history_hangs_on(pump: Relay, owner: User) -> None:
    Event.objects.create(kind="asked on", board=pump.board, relay=pump, by=owner, via="page")
    for row in (pump, pump.board, owner):
        with pytest.raises(models.ProtectedError), transaction.atomic():
            row.delete()


# --- rules of clean() ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", ["22", "BCM22", "gpio22", "J8:15", "BOARD15"])
def test_a_line_is_kept_in_one_spelling(board: Board, text: str) -> None:
    fan = new_relay(board, line=text)
    fan.full_clean()
    assert fan.line == "GPIO22"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("lamp", "“lamp” is not a line: write GPIO17, or J8:11 for pin 11 of the header."),
        ("J8:1", "Pin 1 of the header carries no GPIO line: choose another pin."),
        ("40", "GPIO40 is not on this board's header, which has GPIO0 to GPIO27."),
    ],
)
def test_a_line_that_the_board_lacks_is_refused_at_the_line(board: Board, text: str, sentence: str) -> None:
    assert refusals(new_relay(board, line=text))["line"] == [sentence]


def test_a_26_pin_header_has_no_gpio5(board: Board) -> None:
    board.header = Board.Header.P1
    assert refusals(new_relay(board, line="GPIO5"))["line"][0].startswith("GPIO5 is not on this board's header")
    assert refusals(new_relay(board, line="J8:11")) == {}


@pytest.mark.parametrize(("name", "slug"), [("Add", "add"), ("Fan", "ADD")])
def test_a_slug_is_never_the_address_of_a_page_of_the_site(board: Board, name: str, slug: str) -> None:
    sentence = f"“{slug}” is the address of a page of this site: write another slug."
    assert refusals(new_relay(board, name=name, slug="" if name == "Add" else slug))["slug"] == [sentence]


def test_a_slug_is_made_from_the_name_or_asked_for(board: Board) -> None:
    lamp = new_relay(board, name="Porch Lamp é")
    lamp.full_clean()
    assert lamp.slug == "porch-lamp-e"
    sentence = "The name has no letter for an address: write a slug, like porch-lamp."
    assert refusals(new_relay(board, name="☀"))["slug"] == [sentence]


def test_relays_of_an_interlock_share_its_board(pump: Relay) -> None:
    other = Board.objects.create(name="Attic", driver="simulated")
    gate = Interlock.objects.create(name="Gate", board=other)
    sentence = "Gate is on another board: its relays share one board."
    assert refusals(new_relay(pump.board, interlock=gate)) == {"interlock": [sentence]}
    fan = new_relay(other, interlock=gate)
    fan.save_edited(by=None, via=Event.Via.ADMIN)
    gate.board = pump.board
    assert refusals(gate) == {"board": ["Its relays are on another board: take them out of it first."]}


def test_a_header_that_lacks_a_wired_line_is_refused(board: Board) -> None:
    new_relay(board, line="GPIO5").save_edited(by=None, via=Event.Via.ADMIN)
    board.header = Board.Header.P1
    assert refusals(board) == {"header": ["This header has no GPIO5, which Fan uses."]}


def _another_board(pump: Relay) -> Board:
    return Board.objects.create(name="Attic", driver="simulated")


def _an_interlock(pump: Relay) -> Interlock:
    return Interlock.objects.create(name="Gate", board=pump.board)


GUARDED: dict[str, Callable[[Relay], Any]] = {
    "line": lambda pump: "GPIO22",
    "board": _another_board,
    "polarity": lambda pump: "active-high",
    "mode": lambda pump: "momentary",
    "is_enabled": lambda pump: False,
    "interlock": _an_interlock,
}


@pytest.mark.parametrize("state", [{"wanted": True}, {"actual": True}, SWITCHED], ids=["wanted", "actual", "both"])
@pytest.mark.parametrize("field", GUARDED)
def test_what_guards_the_pin_changes_only_while_the_relay_is_off(
    pump: Relay, field: str, state: dict[str, bool]
) -> None:
    Relay.objects.filter(pk=pump.pk).update(**state)
    edited = Relay.objects.get(pk=pump.pk)
    setattr(edited, field, GUARDED[field](pump))
    if field == "mode":
        edited.pulse = 500 * MS
    assert refusals(edited)[field] == ["Switch Pump off first."]


@pytest.mark.parametrize("field", GUARDED)
def test_what_guards_the_pin_may_change_while_the_relay_is_off(pump: Relay, field: str) -> None:
    Relay.objects.filter(pk=pump.pk).update(actual=False)
    edited = Relay.objects.get(pk=pump.pk)
    setattr(edited, field, GUARDED[field](pump))
    if field == "mode":
        edited.pulse = 500 * MS
    assert refusals(edited) == {}


def test_what_guards_no_pin_may_change_while_the_relay_is_on(pump: Relay, owner: User) -> None:
    Relay.objects.filter(pk=pump.pk).update(**SWITCHED)
    edited = Relay.objects.get(pk=pump.pk)
    edited.name, edited.max_on = "Well pump", timedelta(minutes=5)
    edited.save_edited(by=owner, via=Event.Via.ADMIN)
    assert Relay.objects.get(pk=pump.pk).name == "Well pump"


@pytest.mark.parametrize(("field", "choice"), [("driver", "gpio"), ("header", "P1"), ("is_enabled", False)])
def test_a_board_changes_only_while_its_relays_are_off(pump: Relay, field: str, choice: Any) -> None:
    Relay.objects.filter(pk=pump.pk).update(actual=True)
    setattr(pump.board, field, choice)
    assert refusals(pump.board) == {field: ["Switch Pump off first."]}


# --- edits --------------------------------------------------------------------------------------------------


def test_every_edit_is_an_event_that_says_who_field_from_and_to(pump: Relay, owner: User) -> None:
    pump.max_on, pump.line, pump.room = timedelta(hours=1, seconds=2), "J8:15", Room.objects.create(name="Garden")
    pump.save_edited(by=owner, via=Event.Via.ADMIN)
    said = [(event.who, event.via, event.field, event.was, event.became) for event in pump.events.order_by("id")]
    assert said == [
        ("anna", "admin", "room", "", "Garden"),
        ("anna", "admin", "line", "GPIO17", "GPIO22"),
        ("anna", "admin", "longest on", "", "1h2s"),
    ]
    assert {event.kind for event in pump.events.all()} == {"edited"}
    newest = pump.events.first()
    assert newest is not None
    assert newest.sentence == "edited longest on from nothing to 1h2s by anna via admin"


def test_edits_of_a_board_and_an_interlock_are_events_of_the_board(board: Board, owner: User) -> None:
    gate = Interlock.objects.create(name="Gate", board=board)
    gate.policy, gate.dead_time = "refuse", 2 * 1000 * MS
    gate.save_edited(by=owner, via=Event.Via.ADMIN)
    board.is_enabled = False
    board.save_edited(by=owner, via=Event.Via.ADMIN)
    assert [(event.field, event.was, event.became) for event in board.events.order_by("id")] == [
        ("dead time", "500ms", "2s"),
        ("when another is on", "switch off the one that is on", "refuse the request"),
        ("enabled", "yes", "no"),
    ]


def test_an_edit_never_writes_over_what_is_wanted_or_so(pump: Relay, owner: User) -> None:
    since = timezone.now()
    meanwhile = {"wanted": True, "wanted_at": since, "command": 7, "actual": True, "fault": "stuck", "is_locked": True}
    Relay.objects.filter(pk=pump.pk).update(**meanwhile)
    pump.name = "Well pump"
    pump.save_edited(by=owner, via=Event.Via.ADMIN)
    assert Relay.objects.filter(pk=pump.pk, name="Well pump", **meanwhile).exists()


def test_an_edit_that_changes_nothing_leaves_no_event(pump: Relay, owner: User) -> None:
    pump.line = "BOARD11"
    pump.save_edited(by=owner, via=Event.Via.ADMIN)
    assert not Event.objects.exists()


def test_a_refused_edit_leaves_nothing(pump: Relay, owner: User) -> None:
    pump.name, pump.line = "Well pump", "lamp"
    with pytest.raises(ValidationError):
        pump.save_edited(by=owner, via=Event.Via.ADMIN)
    assert Relay.objects.get(pk=pump.pk).name == "Pump"
    assert not Event.objects.exists()


def test_a_new_relay_leaves_no_event_so_that_one_made_by_mistake_can_go(board: Board, owner: User) -> None:
    fan = new_relay(board)
    fan.save_edited(by=owner, via=Event.Via.ADMIN)
    assert not Event.objects.exists()
    fan.delete()


def test_an_edit_never_brings_back_what_was_deleted(pump: Relay, owner: User) -> None:
    Relay.objects.all().delete()
    pump.name = "Well pump"
    with pytest.raises(ValidationError, match="Well pump was deleted meanwhile"):
        pump.save_edited(by=owner, via=Event.Via.ADMIN)
    assert not Relay.objects.exists()


# --- what they say ------------------------------------------------------------------------------------------


def test_the_boards_config_txt_keeps_its_relays_off_in_the_order_of_the_lines(board: Board) -> None:
    for line, polarity, is_enabled in [
        ("GPIO17", "active-low", True),
        ("GPIO5", "active-high", True),
        ("GPIO22", "active-low", False),
    ]:
        made(board, name=line, line=line, polarity=polarity, is_enabled=is_enabled)
    assert board.config_txt() == ["gpio=5=op,dl", "gpio=17=op,dh"]


def test_what_a_silent_controller_said_last_is_not_known(pump: Relay, served: Board) -> None:
    pump.actual = True
    assert pump.actual_now is True
    served.files.end_beat()
    assert pump.actual_now is None


def test_an_answer_is_told_as_the_command_it_answers(pump: Relay, owner: User) -> None:
    asked = Event.objects.create(
        kind="asked on", outcome="accepted", board=pump.board, relay=pump, by=owner, who="anna", via="page"
    )
    answer = Event.objects.create(
        kind="asked on", outcome="failed", of=asked, board=pump.board, relay=pump, via="controller", why="stuck"
    )
    assert str(asked) == "Pump: asked on by anna via page: accepted"
    assert str(answer) == "Pump: asked on by anna via page: failed (stuck)"


def test_the_newest_events_of_many_relays_are_known_in_one_query(
    board: Board, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    for line in ("GPIO5", "GPIO6", "GPIO13"):
        relay = made(board, name=line, line=line)
        for _ in range(3):
            newest = Event.objects.create(kind="pressed", board=board, relay=relay, via="page")
    with django_assert_num_queries(1):
        found = {relay.line: relay.last_event for relay in Relay.objects.with_last_event()}
    assert found["GPIO13"] == newest.pk
    assert sorted(found.values()) == [newest.pk - 6, newest.pk - 3, newest.pk]
