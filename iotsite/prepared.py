"""Queries whose SQL Django makes once. Making it takes several times as long as SQLite takes to run it, and a switch
asks the same few questions each time.
"""

import threading
from collections.abc import Callable
from inspect import signature
from typing import Any, Generic, TypeVar

from django.db.models import Model, QuerySet
from django.db.models.query import ModelIterable

M = TypeVar("M", bound=Model)

FIRST_SLOT = 7_340_000_001
"""Stands in the SQL where a value will; no number that a query of ours has in itself."""


class Prepared(threading.local, Generic[M]):
    """``ask(…)`` gives a queryset; calling this with the same values gives its rows. Values are numbers or texts."""

    def __init__(self, ask: Callable[..., QuerySet[M]]) -> None:
        self.ask = ask
        self.rows: Any = None

    def __call__(self, *values: int | str) -> list[M]:
        self.values = values
        if self.rows is None:
            self.rows = self._prepared()
        return list(ModelIterable(self.rows))

    def _prepared(self) -> Any:
        """The queryset, which keeps its compiler (one for each thread, as its connection is), and that its SQL."""
        slots = [FIRST_SLOT + number for number in range(len(signature(self.ask).parameters))]
        places: dict[Any, int] = {shown: number for number, slot in enumerate(slots) for shown in (slot, str(slot))}
        rows = self.ask(*slots)
        compiler = rows.query.get_compiler(rows.db)
        sql, params = compiler.as_sql()
        compiler.as_sql = lambda *args, **options: (
            sql,
            tuple(self.values[places[param]] if param in places else param for param in params),
        )
        rows.query.get_compiler = lambda *args, **options: compiler  # type: ignore[method-assign]
        return rows
