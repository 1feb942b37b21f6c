"""Waiting until what was started answers, and noticing when it ends instead."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from machine import WEB, Machine, MachineError

LOOK_EVERY = 0.2
FRESH = 3.0
"""A heartbeat older than this (seconds) is that of a controller that says nothing any more."""
LET_ALONE = 2.0
"""Seconds for a controller that went on with the old code all the time to say so again."""
LISTEN = re.compile(r"""(?m)^\s*(?:export\s+)?LISTEN\s*=\s*["']?\[?([0-9a-fA-F.:]+?)\]?:(\d+)""")


class Controllers:
    """The controllers that ran when the update began."""

    def __init__(self, machine: Machine, services: list[str], patience: float) -> None:
        self.machine = machine
        self.units = [unit for unit in services if unit.startswith("iotsite-controller@")]
        self.patience = patience
        self.pids: dict[str, str] = {}
        """By unit, from when each was asked to start itself anew: it keeps its number if all goes well."""
        self.asked_at = 0.0
        """When they were asked, by the boot clock: what they said before does not count."""

    def reload(self) -> None:
        """Let each start itself anew, with the release in use. No line moves."""
        self.asked_at = _now()
        for unit in self.units:
            self.pids[unit] = self._pid(unit)
            self.machine.units.reload(unit)

    def _pid(self, unit: str) -> str:
        return self.machine.units.property(unit, "MainPID")

    def check(self) -> None:
        """MachineError where one has ended since it was asked to start itself anew."""
        for unit, pid in self.pids.items():
            if self._pid(unit) != pid:
                raise MachineError(f"{unit} ended. This says why: journalctl -u {unit}")

    def await_on(self, release: Path) -> None:
        """Wait until each serves its board with a release; MachineError as soon as one ends, or after a while."""

        def missing() -> list[str]:
            self.check()
            return self._not_on(release)

        if silent := _wait(missing, self.patience):
            raise MachineError(f"{silent[0]} did not answer within {self.patience:.0f} s.")

    def bring_back(self, release: Path) -> None:
        """The same in need: start what does not run, kill what hangs. A line outlives both without moving."""
        self.asked_at = _now()
        for unit in _wait(lambda: self._not_on(release), LET_ALONE):
            self._rouse(unit)
        if silent := _wait(lambda: self._not_on(release), self.patience / 2):
            for unit in silent:
                self._kill(unit)
            if silent := _wait(lambda: self._not_on(release), 3 * self.patience):
                raise MachineError(f"{silent[0]} does not answer. This says why: journalctl -u {silent[0]}")

    def _rouse(self, unit: str) -> None:
        state = self.machine.units.property(unit, "ActiveState")
        if state in ("active", "reloading"):
            try:
                self.machine.units.reload(unit)
            except MachineError:
                pass  # it ended meanwhile, and comes back by itself
        elif state in ("inactive", "failed"):
            self.machine.units.start(unit)

    def _kill(self, unit: str) -> None:
        if (pid := int(self._pid(unit) or 0)) > 0:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                pass

    def _not_on(self, release: Path) -> list[str]:
        return [unit for unit in self.units if not self._is_on(unit, release)]

    def _is_on(self, unit: str, release: Path) -> bool:
        number = unit[len("iotsite-controller@") : -len(".service")]
        try:
            beat = json.loads((self.machine.run_dir / f"board-{number}.beat").read_text())
            is_new = self.asked_at < float(beat["at"]) and _now() - float(beat["at"]) < FRESH
            return bool(is_new and beat["code"] == str(release.resolve()))
        except (OSError, ValueError, KeyError, TypeError):
            return False

    @contextmanager
    def forgiven(self) -> Iterator[None]:
        """While it lasts, systemd gives none of them up, which would switch relays off, however often they end."""
        is_over = threading.Event()

        def forgive() -> None:
            while not is_over.wait(1.0):
                self.forgive()

        self.forgive()
        forgiving = threading.Thread(target=forgive, daemon=True)
        forgiving.start()
        try:
            yield
        finally:
            is_over.set()
            forgiving.join()

    def forgive(self) -> None:
        for unit in self.units:
            try:
                self.machine.units.forget_failures(unit)
            except MachineError:
                pass  # systemd does not know one that never ran


class Web:
    """The web server, asked from this machine."""

    def __init__(self, machine: Machine, patience: float) -> None:
        self.machine = machine
        self.patience = patience

    @property
    def address(self) -> tuple[str, int]:
        """Where it is asked: at LISTEN, the last one, as Django reads it; by the loopback where that is everywhere."""
        found = LISTEN.findall(self.machine.config.read_text()) if self.machine.config.exists() else []
        host, port = found[-1] if found else ("127.0.0.1", "8000")
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), int(port)

    def refusal(self, page: str) -> str:
        """Why a page does not say yes, in a sentence; empty where it does."""
        asking = http.client.HTTPConnection(*self.address, timeout=5)
        try:
            asking.request("GET", f"/{page}")
            answer = asking.getresponse()
            said = answer.read(65536)
        except (OSError, http.client.HTTPException) as error:
            return f"Nothing answers at {':'.join(map(str, self.address))} ({error})."
        finally:
            asking.close()
        return "" if answer.status == 200 else _problems(said) or f"/{page} answers with {answer.status}."

    def await_yes(self, page: str) -> None:
        """Wait until a page says yes; MachineError where it still does not after a while, or where the server ended."""
        pid = self.machine.units.property(WEB, "MainPID")

        def no() -> str:
            said = self.refusal(page)
            if self.machine.units.property(WEB, "MainPID") != pid:
                raise MachineError(f"{WEB} ended. This says why: journalctl -u {WEB}")
            return said

        if said := _wait(no, self.patience):
            raise MachineError(said)


def _now() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def _problems(said: bytes) -> str:
    try:
        return " ".join(json.loads(said)["problems"])
    except (ValueError, KeyError, TypeError):
        return ""


def _wait(wrong: Callable[[], Any], seconds: float) -> Any:
    """Wait until nothing is wrong; what still is after so many seconds."""
    end, looked_at = time.monotonic() + seconds, time.monotonic()
    while (found := wrong()) and time.monotonic() < end:
        # On a small Pi asking systemd takes a second: most of the time is to be left to what is waited for.
        time.sleep(max(LOOK_EVERY, 2 * (time.monotonic() - looked_at)))
        looked_at = time.monotonic()
    return found
