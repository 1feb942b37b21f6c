"""What script/server runs, kept alive until Ctrl-C: the web server, one controller for each enabled board, and what
keeps the ports fresh where some are on.

No Django, little more than the standard library: it outlives all the others, and nothing of theirs can take it down.
"""

import argparse
import errno
import fcntl
import os
import shutil
import signal
import socket
import sqlite3
import struct
import subprocess
import sys
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from iotsite import places, settings
from iotsite.child import DEATHS, Child, say, spawn
from iotsite.places import read_whole
from relays.runfiles import BoardFiles

MANAGE = [sys.executable, str(settings.BASE_DIR / "manage.py")]
FAILSAFE = settings.BASE_DIR / "relays" / "failsafe.py"
DATABASE = settings.DATA_DIR / "db.sqlite3"
GIVEN_UP = settings.RUN_DIR / "refresh.given-up"
"""There, nobody waits for ships to be refreshed (ports/watch.py)."""

LOOK_EVERY = 2.0
IMPATIENT_AFTER = 30.0

SIGNALS = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD}
SIOCGIFADDR = 0x8915


class CannotStartError(Exception):
    """Why the site cannot start, in a sentence that says the way out."""


class Supervisor:
    """Keeps the children running that shall run: web, a controller for each enabled board, ships for ports."""

    def __init__(self, host: str, port: int, addresses: list[str]) -> None:
        self.port = port
        self.addresses = addresses
        """This machine's own in its network, where the site is open to it."""
        self.web = Child("The web server", web_command(host, port))
        self.controllers: dict[int, Child] = {}
        self.ships = Child("The refresh of ships", [*MANAGE, "refresh_ships", "--watch"], is_wanted=False)
        self.database: tuple[int, int] | None = None
        self.has_terminal = os.isatty(0)
        self.is_ending = False
        self.has_failed = False
        self.is_announced = False
        self.patient_until = 0.0
        self.look_at = 0.0
        """When to look at the boards and ports next."""

    @property
    def children(self) -> list[Child]:
        return [self.web, *self.controllers.values(), self.ships]

    def run(self) -> int:
        """Run the site until a signal ends it; the exit status."""
        self._forgive_ships()
        if self._first_run() and not self.is_ending:
            while not self.is_ending:
                self._step()
                self._announce()
                if self._hear(self._pause()) == signal.SIGHUP:
                    self._upgrade()
            self._stop()
        return 1 if self.has_failed else 0

    def _first_run(self) -> bool:
        """Bring the data up to this version, and fill them where they are empty."""
        process = spawn([*MANAGE, "first_run"])
        while (status := process.poll()) is None:
            self._hear(1.0)
            if self.is_ending:
                process.terminate()
        if status != 0 and not self.is_ending:
            self.has_failed = True
        self.database = _identity(DATABASE)
        self.is_announced, self.patient_until = False, time.monotonic() + IMPATIENT_AFTER
        return status == 0

    # --- signals --------------------------------------------------------------------------------------------

    def _hear(self, timeout: float) -> int | None:
        """Sleep until a signal comes, and note whether it asks for an end; which one it was."""
        heard = signal.sigtimedwait(SIGNALS, timeout)
        if heard is None:
            return None
        is_terminal_closed = self.has_terminal and not os.isatty(0)
        if heard.si_signo in (signal.SIGINT, signal.SIGTERM) or is_terminal_closed:
            self.is_ending = True
        return heard.si_signo

    def _upgrade(self) -> None:
        """Go over to the code that lies here now: migrate, let the controllers come back anew, restart the others."""
        if signal.getsignal(signal.SIGHUP) == signal.SIG_IGN:
            return  # nohup
        say("Starting anew with what is installed now.")
        if not self._first_run():
            return
        self.web.end()
        self.ships.end()
        self._forgive_ships()
        for controller in self.controllers.values():
            controller.forgive()
            if controller.process:
                controller.process.send_signal(signal.SIGHUP)

    # --- children -------------------------------------------------------------------------------------------

    def _pause(self) -> float:
        """Seconds until there is something to do."""
        now = time.monotonic()
        moments = [self.look_at if self.is_announced else now + 0.1]
        moments += [child.start_at for child in self.children if child.is_due]
        moments += [child.kill_at for child in self.children if child.kill_at is not None]
        return max(0.01, min(moments) - now)

    def _step(self) -> None:
        """Look after every child once."""
        now = time.monotonic()
        if now >= self.look_at:
            self._look()
            self.look_at = now + LOOK_EVERY
        for child in self.children:
            if child.has_ended(now):
                self._ended(child, child.note_end(now))
            if child.is_due and now >= child.start_at:
                child.start()

    def _look(self) -> None:
        """See in the database what shall run."""
        boards, ports = enabled_boards(), has_ports_on()
        if self.database != _identity(DATABASE):
            return  # deleted or replaced: what another file says is not about what runs here
        if boards is not None:
            self._serve(boards)
        if ports is not None:
            self._keep_fresh(ports)

    def _keep_fresh(self, has_ports_on: bool) -> None:
        self.ships.is_wanted = has_ports_on
        if not has_ports_on:
            self.ships.end()
            self._forgive_ships()

    def _forgive_ships(self) -> None:
        self.ships.forgive()
        GIVEN_UP.unlink(missing_ok=True)

    def _serve(self, boards: dict[int, str]) -> None:
        """One controller for each enabled board, and none for any other."""
        for number, name in boards.items():
            files = BoardFiles(settings.RUN_DIR, number)
            controller = self.controllers.setdefault(number, Child("", [], files=files))
            controller.name = f"The controller of {name}"  # anew each time: a board may get another name
            controller.command = [*MANAGE, "run_relays", f"--board={name}"]
        for number, controller in list(self.controllers.items()):
            controller.is_wanted = number in boards
            if not controller.is_wanted:
                controller.end()
                if controller.process is None:
                    self._part_with(self.controllers.pop(number))

    def _ended(self, child: Child, how: str) -> None:
        if not how:
            return
        if child is not self.web and child.dies_too_often:
            child.is_given_up = self.has_failed = True
            say(f"{child.name} ended {DEATHS} times within a minute ({how}): it is not started again.")
            if child.files:
                switch_off(child.files)
            else:
                with suppress(OSError):  # RUN_DIR may have been swept away
                    GIVEN_UP.touch()
            say("Mend what stands above, then end this with Ctrl-C and start it again.")
        elif child.is_due and not self.is_ending:
            say(f"{child.name} ended ({how}): starting it again.")

    def _part_with(self, controller: Child) -> None:
        """One that was killed, and now does not come back, is lost: its relays must not stay on."""
        assert controller.files is not None
        if not controller.is_given_up and (read_whole(controller.files.plan) or {}).get("ended_well") is False:
            say(f"{controller.name} did not end in good order.")
            switch_off(controller.files)

    def _stop(self) -> None:
        """End every child in good order, as a last resort with a kill."""
        say("Stopping …")
        for child in self.children:
            child.end()
        while any(child.process for child in self.children):
            now = time.monotonic()
            for child in self.children:
                if child.has_ended(now):
                    child.note_end(now)
            signal.sigtimedwait([signal.SIGCHLD], 0.2)
        for controller in self.controllers.values():
            self._part_with(controller)

    # --- what it says ---------------------------------------------------------------------------------------

    def _announce(self) -> None:
        """Say the address once the site answers there."""
        if self.is_announced:
            return
        if self._is_ready():
            self.is_announced = True
            for address in self._ways_in():
                say(f"Open {address}")
            say("Stop it with Ctrl-C.")
        elif time.monotonic() > self.patient_until:
            self.is_announced = True
            say(f"Not everything answers yet: http://127.0.0.1:{self.port}/readyz says why.")

    def _ways_in(self) -> list[str]:
        """The addresses to open; under HTTPS that of the reverse proxy, since the site itself speaks none."""
        if settings.HTTPS:
            return [f"https://{places.names_of(socket.gethostname())[-1]}"]
        return [f"http://{host}:{self.port}" for host in self.addresses or ["127.0.0.1"]]

    def _is_ready(self) -> bool:
        lost = [controller for controller in self.controllers.values() if controller.is_given_up]
        for controller in self.controllers.values():
            if controller.files and not controller.files.is_served and controller not in lost:
                return False  # it would say no, and log that as an error
        return self.web.kill_at is None and answers(self.port, "healthz" if lost else "readyz")


