"""Looks at everything once: all checks, in the order in which they are shown.

A check is a function that is given the machine and yields what it found. What it knows of relays and ports lives with
them, in relays/doctor.py and ports/doctor.py.
"""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

from iotsite.doctor import software, storage, system, web
from iotsite.doctor.findings import Finding, State, untold
from iotsite.doctor.machine import Check, Machine
from ports import doctor as ships
from relays import doctor as relays

log = logging.getLogger(__name__)

SECTIONS: dict[str, dict[str, Check]] = {
    "Software": {"Python": software.python, "Packages": software.packages, "SQLite": software.sqlite},
    "Data": {
        "DATA_DIR": storage.data_dir,
        "RUN_DIR": storage.run_dir,
        "Disk space": storage.room,
        "Database": storage.tables,
        "Write-ahead log": storage.log,
        "Backup": storage.backups,
    },
    "This machine": {"Clock": system.clock, "Services": system.services},
    "Relays": {
        "Controllers": relays.controllers,
        "Faults": relays.faults,
        "GPIO lines": relays.lines,
        "Kernel": relays.kernel_keeps,
        "While it boots": relays.boot,
    },
    "Ships": {"Refreshes": ships.refreshes},
    "Web": {"Web server": web.answers, "HTTPS": web.https, "Debugging": web.debugging},
}


@dataclass(frozen=True)
class Section:
    """What was found of one part of the site."""

    title: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class Report:
    sections: tuple[Section, ...]
    folder: str
    """Where the commands are to be typed; empty where that is all the same."""

    @property
    def findings(self) -> list[Finding]:
        return [finding for section in self.sections for finding in section.findings]

    def count(self, state: State) -> int:
        return sum(finding.state is state for finding in self.findings)

    @property
    def is_well(self) -> bool:
        return self.count(State.WRONG) == 0

    @property
    def summary(self) -> str:
        """How it is, in a sentence."""
        bad, open_ = self.count(State.WRONG), self.count(State.UNTOLD)
        rest = f"; {_things(open_)} cannot be told from here" if open_ else ""
        if not bad:
            return f"Nothing is wrong{rest}."
        return f"{_things(bad)} {'is' if bad == 1 else 'are'} wrong{rest}."


def _things(number: int) -> str:
    return "1 thing" if number == 1 else f"{number} things"


def examine(machine: Machine | None = None) -> Report:
    """Look at everything once, and change nothing."""
    machine = machine or Machine()
    sections = [
        Section(title, tuple(finding for about, check in checks.items() for finding in _look(about, check, machine)))
        for title, checks in SECTIONS.items()
    ]
    return Report(tuple(sections), "" if machine.is_installed else str(machine.code))


def _look(about: str, check: Check, machine: Machine) -> list[Finding]:
    try:
        return list(check(machine))
    except Exception as error:  # one thing that is broken must not keep the others from being told
        log.debug("doctor=%s", about, exc_info=True)
        says = f"This could not be looked at: {type(error).__name__}: {error}."
        return [untold(about, says, f"LOG_LEVEL=DEBUG {machine.manage('doctor')}")]


def as_json(report: Report) -> Iterator[dict[str, str]]:
    for section in report.sections:
        for finding in section.findings:
            yield {"section": section.title} | vars(finding)
