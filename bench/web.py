#!/usr/bin/env python3
"""What the site costs at rest and under strain: memory, CPU, disk, streams, half-open connections, a large house.

    python -m bench.web [--rest 20]

A real site in processes of its own, a simulated board with 200 relays. Floors of the same run: an idle Python's
memory, GET /healthz unstrained, and how long this machine takes over a fixed piece of Python.
"""

import argparse
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import requests

from bench.api import Client, python_floor
from bench.timing import cpu, memory, show
from tests.site import ROOT, Site, free_port, make_site, migrated_database, sign_in, wait_for

RELAYS = 200
SERVED = f"relay-{RELAYS}"
"""The one relay whose board has a controller."""
STREAMS = 100
HALF_OPEN = 400
WAITING = 100

FILL = f"""
from relays.models import Board, Relay, Room
rooms = [Room.objects.create(name=f"Room {{n}}", position=n) for n in range(12)]
for b in range({RELAYS} // 25):
    board = Board.objects.create(name=f"Board {{b}}", driver="simulated")
    for n in range(25):
        number = b * 25 + n
        Relay.objects.create(name=f"Relay {{number}}", slug=f"relay-{{number}}", board=board, line=f"GPIO{{n}}",
            polarity="active-low", room=rooms[number % 12], kind="lamp", actual=False)
Relay.objects.create(name="Spare", slug="relay-{RELAYS}", board=Board.objects.create(name="Last", driver="simulated"),
    line="GPIO4", polarity="active-low")
"""


def written(pid: int) -> int:
    """Bytes a process has had written to disk."""
    return int(Path(f"/proc/{pid}/io").read_text().split("write_bytes: ")[1].split()[0])