def web_command(host: str, port: int) -> list[str]:
    return [sys.executable, "-m", "iotsite.serve", "--host", host, "--port", str(port)]


def enabled_boards() -> dict[int, str] | None:
    """The enabled boards by number; None where the database does not answer."""
    rows = _ask("SELECT id, name FROM relays_board WHERE is_enabled ORDER BY id")
    return None if rows is None else dict(rows)


def has_ports_on() -> bool | None:
    """Whether somebody turned a port on; an example is never fetched. None where the database does not answer."""
    rows = _ask("SELECT EXISTS (SELECT * FROM ports_port WHERE is_enabled AND NOT is_example)")
    return None if rows is None else bool(rows[0][0])


def _ask(query: str) -> list[Any] | None:
    try:
        with closing(sqlite3.connect(f"{DATABASE.as_uri()}?mode=ro", uri=True, timeout=1)) as connection:
            connection.execute("PRAGMA wal_autocheckpoint=0")
            return connection.execute(query).fetchall()
    except sqlite3.Error:
        return None


def switch_off(files: BoardFiles) -> None:
    """Let failsafe.py switch off the relays of a lost controller, with the system's Python, and say what it said."""
    if not files.plan.exists():
        return say("It had not moved any relay.")
    python = shutil.which("python3", path="/usr/local/bin:/usr/bin:/bin") or sys.executable
    command = [python, "-I", str(FAILSAFE), str(files.plan)]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=10, start_new_session=True
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return say(f"Its relays may still be on: failsafe.py could not do its work ({error}).")
    return say(done.stdout.strip() or "Its relays are left as they are, as each of them asks for.")


