"""The units of systemd, as its own programs see them. That they do what they say is shown by tests/hardware."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.site import ROOT

UNITS = ROOT / "deploy" / "systemd"
WORST = {"iotsite-web": 2.0, "iotsite-refresh": 2.0, "iotsite-controller@1": 4.0, "iotsite-failsafe@1": 4.0}
IGNORED = "Unknown key 'RestartMode' in section [Service], ignoring."  # systemd before 254 neither knows nor needs it

analyzed = pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")


def analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["systemd-analyze", *arguments], capture_output=True, text=True, timeout=60)


def said(unit: str, key: str) -> list[str]:
    """What a unit says of a key, for each time that it does."""
    return re.findall(rf"^{key}=(.*)$", (UNITS / f"{unit}.service").read_text(), re.MULTILINE)


@pytest.fixture
def units(tmp_path: Path) -> list[str]:
    """Their files, with an instance of each template."""
    for file in UNITS.glob("*.service"):
        shutil.copy(file, tmp_path / file.name.replace("@", "@1"))
        shutil.copy(file, tmp_path / file.name)
    return [str(file) for file in tmp_path.iterdir() if "@." not in file.name]


@analyzed
def test_systemd_finds_nothing_wrong_with_them(units: list[str]) -> None:
    done = analyze("verify", "--man=no", *units)
    assert [line for line in done.stderr.splitlines() if IGNORED not in line] == []
    assert done.returncode == 0


@analyzed
@pytest.mark.parametrize("unit", WORST)
def test_their_exposure_is_small(unit: str, units: list[str]) -> None:
    [file] = [file for file in units if f"/{unit}.service" in file]
    done = analyze("security", "--offline=yes", "--no-pager", file)
    exposure = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert exposure, done.stderr
    assert float(exposure[1]) <= WORST[unit]


def test_only_a_lost_controller_leads_to_the_failsafe() -> None:
    named = {file.stem: said(file.stem, "OnFailure") for file in UNITS.glob("*.service")}
    assert {unit: names for unit, names in named.items() if names} == {
        "iotsite-controller@": ["iotsite-failsafe@%i.service"]
    }
    assert said("iotsite-controller@", "RestartMode") == ["direct"]


def test_one_that_hangs_at_each_start_is_given_up_too() -> None:
    controller = "iotsite-controller@"
    [interval], [burst] = said(controller, "StartLimitIntervalSec"), said(controller, "StartLimitBurst")
    [start] = said(controller, "TimeoutStartSec")
    assert int(burst) * (int(start) + 1) < int(interval)


def test_only_what_drives_pins_may_open_gpio_chips() -> None:
    for file in UNITS.glob("*.service"):
        drives = file.stem in ("iotsite-controller@", "iotsite-failsafe@")
        assert said(file.stem, "SupplementaryGroups") == (["gpio"] if drives else []), file.name
        assert said(file.stem, "DeviceAllow") == (["char-gpiochip rw"] if drives else []), file.name
        assert said(file.stem, "User") in (["iotsite"], []), file.name
