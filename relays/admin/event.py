from django.contrib import admin

from iotsite.admin import HistoryAdmin, moment
from relays import durations
from relays.models import Event


@admin.register(Event)
class EventAdmin(HistoryAdmin):
    """History: to be read, never written."""

    list_display = ["when", "what", "board"]
    sortable_by = ["when"]
    list_filter = ["kind", "outcome", "via", "board"]
    list_select_related = ["relay", "board", "of"]
    search_fields = ["relay__name", "who", "why"]
    search_help_text = "Relay, person or reason."
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
