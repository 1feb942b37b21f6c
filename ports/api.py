"""The ports for programs: who is there, who is expected, what moved. Nothing can be changed by it."""

from datetime import datetime
from typing import Annotated, Any

from django.db.models import BigIntegerField, ExpressionWrapper, F, Max, Prefetch, QuerySet
from django.http import HttpRequest
from ninja import Path, Query, Router

from iotsite.api import REFUSALS, ApiError, Moment, moment_of, only_known_parameters
from ports import counts, filters
from ports.freshness import at_hand
from ports.models import Change, Port, PortCall, Stay, Vessel
from ports.schemas import (
    CallsOut,
    ChangesOut,
    PortsOut,
    Statuses,
    Types,
    WholeVesselOut,
    call_item,
    change_item,
    port_item,
    whole_vessel_item,
)
from ports.snapshot import OPEN

router = Router(tags=["ports"])
router.add_decorator(only_known_parameters)

PAGE = 200
"""So many rows a call gives, unless it asks for fewer."""
CALLS_OF_A_VESSEL = 50
LOOKED_AT = 20_000
"""Rows that are looked through for one page, where no index tells which fit."""
Page = tuple[list[int], str | None]
"""The numbers of what is on it, and the cursor of the next."""
Rows = QuerySet[Any]
Words = Annotated[str, Query(pattern=r"^[^\x00]+$", max_length=100)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
Cursor = Annotated[int, Query(ge=0, le=2**63 - 1)]
Number = Annotated[int, Path(ge=1, le=2**63 - 1)]

# --- ports --------------------------------------------------------------------------------------------------


@router.get("/ports", response={200: PortsOut} | REFUSALS)
def list_ports(
    request: HttpRequest,
    limit: Limit = PAGE,
    cursor: Annotated[str | None, Query(pattern="^[A-Z]{2}[A-Z2-9]{3}$")] = None,
) -> Any:
    """All ports that this site can tell of, by their code, also those that are off."""
    found = list(at_hand(Port.objects.filter(locode__gt=cursor or "").order_by("locode"))[: limit + 1])
    numbers = counts.count(port for port in found[:limit] if port.is_on)
    return {
        "items": [port_item(port, numbers.get(port.pk)) for port in found[:limit]],
        "next_cursor": found[limit - 1].locode if len(found) > limit else None,
    }


def _port(locode: str) -> Any:
    port = at_hand(Port.objects.on().filter(locode=locode.upper())).first()
    if port is None:
        detail = f"There is no port “{locode[:20]}” that is on: GET /api/ports lists them."
        raise ApiError(404, "no_such_port", detail)
    return port


# --- calls --------------------------------------------------------------------------------------------------


@router.get("/ports/{locode}/calls", response={200: CallsOut} | REFUSALS)
def list_calls(
    request: HttpRequest,
    locode: str,
    status: Statuses | None = None,
    q: Words | None = None,
    type: Types | None = None,
    changed_since: Moment | None = None,
    cursor: Cursor | None = None,
    limit: Limit = 50,
) -> Any:
    """The calls at a port, the newest first; `q` is a part of a vessel's name, or her IMO, MMSI or call sign.

    With `changed_since`, a moment with its zone, those that came, changed or left the list then or later.
    """
    port, vessels = _port(locode), filters.ships(q) if q is not None else None
    asked: dict[str, Any] = {"status": status, "vessel__type": type, "vessel__in": vessels}
    if q is not None and vessels is None:
        asked["vessel__name__icontains"] = q
    which = {name: value for name, value in asked.items() if value is not None}
    if port.loaded_at is None:
        return {"items": [], "next_cursor": None}
    if changed_since is not None:
        numbers, following = _changed(port, which, moment_of("changed_since", changed_since), cursor, limit)
    elif status in OPEN or vessels is not None:
        few = PortCall.objects.filter(port=port, **which)
        numbers, following = _page(few, few, cursor, limit, is_few=True)
    else:
        numbers, following = _walk(port, which, cursor, limit)
    return {"items": _items(numbers, [port]), "next_cursor": following}


def _walk(port: Port, which: dict[str, Any], cursor: int | None, limit: int) -> Page:
    """Through the calls of all ports by their number: by a port's index SQLite would find and sort all of its."""
    where = ExpressionWrapper(F("port") + 0, output_field=BigIntegerField())
    fitting = PortCall.objects.alias(where=where).filter(where=port.pk, **which)
    return _page(fitting, PortCall.objects.all(), cursor, limit)


def _changed(port: Port, which: dict[str, Any], since: datetime, cursor: int | None, limit: int) -> Page:
    """The calls that came, moved or left ``since``, as ``which`` says; all, if that is when it began to be told of.

    All of them also where more changed than may be looked through: a call too many is harmless, one too few is not.
    """
    is_new = port.seen_since is None or port.seen_since >= since
    few = None if is_new else _looked_up(port, since)
    if few is None:
        return _walk(port, which, cursor, limit)
    found = PortCall.objects.filter(pk__in=few, **which)
    return _page(found, found, cursor, limit, is_few=True)


def _looked_up(port: Port, since: datetime) -> set[int] | None:
    """The calls at ``port`` that have a Change ``since`` or left the list then, by their indexes.

    None for too many, and where the answer before is not known any more.
    """
    # A call that left stands with the moment of the answer before, where it was seen last.
    answers = port.feed.refreshes.good().filter(as_of__lt=since)
    unseen = answers.aggregate(last=Max("as_of"))["last"]
    if unseen is None:
        return None
    moved = Change.objects.filter(seen_at__gte=since).order_by("-seen_at").values_list("port", "call")
    left = PortCall.objects.filter(port=port, last_seen_at__gte=unseen).order_by("-last_seen_at")
    changes, calls = list(moved[: LOOKED_AT + 1]), list(left.values_list("id", flat=True)[: LOOKED_AT + 1])
    if len(changes) + len(calls) > LOOKED_AT:
        return None
    return {call for where, call in changes if where == port.pk}.union(calls)


def _items(numbers: list[int], ports: list[Any]) -> list[dict[str, Any]]:
    """The calls with these numbers, in that order; ``ports`` are those where they are."""
    stays = Prefetch("stays", Stay.objects.select_related("berth").order_by("position"))
    found = PortCall.objects.at_hand().prefetch_related(stays).in_bulk(numbers)
    refreshed = {port.pk: port.good_as_of for port in ports}
    calls = [found[number] for number in numbers if number in found]
    return [call_item(call, refreshed[call.port_id]) for call in calls]


# --- vessels and changes ------------------------------------------------------------------------------------


@router.get("/vessels/{id}", response={200: WholeVesselOut} | REFUSALS)
def get_vessel(request: HttpRequest, id: Number) -> Any:
    """A vessel by her number here, with her names and calls."""
    vessel = Vessel.objects.filter(pk=id).prefetch_related("names").first()
    if vessel is None:
        raise ApiError(404, "no_such_vessel", f"There is no vessel {id}: it may have been merged with another.")
    ports = _told_of()
    calls = vessel.calls.filter(port__in=ports).order_by("-id")[:CALLS_OF_A_VESSEL]
    return whole_vessel_item(vessel, _items(list(calls.values_list("id", flat=True)), ports))


def _told_of() -> list[Any]:
    """The ports whose calls may be shown."""
    return list(at_hand(Port.objects.on().exclude(loaded_at=None)))


@router.get("/changes", response={200: ChangesOut} | REFUSALS)
def list_changes(
    request: HttpRequest,
    port: str | None = None,
    since: Moment | None = None,
    cursor: Cursor | None = None,
    limit: Limit = 50,
) -> Any:
    """What moved in the calls of all ports that are on, or of one, the newest first; `since` is a moment with its zone.

    When a call is new, its `status` moved from null.
    """
    changes, moment = Change.objects.all(), moment_of("since", since) if since is not None else None
    if port is not None:
        asked = _port(port)
        around = changes.filter(port=asked) if asked.loaded_at else changes.none()
    else:
        # Not those of the ports that are told of: with many of them an index by port would find all, and sort them.
        around = changes.exclude(port__in=Port.objects.exclude(pk__in=[port.pk for port in _told_of()]))
    fitting = around.filter(seen_at__gte=moment) if moment else around
    numbers, following = _page(fitting, around, cursor, limit, since=moment)
    whole = Change.objects.select_related("port", "call__vessel").in_bulk(numbers)
    return {"items": [change_item(whole[number]) for number in numbers if number in whole], "next_cursor": following}


# --- what the calls share -----------------------------------------------------------------------------------


def _page(
    fitting: Rows, around: Rows, cursor: int | None, limit: int, *, is_few: bool = False, since: datetime | None = None
) -> Page:
    """Of the rows that fit the newest, by their number, below ``cursor``.

    Unless they are few, which an index finds, it looks through LOOKED_AT of those ``around`` and no further; Changes
    that were seen ``since`` end where there are none.
    """
    if cursor is not None:
        fitting, around = fitting.filter(id__lt=cursor), around.filter(id__lt=cursor)
    by_number = around.order_by("-id").values_list("id", flat=True)
    floor = None if is_few else by_number[LOOKED_AT : LOOKED_AT + 1].first()
    if floor is not None:
        fitting = fitting.filter(id__gt=floor)
    found = list(fitting.order_by("-id").values_list("id", flat=True)[: limit + 1])
    if len(found) > limit:
        return found[:limit], str(found[limit - 1])
    return found, str(floor + 1) if floor is not None and (since is None or _is_more(floor, since)) else None


def _is_more(floor: int, since: datetime) -> bool:
    """Whether a Change of that number or below was seen ``since``. In the order of time, so that an index tells."""
    seen = Change.objects.filter(id__lte=floor, seen_at__gte=since).order_by("seen_at")
    return seen.values_list("id", flat=True).first() is not None
