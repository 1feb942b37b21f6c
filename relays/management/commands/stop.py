"""manage.py stop [--reset]"""

from typing import Any

from django.core.management.base import CommandError, CommandParser

from relays import door
from relays.door import RelayError
from relays.management.line import VIA, LineCommand


class Command(LineCommand):
    help = "Stop everything: every relay off, and no on until it is reset. Works without the database too."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--reset", action="store_true", help="let relays be switched again; restores nothing")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            if options["reset"]:
                door.reset_stop(by=None, via=VIA)
                self.stdout.write("The stop is reset. What was on stays off until you switch it on.")
            else:
                left = door.stop_everything(by=None, via=VIA)
                self.stdout.write(left or "Everything is stopped. Nothing goes on until: manage.py stop --reset")
        except RelayError as error:
            raise CommandError(error.sentence) from error
