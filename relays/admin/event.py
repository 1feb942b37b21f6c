from functools import cached_property
from typing import Any

from django.contrib import admin
from django.core.paginator import Paginator
from django.http import HttpRequest

from relays import durations
from relays.admin.edited import moment
from relays.models import Event

COUNTED_AT_MOST = 10_000


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts no further than people turn pages: counting ten million Events takes seconds."""

    @cached_property
    def count(self) -> int:
        count: int = self.object_list[:COUNTED_AT_MOST].count()  # type: ignore[attr-defined]
        return count


@admin.register(Event)
class EventAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """History: to be read, never written."""

    list_display = ["when", "what", "board"]
    sortable_by = ["when"]
    list_filter = ["kind", "outcome", "via", "board"]
    list_select_related = ["relay", "board", "of"]
    search_fields = ["relay__name", "who", "why"]
    search_help_text = "Relay, person or reason."
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    ordering = ["-id"]
    fields = [
        *("when", "relay", "board", "kind", "outcome", "of", "who", "via", "why", "for_how_long", "command_id"),
        *("field", "was", "became"),
    ]

    @admin.display(description="when", ordering="-id")
    def when(self, event: Event) -> str:
        return moment(event.at)

    @admin.display(description="what happened")
    def what(self, event: Event) -> str:
        return str(event)

    @admin.display(description="for how long")
    def for_how_long(self, event: Event) -> str:
        return durations.exact(event.lasting) if event.lasting else "-"

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
