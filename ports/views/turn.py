from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_POST


def turn_on(request: HttpRequest, locode: str) -> HttpResponse:
    return render(request, "ports/turn_on.html")


@require_POST
def turn_off(request: HttpRequest, locode: str) -> HttpResponse:
    return redirect("ports:index")


@require_POST
def refresh(request: HttpRequest, locode: str) -> HttpResponse:
    return redirect("ports:index")


@require_POST
def remove(request: HttpRequest, locode: str) -> HttpResponse:
    return redirect("ports:index")
