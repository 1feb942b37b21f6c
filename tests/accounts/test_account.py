import logging
import re
import sys
from collections.abc import Iterator
from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission
from django.core.signals import got_request_exception
from django.db import connection
from django.http import HttpRequest
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.views.debug import ExceptionReporter
from django.views.decorators.debug import sensitive_variables
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import Token, User
from ports.models import Port
from relays.models import Board

ACCOUNT, PASSWORD = "/account/", "a-long-enough-pass"
SHAPE = re.compile(r"iot_[A-Za-z0-9_-]{43}")
FORM = {"name": "Home Assistant", "scope": "switch", "lasting": "90"}


@pytest.fixture
def gustav(db: None) -> User:
    return User.objects.create_user("gustav", password=PASSWORD)


@pytest.fixture
def browser(gustav: User) -> Client:
    client = Client()
    client.force_login(gustav)
    return client


def text_of(page: str) -> str:
    found = SHAPE.findall(page)
    assert len(found) == 1
    return str(found[0])


def words(page: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", page).split())


@pytest.mark.parametrize(
    ("rights", "sentence"),
    [
        ([], "You see every relay and what happened to it. You may not switch them."),
        (["switch_relay"], "You may switch them and stop everything."),
        (["switch_relay", "change_relay"], "You may switch them and stop everything, and change what they are."),
        (["change_relay"], "You may change what they are, but not switch them."),
    ],
)
def test_the_page_says_who_one_is_and_what_one_may(
    browser: Client, gustav: User, rights: list[str], sentence: str
) -> None:
    gustav.user_permissions.set(Permission.objects.filter(codename__in=rights))
    page = words(browser.get(ACCOUNT).content.decode())
    assert "You are signed in as gustav ." in page
    assert sentence in page
    assert "You may use the admin." not in page


def test_without_a_board_the_page_speaks_of_ships_alone(browser: Client, gustav: User) -> None:
    Port.objects.filter(locode="HKHKG").update(is_enabled=True)
    page = words(browser.get(ACCOUNT).content.decode())
    assert "You are signed in as gustav . You see the ships of every port that is on. Change your password" in page
    gustav.user_permissions.set(Permission.objects.filter(codename="change_port"))
    page = words(browser.get(ACCOUNT).content.decode())
    assert "You see the ships of every port that is on, and may turn ports on and off. Change" in page
    assert "relay" not in page.lower()
    Board.objects.create(name="Cellar", driver="simulated")
    assert "You see every relay and what happened to it." in words(browser.get(ACCOUNT).content.decode())


def test_a_token_is_shown_once_right_after_it_was_made(browser: Client, gustav: User) -> None:
    page = browser.post(ACCOUNT, FORM).content.decode()
    text = text_of(page)
    assert f'<output class="secret">{text}</output>' in page
    token = Token.objects.find(text)
    assert token is not None
    assert (token.user, token.name, token.scope) == (gustav, "Home Assistant", "switch")
    again = browser.get(ACCOUNT).content.decode()
    assert "Home Assistant" in again
    for secret in (text, token.hash):
        assert secret not in again
        assert secret not in str(browser.cookies)
        assert secret not in str(dict(browser.session))


def test_the_answer_that_shows_a_token_is_kept_by_no_cache(browser: Client) -> None:
    assert browser.post(ACCOUNT, FORM).headers["Cache-Control"] == "private, no-store"


def test_sending_the_form_twice_makes_one_token(browser: Client) -> None:
    browser.post(ACCOUNT, FORM)
    page = browser.post(ACCOUNT, FORM).content.decode()
    assert "There is a token of this name" in page
    assert not SHAPE.search(page)
    assert Token.objects.count() == 1


@pytest.mark.parametrize("change", [{"name": ""}, {"name": "n" * 61}, {"scope": "root"}, {"lasting": "9999"}])
def test_a_form_that_is_wrong_makes_none(browser: Client, change: dict[str, str]) -> None:
    page = browser.post(ACCOUNT, FORM | change).content.decode()
    assert 'class="errorlist' in page
    assert not Token.objects.exists()


def test_a_token_may_last_until_it_is_revoked(browser: Client) -> None:
    browser.post(ACCOUNT, FORM | {"lasting": "never"})
    assert Token.objects.get().expires_at is None
    assert "until revoked" in browser.get(ACCOUNT).content.decode()


def test_a_token_is_revoked_by_its_owner(browser: Client) -> None:
    text = text_of(browser.post(ACCOUNT, FORM).content.decode())
    path = f"/account/tokens/{Token.objects.get().pk}/revoke"
    assert browser.get(path).status_code == 405
    page = browser.post(path, follow=True).content.decode()
    assert "The token “Home Assistant” is revoked: what uses it is refused from now on." in page
    assert Token.objects.find(text) is None


def test_nobody_sees_or_revokes_the_tokens_of_others(browser: Client, as_owner: Client, owner: User) -> None:
    token, _ = Token.make(owner, "Anna's phone", "read")
    assert "phone" not in browser.get(ACCOUNT).content.decode()
    assert browser.post(f"/account/tokens/{token.pk}/revoke").status_code == 404
    assert Token.objects.get() == token


def test_with_fifty_tokens_the_page_offers_no_more(browser: Client, gustav: User) -> None:
    for number in range(Token.LIMIT):
        Token.make(gustav, f"token {number}", "read")
    page = browser.get(ACCOUNT).content.decode()
    assert "You have as many as one may have: revoke one first." in page
    assert 'name="scope"' not in page
    browser.post(ACCOUNT, FORM)
    assert Token.objects.count() == Token.LIMIT


def test_an_expired_token_is_called_so(browser: Client, gustav: User) -> None:
    token, _ = Token.make(gustav, "old", "read", 1)
    at = token.created_at - timedelta(days=2000)
    Token.objects.update(created_at=at, expires_at=at + timedelta(days=365))
    assert "expired" in browser.get(ACCOUNT).content.decode()


def test_the_page_asks_as_much_for_one_token_as_for_many(
    browser: Client, gustav: User, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(20):
        Token.make(gustav, f"token {number}", "read")
    with django_assert_max_num_queries(6):
        browser.get(ACCOUNT)


def test_looking_writes_nothing(browser: Client, gustav: User) -> None:
    Token.make(gustav, "one", "read")
    for path in (ACCOUNT, "/account/password/", "/account/sign-in/"):
        with CaptureQueriesContext(connection) as asked:
            browser.get(path)
        assert [query["sql"] for query in asked if not query["sql"].startswith("SELECT")] == []


def test_names_of_tokens_and_users_cannot_smuggle_in_markup(owner: User, as_owner: Client) -> None:
    name = "<script>alert(1)</script>\u202e 🚢"
    page = as_owner.post(ACCOUNT, FORM | {"name": name}).content.decode()
    assert "<script>alert" not in page
    assert "<bdi>&lt;script&gt;alert(1)&lt;/script&gt;\u202e 🚢</bdi>" in page


# --- the admin -------------------------------------------------------------------------------------------------


def test_the_admin_lists_and_revokes_tokens_and_neither_makes_nor_shows_one(as_owner: Client, gustav: User) -> None:
    token, text = Token.make(gustav, "Home Assistant", "switch")
    row = f"/admin/accounts/token/{token.pk}"
    for path in ("/admin/accounts/token/", f"{row}/change/", f"{row}/history/", f"{row}/delete/"):
        page = as_owner.get(path).content.decode()
        assert "Home Assistant" in page
        assert token.hash not in page
    assert as_owner.get("/admin/accounts/token/add/").status_code == 403
    assert as_owner.post(f"{row}/change/", {"name": "other", "scope": "read"}).status_code == 403
    as_owner.post(f"{row}/delete/", {"post": "yes"})
    assert Token.objects.find(text) is None


def test_who_may_only_look_revokes_nothing_in_the_admin(as_viewer: Client, gustav: User) -> None:
    token, _ = Token.make(gustav, "Home Assistant", "switch")
    assert as_viewer.get("/admin/accounts/token/").status_code == 200
    assert as_viewer.post(f"/admin/accounts/token/{token.pk}/delete/", {"post": "yes"}).status_code == 403
    assert Token.objects.get() == token


# --- what the log and the pages never show ---------------------------------------------------------------------

SECRET = "-".join(["correct", "horse", "battery"])  # a report shows the lines of the code too


@sensitive_variables()
def breaks(*args: object, **options: object) -> None:
    raise RuntimeError("broken")


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """What Django would write to somebody about each error, with the variables of every frame."""
    made: list[str] = []

    def report(request: HttpRequest, **more: object) -> None:
        made.append(ExceptionReporter(request, *sys.exc_info()).get_traceback_html())

    got_request_exception.connect(report)
    yield made
    got_request_exception.disconnect(report)


def said(caplog: pytest.LogCaptureFixture) -> str:
    """The log of a site: it never has the queries, which only DEBUG writes down."""
    return "".join(caplog.handler.format(record) for record in caplog.records if record.name != "django.db.backends")


@pytest.mark.parametrize("seam", ["django.contrib.auth.forms.authenticate", "accounts.models.User.objects.filter"])
def test_a_sign_in_that_breaks_shows_no_password(
    laptop: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reports: list[str], seam: str
) -> None:
    monkeypatch.setattr(seam, breaks)
    with caplog.at_level(logging.DEBUG):
        response = laptop.post("/account/sign-in/", {"username": SECRET, "password": SECRET})
    assert response.status_code == 500
    for place in (response.content.decode(), said(caplog), *reports):
        assert SECRET not in place
    assert "broken" in said(caplog)
    assert len(reports) == 1


@pytest.fixture
def laptop(gustav: User) -> Client:
    """A browser that signed in before."""
    client = Client(raise_request_exception=False)
    client.post("/account/sign-in/", {"username": "gustav", "password": PASSWORD})
    return client


def test_a_refused_sign_in_logs_neither_name_nor_password(gustav: User, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        form = {"username": SECRET, "password": SECRET}
        answers = [Client().post("/account/sign-in/", form).status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    assert SECRET not in said(caplog)


def test_a_change_of_password_that_breaks_shows_none(
    laptop: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, reports: list[str]
) -> None:
    monkeypatch.setattr(User, "check_password", breaks)
    new = {"old_password": SECRET, "new_password1": SECRET, "new_password2": SECRET}
    with caplog.at_level(logging.DEBUG):
        response = laptop.post("/account/password/", new)
    assert response.status_code == 500
    for place in (response.content.decode(), said(caplog), *reports):
        assert SECRET not in place
    assert len(reports) == 1


def test_making_a_token_logs_neither_text_nor_hash(browser: Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        text = text_of(browser.post(ACCOUNT, FORM).content.decode())
    assert text not in said(caplog)
    assert Token.objects.get().hash not in said(caplog)


def test_a_page_that_breaks_after_a_token_was_made_does_not_show_it(
    laptop: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made: list[str] = []

    def breaks(request: object, template: str, context: dict[str, str]) -> None:
        made.append(context["text"])
        raise RuntimeError("broken")

    monkeypatch.setattr("accounts.views.render", breaks)
    page = laptop.post(ACCOUNT, FORM).content.decode()
    assert len(made) == 1
    assert made[0] not in page
    assert made[0] not in said(caplog)


def test_a_token_in_the_headers_is_not_in_a_report_not_even_while_developing(
    laptop: Client, monkeypatch: pytest.MonkeyPatch, settings: Settings, gustav: User, reports: list[str]
) -> None:
    _, text = Token.make(gustav, "one", "read")
    settings.DEBUG = True
    monkeypatch.setattr("accounts.views.render", breaks)
    response = laptop.get(ACCOUNT, headers={"authorization": f"Bearer {text}"})
    assert response.status_code == 500
    for place in (response.content.decode(), *reports):
        assert text not in place
    assert len(reports) == 1
