from collections.abc import Callable
from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.template.loader import render_to_string
from django.urls import Resolver404, resolve
from django.views.decorators.http import require_POST, require_safe
from django_htmx.http import retarget

from accounts.models import User
from accounts.rights import user_of
from iotsite.parts import parts_of
from relays import cards, door, durations, status
from relays.door import RelayError
from relays.models import Event, Relay, Room

WAIT = 1.5
"""How long a page waits (seconds) to see a switch carried out."""


@require_safe
def home(request: HttpRequest) -> HttpResponse:
    house = status.house()
    if not house.boards and not parts_of(request).shows_relays:
        return redirect("ports:index")
    may_switch = request.user.has_perm("relays.switch_relay")
    context = {
        "house": house,
        "notices": cards.notices(house, may_switch),
        "rooms": [
            (name, room, [cards.card(relay, may_switch) for relay in relays])
            for name, room, relays in status.rooms(house.relays)
        ],
        "may_switch": may_switch,
        "may_add": request.user.has_perm("relays.add_relay"),
    }
    return render(request, "relays/home.html", context)


@require_POST
def switch(request: HttpRequest, slug: str) -> HttpResponse:
    """Switch a relay: ``on`` is on or off, ``lasting`` a duration or empty; a duration alone means on."""
    relay = get_object_or_404(Relay.objects.select_related("board"), slug=slug)
    return _carry_out(request, relay, lambda user: _switch(relay, request, user))


def _switch(relay: Relay, request: HttpRequest, user: User) -> Event:
    lasting = request.POST.get("lasting", "")
    on = request.POST.get("on", "on" if lasting.strip() else "")
    if on not in ("on", "off"):
        raise RelayError("bad_request", "Say on or off.")
    return relay.switch(on == "on", by=user, via=Event.Via.PAGE, lasting=_lasting(lasting))


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
    """Ask, wait a moment for the pin, say what became of it, and show the page, or what changed on it."""
    try:
        outcome = door.wait_for(ask(user_of(request)), WAIT)
    except RelayError as error:
        messages.error(request, error.sentence)
    else:
        # A live page shows on the card that something is under way, and for how long that is true.
        is_shown = outcome.word == "pending" and _is_live(request)
        if outcome.word != Event.Outcome.APPLIED and not is_shown:
            reason = f": {outcome.sentence}" if outcome.sentence else ""
            messages.warning(request, f"{relay.name}: {outcome.word}{reason}.")
    return _answer(request, relay)


@require_POST
def room_off(request: HttpRequest) -> HttpResponse:
    """Switch off every relay of one room (``room`` empty: those without one)."""
    text = request.POST.get("room", "")
    room = Room.objects.filter(pk=text).first() if text.isdecimal() else None
    if text and room is None:
        messages.error(request, "There is no such room.")
        return _answer(request)
    events = []
    for relay in Relay.objects.enabled().filter(room=room).on():
        try:
            events.append(relay.switch(False, by=user_of(request), via=Event.Via.PAGE))
        except RelayError as error:
            messages.error(request, error.sentence)
    for event in events:
        door.wait_for(event, WAIT / len(events))
    return _answer(request)


@require_POST
def stop(request: HttpRequest) -> HttpResponse:
    try:
        left = door.stop_everything(by=user_of(request), via=Event.Via.PAGE)
    except RelayError as error:
        messages.error(request, error.sentence)
    else:
        messages.warning(request, left or "Everything is stopped. Nothing can be switched on until you reset it.")
    return _answer(request)


def reset_stop(request: HttpRequest) -> HttpResponse:
    """Two steps: a page that asks, and the reset."""
    if request.method != "POST":
        return render(request, "relays/reset_stop.html")
    try:
        door.reset_stop(by=user_of(request), via=Event.Via.PAGE)
    except RelayError as error:
        messages.error(request, error.sentence)
    else:
        messages.success(request, "The stop is reset. What was on stays off until you switch it on.")
    return redirect("relays:home")


def _is_live(request: HttpRequest) -> bool:
    """Whether static/live.js asks, which keeps the page and wants only what changed on it."""
    return bool(request.htmx)  # type: ignore[attr-defined]  # HtmxMiddleware's


def _answer(request: HttpRequest, relay: Relay | None = None) -> HttpResponse:
    """After a request to a relay: back to the page with the button, or to a live one its card and the messages."""
    if not _is_live(request):
        return redirect(_back(request))
    answer = HttpResponse(render_to_string("_messages.html", {"is_answer": True}, request))
    row = Relay.objects.at_hand().filter(pk=relay.pk).first() if relay else None
    if row is None:
        return answer
    shown = status.of(row)
    answer.write(cards.card(shown, request.user.has_perm("relays.switch_relay")))
    return retarget(answer, f"#relay-{row.pk}")


def _back(request: HttpRequest) -> str:
    """The page on which the button stood; home where that is none of ours."""
    path = request.POST.get("back", "")
    try:
        is_known = resolve(path).view_name in ("relays:home", "relays:detail")
    except Resolver404:
        is_known = False
    return path if is_known and path.startswith("/") and not path.startswith("//") else "relays:home"
