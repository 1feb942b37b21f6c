"""A healthy machine to break things on: a Raspberry Pi laid as files, with folders, rows and a web server."""

import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection

from iotsite import __version__
from iotsite.doctor.examination import examine
from iotsite.doctor.findings import Finding, State
from iotsite.doctor.machine import Machine
from iotsite.places import write_whole
from relays import clock
from relays.models import Board, Relay

PI = "Raspberry Pi 4 Model B Rev 1.4"
CONTROLLER = 812
FILES = {
    "proc/device-tree/model": f"{PI}\0",
    "proc/self/status": "Name:\tpython\nSeccomp:\t0\n",
    "proc/sys/kernel/osrelease": "6.6.51+rpt-rpi-v8\n",
    "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs": "Y\n",
    "boot/firmware/config.txt": "dtparam=audio=on\n[all]\ngpio=5=op,dh\ngpio=12=op,dl\n",
    "run/systemd/timesync/synchronized": "",
}


@dataclass
class Doctored:
    """The machine, and what is found on it."""

    machine: Machine
    board: Board

    def lay(self, path: str, text: str) -> Path:
        file = self.machine.at(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        return file

    def take(self, path: str) -> None:
        self.machine.at(path).unlink()

    def install(self) -> None:
        """As script/install does it; systemd says what ``lay_units`` lets it say."""
        self.machine.code = self.machine.at("/opt/iotsite/releases/abc")
        self.lay("/opt/iotsite/releases/abc/requirements.txt", (settings.BASE_DIR / "requirements.txt").read_text())
        (settings.RUN_DIR / f"board-{self.board.pk}.lock").touch()
        self.lay_units("iotsite-web.service loaded active running The pages")

    def lay_units(self, *rows: str) -> None:
        said = "\n".join(rows)
        self.lay("/usr/bin/systemctl", f"#!/bin/sh\ncat <<END\n{said}\nEND\n").chmod(0o755)

    def beat(self, **said: Any) -> None:
        """What the controller says, for an hour."""
        known = {"version": __version__, "code": str(settings.BASE_DIR), "problem": "", "pid": CONTROLLER}
        self.board.files.beat(**({"at": clock.boot_seconds() + 3600} | known | said))

    def see(self, **others: str) -> None:
        """What the controller sees of the header: who else holds lines."""
        own = [line for line in ("GPIO5", "GPIO12") if line not in others]
        told = {"at": clock.boot_seconds() - 130, "pid": CONTROLLER, "device": "/dev/gpiochip0", "problem": ""}
        write_whole(self.board.files.header, told | {"own": own, "others": others})

    def found(self) -> list[Finding]:
        return examine(self.machine).findings

    def bad(self) -> list[Finding]:
        """All that is not right."""
        return [finding for finding in self.found() if finding.state is not State.RIGHT]


class _Alive(BaseHTTPRequestHandler):
    answer: Any = {"status": "alive"}

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(json.dumps(self.answer).encode())

    def log_message(self, *args: Any) -> None:
        pass


@contextmanager
def web(answer: Any) -> Iterator[int]:
    """What answers like a web server of this site; its port."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Answer", (_Alive,), {"answer": answer}))
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server.server_address[1]
    server.shutdown()
    server.server_close()


def healthy(folder: Path) -> Doctored:
    """A machine on which all is right, below ``folder``."""
    root = folder / "root"
    board = Board.objects.create(name="Pi", driver=Board.Driver.GPIO)
    Relay.objects.create(name="Lamp", slug="lamp", board=board, line="GPIO5", polarity="active-low")
    Relay.objects.create(name="Fan", slug="fan", board=board, line="GPIO12", polarity="active-high")
    made = Doctored(Machine(root), board)
    for path, text in FILES.items():
        made.lay(path, text)
    made.lay(
        "proc/self/mountinfo", f"30 1 0:1 / / rw - ext4 /dev/sda rw\n31 30 0:2 / {settings.RUN_DIR} rw - tmpfs t rw\n"
    )
    made.beat()
    made.see()
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint=0")  # as every connection of a real site
    return made


def full(folder: Path, *, free: int = 0, flag: int = 0) -> os.statvfs_result:
    """A file system of 32 GB, as its kernel tells of it."""
    return os.statvfs_result((4096, 4096, 2**23, free // 4096, free // 4096, 0, 0, 0, flag, 255))
