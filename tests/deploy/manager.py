"""A stand-in for systemd at its one seam (deploy/machine.py, Units), for a machine that lies in a folder.

It reads the real unit files and runs the real programs as they say: Type=notify, Restart=always, the limit on starts,
OnFailure=, ExecReload=. Only the sandbox is left out, and that the folder is not /.
"""

import configparser
import json
import os
import shlex
import signal
import socket
import socketserver
import subprocess
import threading
import time
from collections import deque
from contextlib import suppress
from pathlib import Path
from typing import Any

from machine import REFRESH, Machine, MachineError, Units

START_WITHIN = 60.0


class Service:
    """One unit."""

    def __init__(self, manager: "Manager", name: str) -> None:
        self.manager = manager
        self.name = name
        self.process: subprocess.Popen[bytes] | None = None
        self.is_wanted = False
        self.state = "inactive"
        self.starts: deque[float] = deque()
        """Since it was last told to forget them."""
        self.launches = 0
        self.turn = threading.RLock()
        """Of who starts it or stops it: a process that is just being made would be overlooked."""
        self.ears = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.address = manager.folder / f"{name}.notify"
        self.ears.bind(os.fspath(self.address))
        self.address.chmod(0o777)

    def said(self, key: str, default: str = "") -> str:
        """What its file says now: ``daemon-reload`` is implied."""
        template, instance, ending = self.name.partition("@")
        file = f"{template}@.service" if instance else self.name
        read = configparser.ConfigParser(strict=False, interpolation=None)
        read.optionxform = str  # type: ignore[assignment, method-assign]
        read.read(self.manager.machine.at(f"/etc/systemd/system/{file}"))
        value = next((read[part][key] for part in read.sections() if key in read[part]), default)
        value = value.replace("%i", ending.removesuffix(".service"))
        for place in ("/opt/iotsite", "/run/iotsite"):
            value = value.replace(place, str(self.manager.machine.at(place)))
        return value

    def start(self) -> bool:
        """Start it, if it does not run, and wait until it says that it is ready; whether it did."""
        if self.state == "active":
            return True
        with self.turn:
            self.is_wanted = True
            if self.state == "inactive":
                self._launch()
        end = time.monotonic() + START_WITHIN
        while self.state != "active" and self.is_wanted and time.monotonic() < end:
            if self.state in ("failed", "auto-restart"):
                return False
            time.sleep(0.02)
        return self.state == "active"

    def _launch(self) -> None:
        self.starts.append(time.monotonic())
        self.launches += 1
        self.state = "activating"
        with (self.manager.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                shlex.split(self.said("ExecStart")),
                cwd=self.said("WorkingDirectory", "/"),
                env=self.manager.env | {"NOTIFY_SOCKET": str(self.address)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self.manager.machine.account.becoming(),
            )
        threading.Thread(target=self._look_after, args=[self.process], daemon=True).start()

    def _look_after(self, process: subprocess.Popen[bytes]) -> None:
        self.ears.settimeout(0.05)
        while process.poll() is None:
            with suppress(TimeoutError):
                if b"READY=1" in self.ears.recv(4096) and self.state == "activating":
                    self.state = "active"
        with self.turn:
            self.state = became = (
                "inactive" if not self.is_wanted else "failed" if self._is_too_often() else "auto-restart"
            )
            self.process = None
        if became == "failed" and (unit := self.said("OnFailure")):
            self.manager.run_once(unit)
        if became == "auto-restart":
            time.sleep(0.5)
            with self.turn:
                if self.is_wanted and self.state == "auto-restart":
                    self._launch()

    def _is_too_often(self) -> bool:
        interval, burst = float(self.said("StartLimitIntervalSec", "10")), int(self.said("StartLimitBurst", "5"))
        while self.starts and self.starts[0] < time.monotonic() - interval:
            self.starts.popleft()
        return len(self.starts) >= burst

    def stop(self) -> None:
        with self.turn:
            self.is_wanted = False
            process = self.process
        if process:
            process.terminate()
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
        while self.process:
            time.sleep(0.02)
        self.state = "inactive"

    def reload(self) -> bool:
        process = self.process
        if self.state != "active" or process is None:
            return False
        command = self.said("ExecReload").replace("$MAINPID", str(process.pid))
        return subprocess.run(shlex.split(command)).returncode == 0

    def forget(self) -> None:
        self.starts.clear()
        if self.state == "failed":
            self.state = "inactive"

    def show(self, what: str) -> str:
        if what == "MainPID":
            process = self.process
            return str(process.pid if process else 0)
        return {"auto-restart": "activating"}.get(self.state, self.state)


class Manager:
    """All units of a machine, asked through a socket by whoever runs on it."""

    def __init__(self, machine: Machine, folder: Path) -> None:
        self.machine = machine
        self.folder = folder
        self.services: dict[str, Service] = {}
        self.asked: list[tuple[str, ...]] = []
        """Everything that was asked of it."""
        self.env = {
            "PATH": "/usr/bin:/bin",
            "DATA_DIR": str(machine.data_dir),
            "RUN_DIR": str(machine.run_dir),
            "PYTHONUNBUFFERED": "1",
        }
        manager = self

        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                self.wfile.write(json.dumps(manager.answer(*json.loads(self.rfile.readline()))).encode())

        self.server = socketserver.ThreadingUnixStreamServer(str(folder / "manager"), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def service(self, unit: str) -> Service:
        if unit not in self.services:
            self.services[unit] = Service(self, unit)
        return self.services[unit]

    def answer(self, verb: str, *words: str) -> Any:
        """What systemctl would; for what it refuses the unit."""
        if verb == "show":
            return self.service(words[0]).show(words[1])
        self.asked.append((verb, *words))
        for unit in words:
            service = self.service(unit)
            if verb == "start" and not service.start():
                return unit
            if verb == "reload" and not service.reload():
                return unit
            if verb == "stop":
                service.stop()
            if verb == "reset-failed":
                service.forget()
        return ""

    def run_once(self, unit: str) -> None:
        self.asked.append(("OnFailure", unit))
        command = shlex.split(self.service(unit).said("ExecStart"))
        subprocess.run(command, env=self.env, **self.machine.account.becoming())

    def boot(self) -> None:
        """Start what shall run, but what would fetch ships: each start of Django takes its time."""
        for unit in self.machine.services():
            if unit == REFRESH:
                continue
            assert self.service(unit).start(), (self.folder / "log").read_text()[-3000:]

    def cut_power(self) -> None:
        """Nothing runs any more, nobody was asked."""
        for service in self.services.values():
            with service.turn:
                service.is_wanted = False
        for service in self.services.values():
            if process := service.process:
                process.send_signal(signal.SIGKILL)
        for service in self.services.values():
            while service.process:
                time.sleep(0.02)


class StandIn(Units):
    """Asks the manager instead of systemd."""

    def __init__(self, folder: Path) -> None:
        super().__init__(Path("/"))
        self.folder = folder

    def _ask(self, *words: str) -> Any:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(str(self.folder / "manager"))
            asking.sendall(json.dumps(words).encode() + b"\n")
            return json.loads(asking.makefile().read())

    def _systemctl(self, *arguments: str) -> str:
        verb, *words = [word for word in arguments if word != "--quiet"]
        if verb == "show":
            said = self._ask("show", words[-1], words[0].removeprefix("--property="))
            return str(said)
        if verb in ("start", "stop", "reload", "reset-failed") and (refused := self._ask(verb, *words)):
            raise MachineError(f"Job for {refused} failed.")
        return ""
