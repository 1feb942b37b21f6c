"""The controller of one board: manage.py run_relays [--board NAME | --number N]."""

import gc
import logging
import os
import signal
import sys
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError

from iotsite.checkpoint import Checkpointer
from relays import controller
from relays.boards import BoardError, open_board
from relays.models import Board
from relays.runfiles import LockHeldError

log = logging.getLogger("relays.controller")


class Command(BaseCommand):
    help = "Own the lines of a board and make them follow what is wanted. Needs no other process to run."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        which = parser.add_mutually_exclusive_group()
        which.add_argument("--board", help="its name; may be left out where only one board is enabled")
        which.add_argument("--number", type=int, help="its number instead, which no new name changes")

    def handle(self, *args: Any, **options: Any) -> None:
        board = self._board(options["board"], options["number"])
        files = board.files
        try:
            lock = files.take_lock()
        except LockHeldError as error:
            raise CommandError(
                f"{board.name} is served already, by the controller with pid {error.holder}: stop that one first."
            ) from error
        ear, mouth = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(mouth, warn_on_full_buffer=False)
        try:
            driver = open_board(board.driver, files)
        except BoardError as error:
            raise CommandError(str(error)) from error
        serving = controller.Controller(board, driver, files, lock)
        try:
            Checkpointer(keeps_lock=True).start()
            serving.recorder.start()
            serving.begin()
            gc.freeze()  # what lives as long as the process need not be looked through for garbage
            if serving.run(ear):
                serving.upgrade([*_newest(), "run_relays", "--number", str(board.pk)])
            serving.stop()
        except Exception:
            log.exception("board=%s end=crash pid=%s", board, os.getpid())
            _leave(1)
        _leave(0)

    def _board(self, name: str | None, number: int | None) -> Board:
        try:
            boards = list(Board.objects.enabled())
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}. Run manage.py migrate first.") from error
        is_said = name is not None or number is not None
        found = [board for board in boards if not is_said or name == board.name or number == board.pk]
        if len(found) == 1:
            return found[0]
        known = ", ".join(board.name for board in boards) or "none; add one with manage.py add_board"
        which = f"“{name}”" if number is None else f"with the number {number}"
        asked = f"There is no enabled board {which}" if is_said else "Say which board with --board"
        raise CommandError(f"{asked}. Enabled boards: {known}.", returncode=2)


def _newest() -> list[str]:
    """What starts the newest manage.py: the one of the release in use, where releases lie side by side (deploy/)."""
    current = settings.BASE_DIR.parent.parent / "current"
    if not (settings.IS_INSTALLED and current.exists()):
        return [sys.executable, sys.argv[0]]
    release = current.resolve()
    return [str(release / ".venv" / "bin" / "python"), str(release / "manage.py")]


def _leave(status: int) -> None:
    """End without any clean-up: gpiozero's would let every pin float; the kernel holds what we leave."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
