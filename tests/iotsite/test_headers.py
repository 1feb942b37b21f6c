"""Every answer is closed, whoever made it: a page, a file, a redirect, an error."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.db import connection
from django.http import HttpResponse
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import Token, User
from iotsite.settings import env as variables
from tests.site import ROOT

POLICY = {
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "manifest-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
}
ALWAYS = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
ANSWERS = {
    "a page": ("GET", "/", {}, 200),
    "the sign-in page": ("GET", "/account/sign-in/", {}, 200),
    "a page of the admin": ("GET", "/admin/relays/relay/", {}, 200),
    "a file": ("GET", "/static/iotsite.css", {}, 200),
    "a file of the admin": ("GET", "/static/admin/css/base.css", {}, 200),
    "health": ("GET", "/healthz", {}, 200),
    "a redirect": ("POST", "/account/sign-out/", {}, 302),
    "a file that is not there": ("GET", "/static/nowhere.css", {}, 404),
    "a page that is not there": ("GET", "/nowhere", {}, 404),
    "a method that is not for it": ("PUT", "/account/sign-out/", {}, 405),
    "a name that is not ours": ("GET", "/", {"host": "evil.example"}, 400),
    "a problem document": ("GET", "/api/nowhere", {}, 404),
    "an unknown method": ("BREW", "/healthz", {}, 200),
    "a file that has not changed": (
        "GET",
        "/static/iotsite.css",
        {"if-modified-since": "Fri, 01 Jan 2100 00:00:00 GMT"},
        304,
    ),
}


def check(response: HttpResponse) -> None:
    found = {name: response.headers.get(name) for name in ALWAYS}
    assert found == ALWAYS
    assert set(response.headers["Content-Security-Policy"].split("; ")) == POLICY
    assert "camera=(), " in response.headers["Permissions-Policy"]
    assert "Server" not in response.headers


@pytest.mark.parametrize("kind", ANSWERS)
def test_every_kind_of_answer_carries_every_header(as_owner: Client, kind: str) -> None:
    method, path, headers, status = ANSWERS[kind]
    response = as_owner.generic(method, path, headers=headers)
    assert response.status_code == status
    check(response)


def test_a_form_without_proof_carries_them_too(owner: User) -> None:
    refused = Client(enforce_csrf_checks=True).post("/account/sign-in/")
    assert refused.status_code == 403
    check(refused)


def test_an_error_of_ours_carries_them_too(as_owner: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(*args: object, **options: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("accounts.views.render", breaks)
    as_owner.raise_request_exception = False
    failed = as_owner.get("/account/")
    assert failed.status_code == 500
    check(failed)


@pytest.mark.parametrize("path", ["/", "/account/sign-in/", "/account/", "/admin/", "/nowhere", "/healthz"])
def test_no_cache_keeps_what_was_made_for_one_person(as_owner: Client, path: str) -> None:
    kept = as_owner.get(path).headers["Cache-Control"]
    assert "no-store" in kept
    assert "private" in kept


def test_files_are_kept_for_a_while(client: Client) -> None:
    assert client.get("/static/iotsite.css").headers["Cache-Control"] == "max-age=60, public"


# --- cookies ---------------------------------------------------------------------------------------------------


def cookies_of_a_sign_in() -> Client:
    User.objects.create_user("gustav", password="a-long-enough-pass")
    client = Client()
    client.get("/account/sign-in/")
    client.post("/account/sign-in/", {"username": "gustav", "password": "a-long-enough-pass"}, secure=True)
    return client


def test_every_cookie_is_out_of_reach_of_scripts_and_other_sites(db: None) -> None:
    cookies = cookies_of_a_sign_in().cookies
    assert set(cookies) == {"csrftoken", "sessionid", "knownbrowser"}
    for cookie in cookies.values():
        assert (cookie["httponly"], cookie["samesite"], cookie["secure"]) == (True, "Lax", "")


def test_every_cookie_is_secure_under_https(db: None, settings: Settings) -> None:
    settings.SESSION_COOKIE_SECURE = settings.CSRF_COOKIE_SECURE = True
    cookies = cookies_of_a_sign_in().cookies
    assert [cookie["secure"] for cookie in cookies.values()] == [True, True, True]


def test_a_message_waits_in_a_cookie_and_showing_it_writes_nothing(as_owner: Client, owner: User) -> None:
    token, _ = Token.make(owner, "one", "read")
    as_owner.post(f"/account/tokens/{token.pk}/revoke")
    cookie = as_owner.cookies["messages"]
    assert (cookie["httponly"], cookie["samesite"]) == (True, "Lax")
    with CaptureQueriesContext(connection) as asked:
        page = as_owner.get("/account/")
    assert "The token “one” is revoked" in page.content.decode()
    assert [query["sql"] for query in asked if not query["sql"].startswith("SELECT")] == []
    assert as_owner.cookies["messages"].value == ""


# --- HTTPS -----------------------------------------------------------------------------------------------------


@pytest.fixture
def https(settings: Settings) -> None:
    """What HTTPS=on does."""
    settings.SECURE_SSL_REDIRECT, settings.SECURE_HSTS_SECONDS = True, 2592000


def test_under_https_plain_http_leads_there(https: None, client: Client) -> None:
    response = client.get("/account/sign-in/?next=/")
    assert (response.status_code, response["Location"]) == (301, "https://testserver/account/sign-in/?next=/")
    assert client.get("/", headers={"host": "evil.example"}).status_code == 400, "not to a foreign name"
    check(response)


def test_under_https_browsers_are_told_to_stay_with_it(https: None, client: Client) -> None:
    response = client.get("/account/sign-in/", secure=True)
    assert response.status_code == 200
    assert response.headers["Strict-Transport-Security"] == "max-age=2592000"


def test_under_https_this_machine_may_still_ask_how_the_site_is(https: None, client: Client) -> None:
    assert client.get("/healthz").status_code == 200


def test_nobody_s_word_makes_it_https(client: Client) -> None:
    """Where no application server stands before Django, as in development, nobody reads these headers at all."""
    response = client.get("/account/sign-in/", headers={"x-forwarded-proto": "https"})
    assert not response.wsgi_request.is_secure()
    assert "Strict-Transport-Security" not in response.headers


def check_deploy(tmp_path: Path, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name not in variables.scheme}
    places = {"DATA_DIR": str(tmp_path / "data"), "RUN_DIR": str(tmp_path / "run")}
    return subprocess.run(
        [sys.executable, "manage.py", "check", "--deploy", "--fail-level", "WARNING"],
        cwd=ROOT,
        env=kept | places | {"DJANGO_SETTINGS_MODULE": "iotsite.settings"} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_earnest_settings_pass_django_s_own_check(tmp_path: Path) -> None:
    done = check_deploy(tmp_path, HTTPS="on")
    assert done.returncode == 0, done.stderr
    assert done.stdout == "System check identified no issues (2 silenced).\n"


def test_plain_http_lacks_what_only_https_can_give_and_nothing_else(tmp_path: Path) -> None:
    done = check_deploy(tmp_path)
    found = {word.strip("?:()") for word in done.stderr.split() if word.startswith("(security.")}
    assert found == {"security.W004", "security.W008", "security.W012", "security.W016"}
