"""Moments and icons as the pages show them."""

from datetime import datetime, timedelta
from functools import cache

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from lucide.templatetags.lucide import lucide

register = template.Library()


@register.filter
def moment(at: datetime | None) -> str:
    """A moment as a person would say it, exact in ``datetime`` and on demand."""
    if at is None:
        return ""
    here = timezone.localtime(at)
    return format_html(
        '<time datetime="{}" title="{}">{}</time>', here.isoformat(), f"{here:%-d %B %Y, %H:%M:%S}", words(at)
    )


def words(at: datetime, now: datetime | None = None) -> str:
    """18:00, yesterday 18:00, Monday 18:00, 3 Nov 18:00, 3 Nov 2025 18:00."""
    here, today = timezone.localtime(at), timezone.localtime(now or timezone.now()).date()
    days = (here.date() - today).days
    if days == 0:
        return f"{here:%H:%M}"
    if days in (-1, 1):
        return f"{'tomorrow' if days == 1 else 'yesterday'} {here:%H:%M}"
    if -7 < days < 0:
        return f"{here:%A %H:%M}"
    return f"{here:%-d %b %H:%M}" if here.year == today.year else f"{here:%-d %b %Y %H:%M}"


@register.filter
def countdown(left: timedelta | float) -> str:
    """What is left, as static/live.js ticks it on: 0:09, 12:04, 2:05:09, 3 d 04:05."""
    seconds = max(0, round(left.total_seconds() if isinstance(left, timedelta) else left))
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days} d {hours:02}:{minutes:02}"
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


@register.filter
def seconds(left: float) -> str:
    """For static/live.js to count on from."""
    return f"{left:.1f}"


@register.filter
def age(seconds: float) -> str:
    """How long something takes or lasts already, as static/live.js ticks it on: 12 s, 3 min, 2 h."""
    if seconds < 120:
        return f"{max(0, round(seconds))} s"
    return f"{int(seconds // 60)} min" if seconds < 7200 else f"{int(seconds // 3600)} h"


@register.filter
def hours(duration: timedelta) -> str:
    """How long something ran in all: 40 s, 12 min, 3.5 h, 1,204 h."""
    seconds = duration.total_seconds()
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:,.{1 if seconds < 360_000 else 0}f} h"


@register.simple_tag
@cache
def icon(name: str, size: int = 24) -> SafeString:
    """A line icon of lucide, drawn once: {% lucide %} builds it anew each time, which a long list feels."""
    return mark_safe(lucide(name, size=size, aria_hidden="true"))  # noqa: S308  # from the package, not from people
