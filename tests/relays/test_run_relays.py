"""The controller as a process: its signals, its supervisor, its log. The lines are shown by tests/hardware."""

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from relays import failsafe
from tests.site import ROOT, Site, add_relays, wait_for


def on(site: Site, name: str) -> None:
    done = site.manage("switch", name, "on")
    assert done.returncode == 0, done.stderr


def test_an_orderly_stop_switches_off_and_says_so(site: Site) -> None:
    add_relays(site, "Lamp")
    add_relays(site, "Freezer", on_stop="hold")
    process = site.start_controller()
    on(site, "Lamp")
    on(site, "Freezer")
    process.terminate()
    assert process.wait(60) == 0
    assert site.levels("GPIO17") == [1, 0, 1]
    assert site.levels("GPIO18") == [1, 0]
    assert not site.files().is_served
    assert (site.relay("lamp")["actual"], site.relay("freezer")["actual"]) == (0, 1)
    last = site.events("lamp")[-1]
    assert (last["kind"], last["why"]) == ("stopped", "the controller stopped: switched off")
    assert f"end=stop pid={process.pid}" in site.log()


def test_a_stop_that_comes_before_it_listens_switches_off_too(site: Site) -> None:
    add_relays(site, "Lamp")
    first = site.start_controller()
    on(site, "Lamp")
    first.kill()
    first.wait()
    process = site.start(sys.executable, "manage.py", "run_relays")
    status = Path(f"/proc/{process.pid}/status")
    wait_for(lambda: process.poll() is not None or is_blocked(status, signal.SIGTERM), what="the first lines of main()")
    process.terminate()
    assert process.wait(60) == 0
    assert site.levels("GPIO17") == [1, 0, 1]


def is_blocked(status: Path, number: int) -> bool:
    mask = next(row.split()[1] for row in status.read_text().splitlines() if row.startswith("SigBlk"))
    return bool(int(mask, 16) >> (number - 1) & 1)


def test_a_board_is_served_by_its_number_and_the_beat_says_by_which_code(site: Site) -> None:
    add_relays(site, "Lamp")
    site.start_controller("--number", "1")
    assert (site.files().last_beat() or {})["code"] == str(ROOT)


def test_an_upgrade_moves_nothing_and_keeps_the_lock(site: Site) -> None:
    add_relays(site, "Lamp")
    process = site.start_controller()
    on(site, "Lamp")
    before = (site.files().last_beat() or {})["at"]
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "start='clean restart'" in site.log(), what="the controller started anew")
    wait_for(lambda: (site.files().last_beat() or {})["at"] > before + 0.1)
    assert site.manage("run_relays").returncode == 1
    assert process.poll() is None
    assert site.levels("GPIO17") == [1, 0]
    assert site.manage("switch", "Lamp", "off").returncode == 0
    assert site.levels("GPIO17") == [1, 0, 1]


def test_an_upgrade_survives_a_new_name_of_its_board(site: Site) -> None:
    add_relays(site, "Lamp")
    process = site.start_controller("--board", "Test board")
    with site.database() as database:
        database.execute("UPDATE relays_board SET name = 'Shed'")
    wait_for(lambda: (site.files().last_beat() or {})["board"] == "Shed", what="the new name")
    process.send_signal(signal.SIGHUP)
    wait_for(lambda: "start='clean restart'" in site.log(), what="the controller started anew")
    assert process.poll() is None


def test_a_stop_right_after_an_upgrade_is_not_lost(site: Site) -> None:
    add_relays(site, "Lamp")
    process = site.start_controller()
    process.send_signal(signal.SIGSTOP)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGCONT)
    assert process.wait(60) == 0
    assert "end=stop" in site.log()


