"""What this site has: relays, ships or both; and whether there is news of ships. One query, for every page."""

from dataclasses import dataclass
from functools import cache
from typing import Any
from zlib import crc32

from django.db import connection
from django.http import HttpRequest


@dataclass(frozen=True)
class Parts:
    has_relays: bool
    has_ships: bool
    ships: str
    """A fingerprint of what stands on pages of ports: another one, and there is news."""

    @property
    def shows_relays(self) -> bool:
        """A site that has nothing yet shows how to get either."""
        return self.has_relays or not self.has_ships


@cache
def _sql() -> str:
    from ports.models import Feed, Port, Refresh
    from relays.models import Board

    def table(model: Any) -> str:
        return str(connection.ops.quote_name(model._meta.db_table))

    on = f"{table(Port)} WHERE is_enabled OR is_example"
    return (
        f"SELECT EXISTS (SELECT 1 FROM {table(Board)} WHERE is_enabled), (SELECT max(id) FROM {table(Refresh)}),"  # noqa: S608
        f" (SELECT max(wished_at) FROM {table(Feed)}),"
        f" (SELECT group_concat(id || ':' || coalesce(loaded_at, '')) FROM {on}),"
        f" EXISTS (SELECT 1 FROM {on})"
    )


def parts() -> Parts:
    with connection.cursor() as cursor:
        cursor.execute(_sql())
        has_relays, *news, has_ships = cursor.fetchone()
    return Parts(bool(has_relays), bool(has_ships), f"{crc32(repr(news).encode()):08x}")


def parts_of(request: HttpRequest | None) -> Parts:
    """The same, asked once for a request."""
    if request is None:
        return parts()
    known = getattr(request, "parts", None)
    if not isinstance(known, Parts):
        known = parts()
        request.parts = known  # type: ignore[attr-defined]
    return known
