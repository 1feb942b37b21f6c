"""What a site at home needs for HTTPS: who is told that it has none, the page that says how, and Caddy's question."""

import socket

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iotsite import errors, network, places


def is_exposed(request: HttpRequest) -> bool:
    """Whether others can read along: it came over a network, and not encrypted."""
    client, here = request.META["REMOTE_ADDR"], request.META["SERVER_NAME"]
    return not (request.is_secure() or client == here or network.is_this_machine(client))


@login_not_required
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """How to come by HTTPS, for whoever is about to sign in too."""
    host, _ = split_domain_port(request.get_host())
    if host == "localhost" or network.is_this_machine(host):
        host = places.names_of(socket.gethostname())[-1]  # what others call it
    told = {"host": host, "is_installed": settings.IS_INSTALLED, "is_exposed": is_exposed(request)}
    return render(request, "https.html", told)


@login_not_required
@require_safe
def name(request: HttpRequest) -> HttpResponse:
    """Caddy asks before it makes a certificate (deploy/Caddyfile): 204 where that is for a name or address of ours.

    A pattern of ALLOWED_HOSTS is no name: it would be good for any number of them.
    """
    wanted = request.GET.get("domain", "").lower().removesuffix(".")
    names = {name.lower() for name in settings.HOST_NAMES if not name.startswith((".", "*"))}
    is_ours = wanted in names or network.is_own(wanted)
    if is_ours and network.is_this_machine(request.META["REMOTE_ADDR"]):
        return HttpResponse(status=204)
    return errors.not_found(request)
