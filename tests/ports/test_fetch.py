"""Fetching over real HTTP on loopback: each thing that a server may do becomes a file or a sentence, in time."""

import gzip
import resource
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from iotsite import __version__
from ports.fetch import LIMITS, Fetched, Limits, fetch
from ports.fetch.complaints import LONGEST_PAUSE
from ports.sources import Address
from tests.ports import servers
from tests.ports.servers import Server, serving

PATIENT = Limits(size=100_000, pause=0.01)
QUICK = replace(PATIENT, connect=1, read=0.5, whole=1.5)
"""Where a server drips, which is to be waited for."""
SOON = 10.0
"""Seconds that a busy machine may need, and fewer than what is not to be waited for."""
LATER = "The next refresh tries again."
NEWER = "The publisher has changed something: see whether there is a newer version of this site."
SHIPS = b"<?xml version='1.0'?><ships><ship>EVER GIVEN</ship></ships>"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")  # where the machine of the tests has a proxy, it is not asked
    with serving() as running:
        yield running


def get(
    server: Server,
    *answers: servers.Answer,
    memory: dict[str, dict[str, str]] | None = None,
    limits: Limits = PATIENT,
) -> Fetched:
    server.tell("/due.xml", *answers)
    return fetch([server.address("due.xml")], memory or {}, limits)


def complaint(fetched: Fetched) -> str:
    assert fetched.files == {}
    assert fetched.memory == {}
    assert not fetched.is_unchanged
    return fetched.errors["due.xml"]


# What goes well


def test_a_file_is_fetched_and_counted(server: Server) -> None:
    fetched = get(server, servers.whole(SHIPS))
    assert fetched == Fetched(files={"due.xml": SHIPS}, bytes=len(SHIPS))


def test_it_says_who_asks_and_takes_gzip_and_sends_what_the_source_wants_sent(server: Server) -> None:
    server.tell("/calls.json", servers.whole(b"{}", "application/json"))
    address = Address("calls.json", f"{server.url}/calls.json", {"locode": "FIHEL"}, {"Digitraffic-User": "iotsite/9"})
    fetch([address], {}, PATIENT)
    (asked,) = server.asked
    assert asked.params == {"locode": "FIHEL"}
    assert asked.headers["user-agent"].startswith(f"iotsite/{__version__} ")
    assert asked.headers["accept-encoding"] == "gzip"
    assert asked.headers["digitraffic-user"] == "iotsite/9"
    assert "authorization" not in asked.headers
    assert "if-none-match" not in asked.headers


def test_gzip_is_unpacked_and_counted_as_it_came(server: Server) -> None:
    fetched = get(server, servers.zipped(SHIPS * 100))
    assert fetched.files == {"due.xml": SHIPS * 100}
    assert fetched.bytes < len(SHIPS) * 10


def test_the_end_of_gzip_may_come_alone(server: Server) -> None:
    packed = gzip.compress(SHIPS)

    def rest(line: socket.socket) -> None:
        time.sleep(0.1)
        line.sendall(packed[-8:])

    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)
    assert get(server, servers.raw(head + packed[:-8], then=rest)).files == {"due.xml": SHIPS}


def test_chunks_are_joined(server: Server) -> None:
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in (SHIPS[:9], SHIPS[9:])) + b"0\r\n\r\n"
    assert get(server, servers.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)).files == {"due.xml": SHIPS}


def test_a_body_without_a_length_ends_with_the_connection(server: Server) -> None:
    assert get(server, servers.raw(HEAD + b"\r\n" + SHIPS)).files == {"due.xml": SHIPS}


@pytest.mark.parametrize("kind", ["", "text/xml; charset=utf-8", "application/rss+xml", "text/plain", "TEXT/XML"])
def test_servers_call_xml_many_things(server: Server, kind: str) -> None:
    assert get(server, servers.whole(SHIPS, kind)).files == {"due.xml": SHIPS}


