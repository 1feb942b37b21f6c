"""manage.py relays [--json]"""

import json
from typing import Any

from django.core.management.base import CommandParser

from relays.management.line import LineCommand
from relays.models import Relay

COLUMNS = ("slug", "name", "room", "board", "line", "wanted", "actual", "until", "fault")


class Command(LineCommand):
    help = "List the relays: what is wanted of each, and what is so."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--json", action="store_true", help="true, false or null for wanted and actual")

    def handle(self, *args: Any, **options: Any) -> None:
        rows = [_row(relay) for relay in Relay.objects.select_related("room", "board")]
        if options["json"]:
            self.stdout.write(json.dumps(rows, indent=2, ensure_ascii=False))
            return
        shown = [COLUMNS, *(tuple(_word(row[column]) for column in COLUMNS) for row in rows)]
        widths = [max(len(row[index]) for row in shown) for index in range(len(COLUMNS))]
        for row in shown:
            self.stdout.write("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _row(relay: Relay) -> dict[str, Any]:
    return {
        "slug": relay.slug,
        "name": relay.name,
        "room": relay.room.name if relay.room else None,
        "board": relay.board.name,
        "line": relay.line,
        "wanted": relay.wanted,
        "actual": relay.actual_now,
        "until": relay.wanted_until.isoformat() if relay.wanted_until else None,
        "fault": relay.fault or None,
    }


def _word(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return "-" if value is None else str(value)
