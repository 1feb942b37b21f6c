from datetime import datetime, timedelta

from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.views.decorators.http import require_safe

from relays import cards, endings, rules, status, timeline
from relays.models import Event, Relay
from relays.status import RelayStatus
from relays.timeline import Drawing, Happened, Shown, Span

EVENTS_LISTED = 20
EVENTS_DRAWN = 5_000
"""At most so many are read for the drawing: as much as a page should wait for."""

STARTS_READ = 200
"""Of the controllers' starts and stops."""


@require_safe
def detail(request: HttpRequest, slug: str) -> HttpResponse:
    """One relay: its state and switch, what it did, its rules, and what an end does to it."""
    relay = get_object_or_404(Relay.objects.at_hand(), slug=slug)
    house = status.house()
    shown = next((one for one in house.relays if one.id == relay.pk), None) or status.of(relay)
    may_switch = request.user.has_perm("relays.switch_relay")
    now = timezone.now()
    siblings = relay.interlock.relays.exclude(pk=relay.pk).values_list("name", flat=True) if relay.interlock else []
    context = {
        "relay": relay,
        "shown": shown,
        "house": house,
        "notices": cards.notices(house, may_switch),
        "card": cards.card(shown, may_switch),
        "may_switch": may_switch,
        "may_edit": request.user.has_perm("relays.change_relay"),
        "drawings": drawings(relay, shown, now),
        "on_for": relay.on_for + (now - shown.since if shown.actual and shown.since else timedelta(0)),
        "rules": rules.sentences(relay, list(siblings)),
        "endings": endings.sentences(relay),
        "events": relay.events.select_related("of")[:EVENTS_LISTED],
    }
    return render(request, "relays/detail.html", context)


def drawings(relay: Relay, shown: RelayStatus, now: datetime) -> list[tuple[str, Drawing]]:
    """What it did in the last day and week."""
    week, day = now - timedelta(days=7), now - timedelta(days=1)
    found = _spans(relay, shown, week, now)
    midnights = [timezone.localtime(now).replace(hour=0, minute=0, second=0, microsecond=0)]
    midnights = [midnights[0] - timedelta(days=days) for days in range(7)]
    sixes = [midnight + timedelta(hours=hours) for midnight in midnights[:2] for hours in (0, 6, 12, 18)]
    by_hour = [(at, f"{at:%H:%M}") for at in sixes if day < at < now]
    by_day = [(at, f"{at:%a}") for at in midnights if week < at < now]
    today = [
        Span(max(span.start, day), span.end, span.shown, span.words)
        for span in found
        if span.end > day or span.start >= day
    ]
    return [
        ("Last day", timeline.draw(today, day, now, by_hour)),
        ("Last week", timeline.draw(found, week, now, by_day)),
    ]


def _spans(relay: Relay, shown: RelayStatus, start: datetime, end: datetime) -> list[Span]:
    happened, begin = _happened(relay, start)
    if shown.last_known is not None and shown.since:  # the row knows what no Event tells: a line was taken as it was
        kind = Event.Kind.ASKED_ON if shown.last_known else Event.Kind.ASKED_OFF
        happened.append(Happened(shown.since, kind, Event.Outcome.APPLIED))
        happened.sort(key=lambda one: one.at)
    known_to = end
    if not shown.board.is_served:
        known_to = shown.board.silent_since or (happened[-1].at if happened else begin)
        known_to = min(end, max(known_to, begin))
    found = list(timeline.spans(happened, begin, known_to))
    left_out = [Span(start, begin, Shown.LEFT_OUT)] if begin > start else []
    not_known = [Span(known_to, end, Shown.UNKNOWN)] if known_to < end else []
    return [*left_out, *found, *not_known]


FIELDS = ("at", "kind", "outcome", "who", "via", "why", "of__who", "of__via")


def _happened(relay: Relay, start: datetime) -> tuple[list[Happened], datetime]:
    """What was written down of it and its board, oldest first, and since when that is all there is."""
    newest = relay.events.order_by("-id").values_list(*FIELDS)
    found = [_one(*row) for row in newest.filter(at__gte=start)[:EVENTS_DRAWN]]
    begin = found[-1].at if len(found) == EVENTS_DRAWN else start
    if begin == start:  # what it was then follows from what came before
        found += [_one(*row) for row in newest.filter(at__lt=start)[:EVENTS_LISTED]]
    # Of no relay, and of any board: few, and at hand by the index of relays, even among millions.
    starts = Event.objects.filter(relay=None, kind__in=[Event.Kind.STARTED, Event.Kind.STOPPED]).order_by("-id")
    rows = starts.values_list("board", *FIELDS)[:STARTS_READ]
    found += [_one(*row) for board, *row in rows if board == relay.board_id]
    found.reverse()  # of one moment, the later written is the later
    found.sort(key=lambda one: one.at)
    return found, begin


def _one(
    at: datetime, kind: str, outcome: str, who: str, via: str, why: str, of_who: str | None, of_via: str | None
) -> Happened:
    return Happened(at, kind, outcome, of_who if of_who is not None else who, of_via or via, why)
