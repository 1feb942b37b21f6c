from collections.abc import Iterable
from typing import Any

from django import forms
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from iotsite.parts import parts_of
from ports.access import reading
from ports.filters import MOST
from ports.models import Change, Port, Refresh

PAGE = 50


class RefreshesForm(forms.Form):
    port = forms.RegexField(r"^[A-Za-z]{2}[A-Za-z2-9]{3}$", required=False, error_messages={"invalid": "No such port."})
    before = forms.IntegerField(min_value=1, max_value=MOST, required=False)


@reading
@require_safe
def refreshes(request: HttpRequest) -> HttpResponse:
    """Every try to refresh, the newest first; of one port's feed, or of all."""
    ships, asked = parts_of(request).ships, RefreshesForm(request.GET)
    is_valid = asked.is_valid()
    found = list(_found(asked.cleaned_data)[: PAGE + 1]) if is_valid else []
    port = (asked.cleaned_data.get("port") or "").upper()
    names = dict(Port.objects.values_list("locode", "name")) if found else {}
    narrowed = f"port={port}&" if port else ""
    context = {
        "refreshes": [(one, list(_lines(one, names, port))) for one in found[:PAGE]],
        "port": names.get(port, port),
        "older": f"?{narrowed}before={found[PAGE - 1].pk}" if len(found) > PAGE else "",
        "newest": f"?{narrowed}" if asked.cleaned_data.get("before") else "",
        "errors": asked.errors,
        "ships": ships,
    }
    return render(request, "ports/refreshes.html", context, status=200 if is_valid else 400)


def _found(asked: dict[str, Any]) -> Any:
    found = Refresh.objects.select_related("feed").order_by("-id")
    if asked["port"]:
        found = found.filter(feed__ports__locode=asked["port"].upper())
    return found.filter(pk__lt=asked["before"]) if asked["before"] else found


def _lines(refresh: Refresh, names: dict[str, str], only: str) -> Iterable[tuple[str, str]]:
    """What a refresh did to each port, in words."""
    counts = refresh.counts if isinstance(refresh.counts, dict) else {}
    for locode, told in counts.items():
        if isinstance(told, dict) and only in ("", locode):
            yield names.get(locode) or locode, _words(told)


def _words(told: dict[str, Any]) -> str:
    fields = told.get("fields") or {}
    named = [
        f"{number} {Change.Field(field).label if field in Change.Field else field}" for field, number in fields.items()
    ]
    moved = f" ({', '.join(named)})" if named else ""
    calls = told.get("calls", 0)
    said = [
        f"{calls} call{'' if calls == 1 else 's'}: {told.get('new', 0)} new, {told.get('changed', 0)} changed{moved}"
    ]
    said += [f"{told[name]} {words}" for name, words in _ALSO.items() if told.get(name)]
    return ", ".join(said)


_ALSO = {"departed": "departed", "gone": "gone from the feed"}
