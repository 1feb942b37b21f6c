from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone

from iotsite.rows import QuickRows
from ports.models.feed import Feed
from ports.snapshot import BerthKind


class PortQuerySet(models.QuerySet["Port"]):
    def on(self) -> "PortQuerySet":
        """Those that somebody turned on, and the example."""
        return self.filter(Q(is_enabled=True) | Q(is_example=True))


class Port(QuickRows, models.Model):
    """A port this site can tell of. None is asked for until somebody turns it on."""

    locode = models.CharField("UN/LOCODE", max_length=5)
    name = models.CharField(max_length=60)
    country = models.CharField(max_length=2, help_text="ISO 3166-1, two letters.")
    zone = models.CharField(max_length=40, help_text="Time zone, by its IANA name.")
    latitude = models.FloatField(null=True, blank=True)
    longitude = models.FloatField(null=True, blank=True)
    feed = models.ForeignKey(Feed, on_delete=models.PROTECT, related_name="ports")
    is_enabled = models.BooleanField("on", default=False)
    is_example = models.BooleanField(default=False, editable=False)
    example_at = models.DateTimeField(null=True, editable=False)
    """The moment of the recording, which is the example's own now."""
    loaded_at = models.DateTimeField(null=True, editable=False)
    """When the first load was whole. Before, no list shows its calls."""
    seen_since = models.DateTimeField(null=True, editable=False)
    """Since when all of its Changes are known: since its first answer, or since older ones are not kept any more."""

    objects = PortQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(
                fields=["locode"], name="port_locode_unique", violation_error_message="There is a port of this code."
            ),
            models.CheckConstraint(
                condition=Q(locode__regex=r"^[A-Z]{2}[A-Z2-9]{3}$"),
                name="port_locode_sane",
                violation_error_message="A UN/LOCODE is five letters: two for the country, three for the place.",
            ),
            models.CheckConstraint(
                condition=Q(is_example=False, example_at__isnull=True) | Q(is_example=True, example_at__isnull=False),
                name="port_example_has_its_moment",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def tzinfo(self) -> ZoneInfo:
        return ZoneInfo(self.zone)

    @property
    def is_on(self) -> bool:
        """Somebody turned it on, or it is the example."""
        return self.is_enabled or self.is_example

    @property
    def now(self) -> datetime:
        """The present; for an example that of its recording."""
        return self.example_at or timezone.now()

    def last_look(self) -> datetime | None:
        """The moment of the last good answer that told of this port: its feed goes on while it is off."""
        told = self.feed.refreshes.good().telling_of(Value(self.locode))
        return told.order_by("-started_at", "-id").values_list("as_of", flat=True).first()


class Berth(QuickRows, models.Model):
    """A place in a port where ships lie, at the quay or at anchor, or take their pilot."""

    port = models.ForeignKey(Port, on_delete=models.CASCADE, related_name="berths")
    key = models.CharField(max_length=120)
    """The source's code, or its name without spaces, dots and case: what stays when the spelling changes."""
    name = models.CharField(max_length=120)
    area = models.CharField(max_length=120, blank=True)
    kind = models.CharField(max_length=13, choices=BerthKind, default=BerthKind.BERTH)

    class Meta:
        ordering = ["area", "name"]
        constraints = [models.UniqueConstraint(fields=["port", "key"], name="berth_key_unique")]

    def __str__(self) -> str:
        return self.name


class BerthName(QuickRows, models.Model):
    """A name of a berth that had several, and since when."""

    berth = models.ForeignKey(Berth, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=120)
    first_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["first_seen_at"]
        constraints = [models.UniqueConstraint(fields=["berth", "name"], name="berth_name_unique")]

    def __str__(self) -> str:
        return self.name


LONG_STAY = timedelta(days=14)
