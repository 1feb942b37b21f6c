"""No page of another site reaches this one under a name of its own, and no form of theirs is taken."""

import socket

import pytest
from django.conf import settings
from django.test import Client
from pytest_django import Settings

from accounts.models import User
from iotsite import hosts, places

MACHINE = socket.gethostname().split(".")[0]
SIGN_OUT = "/account/sign-out/"


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:8000",
        "LOCALHOST",
        "localhost.",
        "127.0.0.1:8000",
        "192.168.1.20",
        "10.255.0.1:81",
        "[::1]:8000",
        "[fe80::1]",
        "[2001:DB8::1]:8000",
        MACHINE,
        f"{MACHINE}.local:8000",
    ],
)
def test_addresses_in_numbers_and_the_names_of_this_machine_are_let_in(client: Client, host: str) -> None:
    assert client.get("/healthz", headers={"host": host}).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8000",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        f"{MACHINE}.evil.example",
        f"other.{MACHINE}.local",
        "192.168.1.20.nip.io",
        "local",
        "localhosts",
        "300.1.1.1",
        "127.1",
        "0x7f.0.0.1",
    ],
)
def test_any_other_name_is_refused_with_the_setting_that_adds_it(client: Client, host: str) -> None:
    response = client.get("/healthz", headers={"host": host})
    name = host.split(":")[0]
    sentence = f"This site does not go by the name {name}. If it should, add that to ALLOWED_HOSTS"
    assert response.status_code == 400
    assert sentence in response.content.decode()


@pytest.mark.parametrize(
    "host",
    [
        "",
        " ",
        "<script>alert(1)</script>",
        "localhost@evil.example",
        "localhost/evil",
        "localhost:port",
        "localhost:80:80",
        "localhost,evil.example",
        "[::1",
        "[localhost]",
        "::1",
        "[::1]evil.example",
        "löcalhost",
        "local\x00host",
        "a" * 100_000,
    ],
)
def test_what_is_no_name_at_all_is_refused_and_not_repeated(client: Client, host: str) -> None:
    response = client.get("/healthz", headers={"host": host})
    assert response.status_code == 400
    assert b"<script>alert" not in response.content
    assert len(response.content) < 10_000


def test_what_the_user_configured_is_let_in(client: Client, settings: Settings) -> None:
    settings.HOST_NAMES = ["relays.example.org", ".home.example.org"]
    for host in ("relays.example.org", "a.home.example.org", "home.example.org:443"):
        assert client.get("/healthz", headers={"host": host}).status_code == 200
    assert client.get("/healthz", headers={"host": "org"}).status_code == 400


def test_a_program_is_told_in_a_problem_document(client: Client) -> None:
    response = client.get("/api/relays", headers={"host": "evil.example"})
    assert (response.status_code, response["Content-Type"]) == (400, "application/problem+json")
    assert response.json()["detail"].startswith("This site does not go by the name evil.example.")


def test_files_and_pages_alike_are_behind_the_check(client: Client, as_owner: Client) -> None:
    for path in ("/", "/static/iotsite.css", "/admin/", "/account/sign-in/", "/nowhere"):
        assert as_owner.get(path, headers={"host": "evil.example"}).status_code == 400
    assert client.post("/stop", headers={"host": "evil.example"}).status_code == 400


def test_a_forwarded_host_is_nobody_s_word(client: Client) -> None:
    assert client.get("/healthz", headers={"x-forwarded-host": "evil.example"}).status_code == 200
    response = client.get("/healthz", headers={"host": "evil.example", "x-forwarded-host": "localhost"})
    assert response.status_code == 400


def test_a_machine_is_called_by_its_name_with_and_without_its_network() -> None:
    assert places.names_of("pi") == ["localhost", "pi", "pi.local"]
    assert places.names_of("pi.lan") == ["localhost", "pi.lan", "pi", "pi.local"]
    assert places.names_of("localhost") == ["localhost", "localhost.local"]


def test_the_check_stands_before_all_that_looks_at_a_request() -> None:
    before = settings.MIDDLEWARE[: settings.MIDDLEWARE.index("iotsite.hosts.HostMiddleware")]
    assert before == [  # these only add to what is answered
        "iotsite.headers.HeadersMiddleware",
        "iotsite.headers.PolicyMiddleware",
        "django.middleware.clickjacking.XFrameOptionsMiddleware",
    ]
    assert hosts.refusal("testserver") == ""


# --- where a form comes from -----------------------------------------------------------------------------------


@pytest.fixture
def browser(owner: User) -> Client:
    """One that was on a page of the site, so that it has the cookie and the field of its forms."""
    client = Client(enforce_csrf_checks=True)
    client.force_login(owner)
    client.get("/account/password/")
    return client


def sign_out(browser: Client, secure: bool = False, **headers: str) -> int:
    form = {"csrfmiddlewaretoken": browser.cookies["csrftoken"].value}
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return browser.post(SIGN_OUT, form, secure=secure, headers=names).status_code


@pytest.mark.parametrize("host", ["testserver", "192.168.1.20:8000", "[::1]:8000"])
def test_a_form_of_this_site_is_taken_under_each_of_its_names(browser: Client, host: str) -> None:
    assert sign_out(browser, host=host, origin=f"http://{host}") == 302


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "https://testserver",
        "http://testserver:81",
        "http://testserver.evil.example",
        "http://192.168.1.20",
    ],
)
def test_a_form_of_another_site_is_refused(browser: Client, origin: str) -> None:
    assert sign_out(browser, origin=origin) == 403


def test_a_form_with_neither_origin_nor_referer_needs_its_token_only_over_plain_http(browser: Client) -> None:
    assert sign_out(browser, secure=True) == 403
    assert sign_out(browser, secure=True, referer="https://evil.example/") == 403
    assert sign_out(browser, secure=True, referer="https://testserver/account/") == 302


def test_a_form_without_its_token_is_refused_even_from_here(browser: Client) -> None:
    assert browser.post(SIGN_OUT, headers={"origin": "http://testserver"}).status_code == 403


def test_a_reverse_proxy_under_another_name_is_trusted_when_configured(browser: Client, settings: Settings) -> None:
    settings.CSRF_TRUSTED_ORIGINS = ["https://home.example.org"]
    assert sign_out(browser, origin="https://home.example.org") == 302
