from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from relays import cards, status
from relays.models import Relay


@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One relay: its state and switch, what it did, its rules, and what an end does to it."""
    relay = get_object_or_404(Relay.objects.select_related("board", "room", "interlock", "wanted_by"), slug=slug)
    house = status.house()
    shown = next((one for one in house.relays if one.id == relay.pk), None) or status.of(relay)
    may_switch = request.user.has_perm("relays.switch_relay")
    context = {
        "relay": relay,
        "shown": shown,
        "house": house,
        "notices": cards.notices(house, may_switch),
        "card": cards.card(shown, may_switch),
        "may_switch": may_switch,
    }
    return render(request, "relays/detail.html", context)
