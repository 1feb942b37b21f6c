"""The units under the real systemd: what installing, ending, hanging and failing does to real lines.

Each test finds relays of either polarity on, one that goes off at an end and one that is held.
"""

import json
import os
import signal
from pathlib import Path

from tests.hardware.card import COLOUR
from tests.hardware.machine import SHARE
from tests.hardware.pi import CONTROLLER, CURRENT, FAILSAFE, ON, SERVICES, WEB, Pi


def test_an_installation_runs_now_and_at_each_boot_as_a_user_that_may_do_little(pi: Pi) -> None:
    for unit in SERVICES:
        assert pi.property(unit, "UnitFileState") == "enabled"
        assert pi.property(unit, "ActiveState") == "active"
        assert pi.property(unit, "NRestarts") == "0"
        assert Path(f"/proc/{pi.pid(unit)}").owner() == "iotsite"
    assert "are taken along" in pi.said_at_install


def test_a_second_installation_starts_nothing_anew_and_touches_no_line(pi: Pi) -> None:
    pids = [pi.pid(unit) for unit in SERVICES]
    pi.script("install")
    assert [pi.pid(unit) for unit in SERVICES] == pids
    assert pi.chip.steps() == []


def test_a_restart_of_the_web_server_touches_no_line(pi: Pi) -> None:
    pid = pi.pid(WEB)
    pi.systemctl("restart", WEB)
    assert pi.pid(WEB) != pid
    assert pi.chip.steps() == []


def test_a_reload_starts_the_controller_anew_without_an_edge(pi: Pi) -> None:
    pid = pi.pid()
    pi.systemctl("reload", CONTROLLER)
    pi.wait_for_claims()
    assert (pi.beat()["pid"], pi.pid()) == (pid, pid)
    assert pi.moves() == {}


def test_after_kill_9_systemd_starts_it_again_and_no_line_moves(pi: Pi) -> None:
    restarts = int(pi.property(CONTROLLER, "NRestarts"))
    os.kill(pi.pid(), signal.SIGKILL)
    pi.wait_for_claims()
    assert int(pi.property(CONTROLLER, "NRestarts")) == restarts + 1
    assert pi.moves() == {}
    assert not pi.has_run(FAILSAFE)


def test_one_that_hangs_is_ended_by_the_watchdog_and_no_line_moves(pi: Pi) -> None:
    pid = pi.pid()
    os.kill(pid, signal.SIGSTOP)
    pi.wait_for_claims()
    assert pi.pid() != pid
    assert f"{CONTROLLER}.service: Watchdog timeout" in pi.log()
    assert pi.moves() == {}
    assert not pi.has_run(FAILSAFE)


def test_where_it_cannot_start_failsafe_switches_off_what_is_not_to_be_held(pi: Pi) -> None:
    packages = next((CURRENT / ".venv/lib").glob("python3.*")) / "site-packages"
    (packages / "django").rename(packages / "broken")
    os.kill(pi.pid(), signal.SIGKILL)
    pi.wait_for_state(CONTROLLER, "failed")
    pi.wait_until(lambda: pi.has_run(FAILSAFE), "failsafe")
    assert pi.property(FAILSAFE, "Result") == "success"
    assert pi.moves() == {"lamp": ["off"], "pump": ["off"]}
    (packages / "broken").rename(packages / "django")
    pi.systemctl("reset-failed", CONTROLLER)
    pi.systemctl("start", CONTROLLER)
    pi.settle()
    assert pi.moves() == {"lamp": ["off"], "pump": ["off", "on"]}


def test_a_stop_switches_off_what_is_not_to_be_held_and_the_next_start_is_a_power_up(pi: Pi) -> None:
    pi.systemctl("stop", CONTROLLER)
    assert pi.property(CONTROLLER, "Result") == "success"
    assert pi.moves() == {"lamp": ["off"], "pump": ["off"]}
    pi.systemctl("start", CONTROLLER)
    pi.settle()
    assert pi.moves() == {"lamp": ["off"], "pump": ["off", "on"]}


def test_an_update_that_is_killed_touches_no_line(pi: Pi) -> None:
    """What the next boot makes of it is looked at in test_systemd_reboot.py."""
    installed = CURRENT.resolve()
    update = pi.start("update")
    pi.wait_until(lambda: CURRENT.resolve() != installed, "the next release in use")
    update.kill()
    update.wait()
    assert pi.migrated() == COLOUR
    assert pi.property(WEB, "ActiveState") == "inactive"
    assert pi.moves() == {}
    (SHARE / "installed").write_text(installed.name)


def test_a_reboot_finds_relays_on(pi: Pi) -> None:
    """What it does to them is looked at after it, in test_systemd_reboot.py; their levels are kept for that."""
    assert pi.relays_on() == set(ON)
    (SHARE / "levels").write_text(json.dumps(pi.chip.levels))
