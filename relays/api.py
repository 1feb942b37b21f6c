"""The relays for programs: what there is, how it is, and every switch through the one door."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Schema, Status
from pydantic import ConfigDict, Field, StrictBool

from accounts.models import Token, User
from iotsite.api import ApiError, switching
from iotsite.bridge import STREAM
from iotsite.prepared import Prepared
from relays import door, durations, plan, status
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
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class Told(Schema):
    model_config = ConfigDict(use_attribute_docstrings=True)


Wait = Annotated[float, Field(strict=True, ge=0, le=2, description="Seconds to wait for the pin.")]
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
        strict=True,
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
    """What it is to be, never “the other one”: sent twice it does no harm."""
    lasting: Lasting | None = Field(None, alias="for")


class AllOff(Strict):
    wait: Wait = 2.0


class Confirmation(Strict):
    confirm: Annotated[
        StrictBool,
        Field(json_schema_extra={"const": True}, description="The second step: yes, nothing is dangerous any more."),
    ]


class PendingOut(Told):
    why: str
    """Why it is not yet as wanted, in words."""
    until: datetime | None
    """How long that lasts; null where only an event can tell."""


class RelayOut(Told):
    id: int
    slug: str
    name: str
    kind: str
    """What it switches: a lamp, a pump, a door."""
    room: str | None
    board: str
    line: str
    """Its output on the board, like `GPIO17`."""
    mode: Literal["switch", "momentary"]
    """A momentary relay can only be pressed."""
    wanted: bool
    """What was asked for last."""
    actual: bool | None
    """What its pin was read back to be; null: not known."""
    since: datetime | None
    """Since when `actual` is so."""
    until: datetime | None
    """When it goes off by itself."""
    pending: PendingOut | None
    """Why `actual` is not yet `wanted`; null where it is."""
    fault: str | None
    """What is wrong with it, in words."""
    command: int
    """The number of the event that asked for `wanted`; in the answer to a command, of that command."""
    is_locked: bool
    """It refuses every request, until somebody unlocks it."""
    lock_reason: str | None
    is_simulated: bool
    """Nothing is switched for real."""
    is_served: bool
    """The controller of its board answers. Where it does not, `actual` is null."""


class RelaysOut(Told):
    items: list[RelayOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none."""


class RefusalOut(Told):
    slug: str
    code: str
    detail: str


class AllOffOut(Told):
    off: list[str]
    """Slugs of the relays that are off now."""
    pending: list[str]
    """Slugs of those that will be."""
    refused: list[RefusalOut]


class StoppedBoardOut(Told):
    board: str
    is_stopped: bool
    since: datetime | None
    by: str | None


class StopOut(Told):
    is_stopped: bool
    boards: list[StoppedBoardOut]
    note: str | None = None
    """What could not be done yet: everything is stopped even where the database cannot be written to."""


class EventOut(Told):
    id: int
    at: datetime
    kind: str
    outcome: str | None
    board: str
    relay: str | None
    """Its slug; null for what happened to the whole board."""
    of: int | None
    """The event that this one answers: the command that was applied, failed or superseded."""
    who: str | None
    via: str
    """By what means: page, api, timer, …"""
    why: str | None
    sentence: str
    """All of it, for people."""


