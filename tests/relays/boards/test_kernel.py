from pathlib import Path

import pytest

from relays.boards import kernel
from relays.boards.kernel import keeps_outputs

RASPBERRY_PI = "6.6.51+rpt-rpi-v8"


def machine(root: Path, release: str, **parameters: str) -> Path:
    """The files of a machine, below ``root``."""
    (root / "proc/sys/kernel").mkdir(parents=True)
    (root / kernel.RELEASE).write_text(f"{release}\n")
    for module, word in parameters.items():
        folder = root / "sys/module" / module / "parameters"
        folder.mkdir(parents=True)
        (folder / "persist_gpio_outputs").write_text(f"{word}\n")
    return root


@pytest.mark.parametrize(("word", "keeps"), [("Y", True), ("1", True), ("N", False), ("0", False)])
@pytest.mark.parametrize("module", ["pinctrl_bcm2835", "pinctrl_rp1"])
def test_a_raspberry_pi_kernel_says_whether_it_keeps_outputs(
    tmp_path: Path, module: str, word: str, keeps: bool
) -> None:
    assert keeps_outputs(machine(tmp_path, RASPBERRY_PI, **{module: word})) is keeps


def test_where_two_drivers_disagree_the_careful_answer_counts(tmp_path: Path) -> None:
    assert keeps_outputs(machine(tmp_path, RASPBERRY_PI, pinctrl_bcm2835="Y", pinctrl_rp1="N")) is False


@pytest.mark.parametrize("release", ["6.1.21-v8+", "5.10.103-v7l+", "6.1.0-rpi7-rpi-v8", "6.8.0-1004-raspi"])
def test_an_older_raspberry_pi_kernel_does_not_say(tmp_path: Path, release: str) -> None:
    assert keeps_outputs(machine(tmp_path, release)) is None


@pytest.mark.parametrize("release", ["6.1.0-30-arm64", "6.12.9-amd64"])
def test_an_upstream_kernel_lets_outputs_go(tmp_path: Path, release: str) -> None:
    assert keeps_outputs(machine(tmp_path, release)) is False


def test_a_machine_that_shows_nothing_is_taken_for_one_that_lets_go(tmp_path: Path) -> None:
    assert keeps_outputs(tmp_path) is False


def test_each_answer_is_a_sentence() -> None:
    assert kernel.sentence(True) == ("This kernel keeps outputs at their level when the program that drove them ends.")
    assert kernel.sentence(False) == (
        "This kernel lets outputs go when the program that drove them ends: a relay that is on drops until it is "
        "claimed again; one that is off never moves."
    )
    assert kernel.sentence(None) == (
        "This kernel does not say whether it keeps outputs when the program that drove them ends: an update of "
        "Raspberry Pi OS brings one that does. Until then reckon with a drop."
    )
