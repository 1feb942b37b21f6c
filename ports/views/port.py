from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_safe

from ports.access import reading


@require_safe
@reading
def port(request: HttpRequest, locode: str) -> HttpResponse:
    return redirect("ports:port_tab", locode, "in-port")


@require_safe
@reading
def tab(request: HttpRequest, locode: str, tab: str) -> HttpResponse:
    return render(request, "ports/port.html")
