from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.http import require_POST, require_safe

from accounts.rights import user_of
from iotsite.database import writing
from iotsite.parts import parts_of
from ports import following
from ports.filters import CallFilter
from ports.models import Vessel
from ports.views.vessel import with_stays

PAGE = 50
QUIET_LISTED = 200


@require_POST
def follow(request: HttpRequest, id: int) -> HttpResponse:
    """Give a ship one's star, or take it back: on=1, on=0."""
    vessel = get_object_or_404(Vessel, pk=id)
    on = request.POST.get("on") != "0"
    with writing():
        vessel.follow(user_of(request), on)
    name = vessel.name[:60]
    messages.success(request, f"You follow {name} now." if on else f"You follow {name} no longer.")
    back = request.POST.get("back", "")
    is_ours = back.startswith("/ports/") and url_has_allowed_host_and_scheme(back, None)
    return redirect(back) if is_ours else redirect("ports:vessel", vessel.pk)


@require_safe
def followed(request: HttpRequest) -> HttpResponse:
    """Where the ships are that one follows, over all ports."""
    user = user_of(request)
    asked = CallFilter(request.GET, following.recent(user.pk))
    is_valid = bool(asked.form.is_valid())
    page = int(asked.form.cleaned_data.get("page") or 1)
    calls = list(asked.qs[(page - 1) * PAGE : page * PAGE + 1]) if is_valid else []
    is_filtered = any(request.GET.get(name) for name in asked.NARROWING)
    asked.form.label_suffix = ""
    context = {
        "voyages": with_stays(calls[:PAGE]),
        "quiet": [] if is_filtered or page > 1 else list(following.quiet(user.pk)[:QUIET_LISTED]),
        "form": asked.form,
        "is_filtered": is_filtered,
        "older": _address(request.GET, page + 1) if len(calls) > PAGE else "",
        "newer": _address(request.GET, page - 1) if page > 1 else "",
        "ships": parts_of(request).ships,
    }
    return render(request, "ports/followed.html", context, status=200 if is_valid else 400)


def _address(asked: QueryDict, page: int) -> str:
    kept = asked.copy()
    kept["page"] = str(page)
    return f"?{kept.urlencode()}"
