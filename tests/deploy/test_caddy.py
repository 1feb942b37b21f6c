"""The real Caddy with deploy/Caddyfile in front of a real site that has HTTPS=on."""

import http.client
import itertools
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from iotsite.live import MOST_OF_A_SESSION
from iotsite.supervisor import own_addresses
from tests.site import PASSWORD, ROOT, Site, add_relays, free_port, make_site, post, wait_for

CADDY = shutil.which("caddy") or ""
CADDYFILE = ROOT / "deploy" / "Caddyfile"
MACHINE = socket.gethostname().split(".")[0]
SIGN_IN = "/account/sign-in/"
pytestmark = [
    pytest.mark.skipif(not CADDY, reason="Caddy is not installed: apt install caddy"),
    pytest.mark.xdist_group("caddy"),
]


@dataclass
class House:
    """A site, its web server at ``web``, and Caddy at ``http`` and ``https``."""

    site: Site
    web: str
    http: str
    https: str
    storage: Path

    @property
    def root(self) -> str:
        return str(self.storage / "caddy/pki/authorities/local/root.crt")

    def ask(self, path: str, **options: object) -> requests.Response:
        """As a browser that trusts the root, without following where it leads."""
        chosen = {"verify": self.root, "timeout": 20, "allow_redirects": False} | options
        return requests.get(f"{self.https}{path}", **chosen)  # type: ignore[arg-type]

    def sign_in(self) -> requests.Session:
        session = requests.Session()
        session.trust_env, session.verify = False, self.root  # not the certificates that the environment may name
        session.headers["Referer"] = f"{self.https}{SIGN_IN}"
        session.get(f"{self.https}{SIGN_IN}", timeout=20)
        form = {"username": "bench", "password": PASSWORD}
        assert post(session, f"{self.https}{SIGN_IN}", **form).status_code == 302
        return session


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[House]:
    site = make_site(tmp_path_factory.mktemp("caddy"), template_database)
    add_relays(site, "Lamp")
    site.add_user()
    http, https = free_port(), free_port()
    storage = site.folder / "storage"
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("HTTPS", "on")
        site.start_controller()
        _, web = site.start_web()
        environment.setenv("IOTSITE", web.removeprefix("http://"))
        for name, value in (("HTTP_PORT", http), ("HTTPS_PORT", https)):
            environment.setenv(name, str(value))
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            environment.setenv(name, str(storage))
        caddy = site.start(CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile")
    made = House(site, web, f"http://localhost:{http}", f"https://localhost:{https}", storage)

    def is_up() -> bool:
        assert caddy.poll() is None, site.log()
        try:
            return made.ask("/healthz").status_code == 200
        except OSError:
            return False

    wait_for(is_up, 30, "Caddy")
    yield made
    site.end()


# --- the site through Caddy --------------------------------------------------------------------------------------


def test_its_cookies_are_secure_and_browsers_are_told_to_stay_with_https(house: House) -> None:
    session = house.sign_in()
    assert {cookie.name for cookie in session.cookies} == {"csrftoken", "sessionid", "knownbrowser"}
    assert all(cookie.secure for cookie in session.cookies)
    page = session.get(f"{house.https}/", timeout=20)
    assert page.headers["Strict-Transport-Security"] == "max-age=2592000"
    assert "Server" not in page.headers
    assert "overheard" not in page.text


def test_a_page_is_compressed_once_and_by_the_site(house: House) -> None:
    page = house.ask(SIGN_IN, headers={"Accept-Encoding": "gzip"})
    assert page.headers["Content-Encoding"] == "gzip"
    assert "<h1>Sign in</h1>" in page.text


def test_a_switch_and_its_event_come_through_as_they_happen(house: House) -> None:
    session = house.sign_in()
    with session.get(f"{house.https}/live", stream=True, timeout=30) as stream:
        told = stream.iter_lines(chunk_size=1)
        assert b"event: refresh" in told, "its welcome: what comes from now on is news to it"
        assert post(session, f"{house.https}/relays/lamp/switch", on="on").status_code == 302
        some = itertools.islice(told, 60)  # beats alone would be more than that after a while
        assert any(b"Lamp" in line for line in some), "a buffer would keep it until the stream ends"
    house.site.wait_actual("lamp", True)


def test_a_page_that_is_closed_ends_its_stream_behind_caddy_too(house: House) -> None:
    session = house.sign_in()

    def opens() -> bool:
        with session.get(f"{house.https}/live", stream=True, timeout=30) as stream:
            return stream.status_code == 200

    for _ in range(3 * MOST_OF_A_SESSION):
        wait_for(opens, what="a stream, where those of closed pages no longer count")


# --- who may say what --------------------------------------------------------------------------------------------


def sign_out(house: House, session: requests.Session, **headers: str) -> int:
    session.headers.pop("Referer")
    form = {"csrfmiddlewaretoken": session.cookies["csrftoken"]}
    answer = session.post(f"{house.https}/account/sign-out/", form, headers=headers, timeout=20, allow_redirects=False)
    return answer.status_code


def test_a_form_has_to_come_from_the_site_under_https(house: House) -> None:
    session = house.sign_in()
    for wrong in ({}, {"Origin": house.http}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        session.headers["Referer"] = ""
        assert sign_out(house, session, **wrong) == 403
    session.headers["Referer"] = ""
    assert sign_out(house, session, Origin=house.https) == 302


@pytest.mark.parametrize(
    "told",
    [
        {"X-Forwarded-Proto": "http"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Real-IP": "203.0.113.9", "X_Forwarded_For": "203.0.113.9"},
        {"Forwarded": "for=203.0.113.9;proto=http;host=evil.example"},
    ],
)
def test_what_a_client_says_of_itself_changes_nothing(house: House, told: dict[str, str]) -> None:
    """/https/name is answered to this machine alone; what came over plain HTTP, only with a redirect."""
    assert house.ask("/https/name?domain=localhost", headers=told).status_code == 204
    answer = house.ask("/", headers=told)
    assert (answer.status_code, answer.headers["Location"]) == (302, f"{SIGN_IN}?next=/")


def test_another_machine_cannot_pass_for_this_one(house: House) -> None:
    for address in own_addresses():
        url = f"https://{address}:{house.https.rpartition(':')[2]}/https/name?domain=localhost"
        for told in ({}, {"X-Forwarded-For": "127.0.0.1"}, {"X-Forwarded-For": "127.0.0.1, ::1"}):
            assert requests.get(url, headers=told, verify=house.root, timeout=20).status_code == 404


def test_a_foreign_name_is_refused_behind_caddy_too(house: House) -> None:
    refused = house.ask("/healthz", headers={"Host": "evil.example"})
    assert refused.status_code == 400
    assert "does not go by the name evil.example" in refused.text


@pytest.mark.parametrize(("size", "by_the_site"), [(4_000_000, True), (12_000_000, False)])
def test_a_body_that_no_form_has_is_refused_and_an_endless_one_not_even_passed_on(
    house: House, size: int, by_the_site: bool
) -> None:
    answer = answer_to_a_body(house, size, min(size, 10_050_000))
    assert answer.status >= 400
    assert (answer.getheader("Content-Security-Policy") is not None) is by_the_site


def answer_to_a_body(house: House, size: int, sent: int) -> http.client.HTTPResponse:
    """To one of this size, of which only a part is sent: who is cut off while he writes would not hear why."""
    trust = ssl.create_default_context(cafile=house.root)
    connection = http.client.HTTPSConnection(house.https.removeprefix("https://"), context=trust, timeout=30)
    connection.putrequest("POST", SIGN_IN)
    connection.putheader("Content-Type", "application/x-www-form-urlencoded")
    connection.putheader("Origin", house.https)
    connection.putheader("Content-Length", str(size))
    connection.endheaders(b"x" * sent)
    return connection.getresponse()


# --- certificates ------------------------------------------------------------------------------------------------


def shake_hands(house: House, name: str) -> None:
    trust = ssl.create_default_context(cafile=house.root)
    with (
        socket.create_connection(("127.0.0.1", int(house.https.rpartition(":")[2])), timeout=20) as plain,
        trust.wrap_socket(plain, server_hostname=name),
    ):
        pass


def certificates(house: House) -> set[str]:
    return {path.stem for path in (house.storage / "caddy/certificates").rglob("*.crt")}


def test_every_name_and_address_of_this_machine_has_a_certificate(house: House) -> None:
    for name in ("localhost", MACHINE, f"{MACHINE}.local"):
        shake_hands(house, name)
    port = house.https.rpartition(":")[2]
    for address in ("127.0.0.1", *own_addresses()):
        answer = requests.get(f"https://{address}:{port}/healthz", verify=house.root, timeout=20)
        assert answer.status_code == 200


@pytest.mark.parametrize("name", ["evil.example", "other.local", "localhost.evil.example"])
def test_nobody_has_certificates_made_for_other_names(house: House, name: str) -> None:
    with pytest.raises(ssl.SSLError):
        shake_hands(house, name)
    assert name not in certificates(house)


def test_nobody_outside_is_asked_for_a_certificate_and_nobody_steers_caddy() -> None:
    done = subprocess.run(
        [CADDY, "adapt", "--config", str(CADDYFILE), "--adapter", "caddyfile"], capture_output=True, check=True
    )
    adapted = json.loads(done.stdout)
    assert adapted["admin"] == {"disabled": True}
    assert adapted["apps"]["tls"]["automation"] == {
        "policies": [{"issuers": [{"module": "internal"}], "on_demand": True}],
        "on_demand": {"ask": "http://127.0.0.1:8000/https/name"},
    }
    assert adapted["apps"]["pki"]["certificate_authorities"] == {"local": {"install_trust": False}}


# --- without encryption ------------------------------------------------------------------------------------------


def test_plain_http_leads_to_https(house: House) -> None:
    for path in ("/", "/account/sign-in/?next=/activity/", "/root.key", "/iotsite-root.crt/../root.key"):
        answer = requests.get(f"{house.http}{path}", timeout=20, allow_redirects=False)
        assert answer.status_code == 308
        assert answer.headers["Location"].startswith(f"{house.https}/")
        assert "Server" not in answer.headers


def test_past_caddy_there_is_a_way_to_https_only(house: House) -> None:
    answer = requests.get(f"{house.web}{SIGN_IN}", timeout=20, allow_redirects=False)
    assert (answer.status_code, answer.headers["Location"]) == (301, f"{house.web.replace('http', 'https')}{SIGN_IN}")
    assert "Set-Cookie" not in answer.headers


@pytest.mark.parametrize("how", ["http", "https"])
def test_the_root_can_be_fetched_and_its_key_cannot(house: House, how: str) -> None:
    at = getattr(house, how)
    found = requests.get(f"{at}/iotsite-root.crt", verify=house.root, timeout=20)
    assert found.headers["Content-Type"] == "application/x-x509-ca-cert"
    assert found.content == Path(house.root).read_bytes()
    for path in ("/iotsite-root.crt/root.key", "/iotsite-root.crt%2f..%2froot.key", "/root.key"):
        other = requests.get(f"{at}{path}", verify=house.root, timeout=20, allow_redirects=False)
        assert b"PRIVATE" not in other.content
        assert other.status_code in (302, 308, 404)
