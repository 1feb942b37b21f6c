"""The pages of what went wrong, and their likes for programs below /api/."""

from http import HTTPStatus

from django.http import HttpRequest, HttpResponse
from django.middleware import csrf
from django.shortcuts import render
from django.template.loader import render_to_string

from iotsite.problems import is_for_program, problem

UNREADABLE = "The site cannot make sense of this request."
FORBIDDEN = "You may look, but not do this. Ask somebody who has the rights to it."
NOT_FOUND = "There is nothing at this address, or no longer."
BROKEN = "Something went wrong in here. It is written down in the log of the site; relays go on as they are."

OTHER_SITE = (
    "It came from another site. If a reverse proxy shows this site under that address, add it to CSRF_TRUSTED_ORIGINS."
)
NO_REFERER = "Your browser did not say which page it came from: let it send a Referer to this site."
TOO_OLD = "The page it stood on is too old, or your browser keeps no cookies. Load that page anew and try again."


def bad_request(request: HttpRequest, exception: Exception | None = None, reason: str = UNREADABLE) -> HttpResponse:
    return _answer(request, HTTPStatus.BAD_REQUEST, reason)


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, HTTPStatus.FORBIDDEN, str(exception or "") or FORBIDDEN)


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """A form that did not prove that it stood on a page of this site."""
    if "Origin" in reason or "does not match any trusted" in reason:
        why = OTHER_SITE
    else:
        why = NO_REFERER if reason == csrf.REASON_NO_REFERER else TOO_OLD
    return _answer(request, HTTPStatus.FORBIDDEN, why, template="403_csrf.html")


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    return _answer(request, HTTPStatus.NOT_FOUND, NOT_FOUND)


def server_error(request: HttpRequest) -> HttpResponse:
    """Nothing here may need what just broke: no database, no user, no context processor."""
    if is_for_program(request):
        return _answer(request, HTTPStatus.INTERNAL_SERVER_ERROR, BROKEN)
    return HttpResponse(render_to_string("500.html", {"reason": BROKEN}), status=500)


def _answer(request: HttpRequest, status: HTTPStatus, reason: str, template: str = "") -> HttpResponse:
    if is_for_program(request):
        return problem(status, status.phrase, reason)
    return render(request, template or f"{status}.html", {"reason": reason}, status=status)
