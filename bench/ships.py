#!/usr/bin/env python3
"""What a refresh costs, and whom it holds up: parse, first load, nothing new, 2 % changed, beside a million, kills.

    python -m bench.ships [--calls 10000] [--stored 1000000] [--kills 200]

Floors of the same run: the same number of rows written in one go and compared with what is stored, by the plainest
code that Django allows; 50 rows of 8 cells rendered; a small write without anything beside it; an idle memory.
"""

import argparse
import gc
import json
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any

import django

from bench.timing import memory, show
from tests.site import ROOT, Site, add_relays, make_site, migrated_database

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotsite.settings")
PORT = "XXAAA"
ROUNDS = 5


# --- inside the site's process ------------------------------------------------------------------------------


def reports(count: int, moved: int = 0, seed: int = 0) -> bytes:
    """So many calls as a source tells them; the ETAs of the first ``moved`` differ with ``seed``."""
    from ports.snapshot import CallReport, Ship, Status, StayReport, VesselType
    from tests.ports.told import hour, told

    made = []
    for number in range(count):
        late = seed if number < moved else 0
        eta = hour(number % 500 + late / 60)
        ship = Ship(f"SHIP {number}", call_sign=f"C{number:06}", flag="PA", type=VesselType.BULK, source_type="BULK")
        made.append(
            CallReport(
                *(PORT, ship, Status.EXPECTED if number % 3 else Status.IN_PORT),
                eta=eta,
                ata=None if number % 3 else hour(-number % 90),
                agent=f"Agent {number % 40}",
                previous_port="SINGAPORE",
                stays=(StayReport(f"Berth {number % 80}"),),
            )
        )
    return told(made)


class Bench:
    """One port and what it is told, each time an hour later than the last time."""

    def __init__(self, count: int) -> None:
        from ports.models import Port
        from ports.sources import registry
        from tests.ports.told import Teller, Told

        class Parsed(Told):
            """Gives what was parsed before the time began."""

            parsed: Any = None

            def parse(self, files: dict[str, bytes], at: datetime) -> Any:
                return replace(self.parsed, at=at)

        self.source = registry()["told"] = Parsed()
        found = Port.objects.filter(locode=PORT).first()
        self.feed = found.feed if found else Teller.make().feed
        self.port = found or self.feed.ports.get(locode=PORT)
        last = self.feed.last_good()
        self.at = last.as_of if last else hour_zero()
        self.count = count
        gc.freeze()  # as refresh_ships does

    def play(self, content: bytes) -> float:
        """Seconds that it takes to take over ``content``, beside the parse."""
        from ports.refresh import replay

        self.at += timedelta(hours=1)
        self.port.refresh_from_db()
        self.source.parsed = pickle.loads(content)
        began = time.perf_counter()
        result = replay(self.feed, {"told": b""}, self.at, ports=[self.port])
        assert result.is_whole, result.error
        return time.perf_counter() - began

    def change(self, moved: int) -> list[float]:
        """The same after ``moved`` ETAs moved, and again with nothing new."""
        seed = int(time.time() * 1000) % 59 + 1
        content = reports(self.count, moved, seed if seed != self._minute() else seed % 59 + 1)
        print("ready", flush=True)
        return [self.play(content), self.play(content)]

    def _minute(self) -> int:
        from ports.models import PortCall

        return PortCall.objects.get(vessel__name="SHIP 1", last_seen_at=None).eta.minute  # type: ignore[union-attr]


def hour_zero() -> Any:
    from tests.ports.told import START

    return START


