"""From nothing to the first click: a board, a relay, and trying it."""

import time
from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from accounts.rights import need, user_of
from relays import clock, door, header, status, wiring
from relays.boards import BoardError, gpio
from relays.door import Outcome, RelayError
from relays.forms import BoardForm, RelayForm
from relays.models import Board, Event, Relay

WAIT = 1.5
"""How long a try waits (seconds) to see its relay go on, and again to see it go off."""
CLICK = timedelta(seconds=1)


@require_safe
def setup(request: HttpRequest) -> HttpResponse:
    """Where a new site begins: the boards there are, their headers, and the one next step."""
    boards = list(Board.objects.enabled())
    now = clock.now()
    found, problem = _header_found() if not boards else (False, "")
    context = {
        "boards": [(board, status.BoardStatus.of(board, now)) for board in boards],
        "places": wiring.places(boards[0]) if len(boards) == 1 else [],
        "has_relay": Relay.objects.enabled().exists(),
        "has_header": found,
        "problem": problem,
        "headers": Board.Header.choices,
        "may_add_board": request.user.has_perm("relays.add_board"),
        "may_add_relay": request.user.has_perm("relays.add_relay"),
    }
    return render(request, "relays/setup.html", context)


def _header_found() -> tuple[bool, str]:
    """Whether this machine has a header that can be used, and else what is in the way, where that is known."""
    try:
        return gpio.find_chip() is not None, ""
    except BoardError as error:
        return False, str(error)


@require_POST
def add_board(request: HttpRequest) -> HttpResponse:
    need(request, "relays.add_board", "You may not add a board: ask an administrator.")
    form = BoardForm(request.POST)
    if form.is_valid() and form.cleaned_data["driver"] == Board.Driver.GPIO and not _header_found()[0]:
        form.add_error("driver", "This machine has no GPIO header that can be used: add a simulated board.")
    if form.is_valid() and form.save_by(user_of(request)):
        messages.success(request, f"{form.instance} is added. Its controller starts by itself within seconds.")
    for refusals in form.errors.values():
        for sentence in refusals:
            messages.error(request, str(sentence))
    return redirect("relays:setup")


@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """Add a relay to the board that ``?board=`` names, or to the only one."""
    need(request, "relays.add_relay", "You may not add a relay: ask an administrator.")
    boards = list(Board.objects.enabled())
    board = chosen_board(request, boards)
    if board is None:
        return render(request, "relays/choose_board.html", {"boards": boards}) if boards else redirect("relays:setup")
    form = RelayForm(request.POST if request.method == "POST" else None, instance=Relay(board=board))
    if form.is_valid() and form.save_by(user_of(request)):
        if warning := header.warning(form.instance.line):
            messages.warning(request, warning)
        return redirect("relays:try", form.instance.slug)
    context = {
        "form": form,
        "board": board,
        "boards": boards,
        "places": wiring.choice(board, str(form["line"].value() or "")),
    }
    return render(request, "relays/add.html", context)


def chosen_board(request: HttpRequest, boards: list[Board]) -> Board | None:
    """The one of ``boards`` that the address names, else the only one."""
    text = request.GET.get("board", "")
    named = [board for board in boards if str(board.pk) == text]
    return named[0] if named else boards[0] if len(boards) == 1 else None


@require_http_methods(["GET", "HEAD", "POST"])
def try_it(request: HttpRequest, slug: str) -> HttpResponse:
    """Click it once, and ask whether it did."""
    relay = get_object_or_404(Relay.objects.at_hand(), slug=slug)
    if request.method == "POST":
        return _click(request, relay)
    outcome = _outcome(relay, request.GET.get("event", ""))
    context = {
        "relay": relay,
        "shown": status.of(relay),
        "pin": header.pin_of(relay.board.header, relay.line),
        "outcome": outcome,
        "is_done": outcome is not None and outcome.word == Event.Outcome.APPLIED,
        "other_polarity": other_polarity(relay),
        "may_switch": request.user.has_perm("relays.switch_relay"),
        "may_change": request.user.has_perm("relays.change_relay"),
    }
    return render(request, "relays/try.html", context)


def _click(request: HttpRequest, relay: Relay) -> HttpResponse:
    here = reverse("relays:try", args=[relay.slug])
    user = user_of(request)
    try:
        if relay.is_momentary:
            event = relay.press(by=user, via=Event.Via.PAGE)
        else:
            event = relay.switch(True, by=user, via=Event.Via.PAGE, lasting=min(CLICK, relay.max_on or CLICK))
    except RelayError as error:
        if error.code == "not_allowed":
            raise PermissionDenied(error.sentence) from error
        messages.error(request, error.sentence)
        return redirect(here)
    if door.wait_for(event, WAIT).word == Event.Outcome.APPLIED:
        _wait_until_off(relay)
    return redirect(f"{here}?event={event.pk}")


def _wait_until_off(relay: Relay) -> None:
    """The end of a click comes by the controller's own command, which nobody waits for elsewhere: look for it."""
    end = time.monotonic() + WAIT
    while Relay.objects.on().filter(pk=relay.pk).exists() and time.monotonic() < end:
        time.sleep(0.05)


def _outcome(relay: Relay, text: str) -> Outcome | None:
    """What became of the try that the address names; None where it names none."""
    tries = relay.events.filter(outcome=Event.Outcome.ACCEPTED, via=Event.Via.PAGE)
    event = tries.filter(pk=text).first() if text.isdecimal() and len(text) < 19 else None
    return door.outcome_of(event) if event else None


def other_polarity(relay: Relay) -> Relay.Polarity:
    return Relay.Polarity.ACTIVE_HIGH if relay.is_active_low else Relay.Polarity.ACTIVE_LOW


@require_POST
def swap_polarity(request: HttpRequest, slug: str) -> HttpResponse:
    """What was on while it should be off is of the other polarity."""
    need(request, "relays.change_relay", "You may not edit relays: ask an administrator.")
    relay = get_object_or_404(Relay.objects.select_related("board"), slug=slug)
    relay.polarity = other_polarity(relay)
    try:
        relay.save_edited(by=user_of(request), via=Event.Via.PAGE)
    except ValidationError as error:
        for sentence in error.messages:
            messages.error(request, sentence)
    else:
        messages.success(request, f"{relay.name} is {relay.polarity} now, and should be off. Try it again.")
    return redirect("relays:try", slug)
