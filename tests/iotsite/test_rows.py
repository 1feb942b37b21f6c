"""A row becomes the same model that Django would make of it, and so does a new one."""

from datetime import UTC, datetime
from typing import Any

import pytest
from django.apps import apps
from django.db import models
from pytest_django import DjangoAssertNumQueries

from iotsite.rows import QuickRows
from ports.models import Vessel
from relays.models import Board, Event, Relay, Room

OURS = [model for app in ("accounts", "relays", "ports") for model in apps.get_app_config(app).get_models()]


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_every_model_of_ours_has_it(model: type[models.Model]) -> None:
    assert issubclass(model, QuickRows)
    names = [field.attname for field in model._meta.concrete_fields]
    values = [f"value of {name}" for name in names]
    mine, djangos = (
        model.from_db("default", names, values),
        models.Model.from_db.__func__(model, "default", names, values),
    )
    assert vars(mine).keys() == vars(djangos).keys()
    assert {name: vars(mine)[name] for name in names} == {name: vars(djangos)[name] for name in names}
    for name in ("adding", "db", "fields_cache"):
        assert getattr(mine._state, name) == getattr(djangos._state, name)


@pytest.mark.parametrize("model", OURS, ids=lambda model: model.__name__)
def test_a_new_one_has_the_defaults(model: Any) -> None:
    mine, djangos = model.new(), model()
    for field in model._meta.concrete_fields:
        mines, theirs = vars(mine)[field.attname], vars(djangos)[field.attname]
        assert mines == theirs or (callable(field.default) and type(mines) is type(theirs)), field
    assert vars(mine).keys() == vars(djangos).keys()
    assert (mine._state.adding, mine._state.db, mine.pk) == (True, None, djangos.pk)


def test_what_a_default_makes_is_each_rows_own() -> None:
    first, second = Vessel.new(name="A"), Vessel.new(name="B")
    first.corrected.append("name")
    assert (second.corrected, Vessel.new(corrected=["flag"]).corrected) == ([], ["flag"])


def test_a_new_one_keeps_what_it_belongs_to_before_that_has_a_number(board: Board) -> None:
    relay = Relay.new(board=board, room=(hall := Room(name="Hall")))
    assert (relay.board_id, relay.board, relay.room_id, relay.room) == (board.pk, board, None, hall)


def test_a_new_one_takes_no_name_that_it_has_no_field_for() -> None:
    with pytest.raises(TypeError, match="Vessel has no nmae"):
        Vessel.new(nmae="EVER GIVEN")


def test_a_field_that_was_left_out_is_asked_for_when_it_is_needed(
    pump: Relay, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        found = Relay.objects.only("slug", "line").get()
        assert (found.slug, found.line) == ("pump", "GPIO17")
    assert found.get_deferred_fields() >= {"name", "polarity"}
    with django_assert_num_queries(1):
        assert found.name == "Pump"


def test_what_is_joined_is_at_hand_and_what_is_not_there_is_none(
    pump: Relay, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(1):
        found = Relay.objects.select_related("board", "room").get()
        assert (found.board.name, found.room) == ("Shed", None)
    found.room = Room.objects.create(name="Hall")
    found.save(update_fields=["room"])
    assert Relay.objects.count() == 1, "known to be stored"
    assert Relay.objects.get().room == found.room


def test_its_values_are_converted(pump: Relay) -> None:
    moment = datetime(2026, 11, 26, 12, tzinfo=UTC)
    Event.objects.create(kind=Event.Kind.ASKED_ON, board=pump.board, relay=pump, at=moment)
    assert Event.objects.get().at == moment
