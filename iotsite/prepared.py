"""Queries whose SQL is made once, from the models. Making it takes Django several times as long as SQLite takes to run
it, and every switch asks and writes the same few things.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from inspect import signature
from operator import attrgetter
from typing import Any, Generic, TypeVar

from django.db import connection
from django.db.models import DateTimeField, Field, JSONField, Model, QuerySet
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


def insert_all(rows: Sequence[Model]) -> None:
    """``bulk_create`` for many new rows of one model, within a transaction; their numbers are known afterwards.

    Django's takes ten times as long as the database, most of it over each value.
    """
    for some in _batches(rows):
        sql, fields, values_of = _many(type(rows[0]), has_keys=False)
        places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(some))
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} VALUES {places} RETURNING {_column(rows[0]._meta.pk)}", values_of(some))
            for row, (number,) in zip(some, cursor.fetchall(), strict=True):
                row.pk = number
                row._state.adding, row._state.db = False, connection.alias


def update_all(rows: Sequence[Model]) -> None:
    """``row.save()`` for many rows of one model that are there, within a transaction, in their order."""
    for some in _batches(rows):
        sql, fields, values_of = _many(type(rows[0]), has_keys=True)
        places = ", ".join([f"({', '.join(['%s'] * len(fields))})"] * len(some))
        changes = ", ".join(f"{_column(field)} = excluded.{_column(field)}" for field in fields)
        key = _column(rows[0]._meta.pk)
        with connection.cursor() as cursor:
            cursor.execute(f"{sql} VALUES {places} ON CONFLICT ({key}) DO UPDATE SET {changes}", values_of(some))


AT_ONCE = 200
"""Rows in one statement: a database takes some 32,000 values in one."""


def _batches(rows: Sequence[M]) -> Iterator[Sequence[M]]:
    return (rows[first : first + AT_ONCE] for first in range(0, len(rows), AT_ONCE))


Fields = list["Field[Any, Any]"]


@cache
def _many(model: type[Model], *, has_keys: bool) -> tuple[str, Fields, Callable[[Sequence[Model]], list[Any]]]:
    """The beginning of a statement for many rows, its fields, and how their values are got ready for the database."""
    fields = [field for field in model._meta.concrete_fields if has_keys or not field.primary_key]
    get = attrgetter(*(field.attname for field in fields))
    moments = [number for number, field in enumerate(fields) if isinstance(field, DateTimeField)]
    documents = [(number, field) for number, field in enumerate(fields) if isinstance(field, JSONField)]

    def all_ready(rows: Sequence[Model]) -> list[Any]:
        adapt = connection.ops.adapt_datetimefield_value
        ready: list[Any] = []
        for row in rows:
            values = list(get(row))
            for number in moments:
                values[number] = adapt(values[number])
            for number, field in documents:
                values[number] = field.get_db_prep_save(values[number], connection)
            ready += values
        return ready

    columns = ", ".join(map(_column, fields))
    return f"INSERT INTO {_quoted(model._meta.db_table)} ({columns})", fields, all_ready


@cache
def _insertion(model: type[Model]) -> tuple[str, Fields]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(map(_column, fields))
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {_quoted(model._meta.db_table)} ({columns}) VALUES ({places})", fields  # noqa: S608


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, Fields]:
    fields: Fields = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    changes = ", ".join(f"{_column(field)} = %s" for field in fields)
    key = _column(model._meta.pk)
    return f"UPDATE {_quoted(model._meta.db_table)} SET {changes} WHERE {key} = %s", fields  # noqa: S608


def _column(field: "Field[Any, Any]") -> str:
    return _quoted(str(field.column))


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
