"""Every address answers everybody, and never with an error of ours."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern

from accounts.models import User
from relays.models import Event, Interlock, Relay, Room
from relays.views import home

OPEN = {"account/sign-in/", "admin/login/", "healthz", "readyz"}
"""What answers without a sign-in. The admin's catch-all and its login only lead to the sign-in page."""


def addresses(resolver: URLResolver, before: str = "") -> Iterator[str]:
    for entry in resolver.url_patterns:
        route = before + _route(entry.pattern)
        if isinstance(entry, URLResolver):
            yield from addresses(entry, route)
        else:
            assert isinstance(entry, URLPattern)
            yield route


def _route(pattern: object) -> str:
    if isinstance(pattern, RoutePattern):
        return str(pattern)
    assert isinstance(pattern, RegexPattern)
    return str(pattern.regex.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")


ADDRESSES = sorted(set(addresses(get_resolver())))

WORDS = {
    "<slug:slug>": "pump",
    "<slug>": "pump",
    "<path:object_id>": "1",
    "<path:content_type_id>": "1",
    "<id>": "1",
    "<int:pk>": "1",
    "(?P<url>.*)": "nowhere",
}


def is_call(address: str) -> bool:
    """Whether it is for programs, which are told no, not led to a page."""
    return address.startswith("api/") and address not in ("api/", "api/docs", "api/openapi.json")


def filled(address: str) -> str:
    for pattern, word in WORDS.items():
        address = address.replace(pattern, word)
    return "/" + re.sub(r"\(\?P<app_label>.*?\)", "relays", address)


@pytest.fixture
def house(pump: Relay, owner: User) -> None:
    """A row of everything, each with the number 1 but for the users."""
    room = Room.objects.create(name="Garden")
    interlock = Interlock.objects.create(name="Gate", board=pump.board)
    Relay.objects.update(room=room, interlock=interlock, actual=False)
    Relay.objects.create(
        name="Bell",
        slug="bell",
        board=pump.board,
        line="GPIO22",
        polarity="active-low",
        mode="momentary",
        pulse=timedelta(seconds=1),
    )
    Event.objects.create(kind="edited", board=pump.board, relay=pump, by=owner, who="anna", via="admin")


@pytest.fixture(params=["anonymous", "guest", "viewer", "owner"])
def visitor(request: pytest.FixtureRequest, client: Client, viewer: User, owner: User) -> Client:
    people = {"viewer": viewer, "owner": owner, "guest": User.objects.create_user("gustav")}
    if request.param in people:
        client.force_login(people[request.param])
    return client


@pytest.mark.parametrize("address", ADDRESSES)
def test_every_address_answers_every_role(
    visitor: Client, house: None, monkeypatch: pytest.MonkeyPatch, address: str
) -> None:
    monkeypatch.setattr(home, "WAIT", 0.0)
    path = filled(address)
    assert "<" not in path, f"say in WORDS what to fill into {path}"
    for method in (visitor.get, visitor.head, visitor.post):
        response = method(path)
        assert response.status_code < 500 or path == "/readyz", f"{path} answers {response.status_code}"


@pytest.mark.parametrize("address", ADDRESSES)
def test_a_stranger_sees_nothing_but_the_sign_in_page_and_the_health_of_the_site(
    client: Client, house: None, address: str
) -> None:
    response = client.get(filled(address))
    if address in OPEN - {"admin/login/"}:
        assert response.status_code in (200, 503)
        assert b"Pump" not in response.content
    elif is_call(address):
        assert response.status_code in (401, 404, 405)
        assert b"Pump" not in response.content
        assert not response.cookies
    else:
        assert response.status_code == 302
        assert response["Location"].startswith(("/account/sign-in/?next=/", "/admin/login/?next=/"))


def test_the_walk_finds_the_addresses_of_every_app() -> None:
    assert set(ADDRESSES) >= OPEN
    for address in ("", "relays/<slug:slug>/switch", "stop", "admin/relays/relay/<path:object_id>/change/"):
        assert address in ADDRESSES
