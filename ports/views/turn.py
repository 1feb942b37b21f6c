"""What people may do to a port: turn it on and off, ask for a refresh, remove the example."""

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST

from accounts.rights import need
from iotsite.database import writing
from ports import example, watch
from ports.models import Port
from ports.refresh import FeedBusyError
from ports.times import Clock
from ports.views.port import known

MAY_NOT = "You may look at ports, but not turn them on or off. Ask somebody who has the rights to it."


def turn_on(request: HttpRequest, locode: str) -> HttpResponse:
    """Says who publishes the data, under which terms, and how often they are asked; a POST turns it on."""
    port = known(locode)
    if port.is_on:
        return redirect("ports:port", port.locode)
    if request.method != "POST":
        may = request.user.has_perm("ports.change_port")
        others = port.feed.ports.exclude(pk=port.pk)
        context = {"port": port, "source": port.feed.publisher, "may_turn_on": may, "others": others}
        return render(request, "ports/turn_on.html", context)
    need(request, "ports.change_port", MAY_NOT)
    with writing():
        port.is_enabled = True
        port.save(update_fields=["is_enabled"])
    _wish(request, port, f"{port} is on. {_waits(port) or 'Its ships are being fetched.'}")
    return redirect("ports:port", port.locode)


@require_POST
def turn_off(request: HttpRequest, locode: str) -> HttpResponse:
    """What is known of it stays; it is asked for no more."""
    port = known(locode)
    need(request, "ports.change_port", MAY_NOT)
    with writing():
        port.is_enabled = False
        port.save(update_fields=["is_enabled"])
    messages.success(request, f"{port} is off: nothing is fetched for it. What was seen is kept.")
    return redirect("ports:index")


@require_POST
def refresh(request: HttpRequest, locode: str) -> HttpResponse:
    """Keep the wish, and wake who sees to it."""
    port = known(locode)
    if not getattr(request.user, "is_staff", False):
        raise PermissionDenied("Only the staff may ask for a refresh: the lists refresh by themselves.")
    if port.is_enabled:
        _wish(request, port)
    else:
        messages.error(request, f"{port} is off, and is not fetched.")
    return redirect("ports:port", port.locode)


@require_POST
def remove(request: HttpRequest, locode: str) -> HttpResponse:
    """The example, with all that was recorded."""
    port = known(locode)
    need(request, "ports.change_port", MAY_NOT)
    if not port.is_example:
        messages.error(request, f"{port} is no example: turn it off instead.")
        return redirect("ports:port", port.locode)
    try:
        example.remove(Port.objects.get(pk=port.pk))
    except FeedBusyError as error:
        messages.error(request, str(error))
        return redirect("ports:port", port.locode)
    messages.success(request, "The example is removed.")
    return redirect("ports:index")


def _waits(port: Port) -> str:
    """For what, where it cannot be fetched at once."""
    until, clock = port.feed.waits_until(), Clock.of(port)
    if until is None:
        return ""
    return f"{port.feed.publisher.publisher} asks us to wait until {clock.words(until)} ({clock.name})."


def _wish(request: HttpRequest, port: Port, done: str = "") -> None:
    with writing():
        port.feed.wish()
    if not watch.wake():
        messages.warning(request, watch.START_IT)
    elif done:
        messages.success(request, done)
