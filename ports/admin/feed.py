from typing import Any

from django.contrib import admin
from django.db import models
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html_join

from iotsite.admin import HistoryAdmin
from ports.admin.told import KnownAdmin, list_link, moment_or_none, wish
from ports.models import Feed, Refresh
from relays import durations
from relays.forms import DurationField


@admin.register(Feed)
class FeedAdmin(KnownAdmin):
    list_display = ["__str__", "publisher", "ports_on", "interval_in_words", "last", "last_good"]
    list_filter = ["source"]
    formfield_overrides = {models.DurationField: {"form_class": DurationField}}
    fields = ["interval", "source", "name", "publisher", "last", "last_good", "wished", "not_before", "log"]
    readonly_fields = ["source", "name", "publisher", "last", "last_good", "wished", "not_before", "log"]
    actions = ["refresh_now"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """A recording is never asked."""
        return super().has_change_permission(request, obj) and not (obj and obj.is_example)

    def get_queryset(self, request: HttpRequest) -> QuerySet[Feed]:
        return Feed.objects.annotate(on=Count("ports", filter=Q(ports__is_enabled=True))).order_by("source", "name")

    def save_model(self, request: HttpRequest, obj: Feed, form: Any, change: bool) -> None:
        obj.save(update_fields=["interval"])

    @admin.display(description="publisher")
    def publisher(self, feed: Feed) -> str:
        return feed.publisher.publisher

    @admin.display(description="ports on", ordering="on")
    def ports_on(self, feed: Any) -> int:
        on: int = feed.on
        return on

    @admin.display(description="asked every", ordering="interval")
    def interval_in_words(self, feed: Feed) -> str:
        return "never: recorded" if feed.is_example else durations.words(feed.interval)

    @admin.display(description="last try")
    def last(self, feed: Feed) -> str:
        refresh = feed.last_refresh()
        return _in_words(refresh) if refresh else "none yet"

    @admin.display(description="list as of")
    def last_good(self, feed: Feed) -> str:
        refresh = feed.last_good()
        return moment_or_none(refresh.as_of if refresh else None)

    @admin.display(description="refresh wished")
    def wished(self, feed: Feed) -> str:
        return moment_or_none(feed.wished_at)

    @admin.display(description="not before")
    def not_before(self, feed: Feed) -> str:
        """The publisher said so."""
        return moment_or_none(feed.next_allowed_at)

    @admin.display(description="refreshes")
    def log(self, feed: Feed) -> str:
        return list_link("refresh", "All of them", feed__id__exact=feed.pk)

    @admin.action(description="Refresh now", permissions=["view"])
    def refresh_now(self, request: HttpRequest, queryset: QuerySet[Feed]) -> None:
        for feed in queryset:
            if feed.is_example or feed.ports.filter(is_enabled=True).exists():
                wish(request, feed)
            else:
                self.message_user(request, f"No port of {feed} is on: nothing is fetched.", "error")


def _in_words(refresh: Refresh) -> str:
    told = f"{moment_or_none(refresh.started_at)}: {refresh.get_outcome_display()}"
    return f"{told}. {refresh.error}" if refresh.error else told


@admin.register(Refresh)
class RefreshAdmin(HistoryAdmin):
    list_display = ["when", "feed", "outcome", "counted", "seconds", "size", "error"]
    sortable_by = ["when"]
    list_filter = ["outcome", "feed"]
    list_select_related = ["feed"]
    fields = [
        *("when", "feed", "outcome", "as_of_in_words", "seconds", "size"),
        *("counted", "not_understood", "error", "moved"),
    ]

    @admin.display(description="when", ordering="-id")
    def when(self, refresh: Refresh) -> str:
        return moment_or_none(refresh.started_at)

    @admin.display(description="as of")
    def as_of_in_words(self, refresh: Refresh) -> str:
        return moment_or_none(refresh.as_of)

    @admin.display(description="took")
    def seconds(self, refresh: Refresh) -> str:
        return f"{refresh.took.total_seconds():.2f} s"

    @admin.display(description="bytes")
    def size(self, refresh: Refresh) -> str:
        return f"{refresh.bytes:,}"

    @admin.display(description="counts")
    def counted(self, refresh: Refresh) -> str:
        """Of each port: its calls, and what became of them."""
        ports = []
        for locode, counts in refresh.counts.items():
            told = ", ".join(
                f"{counts[what]} {what}" for what in ("new", "changed", "departed", "gone") if counts[what]
            )
            ports.append(f"{locode}: {counts['calls']} calls, {told or 'nothing new'}")
        return "; ".join(ports) or "-"

    @admin.display(description="not understood")
    def not_understood(self, refresh: Refresh) -> str:
        told = ((word, f" {often}" if often else "") for word, often in refresh.not_understood)
        return format_html_join(", ", "<bdi>{}</bdi>{}", told) or "-"

    @admin.display(description="what moved")
    def moved(self, refresh: Refresh) -> str:
        return list_link("change", "Its changes", refresh__id__exact=refresh.pk)
