"""Under which names this site answers: no page of another site can have its own name lead here (DNS rebinding).

Such an attack needs a name that it owns. An address in numbers is nobody's name, so that any of them will do: the site
need not know which addresses its machine has in which network.
"""

import ipaddress
from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest
from django.http.request import split_domain_port, validate_host
from django.http.response import HttpResponseBase

from iotsite import errors

NO_NAME = "The request does not say, in a way that can be read, which site it wants."
FOREIGN = (
    "This site does not go by the name {}. If it should, add that to ALLOWED_HOSTS in its settings (see README.md)."
)


def refusal(host: str) -> str:
    """Why this site does not answer to ``host``, as the Host header has it; empty where it does."""
    name, _ = split_domain_port(host)
    if not name:
        return NO_NAME
    if _is_address(name) or validate_host(name, settings.HOST_NAMES):
        return ""
    return FOREIGN.format(name[:100])


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name.removeprefix("[").removesuffix("]"))
    except ValueError:
        return False
    return True


class HostMiddleware:
    """Refuses what is meant for another name, before anything else looks at it."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if reason := refusal(request.META.get("HTTP_HOST", request.META["SERVER_NAME"])):
            return errors.bad_request(request, reason=reason)
        return self.get_response(request)
