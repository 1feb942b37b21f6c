"""Going over from one release to another, and back: what an update does to what runs."""

from __future__ import annotations

import time
from pathlib import Path

from answers import Controllers, Web
from journal import Journal
from machine import REFRESH, WEB, Machine, MachineError, say
from release import lay_system_files, use
from versions import called


class Changeover:
    """What runs, between the two releases of a journal."""

    def __init__(self, machine: Machine, journal: Journal, patience: float) -> None:
        self.machine = machine
        self.journal = journal
        self.patience = patience
        self.old = machine.releases / journal.old
        self.new = machine.releases / journal.new
        self.controllers = Controllers(machine, journal.services, patience)
        self.web = Web(machine, patience)
        self.others = [unit for unit in (WEB, REFRESH) if unit in journal.services]
        """Those that are stopped meanwhile; controllers never are."""

    def close(self) -> None:
        """Let nobody in, so that no command is acknowledged that a way back would take away again."""
        self.machine.units.stop(*self.others)

    def open(self) -> None:
        """Let people in. From here on no later run puts the database back."""
        self.journal.is_open = True
        self.journal.save()
        self._start_others()

    def _start_others(self) -> None:
        self.machine.units.start(*self.others)
        if WEB in self.others:
            self.web.await_yes("readyz" if self.journal.was_ready else "healthz")

    def use(self, release: Path) -> None:
        """Whatever starts from now on is of this release, and so are the units."""
        use(self.machine, release)
        lay_system_files(self.machine, release)
        self.machine.units.daemon_reload()

    def reload(self) -> None:
        """Take the controllers along. No relay moves."""
        self.controllers.forgive()
        self.controllers.reload()
        self.controllers.await_on(self.new)

    def go_back(self) -> None:
        """Bring back what ran before, and see that it answers; where that fails too, say what to type."""
        say(f"Going back to {called(self.old)} …")
        try:
            with self.controllers.forgiven():
                self.use(self.old)  # first: what systemd starts again meanwhile is the old one already
                self.close()
                self.restore()
                self.controllers.bring_back(self.old)
                self._start_others()
        except (MachineError, OSError) as error:
            raise MachineError(f"{error}\nThe way back did not succeed. {self.by_hand()}") from error
        self.journal.end()
        say(f"{called(self.old)} runs again, and everything answers. No relay moved.")

    def restore(self) -> None:
        """Put the database back, where it was changed; what is wanted of relays stays."""
        if not self.journal.backup:
            return
        end = time.monotonic() + self.patience
        while True:
            try:
                with self.machine.changing_data() as lock:  # a migration that a kill left may be at work still
                    said = self.machine.manage(
                        "restore", self.journal.backup, "--in-place", release=self.old, keeps=[lock]
                    )
                break
            except MachineError:
                if time.monotonic() > end:
                    raise
                time.sleep(1)  # somebody may be looking at something on the command line
        say(said.strip())

    def by_hand(self) -> str:
        """The way back, as somebody types it."""
        restore = [f"sudo iotsite restore {self.journal.backup} --in-place"] if self.journal.backup else []
        commands = [
            f"sudo systemctl stop {WEB} {REFRESH}",
            f"sudo ln -sfn releases/{self.old.name} {self.machine.current}",
            *restore,
            *(f"sudo systemctl reload-or-restart {unit}" for unit in self.controllers.units),
            f"sudo systemctl start {' '.join(self.others)}",
            f"sudo rm {self.journal.place}",
        ]
        rows = "\n".join(f"    {command}" for command in commands)
        return f"Once what stands above is mended, sudo script/update tries it again. By hand it is:\n{rows}"


def settle(machine: Machine, patience: float) -> None:
    """Bring an update to an end that a kill or a power cut ended: back, or, where people were let in, there."""
    if (journal := Journal.left(machine)) is None:
        return
    say(f"The last update, from {journal.old[:7]} to {journal.new[:7]}, was interrupted.")
    change = Changeover(machine, journal, patience)
    if journal.is_open or machine.units.is_active(WEB):
        _stay(change)  # what people asked for since is worth more than the old version
    else:
        change.go_back()


def _stay(change: Changeover) -> None:
    current = change.machine.release or change.new
    try:
        change.use(current)
        change.controllers.bring_back(current)
        change.open()
    except (MachineError, OSError) as error:
        raise MachineError(
            f"{error}\nIt does not come up. People may have been let in: what they changed is lost by going back. "
            f"{change.by_hand()}"
        ) from error
    change.journal.end()
    say(f"It had come so far that {called(current)} is in use: it runs, and everything answers.")


def settle_at_boot(machine: Machine) -> None:
    """The same before anything runs: the rest of the boot starts it."""
    if (journal := Journal.left(machine)) is None:
        return
    if not journal.is_open:
        change = Changeover(machine, journal, patience=0)
        change.use(change.old)
        change.restore()
    journal.end()
