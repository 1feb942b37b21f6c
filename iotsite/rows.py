"""How a row of the database becomes a model, and how a new one is made."""

from collections.abc import Callable, Collection
from functools import cache
from typing import Any, Self

from django.db.models.base import ModelState


class QuickRows:
    """For a model: its rows come without ``__init__`` and its signals, for which nobody listens here.

    Where many rows are read or made, or a few while somebody waits for a relay, that is the most of what it takes.
    """

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **_: Any) -> Self:
        made: Any = cls.__new__(cls)
        made._state = ModelState()
        made._state.adding, made._state.db = False, db
        vars(made).update(zip(field_names, values, strict=True))
        found: Self = made
        return found

    @classmethod
    def new(cls, **values: Any) -> Self:
        """``cls(**values)``. A foreign key is an object, which may have no number yet, or is left out."""
        defaults, fresh, keys = _fields(cls)  # type: ignore[arg-type]
        made: Any = cls.__new__(cls)
        made._state = ModelState()
        columns = defaults | {name: default() for name, default in fresh.items()}
        for name in keys.keys() & values.keys():
            made._state.fields_cache[name] = row = values.pop(name)
            columns[keys[name]] = row.pk
        columns.update(values)
        if len(columns) > len(defaults):
            raise TypeError(f"{cls.__name__} has no {', '.join(columns.keys() - defaults.keys())}")
        vars(made).update(columns)
        found: Self = made
        return found


@cache
def _fields(model: Any) -> tuple[dict[str, Any], dict[str, Callable[[], Any]], dict[str, str]]:
    """What a new row has in its columns, what makes it anew for each row, and the columns of foreign keys."""
    fields = model._meta.concrete_fields
    defaults = {field.attname: field.get_default() for field in fields}
    fresh = {field.attname: field.default for field in fields if field.has_default() and callable(field.default)}
    return defaults, fresh, {field.name: field.attname for field in fields if field.is_relation}
