"""Stars: whose they are, what they bring to the Followed page, and that a form is all it takes."""

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from ports.models import Follow, Port, PortCall, Vessel
from ports.snapshot import Status
from ports.views import follow
from tests.ports.told import Teller, call, hour
from tests.relays.test_views import text


@pytest.fixture
def fleet(known: Teller) -> dict[str, Vessel]:
    known.tell(
        call(name="LATER", eta=hour(30)),
        call(name="SOONER", eta=hour(20), port="XXBBB"),
        call(Status.IN_PORT, "HERE", ata=hour(1)),
        call(name="NO ETA"),
        call(name="STRANGER", eta=hour(5)),
        at=2,
    )
    return {vessel.name: vessel for vessel in Vessel.objects.all()}


def star(client: Client, vessel: Vessel, on: str = "1", **more: str) -> Any:
    return client.post(f"/ports/vessels/{vessel.pk}/follow/", {"on": on, **more})


def listed(client: Client, query: str = "") -> list[str]:
    return [voyage.call.vessel.name for voyage in client.get(f"/ports/followed/{query}").context["voyages"]]


# --- stars --------------------------------------------------------------------------------------------------


def test_a_star_is_given_and_taken_back(as_viewer: Client, viewer: User, fleet: dict[str, Vessel]) -> None:
    response = star(as_viewer, fleet["HERE"])
    assert (response.status_code, response["Location"]) == (302, f"/ports/vessels/{fleet['HERE'].pk}/")
    assert [follow.vessel for follow in Follow.objects.of(viewer)] == [fleet["HERE"]]
    star(as_viewer, fleet["HERE"], on="0")
    assert not Follow.objects.of(viewer).exists()


def test_given_twice_it_is_one_and_taken_twice_none(as_viewer: Client, viewer: User, fleet: dict[str, Vessel]) -> None:
    for on, count in (("1", 1), ("1", 1), ("0", 0), ("0", 0)):
        assert star(as_viewer, fleet["HERE"], on).status_code == 302
        assert viewer.follows.count() == count


def test_stars_are_one_s_own(as_viewer: Client, as_owner: Client, owner: User, fleet: dict[str, Vessel]) -> None:
    star(as_viewer, fleet["HERE"])
    assert listed(as_owner) == []
    star(as_owner, fleet["HERE"], on="0")
    assert listed(as_viewer) == ["HERE"]


def test_it_leads_back_to_where_the_star_stood_and_nowhere_else(as_viewer: Client, fleet: dict[str, Vessel]) -> None:
    back = "/ports/XXAAA/expected/?q=later&page=2"
    assert star(as_viewer, fleet["HERE"], back=back)["Location"] == back
    own = f"/ports/vessels/{fleet['HERE'].pk}/"
    for elsewhere in ("https://evil.example/ports/", "//evil.example/ports/", "/admin/", "/ports/\\evil", "", "/ports"):
        to = star(as_viewer, fleet["HERE"], back=elsewhere)["Location"]
        assert to == own or to.startswith("/ports/"), elsewhere


def test_who_says_nothing_follows(as_viewer: Client, viewer: User, fleet: dict[str, Vessel]) -> None:
    as_viewer.post(f"/ports/vessels/{fleet['HERE'].pk}/follow/")
    assert viewer.follows.count() == 1


def test_a_star_needs_a_form_of_this_site(viewer: User, fleet: dict[str, Vessel]) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(viewer)
    assert star(client, fleet["HERE"]).status_code == 403
    assert client.get(f"/ports/vessels/{fleet['HERE'].pk}/follow/").status_code == 405
    assert viewer.follows.count() == 0


def test_of_no_ship_there_is_no_star(as_viewer: Client, fleet: dict[str, Vessel]) -> None:
    assert as_viewer.post("/ports/vessels/999999/follow/").status_code == 404


def test_a_long_name_leaves_a_message(as_viewer: Client, fleet: dict[str, Vessel]) -> None:
    Vessel.objects.filter(name="HERE").update(name="<b>" + "x" * 10_000)
    star(as_viewer, fleet["HERE"])
    shown = as_viewer.get("/ports/subscription/").text
    assert "You follow &lt;b&gt;xxx" in shown


def test_her_stars_go_with_a_ship_and_with_a_person(viewer: User, owner: User, fleet: dict[str, Vessel]) -> None:
    for user in (viewer, owner):
        fleet["HERE"].follow(user, True)
    viewer.delete()
    assert Follow.objects.count() == 1


# --- the page -----------------------------------------------------------------------------------------------


def follow_all(user: User, fleet: dict[str, Vessel]) -> None:
    for name, vessel in fleet.items():
        vessel.follow(user, name != "STRANGER")


def test_who_is_in_port_stands_first_then_the_next_to_come(
    as_viewer: Client, viewer: User, fleet: dict[str, Vessel]
) -> None:
    fleet["OLD LADY"].follow(viewer, False)
    follow_all(viewer, {name: vessel for name, vessel in fleet.items() if name != "OLD LADY"})
    assert listed(as_viewer) == ["HERE", "SOONER", "LATER", "NO ETA"]
    assert listed(as_viewer, "?q=soon") == ["SOONER"]
    assert listed(as_viewer, "?type=tanker") == []


