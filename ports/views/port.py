from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlencode

from django.db.models import Exists, OuterRef
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_safe
from django_htmx.http import replace_url

from iotsite.parts import parts_of
from iotsite.prepared import Prepared
from ports import counts, lists, moves
from ports.access import reading
from ports.berth_board import Board
from ports.filters import CallFilter, ChangeFilter, ListFilter
from ports.freshness import Freshness, at_hand
from ports.lists import Tab
from ports.models import Change, Follow, Port
from ports.times import Clock, place

_KNOWN = Prepared(lambda locode: counts.with_open(at_hand(Port.objects.filter(locode=locode))))

PAGE = 50
LONGEST = 160
"""Of what was asked and is shown again, letters at most."""


@reading
@require_safe
def port(request: HttpRequest, locode: str) -> HttpResponse:
    return redirect("ports:port_tab", known(locode).locode, Tab.IN_PORT)


@reading
@require_safe
def tab(request: HttpRequest, locode: str, tab: str) -> HttpResponse:
    """One list of a port. What was asked and cannot be is said where the list would stand."""
    if tab not in {*Tab}:
        raise Http404
    here = known(locode)
    if not here.is_on:
        return redirect("ports:turn_on", here.locode)
    page = Page(request, here, Tab(tab))
    _SHOWN[page.tab](page)
    answer = render(request, "ports/port.html", page.context(), status=page.status)
    # Typed into the search: the address says what is shown.
    return replace_url(answer, page.address()) if request.htmx else answer  # type: ignore[attr-defined]


def known(locode: str) -> Port:
    """The port, with what its pages say of it; 404 where there is none."""
    found = _KNOWN(locode.upper())
    if not found:
        raise Http404
    return found[0]


class Page:
    """What was asked of a port, and what is shown of it."""

    def __init__(self, request: HttpRequest, port: Port, tab: Tab) -> None:
        self.request, self.port, self.tab = request, port, tab
        self.ships = parts_of(request).ships  # before all else: what comes meanwhile is news to the page
        self.asked: ListFilter = (ChangeFilter if tab is Tab.CHANGES else CallFilter)(request.GET, self._rows())
        self.is_valid = bool(self.asked.form.is_valid())
        self.values: dict[str, Any] = self.asked.form.cleaned_data
        self.clock = Clock.of(port, self.values.get("times") or "")
        self.shown: dict[str, Any] = {}

    def _rows(self) -> Any:
        if self.tab is Tab.CHANGES:
            rows = self.port.changes.select_related("call__vessel").order_by("-id")
            return rows if self.port.loaded_at else rows.none()
        return lists.calls(self.port, Tab.IN_PORT if self.tab is Tab.BERTHS else self.tab)

    @property
    def totals(self) -> dict[Tab, int]:
        """How many each list has that is counted, as far as ``counts`` does; none before the first load is whole."""
        there: Any = self.port
        return {Tab.IN_PORT: there.in_port, Tab.EXPECTED: there.expected} if self.port.loaded_at else {}

    @property
    def is_filtered(self) -> bool:
        return any(self.request.GET.get(name) for name in self.asked.NARROWING)

    @property
    def status(self) -> int:
        return 200 if self.is_valid else 400

    def address(self, **changed: Any) -> str:
        """What was asked, with some of it ``changed``; a value of None takes it out."""
        kept = self.request.GET.copy()
        for name in [name for name in kept if name not in self.asked.form.fields or not kept[name]]:
            del kept[name]
        for name, value in changed.items():
            kept.pop(name, None)
            if value:
                kept[name] = str(value)
        return f"{self.request.path}?{kept.urlencode()}" if kept else self.request.path

    def context(self) -> dict[str, Any]:
        source = self.port.feed.publisher
        asked = {name: self.request.GET.get(name, "")[:LONGEST] for name in self.asked.form.fields}
        return {
            "port": self.port,
            "tab": self.tab,
            "tabs": list(self._tabs()),
            "source": source,
            "is_derived": source.is_derived,
            "fresh": Freshness.of(self.port),
            "clock": self.clock,
            "zones": list(self._zones()),
            "asked": asked,
            "errors": self.asked.form.errors,
            "fields": self.asked.form.fields,
            "is_filtered": self.is_filtered,
            "unfiltered": self.address(**dict.fromkeys([*self.asked.NARROWING, "page", "before"])),
            "ships": self.ships,
            "own_zone": self._own_zone(),
            **self.shown,
        }

    def _tabs(self) -> Iterator[tuple[Tab, str, str]]:
        times = self.values.get("times")
        query = f"?{urlencode({'times': times})}" if times else ""
        for tab in Tab:
            address = reverse("ports:port_tab", args=[self.port.locode, tab])
            total = self.totals.get(tab)
            yield tab, f"{address}{query}", counts.words(total) if total is not None else ""

    def _own_zone(self) -> str:
        """To which static/live.js adds the name of the reader's zone."""
        address = self.address(times=None)
        return f"{address}{'&' if '?' in address else '?'}times="

    def _zones(self) -> Any:
        """Where the times can be told: the port's, UTC, and one of the reader's own (static/live.js knows which)."""
        asked = self.values.get("times") or ""
        own = [] if asked in ("", "utc") else [(asked, self.clock.name)]
        for value, words in [("", f"{place(self.port.zone)} time"), ("utc", "UTC"), *own]:
            yield words, self.address(times=value or None), value == asked


