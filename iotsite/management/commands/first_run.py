"""Make a site that can be used out of whatever lies in DATA_DIR: manage.py first_run, which script/server runs."""

import secrets
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError, connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from accounts.models import User
from iotsite import database, schema
from relays.boards import BoardError, gpio
from relays.models import Board, Event, Interlock, Relay, Room

READABLE = "abcdefghijkmnpqrstuvwxyz23456789"
"""Without those that look like another one: l and 1, o and 0."""

HALF_A_SECOND = timedelta(milliseconds=500)
EXAMPLES: dict[str, list[dict[str, Any]]] = {
    "Living room": [
        {"name": "Porch lamp", "line": "GPIO17", "kind": Relay.Kind.LAMP},
        {"name": "Attic fan", "line": "GPIO27", "kind": Relay.Kind.FAN},
    ],
    "Garden": [
        {"name": "Garden pump", "line": "GPIO22", "kind": Relay.Kind.PUMP, "max_on": timedelta(hours=2)},
        {"name": "Gate", "line": "GPIO23", "kind": Relay.Kind.DOOR, "mode": Relay.Mode.MOMENTARY}
        | {"pulse": HALF_A_SECOND},
        {"name": "Awning out", "line": "GPIO24"},
        {"name": "Awning in", "line": "GPIO25"},
    ],
}
INTERLOCKED = ("Awning out", "Awning in")


class Command(BaseCommand):
    help = (
        "Migrate; make a board where there is none, and for a try-out an example port; make a user, say the password."
    )
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--without-examples", action="store_true", help="no simulated board and no example port")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            _refuse_newer_data()
            call_command("migrate", verbosity=0, interactive=False)
            self._need_board(has_examples=not options["without_examples"])
            self._need_user()
        except DatabaseError as error:
            raise CommandError(f"The database {database.path()} cannot be used: {error}.") from error
        except (BoardError, OSError) as error:
            raise CommandError(str(error)) from error

    def _need_user(self) -> None:
        if User.objects.exists():
            return
        password = "-".join("".join(secrets.choice(READABLE) for _ in range(4)) for _ in range(4))
        User.objects.create_superuser("admin", password=password)
        self.stdout.write(f"User: admin\nPassword: {password}")

    def _need_board(self, *, has_examples: bool) -> None:
        if Board.objects.exists():
            for board in Board.objects.enabled().filter(driver=Board.Driver.SIMULATED):
                self.stdout.write(f"“{board}” is simulated: nothing is switched for real.")
        elif gpio.find_chip() is not None:
            header = gpio.find_header(settings.RUN_DIR)
            board = Board(name="Raspberry Pi", driver=Board.Driver.GPIO, header=header)
            board.save_edited(by=None, via=Event.Via.COMMAND_LINE)
            self.stdout.write(f"GPIO header {header} found. It has no relay yet: the page /setup/ leads to the first.")
        elif has_examples:
            self.stdout.write("No GPIO header found: using a simulated board. Nothing is switched for real.")
            _make_simulated()
            self._load_example()
        else:
            self.stdout.write("No GPIO header found, and so no board made.")

    def _load_example(self) -> None:
        """A port to try, at the very first run only: whoever removed it is not asked again."""
        if User.objects.exists():
            return
        from ports import example  # only now: later starts do without all it needs
        from ports.refresh import RefreshError

        try:
            port = example.load()
        except (RefreshError, OSError) as error:
            self.stdout.write(f"The example port cannot be loaded: {error}")
        else:
            self.stdout.write(f"Example port: {port.name}, recorded on {port.now.astimezone(port.tzinfo):%-d %B %Y}.")


def _refuse_newer_data() -> None:
    """An older iotsite would read newer data wrongly: better not at all."""
    if not database.path().exists():
        return
    if newest := schema.newer(MigrationRecorder(connection).applied_migrations()):
        raise CommandError(
            f"The data in {settings.DATA_DIR} were written by a newer iotsite ({newest}): "
            "install that one, or name another folder with DATA_DIR. Nothing was changed."
        )


@transaction.atomic
def _make_simulated() -> None:
    """A simulated board with something to try."""
    board = Board(name="Simulated board", driver=Board.Driver.SIMULATED)
    _save(board)
    awning = Interlock(name="Awning", board=board, dead_time=HALF_A_SECOND)
    _save(awning)
    for position, (room_name, relays) in enumerate(EXAMPLES.items(), 1):
        room = Room.objects.get_or_create(name=room_name, defaults={"position": position})[0]
        for place, fields in enumerate(relays, 1):
            relay = Relay(board=board, room=room, position=place, polarity=Relay.Polarity.ACTIVE_LOW, **fields)
            relay.interlock = awning if relay.name in INTERLOCKED else None
            _save(relay)


def _save(made: Board | Interlock | Relay) -> None:
    made.save_edited(by=None, via=Event.Via.COMMAND_LINE)
