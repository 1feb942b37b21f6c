from datetime import datetime

from django.db import models
from django.db.models import Q, Value
from django.db.models.functions import Coalesce

from iotsite.rows import QuickRows
from ports.models.feed import Refresh
from ports.models.port import Berth, Port
from ports.models.vessel import Vessel
from ports.snapshot import OPEN, Status
from ports.sources.text import isolated


class PortCallQuerySet(models.QuerySet["PortCall"]):
    def expected(self) -> "PortCallQuerySet":
        return self.filter(status=Status.EXPECTED)

    def in_port(self) -> "PortCallQuerySet":
        return self.filter(status=Status.IN_PORT)

    def departed(self) -> "PortCallQuerySet":
        return self.filter(status=Status.DEPARTED)

    def listed(self) -> "PortCallQuerySet":
        """Those that stood in the last answer of their feed."""
        return self.filter(last_seen_at=None)

    def forgotten(self, at: datetime) -> "PortCallQuerySet":
        """The open ones that stood in their feed before ``at`` for the last time."""
        # By their status: an index by the moment would lead through all the closed ones, which may be a million.
        seen = Coalesce("last_seen_at", Value(at))
        return self.alias(seen=seen).filter(status__in=OPEN, seen__lt=at)

    def at_hand(self) -> "PortCallQuerySet":
        """Each with what a list shows of it."""
        return self.select_related("vessel", "berth", "port")


class PortCall(QuickRows, models.Model):
    """One visit of one vessel to one port. Its foreign keys have no index where another one begins with them."""

    port = models.ForeignKey(Port, on_delete=models.PROTECT, related_name="calls", db_index=False)
    vessel = models.ForeignKey(Vessel, on_delete=models.PROTECT, related_name="calls", db_index=False)
    key = models.CharField(max_length=60, blank=True, editable=False)
    """The source's own number of the call; empty where it has none."""
    status = models.CharField(max_length=9, choices=Status)
    eta = models.DateTimeField("ETA", null=True, blank=True)
    etd = models.DateTimeField("ETD", null=True, blank=True)
    ata = models.DateTimeField("ATA", null=True, blank=True)
    atd = models.DateTimeField("ATD", null=True, blank=True)
    pilot_ordered_at = models.DateTimeField(null=True, blank=True)
    leaves_at = models.DateTimeField(null=True, blank=True)
    """When her next move begins, which is no ETA."""
    berth = models.ForeignKey(Berth, null=True, blank=True, on_delete=models.SET_NULL, related_name="calls")
    """Where she lies, lay last or will lie first."""
    agent = models.CharField(max_length=120, blank=True)
    previous_port = models.CharField(max_length=120, blank=True)
    next_port = models.CharField(max_length=120, blank=True)
    first_seen_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True)
    """When it stood in the feed last; None while it stands there, so that seeing it again writes nothing."""
    is_doubtful = models.BooleanField(default=False)
    """Its moments are not in order: the source contradicts itself."""
    digest = models.BigIntegerField(editable=False)
    """Of the report that was applied last (``CallReport.digest``)."""

    objects = PortCallQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["port", "status", "eta", "id"], name="calls_by_eta"),
            models.Index(fields=["port", "status", "ata", "id"], name="calls_by_ata"),
            models.Index(fields=["port", "status", "atd", "id"], name="calls_by_atd"),
            models.Index(fields=["port"], condition=Q(last_seen_at=None), name="calls_listed"),
            models.Index(
                fields=["port", "last_seen_at"], condition=Q(last_seen_at__isnull=False), name="calls_that_left"
            ),
            models.Index(fields=["vessel", "last_seen_at"], name="calls_of_a_vessel"),
            models.Index(fields=["vessel", "status"], name="calls_of_a_vessel_by_status"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["port", "key"], condition=~Q(key=""), name="call_key_unique"),
            models.UniqueConstraint(
                fields=["port", "vessel"], condition=Q(status="in_port", key=""), name="one_call_in_port"
            ),
            models.CheckConstraint(
                condition=Q(status__in=["expected", "in_port", "departed", "cancelled", "gone"]),
                name="call_status_known",
            ),
            models.CheckConstraint(
                condition=~Q(status="gone") | Q(last_seen_at__isnull=False), name="gone_call_has_its_moment"
            ),
        ]

    def __str__(self) -> str:
        return f"{isolated(self.vessel.name)} at {self.port}"

    @property
    def unseen_since(self) -> datetime | None:
        """Since when an open call has not stood in its feed, which never said how it ended; None where it does."""
        return self.last_seen_at if self.status in OPEN else None


class Stay(QuickRows, models.Model):
    """The time of one call at one berth or anchorage, had or planned."""

    call = models.ForeignKey(PortCall, on_delete=models.CASCADE, related_name="stays", db_index=False)
    berth = models.ForeignKey(Berth, on_delete=models.PROTECT, related_name="stays", db_index=False)
    position = models.PositiveSmallIntegerField(default=0)
    eta = models.DateTimeField("ETA", null=True, blank=True)
    etd = models.DateTimeField("ETD", null=True, blank=True)
    ata = models.DateTimeField("ATA", null=True, blank=True)
    atd = models.DateTimeField("ATD", null=True, blank=True)
    seen_from = models.DateTimeField()
    seen_until = models.DateTimeField(null=True)
    """When she was seen elsewhere, or the call closed; None while this is her last known place."""

    class Meta:
        ordering = ["call", "position"]
        indexes = [models.Index(fields=["berth", "-seen_from"], name="stays_at_a_berth")]
        constraints = [models.UniqueConstraint(fields=["call", "position"], name="stay_position_unique")]

    def __str__(self) -> str:
        return f"{self.call} at {isolated(str(self.berth))}"


class Change(QuickRows, models.Model):
    """One field of a call that moved, as a refresh saw it. Never updated."""

    class Field(models.TextChoices):
        STATUS = "status", "status"
        ETA = "eta", "ETA"
        ETD = "etd", "ETD"
        ATA = "ata", "ATA"
        ATD = "atd", "ATD"
        LEAVES = "leaves_at", "leaves"
        PILOT = "pilot_ordered_at", "pilot ordered"
        BERTH = "berth", "berth"
        AGENT = "agent", "agent"
        PREVIOUS = "previous_port", "previous port"
        NEXT = "next_port", "next port"
        VESSEL = "vessel", "vessel"

    port = models.ForeignKey(Port, on_delete=models.CASCADE, related_name="changes", db_index=False)
    call = models.ForeignKey(PortCall, on_delete=models.CASCADE, related_name="changes", db_index=False)
    refresh = models.ForeignKey(Refresh, null=True, on_delete=models.SET_NULL, related_name="changes")
    field = models.CharField(max_length=16, choices=Field)
    was = models.CharField(max_length=160, blank=True)
    """As text; a moment in ISO 8601, UTC. Empty: nothing stood there; of a status, the call is new."""
    became = models.CharField(max_length=160, blank=True)
    seen_at = models.DateTimeField()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["port", "-id"], name="changes_of_a_port"),
            models.Index(fields=["call", "field", "-id"], name="changes_of_a_call"),
            models.Index(fields=["seen_at"], name="changes_by_time"),
        ]

    def __str__(self) -> str:
        was, became = isolated(self.was or "none"), isolated(self.became or "none")
        return f"{self.call}: {self.get_field_display()} {was} → {became}"
