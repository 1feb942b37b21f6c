from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from relays.admin.edited import EditedAdmin, Sections, links
from relays.models import Interlock

HOW = "Of its relays at most one is on. A relay is put into it on the relay's own page."


@admin.register(Interlock)
class InterlockAdmin(EditedAdmin):
    list_display = ["name", "board", "dead_time_in_words", "policy", "relays"]
    list_filter = ["board"]
    search_fields = ["name", "relays__name"]
    readonly_fields = ["relays"]

    def sections(self, row: Interlock | None) -> Sections:
        relays = ["relays"] if row else []
        return [(None, {"fields": ["name", "board", "dead_time", "policy", *relays], "description": HOW})]

    def history_of(self, row: Interlock) -> dict[str, int]:
        return {"board__id__exact": row.board_id}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Interlock]:
        return Interlock.objects.select_related("board").prefetch_related("relays")

    def why_kept(self, row: Interlock) -> str:
        held = " and ".join(row.relays.values_list("name", flat=True))
        return f"{row} keeps {held} apart: take the relays out of it first." if held else ""

    @admin.display(description="dead time", ordering="dead_time")
    def dead_time_in_words(self, interlock: Interlock) -> str:
        return interlock.shown("dead_time")

    @admin.display(description="relays")
    def relays(self, interlock: Interlock) -> str:
        return links(interlock.relays.all())
