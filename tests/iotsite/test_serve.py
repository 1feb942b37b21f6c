"""The web server, as a process of its own: what it does with those who do not say what they want."""

import re
import resource
import selectors
import signal
import socket
import statistics
import threading
import time
from pathlib import Path
from subprocess import Popen

import pytest
import requests

from relays.wakeup import WAITERS
from tests.site import Site, add_relays, sign_in, wait_for

CONTRACT = 15.0
"""Seconds after which a connection that says nothing is closed."""
HEAD = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
POST = b"POST /account/sign-in/ HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\nuser"


@pytest.fixture
def web(site: Site) -> tuple["Popen[bytes]", str]:
    return site.start_web()


def connect(address: str, said: bytes = b"") -> socket.socket:
    made = socket.create_connection(("127.0.0.1", int(address.rsplit(":", 1)[1])), timeout=30)
    made.sendall(said)
    return made


def healthz(address: str) -> float:
    """How long (seconds) it takes, with a connection of its own."""
    begun = time.monotonic()
    assert requests.get(f"{address}/healthz", timeout=10).status_code == 200
    return time.monotonic() - begun


def drip(connections: list[socket.socket], until: threading.Event) -> None:
    """Say a head byte by byte, and never come to its end."""
    while not until.wait(0.5):
        for connection in connections:
            try:
                connection.sendall(b"x")
            except OSError:
                pass


def closed_after(connections: list[socket.socket], begun: float) -> list[float]:
    """When each was closed by the other side, in seconds since ``begun``."""
    closed = []
    with selectors.DefaultSelector() as selector:
        for connection in connections:
            selector.register(connection, selectors.EVENT_READ)
        while selector.get_map() and time.monotonic() - begun < CONTRACT + 15:
            for key, _ in selector.select(1):
                try:
                    is_open = bool(key.fileobj.recv(65536))  # type: ignore[union-attr]
                except OSError:
                    is_open = False
                if not is_open:
                    selector.unregister(key.fileobj)
                    closed.append(time.monotonic() - begun)
    return closed


@pytest.mark.slow
def test_400_half_open_connections_delay_nobody_and_are_closed(
    web: tuple["Popen[bytes]", str], capsys: pytest.CaptureFixture[str]
) -> None:
    _, address = web
    usual = statistics.median(healthz(address) for _ in range(20))
    begun, is_over = time.monotonic(), threading.Event()
    silent = [connect(address) for _ in range(100)]
    stuck = [connect(address, HEAD) for _ in range(100)]
    slow = [connect(address, HEAD + b"X-Slow: ") for _ in range(100)]
    bodiless = [connect(address, POST) for _ in range(100)]
    idle = [connect(address, HEAD + b"\r\n") for _ in range(20)]
    teasing = [connect(address, HEAD + b"\r\n") for _ in range(20)]
    for connection in teasing:
        assert connection.recv(65536).startswith(b"HTTP/1.1 200")
        connection.sendall(b"\r\n")  # begins nothing, and is no silence either
    dripper = threading.Thread(target=drip, args=[slow, is_over])
    dripper.start()
    meanwhile = [healthz(address) for _ in range(20)]
    everybody = [*silent, *stuck, *slow, *bodiless, *idle, *teasing]
    closed = closed_after(everybody, begun)
    is_over.set()
    dripper.join()
    with capsys.disabled():
        print(
            f"\nhealthz: {usual * 1000:.1f} ms, among 400 half-open ones {statistics.median(meanwhile) * 1000:.1f} ms"
        )
        print(f"the last is closed after {max(closed):.1f} s")
    assert statistics.median(meanwhile) < 10 * usual
    assert len(closed) == len(everybody)
    assert max(closed) < CONTRACT
    assert healthz(address) < 10


def write_a_book(connection: socket.socket) -> None:
    for number in range(20_000):  # the kernel takes some MB for a server that stands still
        connection.sendall(b"X-%d: " % number + b"x" * 1000 + b"\r\n")
        time.sleep(0.001)


def test_a_head_that_is_a_book_is_cut_off(web: tuple["Popen[bytes]", str]) -> None:
    _, address = web
    connection = connect(address, HEAD)
    with pytest.raises(OSError, match=r"reset|[Bb]roken"):
        write_a_book(connection)
    with connect(address, HEAD + b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(50)) + b"\r\n") as other:
        assert other.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "said",
    [
        b"GET http://localhost HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"GET /\x00 HTTP/1.1\r\nHost: localhost\r\n\r\n",
        b"GET /live HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
def test_nonsense_is_answered_and_the_next_one_too(web: tuple["Popen[bytes]", str], said: bytes) -> None:
    process, address = web
    with connect(address, said) as connection:
        answer = connection.recv(65536)
        assert re.match(rb"HTTP/1.1 (400|404|302|405)", answer), answer
    assert healthz(address) < 10
    assert process.poll() is None


def open_databases(process: "Popen[bytes]") -> set[str]:
    """The file descriptors of the database's file."""
    found = set()
    for entry in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if str(entry.readlink()).endswith("db.sqlite3"):
                found.add(entry.name)
        except FileNotFoundError:
            pass
    return found


def test_the_connections_to_the_database_are_kept(web: tuple["Popen[bytes]", str]) -> None:
    process, address = web
    for _ in range(50):
        requests.get(f"{address}/readyz", timeout=10)
    before = open_databases(process)
    for _ in range(100):
        requests.get(f"{address}/readyz", timeout=10)
    after = open_databases(process)
    assert before
    assert before <= after, "a thread that is new opens one, and none closes one"
    assert len(after) <= WAITERS + 20


def test_it_may_open_as_many_files_as_it_is_allowed(web: tuple["Popen[bytes]", str]) -> None:
    process, _ = web
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_NOFILE)
    assert soft == hard


def test_a_stop_does_not_wait_for_streams(site: Site, web: tuple["Popen[bytes]", str]) -> None:
    add_relays(site, "Lamp")
    site.add_user()
    token = site.manage("create_token", "bench", "--name", "t", "--scope", "read").stdout.strip()
    process, address = web
    browser, program = sign_in(address), {"Authorization": f"Bearer {token}"}
    streams = [browser.get(f"{address}/live", stream=True, timeout=30) for _ in range(3)]
    streams += [requests.get(f"{address}/api/stream", headers=program, stream=True, timeout=30) for _ in range(20)]
    told = [stream.iter_lines(chunk_size=1) for stream in streams]
    assert {next(lines) for lines in told} == {b"retry: 1000"}
    process.send_signal(signal.SIGTERM)
    wait_for(lambda: process.poll() is not None)
    assert "timeout graceful shutdown exceeded" not in site.log(), "uvicorn's own patience with them"
    for lines in told:
        list(lines)  # each comes to its proper end, which would be an error of requests' otherwise
