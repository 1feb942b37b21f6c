"""How a row of the database becomes a model."""

from collections.abc import Collection
from typing import Any, Self

from django.db.models.base import ModelState


class QuickRows:
    """For a model: its rows come without ``__init__`` and its signals, for which nobody listens here.

    Where many rows are read, or a few while somebody waits for a relay, that is the most of what reading them takes.
    """

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **_: Any) -> Self:
        made: Any = cls.__new__(cls)
        made._state = ModelState()
        made._state.adding, made._state.db = False, db
        vars(made).update(zip(field_names, values, strict=True))
        found: Self = made
        return found
