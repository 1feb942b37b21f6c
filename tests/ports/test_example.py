"""The example port: loaded at a first run, removed with one click."""

from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import User
from ports import example
from ports.models import (
    Berth,
    BerthName,
    Change,
    Feed,
    Follow,
    Identifier,
    Port,
    PortCall,
    Refresh,
    Stay,
    Vessel,
    VesselName,
)
from ports.refresh import RefreshError, alone, replay
from ports.snapshot import Status
from tests.relays.test_views import said
from tests.site import Site

LEFT = (Port, Feed, PortCall, Stay, Change, Refresh, Berth, BerthName, Vessel, VesselName, Identifier)

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def run_dir(settings: Settings, tmp_path: Path) -> None:
    settings.RUN_DIR = tmp_path


def rows() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in LEFT}


def test_it_shows_one_evening_and_what_had_changed_until_then() -> None:
    port = example.load()
    assert (port.locode, port.is_example, port.is_enabled) == ("XXHKG", True, False)
    assert f"{port.now.astimezone(port.tzinfo):%Y-%m-%d %H:%M %Z}" == "2025-08-22 21:25 HKT"
    assert port.loaded_at is not None
    first, second = port.feed.refreshes.order_by("as_of")
    assert first.counts["XXHKG"]["new"] == first.counts["XXHKG"]["calls"] > 200
    assert second.counts["XXHKG"]["fields"]["eta"] > 0
    assert second.as_of == port.now
    assert port.calls.in_port().exists()
    assert port.calls.expected().exists()
    assert Change.objects.filter(port=port, field="eta").exclude(was="").exists(), "a moved ETA is worth a try"
    assert not PortCall.objects.filter(port__locode="HKHKG").exists()


def test_it_is_loaded_once() -> None:
    port, before = example.load(), rows()
    assert example.load() == port
    assert rows() == before


def test_one_that_was_cut_short_is_made_anew() -> None:
    whole = example.load()
    counts = [refresh.counts for refresh in whole.feed.refreshes.order_by("as_of")]
    whole.feed.refreshes.order_by("as_of").last().delete()
    again = example.load()
    assert again.pk != whole.pk
    assert [refresh.counts for refresh in again.feed.refreshes.order_by("as_of")] == counts


def test_it_goes_whole() -> None:
    before = rows()
    example.remove(example.load())
    assert rows() == before


def test_it_goes_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that no write waits for long: each slice is a transaction, here a savepoint in that of the test."""
    before, port = rows(), example.load()
    calls = port.calls.count()
    monkeypatch.setattr(example, "SLICE", 100)
    with CaptureQueriesContext(
        connection,
    ) as caught:
        example.remove(port)
    dropped = [query for query in caught if query["sql"].startswith('DELETE FROM "ports_portcall"')]
    assert len(dropped) == -(-calls // 100) > 2
    assert rows() == before


def test_what_others_know_stays(viewer: User) -> None:
    port = example.load()
    followed, corrected, elsewhere, nobodys = Vessel.objects.order_by("pk")[:4]
    Follow.objects.create(user=viewer, vessel=followed)
    corrected.corrected = ["name"]
    corrected.save()
    real = Port.objects.get(locode="HKHKG")
    moment = port.now
    PortCall.objects.create(port=real, vessel=elsewhere, status=Status.EXPECTED, first_seen_at=moment, digest=1)
    example.remove(port)
    assert set(Vessel.objects.all()) == {followed, corrected, elsewhere}
    assert not Vessel.objects.filter(pk=nobodys.pk).exists()
    assert set(Identifier.objects.values_list("vessel", flat=True)) <= {followed.pk, corrected.pk, elsewhere.pk}
    assert PortCall.objects.count() == 1
    assert Port.objects.filter(locode="HKHKG", feed__is_example=False).exists()


def test_the_real_port_and_its_example_stand_side_by_side() -> None:
    port = example.load()
    real = Port.objects.get(locode="HKHKG")
    files = {path.name: path.read_bytes() for path in (example.RECORDINGS / "hk-mardep-2025-08-22").iterdir()}
    replay(real.feed, files, port.now)
    calls = real.calls.count()
    example.remove(port)
    assert real.calls.count() == calls > 200
    assert set(real.calls.values_list("vessel__name", flat=True))


def test_while_it_is_loaded_it_is_not_removed_and_the_page_says_so(as_owner: Client) -> None:
    port, before = example.load(), rows()
    with alone(port.feed):
        response = as_owner.post("/ports/XXHKG/remove/", follow=True)
    assert said(response) == ["The example is being loaded: try again in a moment."]
    assert rows() == before
    assert said(as_owner.post("/ports/XXHKG/remove/", follow=True)) == ["The example is removed."]


def test_one_that_is_removed_between_its_recordings_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    before = rows()

    def removing(*arguments: Any) -> Any:
        result = replay(*arguments)
        example.remove(Port.objects.get(locode="XXHKG"))
        return result

    monkeypatch.setattr(example, "replay", removing)
    with pytest.raises(RefreshError, match="It was removed while it was loaded"):
        example.load()
    assert rows() == before


def test_only_an_example_can_be_removed() -> None:
    with pytest.raises(ValueError, match="HKHKG is no example"):
        example.remove(Port.objects.get(locode="HKHKG"))


def test_recordings_that_cannot_be_read_leave_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = rows()
    for folder in example.TAKEN_AT:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "RP04005i.XML").write_text("<html>")
    monkeypatch.setattr(example, "RECORDINGS", tmp_path)
    with pytest.raises(RefreshError, match="hk-mardep-2025-08-18: "):
        example.load()
    assert rows() == before


# --- first_run, as a process ----------------------------------------------------------------------------------


def has_example(site: Site) -> bool:
    with site.database() as database:
        return bool(database.execute("SELECT count(*) FROM ports_port WHERE is_example").fetchone()[0])


def test_a_try_out_has_it_and_once_removed_it_does_not_come_back(site: Site) -> None:
    done = site.manage("first_run")
    assert "Example port: Hong Kong (example), recorded on 22 August 2025.\n" in done.stdout, done.stderr
    assert has_example(site)
    code = "from ports import example; from ports.models import Port; example.remove(Port.objects.get(is_example=True))"
    done = site.manage("shell", "-c", code)
    assert done.returncode == 0, done.stderr
    with site.database() as database:
        database.execute("UPDATE relays_relay SET interlock_id = NULL")
        for table in ("relays_event", "relays_relay", "relays_interlock", "relays_board"):
            database.execute(f"DELETE FROM {table}")
    done = site.manage("first_run")
    assert "No GPIO header found" in done.stdout, "with no board left it is nearly new again"
    assert not has_example(site)


def test_a_site_that_has_people_gets_none(site: Site) -> None:
    site.add_user()
    assert "Example" not in site.manage("first_run").stdout
    assert not has_example(site)
