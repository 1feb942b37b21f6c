from django import template
from django.conf import settings
from django.urls import reverse

from iotsite import https, starting
from iotsite.parts import Parts, parts_of

register = template.Library()


@register.simple_tag(takes_context=True)
def parts(context: template.Context) -> Parts:
    """What this site has: {% parts as site %}."""
    return parts_of(context.get("request"))


@register.simple_tag(takes_context=True)
def is_overheard(context: template.Context) -> bool:
    """Whether who is signed in, or about to be, can be read along with: {% is_overheard as is_overheard %}."""
    request = context.get("request")
    if request is None or not https.is_exposed(request):
        return False
    return bool(context["user"].is_authenticated) or request.path == reverse(settings.LOGIN_URL)


@register.simple_tag
def is_public() -> bool:
    """Whether ships can be read of without signing in: {% is_public as is_public %}."""
    return settings.PORTS_PUBLIC


@register.simple_tag
def start_controller(board: int) -> list[str]:
    """The commands that start the controller of a board: {% start_controller board.id as commands %}."""
    return starting.controller(board)


@register.simple_tag
def start_refresh() -> str:
    """The command that keeps the ports fresh."""
    return starting.refresh()
