"""What the command lines for people share: they start fast and fail with a sentence."""

import argparse
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError

from relays import durations
from relays.models import Board, Event, Relay
from relays.models.edits import EditedModel

VIA = Event.Via.COMMAND_LINE


class LineCommand(BaseCommand):
    """A command without system checks, whose refusals are sentences, never tracebacks."""

    requires_system_checks = []

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}. Has script/server been run here?") from error


def duration(text: str) -> timedelta:
    """An argparse type."""
    try:
        return durations.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def find_relay(name: str) -> Relay:
    try:
        return Relay.objects.called(name)
    except Relay.DoesNotExist as error:
        known = ", ".join(Relay.objects.values_list("name", flat=True)) or "none yet; add one with manage.py add_relay"
        raise CommandError(f"There is no relay “{name}”. Relays: {known}.") from error
    except Relay.MultipleObjectsReturned as error:
        raise CommandError(f"“{name}” is the name of one relay and the slug of another: use the other name.") from error


def find_board(name: str | None) -> Board:
    """The board of this name, or the only one."""
    boards = {board.name: board for board in Board.objects.all()}
    if name in boards:
        return boards[name]
    if name is None and len(boards) == 1:
        return next(iter(boards.values()))
    known = ", ".join(boards) or "none yet; add one with manage.py add_board"
    asked = "Say which board with --board" if name is None else f"There is no board “{name}”"
    raise CommandError(f"{asked}. Boards: {known}.")


def save(row: EditedModel) -> None:
    """Save a new row; its mistakes, one sentence a line."""
    from relays.door import name_of

    try:
        row.save_edited(by=None, via=VIA, who=name_of(None, VIA))
    except ValidationError as error:
        raise CommandError("\n".join(_sentences(error))) from error


def _sentences(error: ValidationError) -> list[str]:
    if not hasattr(error, "error_dict"):
        return list(error.messages)
    return [
        sentence if field == "__all__" else f"{field}: {sentence}"
        for field, sentences in error.message_dict.items()
        for sentence in sentences
    ]
