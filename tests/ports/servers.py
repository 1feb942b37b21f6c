"""A real HTTP server on loopback that answers as a test tells it: well, badly, slowly or for ever."""

import gzip
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qsl, urlsplit

from ports.sources import Address


@dataclass(frozen=True)
class Asked:
    """A request as it came."""

    path: str
    params: dict[str, str]
    headers: dict[str, str]
    """By their names in small letters."""
    at: float = field(default_factory=time.monotonic)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers: dict[str, list[Answer]] = {}
        self.asked: list[Asked] = []
        self.has_ended = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.server_port}"

    def tell(self, path: str, *answers: "Answer") -> None:
        """Each request for ``path`` takes the next answer; the last one stays. What was told before is forgotten."""
        self.answers[path] = list(answers)

    def address(self, file: str, **params: str) -> Address:
        return Address(file, f"{self.url}/{file}", params)

    def asked_for(self, file: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == f"/{file}"]

    def next_answer(self, path: str) -> "Answer":
        answers = self.answers.get(path) or [status(404)]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that hangs up is what many a test is about."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(parts.path, dict(parse_qsl(parts.query)), headers))
        self.server.next_answer(parts.path)(self)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the test has it all in ``asked``."""

    def start(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()


Answer = Callable[[_Handler], None]


@contextmanager
def serving() -> Iterator[Server]:
    server = Server()
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
    yield server
    server.has_ended = True
    server.shutdown()
    server.server_close()


def whole(body: bytes, content_type: str = "application/xml", *, code: int = 200, **headers: str) -> Answer:
    """A body as it should be; ``ETag="…"`` and others are sent along (``Retry_After`` as Retry-After)."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    told = {"Content-Type": content_type, "Content-Length": str(len(body)), **named}

    def answer(handler: _Handler) -> None:
        handler.start(code, told)
        handler.wfile.write(body)

    return answer


def status(code: int, body: bytes = b"", **headers: str) -> Answer:
    return whole(body, "text/plain", code=code, **headers)


def tagged(body: bytes, etag: str, content_type: str = "application/xml") -> Answer:
    """304 to who shows the same ETag."""

    def answer(handler: _Handler) -> None:
        is_known = handler.headers.get("If-None-Match") == etag
        (status(304, ETag=etag) if is_known else whole(body, content_type, ETag=etag))(handler)

    return answer


def dated(body: bytes, moment: str) -> Answer:
    """304 to who shows the same Last-Modified."""

    def answer(handler: _Handler) -> None:
        is_known = handler.headers.get("If-Modified-Since") == moment
        (status(304) if is_known else whole(body, Last_Modified=moment))(handler)

    return answer


def zipped(body: bytes, content_type: str = "application/xml") -> Answer:
    """Packed with gzip; 406 to who does not take that, as Digitraffic answers."""

    def answer(handler: _Handler) -> None:
        takes = "gzip" in handler.headers.get("Accept-Encoding", "")
        packed = whole(gzip.compress(body), content_type, Content_Encoding="gzip")
        (packed if takes else status(406, b"Use gzip."))(handler)

    return answer


def bomb(size: int) -> Answer:
    """Zeros that gzip makes a thousandth of."""
    return whole(gzip.compress(bytes(size), 9), Content_Encoding="gzip")


def raw(sent: bytes, *, then: Callable[[socket.socket], object] = lambda line: None) -> Answer:
    """Bytes as they are, headers and all; then the end."""

    def answer(handler: _Handler) -> None:
        handler.connection.sendall(sent)
        then(handler.connection)
        handler.close_connection = True

    return answer


def cut(body: bytes, after: int) -> Answer:
    """Promises the whole body and hangs up ``after`` so many bytes of it."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\nContent-Length: {len(body)}\r\n\r\n"
    return raw(head.encode() + body[:after])


def reset(sent: bytes = b"") -> Answer:
    """Tears the connection down as a crashed server does."""

    def tear(line: socket.socket) -> None:
        line.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        line.close()

    return raw(sent, then=tear)


def drip(sent: bytes, pause: float) -> Answer:
    """One byte after each pause, from the first of the headers on."""

    def answer(handler: _Handler) -> None:
        for byte in sent:
            if handler.server.has_ended:
                return
            handler.connection.sendall(bytes([byte]))
            time.sleep(pause)

    return answer


def endless(head: bytes = b"HTTP/1.1 200 OK\r\nContent-Type: application/xml\r\n\r\n<ships>") -> Answer:
    """A body that never ends, as fast as it can be taken."""

    def answer(handler: _Handler) -> None:
        handler.connection.sendall(head)
        while not handler.server.has_ended:
            handler.connection.sendall(b"<ship/>" * 10_000)

    return answer


def silence(seconds: float) -> Answer:
    """Takes the request and says nothing."""

    def answer(handler: _Handler) -> None:
        time.sleep(seconds)
        handler.close_connection = True

    return answer
