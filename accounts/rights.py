"""Who asks, and whether they may: asked before a page is shown; what moves a relay is asked again by its door."""

from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from accounts.models import User


def user_of(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # LoginRequiredMiddleware lets nobody else through
    return request.user


def need(request: HttpRequest, permission: str, sentence: str) -> None:
    """The page of a refusal (403) with ``sentence`` for those who have no ``permission``."""
    if not request.user.has_perm(permission):
        raise PermissionDenied(sentence)
