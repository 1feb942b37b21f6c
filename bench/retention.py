#!/usr/bin/env python3
"""For how long a prune holds the database, whom it holds up, and what the look costs where nothing is old.

    python -m bench.retention [--events 300000]

A process of its own takes the write lock and lets go of it a thousand times a second; how long it waited tells how long
others held it. Floors of the same run: the same without a prune, and all that is old deleted at once.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from bench.timing import commits, show
from tests.site import ROOT, Site, add_relays, make_site, migrated_database, wait_for

RELAYS = 8

PROBE = """
import sqlite3, sys, time
other = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=0)
print("ready", flush=True)
while True:
    began = time.perf_counter()
    while True:
        try:
            other.execute("BEGIN IMMEDIATE")
            break
        except sqlite3.OperationalError:
            time.sleep(0.0002)
    took = time.perf_counter() - began
    other.execute("ROLLBACK")
    print(took, flush=True)
    time.sleep(0.001)
"""

SWITCHER = """
import sys, time, django
django.setup()
from relays import door
from relays.models import Relay
relay = Relay.objects.get(slug="relay-0")
print("ready", flush=True)
while True:
    for on in (True, False):
        time.sleep(0.7)
        began = time.perf_counter()
        assert door.wait_for(relay.switch(on, by=None, via="command line"), 5).word == "applied"
        print(time.perf_counter() - began, flush=True)
"""

IMPATIENT = """
import os, django
os.environ["DJANGO_SETTINGS_MODULE"] = "iotsite.settings"
django.setup()
from django.core.management import call_command
from iotsite import pruning
pruning.FIRST_AFTER = 0.0
call_command("run_relays")
"""

LOOK = """
import time
from iotsite.pruning import Pruning
for _ in range(20):
    began = time.perf_counter()
    assert not Pruning().bite()
    print(time.perf_counter() - began)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=300_000, help="old ones; as many are younger")
    events = parser.parse_args().events
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_site(folder / "site", migrated_database(folder / "template"))
        try:
            add_relays(site, *(f"Relay {number}" for number in range(RELAYS)))
            fill(site, events)
            measure(site, folder)
        finally:
            site.end()


def fill(site: Site, events: int) -> None:
    """So many Events over a thousand days that are old, and as many over the two years since, each command answered."""
    now, commands = datetime.now(UTC), events // 2
    spans = ((now - timedelta(days=1730), timedelta(days=1000)), (now - timedelta(days=729), timedelta(days=728)))
    with site.database() as opened:
        opened.execute("BEGIN")
        for number in range(2 * commands):
            begin, span = spans[number // commands]
            at = begin + span * (number % commands / commands)
            told = (at.replace(tzinfo=None).isoformat(" "), number % RELAYS + 1)
            asked = opened.execute(insertion("accepted", "page"), (*told, None)).lastrowid
            opened.execute(insertion("applied", "controller"), (*told, asked))
        opened.execute("COMMIT")
        opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def insertion(outcome: str, via: str) -> str:
    empty = "'', '', '', '', '', ''"
    columns = "at, relay_id, of_id, board_id, kind, outcome, via, who, why, command_id, field, was, became"
    return f"INSERT INTO relays_event ({columns}) VALUES (?, ?, ?, 1, 'asked on', '{outcome}', '{via}', {empty})"


@contextmanager
def beside(site: Site, code: str, *arguments: str) -> Iterator[list[float]]:
    """What a process measures while something else goes on."""
    env = site.env | {"DJANGO_SETTINGS_MODULE": "iotsite.settings"}
    found: list[float] = []
    with tempfile.NamedTemporaryFile() as told:  # not a pipe, which nobody would read meanwhile
        process = subprocess.Popen([sys.executable, "-c", code, *arguments], cwd=ROOT, env=env, stdout=told)
        try:
            wait_for(lambda: Path(told.name).stat().st_size, what="that it has begun")
            yield found
        finally:
            process.terminate()
            process.wait()
            found += [float(row) for row in Path(told.name).read_text().split("\n")[1:-1]]


def measure(site: Site, folder: Path) -> None:
    path = site.data_dir / "db.sqlite3"
    copy = Path(shutil.copy(path, folder / "copy.sqlite3"))
    controller = site.start_controller()
    show("floor: one durable commit", commits(folder, 200))
    with beside(site, PROBE, str(path)) as alone, beside(site, SWITCHER) as switches:
        time.sleep(15)
    show("floor: to get the write lock, no prune", alone)
    show("floor: a switch, no prune", switches)
    at_once(site, copy)
    controller.terminate()
    controller.wait()
    began = time.perf_counter()
    impatient = site.start(sys.executable, "-c", IMPATIENT)
    wait_for(lambda: (site.files().last_beat() or {}).get("pid") == impatient.pid, what="the controller's heartbeat")
    with beside(site, PROBE, str(path)) as waits, beside(site, SWITCHER) as switches:
        wait_for(lambda: not old_ones(site), 3600)
    show("to get the write lock beside a prune", waits)
    show("a switch beside a prune", switches)
    print(
        f"all that is old was gone after {time.perf_counter() - began:.0f} s, {site.count('relays_event'):,} are left"
    )
    looks = site.manage("shell", "-v0", "-c", LOOK)
    show("the look that finds nothing old", [float(row) for row in looks.stdout.split()])
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


def old_ones(site: Site) -> int:
    """How many there are; asked now and then."""
    time.sleep(1)
    with site.database() as opened:
        return int(opened.execute("SELECT count(*) FROM relays_event WHERE at < ?", [cutoff()]).fetchone()[0])


def cutoff() -> str:
    return (datetime.now(UTC) - timedelta(days=730)).replace(tzinfo=None).isoformat(" ")


def at_once(site: Site, copy: Path) -> None:
    """What a single DELETE would do to the others."""
    code = (
        "import sqlite3, sys; opened = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "opened.execute('PRAGMA journal_mode=WAL'); opened.execute('PRAGMA wal_autocheckpoint=0');"
        "opened.execute('DELETE FROM relays_event WHERE at < ?', [sys.argv[2]])"
    )
    with beside(site, PROBE, str(copy)) as waits:
        subprocess.run([sys.executable, "-c", code, str(copy), cutoff()], check=True)
    show("floor: to get it while all is deleted at once", waits)


if __name__ == "__main__":
    main()