def test_a_proxy_of_the_environment_is_used(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    server.tell("/ships.xml", servers.whole(SHIPS))
    assert fetch([Address("ships.xml", "http://port.invalid/ships.xml")], {}, PATIENT).files == {"ships.xml": SHIPS}


def test_passwords_in_netrc_are_not_sent(server: Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login anna password secret\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    get(server, servers.whole(SHIPS))
    assert "authorization" not in server.asked[0].headers


# What is known already


def test_an_unchanged_file_is_not_sent_again(server: Server) -> None:
    server.tell("/due.xml", servers.tagged(SHIPS, '"v1"'))
    first = fetch([server.address("due.xml")], {}, PATIENT)
    again = fetch([server.address("due.xml")], first.memory, PATIENT)
    assert server.asked[1].headers["if-none-match"] == '"v1"'
    assert again == Fetched(memory=first.memory)
    assert again.is_unchanged


def test_a_date_serves_where_there_is_no_etag(server: Server) -> None:
    moment = "Fri, 22 Aug 2025 13:25:00 GMT"
    server.tell("/due.xml", servers.dated(SHIPS, moment))
    first = fetch([server.address("due.xml")], {}, PATIENT)
    assert fetch([server.address("due.xml")], first.memory, PATIENT).is_unchanged
    assert server.asked[1].headers["if-modified-since"] == moment


def test_a_changed_file_brings_its_new_etag(server: Server) -> None:
    first = get(server, servers.tagged(SHIPS, '"v1"'))
    second = get(server, servers.tagged(SHIPS + b" ", '"v2"'), memory=first.memory)
    assert second.files == {"due.xml": SHIPS + b" "}
    assert second.memory["due.xml"]["ETag"] == '"v2"'


def test_when_one_of_two_files_changed_both_are_there_to_be_joined(server: Server) -> None:
    addresses = [server.address("due.xml"), server.address("in.xml")]
    server.tell("/due.xml", servers.tagged(SHIPS, '"v1"'))
    server.tell("/in.xml", servers.tagged(SHIPS, '"a"'))
    first = fetch(addresses, {}, PATIENT)
    server.tell("/in.xml", servers.tagged(b"<in/>", '"b"'))
    second = fetch(addresses, first.memory, PATIENT)
    assert second.files == {"due.xml": SHIPS, "in.xml": b"<in/>"}
    assert [asked.headers.get("if-none-match") for asked in server.asked_for("due.xml")] == [None, '"v1"', None]
    assert fetch(addresses, second.memory, PATIENT).is_unchanged


def test_what_is_known_of_one_address_is_not_held_against_another(server: Server) -> None:
    server.tell("/due.xml", servers.tagged(SHIPS, '"v1"'))
    first = fetch([server.address("due.xml", day="1")], {}, PATIENT)
    fetch([server.address("due.xml", day="2")], first.memory, PATIENT)
    assert "if-none-match" not in server.asked[1].headers


def test_an_etag_that_is_no_etag_is_not_kept(server: Server) -> None:
    assert get(server, servers.whole(SHIPS, ETag="x" * 5000)).memory == {}


def test_not_modified_that_nobody_asked_for_is_an_error(server: Server) -> None:
    said = complaint(get(server, servers.status(304)))
    assert said == f"{server.host} answered with status 304 where due.xml should be. {NEWER}"


# What is refused


def test_406_is_said(server: Server) -> None:
    said = complaint(get(server, servers.status(406)))
    assert said == f"{server.host} has due.xml in no form that this site reads (406). {NEWER}"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (400, "how this site asks"),
        (401, "wants a login"),
        (403, "does not let"),
        (404, "has no due.xml ("),
        (418, "418"),
        (501, "(501)"),
    ],
)
def test_a_refusal_is_said_and_not_tried_again(server: Server, code: int, words: str) -> None:
    assert words in complaint(get(server, servers.status(code, b"no")))
    assert len(server.asked) == 1


def test_429_with_seconds_is_obeyed_and_not_slept_through(server: Server) -> None:
    before, began = datetime.now(UTC), time.monotonic()
    fetched = get(server, servers.status(429, Retry_After="1800"))
    assert time.monotonic() - began < SOON
    assert fetched.retry_at is not None
    assert timedelta(0) <= fetched.retry_at - before - timedelta(minutes=30) < timedelta(seconds=5)
    assert complaint(fetched) == f"{server.host} asks for a pause until {fetched.retry_at:%Y-%m-%d %H:%M} UTC (429)."
    assert len(server.asked) == 1


