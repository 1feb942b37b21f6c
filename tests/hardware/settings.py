"""The real settings on a real database file in memory, inside the virtual machine, for the tests and all they start."""

import os
from pathlib import Path

from tests.hardware.machine import SHARE
from tests.site import make_site

site = make_site(Path("/dev/shm/s"), SHARE / "db.sqlite3")
os.environ |= {"DATA_DIR": str(site.data_dir), "RUN_DIR": str(site.run_dir)}

from iotsite.settings import *  # noqa: E402, F403
