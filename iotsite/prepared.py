"""Queries whose SQL is made once, from the models. Making it takes Django several times as long as SQLite takes to run
it, and every switch asks and writes the same few things.
"""

import threading
from collections.abc import Callable
from functools import cache
from inspect import signature
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import Field, Model, QuerySet
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
        self._take(values)
        return list(ModelIterable(self.rows))

    def _take(self, values: tuple[int | str, ...]) -> None:
        self.values = values
        if self.rows is None:
            self.rows = self._prepared()

    def _prepared(self) -> Any:
        """The queryset, made to keep its compiler (one for each thread, as its connection is), and that its work."""
        slots = [FIRST_SLOT + number for number in range(len(signature(self.ask).parameters))]
        places: dict[Any, int] = {shown: number for number, slot in enumerate(slots) for shown in (slot, str(slot))}
        rows = self.ask(*slots)
        compiler = rows.query.get_compiler(rows.db)
        sql, params = compiler.as_sql()
        compiler.as_sql = lambda *args, **options: (
            sql,
            tuple(self.values[places[param]] if param in places else param for param in params),
        )
        converters = compiler.get_converters([column[0] for column in compiler.select])
        compiler.get_converters = lambda expressions: converters
        rows.query.get_compiler = lambda *args, **options: compiler  # type: ignore[method-assign]
        return rows


class Kept(Prepared[M]):
    """The same; a row that is as it was at the last call is the same object, and not made anew."""

    def __init__(self, ask: Callable[..., QuerySet[M]]) -> None:
        super().__init__(ask)
        self.kept: dict[Any, M] = {}

    def __call__(self, *values: int | str) -> list[M]:
        self._take(values)
        compiler = self.rows.query.get_compiler()
        found = [row for chunk in type(compiler).execute_sql(compiler) for row in chunk]
        new = [row for row in found if row not in self.kept]
        compiler.execute_sql = lambda **options: [new]
        made = dict(zip(new, ModelIterable(self.rows), strict=True))
        self.kept = {row: made[row] if row in made else self.kept[row] for row in found}
        return list(self.kept.values())


def insert(row: Model) -> None:
    """``row.save()`` for a new row, within a transaction; its number is known afterwards."""
    sql, fields = _insertion(type(row))
    with connection.cursor() as cursor:
        cursor.execute(sql, [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields])
        row.pk = cursor.lastrowid
    row._state.adding, row._state.db = False, connection.alias


def update(row: Model, *names: str) -> None:
    """``row.save(update_fields=names)``, within a transaction."""
    sql, fields = _update(type(row), names)
    values = [field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*values, row.pk])


Fields = list["Field[Any, Any]"]


@cache
def _insertion(model: type[Model]) -> tuple[str, Fields]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(map(column, fields))
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns}) VALUES ({places})", fields  # noqa: S608


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, Fields]:
    fields: Fields = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    changes = ", ".join(f"{column(field)} = %s" for field in fields)
    key = column(model._meta.pk)
    return f"UPDATE {quoted(model._meta.db_table)} SET {changes} WHERE {key} = %s", fields  # noqa: S608


def column(field: "Field[Any, Any]") -> str:
    """As it stands in SQL."""
    return quoted(str(field.column))


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)
