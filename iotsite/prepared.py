"""Queries whose SQL is made once, from the models. Making it takes Django several times as long as SQLite takes to run
it, and every switch asks and writes the same few things.
"""

from collections.abc import Callable
from functools import cache, cached_property
from inspect import signature
from typing import Any, Generic, TypeVar

from django.db import DEFAULT_DB_ALIAS, connections
from django.db.models import BooleanField, CharField, Field, ForeignKey, IntegerField, Model, QuerySet, TextField
from django.db.models.query import get_related_populators

M = TypeVar("M", bound=Model)

FIRST_SLOT = 7_340_000_001
"""Stands in the SQL where a value will; no number that a query of ours has in itself."""


class Prepared(Generic[M]):
    """``ask(…)`` gives a queryset; calling this with the same values gives its rows. Values are numbers or texts."""

    def __init__(self, ask: Callable[..., QuerySet[M]]) -> None:
        self.ask = ask

    def __call__(self, *values: int | str) -> list[M]:
        return [self._query.made(row) for row in self._query.rows(values)]

    @cached_property
    def _query(self) -> "_Query[M]":
        slots = [FIRST_SLOT + number for number in range(len(signature(self.ask).parameters))]
        return _Query(self.ask(*slots), slots)


class Kept(Prepared[M]):
    """The same, for one thread; a row that is as it was at the last call is the same object, and not made anew."""

    def __init__(self, ask: Callable[..., QuerySet[M]]) -> None:
        super().__init__(ask)
        self.kept: dict[Any, M] = {}

    def __call__(self, *values: int | str) -> list[M]:
        found = self._query.rows(values)
        self.kept = {row: self.kept.get(row) or self._query.made(row) for row in found}
        return list(self.kept.values())


class _Query(Generic[M]):
    """What of a queryset is the same for all values, and for all threads: its SQL, and how a row becomes a model."""

    def __init__(self, rows: QuerySet[M], slots: list[int]) -> None:
        self.db = rows.db
        compiler: Any = rows.query.get_compiler(self.db)
        self.sql, self.params = compiler.as_sql()
        self.places: dict[Any, int] = {shown: at for at, slot in enumerate(slots) for shown in (slot, str(slot))}
        self.converters = list(compiler.get_converters([column[0] for column in compiler.select]).items())
        own = compiler.klass_info["select_fields"]
        self.own = slice(own[0], own[-1] + 1)
        self.names = [column[0].target.attname for column in compiler.select[self.own]]
        self.model: type[M] = compiler.klass_info["model"]
        self.related = get_related_populators(compiler.klass_info, compiler.select, self.db)  # type: ignore[call-arg]
        self.annotated = compiler.annotation_col_map

    def rows(self, values: tuple[int | str, ...]) -> list[tuple[Any, ...]]:
        """As SQLite gives them."""
        params = [values[self.places[param]] if param in self.places else param for param in self.params]
        with connections[self.db].cursor() as cursor:
            cursor.execute(self.sql, params)
            found: list[tuple[Any, ...]] = cursor.fetchall()
        return found

    def made(self, row: tuple[Any, ...]) -> M:
        columns, connection = list(row), connections[self.db]
        for place, (converters, expression) in self.converters:
            for convert in converters:
                columns[place] = convert(columns[place], expression, connection)
        made = self.model.from_db(self.db, self.names, columns[self.own])
        for populator in self.related:
            populator.populate(columns, made)
        for name, place in self.annotated.items():
            setattr(made, name, columns[place])
        return made


def insert(row: Model) -> None:
    """``row.save()`` for a new row, within a transaction; its number is known afterwards."""
    sql, places = _insertion(type(row))
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        cursor.execute(sql, _stored(row, places, connection))
        row.pk = cursor.lastrowid
    row._state.adding, row._state.db = False, connection.alias


def update(row: Model, *names: str) -> None:
    """``row.save(update_fields=names)``, within a transaction."""
    sql, places = _update(type(row), names)
    connection = connections[DEFAULT_DB_ALIAS]
    with connection.cursor() as cursor:
        cursor.execute(sql, [*_stored(row, places, connection), row.pk])


Fields = list["Field[Any, Any]"]

Places = list[tuple[str, Callable[[Any, Any], Any] | None]]
"""Where in a row the value of each field stands, and what makes of it what the database keeps."""

PLAIN = (BooleanField, CharField, ForeignKey, IntegerField, TextField)
"""Whose values SQLite takes as they are."""


def _stored(row: Model, places: Places, connection: Any) -> list[Any]:
    """The values in these places as the database keeps them."""
    values = vars(row)
    return [prepare(values[name], connection) if prepare else values[name] for name, prepare in places]


def _places(fields: Fields) -> Places:
    return [(field.attname, None if isinstance(field, PLAIN) else field.get_db_prep_save) for field in fields]


@cache
def _insertion(model: type[Model]) -> tuple[str, Places]:
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    columns = ", ".join(map(column, fields))
    places = ", ".join(["%s"] * len(fields))
    return f"INSERT INTO {quoted(model._meta.db_table)} ({columns}) VALUES ({places})", _places(fields)  # noqa: S608


@cache
def _update(model: type[Model], names: tuple[str, ...]) -> tuple[str, Places]:
    fields: Fields = [model._meta.get_field(name) for name in names]  # type: ignore[misc]
    changes = ", ".join(f"{column(field)} = %s" for field in fields)
    key = column(model._meta.pk)
    return f"UPDATE {quoted(model._meta.db_table)} SET {changes} WHERE {key} = %s", _places(fields)  # noqa: S608


def column(field: "Field[Any, Any]") -> str:
    """As it stands in SQL."""
    return quoted(str(field.column))


def quoted(name: str) -> str:
    return connections[DEFAULT_DB_ALIAS].ops.quote_name(name)
