"""Who holds a lock, on a machine where many do."""

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from iotsite import holders

MANY = 300
"""Their list takes several pages."""
COME_AND_GO = """
import fcntl, sys
files = [open(f"{sys.argv[1]}/{number}", "w") for number in range(20)]
print(flush=True)
while True:
    for how in (fcntl.LOCK_EX, fcntl.LOCK_UN):
        for file in files:
            fcntl.flock(file, how)
"""


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Path]:
    """A lock that we hold, the last of many in the kernel's list, which has the newest first."""
    with ExitStack() as stack:
        for name in ("lock", *map(str, range(MANY))):
            fcntl.flock(stack.enter_context((tmp_path / name).open("w")), fcntl.LOCK_EX)
        for number in range(2):
            (folder := tmp_path / f"others-{number}").mkdir()
            command = [sys.executable, "-c", COME_AND_GO, str(folder)]
            process = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
            stack.callback(process.kill)
            assert process.stdout
            process.stdout.readline()
        yield tmp_path / "lock"


def test_no_holder_is_missed_while_other_locks_come_and_go(held: Path) -> None:
    found = [holders.pids(held) for _ in range(300)]
    assert found == [{os.getpid()}] * len(found)
