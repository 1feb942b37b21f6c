"""The controller of one board: manage.py run_relays [--board NAME]."""

import gc
import logging
import os
import signal
import sys
from typing import Any

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
        parser.add_argument("--board", help="its name; may be left out where only one board is enabled")

    def handle(self, *args: Any, **options: Any) -> None:
        board = self._board(options["board"])
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
                serving.upgrade([sys.executable, sys.argv[0], "run_relays", "--board", serving.board.name])
            serving.stop()
        except Exception:
            log.exception("board=%s end=crash pid=%s", board, os.getpid())
            _leave(1)
        _leave(0)

    def _board(self, name: str | None) -> Board:
        try:
            boards = {board.name: board for board in Board.objects.enabled()}
        except DatabaseError as error:
            raise CommandError(f"The database cannot be read: {error}. Run manage.py migrate first.") from error
        if name is None and len(boards) == 1:
            return next(iter(boards.values()))
        if name in boards:
            return boards[name]
        known = ", ".join(boards) or "none; add one with manage.py add_board"
        asked = "Say which board with --board" if name is None else f"There is no enabled board “{name}”"
        raise CommandError(f"{asked}. Enabled boards: {known}.", returncode=2)


def _leave(status: int) -> None:
    """End without any clean-up: gpiozero's would let every pin float; the kernel holds what we leave."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(status)
