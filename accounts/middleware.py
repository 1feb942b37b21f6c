"""Who has to be signed in."""

from collections.abc import Callable
from typing import Any

from django.contrib.auth.middleware import LoginRequiredMiddleware
from django.http import HttpRequest
from django.http.response import HttpResponseBase


class SignInMiddleware(LoginRequiredMiddleware):
    """Django's, which looks up the session and its user first, even for what is open to everybody.

    So a cookie costs a call by token nothing and cannot end its session, and /healthz lives without a database.
    """

    def process_view(
        self, request: HttpRequest, view_func: Callable[..., HttpResponseBase], view_args: Any, view_kwargs: Any
    ) -> HttpResponseBase | None:
        if not getattr(view_func, "login_required", True):
            return None
        return super().process_view(request, view_func, view_args, view_kwargs)
