"""Rows that are written at once are what ``save()`` would have made of them."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from iotsite.bulk import AT_ONCE, insert_all, update_all
from ports.models import Identifier, Vessel

TWICE = datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin"))
"""Clocks showed it twice that night: the second time it has a fold."""

pytestmark = pytest.mark.django_db


def stored() -> list[tuple[object, ...]]:
    return list(Vessel.objects.order_by("id").values_list("id", "name", "first_seen_at", "corrected"))


def test_what_is_inserted_is_what_each_save_would_store() -> None:
    moments = [TWICE, TWICE.replace(fold=1)] * AT_ONCE
    rows = [Vessel.new(name=f"SHIP {number}", first_seen_at=at) for number, at in enumerate(moments)]
    insert_all(rows)
    assert not any(row._state.adding for row in rows)
    together = stored()
    assert [row.pk for row in rows] == [number for number, *_ in together]
    assert together[0][2] != together[1][2]
    for row in rows:
        row.save()
    assert stored() == together


def test_what_a_row_belongs_to_may_get_its_number_after_it_was_given() -> None:
    one, other = (Vessel.new(name=name, first_seen_at=TWICE) for name in ("ONE", "OTHER"))
    identifier = Identifier.new(vessel=one, kind=Identifier.Kind.NAME, value="one")
    insert_all([one, other])
    insert_all([identifier])
    assert (identifier.vessel_id, Identifier.objects.get().vessel) == (one.pk, one)
    identifier.vessel = other
    update_all([identifier], "vessel")
    assert Identifier.objects.get().vessel == other


def test_an_update_writes_only_what_it_names() -> None:
    vessel = Vessel.objects.create(name="EVER GIVEN", first_seen_at=TWICE)
    vessel.name, vessel.corrected, vessel.first_seen_at = "GOLDEN", ["name"], TWICE.replace(fold=1)
    update_all([vessel], "corrected", "first_seen_at")
    assert stored() == [(vessel.pk, "EVER GIVEN", datetime(2026, 10, 25, 1, 30, tzinfo=UTC), ["name"])]
