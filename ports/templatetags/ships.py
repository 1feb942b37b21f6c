"""Moments, flags and shapes of ships as pages show them."""

from datetime import datetime
from typing import Any

from django import template
from django.utils.safestring import SafeString

from iotsite.parts import parts_of
from ports import lists
from ports.overview import overview
from ports.times import Clock, length

register = template.Library()


@register.inclusion_tag("ports/_harbour.html", takes_context=True)
def harbour(context: template.Context) -> dict[str, Any]:
    """The ports that are on, in a few lines, for a page about something else."""
    has = parts_of(context.get("request"))
    return {"has": has, "on": overview() if has.has_ships else []}


@register.filter
def told(at: datetime | None, clock: Clock) -> SafeString:
    """14:30 · in 3 h"""
    return clock.told(at)


@register.filter
def at(moment: datetime | None, clock: Clock) -> SafeString:
    """14:30"""
    return clock.element(moment)


register.simple_tag(lists.shape, name="shape")
register.filter("length_words", length)


@register.filter
def type_words(type: str) -> str:
    return lists.TYPES.get(type, type)
