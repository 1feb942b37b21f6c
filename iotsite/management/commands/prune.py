"""manage.py prune [--dry-run] [--json] [--trust-clock]"""

import json
import sys
import time
from typing import Any

from django.core.management.base import CommandParser
from django.utils import timezone

from iotsite.checkpoint import Checkpointer
from iotsite.histories import HISTORIES, History
from iotsite.pruning import PAUSE, Pruning, Quiet
from relays.management.line import LineCommand

INTERRUPTED = 130


class Command(LineCommand):
    help = "Take away what is older than KEEP_EVENTS, KEEP_CHANGES and KEEP_REFRESHES say. A running site does it too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "Exit status: 0 done; 1 where something was left because the clock may be wrong."
        parser.add_argument("--dry-run", action="store_true", help="say how much would go, change nothing")
        parser.add_argument("--json", action="store_true", help="an object with one for each history")
        parser.add_argument("--trust-clock", action="store_true", help="the date is right, whatever it looks like")

    def handle(self, *args: Any, **options: Any) -> None:
        pruning = Pruning(trust_clock=options["trust_clock"])
        is_whole = True
        if options["dry_run"]:
            pruning.counts |= pruning.would_go()
        else:
            is_whole = _take_all(pruning)
        self._say(pruning, is_dry=options["dry_run"], as_json=options["json"])
        if not is_whole:
            sys.exit(INTERRUPTED)
        if pruning.doubts:
            for doubt in pruning.doubts:
                self.stderr.write(doubt)
            self.stderr.write(f"If it is {pruning.now:%-d %B %Y} indeed, add --trust-clock.")
            sys.exit(1)

    def _say(self, pruning: Pruning, *, is_dry: bool, as_json: bool) -> None:
        if as_json:
            items = {history.name: _item(history, pruning) for history in HISTORIES}
            self.stdout.write(json.dumps({**items, "is_dry_run": is_dry}, indent=2))
            return
        for history in HISTORIES:
            self.stdout.write(_line(history, pruning, "would go" if is_dry else "taken away"))


def _take_all(pruning: Pruning) -> bool:
    """Bite after bite, whenever nobody writes; False where the user has had enough."""
    quiet, checkpointer = Quiet(), Checkpointer(keeps_lock=False)
    try:
        while True:
            checkpointer.look()  # where nobody else does it
            if quiet.has_come() and not pruning.bite():
                return True
            time.sleep(PAUSE)
    except KeyboardInterrupt:
        return False


def _line(history: History, pruning: Pruning, what: str) -> str:
    cutoff, number = history.cutoff(pruning.now), pruning.counts[history.name]
    if cutoff is None:
        return f"{history.name}: kept for ever ({history.setting} is 0)"
    said = f"{number:,}" if number else "none"
    return f"{history.name}: {said} {what}, of those from before {timezone.localtime(cutoff):%-d %B %Y}"


def _item(history: History, pruning: Pruning) -> dict[str, Any]:
    cutoff = history.cutoff(pruning.now)
    return {
        "count": pruning.counts[history.name],
        "days": history.days,
        "before": cutoff.isoformat() if cutoff else None,
    }
