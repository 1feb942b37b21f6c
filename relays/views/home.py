from collections.abc import Callable
from datetime import timedelta
from itertools import groupby

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_POST, require_safe

from accounts.models import User
from relays import clock, door, durations, plan
from relays.door import RelayError
from relays.models import Board, Event, Relay, Room

WAIT = 1.5
"""How long a page waits (seconds) to see a switch carried out."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    relays = list(Relay.objects.by_room())
    boards = list(Board.objects.enabled().all())
    now = clock.now()
    waits = {board.pk: plan.plan(board.as_seen(board.rows(), now), now).waits for board in boards}
    rows = [(relay, _words(waits[relay.board_id].get(relay.pk), now)) for relay in relays]
    context = {
        "rooms": [(room, list(group)) for room, group in groupby(rows, key=lambda row: row[0].room)],
        "boards": boards,
        "silent": [board for board in boards if not board.is_served],
        "is_stopped": any(board.is_stopped for board in boards),
        "has_board": bool(boards),
        "may_switch": request.user.has_perm("relays.switch_relay"),
    }
    return render(request, "relays/home.html", context)


def _words(wait: plan.Wait | None, now: clock.Now) -> str:
    if wait is None:
        return ""
    return f"in {durations.words(round(wait.until - now.boot, 1))}, {wait.why}" if wait.until else wait.why


@require_POST
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a relay: ``on`` is on or off, ``lasting`` a duration or empty."""
    relay = get_object_or_404(Relay.objects.select_related("board"), slug=slug)
    return _carry_out(request, relay, lambda user: _switch(relay, request, user))


def _switch(relay: Relay, request: HttpRequest, user: User) -> Event:
    on = request.POST.get("on", "")
    if on not in ("on", "off"):
        raise RelayError("bad_request", "Say on or off.")
    return relay.switch(on == "on", by=user, via=Event.Via.PAGE, lasting=_lasting(request.POST.get("lasting", "")))


def _lasting(text: str) -> timedelta | None:
    try:
        return durations.parse(text) if text.strip() else None
    except ValueError as error:
        raise RelayError("bad_duration", str(error)) from error


@require_POST
def press(request: HttpRequest, slug: str) -> HttpResponse:
    relay = get_object_or_404(Relay.objects.select_related("board"), slug=slug)
    return _carry_out(request, relay, lambda user: relay.press(by=user, via=Event.Via.PAGE))


def _carry_out(request: HttpRequest, relay: Relay, ask: Callable[[User], Event]) -> HttpResponse:
    """Ask, wait a moment for the pin, say what became of it, and show the page."""
    try:
        outcome = door.wait_for(ask(_user(request)), WAIT)
    except RelayError as error:
        messages.error(request, error.sentence)
        return redirect("relays:home")
    if outcome.word != Event.Outcome.APPLIED:
        reason = f": {outcome.sentence}" if outcome.sentence else ""
        messages.warning(request, f"{relay.name}: {outcome.word}{reason}.")
    return redirect("relays:home")


@require_POST
def room_off(request: HttpRequest) -> HttpResponse:
    """Switch off every relay of one room (``room`` empty: those without one)."""
    text = request.POST.get("room", "")
    room = Room.objects.filter(pk=text).first() if text.isdecimal() else None
    if text and room is None:
        messages.error(request, "There is no such room.")
        return redirect("relays:home")
    events = []
    for relay in Relay.objects.enabled().filter(room=room).on():
        try:
            events.append(relay.switch(False, by=_user(request), via=Event.Via.PAGE))
        except RelayError as error:
            messages.error(request, error.sentence)
    for event in events:
        door.wait_for(event, WAIT / len(events))
    return redirect("relays:home")


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    try:
        left = door.stop_everything(by=_user(request), via=Event.Via.PAGE)
    except RelayError as error:
        messages.error(request, error.sentence)
    else:
        messages.warning(request, left or "Everything is stopped. Nothing can be switched on until you reset it.")
    return redirect("relays:home")


def reset_stop(request: HttpRequest) -> HttpResponse:
    """Two steps: a page that asks, and the reset."""
    if request.method != "POST":
        return render(request, "relays/reset_stop.html")
    try:
        door.reset_stop(by=_user(request), via=Event.Via.PAGE)
    except RelayError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, "The stop is reset. What was on stays off until you switch it on.")
    return redirect("relays:home")


def _user(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    return request.user
