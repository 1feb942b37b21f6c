"""When a controller counts as back, and where the web server is asked."""

import json
import time
from pathlib import Path

import pytest

from answers import Controllers, Web
from machine import Machine, MachineError


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    made = Machine(tmp_path)
    for folder in (made.releases / "old", made.run_dir, made.config.parent):
        folder.mkdir(parents=True)
    return made


def test_what_a_controller_said_before_it_was_asked_does_not_count(machine: Machine) -> None:
    old, now = machine.releases / "old", time.clock_gettime(time.CLOCK_BOOTTIME)
    (machine.run_dir / "board-1.beat").write_text(json.dumps({"at": now, "code": str(old)}))
    with pytest.raises(MachineError, match=r"^iotsite-controller@1\.service does not answer\."):
        Controllers(machine, ["iotsite-controller@1.service"], patience=0.1).bring_back(old)


@pytest.mark.parametrize(
    ("config", "address"),
    [
        ("DATA_DIR=/var/lib/iotsite\n", ("127.0.0.1", 8000)),
        ("LISTEN=0.0.0.0:8001\n", ("127.0.0.1", 8001)),
        ("#LISTEN=0.0.0.0:8001\n", ("127.0.0.1", 8000)),
        ("LISTEN='[::]:80'\n", ("::1", 80)),
        ("LISTEN=127.0.0.1:81\nLISTEN=192.168.1.2:80\n", ("192.168.1.2", 80)),
    ],
)
def test_the_web_server_is_asked_where_it_listens(machine: Machine, config: str, address: tuple[str, int]) -> None:
    machine.config.write_text(config)
    assert Web(machine, patience=1).address == address
