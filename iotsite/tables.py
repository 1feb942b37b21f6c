"""Tables for spreadsheets: CSV that carries names which people and strangers chose."""

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence

from django.http import HttpRequest, StreamingHttpResponse
from django.utils import timezone

from iotsite.bodies import Parts
from iotsite.bridge import STREAM

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]")
UNSEEN = " \xa0\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff"
"""What a spreadsheet may drop from the beginning of a cell, so that it begins with what comes then."""
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")
ROWS_AT_A_TIME = 500


def defused(cell: object) -> str:
    """A spreadsheet takes a cell that begins like a formula for one, and strangers name ships and people relays."""
    text = str(cell)
    if text[:1].isalnum() and text.isprintable():
        return text  # nearly all of them, soon known
    text = CONTROLS.sub("", text)
    return f"'{text}" if text.lstrip(UNSEEN).startswith(FORMULA) else text


def answer(request: HttpRequest, name: str, rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """A file to keep, sent as its rows are read; its name has the moment."""
    request.META[STREAM] = Parts()
    response = StreamingHttpResponse(
        lines(rows) if request.method == "GET" else [], content_type="text/csv; charset=utf-8"
    )
    response["Content-Disposition"] = f'attachment; filename="{name}-{timezone.localtime():%Y-%m-%d-%H%M}.csv"'
    return response


def lines(rows: Iterable[Sequence[object]]) -> Iterator[bytes]:
    """``rows`` as CSV, some at a time, so that a table of any length takes the memory of a few rows."""
    written = io.StringIO()
    table = csv.writer(written)
    for number, row in enumerate(rows, 1):
        table.writerow([defused(cell) for cell in row])
        if number % ROWS_AT_A_TIME == 0:
            yield _taken(written)
    if left := _taken(written):
        yield left


def _taken(written: io.StringIO) -> bytes:
    text = written.getvalue()
    written.seek(0)
    written.truncate()
    return text.encode(errors="replace")
