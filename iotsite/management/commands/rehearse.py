"""Try this version on a copy of the data: manage.py rehearse, which script/update runs before it touches anything."""

import logging
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor

from iotsite import backup, database, places, schema
from relays.boards import BoardError, open_board
from relays.controller import Controller
from relays.models import Board

RECORDED_WITHIN = 10.0


class Command(BaseCommand):
    help = (
        "Migrate a copy of the data, and let a controller of each board serve simulated lines with it. "
        "Prints the migrations that are missing in the data themselves, which stay as they are."
    )
    requires_system_checks = []  # they come once nothing can reach the data themselves

    def handle(self, *args: Any, **options: Any) -> None:
        data, run = settings.DATA_DIR / "rehearsal", settings.RUN_DIR / "rehearsal"
        try:
            # That of an update that was killed may still be under way.
            with places.one_at_a_time(settings.RUN_DIR / "rehearsal.lock"), _folders(data, run):
                _copy(database.path(), data / "db.sqlite3")
                _move_to(data, run)
                self._rehearse()
        except (BoardError, DatabaseError, sqlite3.Error, OSError) as error:
            raise CommandError(f"This version cannot use a copy of the data: {error}") from error

    def _rehearse(self) -> None:
        self.check()
        migrations = MigrationExecutor(connection)
        if newest := schema.newer(migrations.loader.applied_migrations):
            raise CommandError(f"The data were written by a newer iotsite ({newest}): this one cannot use them.")
        for migration, _ in migrations.migration_plan(migrations.loader.graph.leaf_nodes()):
            self.stdout.write(f"{migration.app_label}.{migration.name}")
        call_command("migrate", verbosity=0, interactive=False)
        logging.disable()  # of a controller that only plays
        for board in Board.objects.enabled():
            _serve(board)


@contextmanager
def _folders(*folders: Path) -> Iterator[None]:
    """Empty folders, for as long as it takes."""
    try:
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)  # what a kill left
            places.private_folder(folder)
        yield
    finally:
        connection.close()
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)


def _copy(source: Path, copy: Path) -> None:
    copy.touch(mode=0o600)
    with closing(backup.connect(source, "ro")) as reading, closing(backup.connect(copy)) as writing:
        writing.execute("PRAGMA synchronous=OFF")  # it is gone in a minute
        backup.copy_all(reading, writing)


def _move_to(data: Path, run: Path) -> None:
    """From here on this process knows the copy only; nothing has asked the database anything yet."""
    settings.DATA_DIR, settings.RUN_DIR = data, run
    connection.settings_dict["NAME"] = f"{database.path().as_uri()}?mode=rw"


def _serve(board: Board) -> None:
    """What a controller does at its start, with all that the board has, on lines that move nothing."""
    files = board.files
    controller = Controller(board, open_board(Board.Driver.SIMULATED, files), files, files.take_lock())
    controller.recorder.start()
    controller.begin()
    problem = controller.recorder.problem if controller.recorder.drain(RECORDED_WITHIN) else "records wait for ever"
    if not controller.has_rows or problem:
        raise BoardError(f"The controller of {board} {problem or 'could not read its rows'}.")
