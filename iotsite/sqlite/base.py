"""Django's SQLite backend, which looks before it opens (see iotsite/database.py) and waits in short naps."""

import sqlite3
import time
from functools import lru_cache
from typing import Any

from django.db import OperationalError
from django.db.backends.sqlite3 import base

from iotsite import database

NAP = 0.0005
"""Seconds between two tries to begin. SQLite's own naps grow to 100 ms: whoever came first would often come last."""


@lru_cache(200)
def _with_question_marks(statement: str) -> str:
    """A statement with SQLite's placeholders in the place of Django's."""
    return base.FORMAT_QMARK_REGEX.sub("?", statement).replace("%%", "%")


class Cursor(base.SQLiteCursorWrapper):
    """Turns each statement into SQLite's words once, which takes longer than running many of them."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        if param_names is None:
            return _with_question_marks(query)
        return super().convert_query(query, param_names=param_names)


class DatabaseWrapper(base.DatabaseWrapper):
    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=Cursor)

    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        database.admit()
        connection = super().get_new_connection(conn_params)
        database.remember()
        return connection

    def _start_transaction_under_autocommit(self) -> None:
        connection: sqlite3.Connection = self.connection
        (patience,) = connection.execute("PRAGMA busy_timeout").fetchone()
        end = time.monotonic() + patience / 1000
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            while True:
                try:
                    super()._start_transaction_under_autocommit()  # type: ignore[misc]
                    return
                except OperationalError as error:
                    is_busy = getattr(error.__cause__, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
                    if not is_busy or time.monotonic() > end:
                        raise
                time.sleep(NAP)
        finally:
            connection.execute(f"PRAGMA busy_timeout = {patience}")
