from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe

from ports.access import reading


@require_safe
@reading
def index(request: HttpRequest) -> HttpResponse:
    return render(request, "ports/index.html")
