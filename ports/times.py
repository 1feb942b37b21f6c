"""Moments as pages of ports say them: in a zone of the reader's choice, and from a present that may be recorded."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import cache
from zoneinfo import ZoneInfo, available_timezones

from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe

from ports.models import Port


@dataclass(frozen=True, slots=True)
class Clock:
    """The present of a port, and the zone in which its moments are told."""

    now: datetime
    zone: tzinfo
    name: str
    """Of the zone, as people know it."""

    @classmethod
    def of(cls, port: Port, asked: str = "") -> "Clock":
        """In the port's own zone; ``asked`` is “utc”, or the IANA name of another one."""
        if asked == "utc":
            return cls(port.now, UTC, "UTC")
        return cls(port.now, ZoneInfo(asked or port.zone), f"{place(asked or port.zone)} time")

    @property
    def offset(self) -> str:
        """UTC+8, UTC−3:30."""
        minutes = round((self.now.astimezone(self.zone).utcoffset() or timedelta(0)).total_seconds() / 60)
        hours, rest = divmod(abs(minutes), 60)
        return f"UTC{'−' if minutes < 0 else '+'}{hours}{f':{rest:02}' if rest else ''}"

    def words(self, at: datetime) -> str:
        """14:30, 26 Nov 14:30, 26 Nov 2024 14:30: no more than is needed. 01:30 PST where that hour comes twice."""
        return f"{self._date(at)} {self._time(at)}".lstrip()

    def day(self, at: datetime) -> str:
        """14:30, 26 Nov, 26 Nov 2024: less exact, the longer ago."""
        return self._date(at) or self._time(at)

    def _date(self, at: datetime) -> str:
        here, today = at.astimezone(self.zone), self.now.astimezone(self.zone)
        if here.date() == today.date():
            return ""
        return f"{here:%-d %b}" if here.year == today.year else f"{here:%-d %b %Y}"

    def _time(self, at: datetime) -> str:
        here = at.astimezone(self.zone)
        return f"{here:%H:%M %Z}" if _comes_twice(here) else f"{here:%H:%M}"

    def distance(self, at: datetime) -> str:
        """In 3 h, 25 min ago, now."""
        left = at - self.now
        if abs(left) < timedelta(minutes=1):
            return "now"
        return f"in {length(left)}" if left > timedelta(0) else f"{length(left)} ago"

    def element(self, at: datetime | None) -> SafeString:
        """The words, exact in ``datetime`` and on demand."""
        if at is None:
            return SafeString("")
        here = at.astimezone(self.zone)
        return _element(here.isoformat(timespec="minutes"), f"{here:%A %-d %B %Y, %H:%M}", self.words(at))

    def told(self, at: datetime | None) -> SafeString:
        """14:30 · in 3 h"""
        if at is None:
            return SafeString("")
        return mark_safe(f'{self.element(at)} <span class="far">· {self.distance(at)}</span>')  # noqa: S308  # numbers


def _comes_twice(here: datetime) -> bool:
    """Whether clocks are put back, and show this moment before and after."""
    return here.replace(fold=0).utcoffset() != here.replace(fold=1).utcoffset()


def _element(iso: str, exact: str, words: str) -> SafeString:
    return format_html('<time datetime="{}" title="{}">{}</time>', iso, exact, words)


def length(duration: timedelta) -> str:
    """25 min, 22 h, 9 d, 5 months, 14 years: how long something is, its sign aside, rounded down."""
    minutes = int(abs(duration).total_seconds() // 60)
    if minutes < 60:
        return f"{minutes} min"
    if minutes < 48 * 60:
        return f"{minutes // 60} h"
    days = minutes // (24 * 60)
    if days < 100:
        return f"{days} d"
    return f"{days * 12 // 365} months" if days < 730 else f"{days * 4 // 1461} years"


def exact_length(duration: timedelta) -> str:
    """25 min, 3 h, 3 h 25 min, 2 d 3 h: how far something moved, its sign aside."""
    minutes = round(abs(duration).total_seconds() / 60)
    days, hours, rest = minutes // 1440, minutes // 60 % 24, minutes % 60
    parts = [f"{days} d"] if days else []
    parts += [f"{hours} h"] if hours else []
    parts += [f"{rest} min"] if rest and not days else []
    return " ".join(parts) or "0 min"


def place(zone: str) -> str:
    """Of America/Argentina/Buenos_Aires, Buenos Aires."""
    return zone.rpartition("/")[2].replace("_", " ")


@cache
def zones() -> frozenset[str]:
    """The names that may stand in an address."""
    return frozenset(available_timezones()) - {"localtime", "posixrules"}
