"""manage.py doctor [--json]"""

import json
import socket
import sys
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from iotsite import __version__
from iotsite.doctor.examination import Report, as_json, examine
from iotsite.doctor.findings import Finding, State

MARKS = {State.RIGHT: "right", State.WRONG: "WRONG", State.UNTOLD: "unknown"}
COLOURS = {State.RIGHT: "32", State.WRONG: "1;31", State.UNTOLD: "33"}


class Command(BaseCommand):
    help = "Say what is right with this site and what is not, with what to type. Exit status 1 when something is wrong."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *args: Any, **options: Any) -> None:
        _only_look()
        report = examine()
        if options["json"]:
            said = {"version": __version__, "is_well": report.is_well, "findings": list(as_json(report))}
            self.stdout.write(json.dumps(said, indent=2, ensure_ascii=False))
        else:
            self._show(report, is_coloured=self.stdout.isatty() and not options["no_color"])
        if not report.is_well:
            sys.exit(1)

    def _show(self, report: Report, *, is_coloured: bool) -> None:
        self.stdout.write(f"iotsite {__version__} on {socket.gethostname()}, {datetime.now():%Y-%m-%d %H:%M}")
        for section in report.sections:
            if section.findings:
                self.stdout.write(f"\n{section.title}")
            for finding in section.findings:
                self.stdout.write(_shown(finding, is_coloured))
        self.stdout.write(f"\n{report.summary}")
        if report.folder and any(finding.command for finding in report.findings):
            self.stdout.write(f"Type what stands behind $ in {report.folder}.")


def _shown(finding: Finding, is_coloured: bool) -> str:
    mark = MARKS[finding.state]
    start, end = (f"\x1b[{COLOURS[finding.state]}m", "\x1b[0m") if is_coloured else ("", "")
    rows = [f"  {start}{mark:7}{end}  {_harmless(finding.about)}: {_harmless(finding.says)}"]
    rows += [f"           $ {_harmless(row)}" for row in finding.command.splitlines()]
    return "\n".join(rows)


def _harmless(text: str) -> str:
    """Names are chosen by people and by other programs: none of them may steer a terminal."""
    return "".join(one if one.isprintable() else "�" for one in text)


def _only_look() -> None:
    """Nothing is written into the database, nothing waited for, whatever state it is in."""
    database = connection.settings_dict
    database["NAME"] = str(database["NAME"]).replace("?mode=rw", "?mode=ro")
    database["OPTIONS"] = database["OPTIONS"] | {"timeout": 1}
