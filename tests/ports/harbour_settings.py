"""The real settings, and a publisher on this machine (tests/ports/harbour.py)."""

from iotsite.settings import *  # noqa: F403
from iotsite.settings import INSTALLED_APPS as THEIRS

INSTALLED_APPS = [*THEIRS, "tests.ports.harbour.HarbourConfig"]
