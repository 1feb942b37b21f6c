"""A Pi on which the site was installed for good: systemd, its units, and what an administrator types."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from relays import clock
from tests.hardware import house
from tests.hardware.card import ACTIVE_LOW, CLONE, LINES, ON
from tests.hardware.chip import Chip, Step, edges_of
from tests.hardware.machine import SHARE

ADDRESS = "http://127.0.0.1:8000"
CONTROLLER, FAILSAFE, WEB = "iotsite-controller@1", "iotsite-failsafe@1", "iotsite-web"
SERVICES = (CONTROLLER, WEB, "iotsite-refresh")
RECOVER = "iotsite-recover"
DATA_DIR, RUN_DIR = Path("/var/lib/iotsite"), Path("/run/iotsite")
CURRENT = Path("/opt/iotsite/current")

ROOTS = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LANG": "C.UTF-8", "HOME": "/root"}
"""The environment of sudo."""

FREED_AND_CLAIMED = {line: ["free", "output"] for line in LINES.values()}


def at_rest() -> dict[str, int]:
    """The level of each line while nothing has it: as the relay board pulls it."""
    pulled_up = {LINES[name] for name in ACTIVE_LOW}
    return {f"GPIO{number}": int(f"GPIO{number}" in pulled_up) for number in range(28)}


def moves(steps: list[Step], levels: dict[str, int]) -> dict[str, list[str]]:
    """What each relay did that moved at all: ``{"lamp": ["on", "off"]}``; a line without a relay shows as itself."""
    names = {line: name for name, line in LINES.items()}
    found: dict[str, list[str]] = {}
    for edge in edges_of(steps, levels):
        name = names.get(edge.line, edge.line)
        found.setdefault(name, []).append("on" if edge.level != (name in ACTIVE_LOW) else "off")
    return found


@dataclass
class Pi:
    chip: Chip = field(default_factory=Chip)
    said_at_install: str = ""

    # --- what an administrator types ------------------------------------------------------------------------

    @classmethod
    def installed(cls) -> "Pi":
        pi = cls()
        pulls = {LINES[name]: "pull-up" for name in ACTIVE_LOW}
        (SHARE / "pulls").write_text("".join(f"{line[4:]} {pull}\n" for line, pull in pulls.items()))
        for line in pulls:
            pi.chip.pull(line, up=True)
        pi.chip.begin()
        pi.said_at_install = pi.script("install", "--from", "data")
        return pi

    def run(self, *command: str) -> str:
        done = subprocess.run(command, cwd=CLONE, env=ROOTS, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}{self.log()}"
        return done.stdout

    def script(self, name: str, *arguments: str) -> str:
        return self.run(f"script/{name}", *arguments)

    def start(self, name: str) -> subprocess.Popen[bytes]:
        """A script, without waiting for its end."""
        return subprocess.Popen([f"script/{name}"], cwd=CLONE, env=ROOTS)

    def systemctl(self, *arguments: str) -> str:
        return self.run("systemctl", *arguments)

    def log(self) -> str:
        journal = ["journalctl", "--no-pager", "--lines=60", "--output=cat", "--unit=iotsite-*"]
        return subprocess.run(journal, capture_output=True, text=True).stdout

    def migrated(self) -> str:
        """The last migration of the relays that the database had."""
        query = "SELECT name FROM django_migrations WHERE app = 'relays' ORDER BY name DESC"
        with closing(sqlite3.connect(DATA_DIR / "db.sqlite3")) as database:
            return str(database.execute(query).fetchone()[0])

    # --- units ----------------------------------------------------------------------------------------------

    def property(self, unit: str, name: str) -> str:
        return self.systemctl("show", f"--property={name}", "--value", unit).strip()

    def pid(self, unit: str = CONTROLLER) -> int:
        return int(self.property(unit, "MainPID"))

    def wait_for_state(self, unit: str, state: str) -> None:
        self.wait_until(lambda: self.property(unit, "ActiveState") == state, f"{unit} {state}")

    def has_run(self, unit: str) -> bool:
        return self.property(unit, "ExecMainExitTimestampMonotonic") != "0"

    def wait_until(self, is_so: Callable[[], object], what: str) -> None:
        try:
            house.wait_until(is_so, what)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.log()}") from None

    def beat(self) -> dict[str, Any]:
        try:
            found: dict[str, Any] = json.loads((RUN_DIR / "board-1.beat").read_text())
        except (OSError, ValueError):
            return {"at": 0.0}
        return found

    def settle(self) -> None:
        """Wait for two heartbeats from now on: the first one of a controller comes before it takes its lines."""
        self._wait_for_beat(clock.boot_seconds())
        self._wait_for_beat(clock.boot_seconds())

    def _wait_for_beat(self, since: float) -> None:
        self.wait_until(lambda: float(self.beat()["at"]) > since, "a heartbeat")

    def wait_for_claims(self) -> None:
        """Until a controller has taken all lines from another one, and has said so."""
        self.wait_until(lambda: self.chip.claims() == FREED_AND_CLAIMED, "all lines claimed again")
        self.settle()

    # --- relays ---------------------------------------------------------------------------------------------

    def make_ready(self) -> None:
        """The controller serves, the relays of ON are on, and what became of the lines so far is forgotten."""
        if self.property(CONTROLLER, "ActiveState") != "active":
            self.systemctl("start", CONTROLLER)
            self.settle()
        for name in set(ON) - self.relays_on():
            self.switch_on(name)
        self.chip.begin()

    def switch_on(self, name: str) -> None:
        """Through the API of the web server that was installed, until the pin is so."""
        headers = {"Authorization": f"Bearer {(SHARE / 'token').read_text()}"}
        answer = requests.put(f"{ADDRESS}/api/relays/{name}", json={"on": True}, headers=headers, timeout=house.SLOW)
        assert answer.ok, answer.text + self.log()
        self.wait_until(lambda: name in self.relays_on(), f"{name} on")

    def relays_on(self) -> set[str]:
        """By the levels of their lines."""
        return {name for name, line in LINES.items() if self.chip.level(line) != (name in ACTIVE_LOW)}

    def moves(self) -> dict[str, list[str]]:
        return moves([step for step in self.chip.steps() if step.cause != "pull"], self.chip.levels)
