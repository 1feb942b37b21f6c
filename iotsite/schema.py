"""Which migrations a database has, and which this code knows."""

from collections.abc import Iterable

from django.db.migrations.loader import MigrationLoader

Migrations = Iterable[tuple[str, str]]


def newer(applied: Migrations) -> str:
    """A migration that this code does not know: older code would read such data wrongly. Empty where there is none."""
    loader = MigrationLoader(None)
    ours = {name for name in applied if name[0] in loader.migrated_apps}
    return ".".join(max(ours - set(loader.disk_migrations), default=()))


def is_behind(applied: Migrations) -> bool:
    """Whether the data are to be migrated before this code can use them."""
    return bool(set(MigrationLoader(None).graph.nodes) - set(applied))
