from collections import defaultdict
from collections.abc import Sequence
from typing import Any, NamedTuple

from django import forms
from django.db.models import Exists, OuterRef, QuerySet
from django.db.models.functions import Coalesce
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from iotsite.parts import parts_of
from ports import countries, moves, track, voyages
from ports.access import reading
from ports.filters import MOST_PAGES
from ports.models import Change, Follow, PortCall, Stay, Vessel
from ports.times import Clock
from ports.voyages import Voyage

PAGE = 25
CHANGES_LISTED = 50


class Tracker(NamedTuple):
    """A site elsewhere that shows where ships are, and how it is asked for one by a number of hers."""

    name: str
    number: str
    address: str


TRACKERS = (
    Tracker("MarineTraffic", "imo", "https://www.marinetraffic.com/en/ais/details/ships/imo:{}"),
    Tracker("VesselFinder", "imo", "https://www.vesselfinder.com/vessels/details/{}"),
    Tracker("Equasis", "imo", "https://www.equasis.org/EquasisWeb/public/HomePage?fs=HomePage&P_IMO={}"),
    Tracker("MarineTraffic", "mmsi", "https://www.marinetraffic.com/en/ais/details/ships/mmsi:{}"),
    Tracker("VesselFinder", "mmsi", "https://www.vesselfinder.com/vessels/details/{}"),
)


class PageForm(forms.Form):
    page = forms.IntegerField(min_value=1, max_value=MOST_PAGES, required=False)


@reading
@require_safe
def vessel(request: HttpRequest, id: int) -> HttpResponse:
    """One ship: what she is, where she was and will be, and what changed."""
    given = Follow.objects.filter(vessel=OuterRef("pk"), user_id=request.user.pk or 0)
    ship: Any = get_object_or_404(Vessel.objects.annotate(is_followed=Exists(given)), pk=id)
    form = PageForm(request.GET)
    page = form.cleaned_data["page"] or 1 if form.is_valid() else 1
    calls = list(_calls(ship)[(page - 1) * PAGE : page * PAGE + 1])
    shown = with_stays(calls[:PAGE])
    context = {
        "vessel": ship,
        "is_followed": ship.is_followed,
        "names": earlier_names(ship),
        "flag": countries.name(ship.flag),
        "trackers": list(trackers(ship)),
        "voyages": shown,
        "drawing": track.draw(shown),
        "sources": list({call.port.feed.source: call.port.feed.publisher for call in calls}.values()),
        "changes": _changes(ship) if page == 1 else [],
        "page": page,
        "older": f"?page={page + 1}" if len(calls) > PAGE else "",
        "newer": f"?page={page - 1}" if page > 1 else "",
        "errors": form.errors,
        "ships": parts_of(request).ships,
    }
    return render(request, "ports/vessel.html", context, status=200 if form.is_valid() else 400)


def _calls(ship: Vessel) -> QuerySet[PortCall]:
    """Newest first by when she came or will come. A port that never was loaded whole has nothing to say yet."""
    told = PortCall.objects.filter(vessel=ship).exclude(port__loaded_at=None).select_related("port__feed", "berth")
    return told.order_by(Coalesce("ata", "eta", "atd", "first_seen_at").desc(), "-id")


def with_stays(calls: Sequence[PortCall]) -> list[Voyage]:
    """``calls`` with where they lay, by one query."""
    found: dict[int, list[Stay]] = defaultdict(list)
    for stay in Stay.objects.filter(call__in=calls).select_related("berth").order_by("call", "position"):
        found[stay.call_id].append(stay)
    return voyages.of(calls, lambda call: found[call.pk])


def _changes(ship: Vessel) -> list[tuple[Change, Clock, str]]:
    """The newest, each in the zone of its port."""
    rows = Change.objects.filter(call__vessel=ship).exclude(port__loaded_at=None).select_related("port")
    clocks: dict[int, Clock] = {}
    told = []
    for change in rows.order_by("-id")[:CHANGES_LISTED]:
        clock = clocks.setdefault(change.port_id, Clock.of(change.port))
        told.append((change, clock, moves.sentence(change, clock.words)))
    return told


def earlier_names(ship: Vessel) -> list[Any]:
    """Those that she had beside the one she has, newest first."""
    return [name for name in ship.names.order_by("-first_seen_at", "-id") if name.name != ship.name]


def trackers(ship: Vessel) -> list[tuple[str, str]]:
    """Where others show her: by IMO number, which is hers for ever, else by MMSI."""
    number = "imo" if ship.imo else "mmsi"
    value = getattr(ship, number)
    return [(one.name, one.address.format(value)) for one in TRACKERS if one.number == number and value]