def test_429_with_a_date_is_obeyed(server: Server) -> None:
    moment = (datetime.now(UTC) + timedelta(hours=2)).replace(microsecond=0)
    fetched = get(server, servers.status(429, Retry_After=f"{moment:%a, %d %b %Y %H:%M:%S} GMT"))
    assert fetched.retry_at == moment


def test_503_with_a_moment_is_not_tried_again_before(server: Server) -> None:
    fetched = get(server, servers.status(503, Retry_After="60"))
    assert fetched.retry_at is not None
    assert len(server.asked) == 1


@pytest.mark.parametrize("told", ["99999999999999999999", "Fri, 01 Jan 2100 00:00:00 GMT"])
def test_nobody_sends_us_away_for_years(server: Server, told: str) -> None:
    retry_at = get(server, servers.status(429, Retry_After=told)).retry_at
    assert retry_at is not None
    assert retry_at <= datetime.now(UTC) + LONGEST_PAUSE


@pytest.mark.parametrize("told", ["", "soon", "-5", "1.5", "Fri, 99 Foo 2025 25:61:00 GMT", "٣"])
def test_a_moment_that_is_none_is_left_out(server: Server, told: str) -> None:
    fetched = get(server, servers.status(429, Retry_After=told.encode().decode("latin-1")))
    assert fetched.retry_at is None
    assert complaint(fetched).startswith(f"{server.host} wants to be asked less often (429).")


def test_a_host_that_asks_for_a_pause_is_not_asked_for_the_other_files(server: Server) -> None:
    server.tell("/due.xml", servers.status(429, Retry_After="60"))
    server.tell("/in.xml", servers.whole(SHIPS))
    fetched = fetch([server.address("due.xml"), server.address("in.xml")], {}, PATIENT)
    assert fetched.errors["in.xml"] == f"in.xml was not asked for: {server.host} asks for a pause."
    assert server.asked_for("in.xml") == []


