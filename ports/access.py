"""Who may read of ships: whoever is signed in, or everybody, as the settings say."""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec

from django.conf import settings
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.http import HttpRequest
from django.http.response import HttpResponseBase

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]


def may_read(request: HttpRequest) -> bool:
    """Whether who asks may see the pages of ports."""
    return settings.PORTS_PUBLIC or request.user.is_authenticated


def reading(view: View[P]) -> View[P]:
    """A view that only shows ships: open to everybody where PORTS_PUBLIC is on, else to who is signed in.

    The outermost decorator of a view.
    """

    @login_not_required
    @wraps(view)
    def readable(request: HttpRequest, /, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        if may_read(request):
            return view(request, *args, **kwargs)
        return redirect_to_login(request.get_full_path())

    return readable
