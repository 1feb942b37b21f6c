"""A house inside the virtual machine: real processes, a real chip, and relays of either polarity."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

from relays import clock, door
from relays.models import Board, Event, Interlock, Relay
from tests.hardware.chip import Chip
from tests.site import ROOT, Site

SLOW = 120.0
"""Seconds within which anything has happened on the emulated processor, which is 15 times slower than a real one."""
CONSOLE = Event.Via.COMMAND_LINE

LOW, HIGH = Relay.Polarity.ACTIVE_LOW, Relay.Polarity.ACTIVE_HIGH
HOLDS = {"on_stop": Relay.End.HOLD, "on_lost": Relay.End.HOLD}
RELAYS = {
    "lamp": {"line": "GPIO17", "polarity": LOW},
    "pump": {"line": "GPIO27", "polarity": HIGH},
    "heater": {"line": "GPIO22", "polarity": LOW, **HOLDS},
    "fan": {"line": "GPIO23", "polarity": HIGH, **HOLDS},
    "left low": {"line": "GPIO5", "polarity": LOW},
    "left high": {"line": "GPIO6", "polarity": HIGH},
    "gate": {
        "line": "GPIO24",
        "polarity": LOW,
        "mode": Relay.Mode.MOMENTARY,
        "pulse": timedelta(milliseconds=300),
    },
    "up": {"line": "GPIO25", "polarity": LOW},
    "down": {"line": "GPIO26", "polarity": HIGH},
}
ON = ("lamp", "pump", "heater", "fan")
"""Those that the tests of ends switch on: of either polarity, one that goes off at an end and one that is held."""


def wait_until(is_so: Callable[[], object], what: str) -> None:
    """Look for a third of the time at most: the one processor is to do the work that we wait for."""
    began = looked_at = time.monotonic()
    while not is_so():
        assert looked_at < began + SLOW, f"did not come about within {SLOW:.0f} s: {what}"
        time.sleep(max(0.1, 2 * (time.monotonic() - looked_at)))
        looked_at = time.monotonic()


@dataclass
class House:
    site: Site
    chip: Chip = field(default_factory=Chip)
    controller: subprocess.Popen[bytes] | None = None

    def furnish(self) -> None:
        """Wire the relays, with the pulls of a relay board: a line that nobody drives is off."""
        board = Board(name="Pi", driver=Board.Driver.GPIO, ons_per_second=100)
        board.save_edited(by=None, via=CONSOLE)
        shutter = Interlock(name="shutter", board=board, dead_time=timedelta(milliseconds=500))
        shutter.save_edited(by=None, via=CONSOLE)
        for name, wiring in RELAYS.items():
            interlock = shutter if name in ("up", "down") else None
            Relay(name=name, board=board, interlock=interlock, **wiring).save_edited(by=None, via=CONSOLE)
            self.chip.pull(wiring["line"], up=wiring["polarity"] == LOW)
        spare = Relay(name="spare", board=board, line="GPIO16", polarity=LOW, is_enabled=False)
        spare.save_edited(by=None, via=CONSOLE)

    # --- the controller -------------------------------------------------------------------------------------

    @property
    def pid(self) -> int:
        assert self.controller is not None
        return self.controller.pid

    @property
    def plan(self) -> Path:
        return self.site.files().plan

    def start(self) -> None:
        """Start the controller and wait until it has taken its lines and done what was due."""
        starts = _starts()
        self.controller = self.site.start(sys.executable, "manage.py", "run_relays")
        self._wait_until_served(starts)

    def upgrade(self) -> None:
        """SIGHUP: the controller starts itself anew."""
        starts = _starts()
        os.kill(self.pid, signal.SIGHUP)
        self._wait_until_served(starts)

    def _wait_until_served(self, starts: int) -> None:
        wait_until(lambda: self._is_alive() and _starts() > starts, "the controller's start")
        # Its first heartbeat comes before it takes its lines, the second one after.
        self.settle()
        self.settle()

    def _is_alive(self) -> bool:
        assert self.controller is not None
        assert self.controller.poll() is None, self.site.log()[-4000:]
        return True

    def settle(self) -> None:
        """Wait for a heartbeat from now on: what was due before it is done."""
        began = clock.boot_seconds()
        wait_until(lambda: self._is_alive() and self._beat_at() > began, "a heartbeat")

    def _beat_at(self) -> float:
        return float((self.site.files().last_beat() or {"at": 0.0})["at"])

    def end(self, number: signal.Signals) -> int:
        """End the controller by a signal; its exit status."""
        os.kill(self.pid, number)
        return self.exit_status()

    def exit_status(self) -> int:
        """The controller's, once it has ended."""
        assert self.controller is not None
        return self.controller.wait(SLOW)

    def kill(self) -> None:
        self.end(signal.SIGKILL)

    def reboot(self) -> None:
        """As after a boot: no controller, inputs at their pulls, nothing remembered."""
        self.chip.keep_outputs(False)
        self.kill()
        self.plan.unlink()
        self.chip.keep_outputs(True)

    def make_ready(self) -> None:
        """A controller that runs, on a Pi's kernel, with everything off and free to be switched."""
        self.chip.keep_outputs(True)
        if self.controller is None or self.controller.poll() is not None:
            self.start()
        self.switch(False, *Relay.objects.filter(wanted=True).values_list("name", flat=True))
        Relay.objects.update(power_up=Relay.PowerUp.OFF)
        self.chip.begin()

    # --- the relays -----------------------------------------------------------------------------------------

    def switch(self, on: bool, *names: str, lasting: timedelta | None = None) -> None:
        """Ask through the door, and wait until it is done."""
        relays = [Relay.objects.called(name) for name in names]
        events = [asked(lambda one=one: one.switch(on, by=None, via=CONSOLE, lasting=lasting)) for one in relays]
        for event in events:
            assert_applied(event)

    def edit(self, name: str, **fields: object) -> None:
        relay = Relay.objects.called(name)
        for field_name, value in fields.items():
            setattr(relay, field_name, value)
        relay.save_edited(by=None, via=CONSOLE)

    def moves(self) -> dict[str, list[str]]:
        """What each relay did that moved at all since the trace began: ``{"lamp": ["on", "off"]}``.

        Taken from the kernel's trace of all lines of the header; one without a relay shows as itself.
        """
        wired = {relay.line: relay for relay in Relay.objects.all()}
        moves: dict[str, list[str]] = {}
        for edge in self.chip.edges():
            relay = wired.get(edge.line)
            if relay is None:
                moves.setdefault(edge.line, []).append(str(edge.level))
            else:
                moves.setdefault(relay.name, []).append("on" if edge.level != relay.is_active_low else "off")
        return moves

    def fail_safe(self) -> subprocess.CompletedProcess[str]:
        """Run failsafe.py as systemd does, with the system's own Python."""
        command = ["/usr/bin/python3", "-I", "relays/failsafe.py", str(self.plan)]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SLOW)


def asked(ask: Callable[[], Event]) -> Event:
    """The Event of a request, made once the controller is heard: on this processor it may be silent for a moment."""
    while True:
        wait_until(lambda: Board.objects.get().is_served, "a controller")
        try:
            return ask()
        except door.RelayError as error:
            if error.code != "no_controller":
                raise


def assert_applied(event: Event) -> None:
    wait_until(lambda: door.wait_for(event, SLOW).word != door.PENDING, "an answer")
    assert door.outcome_of(event).word == Event.Outcome.APPLIED


def _starts() -> int:
    return Event.objects.filter(kind=Event.Kind.STARTED).count()