def test_a_crash_leaves_the_lines_and_the_next_start_goes_on(site: Site) -> None:
    add_relays(site, "Lamp")
    process = site.start_controller()
    on(site, "Lamp")
    with site.database() as database:
        database.execute("PRAGMA ignore_check_constraints = ON")
        database.execute("UPDATE relays_relay SET min_on = 'abc'")
    assert process.wait(60) == 1
    assert "end=crash" in site.log()
    assert "Traceback" in site.log()
    with site.database() as database:
        database.execute("UPDATE relays_relay SET min_on = NULL")
    site.start_controller()
    assert "start='after a crash'" in site.log()
    time.sleep(0.5)
    assert site.levels("GPIO17") == [1, 0]


@pytest.fixture
def ear(site: Site, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """What a supervisor hears with."""
    address = site.run_dir / "notify"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(address))
        listening.settimeout(30)
        monkeypatch.setenv("NOTIFY_SOCKET", str(address))
        yield listening


def test_a_supervisor_is_told_and_a_hung_controller_is_silent(site: Site, ear: socket.socket) -> None:
    add_relays(site, "Lamp")
    process = site.start_controller()
    said = {ear.recv(100) for _ in range(4)}
    assert said == {b"READY=1", b"WATCHDOG=1"}
    process.send_signal(signal.SIGSTOP)
    time.sleep(0.2)
    ear.settimeout(0.1)
    empty(ear)
    time.sleep(3.2)
    with pytest.raises(TimeoutError):
        ear.recv(100)
    assert not site.files().is_served
    process.send_signal(signal.SIGCONT)
    wait_for(lambda: site.files().is_served, 5)


def test_the_watchdog_waits_while_a_controller_starts_anew(
    site: Site, ear: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "30000000")
    add_relays(site, "Lamp")
    process = site.start_controller()
    assert heard(ear) == [b"READY=1", b"WATCHDOG_USEC=30000000"]
    process.send_signal(signal.SIGHUP)
    assert heard(ear, 3) == [b"WATCHDOG_USEC=110000000", b"READY=1", b"WATCHDOG_USEC=30000000"]


def heard(ear: socket.socket, count: int = 2) -> list[bytes]:
    """The next words but for those that say that it lives."""
    words: list[bytes] = []
    while len(words) < count:
        words += {ear.recv(100)} - {b"WATCHDOG=1"}
    return words


def empty(ear: socket.socket) -> None:
    """Take what has come already."""
    try:
        while ear.recv(100):
            pass
    except TimeoutError:
        return


def run_failsafe(site: Site) -> subprocess.CompletedProcess[str]:
    """As a supervisor does it: any Python, nothing of ours importable."""
    command = [sys.executable, "-I", str(ROOT / "relays" / "failsafe.py"), str(site.files().plan)]
    return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=20)


def test_a_lost_controller_leaves_off_what_shall_be_off(site: Site) -> None:
    add_relays(site, "Lamp")
    add_relays(site, "Freezer", on_lost="hold")
    process = site.start_controller()
    on(site, "Lamp")
    on(site, "Freezer")
    done = run_failsafe(site)
    assert (done.returncode, done.stderr) == (1, "failsafe: its controller runs: nothing was switched\n")
    process.kill()
    process.wait()
    (site.data_dir / "db.sqlite3").rename(site.data_dir / "broken")
    done = run_failsafe(site)
    assert (done.returncode, done.stdout) == (0, "failsafe: Lamp (GPIO17) is switched off\n")
    (site.data_dir / "broken").rename(site.data_dir / "db.sqlite3")
    assert site.levels("GPIO17") == [1, 0, 1]
    site.start_controller()
    time.sleep(0.5)
    assert site.levels("GPIO17") == [1, 0, 1], "its next start is a power-up: off"
    assert site.levels("GPIO18") == [1, 0]
    wait_for(lambda: site.relay("lamp")["wanted"] == 0, what="the power-up written down")


@pytest.mark.parametrize("content", ["", "[]", '{"lines": 5}', '{"driver": "gpio", "lines": {"1": {}}}'])
def test_failsafe_says_what_it_cannot_use(tmp_path: Path, content: str) -> None:
    plan = tmp_path / "board-1.plan"
    plan.write_text(content)
    [problem] = failsafe.main(plan)  # type: ignore[no-untyped-call]
    assert problem.startswith(f"{plan} cannot be used: ")
