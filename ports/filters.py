"""What may be asked of the lists of ships: all of it in the address. What cannot be asked is said in words."""

from collections.abc import Sequence
from typing import Any

import django_filters
from django import forms
from django.core.exceptions import ValidationError
from django.db.models import F, Q, QuerySet
from django.db.models.expressions import OrderBy

from ports import countries, times
from ports.models import Change, Identifier, PortCall, Vessel, VesselName
from ports.models.call import PortCallQuerySet
from ports.snapshot import VesselType

MOST = 2**62
MOST_PAGES = 10_000
FEW_SHIPS = 500
"""Up to so many that a name fits are looked up one by one; of more, the first page is found soon by going through."""

ASCENDING: dict[str, tuple[str, ...]] = {
    "name": ("vessel__name",),
    "type": ("vessel__type", "vessel__name"),
    "berth": ("berth__name", "vessel__name"),
    "agent": ("agent", "vessel__name"),
    "from": ("previous_port", "vessel__name"),
    "to": ("next_port", "vessel__name"),
    "eta": ("eta",),
    "etd": ("etd",),
    "ata": ("ata",),
    "atd": ("atd",),
    "pilot": ("pilot_ordered_at",),
    "leaves": ("leaves_at",),
}
"""By what a list of calls may be sorted; a minus before it turns it round."""

Order = Sequence[str | OrderBy]


def order(sort: str) -> Order:
    """For ``order_by``. What is not known stands last, whichever way."""
    first, *rest = ASCENDING[sort.lstrip("-")]
    way = F(first).desc(nulls_last=True) if sort.startswith("-") else F(first).asc(nulls_last=True)
    return [way, *rest, "id"]


def ships(words: str) -> list[int] | None:
    """Of which ``words`` are a part of a name, or a whole IMO number, MMSI or call sign, that she has or had.

    None where a name fits too many to count.
    """
    tidy = "".join(words.split()).upper()
    numbers = (Identifier.Kind.IMO, Identifier.Kind.MMSI, Identifier.Kind.CALL_SIGN)
    found = _pks(Vessel.objects.filter(name__icontains=words)).union(
        *(_pks(Vessel.objects.filter(**{kind: tidy}).exclude(**{kind: ""})) for kind in numbers),
        _pks(VesselName.objects.filter(name__icontains=words), "vessel_id"),
        _pks(Identifier.objects.filter(value=tidy, kind__in=numbers), "vessel_id"),
        all=True,
    )
    some = list(found[: FEW_SHIPS + 1])
    return None if len(some) > FEW_SHIPS else sorted({*some})


def _pks(rows: QuerySet[Any], field: str = "pk") -> QuerySet[Any]:
    return rows.order_by().values_list(field, flat=True)


def of_ships(words: str, prefix: str = "") -> Q:
    """The rows about a ship that ``words`` may mean; ``prefix`` leads to the call."""
    found = ships(words)
    if found is None:
        return Q(**{f"{prefix}vessel__name__icontains": words})
    # Her calls by the index of ships: SQLite would rather go through all calls in the order of the list.
    calls = PortCall.objects.filter(vessel__in=found).order_by().values("pk")
    return Q(**{f"{prefix}pk__in": calls})


def is_zone(value: str) -> None:
    if value != "utc" and value not in times.zones():
        raise ValidationError("There is no such time zone: write utc, or a name such as Europe/Helsinki.")


class ListFilter(django_filters.FilterSet):  # type: ignore[misc]  # comes without types
    """What every list takes."""

    q = django_filters.CharFilter(
        method="by_ship",
        max_length=100,
        label="Ship",
        widget=forms.TextInput(attrs={"type": "search", "placeholder": "Name, IMO, MMSI or call sign"}),
    )
    times = django_filters.CharFilter(method="as_it_is", max_length=60, label="Times", validators=[is_zone])

    def as_it_is(self, rows: Any, name: str, value: Any) -> Any:
        """Says how a list is shown, not what stands in it."""
        return rows


class CallFilter(ListFilter):
    """What may be asked of the calls of a port."""

    type = django_filters.ChoiceFilter("vessel__type", choices=VesselType, label="Type")
    berth = django_filters.NumberFilter("berth_id", min_value=1, max_value=MOST, label="Berth")
    agent = django_filters.CharFilter(lookup_expr="icontains", max_length=100, label="Agent")
    flag = django_filters.ChoiceFilter("vessel__flag", choices=lambda: sorted(countries.names().items()), label="Flag")
    previous_port = django_filters.CharFilter(lookup_expr="icontains", max_length=100, label="Previous port")
    sort = django_filters.ChoiceFilter(
        method="as_it_is",
        choices=[(way + name, name) for name in ASCENDING for way in ("", "-")],
        label="Sort",
        error_messages={"invalid_choice": "There is no order “%(value)s”: use the heads of the columns."},
    )
    page = django_filters.NumberFilter(method="as_it_is", min_value=1, max_value=MOST_PAGES, label="Page")

    NARROWING = ("q", "type", "berth", "agent", "flag", "previous_port")

    class Meta:
        model = PortCall
        fields: Sequence[str] = []

    def by_ship(self, calls: PortCallQuerySet, name: str, words: str) -> PortCallQuerySet:
        return calls.filter(of_ships(words))


class ChangeFilter(ListFilter):
    """What may be asked of the changes of a port."""

    field = django_filters.ChoiceFilter(choices=Change.Field, label="What changed")
    became = django_filters.CharFilter(max_length=160, label="Became")
    before = django_filters.NumberFilter("id", lookup_expr="lt", min_value=1, max_value=MOST, label="Before")

    NARROWING = ("q", "field", "became")

    class Meta:
        model = Change
        fields: Sequence[str] = []

    def by_ship(self, changes: QuerySet[Change], name: str, words: str) -> QuerySet[Change]:
        return changes.filter(of_ships(words, "call__"))
