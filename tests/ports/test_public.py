"""What everybody may read where PORTS_PUBLIC is on, and that it is nothing else."""

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from ports.models import Port, Subscription, Vessel
from ports.snapshot import Status
from relays.models import Relay
from tests.ports.told import Teller, call, hour
from tests.relays.test_views import text
from tests.test_roles import ADDRESSES, OPEN, filled

READABLE = {
    "ports/",
    "ports/refreshes/",
    "ports/vessels/<int:id>/",
    "ports/<str:locode>/",
    "ports/<str:locode>/<str:tab>/",
    "ports/<str:locode>/<str:tab>.csv",
}
BY_SECRET = {address for address in ADDRESSES if address.startswith("ports/out/")}
WORDS = {"<str:locode>": "XXAAA", "<str:tab>": "expected", "<str:secret>": "1-" + "A" * 43}
OTHERS = sorted({*ADDRESSES} - READABLE - BY_SECRET - {*OPEN})
LISTS = ["in-port", "expected", "departed", "changes", "berths"]


@pytest.fixture
def public(known: Teller, settings: Settings) -> Teller:
    settings.PORTS_PUBLIC = True
    known.tell(call(name="EVER GIVEN", eta=hour(9)), call(Status.IN_PORT, "HERE", ata=hour(1)), at=2)
    return known


def path(address: str) -> str:
    vessel = Vessel.objects.order_by("pk").values_list("pk", flat=True).first()
    for pattern, word in {**WORDS, "<int:id>": str(vessel)}.items():
        address = address.replace(pattern, word)
    return filled(address)


def read(client: Client, address: str) -> Any:
    """As it is in the end."""
    return client.get(path(address), follow=True)


@pytest.mark.parametrize("address", sorted(READABLE))
def test_ships_can_be_read(client: Client, public: Teller, pump: Relay, address: str) -> None:
    response = read(client, address)
    assert response.status_code == 200
    assert "sign-in" not in response.request["PATH_INFO"]


@pytest.mark.parametrize("address", sorted(READABLE - {"ports/<str:locode>/<str:tab>.csv"}))
def test_a_page_tells_nothing_of_relays_and_offers_nothing_to_do(
    client: Client, public: Teller, pump: Relay, address: str
) -> None:
    response = read(client, address)
    assert "relay" not in text(response).lower()
    assert "Pump" not in response.text
    assert 'method="post"' not in response.text
    assert "csrfmiddlewaretoken" not in response.text
    assert "Followed" not in text(response)
    assert "Sign in" in text(response)
    assert not response.cookies


@pytest.mark.parametrize("tab", LISTS)
def test_every_list_can_be_read(client: Client, public: Teller, pump: Relay, tab: str) -> None:
    response = client.get(f"/ports/XXAAA/{tab}/")
    assert response.status_code == 200
    assert "relay" not in text(response).lower()
    assert 'method="post"' not in response.text


@pytest.mark.parametrize("address", OTHERS)
def test_nothing_else_can_be_read_or_done(client: Client, public: Teller, pump: Relay, address: str) -> None:
    before = Port.objects.values_list("is_enabled", "locode").order_by("pk")[::1]
    for method in (client.get, client.post):
        response = method(path(address))
        is_closed = response.status_code in (401, 405) or "sign-in" in response.get("Location", "")
        assert is_closed or response.get("Location", "").startswith("/admin/login/"), (address, response.status_code)
        assert "Pump" not in response.text
    assert Port.objects.values_list("is_enabled", "locode").order_by("pk")[::1] == before


@pytest.mark.parametrize("address", sorted(BY_SECRET))
def test_a_secret_address_stays_secret(client: Client, public: Teller, viewer: User, address: str) -> None:
    assert client.get(path(address)).status_code == 404
    made = Subscription.objects.renew(viewer)
    assert client.get(path(address.replace("<str:secret>", made.secret))).status_code == 200


@pytest.mark.parametrize("address", sorted(READABLE))
def test_without_that_setting_all_of_it_is_closed(
    client: Client, public: Teller, settings: Settings, address: str
) -> None:
    settings.PORTS_PUBLIC = False
    to = path(address)
    response = client.get(f"{to}?q=a")
    assert (response.status_code, response["Location"]) == (302, f"/account/sign-in/?next={to}%3Fq%3Da")


@pytest.mark.parametrize("address", sorted(READABLE))
def test_reading_writes_nothing(client: Client, public: Teller, address: str) -> None:
    written: list[str] = []

    def watch(execute: Any, sql: str, *rest: Any) -> Any:
        if sql.startswith(("INSERT", "UPDATE", "DELETE")):
            written.append(sql)
        return execute(sql, *rest)

    with connection.execute_wrapper(watch):
        read(client, address)
    assert written == []


def test_who_is_signed_in_reads_as_before(as_viewer: Client, public: Teller) -> None:
    shown = text(as_viewer.get("/ports/XXAAA/expected/"))
    assert "EVER GIVEN" in shown
    assert "Sign in" not in shown