class EventsOut(Told):
    items: list[EventOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none."""


class ProblemOut(Told):
    type: str
    title: str
    status: int
    detail: str
    """What is wrong and what to do, for people."""
    code: str
    """What is wrong, for programs."""


REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 422, 502, 503), ProblemOut)


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


def _only_known_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse parameters that a call does not have: whoever misspells one should not be taken to have said nothing."""

    @wraps(view)
    def strict(request: HttpRequest, **values: Any) -> Any:
        if request.GET:
            known = [name for name in values if name != "body" and name not in request.resolver_match.kwargs]  # type: ignore[union-attr]
            if unknown := sorted(set(request.GET) - {*known}):
                there = f"there are {', '.join(known)}" if known else "this call has none"
                raise ApiError(422, "invalid", f"There is no parameter “{unknown[0][:50]}”: {there}.")
        return view(request, **values)

    return strict


router.add_decorator(_only_known_parameters)


_BY_SLUG = Prepared(lambda slug: Relay.objects.at_hand().filter(slug=slug))

# --- relays -------------------------------------------------------------------------------------------------


@router.get("/relays", response={200: RelaysOut} | REFUSALS)
def list_relays(request: HttpRequest, limit: Annotated[int, Query(ge=1, le=500)] = 500, cursor: int = 0) -> Any:
    """All enabled relays, by their number."""
    found = sorted((relay for relay in status.house().relays if relay.id > cursor), key=lambda relay: relay.id)
    return {
        "items": [as_item(relay) for relay in found[:limit]],
        "next_cursor": str(found[limit - 1].id) if len(found) > limit else None,
    }


@router.get("/relays/{slug}", response={200: RelayOut} | REFUSALS)
def get_relay(request: HttpRequest, slug: str) -> Any:
    """One relay, by its slug."""
    return as_item(status.of(_relay(slug)))


@router.put("/relays/{slug}", auth=switching, response={200: RelayOut, 202: RelayOut} | REFUSALS)
def switch_relay(request: HttpRequest, slug: str, body: Switch) -> Any:
    """On or off: 200 once the pin was read back to be so, 202 while it is not yet."""
    return _carry_out(request, plan.Request(slug, body.on, body.lasting), body)


@router.post("/relays/{slug}/press", auth=switching, response={200: RelayOut, 202: RelayOut} | REFUSALS)
def press_relay(request: HttpRequest, slug: str, body: Press | None = None) -> Any:
    """Press a momentary relay: answers like a switch, 200 once the press has begun."""
    return _carry_out(request, plan.Request(slug, on=True, is_press=True), body or Press())


def _relay(slug: str) -> Relay:
    found = next(iter(_BY_SLUG(slug)), None)
    if found is None or not (found.is_enabled and found.board.is_enabled):
        raise _no_such_relay(slug)
    return found


def _no_such_relay(slug: int | str) -> ApiError:
    return ApiError(404, "no_such_relay", f"There is no enabled relay “{slug}”: GET /api/relays lists them.")


def _carry_out(request: HttpRequest, wish: plan.Request, body: Press) -> Any:
    try:
        event = door.ask(wish, by=_user(request), via=Event.Via.API, command_id=body.command_id or "")
    except RelayError as error:
        raise _no_such_relay(wish.relay) if error.code == "gone" else _refusal(error) from error
    return _answer(event, door.wait_for(event, body.wait))


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
            if error.code in ("not_allowed", "database"):
                raise _refusal(error) from error  # the next ones would fare no better
            told["refused"].append({"slug": relay.slug, "code": error.code, "detail": error.sentence})
    for relay, event in asked:
        outcome = door.wait_for(event, (body or AllOff()).wait / len(asked))
        if outcome.word in (Event.Outcome.APPLIED, door.PENDING):
            told["off" if outcome.word == Event.Outcome.APPLIED else "pending"].append(relay.slug)
        else:
            told["refused"].append({"slug": relay.slug, "code": outcome.word, "detail": outcome.sentence})
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
    if not body.confirm:
        raise ApiError(422, "invalid", "confirm: say true when nothing is dangerous any more.")
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

# Not a datetime, which pydantic takes from any number too.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]
Outcomes = Literal["accepted", "refused", "applied", "failed", "superseded"]


@router.get("/events", response={200: EventsOut} | REFUSALS)
def list_events(
    request: HttpRequest,
    relay: str | None = None,
    outcome: Outcomes | None = None,
    since: Moment | None = None,
    cursor: Annotated[int | None, Query(ge=0, le=2**63 - 1)] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE)] = 50,
) -> Any:
    """What happened, the newest first; `since` is a moment with its zone, `cursor` goes on where a page ended."""
    events = Event.objects.select_related("relay", "board", "of")
    if relay is not None:
        events = events.filter(relay__slug=relay)
    if outcome:
        events = events.filter(outcome=outcome)
    if since is not None:
        events = events.filter(at__gte=_moment(since))
    if cursor is not None:
        events = events.filter(id__lt=cursor)
    found = list(events.order_by("-id")[: limit + 1])
    return {
        "items": [_event_item(event) for event in found[:limit]],
        "next_cursor": str(found[limit - 1].pk) if len(found) > limit else None,
    }


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ApiError(422, "invalid", "since: write a moment with its zone, as in 2026-11-25T18:00:00Z.")


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


EVENT_STREAM = {"responses": {200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}}}


@router.get("/stream", response={200: None} | REFUSALS, openapi_extra=EVENT_STREAM)
def stream(request: HttpRequest) -> HttpResponse:
    """Server-sent events: `relay` with a relay as above, `stop` with whether everything is stopped, `beat` every 4 s.

    Everything as it is at first, then each change; `bye` once the token is revoked or has expired.
    """
    from iotsite import live

    opened = live.ApiStream(_token(request))
    if not live.watcher().has_room_for(opened):
        raise ApiError(503, "too_many_streams", "So many streams are open already that there is no room for another.")
    request.META[STREAM] = opened
    return HttpResponse(content_type="text/event-stream")


# --- what the calls share -----------------------------------------------------------------------------------


def _user(request: HttpRequest) -> User:
    return _token(request).user


def _token(request: HttpRequest) -> Token:
    token: Token = request.auth  # type: ignore[attr-defined]
    return token
