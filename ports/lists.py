"""The lists of a port: which calls each shows, in which columns, and what is remarkable about one."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum
from functools import cache, lru_cache
from html import escape
from typing import Any

from django.db.models import Case, IntegerField, QuerySet, Value, When
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString

from ports import countries, filters, moves, voyages
from ports.models import Berth, Change, Port, PortCall, Vessel
from ports.models.port import LONG_STAY
from ports.snapshot import OPEN, BerthKind, Status, VesselType
from ports.sources.text import isolated
from ports.times import Clock, length

MOVED_WITHIN = timedelta(hours=24)
"""An ETA that moved longer ago is no news."""
LOOKED_AT = 2_000
"""Calls that are looked through for one page where no index tells which fit, or which is first."""
CHOSEN_FROM = 2_000
"""Calls from which the choices of a filter are taken."""
MOST_CHOICES = 100

Column = tuple[str, str, str]


class Tab(StrEnum):
    IN_PORT = "in-port"
    EXPECTED = "expected"
    DEPARTED = "departed"
    CHANGES = "changes"
    BERTHS = "berths"

    @property
    def label(self) -> str:
        return "Berth board" if self is Tab.BERTHS else self.replace("-", " ").capitalize()


STATUS = {Tab.IN_PORT: Status.IN_PORT, Tab.EXPECTED: Status.EXPECTED, Tab.DEPARTED: Status.DEPARTED}
SORT = {Tab.IN_PORT: "-ata", Tab.EXPECTED: "eta", Tab.DEPARTED: "-atd"}

# What may be sorted by, the field, the head of the column. A column that is empty on a page is left out.
_BERTH, _AGENT = ("berth", "berth", "Berth"), ("agent", "agent", "Agent")
_FROM, _TO = ("from", "previous_port", "From"), ("to", "next_port", "To")
_ETD, _LEAVES = ("etd", "etd", "ETD"), ("leaves", "leaves_at", "Leaves")
_PILOT, _ARRIVED = ("pilot", "pilot_ordered_at", "Pilot ordered"), ("ata", "ata", "Arrived")
COLUMNS: dict[Tab, tuple[Column, ...]] = {
    Tab.IN_PORT: (_ARRIVED, _BERTH, _LEAVES, _ETD, _AGENT, _FROM, _TO),
    Tab.EXPECTED: (("eta", "eta", "ETA"), _PILOT, _LEAVES, _BERTH, _ETD, _AGENT, _FROM),
    Tab.DEPARTED: (("atd", "atd", "Departed"), _ARRIVED, _BERTH, _AGENT, _FROM, _TO),
}

GROUPS = {
    BerthKind.BERTH: "At berth",
    BerthKind.ANCHORAGE: "At anchor",
    BerthKind.PILOT_STATION: "At the pilot station",
    "": "In port, where is not told",
}


def calls(port: Port, tab: Tab) -> QuerySet[PortCall]:
    """What a tab lists. Before the first load is whole: nothing."""
    shown = port.calls.filter(status=STATUS[tab]) if port.loaded_at else port.calls.none()
    return shown.select_related("vessel", "berth")


def ordered(listed: QuerySet[PortCall], tab: Tab, sort: str) -> QuerySet[PortCall]:
    """As asked; ships in port stand by what they lie at first."""
    order = filters.order(sort or SORT[tab])
    if tab is not Tab.IN_PORT:
        return listed.order_by(*order)
    kinds = [When(berth__kind=kind, then=Value(number)) for number, kind in enumerate(GROUPS) if kind]
    return listed.alias(group=Case(*kinds, default=Value(len(kinds)), output_field=IntegerField())).order_by(
        "group", *order
    )


def within_reach(listed: QuerySet[PortCall], port: Port, tab: Tab, asked: dict[str, Any]) -> QuerySet[PortCall]:
    """Of a long list in which no index leads to what was asked, only the beginning: a page should not wait."""
    if not (tab is Tab.IN_PORT or is_looked_through(tab, asked)):
        return listed
    first = calls(port, tab).order_by(*filters.order(SORT[tab])).values("pk")[:LOOKED_AT]
    return listed.filter(pk__in=first)


def is_looked_through(tab: Tab, asked: dict[str, Any]) -> bool:
    """Whether no index leads to what was asked."""
    is_narrowed = any(asked[name] for name in filters.CallFilter.NARROWING if name != "q")
    return is_narrowed or (asked["sort"] or SORT[tab]).lstrip("-") != SORT[tab].lstrip("-")


@dataclass(slots=True)
class Badge:
    words: str
    is_caution: bool = False


@dataclass(slots=True)
class Line:
    """One call, as it stands in a list."""

    call: PortCall
    address: str
    """Of the ship's page."""
    shape: SafeString
    what: str
    """Her type and flag in words."""
    badges: list[Badge]
    cells: SafeString
    """The rest of its row. A template takes as long for these as for all else on the page."""
    group: str = ""
    """The heading above it, where another group begins."""


@dataclass(slots=True)
class Sheet:
    """One page of a list."""

    lines: list[Line]
    columns: list[Column] = field(default_factory=list)


