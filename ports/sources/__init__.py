"""The publishers of ship data: each a module with one class, and a line in the registry below."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from importlib import import_module

from ports.snapshot import Snapshot


class SourceError(Exception):
    """A feed's answer that cannot be read, in a sentence that says what is wrong with it."""


@dataclass(frozen=True, slots=True)
class KnownPort:
    locode: str
    """UN/LOCODE."""
    name: str
    country: str
    """ISO 3166-1, two letters."""
    zone: str
    """IANA name."""
    latitude: float | None = None
    longitude: float | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """Where one file of a feed is fetched."""

    file: str
    """Its name, for ``parse`` and for ``--from-files`` and ``--save``."""
    url: str
    params: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)


class Source:
    """One publisher. Subclasses say what stands here as annotations, and how to ask and to read."""

    name: str
    """In one word, for commands and the database."""
    title: str
    publisher: str
    attribution: str
    """As the publisher asks for it."""
    licence: str
    """Its name, or that none is stated."""
    licence_url: str = ""
    page: str
    """Where people find the same data at the publisher's."""
    zone: str
    """Of the moments in its answers: IANA name."""
    interval: timedelta
    """How often to ask."""
    warning: str = ""
    """What readers should know before they trust it, in a sentence."""
    is_timeless: bool = True
    """Whether the same bytes mean the same at any moment; then an unchanged answer (304) is not read again."""
    is_derived: bool = False
    """Whether who is in port is worked out from what is seen to move, not told."""
    feeds: dict[str, tuple[KnownPort, ...]]
    """What is fetched in one go, by name, and the ports it tells of."""

    def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
        """What to fetch now."""
        raise NotImplementedError

    def parse(self, files: dict[str, bytes], at: datetime) -> Snapshot:
        """What the answer says; pure. SourceError where it cannot be that feed's answer: never zero ships by mistake.

        A file of the feed that is not among ``files`` was not asked for.
        """
        raise NotImplementedError


_MODULES = ("ppa", "mardep", "digitraffic")


@cache
def registry() -> dict[str, Source]:
    """Every source, by its name."""
    found: list[Source] = []
    for module in _MODULES:
        found += import_module(f"ports.sources.{module}").SOURCES
    return {source.name: source for source in found}
