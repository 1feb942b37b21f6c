#!/usr/bin/env python3
"""How exact deadlines and pulses are, how long a switch takes, how much memory it all needs.

    python -m bench.timing [--rounds 50]

Each figure stands beside a floor measured in the same run: how late this machine wakes a sleeping process, and how
long one durable commit takes it. The pins' moments come from the simulated board's history.
"""

import argparse
import os
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.site import ROOT, Site, add_relays, make_site, migrated_database

PULSE = 0.1
LASTING = 0.3

SWITCHER = """
import sys, time, django
django.setup()
from datetime import timedelta
from relays import door
from relays.models import Relay
lamp, gate = Relay.objects.get(slug="lamp"), Relay.objects.get(slug="gate")
for _ in range(int(sys.argv[1])):
    began = time.perf_counter()
    door.wait_for(lamp.switch(True, by=None, via="command line", lasting=timedelta(seconds=float(sys.argv[2]))), 2)
    print(time.perf_counter() - began, flush=True)
    gate.press(by=None, via="command line")
    time.sleep(0.5)
"""


def spans(site: Site, line: str) -> list[float]:
    """How long an active-low relay was on, each time."""
    found, began = [], None
    for row in site.history(line):
        if row.level == 0 and began is None:
            began = row.at
        elif row.level == 1 and began is not None:
            found.append(row.at - began)
            began = None
    return found


def show(name: str, seconds: Sequence[float]) -> None:
    ordered = sorted(seconds)
    middle, late, last = (ordered[int((len(ordered) - 1) * share)] for share in (0.5, 0.99, 1))
    print(f"{name:44} median {middle * 1e3:7.2f}  p99 {late * 1e3:7.2f}  max {last * 1e3:7.2f} ms  (n={len(ordered)})")


def sleep_lateness(rounds: int) -> list[float]:
    found = []
    for _ in range(rounds):
        began = time.perf_counter()
        time.sleep(0.02)
        found.append(time.perf_counter() - began - 0.02)
    return found


def commits(folder: Path, rounds: int) -> list[float]:
    found = []
    with closing(sqlite3.connect(folder / "floor.sqlite3", isolation_level=None)) as connection:
        connection.executescript("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t (x)")
        for number in range(rounds):
            began = time.perf_counter()
            connection.execute("INSERT INTO t VALUES (?)", (number,))
            found.append(time.perf_counter() - began)
    return found


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> float:
    """Proportional set size in MB."""
    rows = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return int(next(row for row in rows if row.startswith("Pss:")).split()[1]) / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=50)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        site = make_site(folder / "site", migrated_database(folder / "template"))
        try:
            measure(site, folder, rounds)
        finally:
            site.end()


def measure(site: Site, folder: Path, rounds: int) -> None:
    add_relays(site, "Lamp")
    add_relays(site, "Gate", momentary=f"{PULSE * 1000:.0f}ms")
    controller, (web, _) = site.start_controller(), site.start_web()
    idle = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, cwd=ROOT)
    command = [sys.executable, "-c", SWITCHER, str(rounds), str(LASTING)]
    env = site.env | {"DJANGO_SETTINGS_MODULE": "iotsite.settings"}
    told = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    show("floor: a sleep of 20 ms ends late by", sleep_lateness(rounds))
    show(f"on for {LASTING * 1000:.0f} ms: longer than that by", [span - LASTING for span in spans(site, "GPIO17")])
    show(f"pulse of {PULSE * 1000:.0f} ms: longer than that by", [span - PULSE for span in spans(site, "GPIO18")])
    show("floor: one durable commit", commits(folder, rounds))
    show("a switch, from the door to the pin and back", [float(row) for row in told.stdout.split()])
    for name, pid in (("floor: an idle Python", idle.pid), ("controller", controller.pid), ("web", web.pid)):
        print(f"{name:44} {memory(pid):.1f} MB PSS")
    idle.kill()
    print(f"{os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
