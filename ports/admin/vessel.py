from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse

from iotsite.admin import CappedPaginator, CarefulAdmin
from ports import countries, identity
from ports.admin.told import SearchesShips, list_link, moment_or_none
from ports.filters import ships
from ports.merging import Merge
from ports.models import Identifier, Vessel
from ports.models.vessel import CORRECTABLE
from ports.sources.text import clean, isolated

HOW = (
    "What you change here is kept over refreshes. What the feed says instead still finds her. "
    "To let the feed decide again, choose “Give back to the feed” in the list."
)
HELP = {
    "name": "As it is painted on her.",
    "imo": "Seven digits; the last one follows from the others.",
    "mmsi": "Nine digits.",
    "call_sign": "Of her radio.",
    "flag": "The country's two letters, like PA or NO.",
    "type": "Of our own short list.",
}


WORDS = {field.name: str(field.verbose_name) for field in Vessel._meta.fields}


class VesselForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    class Meta:
        model = Vessel
        fields = CORRECTABLE
        help_texts = HELP

    def clean_name(self) -> str:
        name = clean(self.cleaned_data["name"])
        if not name:
            raise ValidationError("Write a name that can be read.")
        return name

    def clean_mmsi(self) -> str:
        number: str = self.cleaned_data["mmsi"]
        if number and not identity.is_mmsi(number):
            raise ValidationError("An MMSI has nine digits.")
        return number

    def clean_call_sign(self) -> str:
        return identity.call_sign(clean(self.cleaned_data["call_sign"]))

    def clean_flag(self) -> str:
        letters: str = self.cleaned_data["flag"].upper()
        if letters and letters not in countries.names():
            raise ValidationError("No country has these letters (ISO 3166-1).")
        return letters


class CorrectedFilter(admin.SimpleListFilter):
    title = "put right by hand"
    parameter_name = "corrected"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("1", "yes")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        return queryset.exclude(corrected=[]) if self.value() == "1" else queryset


class IdentifierInline(admin.TabularInline):  # type: ignore[type-arg]
    """What she is recognised by beside her own numbers. A number that is another ship's is taken away here."""

    model = Identifier
    verbose_name_plural = "also recognised by"
    fields = ["kind", "value", "source"]
    readonly_fields = ["kind", "value", "source"]
    extra = 0

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return request.user.has_perm("ports.change_vessel")


@admin.register(Vessel)
class VesselAdmin(SearchesShips, CarefulAdmin):
    list_display = ["name", "imo", "mmsi", "call_sign", "flag", "type", "by_hand"]
    sortable_by = ["name"]
    list_filter = ["type", CorrectedFilter]
    search_fields = ["name"]
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    form = VesselForm
    inlines = [IdentifierInline]
    readonly_fields = ["by_hand", "source_type", "had", "first_seen", "visits"]
    fieldsets = [
        (None, {"fields": [*CORRECTABLE, "by_hand"], "description": HOW}),
        ("What the feeds told", {"fields": ["source_type", "had", "first_seen", "visits"]}),
    ]
    actions = ["merge", "give_back"]

    def of_ships(self, words: str) -> Q:
        found = ships(words)
        return Q(name__icontains=words) if found is None else Q(pk__in=found)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def why_kept(self, row: Vessel) -> str:
        name = isolated(row.name)
        return f"{name} has called at a port: merge her with another vessel instead." if row.calls.exists() else ""

    def save_model(self, request: HttpRequest, obj: Vessel, form: Any, change: bool) -> None:
        right = {field: form.cleaned_data[field] for field in form.changed_data}
        if right:
            Vessel.objects.get(pk=obj.pk).correct(**right)

    @admin.display(description="put right by hand")
    def by_hand(self, vessel: Vessel) -> str:
        return ", ".join(WORDS.get(field, field) for field in vessel.corrected) or "nothing"

    @admin.display(description="names over time")
    def had(self, vessel: Vessel) -> str:
        return ", ".join(map(isolated, vessel.names.values_list("name", flat=True))) or "only this one"

    @admin.display(description="first seen")
    def first_seen(self, vessel: Vessel) -> str:
        return moment_or_none(vessel.first_seen_at)

    @admin.display(description="calls")
    def visits(self, vessel: Vessel) -> str:
        return list_link("portcall", "All of them", vessel__id__exact=vessel.pk)

    @admin.action(description="Give back to the feed", permissions=["change"])
    def give_back(self, request: HttpRequest, queryset: QuerySet[Vessel]) -> None:
        for vessel in queryset:
            vessel.give_back()
            self.log_change(request, vessel, "Given back to the feed.")
        self.message_user(request, "The next refresh that tells anything new of them says again what they are.")

    @admin.action(description="Merge two vessels …", permissions=["change"])
    def merge(self, request: HttpRequest, queryset: QuerySet[Vessel]) -> HttpResponse | None:
        """Shows what would move either way, and does it once one is chosen."""
        both = list(queryset.order_by("id")[:3])
        if len(both) != 2:
            self.message_user(request, "Choose two vessels, those that are one.", messages.ERROR)
            return None
        ways = [Merge(*both), Merge(*reversed(both))]
        chosen = [way for way in ways if str(way.stays.pk) == request.POST.get("stays")]
        if chosen:
            return self._carry_out(request, chosen[0])
        context = self.admin_site.each_context(request) | {"title": "Merge two vessels", "opts": self.opts}
        context |= {"ways": ways, "checkbox": ACTION_CHECKBOX_NAME, "doublings": ways[0].doublings()}
        context |= {"contradictions": [WORDS[field] for field in ways[0].contradictions]}
        return TemplateResponse(request, "admin/ports/vessel/merge.html", context)

    def _carry_out(self, request: HttpRequest, merge: Merge) -> HttpResponse:
        gone, number = merge.goes.name, merge.goes.pk
        with transaction.atomic():
            merge.carry_out()
            self.log_change(request, merge.stays, f"Merged with {gone} (number {number})."[:500])
        one, both = isolated(gone), isolated(merge.stays.name)
        self.message_user(request, f"{one} is {both} now: one vessel, with the calls of both.")
        return HttpResponseRedirect(reverse("admin:ports_vessel_change", args=[merge.stays.pk]))
