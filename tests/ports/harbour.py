"""A publisher on this machine, for tests of whole processes: what a server on loopback answers are its files.

Chosen by DJANGO_SETTINGS_MODULE=tests.ports.harbour_settings, with the server's address in HARBOUR_URL.
"""

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from django.apps import AppConfig

from tests.ports.servers import Server, serving, whole
from tests.site import Site, make_site, wait_for

PORTS = {"XXAAA": "north", "XXBBB": "north", "XXCCC": "south"}
"""Each with its feed."""


class HarbourConfig(AppConfig):
    name = "tests.ports.harbour"
    label = "harbour"

    def ready(self) -> None:
        from ports.sources import registry

        registry()["harbour"] = harbour(os.environ["HARBOUR_URL"])


def harbour(url: str) -> Any:
    """The source, at a server."""
    from ports.snapshot import Snapshot
    from ports.sources import Address, KnownPort
    from tests.ports.told import Told

    class Harbour(Told):
        name = "harbour"
        feeds = {
            "north": (KnownPort("XXAAA", "Alpha", "XX", "UTC"), KnownPort("XXBBB", "Beta", "XX", "Asia/Hong_Kong")),
            "south": (KnownPort("XXCCC", "Gamma", "XX", "UTC"),),
        }

        def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
            return [Address(f"{feed}.told", f"{url}/{feed}.told")]

        def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
            (content,) = files.values()
            return super().parse({"told": content}, at)

    return Harbour()


def body(*ships: str, port: str = "XXAAA", **snapshot: Any) -> bytes:
    """A file that tells of ships that are expected in a port."""
    from tests.ports.told import call, hour, told

    return told([call(name=name, port=port, eta=hour(place)) for place, name in enumerate(ships)], **snapshot)


@dataclass
class HarbourSite(Site):
    """A site of real processes whose ports, all off, are told of by ``server``."""

    server: Server = field(default_factory=Server)

    @property
    def env(self) -> dict[str, str]:
        return super().env | {
            "DJANGO_SETTINGS_MODULE": "tests.ports.harbour_settings",
            "HARBOUR_URL": self.server.url,
        }

    def refresh(self, *arguments: str) -> Any:
        return self.manage("refresh_ships", *arguments)

    def start_watch(self) -> Any:
        """Start it, and wait until it listens."""
        before = self.log().count("watch=start")
        process = self.start(sys.executable, "manage.py", "refresh_ships", "--watch")
        wait_for(lambda: self.log().count("watch=start") > before or process.poll() is not None, 60, self.log())
        return process

    def turn_on(self, *locodes: str, on: bool = True) -> None:
        with self.database() as connection:
            for locode in locodes:
                connection.execute("UPDATE ports_port SET is_enabled = ? WHERE locode = ?", (on, locode))

    def wish(self, feed: str) -> None:
        with self.database() as connection:
            now = datetime.now(UTC).replace(tzinfo=None).isoformat(" ")
            connection.execute("UPDATE ports_feed SET wished_at = ? WHERE name = ?", (now, feed))

    def grow_older(self, by: timedelta) -> None:
        """Let all refreshes have been so much earlier."""
        with self.database() as connection:
            for row in connection.execute("SELECT id, started_at, as_of FROM ports_refresh").fetchall():
                moments = [(datetime.fromisoformat(row[name]) - by).isoformat(" ") for name in ("started_at", "as_of")]
                connection.execute(
                    "UPDATE ports_refresh SET started_at = ?, as_of = ? WHERE id = ?", (*moments, row["id"])
                )

    def refreshes(self, feed: str = "north") -> list[sqlite3.Row]:
        query = "SELECT r.* FROM ports_refresh r JOIN ports_feed f ON f.id = r.feed_id WHERE f.name = ? ORDER BY r.id"
        with self.database() as connection:
            return connection.execute(query, (feed,)).fetchall()

    def wait_refreshes(self, count: int, feed: str = "north") -> None:
        wait_for(lambda: len(self.refreshes(feed)) >= count, 30, f"{count} refreshes\n{self.log()}")
        assert len(self.refreshes(feed)) == count

    def ships(self) -> list[str]:
        with self.database() as connection:
            return [row[0] for row in connection.execute("SELECT name FROM ports_vessel ORDER BY name")]


@contextmanager
def harbour_site(folder: Path, template: Path) -> Iterator[HarbourSite]:
    with serving() as server:
        plain = make_site(folder, template)
        site = HarbourSite(plain.folder, plain.run_dir, server=server)
        server.tell("/north.told", whole(body("EVER GIVEN", "MOL TRIUMPH")))
        server.tell("/south.told", whole(body("TALISMAN", port="XXCCC")))
        done = site.manage("shell", "-c", "from ports import known; known.add_missing()")
        assert done.returncode == 0, done.stderr
        yield site
        site.end()
