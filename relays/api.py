"""The relays for programs: what there is, how it is, and every switch through the one door."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field, StrictBool

from accounts.models import Token, User
from iotsite.api import ApiError, switching
from iotsite.bridge import STREAM
from relays import door, durations, status
from relays.door import Outcome, RelayError
from relays.models import Board, Event, Relay
from relays.status import RelayStatus

router = Router(tags=["relays"])

PAGE = 200
"""So many rows a call gives, unless it asks for fewer."""
STATUS_OF = {"no_controller": 503, "database": 503, "not_allowed": 403, "gone": 404}
"""What a refusal of the door answers with; 409 for all others."""


# --- what is sent and given ---------------------------------------------------------------------------------


class Strict(Schema):
    model_config = ConfigDict(extra="forbid")


Wait = Annotated[float, Field(ge=0, le=2, description="Seconds to wait for the pin.")]
CommandId = Annotated[
    str,
    Field(
        pattern=r"^[!-~]{1,100}$",
        description="The same one again, within 24 h and with the same body, is not a second command.",
    ),
]
Lasting = Annotated[
    float,
    Field(
        ge=durations.SHORTEST.total_seconds(),
        le=durations.LONGEST.total_seconds(),
        description="On for so many seconds, then off by itself.",
    ),
]


class Press(Strict):
    wait: Wait = 2.0
    command_id: CommandId | None = None


class Switch(Press):
    on: StrictBool
    lasting: Lasting | None = Field(None, alias="for")


class AllOff(Strict):
    wait: Wait = 2.0


class Confirmation(Strict):
    confirm: Annotated[Literal[True], Field(description="The second step: yes, nothing is dangerous any more.")]


class PendingOut(Schema):
    why: str
    until: datetime | None


class RelayOut(Schema):
    id: int
    slug: str
    name: str
    kind: str
    room: str | None
    board: str
    line: str
    mode: Literal["switch", "momentary"]
    wanted: bool
    actual: bool | None
    since: datetime | None
    until: datetime | None
    pending: PendingOut | None
    fault: str | None
    command: int
    is_locked: bool
    lock_reason: str | None
    is_simulated: bool
    is_served: bool


class RelaysOut(Schema):
    items: list[RelayOut]
    next_cursor: str | None


class RefusalOut(Schema):
    slug: str
    code: str
    detail: str


class AllOffOut(Schema):
    off: list[str]
    pending: list[str]
    refused: list[RefusalOut]


class StoppedBoardOut(Schema):
    board: str
    is_stopped: bool
    since: datetime | None
    by: str | None


class StopOut(Schema):
    is_stopped: bool
    boards: list[StoppedBoardOut]
    note: str | None = None


class EventOut(Schema):
    id: int
    at: datetime
    kind: str
    outcome: str | None
    board: str
    relay: str | None
    of: int | None
    who: str | None
    via: str
    why: str | None
    sentence: str


class EventsOut(Schema):
    items: list[EventOut]
    next_cursor: str | None


class ProblemOut(Schema):
    type: str
    title: str
    status: int
    detail: str
    code: str


REFUSALS = dict.fromkeys((401, 403, 404, 409, 422, 502, 503), ProblemOut)


def as_item(relay: RelayStatus) -> dict[str, Any]:
    """A relay as programs see it: what RelayOut describes."""
    return {
        "id": relay.id,
        "slug": relay.slug,
        "name": relay.name,
        "kind": relay.kind,
        "room": relay.room or None,
        "board": relay.board.name,
        "line": relay.line,
        "mode": "momentary" if relay.is_momentary else "switch",
        "wanted": relay.wanted,
        "actual": relay.actual,
        "since": relay.since,
        "until": relay.until,
        "pending": {"why": _why_pending(relay), "until": relay.why_until} if relay.is_pending else None,
        "fault": relay.fault or None,
        "command": relay.command,
        "is_locked": relay.lock is not None,
        "lock_reason": relay.lock,
        "is_simulated": relay.board.is_simulated,
        "is_served": relay.board.is_served,
    }


def _why_pending(relay: RelayStatus) -> str:
    if not relay.board.is_served:
        return "the relay controller does not answer"
    return relay.why or "the relay controller has not confirmed it yet"


# --- relays -------------------------------------------------------------------------------------------------


@router.get("/relays", response={200: RelaysOut} | REFUSALS)
def list_relays(request: HttpRequest, limit: Annotated[int, Query(ge=1, le=500)] = 500, cursor: int = 0) -> Any:
    """All enabled relays, by their number."""
    _know_all(request, "limit", "cursor")
    found = sorted((relay for relay in status.house().relays if relay.id > cursor), key=lambda relay: relay.id)
    return {
        "items": [as_item(relay) for relay in found[:limit]],
        "next_cursor": str(found[limit - 1].id) if len(found) > limit else None,
    }


@router.get("/relays/{slug}", response={200: RelayOut} | REFUSALS)
def get_relay(request: HttpRequest, slug: str) -> Any:
    return as_item(status.of(_relay(slug)))


@router.put("/relays/{slug}", auth=switching, response={200: RelayOut, 202: RelayOut} | REFUSALS)
def switch_relay(request: HttpRequest, slug: str, body: Switch) -> Any:
    """On or off: 200 once the pin was read back to be so, 202 while it is not yet."""
    lasting = timedelta(seconds=body.lasting) if body.lasting is not None else None
    return _carry_out(request, slug, body, lambda relay, **by: relay.switch(body.on, lasting=lasting, **by))


@router.post("/relays/{slug}/press", auth=switching, response={200: RelayOut, 202: RelayOut} | REFUSALS)
def press_relay(request: HttpRequest, slug: str, body: Press | None = None) -> Any:
    """Press a momentary relay: answers like a switch, 200 once the press has begun."""
    return _carry_out(request, slug, body or Press(), lambda relay, **by: relay.press(**by))


def _relay(slug: str) -> Relay:
    try:
        return Relay.objects.by_room().get(slug=slug)
    except Relay.DoesNotExist:
        raise ApiError(
            404, "no_such_relay", f"There is no enabled relay “{slug}”: GET /api/relays lists them."
        ) from None


def _carry_out(request: HttpRequest, slug: str, body: Press, ask: Callable[..., Event]) -> Any:
    relay = _relay(slug)
    try:
        event = ask(relay, by=_user(request), via=Event.Via.API, command_id=body.command_id or "")
    except RelayError as error:
        raise _refusal(error) from error
    outcome = door.wait_for(event, body.wait)
    return _answer(event, outcome)


def _refusal(error: RelayError) -> ApiError:
    return ApiError(STATUS_OF.get(error.code, 409), error.code, error.sentence)


def _answer(event: Event, outcome: Outcome) -> Any:
    """What became of a command, as an answer; the relay as it is now, with the number of this command."""
    now = status.of(outcome.relay)
    item = as_item(now) | {"command": event.pk}
    if outcome.word == Event.Outcome.APPLIED:
        return Status(200, item)
    if outcome.word == Event.Outcome.SUPERSEDED:
        raise ApiError(409, "superseded", f"{now.name}: {outcome.sentence}.", command=event.pk)
    if outcome.word == Event.Outcome.FAILED:
        raise ApiError(502, "failed", f"{now.name}: {outcome.sentence}", command=event.pk)
    if not now.board.is_served:
        detail = f"The relay controller does not answer: {now.name} is switched once it is back."
        raise ApiError(503, "no_controller", detail, command=event.pk)
    return Status(202, item)


@router.post("/all-off", auth=switching, response={200: AllOffOut, 202: AllOffOut} | REFUSALS)
def all_off(request: HttpRequest, body: AllOff | None = None) -> Any:
    """Switch off whatever is on: 200 where all of it is off, 202 where something is not yet, or refused."""
    told: dict[str, list[Any]] = {"off": [], "pending": [], "refused": []}
    asked = []
    for relay in Relay.objects.enabled().on():
        try:
            asked.append((relay, relay.switch(False, by=_user(request), via=Event.Via.API)))
        except RelayError as error:
            told["refused"].append({"slug": relay.slug, "code": error.code, "detail": error.sentence})
    for relay, event in asked:
        outcome = door.wait_for(event, (body or AllOff()).wait / len(asked))
        told["off" if outcome.word == Event.Outcome.APPLIED else "pending"].append(relay.slug)
    return Status(202 if told["pending"] or told["refused"] else 200, told)


# --- stop everything ----------------------------------------------------------------------------------------


@router.get("/stop", response={200: StopOut} | REFUSALS)
def stop_state(request: HttpRequest) -> Any:
    """Whether Stop everything holds the relays off."""
    return _stop_state()


@router.post("/stop", auth=switching, response={200: StopOut} | REFUSALS)
def stop_everything(request: HttpRequest) -> Any:
    """Every relay off, and no on until it is reset. A convenience, not the emergency stop of a machine."""
    try:
        note = door.stop_everything(by=_user(request), via=Event.Via.API)
    except RelayError as error:
        raise _refusal(error) from error
    return _stop_state() | {"note": note or None}


@router.delete("/stop", auth=switching, response={200: StopOut} | REFUSALS)
def reset_stop(request: HttpRequest, body: Confirmation) -> Any:
    """Let relays be switched again. Nothing goes on by itself: what was on stays off."""
    try:
        door.reset_stop(by=_user(request), via=Event.Via.API)
    except RelayError as error:
        raise _refusal(error) from error
    return _stop_state()


def _stop_state() -> dict[str, Any]:
    boards = [
        {"board": board.name, "is_stopped": board.is_stopped, "since": board.stopped_at, "by": board.stopped_by or None}
        for board in Board.objects.enabled()
    ]
    return {"is_stopped": any(board["is_stopped"] for board in boards), "boards": boards}


# --- what happened ------------------------------------------------------------------------------------------

Outcomes = Literal["accepted", "refused", "applied", "failed", "superseded"]


@router.get("/events", response={200: EventsOut} | REFUSALS)
def list_events(
    request: HttpRequest,
    relay: str | None = None,
    outcome: Outcomes | None = None,
    since: datetime | None = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
) -> Any:
    """What happened, the newest first; ``since`` is a moment with its zone, ``cursor`` goes on where a page ended."""
    _know_all(request, "relay", "outcome", "since", "cursor", "limit")
    if since and since.tzinfo is None:
        raise ApiError(422, "invalid", "since: say the zone too, as in 2026-11-25T18:00:00Z.")
    events = Event.objects.select_related("relay", "board", "of")
    if relay is not None:
        events = events.filter(relay__slug=relay)
    if outcome:
        events = events.filter(outcome=outcome)
    if since:
        events = events.filter(at__gte=since)
    if cursor is not None:
        events = events.filter(id__lt=cursor)
    found = list(events.order_by("-id")[: limit + 1])
    return {
        "items": [_event_item(event) for event in found[:limit]],
        "next_cursor": str(found[limit - 1].pk) if len(found) > limit else None,
    }


def _event_item(event: Event) -> dict[str, Any]:
    return {
        "id": event.pk,
        "at": event.at,
        "kind": event.kind,
        "outcome": event.outcome or None,
        "board": event.board.name,
        "relay": event.relay.slug if event.relay else None,
        "of": event.of_id,
        "who": (event.of or event).who or None,
        "via": event.via,
        "why": event.why or None,
        "sentence": event.sentence,
    }


@router.get("/stream", response={200: None} | REFUSALS)
def stream(request: HttpRequest) -> HttpResponse:
    """Server-sent events: `relay` with a relay as above, `stop` with the state of Stop everything, `beat` every 4 s.

    Everything as it is at first, then each change.
    """
    from iotsite import live

    response = HttpResponse(content_type="text/event-stream")
    request.META[STREAM] = live.ApiStream(_token(request))
    return response


# --- what the calls share -----------------------------------------------------------------------------------


def _know_all(request: HttpRequest, *names: str) -> None:
    if unknown := sorted(set(request.GET) - {*names}):
        raise ApiError(422, "invalid", f"There is no parameter “{unknown[0][:50]}”: there are {', '.join(names)}.")


def _user(request: HttpRequest) -> User:
    return _token(request).user


def _token(request: HttpRequest) -> Token:
    token: Token = request.auth  # type: ignore[attr-defined]
    return token
