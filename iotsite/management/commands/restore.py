"""manage.py restore FILE [--in-place]"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from iotsite import inplace, restore
from relays import foreseen
from relays.models import Relay

IN_PLACE = "No relay moves: what is wanted of each is what it was before. Everything else is as it was in the backup."
AS_IT_WAS = (
    "Passwords, tokens and sessions are those of the backup: what was withdrawn since is good again. "
    "What is wanted of each relay is what was wanted then."
)


class Command(BaseCommand):
    help = "Put a backup in the place of the database, and keep what was there. No relay moves by that."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", type=Path, help="a backup; or a bare db.sqlite3, as in before-restore-…")
        parser.add_argument(
            "--in-place",
            action="store_true",
            help="while controllers run: into the living database; what is wanted of each relay stays as it is",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        is_in_place = options["in_place"]
        try:
            (inplace.refuse_while_others_write if is_in_place else restore.refuse_while_in_use)()
            with restore.made_ready(options["file"].absolute()) as ready:
                has_other_key = restore.has_other_key(ready)
                kept = (inplace.overwrite if is_in_place else restore.exchange)(ready)
        except restore.RestoreError as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"Restored: {ready.source}.")
        if kept:
            self.stdout.write(f"What it replaced is kept in {kept}.")
        if has_other_key:
            self.stdout.write("SECRET_KEY is another one than the backup's: the secret addresses of calendars changed.")
        self.stdout.write(IN_PLACE if is_in_place else AS_IT_WAS)
        if not is_in_place:
            self._foresee()

    def _foresee(self) -> None:
        """No relay moves before a controller starts: say what it will do then."""
        try:
            now, booted = (names(foreseen.on_at_start(after_boot=after_boot)) for after_boot in (False, True))
        finally:
            connection.close()
        self.stdout.write(f"No relay moves until the controller is started. On after that: {now}.")
        if booted != now:
            self.stdout.write(f"On if this machine is booted before that: {booted}.")


def names(relays: Iterable[Relay]) -> str:
    return ", ".join(relay.name for relay in relays) or "none"
