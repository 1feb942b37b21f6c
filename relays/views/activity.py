import csv
from collections.abc import Sequence
from typing import Any

import django_filters
from django import forms
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_safe

from iotsite.tables import defused
from relays import durations
from relays.models import Event, Relay
from relays.models.event import EventQuerySet

PAGE = 50
ROWS_IN_CSV = 10_000
LOOKED_AT = 100_000
"""Events that are looked through for one page, where no index tells which fit: what a page should wait for."""
MOST = 2**62
WRITTEN_LATE = 1_000
"""Events may be written after later ones, when the database was away: so many numbers apart at most, we take it."""


class MomentInput(forms.DateTimeInput):
    input_type = "datetime-local"

    def __init__(self) -> None:
        super().__init__(format="%Y-%m-%dT%H:%M")


class EventFilter(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """What may be asked of the history. An answer of the controller counts as its asker's, and by his means."""

    relay = django_filters.ModelChoiceFilter(
        queryset=Relay.objects.order_by("name"),
        to_field_name="slug",
        empty_label="any relay",
        error_messages={"invalid_choice": "There is no such relay: choose one of the list."},
    )
    who = django_filters.CharFilter(method="by_who", max_length=150, label="Who")
    kind = django_filters.ChoiceFilter(choices=Event.Kind, empty_label="anything", label="What")
    via = django_filters.ChoiceFilter(
        choices=Event.Via, empty_label="any means", label="By what means", method="by_means"
    )
    outcome = django_filters.ChoiceFilter(choices=Event.Outcome.choices[1:], empty_label="any outcome")
    since = django_filters.DateTimeFilter("at", lookup_expr="gte", label="From", widget=MomentInput())
    until = django_filters.DateTimeFilter("at", lookup_expr="lte", label="To", widget=MomentInput())
    before = django_filters.NumberFilter(
        "id", lookup_expr="lt", widget=forms.HiddenInput, min_value=1, max_value=MOST, label="Before"
    )

    class Meta:
        model = Event
        fields: Sequence[str] = []

    def by_who(self, events: EventQuerySet, name: str, who: str) -> EventQuerySet:
        return events.filter(Q(who__iexact=who) | Q(of__who__iexact=who))

    def by_means(self, events: EventQuerySet, name: str, via: str) -> EventQuerySet:
        return events.filter(Q(via=via, of=None) | Q(of__via=via))

    def newest(self, at_most: int) -> tuple[list[Event], int | None]:
        """The newest Events that fit, and the number before which to look on; None where there are no more."""
        asked = self.form.cleaned_data
        top, oldest = self._top(asked), self._oldest(asked)
        is_search = any(asked[name] for name in ("who", "kind", "via", "outcome"))
        floor = max(oldest, top - LOOKED_AT) if is_search else oldest
        fitting = self.qs.filter(id__lt=top, id__gte=floor).select_related("relay", "board", "of").order_by("-id")
        events = list(fitting[: at_most + 1])
        if len(events) > at_most:
            return events[:at_most], events[at_most - 1].pk
        if floor <= oldest:
            return events, None
        # Before the next one there is: where old ones were taken away, numbers are far apart.
        older = Event.objects.filter(id__lt=floor).order_by("-id").values_list("id", flat=True).first()
        return events, None if older is None else older + 1

    @staticmethod
    def _top(asked: dict[str, Any]) -> int:
        """Below which number to look. Events are in the order of time, but for those written late."""
        if asked["before"]:
            return int(asked["before"])
        known = Event.objects.filter(at__lte=asked["until"]) if asked["until"] else Event.objects.all()
        last = known.order_by("-at", "-id").values_list("id", flat=True).first()
        return (last or 0) + WRITTEN_LATE

    @staticmethod
    def _oldest(asked: dict[str, Any]) -> int:
        if not asked["since"]:
            return 0
        first = Event.objects.filter(at__gte=asked["since"]).order_by("at", "id").values_list("id", flat=True).first()
        return max(0, first - WRITTEN_LATE) if first else MOST


@require_safe
def activity(request: HttpRequest) -> HttpResponse:
    """Everything that happened, newest first."""
    found = EventFilter(request.GET, Event.objects.all())
    is_valid = found.form.is_valid()
    events, older = found.newest(PAGE) if is_valid else ([], None)
    found.form.label_suffix = ""
    context = {
        "form": found.form,
        "events": events,
        "older": _address(request, before=older) if older else "",
        "newest": _address(request) if request.GET.get("before") else "",
        "csv": _address(request),
        "is_filtered": any(request.GET.get(name) for name in found.form.fields if name != "before"),
        "looked_at": LOOKED_AT if older and len(events) < PAGE else 0,
        "is_simulated": any(event.board.is_simulated for event in events),
    }
    return render(request, "relays/activity.html", context, status=200 if is_valid else 400)


def _address(request: HttpRequest, **changed: int) -> str:
    """The filters as they stand in the address."""
    kept = request.GET.copy()
    kept.pop("before", None)
    for name, value in changed.items():
        kept[name] = str(value)
    return f"?{kept.urlencode()}"


COLUMNS = ("number", "when", "relay", "board", "what", "outcome", "who", "via", "why", "for", "field", "was", "became")


@require_safe
def activity_csv(request: HttpRequest) -> HttpResponse:
    """The same as a table for a spreadsheet, cut after ``ROWS_IN_CSV``."""
    found = EventFilter(request.GET, Event.objects.all())
    if not found.form.is_valid():
        return activity(request)
    events, older = found.newest(ROWS_IN_CSV)
    answer = HttpResponse(content_type="text/csv; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="activity-{timezone.localtime():%Y-%m-%d-%H%M}.csv"'
    table = csv.writer(answer)
    table.writerow(COLUMNS)
    table.writerows([defused(cell) for cell in _row(event)] for event in events)
    if older:
        table.writerow([f"There is more before number {older}: narrow the filter, or ask with before={older}."])
    return answer


def _row(event: Event) -> list[object]:
    asked = event.of or event
    lasting = durations.exact(event.lasting) if event.lasting else ""
    when = timezone.localtime(event.at).isoformat(timespec="milliseconds")
    return [
        *(event.pk, when, event.relay or "", event.board, event.kind, event.outcome, asked.who, asked.via),
        *(event.why, lasting, event.field, event.was, event.became),
    ]
