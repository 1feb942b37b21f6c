"""How the admin shows and saves what a person may edit."""

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.widgets import RelatedFieldWidgetWrapper
from django.db import models
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.html import format_html_join

from accounts.rights import user_of
from iotsite.admin import CarefulAdmin
from relays.forms import DurationField, EditedForm
from relays.models import Event
from relays.models.edits import EditedModel

Sections = list[tuple[str | None, dict[str, Any]]]


def links(rows: Iterable[models.Model]) -> str:
    """Links to the pages of ``rows``."""
    found = [(reverse(f"admin:relays_{row._meta.model_name}_change", args=[row.pk]), row) for row in rows]
    return format_html_join(", ", '<a href="{}">{}</a>', found) or "none"


class EditedAdmin(CarefulAdmin):
    """Saves through ``save_edited``: every edit is an Event, and what is wanted or so is never written over."""

    form = EditedForm
    formfield_overrides = {models.DurationField: {"form_class": DurationField}}

    def sections(self, row: Any) -> Sections:
        """The fieldsets of the page of ``row``; None for a new one."""
        raise NotImplementedError

    def history_of(self, row: Any) -> dict[str, int]:
        """Which Events are the history of ``row``, as the Event list filters them."""
        raise NotImplementedError

    def save_model(self, request: HttpRequest, obj: EditedModel, form: Any, change: bool) -> None:
        obj.save_edited(by=user_of(request), via=Event.Via.ADMIN)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        sections = self.sections(obj)
        if obj is None or self.has_change_permission(request, obj):
            return sections
        return [
            (title, said | {"fields": [self._readable(name) for name in said["fields"]]}) for title, said in sections
        ]

    def formfield_for_dbfield(self, db_field: Any, request: Any, **options: Any) -> Any:
        """A row that this one names can be added in passing; it is changed and deleted on its own page."""
        field = super().formfield_for_dbfield(db_field, request, **options)
        widget = field.widget if field else None
        if isinstance(widget, RelatedFieldWidgetWrapper):
            widget.can_change_related = widget.can_delete_related = widget.can_view_related = False
        return field

    def _readable(self, name: str) -> Any:
        """A field for those who may only look: durations in words too."""
        field = {field.name: field for field in self.opts.fields}.get(name)
        if not isinstance(field, models.DurationField):
            return name

        @admin.display(description=str(field.verbose_name))
        def in_words(row: EditedModel) -> str:
            return row.shown(name) or "none"

        return in_words

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Its Events are its history."""
        row = self.get_object(request, object_id)
        if row is None:
            return self._get_obj_does_not_exist_redirect(request, self.opts, object_id)  # type: ignore[attr-defined, no-any-return]
        return HttpResponseRedirect(f"{reverse('admin:relays_event_changelist')}?{urlencode(self.history_of(row))}")
