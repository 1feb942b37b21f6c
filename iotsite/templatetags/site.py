from django import template
from django.conf import settings

from iotsite.parts import Parts, parts_of

register = template.Library()


@register.simple_tag(takes_context=True)
def parts(context: template.Context) -> Parts:
    """What this site has: {% parts as site %}."""
    return parts_of(context.get("request"))


@register.simple_tag
def is_public() -> bool:
    """Whether ships can be read of without signing in: {% is_public as is_public %}."""
    return settings.PORTS_PUBLIC
