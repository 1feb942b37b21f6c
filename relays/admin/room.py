from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from iotsite.admin import CarefulAdmin
from relays.admin.edited import links
from relays.models import Room


@admin.register(Room)
class RoomAdmin(CarefulAdmin):
    list_display = ["name", "position", "shown"]
    list_editable = ["position"]
    search_fields = ["name"]
    fields = ["name", "position"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Room]:
        return Room.objects.prefetch_related("relays")

    def why_kept(self, row: Room) -> str:
        return f"{row} has relays: put them into another room first." if row.relays.exists() else ""

    @admin.display(description="relays")
    def shown(self, room: Room) -> str:
        return links(room.relays.all())
