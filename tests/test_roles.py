"""What every address answers to everybody, and that no question changes anything.

The tables below name every address of the site: one that is not in them fails a test.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission
from django.db import connection, transaction
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from django.urls.resolvers import RegexPattern, RoutePattern
from django.utils import timezone

from accounts.models import Token, User
from iotsite.bridge import AFTERWARDS
from ports.ledger import Tally
from ports.models import Berth, Change, Feed, Follow, Port, PortCall, Refresh, Stay, Subscription, Vessel
from relays.models import Board, Event, Interlock, Relay, Room
from relays.views import home

SIGN_IN = "302 sign-in"
"""How a page answers whoever is not signed in. A token opens no page."""

# What a GET and a POST of nothing answer: to a user without rights, to one who may switch, to one of the staff who
# may see everything, to a superuser.
ALL = "200 200 200 200"
ONLY_POST = "405 405 405 405"
ONLY_GET = "405 405 405 405"
HOME = "302 / 302 / 302 / 302 /"  # the door says no on the page, and leaves an Event
OWNER = "403 403 403 200"
PORT = "302 /ports/HKHKG/"
IN_PORT = " ".join([f"{PORT}in-port/"] * 4)
PAGES = {
    "": (ALL, ONLY_GET),
    "account/": (ALL, ALL),
    "account/password/": (ALL, ALL),
    "account/sign-out/": (ONLY_POST, "302 sign-in 302 sign-in 302 sign-in 302 sign-in"),
    "account/tokens/<int:pk>/revoke": (ONLY_POST, "404 404 404 302 /account/"),  # the token is the superuser's
    "activity.csv": (ALL, ONLY_GET),
    "activity/": (ALL, ONLY_GET),
    "api/": ("302 /api/docs 302 /api/docs 302 /api/docs 302 /api/docs",) * 2,
    "api/docs": (ALL, ALL),
    "api/openapi.json": (ALL, ALL),
    "boards/<int:pk>/": (ALL, ONLY_GET),
    "boards/add": (ONLY_POST, "403 403 403 302 /setup/"),
    "doctor/": ("403 403 200 200", ONLY_GET),
    "live": (ALL, ONLY_GET),
    "ports/": (ALL, ONLY_GET),
    "ports/<str:locode>/": (IN_PORT, ONLY_GET),
    "ports/<str:locode>/<str:tab>.csv": (ALL, ONLY_GET),
    "ports/<str:locode>/<str:tab>/": (ALL, ONLY_GET),
    "ports/<str:locode>/refresh/": (ONLY_POST, f"403 403 {PORT} {PORT}"),
    "ports/<str:locode>/remove/": (ONLY_POST, f"403 403 403 {PORT}"),
    "ports/<str:locode>/turn-off/": (ONLY_POST, "403 403 403 302 /ports/"),
    "ports/<str:locode>/turn-on/": (ALL, "403 403 403 302 /ports/CAVAN/"),
    "ports/followed/": (ALL, ONLY_GET),
    "ports/refreshes/": (ALL, ONLY_GET),
    "ports/subscription/": (ALL, " ".join(["302 /ports/subscription/"] * 4)),
    "ports/vessels/<int:id>/": (ALL, ONLY_GET),
    "ports/vessels/<int:id>/follow/": (ONLY_POST, " ".join(["302 /ports/vessels/1/"] * 4)),
    "relays/<slug:slug>/": (ALL, ONLY_GET),
    "relays/<slug:slug>/edit/": (OWNER, OWNER),
    "relays/<slug:slug>/lock": (ONLY_POST, "403 403 403 302 /relays/pump/edit/"),
    "relays/<slug:slug>/polarity": (ONLY_POST, "403 403 403 302 /relays/pump/try/"),
    "relays/<slug:slug>/press": (ONLY_POST, HOME),
    "relays/<slug:slug>/switch": (ONLY_POST, HOME),
    "relays/<slug:slug>/try/": (ALL, "403 302 /relays/pump/try/ 403 302 /relays/pump/try/"),
    "relays/<slug:slug>/unlock": (ONLY_POST, "403 403 403 302 /relays/pump/"),
    "relays/add/": (OWNER, OWNER),
    "rooms/off": (ONLY_POST, HOME),
    "setup/": (ALL, ONLY_GET),
    "stop": (ONLY_POST, HOME),
    "stop/reset": (ALL, HOME),
}

# The same of the admin, to one of the staff and to a superuser; all others are led to the sign-in page.
SEEN = ("200 200", "200 200")
EDITED = ("200 200", "403 200")
ADDED = REMOVED = ("403 200", "403 200")
NEVER = ("403 403", "403 403")
EVENTS_OF = ("302 /admin/relays/event/ 302 /admin/relays/event/",) * 2
ADMIN = {
    "": SEEN,
    "<app>/": SEEN,
    "<url>": ("404 404", "404 404"),
    "autocomplete/": ("403 403", "405 405"),
    "jsi18n/": ("200 200", "405 405"),
    "logout/": ("405 405", "302 sign-in 302 sign-in"),
    "password_change/": ("302 /account/password/ 302 /account/password/",) * 2,
    "password_change/done/": ("200 200", "405 405"),
    "r/<path:content_type_id>/<path:object_id>/": ("404 404", "404 404"),
    "accounts/user/<id>/password/": ("403 200", "403 200"),
}
for model, add, change, delete, history in (
    ("accounts/token", NEVER, ("200 200", "403 403"), REMOVED, SEEN),  # made on the account page, shown once
    ("accounts/user", ADDED, EDITED, REMOVED, SEEN),
    ("auth/group", ADDED, EDITED, REMOVED, SEEN),
    ("ports/berth", NEVER, EDITED, NEVER, SEEN),
    ("ports/change", NEVER, ("200 200", "403 403"), NEVER, SEEN),
    ("ports/feed", NEVER, EDITED, NEVER, SEEN),
    ("ports/port", NEVER, ("200 200", "403 302 /admin/ports/port/"), NEVER, SEEN),  # a box that is not ticked: off
    ("ports/portcall", NEVER, ("200 200", "403 403"), NEVER, SEEN),
    ("ports/refresh", NEVER, ("200 200", "403 403"), NEVER, SEEN),
    ("ports/vessel", NEVER, EDITED, REMOVED, SEEN),
    ("relays/board", ADDED, EDITED, REMOVED, EVENTS_OF),
    ("relays/event", NEVER, ("200 200", "403 403"), NEVER, SEEN),
    ("relays/interlock", ADDED, EDITED, REMOVED, EVENTS_OF),
    ("relays/relay", ADDED, EDITED, REMOVED, EVENTS_OF),
    ("relays/room", ADDED, EDITED, REMOVED, SEEN),
):
    one = f"{model}/<path:object_id>"
    ADMIN |= {f"{model}/": SEEN, f"{model}/add/": add, f"{one}/change/": change, f"{one}/delete/": delete}
    ADMIN |= {
        f"{one}/history/": history,
        f"{one}/": (f"302 /admin/{model}/1/change/ 302 /admin/{model}/1/change/",) * 2,
    }

# What a call answers to a token that reads and to one that switches; whoever has none is told 401.
CALLS = {
    "api/all-off": {"POST": "403 202"},
    "api/changes": {"GET": "200 200"},
    "api/events": {"GET": "200 200"},
    "api/ports": {"GET": "200 200"},
    "api/ports/<locode>/calls": {"GET": "200 200"},
    "api/relays": {"GET": "200 200"},
    "api/relays/<slug>": {"GET": "200 200", "PUT": "403 202"},
    "api/relays/<slug>/press": {"POST": "403 409"},  # the pump is a switch
    "api/stop": {"GET": "200 200", "POST": "403 200", "DELETE": "403 200"},
    "api/stream": {"GET": "200 200"},
    "api/vessels/<id>": {"GET": "200 200"},
    "metrics": {"GET": "200 200"},
}
BODIES = {
    "api/relays/<slug>": b'{"on": true, "wait": 0}',
    "api/stop": b'{"confirm": true}',
    "api/all-off": b'{"wait": 0}',
}

OPEN = {"account/sign-in/": "200 200", "admin/login/": "302 sign-in 405", "healthz": "200 200", "readyz": "200 200"}
OPEN |= {"https": "200 405", "https/name": "404 405"}  # of a name that is not ours
OPEN |= {
    f"ports/out/<str:secret>/{what}": "200 405"  # to everybody who knows the secret
    for what in ("<str:locode>/changes.atom", "<str:locode>/expected.ics", "followed.atom", "followed.ics")
}
"""What a GET and a POST answer to everybody."""
NONCE = "n" * 22

ROLES = ("anonymous", "guest", "switcher", "staff", "owner", "reading token", "switching token")


# --- the walk -----------------------------------------------------------------------------------------------


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
    plain = str(pattern.regex.pattern).removeprefix("^").removesuffix("$").removesuffix(r"\Z")
    return re.sub(r"\(\?P<app_label>.*?\)", "<app>", plain).replace("(?P<url>.*)", "<url>")


ADDRESSES = sorted(set(addresses(get_resolver())))

WORDS = {
    "<slug:slug>": "pump",
    "<slug>": "pump",
    "<path:object_id>": "1",
    "<path:content_type_id>": "1",
    "<id>": "1",
    "<int:pk>": "1",
    "<int:id>": "1",
    "<str:locode>": "HKHKG",
    "<locode>": "HKHKG",
    "<str:tab>": "in-port",
    "<str:secret>": Subscription(user_id=1, nonce=NONCE).secret,
    "<app>": "relays",
    "<url>": "nowhere",
}


def filled(address: str) -> str:
    if address.endswith("turn-on/"):
        return "/ports/CAVAN/turn-on/"  # one that is off
    for pattern, word in WORDS.items():
        address = address.replace(pattern, word)
    return f"/{address}"


def test_the_tables_name_every_address_of_the_site_and_no_other() -> None:
    known = {*PAGES, *CALLS, *OPEN, *(f"admin/{address}" for address in ADMIN)}
    assert sorted(known) == ADDRESSES


def expected(address: str, role: str, method: str) -> str:
    """What the tables say."""
    column = ROLES.index(role)
    if address in OPEN:
        return _answers(OPEN[address])[method == "POST"]
    if address in CALLS:
        answers = CALLS[address].get(method)
        if answers is None:
            return "405"
        return _answers(answers)[column - 5] if column >= 5 else "401"
    if column in (0, 5, 6):
        return SIGN_IN
    if address in PAGES:
        return _answers(PAGES[address][method == "POST"])[column - 1]
    if column < 3:
        return {"admin/logout/": "302 /admin/", "admin/password_change/": "302 /account/password/"}.get(
            address, SIGN_IN
        )
    return _answers(ADMIN[address.removeprefix("admin/")][method == "POST"])[column - 3]


def _answers(row: str) -> list[str]:
    return re.findall(r"302 \S+|\d{3}", row)


def told(response: Any) -> str:
    to = response.get("Location", "").split("?")[0]
    to = "sign-in" if to in ("/account/sign-in/", "/admin/login/") else to
    return f"{response.status_code} {to}".strip()


# --- the roles ----------------------------------------------------------------------------------------------


@dataclass
class Visitor:
    role: str
    cookies: Any
    token: str

    def ask(self, method: str, address: str) -> Any:
        """As one who just came: what an answer does to the browser does not matter to the next question."""
        client = Client(headers={"authorization": f"Bearer {self.token}"} if self.token else {})
        client.cookies = self.cookies.copy()
        form = "application/json" if address in CALLS else "application/x-www-form-urlencoded"
        body = BODIES.get(address, b"") if method in ("PUT", "POST", "DELETE") else b""
        if (address, method) == ("api/stop", "POST"):
            body = b""
        return client.generic(method, filled(address), body, form)


@pytest.fixture
def house(pump: Relay, served: Board, owner: User, monkeypatch: pytest.MonkeyPatch) -> None:
    """A row of everything, each with the number 1; the pump is on, and waits for a controller to switch it."""
    monkeypatch.setattr(home, "WAIT", 0.0)
    room = Room.objects.create(pk=1, name="Garden")
    interlock = Interlock.objects.create(pk=1, name="Gate", board=served)
    Relay.objects.update(room=room, interlock=interlock, actual=True, wanted=True)
    pulse = timedelta(seconds=1)
    Relay.objects.create(
        name="Bell", slug="bell", board=served, line="GPIO22", polarity="active-low", mode="momentary", pulse=pulse
    )
    Event.objects.create(pk=1, kind="edited", board=served, relay=pump, by=owner, who="anna", via="admin")
    Group.objects.create(pk=1, name="family")
    harbour(owner)
    Token.make(owner, "first", "read")
    assert (owner.pk, served.pk, pump.pk, Token.objects.get().pk) == (1, 1, 1, 1)


def harbour(owner: User) -> None:
    """Of what feeds tell a row each, at a port that is on."""
    now = timezone.now()
    feed = Feed.objects.get(source="mardep")
    port = Port.objects.get(locode="HKHKG")
    Port.objects.filter(pk=port.pk).update(is_enabled=True, loaded_at=now, seen_since=now)
    vessel = Vessel.objects.create(pk=1, name="EVER GIVEN", first_seen_at=now)
    berth = Berth.objects.create(pk=1, port=port, key="quay", name="Quay")
    told = {"port": port, "vessel": vessel, "berth": berth, "status": "in_port", "digest": 1, "first_seen_at": now}
    call = PortCall.objects.create(pk=1, **told)
    Stay.objects.create(pk=1, call=call, berth=berth, seen_from=now)
    Change.objects.create(pk=1, port=port, call=call, field="status", became="in_port", seen_at=now)
    Refresh.objects.create(
        pk=1,
        feed=feed,
        started_at=now,
        as_of=now,
        took=timedelta(0),
        outcome="done",
        counts={port.locode: Tally().as_json()},
    )
    Follow.objects.create(pk=1, user=owner, vessel=vessel)
    Subscription.objects.create(user=owner, nonce=NONCE, made_at=now)
    assert (Port.objects.filter(pk=1).exists(), Feed.objects.filter(pk=1).exists()) == (True, True)


PROGRAMS = [role for role in ROLES if role.endswith("token")]


@pytest.fixture(params=ROLES)
def visitor(request: pytest.FixtureRequest, house: None, owner: User, viewer: User) -> Visitor:
    role, client = request.param, Client()
    if role in PROGRAMS:
        return Visitor(role, client.cookies, Token.make(owner, role, role[:-9].replace("ing", ""))[1])
    switcher = User.objects.create_user("sven")
    switcher.user_permissions.add(Permission.objects.get(codename="switch_relay"))
    people = {"guest": User.objects.create_user("gustav"), "switcher": switcher, "staff": viewer, "owner": owner}
    if role in people:
        client.force_login(people[role])
    return Visitor(role, client.cookies, "")


def everything() -> dict[str, list[Any]]:
    """All rows of all tables."""
    with connection.cursor() as cursor:
        found = {}
        for table in connection.introspection.table_names():
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)} ORDER BY 1")
            found[table] = cursor.fetchall()
    return found


# Not among the rows that a GET may change, and yet Django deletes one: the session of somebody whose password was
# changed meanwhile, at the next look of that browser. It ends what is over anyway, in favour of whoever owns the
# account; an engine of our own for sessions would be more to go wrong. tests/iotsite/test_live.py has such a session.


def test_no_question_changes_anything_and_everybody_is_answered_as_the_tables_say(visitor: Visitor) -> None:
    before = everything()
    written = connection.connection.total_changes
    wrong = []
    for address in ADDRESSES:
        for method in ("GET", "HEAD"):
            response = visitor.ask(method, address)
            answer = told(response)
            if method == "GET" and answer != (right := expected(address, visitor.role, "GET")):
                wrong.append(f"{method} {address}: {answer}, not {right}")
            if method == "HEAD" and answer not in ("405", expected(address, visitor.role, "GET")):
                wrong.append(f"{method} {address}: {answer}")
            if address in CALLS:
                assert not response.cookies
            elif visitor.role == "anonymous" and address not in OPEN:
                assert b"Pump" not in response.content
            # SQLite counts each row that is written, also one that is taken back.
            assert connection.connection.total_changes == written, f"{method} {address} changed something"
    assert everything() == before
    assert wrong == []


@pytest.mark.parametrize("visitor", PROGRAMS, indirect=True)
def test_the_one_thing_that_a_question_writes_is_the_date_of_its_token(visitor: Visitor) -> None:
    before = everything()
    tokens = before.pop("accounts_token")
    for address in ADDRESSES:
        afterwards = visitor.ask("GET", address).wsgi_request.META.get(AFTERWARDS)
        if afterwards:
            afterwards()
    after = everything()
    dates = {row[0] for row in set(after.pop("accounts_token")) - set(tokens)}
    assert after == before
    assert dates == {Token.objects.get(name=visitor.role).pk}


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE"])
def test_everybody_may_change_what_the_tables_say(visitor: Visitor, method: str) -> None:
    wrong = []
    board = Board.objects.get()
    for address in ADDRESSES if method == "POST" else CALLS:
        with transaction.atomic():
            answer = told(visitor.ask(method, address))
            transaction.set_rollback(True)
        board.files.unlatch()
        if answer != (right := expected(address, visitor.role, method)):
            wrong.append(f"{method} {address}: {answer}, not {right}")
    assert wrong == []


def test_a_user_without_rights_changes_no_relay(house: None, client: Client) -> None:
    """The pages answer the same to all: what the door said is on the page."""
    client.force_login(User.objects.create_user("gustav"))
    for path, form in (
        ("relays/pump/switch", {"on": "off"}),
        ("rooms/off", {"room": "1"}),
        ("stop", {}),
        ("stop/reset", {}),
    ):
        response = client.post(f"/{path}", form, follow=True)
        assert b"ask an administrator" in response.content, path
    assert Relay.objects.get(slug="pump").wanted
    assert not Board.objects.get().is_stopped
