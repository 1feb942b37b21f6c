"""manage.py add_board NAME --driver gpio|simulated"""

from typing import Any

from django.core.management.base import CommandParser

from iotsite import starting
from relays.management.line import LineCommand, save
from relays.models import Board


class Command(LineCommand):
    help = "Add a board: the header of this Raspberry Pi (gpio), or a simulated one."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--driver", required=True, choices=Board.Driver.values)
        parser.add_argument("--header", choices=Board.Header.values, default=Board.Header.J8, help="nearly always J8")

    def handle(self, *args: Any, **options: Any) -> None:
        board = Board(name=options["name"], driver=options["driver"], header=options["header"])
        save(board)
        self.stdout.write(f"{board} is added. Its controller starts with {' or '.join(starting.controller(board.pk))}.")