def load(count: int) -> dict[str, Any]:
    """First load, nothing new, 2 % and 500 changed, with their floors; seconds."""
    base = memory(os.getpid())
    bench = Bench(count)
    plain = reports(count)
    found: dict[str, Any] = {"base_mb": base, "first": [bench.play(plain)]}
    found["unchanged"] = [bench.play(plain) for _ in range(ROUNDS)]
    found["two_percent"] = [bench.change(count // 50)[0] for _ in range(ROUNDS)]
    bench.play(plain)
    found["five_hundred"] = [bench.change(500)[0] for _ in range(ROUNDS)]
    found["peak_mb"] = peak()
    return found | floors(count)


def change(count: int, moved: int, rounds: int) -> dict[str, Any]:
    bench = Bench(count)
    pairs = [bench.change(moved) for _ in range(rounds)]
    return {"changed": [pair[0] for pair in pairs], "unchanged": [pair[1] for pair in pairs]}


def lists(count: int) -> dict[str, Any]:
    """A page of 50, a search and a table of ``count`` expected calls, as the server takes for them; seconds and MB."""
    from django.template import Context, Template
    from django.test import Client

    from accounts.models import User
    from ports.filters import ships

    Bench(count).play(reports(count))
    client = Client(headers={"host": "localhost"})
    client.force_login(User.objects.create_superuser("bench"))

    def get(address: str) -> None:
        answer = client.get(f"/ports/{PORT}/{address}")
        assert answer.status_code == 200
        b"".join(answer) if answer.streaming else None

    get("expected/")
    before = peak()
    cells, rows = Template(CELLS), Context({"rows": [[f"cell {number}" for number in range(8)]] * 50})
    found: dict[str, Any] = {
        "floor": [timed(lambda: cells.render(rows)) for _ in range(20)],
        "page": [timed(lambda: get("expected/?page=20")) for _ in range(20)],
        "searched": [timed(lambda: get("expected/?q=ship+4711")) for _ in range(20)],
        "search": [timed(lambda: ships("ship 4711")) for _ in range(20)],
        "csv": [timed(lambda: get("expected.csv"))],
    }
    return found | {"csv_mb": peak() - before}


def parse(rounds: int) -> dict[str, Any]:
    """The four recorded lists of Hong Kong; seconds."""
    from ports import example
    from ports.sources.mardep import MarDep

    folder, at = max(example.TAKEN_AT.items())
    files = {path.name: path.read_bytes() for path in (example.RECORDINGS / folder).iterdir()}
    return {"parse": [timed(lambda: MarDep().parse(files, at)) for _ in range(rounds)]}


def switch(rounds: int) -> dict[str, Any]:
    """A relay switched again and again, from the door to the pin and back; seconds."""
    from relays import door
    from relays.models import Relay

    lamp = Relay.objects.get(slug="lamp")

    def turn(on: bool) -> float:
        time.sleep(0.02)
        began = time.perf_counter()
        door.wait_for(lamp.switch(on, by=None, via="command line"), 2)
        return time.perf_counter() - began

    return {"switch": [turn(number % 2 == 0) for number in range(rounds)]}


TASKS: dict[str, Callable[..., dict[str, Any]]] = {task.__name__: task for task in (load, change, lists, parse, switch)}


def timed(act: Callable[[], Any]) -> float:
    began = time.perf_counter()
    act()
    return time.perf_counter() - began


def peak() -> float:
    """The most memory (MB) this process ever had."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024


def floors(count: int) -> dict[str, Any]:
    """The same number of rows of one table: written in one go, and read, compared and partly written."""
    from django.db import transaction

    from ports.models import PortCall

    fields = ["agent", "eta", "status"]

    def rows() -> list[PortCall]:
        return list(PortCall.objects.filter(port__locode=PORT)[:count])

    def write(some: Sequence[PortCall]) -> None:
        with transaction.atomic():
            PortCall.objects.bulk_create(some, update_conflicts=True, unique_fields=["id"], update_fields=fields)

    stored = rows()

    def compare() -> None:
        known = {row[0]: row for row in PortCall.objects.filter(port__locode=PORT).values_list("id", *fields)}
        assert all(known[call.pk] == (call.pk, *(getattr(call, name) for name in fields)) for call in stored)
        write(stored[: count // 50])

    return {
        "floor_write": [timed(lambda: write(stored)) for _ in range(3)],
        "floor_compare": [timed(compare) for _ in range(3)],
    }


CELLS = "{% for row in rows %}<tr>{% for cell in row %}<td>{{ cell }}</td>{% endfor %}</tr>{% endfor %}"
FILL = """
INSERT INTO ports_portcall (port_id, vessel_id, key, status, eta, ata, atd, agent, previous_port, next_port,
    first_seen_at, last_seen_at, is_doubtful, digest)
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count})
SELECT (SELECT id FROM ports_port WHERE locode = '{port}'), (SELECT min(id) FROM ports_vessel) + i % {vessels}, '',
    'departed', '2020-01-01', '2020-01-02', datetime('2020-01-01', '+' || i || ' minutes'), 'Agent', '', '',
    '2020-01-01', '2022-01-01', 0, i FROM n
