"""manage.py backup [--to DIR] [--keep 14]"""

import argparse
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from iotsite import backup, places


def how_many(text: str) -> int:
    """An argparse type."""
    if not (text.isascii() and text.isdecimal() and 1 <= int(text) <= 100_000):
        raise argparse.ArgumentTypeError(f"“{text}” is not a number of backups: give 1 or more.")
    return int(text)


class Command(BaseCommand):
    help = "Back up the database and its key into one checked file, while everything runs; the first line is its path."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--to", type=Path, metavar="DIR", help="a folder that is there (default: DATA_DIR/backups)")
        parser.add_argument("--keep", type=how_many, default=14, help="how many backups stay in it (default 14)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            folder = _folder(options["to"])
            made = backup.make(folder)
        except (backup.BackupError, places.PlaceError) as error:
            raise CommandError(str(error)) from error
        self.stdout.write(f"{made}\n{backup.megabytes(made.stat().st_size)}, checked.")
        try:
            gone = backup.rotate(folder, options["keep"], made)
        except OSError as error:
            raise CommandError(f"It is made, but an old one cannot be removed: {error.strerror}.") from error
        for path in gone:
            self.stdout.write(f"Removed, older than the {options['keep']} newest: {path.name}")


def _folder(asked: Path | None) -> Path:
    """Where to: a folder that somebody names is never made, since what it should lie on may not be mounted."""
    if asked is None:
        return places.private_folder(settings.DATA_DIR / "backups")
    if not asked.is_dir():
        raise backup.BackupError(f"There is no folder {asked}: make it, or mount what it lies on.")
    return asked.resolve()
