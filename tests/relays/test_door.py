"""The one door: rights, retries, locks, and what is left of a refusal."""

from datetime import timedelta

import pytest

from accounts.models import User
from relays import door
from relays.door import RelayError
from relays.models import Board, Event, Interlock, Relay

PAGE = Event.Via.PAGE


def refused(relay: Relay, **asked: object) -> RelayError:
    with pytest.raises(RelayError) as error:
        relay.switch(**asked)  # type: ignore[arg-type]
    return error.value


def test_what_is_accepted_is_an_event_and_a_command(served: Board, pump: Relay, owner: User) -> None:
    event = pump.switch(True, by=owner, via=PAGE, lasting=timedelta(minutes=10))
    pump.refresh_from_db()
    assert (event.outcome, event.kind, event.who, event.via) == ("accepted", "asked on", "anna", "page")
    assert (pump.wanted, pump.command, pump.wanted_by, pump.wanted_via) == (True, event.pk, owner, "page")
    assert pump.wanted_until == event.at + timedelta(minutes=10)


def test_a_refusal_leaves_an_event_and_changes_nothing(served: Board, pump: Relay, viewer: User) -> None:
    error = refused(pump, on=True, by=viewer, via=PAGE)
    assert error.code == "not_allowed"
    assert error.sentence == "You may look at Pump, but not switch it: ask an administrator."
    [event] = Event.objects.all()
    assert (event, event.outcome, event.why) == (error.event, "refused", error.sentence)
    pump.refresh_from_db()
    assert (pump.wanted, pump.command) == (False, 0)


@pytest.mark.parametrize("what", ["relay", "board"])
def test_what_is_disabled_cannot_be_switched(served: Board, pump: Relay, owner: User, what: str) -> None:
    part = pump if what == "relay" else served
    type(part).objects.filter(pk=part.pk).update(is_enabled=False)
    name = "Pump" if what == "relay" else "Shed"
    error = refused(pump, on=True, by=owner, via=PAGE)
    assert (error.code, error.sentence) == ("disabled", f"{name} is disabled: enable it first.")


def test_a_deleted_relay_is_refused_with_a_sentence(served: Board, pump: Relay, owner: User) -> None:
    Relay.objects.all().delete()
    error = refused(pump, on=True, by=owner, via=PAGE)
    assert (error.code, error.sentence) == ("gone", "This relay was deleted meanwhile.")


def test_the_same_command_id_is_one_command(served: Board, pump: Relay, owner: User) -> None:
    first = pump.switch(True, by=owner, via=PAGE, command_id="a")
    assert pump.switch(True, by=owner, via=PAGE, command_id="a") == first
    assert Event.objects.count() == 1
    error = refused(pump, on=False, by=owner, via=PAGE, command_id="a")
    assert error.code == "command_id_reused"
    assert error.sentence == "This command_id was used for another command: choose a new one."
    Event.objects.filter(pk=first.pk).update(at=first.at - timedelta(hours=25))
    assert pump.switch(True, by=owner, via=PAGE, command_id="a") != first


def test_an_interlock_takes_what_was_wanted_from_the_other(served: Board, pump: Relay, owner: User) -> None:
    pair = Interlock.objects.create(name="Pair", board=served)
    other = Relay.objects.create(name="Other", slug="other", board=served, line="GPIO18", polarity="active-low")
    Relay.objects.update(interlock=pair)
    pump.switch(True, by=owner, via=PAGE)
    other.switch(True, by=owner, via=PAGE)
    pump.refresh_from_db()
    other.refresh_from_db()
    assert (pump.wanted, other.wanted) == (False, True)
    asked = Event.objects.get(relay=pump, kind="asked off")
    assert (asked.via, asked.who, asked.why) == ("interlock", "anna", "only one of Other and Pump may be on")


def test_locking_wants_a_right_and_a_reason(served: Board, pump: Relay, owner: User, viewer: User) -> None:
    with pytest.raises(RelayError) as error:
        pump.lock("", by=owner, via=PAGE)
    assert error.value.sentence == "Say why Pump is locked: others will read it."
    with pytest.raises(RelayError) as error:
        pump.lock("mine", by=viewer, via=PAGE)
    assert error.value.sentence == "You may not lock or unlock Pump: ask an administrator."
    assert [event.outcome for event in Event.objects.all()] == ["refused", "refused"]
    pump.lock(" being repaired ", by=owner, via=PAGE)
    pump.refresh_from_db()
    assert (pump.is_locked, pump.lock_reason) == (True, "being repaired")
    assert refused(pump, on=False, by=owner, via=PAGE).sentence == "Pump is locked: being repaired."
    pump.unlock(by=owner, via=PAGE)
    assert pump.switch(True, by=owner, via=PAGE).outcome == "accepted"


def test_stop_everything_wants_everything_off_and_its_reset_restores_nothing(
    served: Board, pump: Relay, owner: User
) -> None:
    pump.switch(True, by=owner, via=PAGE)
    assert door.stop_everything(by=owner, via=PAGE) == ""
    pump.refresh_from_db()
    served.refresh_from_db()
    assert (pump.wanted, served.is_stopped, served.stopped_by) == (False, True, "anna")
    assert refused(pump, on=True, by=owner, via=PAGE).code == "stopped"
    assert door.stop_everything(by=owner, via=PAGE) == "", "stopping twice is stopping"
    door.reset_stop(by=owner, via=PAGE)
    pump.refresh_from_db()
    served.refresh_from_db()
    assert (pump.wanted, served.is_stopped) == (False, False)
    kinds = list(Event.objects.order_by("id").values_list("kind", flat=True))
    assert kinds == ["asked on", "stopped everything", "asked off", "asked on", "reset"]
