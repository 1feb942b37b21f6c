"""What leaves the site as a file: tables for people who look; calendars and feeds for programs, by a secret address."""

from collections.abc import Callable
from functools import wraps

from django.contrib import messages
from django.contrib.auth.decorators import login_not_required
from django.db.models import Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import conditional_page, require_http_methods, require_safe

from accounts.models import User
from accounts.rights import user_of
from iotsite import tables
from iotsite.database import writing
from ports import following, lists, spreadsheet
from ports.access import reading
from ports.filters import CallFilter, ChangeFilter
from ports.lists import Tab
from ports.models import Change, Port, PortCall, Subscription
from ports.snapshot import Status
from ports.views import port as lists_of_a_port

NO_SUCH_ADDRESS = "There is nothing at this address, or no longer."


# --- tables -------------------------------------------------------------------------------------------------


@reading
@require_safe
def port_csv(request: HttpRequest, locode: str, tab: str) -> HttpResponseBase:
    """What a list of a port shows, all its pages, as a table for a spreadsheet."""
    if tab not in {*Tab} - {Tab.BERTHS}:
        raise Http404
    port = lists_of_a_port.known(locode)
    page = lists_of_a_port.Page(request, port, Tab(tab))
    if not page.is_valid or not port.is_on:
        return lists_of_a_port.tab(request, locode, tab)
    source = port.feed.publisher.attribution
    if page.tab is Tab.CHANGES:
        rows = spreadsheet.of_changes(page.asked.qs, page.clock.zone, source)
    else:
        calls = lists.ordered(page.asked.qs, page.tab, page.values["sort"])
        rows = spreadsheet.of_calls(calls, page.clock.zone, source)
    return tables.answer(request, f"{port.locode}-{tab}", rows)


# --- calendars and feeds ------------------------------------------------------------------------------------


def by_secret(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponseBase]:
    """A view for who has a secret address, and asks for it again and again: no session, no cookie, no page."""

    @login_not_required
    @require_safe
    @conditional_page
    @wraps(view)
    def opened(request: HttpRequest, secret: str, **named: str) -> HttpResponse:
        found = Subscription.objects.find(secret)
        try:
            response = view(request, found.user, **named) if found else _refused(404, NO_SUCH_ADDRESS)
        except Http404:
            response = _refused(404, NO_SUCH_ADDRESS)
        response["Cache-Control"] = "private, no-cache"
        response["X-Robots-Tag"] = "noindex"
        return response

    return opened


@by_secret
def port_calendar(request: HttpRequest, user: User, locode: str) -> HttpResponse:
    port = _readable(locode)
    return _calendar(request, port.calls.expected(), f"{port.name}: expected ships")


@by_secret
def followed_calendar(request: HttpRequest, user: User) -> HttpResponse:
    return _calendar(request, following.calls(user.pk).filter(status=Status.EXPECTED), "Ships I follow: expected")


@by_secret
def port_newsfeed(request: HttpRequest, user: User, locode: str) -> HttpResponse:
    port = _readable(locode)
    page = reverse("ports:port_tab", args=[port.locode, Tab.CHANGES])
    return _newsfeed(request, port.changes.all(), port.calls.all(), f"{port.name}: changes", page)


@by_secret
def followed_newsfeed(request: HttpRequest, user: User) -> HttpResponse:
    page = reverse("ports:followed")
    return _newsfeed(request, following.changes(user.pk), following.calls(user.pk), "Ships I follow: changes", page)


def _readable(locode: str) -> Port:
    port = Port.objects.on().select_related("feed").filter(locode=locode.upper(), loaded_at__isnull=False).first()
    if port is None:
        raise Http404
    return port


def _calendar(request: HttpRequest, expected: QuerySet[PortCall], name: str) -> HttpResponse:
    """The next ones. What has no ETA is not in it, unless it is told when she leaves for the port."""
    from ports import arrivals  # icalendar takes 50 ms to import, and no page needs it

    asked = CallFilter(request.GET, expected)
    if not asked.form.is_valid():
        return _refused(400, _sentences(asked))
    timed = asked.qs.filter(Q(eta__isnull=False) | Q(leaves_at__isnull=False))
    calls = timed.order_by("eta", "leaves_at", "id").select_related("vessel", "berth", "port__feed")
    content = arrivals.calendar(calls[: arrivals.LONGEST], name, request.build_absolute_uri("/").rstrip("/"))
    return HttpResponse(content, content_type="text/calendar; charset=utf-8")


def _newsfeed(
    request: HttpRequest, changes: QuerySet[Change], calls: QuerySet[PortCall], title: str, page: str
) -> HttpResponse:
    """The newest, of what a list of changes or a list of calls may be narrowed by."""
    from ports import newsfeed

    asked = ChangeFilter(request.GET, changes.order_by("-id"))
    asked_of_calls = CallFilter(request.GET, calls.order_by())
    if not (asked.form.is_valid() and asked_of_calls.form.is_valid()):
        return _refused(400, _sentences(asked) or _sentences(asked_of_calls))
    found = asked.qs
    if any(request.GET.get(name) for name in CallFilter.NARROWING):
        found = found.filter(call__in=asked_of_calls.qs.values("pk"))
    newest = found.select_related("call__vessel", "port__feed")[: newsfeed.LONGEST]
    content = newsfeed.newsfeed(newest, title, page, request.build_absolute_uri("/").rstrip("/"))
    return HttpResponse(content, content_type="application/atom+xml; charset=utf-8")


def _refused(status: int, sentence: str) -> HttpResponse:
    return HttpResponse(f"{sentence}\n", status=status, content_type="text/plain; charset=utf-8")


def _sentences(asked: CallFilter | ChangeFilter) -> str:
    return "\n".join(f"{name}: {' '.join(errors)}" for name, errors in asked.form.errors.items())


# --- the secret ---------------------------------------------------------------------------------------------


@require_http_methods(["GET", "HEAD", "POST"])
def subscription(request: HttpRequest) -> HttpResponse:
    """One's secret address, of what one follows and of the list that was come from; make, renew and revoke it."""
    user = user_of(request)
    if request.method == "POST":
        _change(request, user)
        return redirect(request.get_full_path())
    locode = request.GET.get("port", "")
    kept = request.GET.copy()
    kept.pop("port", None)
    for name in ("page", "before", "sort", "times"):
        kept.pop(name, None)
    context = {
        "port": _readable(locode) if locode else None,
        "asked": f"?{kept.urlencode()}" if kept else "",
        "from": f"?{request.GET.urlencode()}",
    }
    return render(request, "ports/subscription.html", context)


def _change(request: HttpRequest, user: User) -> None:
    with writing():
        if request.POST.get("do") == "revoke":
            Subscription.objects.filter(user=user).delete()
            messages.success(request, "Your secret address is revoked: what asks for it finds nothing from now on.")
        else:
            Subscription.objects.renew(user)
            messages.success(request, "Your secret address is made. One that you had before opens nothing any more.")
