"""What the running kernel does with an output when the program that drove it ends: facts, read from /sys and /proc.

Raspberry Pi's own kernels keep it at its level since spring 2024 (``persist_gpio_outputs``), unless
``dtparam=strict_gpiod`` asks otherwise. Upstream kernels turn the line into an input.
"""

import re
from pathlib import Path

ROOT = Path("/")
PARAMETERS = [f"sys/module/{module}/parameters/persist_gpio_outputs" for module in ("pinctrl_bcm2835", "pinctrl_rp1")]
RELEASE = "proc/sys/kernel/osrelease"
OF_RASPBERRY_PI = re.compile(r"rpi|rpt|raspi|-v[678]\w*\+?$")
"""6.6.51+rpt-rpi-v8, 6.1.21-v8+, 6.8.0-1004-raspi."""


def keeps_outputs(root: Path = ROOT) -> bool | None:
    """Whether an output keeps its level when its program dies; None where this kernel does not say."""
    said = [word for word in (_read(root / parameter) for parameter in PARAMETERS) if word]
    if said:
        # A Pi 5 may have both drivers: one that lets go is enough to be careful.
        return all(word in ("Y", "1") for word in said)
    return None if OF_RASPBERRY_PI.search(_read(root / RELEASE)) else False


def sentence(keeps: bool | None) -> str:
    """What ``keeps_outputs`` found, for people."""
    if keeps is None:
        return (
            "This kernel does not say whether it keeps outputs when the program that drove them ends: an update of "
            "Raspberry Pi OS brings one that does. Until then reckon with a drop."
        )
    if keeps:
        return "This kernel keeps outputs at their level when the program that drove them ends."
    return (
        "This kernel lets outputs go when the program that drove them ends: a relay that is on drops until it is "
        "claimed again; one that is off never moves."
    )


def _read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
