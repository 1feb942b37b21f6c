"""What a machine needs before the site can be installed on it; said with the line that mends it."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from machine import PYTHON, Machine, MachineError, run

OLDEST_SYSTEMD = 252
ASK_PYTHON = """
import importlib.util, sys
missing = [name for name in ("ensurepip", "venv", "lgpio") if importlib.util.find_spec(name) is None]
print("%d.%d" % sys.version_info[:2], *missing)
"""


def check(machine: Machine, python: str = PYTHON) -> None:
    """MachineError where something is missing; nothing was changed then."""
    if machine.is_live:
        if os.geteuid() != 0:
            raise MachineError("This needs root: sudo script/install")
        _check_systemd()
    version, missing = _look_at(python)
    packages = ["git"] if shutil.which("git") is None else []
    if missing & {"ensurepip", "venv"}:
        packages.append("python3-venv")
    if version == "3.13" and "lgpio" in missing and Path("/dev/gpiochip0").exists():
        packages.append("python3-lgpio")  # no wheel of it exists
    if packages:
        raise MachineError(f"Something is missing here. This mends it:\n    sudo apt install {' '.join(packages)}")


def _check_systemd() -> None:
    if not Path("/run/systemd/system").is_dir():
        raise MachineError("This machine was not started by systemd, which is what keeps the site running.")
    version = int(run("systemctl", "--version").split()[1].split(".")[0].split("~")[0])
    if version < OLDEST_SYSTEMD:
        raise MachineError(f"This machine has systemd {version}; the site needs {OLDEST_SYSTEMD}, as in Debian 12.")


def _look_at(python: str) -> tuple[str, set[str]]:
    """The version of the system's Python, and what it lacks."""
    if not Path(python).exists():
        raise MachineError(f"There is no {python} here. This mends it:\n    sudo apt install python3 python3-venv")
    version, *missing = run(python, "-I", "-c", ASK_PYTHON).split()
    if version not in ("3.11", "3.12", "3.13"):
        raise MachineError(
            f"{python} is Python {version}, and the services can use no other: the site needs 3.11, 3.12 or "
            "3.13, as Debian 12 and 13 have."
        )
    return version, set(missing)