def test_times_are_in_the_zone_of_each_port(as_viewer: Client, viewer: User, fleet: dict[str, Vessel]) -> None:
    Port.objects.update(is_example=True, example_at=hour(3))  # in another year they would be told with theirs
    Port.objects.filter(locode="XXBBB").update(zone="Asia/Hong_Kong")
    follow_all(viewer, fleet)
    shown = text(as_viewer.get("/ports/followed/"))
    assert "ETA 11 Jan 16:00" in shown
    assert "ETA 11 Jan 18:00" in shown
    assert "UTC+8" in shown


def test_what_is_over_stays_for_a_while(as_viewer: Client, viewer: User, known: Teller) -> None:
    known.tell(call(Status.IN_PORT, "HERE", ata=hour(1)), call(name="GOING", eta=hour(9)), at=2)
    known.tell(call(Status.DEPARTED, "HERE", ata=hour(1), atd=hour(3)), at=4)
    known.tell(at=5)
    for vessel in Vessel.objects.exclude(name="OLD LADY"):
        vessel.follow(viewer, True)
    PortCall.objects.exclude(last_seen_at=None).update(last_seen_at=timezone.now() - timedelta(days=13))
    assert set(listed(as_viewer)) == {"HERE", "GOING"}
    PortCall.objects.exclude(last_seen_at=None).update(last_seen_at=timezone.now() - timedelta(days=15))
    assert listed(as_viewer) == []
    assert "No port tells of them now" in text(as_viewer.get("/ports/followed/"))
    # An example is looked at from its own present.
    now = timezone.now()
    Port.objects.filter(locode="XXAAA").update(is_example=True, example_at=now - timedelta(days=10))
    assert set(listed(as_viewer)) == {"HERE", "GOING"}


def test_an_open_call_that_its_feed_told_of_long_ago_is_none_of_now(
    as_viewer: Client, viewer: User, fleet: dict[str, Vessel]
) -> None:
    follow_all(viewer, fleet)
    her = PortCall.objects.filter(vessel=fleet["HERE"])
    her.update(last_seen_at=timezone.now() - timedelta(days=13))
    assert "HERE" in listed(as_viewer)
    assert "last known: in port not in the feed since" in text(as_viewer.get("/ports/followed/"))
    her.update(last_seen_at=timezone.now() - timedelta(days=15))
    assert "HERE" not in listed(as_viewer)


def test_a_port_that_is_off_or_not_loaded_tells_nothing(
    as_viewer: Client, viewer: User, fleet: dict[str, Vessel]
) -> None:
    follow_all(viewer, fleet)
    Port.objects.filter(locode="XXAAA").update(is_enabled=False)
    assert listed(as_viewer) == ["SOONER"]
    Port.objects.filter(locode="XXBBB").update(loaded_at=None)
    assert listed(as_viewer) == []
    assert "SOONER" in text(as_viewer.get("/ports/followed/")).split("No port tells of them now")[1]


def test_who_follows_nobody_is_told_how(as_viewer: Client, fleet: dict[str, Vessel]) -> None:
    assert "You follow no ship. The star" in text(as_viewer.get("/ports/followed/"))


def test_page_by_page(
    as_viewer: Client, viewer: User, fleet: dict[str, Vessel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "PAGE", 2)
    follow_all(viewer, fleet)
    seen, query = [], "?q=E"
    while query:
        context = as_viewer.get(f"/ports/followed/{query}").context
        seen += [voyage.call.vessel.name for voyage in context["voyages"]]
        query = context["older"]
        assert not query or "q=E" in query
    assert sorted(seen) == ["HERE", "LATER", "NO ETA", "SOONER"]


def test_what_cannot_be_asked_is_said_in_words(as_viewer: Client, fleet: dict[str, Vessel]) -> None:
    response = as_viewer.get("/ports/followed/?type=spaceship")
    assert response.status_code == 400
    assert "spaceship is not one of the available choices" in text(response)


def test_a_page_costs_few_queries(
    as_viewer: Client, viewer: User, fleet: dict[str, Vessel], django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    follow_all(viewer, fleet)
    with django_assert_max_num_queries(6):  # session, user, calls, stays, the quiet ones, what the site has
        as_viewer.get("/ports/followed/")


def test_it_is_nobody_s_page_but_one_s_own(client: Client, fleet: dict[str, Vessel], settings: Settings) -> None:
    for is_public in (False, True):
        settings.PORTS_PUBLIC = is_public
        for response in (
            client.get("/ports/followed/"),
            client.get("/ports/subscription/"),
            client.post("/ports/subscription/"),
            star(client, fleet["HERE"]),
        ):
            assert (response.status_code, response["Location"].split("?")[0]) == (302, "/account/sign-in/")
    assert Follow.objects.count() == 0


def test_who_is_overdue_is_said_to_be(as_viewer: Client, viewer: User, fleet: dict[str, Vessel]) -> None:
    Port.objects.filter(locode="XXAAA").update(is_example=True, example_at=hour(33))
    fleet["LATER"].follow(viewer, True)
    assert "overdue 3 h" in text(as_viewer.get("/ports/followed/"))
    fleet["LATER"].follow(viewer, False)
    fleet["HERE"].follow(viewer, True)
    assert "overdue" not in text(as_viewer.get("/ports/followed/"))
