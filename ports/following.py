"""The calls of the ships that somebody follows, over all ports that are on."""

from datetime import timedelta

from django.db.models import Case, DateTimeField, F, IntegerField, Q, QuerySet, Value, When
from django.db.models.functions import Coalesce
from django.utils import timezone

from ports.models import Change, PortCall, Vessel
from ports.snapshot import Status

RECENT = timedelta(days=14)
"""So long a call of which its feed tells no more is news."""
_ON = Q(port__is_enabled=True) | Q(port__is_example=True)
_RANK = Case(
    When(status=Status.IN_PORT, then=0),
    When(status=Status.EXPECTED, then=1),
    default=2,
    output_field=IntegerField(),
)
_ETA = Case(When(status=Status.EXPECTED, then=F("eta")), output_field=DateTimeField())


def calls(user: int) -> QuerySet[PortCall]:
    return PortCall.objects.filter(_ON, port__loaded_at__isnull=False, vessel__followers__user=user)


def recent(user: int) -> QuerySet[PortCall]:
    """Those that stand in their feed, or did so lately; ships in port first, then the next to come."""
    # An example has its own present.
    since = Coalesce("port__example_at", Value(timezone.now()), output_field=DateTimeField()) - RECENT
    is_news = Q(last_seen_at=None) | Q(last_seen_at__gt=F("since"))
    found = calls(user).alias(since=since).filter(is_news)
    newest = Coalesce("ata", "atd", "last_seen_at", "first_seen_at").desc()
    return found.order_by(_RANK, _ETA.asc(nulls_last=True), newest, "-id").select_related("vessel", "port", "berth")


def changes(user: int) -> QuerySet[Change]:
    return Change.objects.filter(_ON, port__loaded_at__isnull=False, call__vessel__followers__user=user).order_by("-id")


def quiet(user: int) -> QuerySet[Vessel]:
    """The ships of which no port tells now."""
    return Vessel.objects.filter(followers__user=user).exclude(pk__in=recent(user).order_by().values("vessel"))
