from django import template

from iotsite.parts import Parts, parts_of

register = template.Library()


@register.simple_tag(takes_context=True)
def parts(context: template.Context) -> Parts:
    """What this site has: {% parts as site %}."""
    return parts_of(context.get("request"))
