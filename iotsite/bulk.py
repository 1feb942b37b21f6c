"""Many rows of one model written at once, within a transaction of the caller's; many values asked for in few queries.

Django's ``bulk_create`` and ``bulk_update`` take ten times as long as the database, most of it over each value.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import cache
from itertools import islice
from operator import attrgetter
from typing import Any, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.models import DateTimeField, Field, JSONField, Model

from iotsite.prepared import column, quoted

AT_ONCE = 200
"""Rows in one statement: a database takes some 32,000 values."""


ASKED_AT_ONCE = 900
"""Values in one query."""

T = TypeVar("T")


def chunks(values: Iterable[T], size: int = ASKED_AT_ONCE) -> Iterator[list[T]]:
    """``values`` in lists that a query takes."""
    rest = iter(values)
    while chunk := list(islice(rest, size)):
        yield chunk


def insert_all(rows: Sequence[Model]) -> None:
    """``row.save()`` for new rows; their numbers are known afterwards."""
    database = _database()
    for first in range(0, len(rows), AT_ONCE):
        some = rows[first : first + AT_ONCE]
        begin, end, row_of_places, values_of = _insertion(type(some[0]))
        values = [value for row in values_of(some, database) for value in row]
        with database.cursor() as cursor:
            cursor.execute(f"{begin} {', '.join([row_of_places] * len(some))} {end}", values)
            for row, (number,) in zip(some, cursor.fetchall(), strict=True):
                row.pk = number
                row._state.adding, row._state.db = False, database.alias


def update_all(rows: Sequence[Model], *names: str) -> None:
    """``row.save(update_fields=names)`` for rows that are there, in their order."""
    if rows:
        database = _database()
        sql, values_of = _update(type(rows[0]), names)
        told = [[*values, row.pk] for values, row in zip(values_of(rows, database), rows, strict=True)]
        with database.cursor() as cursor:
            cursor.executemany(sql, told)


def _database() -> BaseDatabaseWrapper:
    """The connection itself: each look through ``django.db.connection`` takes longer than to get a value ready."""
    return connections[DEFAULT_DB_ALIAS]


Values = Callable[[Sequence[Model], BaseDatabaseWrapper], Iterator[list[Any]]]


@cache
def _insertion(model: type[Model]) -> tuple[str, str, str, Values]:
    """The statement before and after the values, the places of one row, and how the rows' values are got ready."""
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    begin = f"INSERT INTO {quoted(model._meta.db_table)} ({', '.join(map(column, fields))}) VALUES"
    places = ", ".join(["%s"] * len(fields))
    return begin, f"RETURNING {column(model._meta.pk)}", f"({places})", _values(fields)


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, Values]:
    fields: list[Field[Any, Any]] = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    changes = ", ".join(f"{column(field)} = %s" for field in fields)
    table, key = quoted(model._meta.db_table), column(model._meta.pk)
    return f"UPDATE {table} SET {changes} WHERE {key} = %s", _values(fields)  # noqa: S608


def _values(fields: "Sequence[Field[Any, Any]]") -> Values:
    """How the values of rows are got ready for the database: only moments and documents are not as they are.

    What a row belongs to may have got its number only after it was given to the row.
    """
    names = [field.attname for field in fields]
    get: Callable[[Model], Any] = attrgetter(*names) if len(names) > 1 else lambda row: (getattr(row, names[0]),)
    moments = [number for number, field in enumerate(fields) if isinstance(field, DateTimeField)]
    keys = [(field.name, field.attname) for field in fields if field.is_relation]
    documents = [(number, field) for number, field in enumerate(fields) if isinstance(field, JSONField)]

    def values_of(rows: Sequence[Model], database: BaseDatabaseWrapper) -> Iterator[list[Any]]:
        @cache
        def adapted(moment: datetime, fold: int) -> Any:
            return database.ops.adapt_datetimefield_value(moment)

        dumped: dict[tuple[int, str], Any] = {}
        for row in rows:
            for name, attname in keys:
                if related := row._state.fields_cache.get(name):
                    vars(row)[attname] = related.pk
            values = list(get(row))
            for number in moments:
                if moment := values[number]:
                    # To Python the hour that a night in autumn has twice is the same both times, but for its fold.
                    values[number] = adapted(moment, moment.fold)
            for number, field in documents:
                told = number, repr(values[number])
                if told not in dumped:
                    dumped[told] = field.get_db_prep_save(values[number], database)
                values[number] = dumped[told]
            yield values

    return values_of
