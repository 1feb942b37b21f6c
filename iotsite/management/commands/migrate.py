"""Django's migrate, which may also make the database file: nothing else here ever creates one."""

from typing import Any

from django.core.management.commands import migrate

from iotsite import database


class Command(migrate.Command):
    def execute(self, *args: Any, **options: Any) -> Any:
        database.path().touch(mode=0o600)  # before the checks: that of a JSONField asks the database
        return super().execute(*args, **options)
