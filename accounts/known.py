"""The browsers that signed in before: a signed cookie says to which account, and to no other does it open anything."""

import secrets

from django.conf import settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.urls import reverse
from django.views.decorators.debug import sensitive_variables

from accounts.models import User

COOKIE = "knownbrowser"
SALT = "accounts.known"
YEAR = 365 * 24 * 3600


@sensitive_variables("username")  # it may be a password, typed into the wrong field
def browser_of(request: HttpRequest, username: str) -> str:
    """The mark of a browser that has signed in to this account before; empty for any other."""
    mark = _mark(request)
    pk, _, _ = mark.partition("-")
    return mark if mark and User.objects.filter(pk=pk, username=username).exists() else ""


def remember(request: HttpRequest, response: HttpResponseBase, user: User) -> None:
    """Let the browser show at its next sign-in that ``user`` signed in here."""
    mark = _mark(request)
    if not mark.startswith(f"{user.pk}-"):
        mark = f"{user.pk}-{secrets.token_urlsafe(9)}"
    response.set_signed_cookie(
        COOKIE,
        mark,
        salt=SALT,
        max_age=YEAR,
        path=reverse("accounts:sign_in"),
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )


def _mark(request: HttpRequest) -> str:
    return request.get_signed_cookie(COOKIE, default="", salt=SALT, max_age=YEAR) or ""
