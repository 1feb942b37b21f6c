"""manage.py add_relay NAME --board BOARD --line GPIO17 --active-low|--active-high [--room R] [--momentary 500ms] …"""

from typing import Any

from django.core.management.base import CommandParser
from django.db import transaction

from relays import header
from relays.management.line import LineCommand, duration, find_board, save
from relays.models import Relay, Room


class Command(LineCommand):
    help = "Add a relay. Nothing moves: it starts off."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name")
        parser.add_argument("--board", help="may be left out where there is only one")
        parser.add_argument("--line", required=True, help="GPIO17, or the header's pin J8:11")
        polarity = parser.add_mutually_exclusive_group(required=True)
        polarity.add_argument("--active-low", action="store_true", help="on when the pin is low (most relay boards)")
        polarity.add_argument("--active-high", action="store_true", help="on when the pin is high")
        parser.add_argument("--room", help="made if it is new")
        parser.add_argument("--kind", choices=Relay.Kind.values, default=Relay.Kind.OTHER)
        parser.add_argument("--momentary", type=duration, metavar="PULSE", help="only ever pressed, for this long")
        parser.add_argument("--power-up", choices=Relay.PowerUp.values, default=Relay.PowerUp.OFF)
        for name in ("--on-stop", "--on-lost"):
            parser.add_argument(name, choices=Relay.End.values, default=Relay.End.OFF)
        for name in ("--max-on", "--min-on", "--min-off"):
            parser.add_argument(name, type=duration, metavar="DURATION")

    def handle(self, *args: Any, **options: Any) -> None:
        pulse = options["momentary"]
        relay = Relay(
            name=options["name"],
            board=find_board(options["board"]),
            line=options["line"],
            polarity=Relay.Polarity.ACTIVE_LOW if options["active_low"] else Relay.Polarity.ACTIVE_HIGH,
            mode=Relay.Mode.MOMENTARY if pulse else Relay.Mode.SWITCH,
            pulse=pulse,
            **{
                name: options[name]
                for name in ("kind", "power_up", "on_stop", "on_lost", "max_on", "min_on", "min_off")
            },
        )
        with transaction.atomic():
            if options["room"]:
                relay.room, _ = Room.objects.get_or_create(name=options["room"])
            save(relay)
        self.stdout.write(f"{relay} is added on {relay.line}. Try it: manage.py switch {relay.slug} on --for 1s")
        if warning := header.warning(relay.line):
            self.stderr.write(warning)
