from typing import Any

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest

from ports.admin.told import KnownAdmin, list_link, moment_or_none, wish
from ports.models import Berth, Port
from ports.sources.text import isolated


@admin.register(Port)
class PortAdmin(KnownAdmin):
    list_display = ["name", "locode", "country", "feed", "state", "loaded"]
    list_filter = ["is_enabled", "country", "feed__source"]
    list_select_related = ["feed"]
    search_fields = ["name", "locode"]
    search_help_text = "Name or UN/LOCODE."
    readonly_fields = [
        *("name", "locode", "country", "zone", "place", "feed", "publisher", "licence", "loaded", "lists"),
    ]
    fields = ["is_enabled", *readonly_fields]
    actions = ["refresh_now"]

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """An example is neither on nor off: it is removed on its own page."""
        return super().has_change_permission(request, obj) and not (obj and obj.is_example)

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field and db_field.name == "is_enabled":
            field.help_text = "Its publisher is asked as often as its feed says. Turned off, what was seen is kept."
        return field

    def save_model(self, request: HttpRequest, obj: Port, form: Any, change: bool) -> None:
        obj.save(update_fields=["is_enabled"])
        if obj.is_enabled and "is_enabled" in form.changed_data:
            wish(request, obj.feed)

    @admin.display(description="now", ordering="is_enabled")
    def state(self, port: Port) -> str:
        return "example" if port.is_example else "on" if port.is_enabled else "off"

    @admin.display(description="place")
    def place(self, port: Port) -> str:
        return "not known" if port.latitude is None else f"{port.latitude:.4f}, {port.longitude:.4f}"

    @admin.display(description="publisher")
    def publisher(self, port: Port) -> str:
        return port.feed.publisher.publisher

    @admin.display(description="terms")
    def licence(self, port: Port) -> str:
        return port.feed.publisher.licence

    @admin.display(description="first load", ordering="loaded_at")
    def loaded(self, port: Port) -> str:
        return moment_or_none(port.loaded_at)

    @admin.display(description="what is known")
    def lists(self, port: Port) -> str:
        return list_link("portcall", "Its calls", port__id__exact=port.pk)

    @admin.action(description="Refresh now", permissions=["view"])
    def refresh_now(self, request: HttpRequest, queryset: QuerySet[Port]) -> None:
        """Asks each feed once, of those that have a port that is on."""
        ports = list(queryset.select_related("feed"))
        for port in ports:
            if not port.is_on:
                self.message_user(request, f"{port} is off, and is not fetched.", "error")
        for feed in {port.feed for port in ports if port.is_on}:
            wish(request, feed)


@admin.register(Berth)
class BerthAdmin(KnownAdmin):
    """Where sources do not say what a place is, its kind is guessed from its name: here it is put right."""

    list_display = ["name", "area", "port", "kind"]
    list_filter = ["port", "kind"]
    list_select_related = ["port"]
    list_editable = ["kind"]
    search_fields = ["name", "area"]
    search_help_text = "Name or area."
    fields = ["kind", "name", "area", "port", "had"]
    readonly_fields = ["name", "area", "port", "had"]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> Any:
        field = super().formfield_for_dbfield(db_field, request, **options)
        if field and db_field.name == "kind":
            field.widget.attrs["aria-label"] = "Kind"  # in the list there is no label beside it
        return field

    @admin.display(description="names over time")
    def had(self, berth: Berth) -> str:
        return ", ".join(map(isolated, berth.names.values_list("name", flat=True))) or "only this one"
