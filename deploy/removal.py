"""Takes the site off this machine again."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from machine import USER, Machine, run, say
from release import SYSTEM_FILES


def remove(machine: Machine, *, purges: bool) -> None:
    """Stop and remove everything but what the site wrote and how it was set up; ``purges``: these too."""
    say("Stopping. What that does to a relay is what its on_stop says: switched off, or left as it is.")
    _stop(machine)
    for place in SYSTEM_FILES.values():
        for file in _files(machine.at(place)):
            file.unlink()
    machine.units.daemon_reload()
    machine.command.unlink(missing_ok=True)
    for folder in (machine.at("/opt/iotsite"), machine.run_dir):
        shutil.rmtree(folder, ignore_errors=True)
    if purges:
        _purge(machine)
    elif machine.data_dir.exists():
        say(f"Removed. What the site wrote is still in {machine.data_dir}, its settings in {machine.config}.")


def _files(place: Path) -> list[Path]:
    """Ours there; what its owner added to a unit lies in a folder, and stays."""
    return sorted(file for file in place.glob("iotsite*.*") if file.is_file())


def _stop(machine: Machine) -> None:
    files = _files(machine.at(SYSTEM_FILES["systemd"]))
    instances = [name for file in files if "@" in file.name for name in machine.units.instances(file.name)]
    if singles := [file.name for file in files if "@" not in file.name]:
        machine.units.stop(*singles, *instances)
    if enabled := [file.name for file in files if "[Install]" in file.read_text()]:
        machine.units.disable(*enabled)


def _purge(machine: Machine) -> None:
    shutil.rmtree(machine.data_dir, ignore_errors=True)
    machine.config.unlink(missing_ok=True)
    if os.geteuid() == 0 and machine.has_user:
        where = [] if machine.is_live else [f"--prefix={machine.root}"]
        run("userdel", *where, USER)
    say("Removed, with everything that the site wrote.")
