#!/usr/bin/env python3
"""Kill controller and web with -9 at random moments while people switch, and see what became of it all.

    python -m bench.kills [--controller 300] [--web 100]

Every "on" lasts for a time drawn by chance, by which the acknowledged requests are counted again in the database,
and at whose end the relay must be off. The simulated board's history tells what the pins did.
"""

import argparse
import random
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import requests

from relays import clock
from tests.site import Site, add_relays, make_site, migrated_database, post, sign_in

CLIENTS = 6
DEAD_TIME = 0.1
PAIR = ("up", "down")
SLUGS = ("lamp", "pump", *PAIR)
LINES = {"lamp": "GPIO17", "pump": "GPIO18", "up": "GPIO19", "down": "GPIO20"}
REACTION = 0.05
"""A controller that is killed so soon (seconds) after a deadline may not have come to it."""
GRACE = 1.0
"""A deadline found later than this (seconds) counts as missed: far more than promised, for a noisy machine."""


@dataclass
class Report:
    """What the storm did and what it found; ``problems`` is empty where all promises were kept."""

    controller_kills: int = 0
    web_kills: int = 0
    acknowledged: int = 0
    edges: int = 0
    latest: float = 0.0
    """How late (seconds) the latest deadline was kept, while a controller ran."""
    problems: list[str] = field(default_factory=list)


@dataclass
class Storm:
    site: Site
    is_over: threading.Event = field(default_factory=threading.Event)
    address: str = ""
    acknowledged: list[int] = field(default_factory=list)
    """The durations (ms) of the ons that the page said were done."""
    absences: list[tuple[float, float]] = field(default_factory=list)
    """From when until when (boot clock) no controller was there."""

    def first_presence(self, moment: float, reaction: float) -> float:
        """The first moment from ``moment`` on at which a controller had ``reaction`` seconds to act."""
        for gone, back in self.absences:
            if gone - reaction <= moment < back:
                moment = back
        return moment

    def client(self, seed: int) -> None:
        chance = random.Random(seed)
        session = self._signed_in()
        while not self.is_over.is_set():
            try:
                self._ask(session, chance)
            except requests.RequestException:
                time.sleep(0.02)
            except LookupError:
                session = self._signed_in()

    def _signed_in(self) -> requests.Session:
        while not self.is_over.is_set():
            try:
                return sign_in(self.address)
            except requests.RequestException:
                time.sleep(0.05)
        return requests.Session()

    def _ask(self, session: requests.Session, chance: random.Random) -> None:
        slug = chance.choice(SLUGS)
        duration = chance.randint(300, 1500) if chance.random() < 0.7 else 0
        form = {"on": "on", "lasting": f"{duration}ms"} if duration else {"on": "off"}
        answer = post(session, f"{self.address}/relays/{slug}/switch", **form)
        if answer.status_code == 403:
            raise LookupError("signed out")
        # Where the page has something to say (pending, refused), it is in this cookie: without it, it was applied.
        is_applied = answer.headers.get("Location") == "/" and "messages" not in answer.cookies
        session.cookies.pop("messages", None)
        if is_applied and duration:
            self.acknowledged.append(duration)


def run(folder: Path, template: Path, controller_kills: int, web_kills: int, seed: int = 1) -> Report:
    """Play one storm in ``folder`` with so many kills, and look at what is left."""
    site = make_site(folder, template)
    try:
        return _run(site, controller_kills, web_kills, seed)
    finally:
        site.end()


def _run(site: Site, controller_kills: int, web_kills: int, seed: int) -> Report:
    _furnish(site)
    chance = random.Random(seed)
    storm = Storm(site)
    report = Report(controller_kills, web_kills)
    controller = site.start_controller()
    web, storm.address = site.start_web()
    clients = [threading.Thread(target=storm.client, args=[number], daemon=True) for number in range(CLIENTS)]
    for client in clients:
        client.start()
    kills = ["controller"] * controller_kills + ["web"] * web_kills
    chance.shuffle(kills)
    for kill in kills:
        time.sleep(chance.uniform(0.05, 0.8))
        if kill == "web":
            _kill(web)
            web, storm.address = site.start_web()
        else:
            gone = clock.boot_seconds()
            _kill(controller)
            controller = site.start_controller()
            storm.absences.append((gone, clock.boot_seconds()))
    time.sleep(1)
    storm.is_over.set()
    for client in clients:
        client.join(15)
    _await_the_end(site)
    _judge(site, storm, report)
    return report


def _await_the_end(site: Site) -> None:
    """Until every on has come to its end, and no longer than that should take."""
    latest = time.monotonic() + 20
    while any(_unsettled(site)) and time.monotonic() < latest:
        time.sleep(0.1)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.send_signal(signal.SIGKILL)
    process.wait()


def _furnish(site: Site) -> None:
    add_relays(site, *(slug.capitalize() for slug in SLUGS))
    with site.database() as database:
        database.execute(
            "INSERT INTO relays_interlock (name, dead_time, policy, board_id) VALUES ('Blind', ?, 'replace', 1)",
            [int(DEAD_TIME * 1e6)],
        )
        database.execute("UPDATE relays_relay SET interlock_id = 1 WHERE slug IN (?, ?)", PAIR)
        database.execute("UPDATE relays_board SET ons_per_second = 100")
    site.add_user()


