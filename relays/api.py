"""The relays for programs: what there is, how it is, and every switch through the one door."""

from typing import Annotated, Any, Literal

from django.http import HttpRequest, HttpResponse
from ninja import Query, Router, Status

from accounts.models import Token, User
from iotsite.api import REFUSALS, ApiError, Moment, api, moment_of, only_known_parameters, switching
from iotsite.bridge import STREAM
from iotsite.prepared import Prepared
from relays import door, plan, status
from relays.door import Outcome, RelayError
from relays.models import Board, Event, Relay
from relays.schemas import (
    AllOff,
    AllOffOut,
    Confirmation,
    EventsOut,
    Press,
    RelayOut,
    RelaysOut,
    StopOut,
    Switch,
    as_item,
    event_item,
)

router = Router(tags=["relays"])

PAGE = 200
"""So many rows a call gives, unless it asks for fewer."""
STATUS_OF = {"no_controller": 503, "database": 503, "not_allowed": 403, "gone": 404}
"""What a refusal of the door answers with; 409 for all others."""


router.add_decorator(only_known_parameters)


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
    return _answer(request, event, door.wait_for(event, body.wait))


def _refusal(error: RelayError) -> ApiError:
    return ApiError(STATUS_OF.get(error.code, 409), error.code, error.sentence)


def _answer(request: HttpRequest, event: Event, outcome: Outcome) -> Any:
    """What became of a command, as an answer; the relay as it is now, with the number of this command."""
    now = status.of(outcome.relay)
    item = as_item(now) | {"command": event.pk}
    if outcome.word == Event.Outcome.APPLIED:
        return api.create_response(request, item, status=200)  # not checked against its schema: somebody waits
    if outcome.word == Event.Outcome.SUPERSEDED:
        raise ApiError(409, "superseded", f"{now.name}: {outcome.sentence}.", command=event.pk)
    if outcome.word == Event.Outcome.FAILED:
        raise ApiError(502, "failed", f"{now.name}: {outcome.sentence}", command=event.pk)
    if not now.board.is_served:
        detail = f"The relay controller does not answer: {now.name} is switched once it is back."
        raise ApiError(503, "no_controller", detail, command=event.pk)
    return api.create_response(request, item, status=202)


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
        events = events.filter(at__gte=moment_of("since", since))
    if cursor is not None:
        events = events.filter(id__lt=cursor)
    found = list(events.order_by("-id")[: limit + 1])
    return {
        "items": [event_item(event) for event in found[:limit]],
        "next_cursor": str(found[limit - 1].pk) if len(found) > limit else None,
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
