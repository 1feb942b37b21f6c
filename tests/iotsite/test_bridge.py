"""The bridge hands requests to Django as they came, whole or not at all."""

import asyncio
import threading
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.test import override_settings
from django.urls import path, reverse

from iotsite.bridge import AFTERWARDS, OPENED_AT_A_TIME, STREAM, STREAMS, Bridge
from iotsite.urls import handler500  # noqa: F401  # for this ROOT_URLCONF
from iotsite.wsgi import application


@login_not_required
def broken(request: HttpRequest) -> HttpResponse:
    raise RuntimeError


@login_not_required
def fine(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.method)


urlpatterns = [path("broken", broken), path("api/broken", broken), path("fine", fine)]

LONGEST = 1000
Message = dict[str, Any]
Environ = dict[str, Any]


class Site:
    """Stands for Django: keeps what it was asked and says what it was told to say."""

    def __init__(self) -> None:
        self.asked: list[Environ] = []
        self.bodies: list[bytes] = []
        self.threads: set[str] = set()
        self.headers = [("Content-Type", "text/plain"), ("Content-Length", "2")]
        self.closed = 0
        self.on_request: Callable[[Environ], None] = lambda environ: None

    def __call__(self, environ: Environ, start: Callable[..., Any]) -> "Site":
        self.asked.append(environ)
        self.bodies.append(environ["wsgi.input"].read())
        self.threads.add(threading.current_thread().name)
        self.on_request(environ)
        start("200 OK", self.headers)
        return self

    def __iter__(self) -> Any:
        return iter([b"o", b"k"])

    def close(self) -> None:
        self.closed += 1


def scope(path: bytes = b"/", headers: Iterable[tuple[bytes, bytes]] = (), **more: Any) -> Message:
    said = {"type": "http", "method": "POST", "raw_path": path, "query_string": b"", "scheme": "http"}
    return said | {"server": ("127.0.0.1", 8000), "client": ("127.0.0.9", 1234), "headers": list(headers)} | more


def part(body: bytes, more: bool = False) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


LEFT = {"type": "http.disconnect"}


def ask(site: Any, asked: Message, *parts: Message, body_within: float = 5.0) -> list[Message]:
    """What a bridge before ``site`` sends when ``parts`` come; after them nothing does."""

    async def talk() -> list[Message]:
        bridge = Bridge(site, threads=2, longest_body=LONGEST, body_within=body_within)
        coming, sent = iter(parts), []

        async def receive() -> Message:
            if (message := next(coming, None)) is None:
                await asyncio.sleep(60)
            assert message
            return message

        async def send(message: Message) -> None:
            sent.append(message)

        await bridge(asked, receive, send)
        bridge.pool.shutdown()
        return sent

    return asyncio.run(talk())


@pytest.fixture
def site() -> Site:
    return Site()


# --- bodies -------------------------------------------------------------------------------------------------


def test_a_body_in_parts_arrives_whole(site: Site) -> None:
    [start, body] = ask(site, scope(), part(b"a=1", more=True), part(b"", more=True), part(b"&b=2"))
    assert site.bodies == [b"a=1&b=2"]
    assert site.asked[0]["CONTENT_LENGTH"] == "7"
    assert (start["status"], body["body"], site.closed) == (200, b"ok", 1)
    assert start["headers"] == [(b"content-type", b"text/plain"), (b"content-length", b"2")]


def test_its_length_is_what_came_whatever_was_said(site: Site) -> None:
    """A chunked body says none; Django would read nothing then."""
    ask(site, scope(headers=[(b"transfer-encoding", b"chunked")]), part(b"abc"))
    ask(site, scope(headers=[(b"content-length", b"3")]), part(b"abc"))
    assert [environ["CONTENT_LENGTH"] for environ in site.asked] == ["3", "3"]