def _judge(site: Site, storm: Storm, report: Report) -> None:
    report.acknowledged = len(storm.acknowledged)
    report.edges = sum(len(site.levels(line)) - 1 for line in LINES.values())
    report.problems += [*_lost(site, storm), *_torn(site), *_interlock(site), *_unsettled(site)]
    report.latest = max(_lateness(site, storm, REACTION), default=0.0)
    missed = [late for late in _lateness(site, storm, GRACE) if late > GRACE]
    report.problems += [f"a deadline was kept {late:.2f} s late" for late in missed]


def _lost(site: Site, storm: Storm) -> Iterator[str]:
    with site.database() as database:
        rows = database.execute("SELECT lasting FROM relays_event WHERE lasting IS NOT NULL")
        kept = Counter(row["lasting"] // 1000 for row in rows)
    for duration, count in (Counter(storm.acknowledged) - kept).items():
        yield f"{count} acknowledged “on for {duration}ms” are not in the database"


def _torn(site: Site) -> Iterator[str]:
    with site.database() as database:
        found = database.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            yield f"integrity_check: {found}"
        query = "SELECT slug, wanted, e.kind, outcome FROM relays_relay r LEFT JOIN relays_event e ON e.id = r.command"
        for row in database.execute(query):
            if (row["kind"], row["outcome"]) != ("asked on" if row["wanted"] else "asked off", "accepted"):
                yield f"{row['slug']}: wanted and its command disagree: {dict(row)}"
        unanswered = database.execute(
            "SELECT count(*) FROM relays_event e WHERE outcome = 'accepted'"
            " AND NOT EXISTS (SELECT 1 FROM relays_event a WHERE a.of_id = e.id)"
        ).fetchone()[0]
        if unanswered:
            yield f"{unanswered} accepted commands have no outcome"


def _interlock(site: Site) -> Iterator[str]:
    lines = {LINES[slug] for slug in PAIR}
    on: set[str] = set()
    off_at: dict[str, float] = {}
    for row in site.history():
        if row.line not in lines:
            continue
        is_on = row.level == 0
        if is_on and row.line not in on:
            other = next(iter(lines - {row.line}))
            if other in on:
                yield f"both relays of the interlock on at {row.at}"
            elif row.at - off_at.get(other, 0.0) < DEAD_TIME:
                yield f"only {row.at - off_at[other]:.3f} s between the relays of the interlock"
            on.add(row.line)
        elif not is_on and row.line in on:
            on.discard(row.line)
            off_at[row.line] = row.at


def _unsettled(site: Site) -> Iterator[str]:
    """Every on had an end: when all is over, all is off, in the database and on the pins."""
    for slug, line in LINES.items():
        row = site.relay(slug)
        if (
            row["wanted"]
            or row["actual"] != 0
            or site.levels(line)[-1] != 1
            or row["command"] != row["applied_command"]
        ):
            yield f"{slug} did not settle: {row}, level {site.levels(line)[-1]}"


def _lateness(site: Site, storm: Storm, reaction: float) -> Iterator[float]:
    """How late relays went off after a deadline that no newer command moved.

    The time of a dead controller is left out, and of one that was killed within ``reaction`` seconds of the deadline.
    """
    offset = time.time() - clock.boot_seconds()
    for slug, line in LINES.items():
        rows = site.history(line)
        asked = [event for event in site.events(slug) if event["outcome"] == "accepted"]
        for event, following in pairwise(asked):
            if event["kind"] != "asked on" or following["via"] != "timer" or not event["lasting"]:
                continue
            deadline = _boot(event["at"], offset) + event["lasting"] / 1e6
            was_on = [row.level == 0 for row in rows if row.at <= deadline]
            off = next((row.at for row in rows if row.level == 1 and row.at > deadline), None)
            if was_on and was_on[-1] and off is not None:
                yield max(0.0, off - storm.first_presence(deadline, reaction))


def _boot(at: str, offset: float) -> float:
    return datetime.fromisoformat(at).replace(tzinfo=UTC).timestamp() - offset


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--controller", type=int, default=300, help="how often to kill it")
    parser.add_argument("--web", type=int, default=100)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        template = migrated_database(folder / "template")
        began = time.monotonic()
        report = run(folder / "storm", template, options.controller, options.web, options.seed)
        print(f"seed {options.seed}: {time.monotonic() - began:.0f} s")
        log = (folder / "storm" / "log").read_text()
        print(f"times that a controller could not read or write the database: {log.count(' database=')}")
    print(f"kills: controller {report.controller_kills}, web {report.web_kills}")
    print(
        f"acknowledged {report.acknowledged} ons, edges {report.edges}, latest deadline {report.latest * 1000:.0f} ms"
    )
    print(f"problems: {len(report.problems)}")
    for problem in report.problems:
        print(f"  {problem}")
    raise SystemExit(bool(report.problems))


if __name__ == "__main__":
    main()