"""


# --- outside ------------------------------------------------------------------------------------------------


class Prober:
    """Another process that writes a little all the time, as a switch does, and notes how long each time it waits."""

    def __init__(self, site: Site) -> None:
        command = [sys.executable, "-m", "bench.ships", "--probe", str(site.data_dir / "db.sqlite3")]
        self._process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def end(self) -> list[float]:
        said, _ = self._process.communicate("\n")
        return [float(wait) for wait in said.split()]


def probe(database: str) -> None:
    """Until something comes in: take the write lock, give it back, and say how long that took."""
    import select

    waits = []
    with closing(sqlite3.connect(database, timeout=30, isolation_level=None)) as connection:
        while not select.select([sys.stdin], [], [], 0.005)[0]:
            began = time.perf_counter()
            connection.execute("BEGIN IMMEDIATE")
            connection.execute("ROLLBACK")
            waits.append(time.perf_counter() - began)
    print(*waits)


def run_inside(site: Site, task: str, *arguments: object) -> dict[str, Any]:
    done = subprocess.run(inside(task, *arguments), cwd=ROOT, env=site.env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def inside(task: str, *arguments: object) -> list[str]:
    return [sys.executable, "-m", "bench.ships", "--inside", task, *map(str, arguments)]


def tell(name: str, seconds: Sequence[float], floor: Sequence[float] = (), of: str = "its floor") -> None:
    middle = median(seconds)
    beside = f"  {middle / median(floor):.2f} times {of}" if floor else ""
    print(f"{name:44} median {middle * 1e3:7.1f}  max {max(seconds) * 1e3:7.1f} ms{beside}", flush=True)


def refreshes(site: Site, count: int) -> None:
    tell("parse of Hong Kong's four recorded lists", run_inside(site, "parse", 20)["parse"])
    found = run_inside(site, "load", count)
    tell(f"floor: {count} rows written in one go", found["floor_write"])
    tell("floor: read, compare, write 2 %", found["floor_compare"])
    tell("first load", found["first"], found["floor_write"])
    tell("nothing new", found["unchanged"], found["floor_compare"])
    tell("2 % changed", found["two_percent"], found["floor_compare"])
    tell("500 changed", found["five_hundred"], found["floor_compare"])
    print(f"memory: {found['base_mb']:.0f} MB before, {found['peak_mb']:.0f} MB at most", flush=True)


def held_up(site: Site, count: int) -> None:
    """How long a small write waits beside refreshes with 500 changes, and without."""
    for what in ("floor: a small write, alone", "a small write beside 500 changes"):
        prober = Prober(site)
        if what.startswith("floor"):
            time.sleep(3)
        else:
            tell("500 changed, again", run_inside(site, "change", count, 500, 40)["changed"])
        show(what, prober.end())


def switches(site: Site, count: int) -> None:
    """A relay that is switched beside refreshes with 500 changes, and without."""
    add_relays(site, "Lamp")
    with site.database() as connection:  # else most ons wait for each other, as they should
        connection.execute("UPDATE relays_board SET ons_per_second = 1000")
    site.start_controller()
    show("floor: a switch, alone", run_inside(site, "switch", 200)["switch"])
    beside = subprocess.Popen(inside("change", count, 500, 1000), cwd=ROOT, env=site.env, stdout=subprocess.DEVNULL)
    time.sleep(3)
    show("a switch beside refreshes of 500 changes", run_inside(site, "switch", 200)["switch"])
    beside.kill()
    beside.wait()


def long_lists(site: Site, count: int) -> None:
    found = run_inside(site, "lists", count)
    tell("floor: 50 x 8 cells rendered", found["floor"])
    tell(f"a page of 50 out of {count} calls", found["page"], found["floor"])
    tell("the same, searched", found["searched"])
    tell(f"the search itself, over {count} names", found["search"])
    tell(f"a table of {count} calls", found["csv"])
    print(f"memory: {found['csv_mb']:.1f} MB more for the table", flush=True)


def beside_a_million(site: Site, count: int, stored: int) -> None:
    alone = run_inside(site, "change", count, count // 50, ROUNDS)
    with site.database() as connection:
        began = time.perf_counter()
        connection.execute(FILL.format(count=stored, port=PORT, vessels=count))
        print(f"(filled with {stored} departed calls in {time.perf_counter() - began:.0f} s)")
    found = run_inside(site, "change", count, count // 50, ROUNDS)
    tell(f"nothing new, beside {stored} calls", found["unchanged"], alone["unchanged"], "that without them")
    tell(f"2 % changed, beside {stored} calls", found["changed"], alone["changed"], "that without them")


def kills(site: Site, count: int, rounds: int, moved: int) -> tuple[int, int]:
    """Kill refreshes at random moments: how many of them were through, and how often the list was torn."""
    began = time.perf_counter()
    run_inside(site, "change", count, moved, 1)
    whole = (time.perf_counter() - began) / 2  # the other half is its start
    through = torn = 0
    before = newest(site)
    for _ in range(rounds):
        process = subprocess.Popen(
            inside("change", count, moved, 1), cwd=ROOT, env=site.env, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        process.stdout.readline()  # it is about to begin
        time.sleep(random.uniform(0, whole))
        process.send_signal(signal.SIGKILL)
        process.wait()
        through += newest(site) != before
        before = newest(site)
        torn += not is_whole(site, moved)
    return through, torn


def newest(site: Site) -> int:
    with site.database() as connection:
        return int(connection.execute("SELECT max(id) FROM ports_refresh").fetchone()[0])


def is_whole(site: Site, moved: int) -> bool:
    """Whether all calls that move together stand at one minute, and the log has a Change for each that counted."""
    with site.database() as connection:
        minutes = connection.execute(
            "SELECT DISTINCT strftime('%M', c.eta) FROM ports_portcall c JOIN ports_vessel v ON v.id = c.vessel_id"
            " WHERE c.last_seen_at IS NULL AND CAST(substr(v.name, 6) AS INTEGER) < ?",
            (moved,),
        ).fetchall()
        torn = connection.execute(
            "SELECT count(*) FROM ports_refresh r WHERE json_extract(counts, '$.XXAAA.changed') !="
            " (SELECT count(*) FROM ports_change WHERE refresh_id = r.id)"
            " AND id > (SELECT min(id) FROM ports_refresh)"
        ).fetchone()[0]
    return len(minutes) == 1 and not torn


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--calls", type=int, default=10_000)
    arguments.add_argument("--stored", type=int, default=1_000_000)
    arguments.add_argument("--kills", type=int, default=200)
    arguments.add_argument("--inside", nargs="+", help=argparse.SUPPRESS)
    arguments.add_argument("--probe", help=argparse.SUPPRESS)
    asked = arguments.parse_args()
    if asked.probe:
        return probe(asked.probe)
    if asked.inside:
        django.setup()
        return print(json.dumps(TASKS[asked.inside[0]](*map(int, asked.inside[1:]))))
    with tempfile.TemporaryDirectory(prefix="iotsite-bench-") as folder:
        site = make_site(Path(folder) / "site", migrated_database(Path(folder) / "template"))
        refreshes(site, asked.calls)
        held_up(site, asked.calls)
        switches(site, asked.calls)
        through, torn = kills(site, asked.calls, asked.kills, 500)
        print(f"{asked.kills} refreshes killed: {through} had been written, {torn} lists were torn")
        beside_a_million(site, asked.calls, asked.stored)
        site.end()
        other = make_site(Path(folder) / "other", Path(folder) / "template" / "data" / "db.sqlite3")
        long_lists(other, 10 * asked.calls)
        other.end()
    return None


if __name__ == "__main__":
    main()
