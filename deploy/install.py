"""sudo script/install: makes this machine run the site, from now on and after each boot.

Each step looks at what is there and does what is missing, so that a second run changes nothing, and finishes one that
was interrupted. No relay moves: a controller that runs is reloaded, and only where its code is another one.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from pathlib import Path

import prerequisites
import removal
import tryout
from journal import Journal
from machine import CONTROLLER, RECOVER, REFRESH, WEB, Machine, MachineError, end_well, run, say
from release import Clone, lay_system_files, make, use

CONFIG = """\
# The settings of iotsite on this machine; README.md lists them all. After a change:
#     sudo systemctl restart iotsite-web iotsite-refresh
#     sudo systemctl reload 'iotsite-controller@*'
DATA_DIR=/var/lib/iotsite
RUN_DIR=/run/iotsite
"""
OPEN = "LISTEN=0.0.0.0:8000"
COME_BACK_WITHIN = 60.0


def install(machine: Machine, clone: Clone, source: Path | None, *, is_open: bool) -> None:
    prerequisites.check(machine)
    if Journal.left(machine):
        raise MachineError("An update was interrupted here. This brings it to its end: sudo script/update")
    if source:
        tryout.check(machine, source)
    commit = clone.commit()
    if clone.has_changes:
        say(f"The clone has changes that are not committed. They are left out: {commit} is installed.")
    release = make(machine, clone, commit)
    lay_system_files(machine, release)
    _make_user_and_folders(machine)
    is_changed = _write_config(machine, is_open=is_open)
    if source:
        tryout.take_along(machine, source)
    if machine.is_live:
        _go_live(machine, release, is_changed=is_changed)
    else:
        use(machine, release)
        machine.units.enable(RECOVER, *machine.services())
        say(f"Installed below {machine.root}; nothing was started.")


def _make_user_and_folders(machine: Machine) -> None:
    where = [] if machine.is_live else [f"--root={machine.root}"]
    run("systemd-sysusers", *where, "iotsite.conf")
    run("systemd-tmpfiles", *where, "--create", "iotsite.conf")


def _write_config(machine: Machine, *, is_open: bool) -> bool:
    """The settings, where there are none yet, opened to the network where asked; whether that changed them."""
    was = machine.config.read_text() if machine.config.exists() else ""
    wanted = was or CONFIG
    listens = [row for row in wanted.splitlines() if row.startswith("LISTEN=")]
    if is_open and not listens:
        wanted += OPEN + "\n"
    elif is_open and listens != [OPEN]:
        say(f"{machine.config} says {listens[-1]}, which is left as it is.")
    if wanted != was:
        draft = machine.config.with_name(".iotsite.env")
        draft.write_text(wanted)
        machine.own(draft, 0o640, gid=machine.account.gid)
        draft.replace(machine.config)
    return wanted != was


def _go_live(machine: Machine, release: Path, *, is_changed: bool) -> None:
    """Go over to a release: the data first, then web and refresh, then the controllers."""
    units = machine.units
    units.daemon_reload()
    _check_address(machine)
    for unit in (WEB, REFRESH):
        if is_changed or machine.release_of(unit) not in (None, release):
            units.stop(unit)
    machine.manage("first_run", "--without-examples", release=release, shows=True)
    use(machine, release)
    services = machine.services()
    _retire(machine, services)
    units.enable(RECOVER, *services)
    _bring_up(machine, release, services)
    _say_where(machine)


def _bring_up(machine: Machine, release: Path, services: list[str]) -> None:
    units = machine.units
    for unit in services:
        if units.property(unit, "ActiveState") == "failed":
            units.forget_failures(unit)
        if machine.release_of(unit) not in (None, release):
            units.reload(unit)
            _await_return(machine, unit, release)
    units.start(*services)


def _await_return(machine: Machine, unit: str, release: Path) -> None:
    """Wait until a controller that was told to start anew runs the code of the release."""
    end = time.monotonic() + COME_BACK_WITHIN
    while machine.release_of(unit) != release:
        if time.monotonic() > end:
            raise MachineError(f"{unit} did not come back with the new code: journalctl -u {unit} says more.")
        time.sleep(0.2)


def _retire(machine: Machine, services: list[str]) -> None:
    """Part with the controllers of boards that are not enabled any more."""
    gone = [unit for unit in machine.units.instances(CONTROLLER) if unit not in services]
    if gone:
        machine.units.stop(*gone)
        machine.units.disable(*gone)


def _listens(machine: Machine) -> tuple[str, int]:
    rows = machine.config.read_text().splitlines()
    said = [row.partition("=")[2].strip() for row in rows if row.startswith("LISTEN=")]
    host, _, port = (said[-1] if said else "127.0.0.1:8000").rpartition(":")
    return host, int(port) if port.isdecimal() else 8000


def _check_address(machine: Machine) -> None:
    """Refuse a port that another program has, before anything is started."""
    host, port = _listens(machine)
    if machine.units.is_active(WEB):
        return
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1" if host == "127.0.0.1" else "0.0.0.0", port))
        except OSError as error:
            raise MachineError(
                f"Port {port} is in use by another program, maybe by script/server: end that one first, or write "
                f"another LISTEN= into {machine.config}, and run this again."
            ) from error


def _say_where(machine: Machine) -> None:
    host, port = _listens(machine)
    if host in ("127.0.0.1", "localhost"):
        say(f"iotsite runs, now and after each boot: http://127.0.0.1:{port}, from this machine only.")
    else:
        say("iotsite runs, now and after each boot, open to the network and without encryption:")
        for name in [f"{socket.gethostname()}.local", *run("hostname", "-I").split()]:
            say(f"    http://{f'[{name}]' if ':' in name else name}:{port}")
    if not machine.boards():
        say("It has no board yet: open /setup/ there, or type sudo iotsite add_board, then sudo script/install again.")
    say("How it is: sudo iotsite doctor")


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "sudo script/install", description="Let this machine run iotsite from now on.", allow_abbrev=False
    )
    parser.add_argument("--from", dest="source", type=Path, metavar="DATA_DIR", help="take a try-out's data along")
    parser.add_argument("--lan", action="store_true", help="open it to the network, not to this machine only")
    parser.add_argument("--uninstall", action="store_true", help="take it off again; what it wrote stays")
    parser.add_argument("--purge", action="store_true", help="with --uninstall: what it wrote goes too")
    parser.add_argument("--root", type=Path, default=Path("/"), metavar="DIR", help="into DIR; nothing is started")
    options = parser.parse_args(arguments)
    if options.purge and not options.uninstall:
        parser.error("--purge goes with --uninstall only.")
    return options


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    machine = Machine(options.root.resolve())
    source = options.source.resolve() if options.source else None

    def work() -> None:
        with machine.alone():
            if options.uninstall:
                removal.remove(machine, purges=options.purge)
            else:
                install(machine, Clone(Path(__file__).parent.parent), source, is_open=options.lan)

    return end_well(work)


if __name__ == "__main__":
    sys.exit(main())