def sheet(found: Sequence[PortCall], tab: Tab, clock: Clock) -> Sheet:
    columns = [column for column in COLUMNS[tab] if any(getattr(call, column[1]) for call in found)]
    shifts = _shifts(found, clock) if tab is Tab.EXPECTED else {}
    lines, group = [], None
    for call in found:
        badges = [Badge("followed")] if getattr(call, "is_followed", False) else []
        badges += _badges(call, tab, clock, shifts)
        cells = SafeString("".join(_cell(call, column, clock) for column in columns))
        line = Line(call, address(call.vessel_id), shape(call.vessel.type), what(call.vessel), badges, cells)
        kind = call.berth.kind if call.berth else ""
        if tab is Tab.IN_PORT and kind != group:
            group, line.group = kind, GROUPS[kind]
        lines.append(line)
    return Sheet(lines, columns)


def address(vessel: int) -> str:
    """Of her page. A long list feels what it takes to make each address anew."""
    return _any_vessel().replace("/0/", f"/{vessel}/")


@cache
def _any_vessel() -> str:
    return reverse("ports:vessel", args=[0])


@cache
def shape(type: str) -> SafeString:
    """The outline of a ship of this type; templates/ports/_shapes.html has them."""
    return format_html(
        '<svg class="shape" width="22" height="14" aria-hidden="true"><use href="#ship-{}" /></svg>', type
    )


def what(vessel: Vessel) -> str:
    """“container · Panama”"""
    flag = countries.name(vessel.flag)
    type = TYPES.get(vessel.type, vessel.type)
    return f"{type} · {flag}" if flag else type


TYPES = {str(value): str(label) for value, label in VesselType.choices}


def is_moment(field: str) -> bool:
    return field.endswith("_at") or field in ("eta", "etd", "ata", "atd")


def _cell(call: PortCall, column: Column, clock: Clock) -> SafeString:
    _, name, label = column
    value = getattr(call, name)
    is_time = is_moment(name)
    if name == "berth" and isinstance(value, Berth):
        area = value.area if value.area and value.area.casefold() not in value.name.casefold() else ""
        value = f"{isolated(value.name)} · {isolated(area)}" if area else value.name
    kind = ("time" if is_time else "text") if value else "empty"
    return _opening(kind, label) + (clock.told(value) if is_time else SafeString(escape(value or ""))) + CLOSING


@cache
def _opening(kind: str, label: str) -> SafeString:
    return format_html('<td class="{}"><b>{}</b> <bdi>', kind, label)


CLOSING = SafeString("</bdi></td>")


def _badges(call: PortCall, tab: Tab, clock: Clock, shifts: dict[int, timedelta]) -> Iterable[Badge]:
    if by := shifts.get(call.pk):
        yield Badge(f"ETA moved {moves.later(by)}", is_caution=by > timedelta(0))
    if call.unseen_since:
        yield Badge(voyages.not_in_feed(call.unseen_since, clock), is_caution=True)
    elif tab is Tab.EXPECTED and call.eta and call.eta < clock.now:
        yield Badge(f"overdue {length(clock.now - call.eta)}", is_caution=True)
    if tab is Tab.IN_PORT and call.ata and clock.now - call.ata > LONG_STAY:
        yield Badge("long stay")
    if call.is_doubtful:
        yield Badge("times contradict each other", is_caution=True)


def _shifts(found: Sequence[PortCall], clock: Clock) -> dict[int, timedelta]:
    """How far the ETA of each call moved within a day, in all."""
    moved = Change.objects.filter(
        call__in=[call.pk for call in found], field=Change.Field.ETA, seen_at__gt=clock.now - MOVED_WITHIN
    ).exclude(was="")
    first: dict[int, str] = {}
    last: dict[int, str] = {}
    for pk, was, became in moved.order_by("id").values_list("call", "was", "became"):
        first.setdefault(pk, was)
        last[pk] = became
    shifts = {pk: moves.shift(first[pk], last[pk]) for pk in first}
    return {pk: by for pk, by in shifts.items() if by and abs(by) >= timedelta(minutes=1)}


def choices(port: Port, ships: str) -> dict[str, Any]:
    """What the filters of a port offer: what stands in its open calls. Kept while ``ships`` is the same."""
    return _choices(port.pk, ships) if port.loaded_at else {}


@lru_cache(maxsize=32)
def _choices(port: int, ships: str) -> dict[str, Any]:
    rows = PortCall.objects.filter(port=port, status__in=OPEN).order_by()
    fields = ("berth", "berth__name", "vessel__flag", "agent", "previous_port")
    found = list(rows.values_list(*fields)[:CHOSEN_FROM])
    berths = {(pk, name) for pk, name, *_ in found if pk}
    flags = {(row[2], countries.name(row[2])) for row in found if row[2]}
    return {
        "berth": sorted(berths, key=lambda berth: str(berth[1]))[:MOST_CHOICES],
        "flag": sorted(flags, key=lambda flag: flag[1]),
        "agent": _options(row[3] for row in found),
        "previous_port": _options(row[4] for row in found),
    }


def _options(words: Iterable[str]) -> SafeString:
    """For a datalist, made once for many pages."""
    chosen = sorted({word for word in words if word})[:MOST_CHOICES]
    return format_html_join("", '<option value="{}"></option>', ((word,) for word in chosen))