def test_of_a_long_body_one_byte_more_than_may_be_is_kept(site: Site) -> None:
    parts = [part(b"x" * 600, more=True) for _ in range(1000)]
    ask(site, scope(), *parts, part(b"x"))
    assert site.bodies == [b"x" * (LONGEST + 1)]
    ask(site, scope(), part(b"x" * LONGEST))
    assert site.bodies[1] == b"x" * LONGEST


@pytest.mark.parametrize("parts", [[LEFT], [part(b"on=", more=True), LEFT], [part(b"x" * 5000, more=True), LEFT]])
def test_of_a_body_that_is_cut_off_nothing_is_done(site: Site, parts: list[Message]) -> None:
    """“on=off” cut off after “on=o” is another wish."""
    assert ask(site, scope(), *parts) == []
    assert site.asked == []


@pytest.mark.parametrize("parts", [[], [part(b"on=", more=True)], [part(b"x" * 5000, more=True)]])
def test_a_body_that_does_not_come_is_given_up(site: Site, parts: list[Message]) -> None:
    [start, _] = ask(site, scope(), *parts, body_within=0.05)
    assert (start["status"], start["headers"]) == (408, [(b"connection", b"close")])
    assert site.asked == []


# --- heads --------------------------------------------------------------------------------------------------


def environ(site: Site, asked: Message) -> Environ:
    ask(site, asked, part(b""))
    return site.asked[-1]


def test_a_request_in_wsgi_s_words(site: Site) -> None:
    headers = [(b"host", b"pi.local:8000"), (b"content-type", b"text/plain"), (b"accept", b"a/b"), (b"x-odd", b"\xe9")]
    made = environ(site, scope(b"/relays/pump/", headers, query_string=b"a=1&b=%20", method="PUT"))
    assert (
        made.items()
        >= {
            "REQUEST_METHOD": "PUT",
            "SCRIPT_NAME": "",
            "PATH_INFO": "/relays/pump/",
            "QUERY_STRING": "a=1&b=%20",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "REMOTE_ADDR": "127.0.0.9",
            "HTTP_HOST": "pi.local:8000",
            "CONTENT_TYPE": "text/plain",
            "HTTP_ACCEPT": "a/b",
            "HTTP_X_ODD": "é",
            "wsgi.url_scheme": "http",
        }.items()
    )
    assert "HTTP_CONTENT_TYPE" not in made


def test_a_name_with_an_underscore_cannot_pass_for_another(site: Site) -> None:
    headers = [(b"x_forwarded_proto", b"https"), (b"content_length", b"9"), (b"x-forwarded-proto", b"http")]
    made = environ(site, scope(headers=headers))
    assert made["HTTP_X_FORWARDED_PROTO"] == "http"
    assert made["CONTENT_LENGTH"] == "0"


def test_no_header_can_set_what_the_bridge_says(site: Site) -> None:
    names = [b"remote-addr", b"wsgi.input", b"iotsite.stream", b"path-info", b"request-method", b"script-name"]
    made = environ(site, scope(headers=[(name, b"forged") for name in names]))
    assert [name for name, value in made.items() if value == "forged" and not name.startswith("HTTP_")] == []
    assert (STREAM in made, AFTERWARDS in made) == (False, False)


def test_headers_that_come_twice_are_joined(site: Site) -> None:
    headers = [(b"accept", b"a/b"), (b"accept", b"c/d"), (b"cookie", b"a=1"), (b"cookie", b"b=2")]
    made = environ(site, scope(headers=headers))
    assert (made["HTTP_ACCEPT"], made["HTTP_COOKIE"]) == ("a/b,c/d", "a=1; b=2")


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b"/a%20b", b"/a b"),
        (b"/%ff", b"/\xff"),
        (b"/%C3%A4", b"/\xc3\xa4"),
        (b"/a%2fb", b"/a/b"),
        (b"/%00", b"/\x00"),
        (b"/100%", b"/100%"),
        (b"/%zz", b"/%zz"),
        (b"//x//", b"//x//"),
    ],
)
def test_a_path_is_the_bytes_that_were_meant(site: Site, raw: bytes, path: bytes) -> None:
    assert environ(site, scope(raw))["PATH_INFO"].encode("latin1") == path


