"""Who is told that others can read along, and what Caddy is told that it may make certificates for."""

import socket
import sys
from subprocess import Popen

import pytest
import requests
from django.test import Client
from pytest_django import Settings

from iotsite.supervisor import own_addresses
from tests.site import Site, free_port, wait_for

MACHINE = socket.gethostname().split(".")[0]
PHONE, PI = "192.168.1.50", "192.168.1.20"
SIGN_IN = "/account/sign-in/"
CAUTION = "Not encrypted: whoever is in the same network can read along"


def is_warned(client: Client, path: str, *, secure: bool = False, **meta: str) -> bool:
    return CAUTION in client.get(path, secure=secure, **{"SERVER_NAME": PI, **meta}).content.decode()  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "path", ["/", "/setup/", "/account/", "/ports/", "/activity/", "/nowhere", "/api/docs", SIGN_IN]
)
def test_every_page_that_others_can_read_along_says_so(as_owner: Client, path: str) -> None:
    assert is_warned(as_owner, path, REMOTE_ADDR=PHONE)
    assert is_warned(as_owner, path, REMOTE_ADDR="fe80::1%eth0")
    assert is_warned(as_owner, path, REMOTE_ADDR=""), "nobody knows who asks"


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", PI])
def test_at_the_machine_itself_nobody_reads_along(as_owner: Client, address: str) -> None:
    assert not is_warned(as_owner, "/", REMOTE_ADDR=address)


def test_over_https_nobody_reads_along(as_owner: Client) -> None:
    assert not is_warned(as_owner, "/", secure=True, REMOTE_ADDR=PHONE)


def test_who_has_no_password_here_is_not_troubled(client: Client, db: None, settings: Settings) -> None:
    settings.PORTS_PUBLIC = True
    assert not is_warned(client, "/ports/", REMOTE_ADDR=PHONE)
    assert is_warned(client, SIGN_IN, REMOTE_ADDR=PHONE), "but before they type one"


def test_the_caution_is_no_live_part_and_leads_to_the_way_out(as_owner: Client) -> None:
    page = as_owner.get("/", REMOTE_ADDR=PHONE).content.decode()
    assert page.index(CAUTION) < page.index('id="live"')
    assert '<a href="/https">How to get HTTPS</a>' in page


def test_a_refusal_before_anybody_is_known_is_no_error(client: Client) -> None:
    assert client.get(SIGN_IN, headers={"host": "evil.example"}, REMOTE_ADDR=PHONE).status_code == 400


# --- the page of the way out -------------------------------------------------------------------------------------


def test_the_page_says_how_it_came_and_what_to_do(client: Client) -> None:
    assert "This page came encrypted." in client.get("/https", secure=True).content.decode()
    page = client.get("/https", headers={"host": "localhost:8000"}).content.decode()
    assert "You are at the machine itself" in page
    assert f"<code>https://{MACHINE}.local</code>" in page
    page = client.get("/https", REMOTE_ADDR=PHONE, headers={"host": f"{PI}:8000"}).content.decode()
    assert "This page came unencrypted." in page
    assert f"<code>http://{PI}/iotsite-root.crt</code>" in page
    assert "sudo cp deploy/Caddyfile /etc/caddy/Caddyfile" in page
    assert "echo HTTPS=on &gt;&gt; .env" in page


def test_an_installed_site_says_what_is_to_be_done_there(client: Client, settings: Settings) -> None:
    settings.IS_INSTALLED = True
    page = client.get("/https").content.decode()
    assert "sudo systemctl restart iotsite-web caddy" in page
    assert "script/server" not in page


# --- Caddy's question --------------------------------------------------------------------------------------------


def may_have(client: Client, domain: str, **meta: str) -> bool:
    return client.get("/https/name", {"domain": domain}, **meta).status_code == 204  # type: ignore[arg-type]


def test_the_names_and_addresses_of_this_machine_may_have_certificates(client: Client, settings: Settings) -> None:
    settings.HOST_NAMES = [*settings.HOST_NAMES, "relays.example.org"]
    for name in (
        "localhost",
        MACHINE.lower(),
        f"{MACHINE}.LOCAL",
        "relays.example.org.",
        "127.0.0.1",
        *own_addresses(),
    ):
        assert may_have(client, name)


def test_nothing_else_may_not_even_by_a_pattern(client: Client, settings: Settings) -> None:
    settings.HOST_NAMES = [*settings.HOST_NAMES, ".example.org", "*"]
    for name in ("", "evil.example", "a.example.org", ".example.org", "*", "203.0.113.9", "127.0.0.2", "local\x00host"):
        assert not may_have(client, name)


def test_another_machine_is_not_told(client: Client) -> None:
    assert not may_have(client, "localhost", REMOTE_ADDR=PHONE)


# --- as a process ------------------------------------------------------------------------------------------------


def serve(site: Site) -> "Popen[bytes]":
    return site.start(sys.executable, "-m", "iotsite.serve")


def answers(url: str) -> bool:
    try:
        return requests.get(f"{url}/healthz", timeout=10).status_code == 200
    except requests.ConnectionError:
        return False


def test_the_web_server_listens_where_the_settings_say(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    port = free_port()
    monkeypatch.setenv("LISTEN", f"127.0.0.1:{port}")
    serve(site)
    wait_for(lambda: answers(f"http://127.0.0.1:{port}"), 60, "an answer there")


@pytest.mark.parametrize("name", ["LISTEN", "TRUSTED_PROXIES"])
def test_an_address_that_is_none_ends_it_with_a_sentence(
    site: Site, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "pi.local")
    assert serve(site).wait(60) == 1
    assert f"iotsite: {name} " in site.log()
    assert "Traceback" not in site.log()


def test_a_word_from_who_is_no_trusted_proxy_is_without_effect(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS", "on")
    monkeypatch.setenv("TRUSTED_PROXIES", "203.0.113.1")
    _, web = site.start_web()
    told = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "203.0.113.9", "X-Forwarded-Host": "evil.example"}
    answer = requests.get(f"{web}{SIGN_IN}", headers=told, timeout=20, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{web.replace('http', 'https')}{SIGN_IN}")
    assert requests.get(f"{web}/https/name?domain=localhost", headers=told, timeout=20).status_code == 204
