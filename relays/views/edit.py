"""Edit, lock and unlock a relay without the admin."""

from collections.abc import Callable

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from accounts.rights import need, user_of
from relays import header, wiring
from relays.door import RelayError
from relays.forms import RelayEditForm
from relays.models import Board, Event, Relay
from relays.views.setup import chosen_board


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, slug: str) -> HttpResponse:
    """Edit a relay; ``?board=`` moves it to another board."""
    need(request, "relays.change_relay", "You may not edit relays: ask an administrator.")
    relay = get_object_or_404(Relay.objects.select_related("board", "room"), slug=slug)
    name, lock = relay.name, relay.lock_reason if relay.is_locked else None
    boards = list(Board.objects.enabled())
    relay.board = (chosen_board(request, boards) if "board" in request.GET else None) or relay.board
    form = RelayEditForm(request.POST if request.method == "POST" else None, instance=relay)
    if form.is_valid() and form.save_by(user_of(request)):
        if "line" in form.changed_data and (warning := header.warning(relay.line)):
            messages.warning(request, warning)
        messages.success(request, f"{relay.name} is saved.")
        return redirect("relays:detail", relay.slug)
    context = {
        "form": form,
        "slug": slug,
        "name": name,
        "lock": lock,
        "locked_by": relay.locked_by,
        "board": relay.board,
        "boards": boards,
        "is_moving": "board" in request.GET,
        "own": relay.pk,
        "places": wiring.choice(relay.board, str(form["line"].value() or ""), own=relay.pk),
    }
    return render(request, "relays/edit.html", context)


@require_POST
def lock(request: HttpRequest, slug: str) -> HttpResponse:
    user, reason = user_of(request), request.POST.get("reason", "")
    return _do(request, slug, "locked", lambda relay: relay.lock(reason, by=user, via=Event.Via.PAGE))


@require_POST
def unlock(request: HttpRequest, slug: str) -> HttpResponse:
    user = user_of(request)
    return _do(request, slug, "unlocked", lambda relay: relay.unlock(by=user, via=Event.Via.PAGE))


def _do(request: HttpRequest, slug: str, done: str, act: Callable[[Relay], Event]) -> HttpResponse:
    relay = get_object_or_404(Relay.objects.select_related("board"), slug=slug)
    try:
        act(relay)
    except RelayError as error:
        if error.code == "not_allowed":
            raise PermissionDenied(error.sentence) from error
        messages.error(request, error.sentence)
        return redirect("relays:edit", slug)
    messages.success(request, f"{relay.name} is {done}.")
    return redirect("relays:detail", slug)
