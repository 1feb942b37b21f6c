"""manage.py switch NAME on|off|press [--for 10m] [--wait 2]"""

import argparse
import sys
from typing import Any

from django.core.management.base import CommandParser

from relays import door
from relays.door import RelayError
from relays.management.line import VIA, LineCommand, duration, find_relay
from relays.models import Event, Relay

STATUS = {"applied": 0, "pending": 3, "refused": 4, "superseded": 4, "failed": 5}
LONGEST_WAIT = 60.0


def seconds(text: str) -> float:
    """An argparse type."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= LONGEST_WAIT:
        raise argparse.ArgumentTypeError(f"“{text}” is not a wait: give seconds, 0 to {LONGEST_WAIT:.0f}.")
    return found


class Command(LineCommand):
    help = "Switch or press a relay, through the same door as the pages."
    epilog = "Exit status: 0 applied, 3 pending, 4 refused or superseded, 5 failed."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = self.epilog
        parser.add_argument("name", help="the relay's name or slug")
        parser.add_argument("what", choices=["on", "off", "press"])
        parser.add_argument("--for", dest="lasting", type=duration, metavar="DURATION", help="on for so long: 10m")
        parser.add_argument("--wait", type=seconds, default=2.0, help="seconds to wait for the pin (default 2)")

    def handle(self, *args: Any, **options: Any) -> None:
        relay = find_relay(options["name"])
        try:
            event = self._ask(relay, options)
        except RelayError as error:
            self._say(relay, "refused", error.sentence)
        else:
            outcome = door.wait_for(event, options["wait"])
            self._say(relay, outcome.word, outcome.sentence)

    def _ask(self, relay: Relay, options: dict[str, Any]) -> Event:
        lasting = options["lasting"]
        if options["what"] == "press":
            if lasting:
                raise RelayError("press_with_duration", "A press takes no duration: the relay has a pulse of its own.")
            return relay.press(by=None, via=VIA)
        return relay.switch(options["what"] == "on", by=None, via=VIA, lasting=lasting)

    def _say(self, relay: Relay, word: str, sentence: str) -> None:
        line = f"{relay.name}: {word}" + (f": {sentence}" if sentence else "")
        (self.stdout if word == "applied" else self.stderr).write(line)
        if STATUS[word]:
            sys.exit(STATUS[word])