def timed(act: Callable[[], object], rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        act()
        found.append(time.perf_counter() - began)
    return found


@contextmanager
def streams(port: int, token: str, count: int) -> Iterator[list[socket.socket]]:
    """Open streams of programs, each read until it was told everything."""
    opened = []
    for _ in range(count):
        stream = socket.create_connection(("127.0.0.1", port), timeout=30)
        stream.sendall(f"GET /api/stream HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
        opened.append(stream)
    for stream in opened:
        told = b""
        while b"event: stop" not in told:
            told += stream.recv(65536)
    yield opened
    for stream in opened:
        stream.close()


def at_rest(pids: list[int], seconds: float) -> tuple[float, int]:
    """The share of a core that processes use, and what they write to disk."""
    before = [(cpu(pid), written(pid)) for pid in pids]
    time.sleep(seconds)
    after = [(cpu(pid), written(pid)) for pid in pids]
    used = sum(a[0] - b[0] for a, b in zip(after, before, strict=True))
    return used / seconds, sum(a[1] - b[1] for a, b in zip(after, before, strict=True))


def measure_rest(web: int, controller: int, port: int, token: str, seconds: float) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as idle:
        time.sleep(0.5)
        print(f"{'floor: an idle Python':44} {memory(idle.pid):.1f} MB PSS")
        idle.kill()
    alone = memory(web)
    print(
        f"{'web + one controller':44} {alone:.1f} + {memory(controller):.1f} = {alone + memory(controller):.1f} MB PSS"
    )
    share, bytes_ = at_rest([web, controller], seconds)
    print(f"{'at rest':44} {share * 100:.2f} % of a core, {bytes_} bytes written in {seconds:.0f} s")
    with streams(port, token, STREAMS):
        more = memory(web) - alone
        share, bytes_ = at_rest([web, controller], seconds)
        print(f"{f'with {STREAMS} streams':44} {more:+.1f} MB, {share * 100:.2f} % of a core, {bytes_} bytes written")


def measure_news(site: Site, port: int, token: str, rounds: int) -> None:
    """From the commit of a change to its message on a stream."""
    found = []
    with streams(port, token, 1) as [stream], site.database() as database:
        for number in range(rounds):
            time.sleep(0.05 + number % 7 / 100)
            database.execute("UPDATE relays_relay SET fault = ? WHERE slug = ?", (f"fault {number}", SERVED))
            began, told = time.perf_counter(), b""
            while f"fault {number}".encode() not in told:
                told += stream.recv(65536)
            found.append(time.perf_counter() - began)
        database.execute("UPDATE relays_relay SET fault = '' WHERE slug = ?", (SERVED,))
    show(f"from commit to stream, {RELAYS} relays", found)


def measure_home(address: str) -> None:
    browser = sign_in(address)
    pages = timed(lambda: browser.get(address, timeout=10).raise_for_status(), 30)
    show(f"home with {RELAYS} relays, as a browser sees it", pages)
    home = browser.get(address, timeout=10)
    files = sorted(set(re.findall(r'(?:src|href)="(/[^"]+\.(?:css|js|svg|webmanifest|png))"', home.text)))
    sizes = {name: len(browser.get(address + name, stream=True, timeout=10).raw.read()) for name in files}
    page = len(browser.get(address, stream=True, timeout=10).raw.read())
    print(f"{'first load, compressed':44} {(page + sum(sizes.values())) / 1024:.1f} KB: page {page}, {sizes}")


def measure_metrics(port: int, token: str) -> None:
    client = Client(port, token)
    show("floor: GET /healthz", timed(lambda: client.ask("GET", "/healthz"), 50))
    show(f"GET /metrics with {RELAYS} relays", timed(lambda: client.ask("GET", "/metrics"), 50))


def measure_half_open(port: int) -> None:
    client = Client(port, "none")
    show("floor: GET /healthz, unstrained", timed(lambda: client.ask("GET", "/healthz"), 50))
    began = time.perf_counter()
    open_ = [socket.create_connection(("127.0.0.1", port)) for _ in range(HALF_OPEN)]
    for number, connection in enumerate(open_):
        connection.sendall(b"GET / HTTP/1.1\r\nHost: loc"[: number % 26])
    show(f"GET /healthz beside {HALF_OPEN} half-open", timed(lambda: client.ask("GET", "/healthz"), 50))
    for connection in open_:
        connection.settimeout(30)
        try:
            connection.recv(1)
        except ConnectionResetError:
            pass
    print(f"{'all of them closed after':44} {time.perf_counter() - began:.1f} s")


def measure_waiting(site: Site, controller: subprocess.Popen[bytes], port: int, token: str) -> None:
    """Requests that wait for a stopped controller, and what others feel of them."""
    site.freeze(controller)
    began, answered, statuses = time.perf_counter(), [], []

    def put() -> None:
        statuses.append(Client(port, token).switch(RELAYS, False)[1])
        answered.append(time.perf_counter() - began)

    waiting = [threading.Thread(target=put) for _ in range(WAITING)]
    for thread in waiting:
        thread.start()
    time.sleep(0.8)
    other = Client(port, token)
    show(f"GET /api/stop beside {WAITING} waiting PUTs", timed(lambda: other.ask("GET", "/api/stop"), 10))
    for thread in waiting:
        thread.join()
    at_once = sum(seconds < 1.5 for seconds in answered)
    print(f"{'PUTs answered without waiting':44} {at_once} of {WAITING}: {sorted(set(statuses))}")
    controller.send_signal(signal.SIGCONT)


def measure_return(site: Site, port: int, token: str) -> None:
    """From the start of a controller after a kill -9 to a switch that it carried out."""
    client, found = Client(port, token), []
    for _ in range(5):
        site.processes[-1].kill()
        site.processes[-1].wait()
        began = time.perf_counter()
        site.start(sys.executable, "manage.py", "run_relays", "--board", "Last")
        while client.switch(RELAYS, False)[1] != 200:
            time.sleep(0.01)
        found.append(time.perf_counter() - began)
    show("a killed controller, back and applying after", found)


def measure_second_start(folder: Path) -> None:
    """script/server, the second time, to the first page."""
    env = os.environ | {"DATA_DIR": str(folder / "second"), "RUN_DIR": ""}
    found = []
    for _ in range(4):
        port = free_port()
        began = time.perf_counter()
        command = [str(ROOT / "script" / "server"), "--port", str(port)]
        server = subprocess.Popen(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_for(partial(_answers, port), 60, "the sign-in page")
        found.append(time.perf_counter() - began)
        server.terminate()
        server.wait()
    show("script/server to the first page, again", found[1:])


def _answers(port: int) -> bool:
    try:
        return requests.get(f"http://127.0.0.1:{port}/", timeout=5).status_code == 200
    except requests.RequestException:
        return False


def main() -> None:
    parser = argparse.ArgumentParser(description="What the site costs at rest and under strain.")
    parser.add_argument("--rest", type=float, default=20, help="seconds at rest")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        site = make_site(Path(name) / "site", migrated_database(Path(name) / "template"))
        done = site.manage("shell", "-c", FILL)
        assert done.returncode == 0, done.stderr
        site.add_user()
        token = site.manage("create_token", "bench", "--name", "bench", "--scope", "switch").stdout.strip()
        try:
            web, address = site.start_web()
            port = int(address.rpartition(":")[2])
            controller = site.start_controller("--board", "Last", board=RELAYS // 25 + 1)
            show("floor: a fixed piece of Python", python_floor(20))
            Client(port, token).ask("GET", "/api/relays")
            measure_rest(web.pid, controller.pid, port, token, options.rest)
            measure_news(site, port, token, 30)
            measure_home(address)
            measure_metrics(port, token)
            measure_half_open(port)
            measure_waiting(site, controller, port, token)
            measure_return(site, port, token)
            measure_second_start(Path(name))
        finally:
            site.end()
        print(json.dumps({"processors": os.cpu_count(), "load": os.getloadavg()[0]}))


if __name__ == "__main__":
    main()
