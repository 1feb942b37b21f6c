"""A relay and the state of its board as they stand on pages: drawn here for a page and for every stream alike.

What is drawn depends on nothing of the request, so that one drawing can be pushed to everybody who may see it.
"""

import re
from datetime import date
from functools import lru_cache

from django.template.loader import get_template
from django.urls import reverse
from django.utils import timezone
from django.utils.safestring import mark_safe

from relays.models import Relay
from relays.status import House, RelayStatus, State
from relays.templatetags import moments

ICONS = {
    Relay.Kind.LAMP: "lamp",
    Relay.Kind.PUMP: "droplets",
    Relay.Kind.HEATER: "heater",
    Relay.Kind.FAN: "fan",
    Relay.Kind.DOOR: "door-open",
    Relay.Kind.OUTLET: "plug",
    Relay.Kind.OTHER: "circle-power",
}

WORDS = {True: "on", False: "off", None: ""}


def card(relay: RelayStatus, may_switch: bool) -> str:
    """One relay: its name, its state in words, its switch."""
    if relay.until or relay.why_until:
        return _draw(relay, may_switch)
    return _kept(relay, may_switch, timezone.localdate())


@lru_cache(maxsize=1024)
def _kept(relay: RelayStatus, may_switch: bool, day: date) -> str:
    """What does not tick looks the same all ``day``: most cards of most pages need no drawing."""
    return _draw(relay, may_switch)


def _draw(relay: RelayStatus, may_switch: bool) -> str:
    now = timezone.now()
    # Words and not the values they stand for: a long list feels what a template spends on each.
    context = {
        "relay": relay,
        "number": str(relay.id),
        "state": relay.state.value,
        "actual": WORDS[relay.actual],
        "wanted": WORDS[relay.wanted],
        "last_known": WORDS[relay.last_known],
        "icon": moments.icon(ICONS.get(Relay.Kind(relay.kind), "circle-power")),
        "address": _address(relay.slug),
        "has_switch": may_switch,
        "may_switch": may_switch and _is_open(relay),
        "next": "off" if _is_shown_on(relay) else "on",
        "knob": _knob(relay),
        "left": (relay.until - now).total_seconds() if relay.until and relay.actual else None,
        "wait": (relay.why_until - now).total_seconds() if relay.why_until else None,
    }
    drawn = get_template("relays/_relay.html").render(context)
    return mark_safe(re.sub(r"\n\s+", "\n", drawn))  # noqa: S308  # only white space goes


@lru_cache(maxsize=1024)
def _address(slug: str) -> str:
    return mark_safe(reverse("relays:detail", args=[slug]))  # noqa: S308  # a slug has no markup


def _is_open(relay: RelayStatus) -> bool:
    """Whether its switch does anything: not where each request it could make would be refused."""
    can_go_on = relay.board.is_served and not relay.board.is_stopped
    return relay.lock is None and (can_go_on or (_is_shown_on(relay) and not relay.is_momentary))


def _is_shown_on(relay: RelayStatus) -> bool:
    """Where the knob stands: at what is so, or at what is wanted while that is under way or nothing is known."""
    return relay.actual if relay.state is State.FAULT and relay.actual is not None else relay.wanted


def _knob(relay: RelayStatus) -> str:
    if relay.state is State.UNKNOWN or relay.actual is None:
        return "none"
    side = "right" if _is_shown_on(relay) else "left"
    return f"{side} hollow" if relay.state is State.SWITCHING else side


def notices(house: House, may_switch: bool) -> str:
    """What stands above the rooms: boards that do not answer, and that everything is stopped."""
    now = timezone.now()
    silent = [
        (board, (now - board.silent_since).total_seconds() if board.silent_since else None) for board in house.silent
    ]
    return get_template("relays/_notices.html").render(
        {"silent": silent, "stopped": house.stopped[:1], "may_switch": may_switch}
    )
