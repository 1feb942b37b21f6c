"""Reads XML that is a list of rows, each of them a list of fields. Built for what strangers send."""

from xml.etree.ElementTree import ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser

from ports.sources import SourceError

LARGEST = 2 * 1024 * 1024
"""Thirty times the largest file ever recorded. The worst that fits takes 1 s on a desktop; more is refused."""
MOST_ROWS = 10_000
"""Fifty times as many as were ever recorded."""
_FIELD = 3
"""How deep a field lies: root, row, field."""


def read(content: bytes, root: str, file: str) -> list[dict[str, str]]:
    """The rows under ``root``, each by the names of its fields. SourceError, naming ``file``, where it is no such list.

    Neither a document type nor an entity of its own is taken, and nothing deeper than a field.
    """
    if len(content) > LARGEST:
        raise SourceError(f"{file} is too large: {len(content):,} bytes, and at most {LARGEST:,} are read.")
    start = content.lstrip()[:100].lower()
    if not start:
        raise SourceError(f"{file} is empty.")
    if start.startswith((b"<!doctype html", b"<html")):
        raise SourceError(f"{file} is a web page, not the list.")
    rows = _Rows(root, file)
    parser = DefusedXMLParser(target=rows, forbid_dtd=True)
    try:
        parser.feed(content)
        parser.close()
    except ParseError as error:
        raise SourceError(f"{file} is not well-formed XML: {error}.") from None
    except DefusedXmlException:
        raise SourceError(f"{file} defines a document type or entities, which are not taken.") from None
    except (LookupError, ValueError) as error:
        raise SourceError(f"{file} is in an encoding that cannot be read: {error}.") from None
    return rows.found


class _Rows:
    """What the parser tells, put together row by row; no tree is built, so that depth costs nothing."""

    def __init__(self, root: str, file: str) -> None:
        self.root, self.file = root, file
        self.found: list[dict[str, str]] = []
        self._row: dict[str, str] = {}
        self._words: list[str] = []
        self._depth = 0

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        self._depth += 1
        if self._depth == 1 and tag != self.root:
            raise SourceError(f"{self.file} holds <{tag[:40]}>, where <{self.root}> is expected.")
        if self._depth > _FIELD:
            raise SourceError(f"{self.file} is nested deeper than a list of rows.")
        if self._depth == _FIELD - 1:
            self._begin_row()
        self._words = []

    def _begin_row(self) -> None:
        self._row = {}
        if len(self.found) == MOST_ROWS:
            raise SourceError(f"{self.file} has more than {MOST_ROWS:,} rows, which is never so.")

    def data(self, words: str) -> None:
        self._words.append(words)

    def end(self, tag: str) -> None:
        if self._depth == _FIELD:
            self._row[tag] = "".join(self._words)
        elif self._depth == _FIELD - 1:
            self.found.append(self._row)
        self._depth -= 1

    def close(self) -> None: ...
