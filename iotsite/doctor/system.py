"""What the site needs of the machine below it: the right time, and systemd's services."""

from collections.abc import Iterator

from iotsite.doctor.findings import Finding, right, untold, wrong
from iotsite.doctor.machine import Machine

UNSURE = 16_000_000
"""Microseconds by which the kernel reckons that a clock may be wrong which nobody sets; see ntp_synced() of systemd."""


def clock(machine: Machine) -> Iterator[Finding]:
    """A Pi has no clock chip: until the network told it the time, it goes on from when it was switched off."""
    if machine.at("/run/systemd/timesync/synchronized").exists():
        yield right("Clock", "It is set by the network.")
    elif machine.is_confined:
        # systemd's ProtectClock= takes away the right to ask, too, and may end who tries.
        yield untold("Clock", "The web server may not ask whether the network sets it.", "timedatectl")
    elif (error := machine.clock_error()) is None:
        yield untold("Clock", "The kernel does not say whether the network sets it.", "timedatectl")
    elif error < UNSURE:
        yield right("Clock", "It is set by the network.")
    else:
        says = "Nothing sets it: moments are wrong by as long as this machine was without power, or drift."
        yield wrong("Clock", says, "sudo timedatectl set-ntp true\ntimedatectl")


def services(machine: Machine) -> Iterator[Finding]:
    """The units of script/install."""
    if not machine.is_installed:
        return
    listed = machine.run("/usr/bin/systemctl", "list-units", "--all", "--plain", "--no-legend", "iotsite-*")
    if listed is None:
        yield untold("Services", "systemd does not answer here.", "systemctl list-units --all 'iotsite-*'")
        return
    rows = [row.split()[:4] for row in listed.splitlines() if len(row.split()) >= 4]
    bad = list(_bad(rows))
    if not bad:
        running = [unit.removesuffix(".service") for unit, _, state, _ in rows if state == "active"]
        yield right("Services", f"{', '.join(running) or 'None'}; no other has failed.")
    yield from bad


def _bad(rows: list[list[str]]) -> Iterator[Finding]:
    for unit, _, active, sub in rows:
        name = unit.removesuffix(".service")
        look = f"sudo journalctl -u {name} -n 20"
        if active == "failed":
            again = f"sudo systemctl reset-failed {name}\nsudo systemctl restart {name}"
            yield wrong("Services", f"{name} has failed, and nothing starts it again.", f"{look}\n{again}")
        elif sub.startswith("auto-restart"):
            yield wrong("Services", f"{name} ends again and again.", look)
