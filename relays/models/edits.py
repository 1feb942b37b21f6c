"""Edits leave a trace: one Event for each field that changed, saying who, from and to."""

from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar, Self

from django.core.exceptions import ValidationError
from django.db import models, transaction

from iotsite import database
from iotsite.rows import QuickRows
from relays import durations, wakeup
from relays.models.event import Event

if TYPE_CHECKING:
    from accounts.models import User
    from relays.models.board import Board
    from relays.models.relay import Relay


class EditedModel(QuickRows, models.Model):
    """What a person may edit. Saves those fields only, so that an edit never writes over what is wanted or so."""

    EDITABLE: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def event_target(self) -> "tuple[Board, Relay | None]":
        raise NotImplementedError

    def stored(self) -> Self | None:
        """The row as the database has it; None for a new one."""
        return type(self)._default_manager.filter(pk=self.pk).first() if self.pk else None

    def changed_fields(self, before: Self) -> list[str]:
        return [name for name in self.EDITABLE if getattr(self, name) != getattr(before, name)]

    def save_edited(self, *, by: "User | None", via: str, who: str = "") -> None:
        """Check and save what was edited, with an Event for each changed field; ValidationError where it may not be.

        A new row leaves no Event, so that one made by mistake can be deleted.
        """
        with transaction.atomic():
            database.check()
            before = self.stored()
            if before is None and not self._state.adding:
                raise ValidationError(f"{self} was deleted meanwhile.")
            self.full_clean()
            if before is None:
                self.save()
                wakeup.wake_after_commit(self.event_target()[0].pk)
                return
            changed = self.changed_fields(before)
            self.save(update_fields=changed)
            for name in changed:
                label = str(self._meta.get_field(name).verbose_name)  # type: ignore[union-attr]
                self._record(by, via, who, label, before.shown(name), self.shown(name))

    def _record(self, by: "User | None", via: str, who: str, field: str, was: str, became: str) -> None:
        board, relay = self.event_target()
        Event.objects.create(
            kind=Event.Kind.EDITED,
            board=board,
            relay=relay,
            by=by,
            who=who or (by.get_username() if by else ""),
            via=via,
            field=str(field)[:100],
            was=was[:300],
            became=became[:300],
        )
        wakeup.wake_after_commit(board.pk)

    def shown(self, name: str) -> str:
        """The value of a field as a person reads it."""
        display: Any = getattr(self, f"get_{name}_display", None)
        value = display() if display else getattr(self, name)
        if value is None:
            return ""
        if isinstance(value, bool):
            return "yes" if value else "no"
        return durations.exact(value) if isinstance(value, timedelta) else str(value)