@pytest.mark.parametrize("code", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed_and_names_the_new_address(server: Server, code: int) -> None:
    server.tell("/new.xml", servers.whole(SHIPS))
    said = complaint(get(server, servers.status(code, Location="/new.xml")))
    assert said == (
        f"{server.host} sends due.xml to another address, {server.url}/new.xml ({code}), which is not followed. "
        "If the publisher has moved, a newer version of this site may know it."
    )
    assert server.asked_for("new.xml") == []


def test_the_new_address_is_cut_and_cleaned(server: Server) -> None:
    said = complaint(get(server, servers.status(302, Location="http://x.invalid/\x1b[31m\x9b" + "a" * 5000)))
    assert said.isprintable()
    assert len(said) < 400


def test_the_body_of_a_redirect_is_not_read(server: Server) -> None:
    head = b"HTTP/1.1 302 Found\r\nLocation: /new.xml\r\n\r\n"
    assert "another address" in complaint(get(server, servers.endless(head)))


# What may be tried again


def test_500_then_fine_is_fine(server: Server) -> None:
    assert get(server, servers.status(500), servers.status(503), servers.whole(SHIPS)).files == {"due.xml": SHIPS}
    assert len(server.asked) == 3


def test_a_server_in_trouble_is_asked_three_times_with_growing_pauses(server: Server) -> None:
    server.tell("/due.xml", servers.status(502))
    fetched = fetch([server.address("due.xml")], {}, Limits(pause=0.1))
    assert complaint(fetched) == f"{server.host} has a trouble of its own (502). {LATER}"
    first, second, third = (asked.at for asked in server.asked)
    assert 0.1 <= second - first < SOON
    assert 0.2 <= third - second < SOON


def test_a_torn_connection_is_tried_again(server: Server) -> None:
    assert get(server, servers.reset(), servers.reset(HEAD), servers.whole(SHIPS)).files == {"due.xml": SHIPS}


def test_no_time_is_spent_on_a_pause_that_is_too_long(server: Server) -> None:
    server.tell("/due.xml", servers.status(500))
    began = time.monotonic()
    fetch([server.address("due.xml")], {}, Limits(whole=20, pause=100))
    assert time.monotonic() - began < SOON
    assert len(server.asked) == 1


# What is not whole


@pytest.mark.parametrize("after", [0, 1, len(SHIPS) - 1])
def test_a_body_that_is_shorter_than_promised_is_not_taken(server: Server, after: int) -> None:
    said = complaint(get(server, servers.cut(SHIPS, after)))
    assert said == f"{server.host} broke off before due.xml was whole. {LATER}"


def test_chunks_that_break_off_are_not_taken(server: Server) -> None:
    said = complaint(get(server, servers.raw(HEAD + b"Transfer-Encoding: chunked\r\n\r\n4\r\n<shi\r\n")))
    assert said == f"{server.host} broke off before due.xml was whole. {LATER}"


def test_gzip_that_breaks_off_is_not_taken_though_its_length_is_right(server: Server) -> None:
    said = complaint(get(server, servers.whole(gzip.compress(SHIPS)[:-9], Content_Encoding="gzip")))
    assert said == f"{server.host} broke off before due.xml was whole. {LATER}"


@pytest.mark.parametrize(
    "packed",
    [b"no gzip at all", gzip.compress(SHIPS) + b"more", gzip.compress(SHIPS)[:-4] + b"\0" * 4],
    ids=["none", "more after it", "another length"],  # its own words have the moment in them
)
def test_what_cannot_be_unpacked_is_said(server: Server, packed: bytes) -> None:
    said = complaint(get(server, servers.whole(packed, Content_Encoding="gzip")))
    assert said == f"What {server.host} packed due.xml into cannot be unpacked. {LATER}"


def test_a_packing_that_was_not_asked_for_is_said(server: Server) -> None:
    said = complaint(get(server, servers.whole(SHIPS, Content_Encoding="br")))
    assert said == f"{server.host} packs due.xml as br, which is not read. {NEWER}"


# What takes too long, or too much


@pytest.mark.parametrize("pause", [0.05, 0.3])
def test_a_server_that_drips_its_headers_is_left(server: Server, pause: float) -> None:
    began = time.monotonic()
    said = complaint(get(server, servers.drip(HEAD + b"X: " + b"x" * 5000, pause), limits=QUICK))
    assert said == f"due.xml did not come whole from {server.host} within 1.5 s. {LATER}"
    assert 1.4 < time.monotonic() - began < SOON


def test_a_server_that_drips_its_body_is_left(server: Server) -> None:
    began = time.monotonic()
    said = complaint(get(server, servers.raw(HEAD + b"\r\n", then=lambda line: _drip(line)), limits=QUICK))
    assert said == f"due.xml did not come whole from {server.host} within 1.5 s. {LATER}"
    assert 1.4 < time.monotonic() - began < SOON


def _drip(line: socket.socket) -> None:
    for _ in range(400):
        line.sendall(b"<ship/>")
        time.sleep(0.05)


def test_a_drip_on_one_file_leaves_time_for_the_next(server: Server) -> None:
    server.tell("/due.xml", servers.drip(HEAD + b"X: " + b"x" * 5000, 0.05))
    server.tell("/in.xml", servers.whole(SHIPS))
    fetched = fetch([server.address("due.xml"), server.address("in.xml")], {}, QUICK)
    assert fetched.files == {"in.xml": SHIPS}
    assert list(fetched.errors) == ["due.xml"]


def test_a_silent_server_is_left(server: Server) -> None:
    server.tell("/due.xml", servers.silence(30))
    fetched = fetch([server.address("due.xml")], {}, Limits(read=0.2, tries=2, pause=0.01))
    assert complaint(fetched) == f"{server.host} was silent for 0.2 s. {LATER}"
    assert len(server.asked) == 2


TOO_LARGE = f"is larger than 0.1 MB, as no list of ships is. Nothing of it was taken. {NEWER}"


def test_an_endless_body_is_left_at_the_size_cap(server: Server) -> None:
    fetched = get(server, servers.endless())
    assert complaint(fetched) == f"due.xml from {server.host} {TOO_LARGE}"
    assert PATIENT.size < fetched.bytes < PATIENT.size + 70_000
    assert len(server.asked) == 1


def test_a_zip_bomb_is_left_at_the_size_cap_and_fills_no_memory(server: Server) -> None:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    server.tell("/due.xml", servers.bomb(100_000_000))
    packed = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # the test's own zeros
    fetched = fetch([server.address("due.xml")], {}, PATIENT)
    assert complaint(fetched) == f"due.xml from {server.host} {TOO_LARGE}"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - max(before, packed) < 20_000


def test_a_gzip_header_without_end_is_left_at_the_size_cap(server: Server) -> None:
    head = HEAD + b"Content-Encoding: gzip\r\n\r\n\x1f\x8b\x08\x08\0\0\0\0\0\0"
    assert complaint(get(server, servers.endless(head))) == f"due.xml from {server.host} {TOO_LARGE}"


def test_what_is_as_large_as_allowed_is_taken(server: Server) -> None:
    body = SHIPS.ljust(PATIENT.size)
    assert get(server, servers.whole(body)).files == {"due.xml": body}
    assert get(server, servers.zipped(body)).files == {"due.xml": body}
    assert TOO_LARGE in complaint(get(server, servers.zipped(body + b" ")))


def test_the_limits_of_real_fetches_are_as_documented() -> None:
    assert Limits(connect=10, read=20, whole=60, size=20_000_000, tries=3, pause=1) == LIMITS


# What is not the file


@pytest.mark.parametrize(
    "answer",
    [
        servers.whole(SHIPS, "text/html; charset=utf-8"),
        servers.whole(b"\xef\xbb\xbf\n <!DOCTYPE html><title>Login</title>", "application/xml"),
        servers.whole(b"<HTML><body>Down for maintenance", "text/plain"),
    ],
)
def test_a_web_page_is_no_list_of_ships(server: Server, answer: servers.Answer) -> None:
    assert complaint(get(server, answer)) == f"{server.host} answered with a web page where due.xml should be. {LATER}"


@pytest.mark.parametrize(
    ("file", "kind"), [("due.xml", "application/json"), ("due.json", "text/xml"), ("due.xml", "image/png")]
)
def test_a_wrong_content_type_is_said(server: Server, file: str, kind: str) -> None:
    server.tell(f"/{file}", servers.whole(SHIPS, kind))
    wanted = file.partition(".")[2].upper()
    said = fetch([server.address(file)], {}, PATIENT).errors[file]
    assert said == f"{server.host} says that {file} is {kind}, not {wanted}. {NEWER}"


@pytest.mark.parametrize("body", [b"", b" \r\n\t"])
def test_nothing_is_no_list_of_ships(server: Server, body: bytes) -> None:
    assert complaint(get(server, servers.whole(body))) == (
        f"{server.host} answered with nothing where due.xml should be. {LATER}"
    )


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -7\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 7, 8\r\n\r\n<ships>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n<ships>",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\n<ships>",
        b"HTTP/1.1 200 OK\r\n" + b"X: " + b"x" * 70_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"X: x\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 99999 WHAT\r\n\r\n",
        b"HTTP/1.1 302 Found\r\nLocation: http://[::1\r\n\r\n",
        b"\x00" * 100,
    ],
)
def test_what_is_hardly_http_is_a_sentence(server: Server, sent: bytes) -> None:
    said = complaint(get(server, servers.raw(sent)))
    assert server.host in said
    assert said.endswith(".")


