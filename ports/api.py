"""The ports for programs: who is there, who is expected, what moved. Nothing can be changed by it."""

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

from django.db.models import Exists, OuterRef, Prefetch
from django.http import HttpRequest
from ninja import Path, Query, Router

from iotsite.api import REFUSALS, ApiError, Moment, moment_of, only_known_parameters
from ports import counts, filters
from ports.freshness import at_hand
from ports.models import Change, Port, PortCall, Stay, Vessel
from ports.models.call import PortCallQuerySet
from ports.schemas import (
    CallsOut,
    ChangesOut,
    Cursor,
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
"""Calls that are looked through for one page, where no index tells which fit."""
START = datetime(1970, 1, 1, tzinfo=UTC)

Words = Annotated[str, Query(pattern=r"^[^\x00]+$", max_length=100)]
Limit = Annotated[int, Query(ge=1, le=PAGE)]
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
    numbers = counts.count(port for port in found[:limit] if port.is_enabled or port.is_example)
    return {
        "items": [port_item(port, numbers.get(port.pk)) for port in found[:limit]],
        "next_cursor": found[limit - 1].locode if len(found) > limit else None,
    }


def _port(locode: str) -> Port:
    port = Port.objects.on().filter(locode=locode.upper()).first()
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

    With `changed_since`, a moment with its zone, those that changed then or later, the last change first.
    """
    port = _port(locode)
    calls = PortCall.objects.filter(port=port)
    if status:
        calls = calls.filter(status=status)
    if type:
        calls = calls.filter(vessel__type=type)
    is_few = status in OPEN
    if q is not None:
        vessels = filters.ships(q)
        is_few = is_few or vessels is not None
        calls = calls.filter(vessel__name__icontains=q) if vessels is None else calls.filter(vessel__in=vessels)
    if port.loaded_at is None:
        calls = calls.none()
    if changed_since is not None:
        numbers, following = _changed(port, calls, moment_of("changed_since", changed_since), cursor, limit)
    else:
        numbers, following = _newest(port, calls, cursor, limit, is_few=is_few)
    return {"items": _items(numbers), "next_cursor": following}


Page = tuple[list[int], str | None]
"""The numbers of the calls on it, and the cursor of the next."""


def _newest(port: Port, calls: PortCallQuerySet, cursor: str | None, limit: int, *, is_few: bool) -> Page:
    """By their number. Unless they are few, it looks through LOOKED_AT calls of the port and no further."""
    below, at_port = _number(cursor), PortCall.objects.filter(port=port).order_by("-id")
    if below is not None:
        calls, at_port = calls.filter(id__lt=below), at_port.filter(id__lt=below)
    floor = None if is_few else at_port.values_list("id", flat=True)[LOOKED_AT : LOOKED_AT + 1].first()
    if floor is not None:
        calls = calls.filter(id__gt=floor)
    found = list(calls.order_by("-id").values_list("id", flat=True)[: limit + 1])
    if len(found) > limit:
        return found[:limit], str(found[limit - 1])
    return found, str(floor + 1) if floor is not None else None


def _changed(port: Port, calls: PortCallQuerySet, since: datetime, cursor: str | None, limit: int) -> Page:
    """By their last Change, so that a page that was read is not moved by what happens meanwhile."""
    later = Change.objects.filter(call=OuterRef("call"), id__gt=OuterRef("id"))
    changes = Change.objects.filter(~Exists(later), port=port, seen_at__gte=since, call__in=calls)
    found, following = _by_time(changes.values_list("seen_at", "id", "call"), cursor, limit)
    return [call for _, _, call in found], following


def _items(numbers: list[int]) -> list[dict[str, Any]]:
    """The calls with these numbers, in that order."""
    stays = Prefetch("stays", Stay.objects.select_related("berth").order_by("position"))
    found = PortCall.objects.at_hand().prefetch_related(stays).in_bulk(numbers)
    there: list[Any] = list(at_hand(Port.objects.filter(pk__in={call.port_id for call in found.values()})))
    ports = {port.pk: port for port in there}
    calls = [found[number] for number in numbers if number in found]
    return [call_item(call, ports[call.port_id].good_as_of) for call in calls]


# --- vessels and changes ------------------------------------------------------------------------------------


@router.get("/vessels/{id}", response={200: WholeVesselOut} | REFUSALS)
def get_vessel(request: HttpRequest, id: Number) -> Any:
    """A vessel by her number here, with her names and calls."""
    vessel = Vessel.objects.filter(pk=id).prefetch_related("names").first()
    if vessel is None:
        raise ApiError(404, "no_such_vessel", f"There is no vessel {id}: it may have been merged with another.")
    calls = vessel.calls.filter(port__in=_told_of()).order_by("-id")[:CALLS_OF_A_VESSEL]
    return whole_vessel_item(vessel, _items(list(calls.values_list("id", flat=True))))


def _told_of() -> list[int]:
    """The ports whose calls may be shown."""
    return list(Port.objects.on().exclude(loaded_at=None).values_list("pk", flat=True))


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
    ports = _told_of()
    if port is not None:
        asked = _port(port).pk
        ports = [pk for pk in ports if pk == asked]
    changes = Change.objects.filter(port=ports[0]) if len(ports) == 1 else Change.objects.filter(port__in=ports)
    if since is not None:
        changes = changes.filter(seen_at__gte=moment_of("since", since))
    found, following = _by_time(changes.values_list("seen_at", "id"), cursor, limit)
    whole = Change.objects.select_related("port", "call__vessel").in_bulk([pk for _, pk in found])
    return {"items": [change_item(whole[pk]) for _, pk in found if pk in whole], "next_cursor": following}


# --- what the calls share -----------------------------------------------------------------------------------


def _by_time(rows: Any, cursor: str | None, limit: int) -> tuple[list[Any], str | None]:
    """Rows that begin with a moment and a number, the newest first, and the cursor of the next page."""
    if cursor is not None:
        moment, number = _moment_and_number(cursor)
        # The first condition, which the second implies, lets an index find where to begin.
        rows = rows.filter(seen_at__lte=moment).exclude(seen_at=moment, id__gte=number)
    found = list(rows.order_by("-seen_at", "-id")[: limit + 1])
    if len(found) <= limit:
        return found, None
    seen_at, number = found[limit - 1][:2]
    return found[:limit], f"{(seen_at - START) // timedelta(microseconds=1)}-{number}"


def _moment_and_number(cursor: str) -> tuple[datetime, int]:
    moment, _, number = cursor.partition("-")
    try:
        return START + timedelta(microseconds=int(moment)), int(number)
    except (ValueError, OverflowError):
        raise _foreign(cursor) from None


def _number(cursor: str | None) -> int | None:
    if cursor is None:
        return None
    if not cursor.isdigit():
        raise _foreign(cursor)
    return int(cursor)


def _foreign(cursor: str) -> ApiError:
    return ApiError(422, "invalid", f"cursor: “{cursor}” is none of this list's: send what `next_cursor` was.")