def _list(page: Page) -> None:
    """In port, expected or departed."""
    found, number = [], int(page.values.get("page") or 1)
    if page.is_valid:
        near = lists.within_reach(page.asked.qs, page.port, page.tab, page.values)
        some = lists.ordered(near, page.tab, page.values["sort"])
        mine = Follow.objects.of(page.request.user).filter(vessel=OuterRef("vessel"))
        some = some.annotate(is_followed=Exists(mine)) if page.request.user.pk else some
        window = slice((number - 1) * PAGE, number * PAGE + 1)
        if number > 1:  # those before are passed over in an index, without what is joined to them
            some, window = some.filter(pk__in=some.values("pk")[window]), slice(None)
        found = list(some[window])
    sort = page.values.get("sort") or lists.SORT[page.tab]
    sheet = lists.sheet(found[:PAGE], page.tab, page.clock)
    page.shown = {
        "lines": sheet.lines,
        "heads": [_head(page, column, sort) for column in [("name", "", "Ship"), *sheet.columns]],
        "sorts": list(_sorts(page.tab)),
        "sort": sort,
        "found": _found(page, len(found), number),
        "next": page.address(page=number + 1) if len(found) > PAGE else "",
        "previous": page.address(page=number - 1 if number > 2 else None) if number > 1 else "",
        "number": number,
        "looked_at": lists.LOOKED_AT if page.is_valid and _is_cut(page) else 0,
        "choices": lists.choices(page.port, page.ships) if not page.request.htmx else {},  # type: ignore[attr-defined]
    }


def _is_cut(page: Page) -> bool:
    """Whether there may be more than was looked through."""
    if page.tab is Tab.DEPARTED:
        return lists.is_looked_through(page.tab, page.values)
    is_bounded = page.tab is Tab.IN_PORT or lists.is_looked_through(page.tab, page.values)
    return is_bounded and page.totals.get(page.tab, 0) > lists.LOOKED_AT


def _head(page: Page, column: lists.Column, sort: str) -> dict[str, str]:
    """A column's head: where it leads, and how the list is sorted by it now."""
    name, _, label = column
    is_by_it = sort.lstrip("-") == name
    turned = name if not is_by_it or sort.startswith("-") else f"-{name}"
    way = ("descending" if sort.startswith("-") else "ascending") if is_by_it else ""
    return {"label": label, "address": page.address(sort=turned, page=None), "way": way}


def _sorts(tab: Tab) -> Iterator[tuple[str, str]]:
    """The same as choices, for where there is no room for heads."""
    yield from (("name", "Ship"), ("type", "Type"))
    for name, field, label in lists.COLUMNS[tab]:
        if lists.is_moment(field):
            yield name, f"{label}, earliest first"
            yield f"-{name}", f"{label}, latest first"
        else:
            yield name, label


def _found(page: Page, some: int, number: int) -> str:
    """How many there are: in all where that is known, else whether there are more."""
    total = None if page.is_filtered else page.totals.get(page.tab)
    first, last = (number - 1) * PAGE + 1, (number - 1) * PAGE + min(some, PAGE)
    if some <= PAGE and number == 1:
        return {0: "No ship", 1: "1 ship"}.get(some, f"{some} ships")
    if not some:
        return "No more ships"
    return f"Ships {first} to {last}" + (f" of {counts.words(total)}" if total else ", and more" if some > PAGE else "")


def _changes(page: Page) -> None:
    found: list[Change] = list(page.asked.qs[: PAGE + 1]) if page.is_valid else []
    page.shown = {
        "changes": [(change, moves.sentence(change, page.clock.words)) for change in found[:PAGE]],
        "next": page.address(before=found[PAGE - 1].pk) if len(found) > PAGE else "",
        "previous": page.address(before=None) if page.values.get("before") else "",
        "found": {0: "No change", 1: "1 change"}.get(
            len(found), f"{min(len(found), PAGE)} changes{', and more' if len(found) > PAGE else ''}"
        ),
    }


def _berths(page: Page) -> None:
    if not page.is_valid:
        return
    board = Board.of(page.port, page.clock, int(page.values.get("page") or 1))
    page.shown = {
        "board": board,
        "next": page.address(page=board.page + 1) if board.page < board.pages else "",
        "previous": page.address(page=board.page - 1 if board.page > 2 else None) if board.page > 1 else "",
    }


_SHOWN: dict[Tab, Callable[[Page], None]] = {
    Tab.IN_PORT: _list,
    Tab.EXPECTED: _list,
    Tab.DEPARTED: _list,
    Tab.CHANGES: _changes,
    Tab.BERTHS: _berths,
}