def test_a_client_without_an_address(site: Site) -> None:
    assert environ(site, scope(client=None))["REMOTE_ADDR"] == ""


# --- answers ------------------------------------------------------------------------------------------------


class Greeting:
    """A stream that greets."""

    def take(self, answer: Any) -> None:
        answer.close()

    async def serve(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": b"hello", "more_body": True})
        await send({"type": "http.response.body", "body": b""})


def test_a_stream_has_no_length_and_its_body_comes_from_the_event_loop(site: Site) -> None:
    site.on_request = lambda environ: environ.update({STREAM: Greeting()})
    start, *bodies = ask(site, scope(), part(b""))
    assert start["headers"] == [(b"content-type", b"text/plain")]
    assert [body["body"] for body in bodies] == [b"hello", b""]


def test_what_comes_afterwards_delays_nothing(site: Site) -> None:
    done, sent_before = threading.Event(), []

    def afterwards() -> None:
        assert go_on.wait(5)
        done.set()

    async def talk() -> None:
        bridge = Bridge(site, threads=1, longest_body=LONGEST, body_within=5)

        async def receive() -> Message:
            return part(b"")

        async def send(message: Message) -> None:
            sent_before.append(done.is_set())

        await bridge(scope(), receive, send)
        go_on.set()
        bridge.pool.shutdown()

    go_on = threading.Event()
    site.on_request = lambda environ: environ.update({AFTERWARDS: afterwards})
    asyncio.run(talk())
    assert done.is_set()
    assert sent_before == [False, False]


def test_threads_live_on(site: Site) -> None:
    """Each keeps its connection to the database: one that ends would take it along."""

    async def talk() -> None:
        bridge = Bridge(site, threads=2, longest_body=LONGEST, body_within=5)

        async def receive() -> Message:
            return part(b"")

        async def send(message: Message) -> None:
            pass

        for _ in range(5):
            await asyncio.gather(*(bridge(scope(), receive, send) for _ in range(20)))
        bridge.pool.shutdown()

    asyncio.run(talk())
    assert len(site.bodies) == 100
    assert site.threads <= {"request_0", "request_1"}


def test_streams_are_opened_by_few_threads_and_delay_nobody_else(site: Site) -> None:
    go_on, opening = threading.Event(), threading.Semaphore(OPENED_AT_A_TIME)

    def on_request(environ: Environ) -> None:
        if environ["PATH_INFO"] != "/stop":
            assert opening.acquire(blocking=False), "one more than there may be"
            assert go_on.wait(10)
            opening.release()

    async def talk() -> None:
        bridge = Bridge(site, threads=20, longest_body=LONGEST, body_within=5)

        async def receive() -> Message:
            return part(b"")

        async def send(message: Message) -> None:
            pass

        streams = asyncio.gather(*(bridge(scope(path), receive, send) for path in STREAMS * 10))
        await asyncio.sleep(0)
        await bridge(scope(b"/stop"), receive, send)
        go_on.set()
        await streams
        bridge.pool.shutdown()

    site.on_request = on_request
    asyncio.run(talk())
    assert len(site.bodies) == 21


def test_the_streams_have_the_addresses_that_the_bridge_knows() -> None:
    assert {*STREAMS} == {reverse("live").encode(), reverse("api:stream").encode()}


@override_settings(ROOT_URLCONF=__name__)
@pytest.mark.parametrize("address", [b"/broken", b"/api/broken"])
def test_a_view_that_breaks_is_answered_and_the_next_request_too(address: bytes) -> None:
    for asked, status in ((address, 500), (b"/fine", 200), (address, 500), (b"/fine", 200)):
        start, body = ask(application, scope(asked, [(b"host", b"localhost")], method="GET"), part(b""))
        assert start["status"] == status
        assert (b"GET" if status == 200 else b"went wrong") in body["body"]
