#!/usr/bin/env python3
"""How fast the API switches: a PUT by token, durable, with its Events, confirmed by the pin's read-back.

    python -m bench.api [--rounds 400] [--seconds 10]

A real site: web and controller in processes of their own, a simulated board, 16 relays. One client first, which waits
for the pin, then one which does not ("wait": 0), then 16 at once. The floors of the same run: the same switches through
the plainest code that Django allows (bench/plain), GET /healthz through the same server, one durable commit, and a
fixed piece of Python (20 to 25 ms where this was first measured).
"""

import argparse
import json
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

from bench.plain.controller import TOKEN
from bench.timing import commits, cpu, show
from tests.site import Site, add_relays, free_port, make_site, migrated_database, wait_for

CLIENTS = 16

Ask = Callable[["Client", int, int], tuple[float, int]]


class Client:
    """One kept connection, and no more work than it takes: the load shares the machine with what it measures."""

    def __init__(self, port: int, token: str) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=30)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.head = (
            f"HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {token}\r\nContent-Type: application/json\r\n"
        )

    def ask(self, method: str, path: str, body: str = "") -> tuple[int, bytes]:
        request = f"{method} {path} {self.head}Content-Length: {len(body)}\r\n\r\n{body}"
        self.socket.sendall(request.encode())
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += self._more()
        head, _, content = answer.partition(b"\r\n\r\n")
        length = int(head.lower().partition(b"content-length: ")[2].split(b"\r\n")[0])
        while len(content) < length:
            content += self._more()
        return int(head[9:12]), content

    def _more(self) -> bytes:
        if not (more := self.socket.recv(65536)):
            raise ConnectionError("the server closed the connection")
        return more

    def switch(self, relay: int, on: bool, **more: float) -> tuple[float, int]:
        """How long it took, and the status."""
        body = json.dumps({"on": on, **more})
        began = time.perf_counter()
        status, content = self.ask("PUT", f"/api/relays/relay-{relay}", body)
        took = time.perf_counter() - began
        if status == 200:
            answer = json.loads(content)
            assert answer["actual"] is on, answer
        return took, status


def python_floor(rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        sum(number * number for number in range(400_000))
        found.append(time.perf_counter() - began)
    return found


def one_client(client: Client, rounds: int) -> list[float]:
    found = []
    for number in range(rounds):
        took, status = client.switch(number // 2 % CLIENTS, number % 2 == 0)
        assert status == 200, status
        found.append(took)
    return found


def without_waiting(client: Client, rounds: int) -> list[float]:
    """Each on is followed by an off that waits, so that no backlog of the controller is measured."""
    found = []
    for number in range(rounds):
        took, status = client.switch(number % CLIENTS, True, wait=0)
        assert status in (200, 202), status
        found.append(took)
        client.switch(number % CLIENTS, False)
    return found


def many_clients(name: str, clients: list[Client], seconds: float, ask: Ask) -> float:
    """How many answers a second all get at once, each asking again and again.

    ``ask`` gets the client, its number and the round.
    """
    took: list[float] = []
    statuses: Counter[int] = Counter()
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        rounds = 0
        while time.perf_counter() < end:
            duration, status = ask(clients[number], number, rounds)
            took.append(duration)
            statuses[status] += 1
            rounds += 1

    began = time.perf_counter()
    threads = [threading.Thread(target=work, args=(number,)) for number in range(len(clients))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    a_second = len(took) / (time.perf_counter() - began)
    show(f"{name}, {len(clients)} clients", took)
    print(f"{'':44} {a_second:.0f} a second; answers: {dict(statuses)}")
    return a_second


def own_relay(client: Client, number: int, rounds: int) -> tuple[float, int]:
    return client.switch(number, rounds % 2 == 0)


def healthz(client: Client, *_: int) -> tuple[float, int]:
    began = time.perf_counter()
    status, _content = client.ask("GET", "/healthz")
    return time.perf_counter() - began, status


def make(folder: Path) -> tuple[Site, int, str]:
    """A site at work, the port of its web and a token that may switch."""
    site = make_site(folder / "site", migrated_database(folder / "template"))
    add_relays(site, *(f"Relay {number}" for number in range(8)))
    code = (
        "from relays.models import Board, Relay; board = Board.objects.get()\n"
        "Board.objects.update(ons_per_second=1000)\n"
        "for n in range(8, 16): Relay.objects.create(name=f'Relay {n}', slug=f'relay-{n}', board=board,"
        " line=f'GPIO{n - 4}', polarity='active-low')"
    )
    assert site.manage("shell", "-c", code).returncode == 0
    site.add_user()
    token = site.manage("create_token", "bench", "--name", "bench", "--scope", "switch").stdout.strip()
    site.start_controller()
    _, address = site.start_web()
    return site, int(address.rpartition(":")[2]), token


def make_plain(folder: Path) -> tuple[Site, int, str]:
    """The same of the plainest."""
    site, port = Site(folder / "plain"), free_port()
    site.data_dir.mkdir(parents=True)
    site.start(sys.executable, "-m", "bench.plain.controller")
    wait_for((site.run_dir / "controller").exists)
    server = ("-m", "uvicorn", "bench.plain.web:application", "--port", str(port))
    site.start(sys.executable, *server, "--lifespan", "off", "--no-access-log", "--log-level", "warning")
    wait_for(lambda: answers(port))
    return site, port, TOKEN


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def measure(name: str, site: Site, port: int, token: str, options: argparse.Namespace) -> list[float]:
    """Show what switches take; the medians of one client that waits and one that does not, and how many a second."""
    client = Client(port, token)
    one_client(client, 50)
    before = [cpu(process.pid) for process in site.processes]
    waits = one_client(client, options.rounds)
    used = [(cpu(process.pid) - was) / options.rounds for process, was in zip(site.processes, before, strict=True)]
    show(f"{name}, confirmed", waits)
    print(f"{'of it CPU: controller, web':44} {used[0] * 1e3:.2f} + {used[1] * 1e3:.2f} ms a command")
    waits_not = without_waiting(client, options.rounds)
    show(f'{name}, "wait": 0', waits_not)
    time.sleep(1)
    clients = [Client(port, token) for _ in range(CLIENTS)]
    return [median(waits), median(waits_not), many_clients(f"{name}, confirmed", clients, options.seconds, own_relay)]


def main() -> None:
    parser = argparse.ArgumentParser(description="How fast the API switches.")
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--seconds", type=float, default=10)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        site, port, token = make(Path(name))
        plain = make_plain(Path(name))
        try:
            client = Client(port, token)
            show("floor: a fixed piece of Python", python_floor(20))
            show("floor: one durable commit", commits(Path(name), options.rounds))
            show("floor: GET /healthz", [healthz(client)[0] for _ in range(options.rounds)])
            clients = [Client(port, token) for _ in range(CLIENTS)]
            many_clients("floor: GET /healthz", clients, options.seconds / 2, healthz)
            floors = measure("floor: the plainest PUT", *plain, options)
            found = measure("PUT", site, port, token, options)
            one, not_waiting, many = (figure / floor for figure, floor in zip(found, floors, strict=True))
            print(f"{'times its floor':44} {one:.2f} and without waiting {not_waiting:.2f}; {many:.2f} times as many")
        finally:
            site.end()
            plain[0].end()


if __name__ == "__main__":
    main()