@given(sent=st.binary(max_size=300), is_after_head=st.booleans())
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_nothing_is_raised(server: Server, sent: bytes, is_after_head: bool) -> None:
    server.tell("/due.xml", servers.raw((b"HTTP/1.1 200 OK\r\n" if is_after_head else b"HTTP/1.1 ") + sent))
    fetched = fetch([server.address("due.xml")], {}, Limits(read=0.5, whole=1, tries=1))
    assert set(fetched.files) ^ set(fetched.errors) == {"due.xml"}


# Several files, of which some fail


def test_one_file_that_fails_leaves_the_others(server: Server) -> None:
    addresses = [server.address(name) for name in ("due.xml", "in.xml", "out.xml")]
    for name in ("due", "out"):
        server.tell(f"/{name}.xml", servers.tagged(SHIPS, f'"{name}"'))
    server.tell("/in.xml", servers.cut(SHIPS, 5))
    fetched = fetch(addresses, {}, PATIENT)
    assert fetched.files == {"due.xml": SHIPS, "out.xml": SHIPS}
    assert fetched.errors == {"in.xml": f"{server.host} broke off before in.xml was whole. {LATER}"}
    assert list(fetched.memory) == ["due.xml", "out.xml"]


def test_files_that_have_not_changed_are_there_beside_one_that_failed(server: Server) -> None:
    addresses = [server.address("due.xml"), server.address("in.xml")]
    server.tell("/due.xml", servers.tagged(SHIPS, '"v1"'))
    first = fetch(addresses, {}, PATIENT)
    second = fetch(addresses, first.memory, PATIENT)
    assert second.files == {"due.xml": SHIPS}
    assert list(second.errors) == ["in.xml"]
    assert not second.is_unchanged


