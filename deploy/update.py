"""sudo script/update: brings what script/install installed to the newest release.

Step by step, and where one fails back to the release and the database that it came from. No relay moves either way:
controllers start themselves anew, and go on with their lines as they are.

It is part of the release in use, and asks little of the next one: ``manage.py rehearse`` and ``migrate``, units in
deploy/systemd, and controllers whose heartbeat says which code they are.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import changeover
import versions
from answers import Web
from changeover import Changeover
from journal import Journal
from machine import Machine, MachineError, end_well, say
from release import Clone, make
from versions import called

PATIENCE = 180.0
"""Seconds within which controllers and web must answer, if they live; a small Pi reads a new release off its card."""
KEPT = 3
"""Releases, the one in use among them."""
COPIES = 5
"""Of the database, at most at a time: backup, rehearsal, and on a way back what is put back and what that replaces."""
RELEASE_SIZE = 200 * 2**20
"""Bytes, at most, packages and all."""


class Update:
    """One run of it."""

    def __init__(self, machine: Machine, clone: Clone, patience: float = PATIENCE) -> None:
        self.machine = machine
        self.clone = clone
        self.patience = patience
        self.step = ""

    def run(self, ref: str | None, *, only_looks: bool) -> None:
        """Bring the machine to the newest release, or to ``ref``."""
        if not only_looks:
            changeover.settle(self.machine, self.patience)
        old = self.machine.release
        if old is None:
            raise MachineError("iotsite is not installed here: run sudo script/install first.")
        wanted = self._wanted(ref, old)
        name = self._commit(wanted) if wanted else old.name
        if wanted is None or name == old.name:
            say(f"There is nothing newer than {called(old)}." if ref is None else f"{called(old)} is {ref} already.")
        elif only_looks:
            say(f"{wanted} ({name[:7]}) is there, and {called(old)} is installed. To update: sudo script/update")
        else:
            self._carry_out(old, wanted, name)

    def _wanted(self, ref: str | None, old: Path) -> str | None:
        """The tag or commit to go to; None where there is nothing newer."""
        say("Fetching what is new …")
        try:
            versions.fetch(self.clone)
        except MachineError as error:
            if ref is None:
                raise MachineError(f"{error}\nThe newest release is not known; nothing was changed.") from error
            say(f"{error}\nGoing on with what the clone has.")
        if ref is not None:
            return ref
        newest = versions.newest(self.clone)
        return newest if newest and versions.is_newer(self.clone, newest, old) else None

    def _commit(self, ref: str) -> str:
        try:
            return self.clone.commit(ref)
        except MachineError as error:
            raise MachineError(f"{self.clone.folder} knows no commit “{ref}”; nothing was changed.") from error

    def _carry_out(self, old: Path, wanted: str, name: str) -> None:
        say(f"Updating {called(old)} to {wanted} ({name[:7]}).")
        try:
            self.check_room()
            new, has_migrations = self._prepare(name)
        except (MachineError, OSError) as error:
            raise MachineError(f"{error}\nThe update failed at “{self.step}”; nothing was changed.") from error
        change = self._changeover(old, new)
        try:
            self._go(change, has_migrations=has_migrations)
        except Exception as error:  # whatever it was: the machine must not be left half-way
            _hear_nothing()
            say(f"“{self.step}” failed: {error}")
            change.go_back()
            raise MachineError(f"The update failed at “{self.step}”, for the reason above.") from error
        _hear_nothing()
        change.journal.end()
        self._tell(old, new)

    def _begin(self, step: str) -> None:
        self.step = step
        say(f"{step} …")

    def _prepare(self, name: str) -> tuple[Path, bool]:
        """The release, tried on a copy of the data; and whether it has migrations to make. Nothing is touched by it."""
        was_there = (self.machine.releases / name).exists()
        self._begin("Making the release")
        new = make(self.machine, self.clone, name)
        self._begin("Trying it on a copy of the data")
        try:
            return new, bool(self.machine.manage("rehearse", release=new).strip())
        except MachineError:
            if not was_there:
                shutil.rmtree(new)
            raise

    def _changeover(self, old: Path, new: Path) -> Changeover:
        services = self.machine.services()
        running = [unit for unit in services if self.machine.units.is_active(unit)]
        for unit in services:
            if unit not in running:
                say(f"{unit} does not run, and is left so.")
        if refusal := Web(self.machine, self.patience).refusal("readyz"):
            say(f"The site is not ready, and need not be afterwards: {refusal}")
        journal = Journal.begin(self.machine, old.name, new.name, running, was_ready=not refusal)
        return Changeover(self.machine, journal, self.patience)

    def _go(self, change: Changeover, *, has_migrations: bool) -> None:
        """All that a way back undoes."""
        self._begin("Stopping web and refresh")
        change.close()
        self._begin("Backing up")
        backup = self._back_up()
        if has_migrations:
            change.journal.backup = backup
            change.journal.save()
            self._begin("Migrating the database")
            with self.machine.changing_data() as lock:
                self.machine.manage("migrate", "--no-input", "--verbosity=0", release=change.new, keeps=[lock])
        self._begin("Reloading the controllers")
        change.use(change.new)
        change.reload()
        self._begin("Starting web and refresh")
        change.open()
        change.controllers.check()

    def _back_up(self) -> str:
        said = self.machine.manage("backup").strip()
        say(said)
        found = re.search(r"/\S+\.sqlite3", said)
        if found is None:
            raise MachineError("It does not say where the backup lies.")
        return found[0]

    def check_room(self) -> None:
        """MachineError where a disk is too full for what will be written."""
        self.step = "Looking for room on the disk"
        database = sum(map(_size, self.machine.data_dir.glob("db.sqlite3*")))
        folders = {self.machine.releases: RELEASE_SIZE, self.machine.data_dir: COPIES * database}
        for folder in folders:
            disk = folder.stat().st_dev
            need = sum(size for other, size in folders.items() if other.stat().st_dev == disk)
            free = shutil.disk_usage(folder).free
            if free < need:
                raise MachineError(f"{folder} has {free / 1e6:.0f} MB free, and an update needs {need / 1e6:.0f} MB.")

    def _tell(self, old: Path, new: Path) -> None:
        say(f"{called(new)} runs, and everything answers. No relay moved.")
        if news := versions.news(self.clone, old, new):
            say(f"What is new:\n\n{news}")
        for outdated in self._outdated(old, new):
            shutil.rmtree(outdated, ignore_errors=True)

    def _outdated(self, *kept: Path) -> list[Path]:
        """All releases but the newest ones; the one it came from stays, whenever that was made."""
        found = [path for path in self.machine.releases.iterdir() if path not in kept and not path.name.startswith(".")]
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)[KEPT - len(kept) :]


def _interrupted(number: int, _: Any) -> None:
    raise MachineError(f"It was interrupted ({signal.Signals(number).name}).")


def _size(file: Path) -> int:
    try:
        return file.stat().st_size
    except FileNotFoundError:
        return 0  # a log that its last user took away just now


def _hear_nothing() -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "sudo script/update", description="Bring iotsite on this machine to its newest release.", allow_abbrev=False
    )
    parser.add_argument("--check", action="store_true", help="only say whether there is something newer")
    parser.add_argument("--to", metavar="REF", help="go to this tag, commit, or branch like origin/main instead")
    parser.add_argument("--clone", type=Path, default=Path.cwd(), help=argparse.SUPPRESS)
    parser.add_argument("--at-boot", action="store_true", help=argparse.SUPPRESS)
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None, machine: Machine | None = None, patience: float = PATIENCE) -> int:
    options = _options(arguments)
    machine = machine or Machine()

    def work() -> None:
        if machine.is_live and os.geteuid() != 0:
            raise MachineError("Only root may update what runs: sudo script/update")
        with machine.alone():
            signal.signal(signal.SIGHUP, signal.SIG_IGN)  # a connection that ends does not end an update
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, _interrupted)
            if options.at_boot:
                changeover.settle_at_boot(machine)
            else:
                Update(machine, Clone(options.clone), patience).run(options.to, only_looks=options.check)

    return end_well(work)


if __name__ == "__main__":
    sys.exit(main())
