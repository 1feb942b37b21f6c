"""Prepared queries give and write what Django's own would."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.forms.models import model_to_dict
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from iotsite.prepared import Kept, Prepared, insert, update
from relays.models import Board, Event, Relay, Room

MOMENT = datetime(2026, 11, 25, 18, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def lamp(pump: Relay, owner: User) -> Relay:
    return Relay.objects.create(
        **{"name": "Lämp", "slug": "lamp", "board": pump.board, "line": "GPIO27", "polarity": "active-high"},
        **{"wanted": True, "wanted_at": MOMENT, "wanted_by": owner, "room": Room.objects.create(name="Hall")},
        **{"actual": False, "on_for": timedelta(hours=7, microseconds=5)},
    )


def facts(row: models.Model | None) -> Any:
    """All that a row says, and those joined to it."""
    if row is None:
        return None
    joined = [field.name for field in row._meta.concrete_fields if field.is_relation and field.is_cached(row)]
    own = {field.attname: getattr(row, field.attname) for field in row._meta.concrete_fields}
    return own | {name: facts(getattr(row, name)) for name in joined}


def test_the_rows_are_those_of_the_queryset_and_so_is_what_is_joined(
    pump: Relay, lamp: Relay, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    ask = Prepared(lambda slug: Relay.objects.at_hand().filter(slug=slug))
    for slug in ("lamp", "pump", "lamp"):
        with django_assert_num_queries(1):
            [found] = ask(slug)
            assert found.board.name == "Shed", "joined, not asked for"
        [expected] = Relay.objects.at_hand().filter(slug=slug)
        assert facts(found) == facts(expected)
        assert not found._state.adding
    assert ask("none") == []
    assert ask("lamp' OR '1'='1") == []


def test_what_is_annotated_comes_along(pump: Relay, lamp: Relay) -> None:
    rooms = Room.objects.filter(pk=OuterRef("room"))
    ask = Prepared(
        lambda slug: (
            Relay.objects.select_related("board")
            .filter(slug=slug)
            .annotate(where=Subquery(rooms.values("name")), again=F("on_for"))
        )
    )
    for slug, where, again in (("lamp", "Hall", timedelta(hours=7, microseconds=5)), ("pump", None, timedelta(0))):
        found: Any
        [found] = ask(slug)
        assert (found.slug, found.board.name, found.where, found.again) == (slug, "Shed", where, again)


def test_several_values_and_those_that_the_query_has_itself(pump: Relay, lamp: Relay) -> None:
    ask = Prepared(
        lambda low, high, line: Relay.objects.filter(Q(pk__gt=low, pk__lte=high) | Q(line=line), is_locked=False)
    )
    assert {row.slug for row in ask(0, pump.pk, "")} == {"pump"}
    assert {row.slug for row in ask(0, lamp.pk, "")} == {"pump", "lamp"}
    assert {row.slug for row in ask(0, 0, "GPIO27")} == {"lamp"}
    Relay.objects.filter(pk=lamp.pk).update(is_locked=True, lock_reason="broken")
    assert ask(0, 0, "GPIO27") == []


def test_a_kept_row_is_the_same_object_until_it_changes(pump: Relay, lamp: Relay) -> None:
    ask = Kept(lambda board: Relay.objects.filter(board=board).order_by("pk"))
    first = ask(pump.board_id)
    assert [row.slug for row in first] == ["pump", "lamp"]
    Relay.objects.filter(pk=lamp.pk).update(fault="stuck")
    second = ask(pump.board_id)
    assert second[0] is first[0]
    assert second[1] is not first[1]
    assert (first[1].fault, second[1].fault) == ("", "stuck")
    pump.delete()
    assert ask(lamp.board_id) == [lamp]


def test_what_is_inserted_is_what_would_have_been_saved(board: Board, owner: User) -> None:
    def event() -> Event:
        return Event(kind=Event.Kind.ASKED_ON, board=board, by=owner, who="anna", lasting=timedelta(0.5), at=MOMENT)

    mine, djangos = event(), event()
    insert(mine)
    djangos.save()
    assert mine.pk
    assert not mine._state.adding
    stored, expected = (model_to_dict(Event.objects.get(pk=row.pk)) for row in (mine, djangos))
    assert stored == expected | {"id": stored["id"]}


def test_an_update_writes_the_named_fields_and_no_others(lamp: Relay, pump: Relay) -> None:
    lamp.wanted, lamp.wanted_at, lamp.fault = False, None, "not written"
    lamp.on_for = timedelta(days=3)
    update(lamp, "wanted", "wanted_at", "on_for")
    found = Relay.objects.get(pk=lamp.pk)
    assert (found.wanted, found.wanted_at, found.on_for, found.fault) == (False, None, timedelta(days=3), "")
    assert not Relay.objects.exclude(pk=lamp.pk).filter(on_for=timedelta(days=3)).exists()