def answers(port: int, page: str) -> bool:
    """Whether the site answers a page with 200."""
    request = f"GET /{page} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as asking:
            asking.sendall(request.encode())
            return b" 200 " in asking.makefile("rb").readline()
    except OSError:
        return False


def own_addresses() -> list[str]:
    """This machine's IPv4 addresses in its networks."""
    found = []
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        for _, name in socket.if_nameindex():
            try:
                answer = fcntl.ioctl(asking, SIOCGIFADDR, struct.pack("256s", name.encode()))
            except OSError:
                continue
            found.append(socket.inet_ntoa(answer[20:24]))
    return [address for address in found if not address.startswith("127.")]


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def take_lock() -> int:
    """Be the only one on these data; the kernel frees the lock at death."""
    handle = os.open(settings.RUN_DIR / "server.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(handle, 32).decode() or "unknown"
        raise CannotStartError(
            f"script/server runs already with the data in {settings.DATA_DIR} (pid {holder}): stop that one first."
        ) from None
    os.ftruncate(handle, 0)
    os.pwrite(handle, str(os.getpid()).encode(), 0)
    return handle


def check_port(host: str, port: int) -> None:
    """Refuse a port that cannot be had, before anything else is done."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            other = 8001 if port == 8000 else 8000
            way_out = f"Choose another one: script/server --port {other}"
            if error.errno == errno.EADDRINUSE:
                raise CannotStartError(f"Port {port} is in use by another program. {way_out}") from error
            raise CannotStartError(f"Port {port} cannot be had: {error.strerror}. {way_out}") from error


def _port(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 65535):
        raise argparse.ArgumentTypeError(f"“{text}” is not a port: write a number from 1 to 65535, like 8001.")
    return int(text)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "script/server", description="Start the site and keep it running until Ctrl-C.", allow_abbrev=False
    )
    parser.add_argument("--port", type=_port, default=8000, help="where the site listens (8000)")
    parser.add_argument("--lan", action="store_true", help="open it to the network, not to this machine only")
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    # Blocked, and waited for in one place: no handler interrupts anything half-way.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    host = "0.0.0.0" if options.lan else "127.0.0.1"
    try:
        take_lock()
        check_port(host, options.port)
    except CannotStartError as error:
        print(error, file=sys.stderr)
        return 1
    if options.lan:
        say("Open to the network, without encryption: whoever is in it can read along, passwords too. At home only.")
    return Supervisor(host, options.port, own_addresses() if options.lan else []).run()


if __name__ == "__main__":
    sys.exit(main())
