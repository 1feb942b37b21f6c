"""Makes the database, and owns the pins: python -m bench.plain.controller."""

import os
import select
import socket
from contextlib import suppress
from hashlib import sha256
from typing import Any

import django

TOKEN = "plain"
RELAYS = 16


def make() -> None:
    from django.core.management import call_command

    from bench.plain.models import Relay, Token

    call_command("migrate", run_syncdb=True, verbosity=0)
    Token.objects.create(digest=sha256(TOKEN.encode()).hexdigest())
    Relay.objects.bulk_create(Relay(slug=f"relay-{number}", line=f"GPIO{number + 4}") for number in range(RELAYS))


def apply(board: Any) -> None:
    """Bring the pins to what is wanted, and write down how they are."""
    from django.db import transaction
    from django.db.models import F

    from bench.plain.models import Event, Relay

    with transaction.atomic():
        for relay in Relay.objects.exclude(wanted=F("actual")):
            board.write(relay.line, relay.wanted)
            relay.actual = board.read(relay.line)
            relay.save(update_fields=["actual"])
            Event.objects.create(relay=relay, of_id=relay.command, outcome="applied")


def main() -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "bench.plain.settings"
    django.setup()
    make()

    from django.conf import settings

    from bench.plain.models import Relay
    from relays.boards.simulated import Simulated
    from relays.runfiles import BoardFiles

    board = Simulated(BoardFiles(settings.RUN_DIR, 1))
    for relay in Relay.objects.all():
        board.claim(relay.line, False, active_low=True)
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    mailbox.bind(os.fspath(settings.RUN_DIR / "controller"))
    while True:
        waiting = {mailbox.recvfrom(100)[1]}
        while select.select([mailbox], [], [], 0)[0]:
            waiting.add(mailbox.recvfrom(100)[1])
        apply(board)
        for address in waiting:
            with suppress(ConnectionRefusedError):  # it did not wait
                mailbox.sendto(b"{}", address)


if __name__ == "__main__":
    main()
