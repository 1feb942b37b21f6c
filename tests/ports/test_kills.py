"""kill -9 in the middle of a refresh: the old list or the new one, never anything between."""

import random
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ports.snapshot import Status
from tests.ports.harbour import HarbourSite, body, harbour_site
from tests.ports.servers import whole
from tests.ports.told import call, hour, told
from tests.site import wait_for

KILLS = 20
LIST = """
    SELECT v.name, c.status, c.eta FROM ports_portcall c JOIN ports_vessel v ON v.id = c.vessel_id
    WHERE c.last_seen_at IS NULL ORDER BY v.name
"""

Row = tuple[str, str, str]


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[HarbourSite]:
    with harbour_site(tmp_path_factory.mktemp("s"), template_database) as made:
        made.turn_on("XXAAA")
        yield made


def answer(generation: int, ships: int = 400) -> bytes:
    """Every second ETA moves from one generation to the next, some ships come and some go."""
    first = 20 * generation
    return told(
        [
            call(Status.EXPECTED, f"SHIP {number:04}", eta=hour(number + (generation if number % 2 else 0)))
            for number in range(first, first + ships)
        ]
    )


def state(site: HarbourSite) -> tuple[list[Row], int, int]:
    """The list as it stands, how many Changes there are, and how many good refreshes."""
    with site.database() as connection:
        rows = [tuple(row) for row in connection.execute(LIST)]
        changes = connection.execute("SELECT count(*) FROM ports_change").fetchone()[0]
        good = connection.execute("SELECT count(*) FROM ports_refresh WHERE outcome = 'done'").fetchone()[0]
    return rows, changes, good


def start_one(site: HarbourSite) -> Any:
    """A refresh that has just asked for its file."""
    before = len(site.server.asked)
    process = site.start(sys.executable, "manage.py", "refresh_ships", "--force")
    wait_for(lambda: len(site.server.asked) > before, 60)
    return process


def kill_while_it_refreshes(site: HarbourSite, within: float) -> bool:
    """Start one, kill it at some moment after its request; whether it was in time."""
    process = start_one(site)
    time.sleep(random.uniform(0, within))
    process.send_signal(signal.SIGKILL)
    return bool(process.wait() == -signal.SIGKILL)


@pytest.mark.slow
def test_a_killed_refresh_leaves_the_old_list_or_the_new_one(site: HarbourSite) -> None:
    site.server.tell("/north.told", whole(answer(0)))
    assert site.refresh().returncode == 0
    site.server.tell("/north.told", whole(answer(1)))
    process, started = start_one(site), time.monotonic()
    assert process.wait() == 0
    within = time.monotonic() - started
    site.server.tell("/north.told", whole(answer(2)))
    old, generation, in_time = state(site), 2, 0
    for _ in range(KILLS):
        if kill_while_it_refreshes(site, within):
            in_time += 1
        else:
            within *= 0.8  # the machine is faster than it was when this was measured
        new = rows, changes, good = state(site)
        if new == old:
            continue
        names = {f"SHIP {number:04}" for number in range(20 * generation, 20 * generation + 400)}
        assert {row[0] for row in rows} == names, "neither the old list nor the new one"
        moved = sum(number % 2 for number in range(20 * generation, 20 * (generation - 1) + 400))
        assert changes - old[1] == moved + 20 + 20, "each ETA that moved, each ship that came, each that went"
        assert good == old[2] + 1
        old, generation = new, generation + 1
        site.server.tell("/north.told", whole(answer(generation)))
    assert in_time >= KILLS / 2, f"only {in_time} of {KILLS} kills came before the end: nothing is shown by that"
    done = site.refresh("--force")
    assert done.returncode == 0, done.stderr
    assert "400 calls: 20 new, 190 changed (190 ETA), 20 gone from the feed" in done.stdout


@pytest.mark.slow
def test_a_first_load_that_was_killed_is_shown_by_no_list_and_goes_on(site: HarbourSite) -> None:
    ships = [f"S{number:05}" for number in range(6000)]
    site.server.tell("/north.told", whole(body(*ships)))
    process = site.start(sys.executable, "manage.py", "refresh_ships")
    wait_for(lambda: site.count("ports_portcall") >= 500, 60)
    process.kill()
    process.wait()
    part = site.count("ports_portcall")
    assert 0 < part < 6000
    with site.database() as connection:
        loaded = connection.execute("SELECT loaded_at FROM ports_port WHERE locode = 'XXAAA'").fetchone()[0]
    assert loaded is None
    done = site.refresh()
    assert done.returncode == 0, done.stderr
    assert f"XXAAA harbour: 6,000 calls: {6000 - part:,} new, 0 changed" in done.stdout
    assert (site.count("ports_portcall"), len(set(site.ships()))) == (6000, 6000)
    assert site.count("ports_change") == 0, "a first load is no news"
