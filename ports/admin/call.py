from typing import Any

from django.contrib import admin
from django.db.models import Q, QuerySet
from django.http import HttpRequest

from iotsite.admin import HistoryAdmin
from ports.admin.told import SearchesShips, link, list_link, moment_or_none
from ports.filters import of_ships
from ports.models import Change, PortCall, Stay


class ListedFilter(admin.SimpleListFilter):
    """By whether it stood in the feed's last answer."""

    title = "in the feed now"
    parameter_name = "listed"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.filter(last_seen_at=None) if self.value() == "1" else queryset


class StayInline(admin.TabularInline):  # type: ignore[type-arg]
    model = Stay
    fields = ["berth", "eta", "etd", "ata", "atd", "seen_from", "seen_until"]
    readonly_fields = ["berth", "eta", "etd", "ata", "atd", "seen_from", "seen_until"]
    ordering = ["position"]
    can_delete = False
    extra = 0

    def get_queryset(self, request: HttpRequest) -> QuerySet[Stay]:
        return super().get_queryset(request).select_related("berth", "call__vessel", "call__port")

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


@admin.register(PortCall)
class PortCallAdmin(SearchesShips, HistoryAdmin):
    list_display = ["vessel", "port", "status", "berth", "eta_", "ata_", "atd_", "is_listed"]
    sortable_by = ()
    list_filter = ["port", "status", ListedFilter]
    list_select_related = ["vessel", "port", "berth"]
    search_fields = ["vessel__name"]
    inlines = [StayInline]
    fields = [
        *("vessel_", "port", "status", "berth", "eta", "etd", "ata", "atd", "pilot_ordered_at", "leaves_at", "agent"),
        *("previous_port", "next_port", "first_seen_at", "last_seen_at", "is_listed", "is_doubtful", "changes"),
    ]

    @admin.display(description="ETA")
    def eta_(self, call: PortCall) -> str:
        return moment_or_none(call.eta)

    @admin.display(description="ATA")
    def ata_(self, call: PortCall) -> str:
        return moment_or_none(call.ata)

    @admin.display(description="ATD")
    def atd_(self, call: PortCall) -> str:
        return moment_or_none(call.atd)

    @admin.display(description="vessel")
    def vessel_(self, call: PortCall) -> str:
        return link(call.vessel)

    @admin.display(description="in the feed", boolean=True)
    def is_listed(self, call: PortCall) -> bool:
        return call.last_seen_at is None

    @admin.display(description="changes")
    def changes(self, call: PortCall) -> str:
        return list_link("change", "What moved", call__id__exact=call.pk)


@admin.register(Change)
class ChangeAdmin(SearchesShips, HistoryAdmin):
    list_display = ["when", "vessel", "port", "field", "was", "became"]
    sortable_by = ["when"]
    list_filter = ["port"]
    list_select_related = ["call__vessel", "call__port", "port"]
    search_fields = ["call__vessel__name"]
    fields = ["when", "vessel", "call_", "port", "field", "was", "became", "refresh"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Change]:
        return super().get_queryset(request).select_related("call__vessel", "call__port", "port", "refresh__feed")

    def of_ships(self, words: str) -> Q:
        return of_ships(words, "call__")

    @admin.display(description="seen", ordering="-id")
    def when(self, change: Change) -> str:
        return moment_or_none(change.seen_at)

    @admin.display(description="vessel")
    def vessel(self, change: Change) -> str:
        return change.call.vessel.name

    @admin.display(description="call")
    def call_(self, change: Change) -> str:
        return link(change.call)
