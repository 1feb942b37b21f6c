from datetime import datetime, timedelta

from django.db import models
from django.db.models import Expression, Func, OuterRef, Q, Value
from django.db.models.functions import Concat
from django.utils import timezone

from iotsite.rows import QuickRows
from ports.sources import Source, registry
from ports.sources.text import clean

SHORTEST_INTERVAL = timedelta(minutes=10)
MOST_WORDS, LONGEST_WORD = 20, 40
"""Of what a refresh did not understand, so much is shown."""


class Feed(QuickRows, models.Model):
    """What is fetched in one go, for one port or several.

    A refresh that finds nothing new writes nothing here: when it was asked last stands in its refreshes.
    """

    source = models.CharField(max_length=20)
    name = models.CharField(max_length=40)
    interval = models.DurationField(help_text="How often it is asked; 10 minutes at least.")
    memory = models.JSONField(default=dict, blank=True, editable=False)
    """For each file: the ETag and Last-Modified of its last answer that was taken over."""
    next_allowed_at = models.DateTimeField(null=True, editable=False)
    """Not before this, said the publisher (Retry-After)."""
    wished_at = models.DateTimeField(null=True, editable=False)
    """When somebody asked for a refresh last; done where a refresh began later."""
    is_example = models.BooleanField(default=False, editable=False)
    """Recorded: never fetched."""

    class Meta:
        ordering = ["source", "name"]
        constraints = [
            models.UniqueConstraint(
                fields=["source", "name"], name="feed_unique", violation_error_message="There is such a feed."
            ),
            models.CheckConstraint(
                condition=Q(interval__gte=SHORTEST_INTERVAL),
                name="feed_interval_polite",
                violation_error_message="Ask at most every 10 minutes.",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.source} {self.name}"

    @property
    def publisher(self) -> Source:
        return registry()[self.source]

    def wish(self) -> None:
        """Ask for a refresh; whoever keeps refreshing (``refresh_ships --watch``) sees to it."""
        self.wished_at = timezone.now()
        self.save(update_fields=["wished_at"])

    def waits_until(self) -> datetime | None:
        """Before when the publisher does not want to be asked; None where that is over."""
        return self.next_allowed_at if self.next_allowed_at and self.next_allowed_at > timezone.now() else None

    def last_asked(self) -> "Refresh | None":
        """The last refresh that asked the publisher."""
        return self.refreshes.asked().order_by("-started_at", "-id").first()

    def last_refresh(self) -> "Refresh | None":
        return self.refreshes.order_by("-started_at", "-id").first()

    def last_good(self) -> "Refresh | None":
        return self.refreshes.good().order_by("-started_at", "-id").first()


class RefreshQuerySet(models.QuerySet["Refresh"]):
    def good(self) -> "RefreshQuerySet":
        """Those after which the list was as fresh as they were."""
        return self.filter(outcome__in=Refresh.GOOD)

    def telling_of(self, locode: "Expression | OuterRef") -> "RefreshQuerySet":
        """Those in which the port with this UN/LOCODE was on."""
        place = Concat(Value("$."), locode)
        told = Func("counts", place, function="JSON_TYPE", output_field=models.TextField())
        return self.annotate(told=told).filter(told__isnull=False)

    def asked(self) -> "RefreshQuerySet":
        """Those that asked the publisher, as one that read recorded files did not."""
        return self.filter(is_replay=False)


class Refresh(QuickRows, models.Model):
    """One try at a Feed, and what became of it."""

    class Outcome(models.TextChoices):
        DONE = "done", "done"
        UNCHANGED = "unchanged", "nothing new"
        PARTIAL = "partial", "partly done"
        FAILED = "failed", "failed"

    GOOD = (Outcome.DONE, Outcome.UNCHANGED, Outcome.PARTIAL)

    feed = models.ForeignKey(Feed, on_delete=models.CASCADE, related_name="refreshes")
    started_at = models.DateTimeField()
    as_of = models.DateTimeField()
    """The moment whose truth it brought: when it was fetched, or recorded."""
    took = models.DurationField()
    outcome = models.CharField(max_length=9, choices=Outcome)
    counts = models.JSONField(default=dict)
    """For each port by its UN/LOCODE: calls, new, changed, departed, gone, and fields (how often each moved)."""
    unknown = models.JSONField(default=dict)
    """What stood in the answer and is not understood, and how often: codes of places, rows that name no ship."""
    is_replay = models.BooleanField(default=False)
    """It read recorded files; nobody was asked."""
    bytes = models.PositiveBigIntegerField(default=0)
    error = models.CharField(max_length=500, blank=True)

    objects = RefreshQuerySet.as_manager()

    class Meta:
        ordering = ["-started_at", "-id"]
        indexes = [
            models.Index(fields=["feed", "outcome", "-started_at"], name="refreshes_of_a_feed"),
            models.Index(fields=["started_at"], name="refreshes_by_time"),
        ]
        constraints = [
            models.CheckConstraint(
                condition=Q(outcome__in=["done", "unchanged", "partial", "failed"]), name="refresh_outcome_known"
            ),
            models.CheckConstraint(
                condition=(~Q(outcome="failed") & ~Q(outcome="partial")) | ~Q(error=""), name="refresh_failure_says_why"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.feed}, {self.started_at:%Y-%m-%d %H:%M}: {self.get_outcome_display()}"

    @property
    def not_understood(self) -> list[tuple[str, str]]:
        """The words of ``unknown`` fit to be shown, and “once” or “3 times”; the most frequent first, and no more."""
        found = self.unknown if isinstance(self.unknown, dict) else {}
        often = sorted((-number, word) for word, number in found.items() if isinstance(number, int))
        shown = [
            (clean(word, LONGEST_WORD) or "an empty word", "once" if number == -1 else f"{-number:,} times")
            for number, word in often[:MOST_WORDS]
        ]
        left = len(often) - MOST_WORDS
        return [*shown, (f"{left:,} more", "")] if left > 0 else shown

    @property
    def is_good(self) -> bool:
        return self.outcome in self.GOOD

    def age(self, now: datetime) -> timedelta:
        return now - self.as_of
