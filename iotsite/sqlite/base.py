"""Django's SQLite backend, which looks before it opens: see iotsite/database.py."""

from typing import Any

from django.db.backends.sqlite3 import base

from iotsite import database


class DatabaseWrapper(base.DatabaseWrapper):
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        database.admit()
        connection = super().get_new_connection(conn_params)
        database.remember()
        return connection