# No way to the server


def test_a_refused_connection_is_said() -> None:
    with socket.socket() as deaf:  # bound, so that nobody else has the port, and not listening
        deaf.bind(("127.0.0.1", 0))
        port = deaf.getsockname()[1]
        fetched = fetch([Address("due.xml", f"http://127.0.0.1:{port}/due.xml")], {}, PATIENT)
    assert complaint(fetched) == f"No connection to 127.0.0.1:{port}: Connection refused. {LATER}"


def test_a_name_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "port.invalid")
    said = complaint(fetch([Address("due.xml", "https://port.invalid/due.xml")], {}, PATIENT))
    assert said == "The name port.invalid is not known here. Look at this machine’s network and DNS."


@pytest.fixture
def certificate(server: Server, tmp_path: Path) -> Path:
    """Of the server, signed by itself; from now on it speaks TLS."""
    if not shutil.which("openssl"):
        pytest.skip("makes certificates with openssl, which is not here")
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    made = [
        "openssl",
        "req",
        "-x509",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-days",
        "1",
        "-keyout",
        key,
        "-out",
        certificate,
    ]
    subprocess.run([*made, *subject], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return certificate


def secure(server: Server) -> Address:
    server.tell("/due.xml", servers.whole(SHIPS))
    return Address("due.xml", f"https://{server.host}/due.xml")


@pytest.mark.usefixtures("certificate")
def test_a_certificate_that_nobody_vouches_for_is_not_trusted(server: Server) -> None:
    assert complaint(fetch([secure(server)], {}, PATIENT)) == (
        f"{server.host} cannot be trusted: self-signed certificate. Look at this machine’s clock and certificates."
    )
    assert server.asked == []


def test_a_certificate_that_the_environment_vouches_for_is_trusted(
    server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert fetch([secure(server)], {}, PATIENT).files == {"due.xml": SHIPS}


@pytest.mark.usefixtures("certificate")
def test_a_drip_under_tls_is_left(server: Server, certificate: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    address = secure(server)
    server.tell("/due.xml", servers.drip(HEAD + b"X: " + b"x" * 5000, 0.05))
    began = time.monotonic()
    assert "within 1.5 s" in complaint(fetch([address], {}, QUICK))
    assert time.monotonic() - began < SOON


def test_a_handshake_that_drips_is_left() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
        Thread(target=_drip_handshake, args=(listening,), daemon=True).start()
        began = time.monotonic()
        said = complaint(fetch([Address("due.xml", f"https://127.0.0.1:{port}/due.xml")], {}, QUICK))
        assert said == f"due.xml did not come whole from 127.0.0.1:{port} within 1.5 s. {LATER}"
        assert time.monotonic() - began < SOON


def _drip_handshake(listening: socket.socket) -> None:
    line, _ = listening.accept()
    with suppress(OSError):  # hung up on, as is right
        _drip_bytes(line)


def _drip_bytes(line: socket.socket) -> None:
    for byte in b"\x16\x03\x03\x40\x00" + bytes(400):
        line.sendall(bytes([byte]))
        time.sleep(0.05)


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://127.0.0.1/due.xml", "nonsense", "http://"])
def test_only_web_addresses_are_asked(url: str) -> None:
    assert complaint(fetch([Address("due.xml", url)], {}, PATIENT)) == f"{url} is no address that can be asked."
