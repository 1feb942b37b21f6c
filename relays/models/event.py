from django.conf import settings
from django.db import models
from django.utils import timezone

from iotsite.rows import QuickRows


class EventQuerySet(models.QuerySet["Event"]):
    def unsettled(self) -> "EventQuerySet":
        """Commands that were accepted and have no outcome yet."""
        return self.filter(outcome=Event.Outcome.ACCEPTED, answers__isnull=True)


class Event(QuickRows, models.Model):
    """Something that happened to a relay or a board. Never updated: an outcome is an Event that names the first."""

    class Kind(models.TextChoices):
        ASKED_ON = "asked on", "asked on"
        ASKED_OFF = "asked off", "asked off"
        PRESSED = "pressed", "pressed"
        FAULT = "fault", "fault"
        CURED = "cured", "cured"
        EDITED = "edited", "edited"
        LOCKED = "locked", "locked"
        UNLOCKED = "unlocked", "unlocked"
        STARTED = "started", "started"
        STOPPED = "stopped", "stopped"
        STOPPED_EVERYTHING = "stopped everything", "stopped everything"
        RESET = "reset", "reset the stop"

    class Outcome(models.TextChoices):
        NONE = "", "—"
        ACCEPTED = "accepted", "accepted"
        REFUSED = "refused", "refused"
        APPLIED = "applied", "applied"
        FAILED = "failed", "failed"
        SUPERSEDED = "superseded", "superseded"

    class Via(models.TextChoices):
        PAGE = "page", "page"
        API = "api", "API"
        ADMIN = "admin", "admin"
        COMMAND_LINE = "command line", "command line"
        SCHEDULE = "schedule", "schedule"
        TIMER = "timer", "timer"
        BUTTON = "button", "button"
        INTERLOCK = "interlock", "interlock"
        POWER_UP = "power-up", "power-up"
        STOP = "stop", "stop"
        CONTROLLER = "controller", "controller"

    at = models.DateTimeField(default=timezone.now, db_index=True)
    kind = models.CharField(max_length=20, choices=Kind)
    outcome = models.CharField(max_length=12, choices=Outcome, default=Outcome.NONE, blank=True)
    board = models.ForeignKey("relays.Board", on_delete=models.PROTECT, related_name="events")
    relay = models.ForeignKey("relays.Relay", null=True, blank=True, on_delete=models.PROTECT, related_name="events")
    of = models.ForeignKey("self", null=True, blank=True, on_delete=models.PROTECT, related_name="answers")
    by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="events"
    )
    who = models.CharField(max_length=150, blank=True, help_text="The name at that time.")
    via = models.CharField(max_length=12, choices=Via)
    why = models.CharField(max_length=300, blank=True)
    lasting = models.DurationField(null=True, blank=True)
    command_id = models.CharField(max_length=100, blank=True)
    field = models.CharField(max_length=100, blank=True)
    was = models.CharField(max_length=300, blank=True)
    became = models.CharField(max_length=300, blank=True)

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["-id"]
        indexes = [
            models.Index(fields=["relay", "-id"], name="event_of_relay"),
            models.Index(fields=["relay", "command_id"], name="event_by_command_id"),
        ]

    def __str__(self) -> str:
        return f"{self.relay or self.board}: {self.sentence}"

    @property
    def sentence(self) -> str:
        """What happened, without the name of the relay: “asked on by anna via page: applied”."""
        asked = self.of or self
        words = self.get_kind_display()
        if self.field:
            words += f" {self.field} from {self.was or 'nothing'} to {self.became or 'nothing'}"
        if asked.who:
            words += f" by {asked.who}"
        words += f" via {asked.get_via_display()}"
        if self.outcome:
            words += f": {self.get_outcome_display()}"
        return f"{words} ({self.why})" if self.why else words
