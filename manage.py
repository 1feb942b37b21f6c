#!/usr/bin/env python3
"""Django's command line for this site."""

import os
import shlex
import signal
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def main() -> None:
    if not (3, 11) <= sys.version_info[:2] < (3, 14):
        sys.exit("The site runs on Python 3.11, 3.12 or 3.13. This one is {}.{}.".format(*sys.version_info))
    if sys.argv[1:2] == ["run_relays"]:
        # Asked to end before it listens, a controller would leave its relays without what they are to do at a stop.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT, signal.SIGHUP))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotsite.settings")
    try:
        from django.core.management import execute_from_command_line

        execute_from_command_line(sys.argv)
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if not package or (HERE / package).exists():
            raise  # one of ours
        sys.exit(missing(package))


def missing(package: str) -> str:
    """What to type where a package is not there."""
    python = HERE / ".venv" / "bin" / "python"
    if python.exists() and Path(sys.prefix).resolve() != python.parent.parent:
        return f"This Python is not the one of the site. Type: {shlex.join([str(python), *sys.argv])}"
    again = "sudo script/install, in the clone that it came from" if HERE.parent.name == "releases" else "script/server"
    return f"The Python package “{package}” is missing here. This mends it: {again}"


if __name__ == "__main__":
    main()
