from itertools import groupby
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iotsite.parts import parts_of
from ports import countries
from ports.access import reading
from ports.models import Port
from ports.overview import overview


@reading
@require_safe
def index(request: HttpRequest) -> HttpResponse:
    """The ports that are on, and those that could be."""
    ships = parts_of(request).ships
    off = Port.objects.filter(is_enabled=False, is_example=False).select_related("feed")
    context = {
        "on": overview(),
        "off": _by_country(off),
        "ships": ships,
        "may_turn_on": request.user.has_perm("ports.change_port"),
    }
    return render(request, "ports/index.html", context)


def _by_country(ports: Any) -> list[tuple[str, list[Port]]]:
    found = sorted(ports, key=lambda port: (countries.name(port.country), port.feed.publisher.title, port.name))
    return [
        (f"{country} · {title}", list(group))
        for (country, title), group in groupby(
            found, key=lambda port: (countries.name(port.country), port.feed.publisher.title)
        )
    ]
