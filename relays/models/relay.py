from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, OuterRef, Q, Subquery
from django.db.models.functions import Lower
from django.utils.text import slugify

from relays import header, plan
from relays.clock import Now
from relays.durations import LONGEST, SHORTEST
from relays.models.board import Board
from relays.models.edits import EditedModel
from relays.models.event import Event
from relays.models.interlock import Interlock
from relays.models.room import Room

if TYPE_CHECKING:
    from accounts.models import User

GUARDED = ("line", "board", "polarity", "mode", "is_enabled", "interlock")
"""What cannot change while the relay is on, or wanted on."""

RESERVED_SLUGS = ("add",)
"""What stands in the place of a slug in the addresses of the site's own pages."""


BY_CONTROLLER = frozenset(plan.Via)
"""The means by which the controller itself changes what is wanted."""


class RelayQuerySet(models.QuerySet["Relay"]):
    def enabled(self) -> "RelayQuerySet":
        return self.filter(is_enabled=True, board__is_enabled=True)

    def on(self) -> "RelayQuerySet":
        """On, or wanted on."""
        return self.filter(Q(wanted=True) | Q(actual=True))

    def at_hand(self) -> "RelayQuerySet":
        """Each with what is told of it: its room, board, interlock and who switched it."""
        return self.select_related("room", "board", "interlock", "wanted_by")

    def by_room(self) -> "RelayQuerySet":
        """The enabled relays as the home page shows them."""
        return self.enabled().at_hand()

    def with_last_event(self) -> "RelayQuerySet":
        """Each with ``last_event``, the number of the newest Event it has."""
        newest = Event.objects.filter(relay=OuterRef("pk")).order_by("-id").values("pk")[:1]
        return self.annotate(last_event=Subquery(newest))

    def called(self, name: str) -> "Relay":
        """The relay of this name or slug, whatever the case; DoesNotExist otherwise."""
        return self.select_related("board", "room").get(Q(name__iexact=name) | Q(slug__iexact=name))


def _within(field: str, shortest: timedelta, longest: timedelta, message: str) -> models.CheckConstraint:
    return models.CheckConstraint(
        condition=Q(**{f"{field}__isnull": True}) | Q(**{f"{field}__range": (shortest, longest)}),
        name=f"relay_{field}_sane",
        violation_error_message=message,
    )


class Relay(EditedModel):
    """One output of a board, what it switches, its polarity, its rules; what is wanted of it and what is so."""

    class Polarity(models.TextChoices):
        ACTIVE_LOW = "active-low", "active-low: on when the pin is low (most relay boards)"
        ACTIVE_HIGH = "active-high", "active-high: on when the pin is high"

    class Kind(models.TextChoices):
        LAMP = "lamp", "lamp"
        PUMP = "pump", "pump"
        HEATER = "heater", "heater"
        FAN = "fan", "fan"
        DOOR = "door", "door"
        OUTLET = "outlet", "outlet"
        OTHER = "other", "other"

    class Mode(models.TextChoices):
        SWITCH = "switch", "switch: on or off"
        MOMENTARY = "momentary", "momentary: only ever pressed"

    class PowerUp(models.TextChoices):
        OFF = "off", "off"
        ON = "on", "on"
        LAST = "last", "as it was wanted last"

    class End(models.TextChoices):
        OFF = "off", "switch off"
        HOLD = "hold", "hold"

    EDITABLE = (
        *("name", "slug", "room", "position", "board", "line", "polarity", "kind", "mode", "pulse"),
        *("is_enabled", "power_up", "on_stop", "on_lost", "max_on", "min_on", "min_off", "interlock"),
    )

    name = models.CharField(max_length=60, help_text="What it switches, as you call it: “Porch lamp”.")
    slug = models.SlugField(
        max_length=60, blank=True, help_text="Its name in addresses and commands; made from the name if left empty."
    )
    room = models.ForeignKey(
        Room,
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="relays",
        help_text="Where it is shown; may be left empty.",
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Relays of a room are shown in this order.")
    board = models.ForeignKey(
        Board, on_delete=models.PROTECT, related_name="relays", help_text="The board whose line switches it."
    )
    line = models.CharField(
        max_length=12, help_text="GPIO17; 17, BCM17 and the header's pin J8:11 or BOARD11 are understood too."
    )
    polarity = models.CharField(
        max_length=12,
        choices=Polarity,
        help_text="Which level switches it on. The wrong one turns every off into an on: try it without a load.",
    )
    kind = models.CharField(max_length=8, choices=Kind, default=Kind.OTHER, help_text="What it switches.")
    mode = models.CharField(
        max_length=10, choices=Mode, default=Mode.SWITCH, help_text="A gate opener or a bell is momentary."
    )
    pulse = models.DurationField(null=True, blank=True, help_text="How long a press lasts: 100ms to 10s.")
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="Not enabled: its line is let go, at its off level; nobody can switch it."
    )
    is_locked = models.BooleanField("locked", default=False, editable=False)
    lock_reason = models.CharField(max_length=200, blank=True, editable=False)
    locked_by = models.CharField(max_length=150, blank=True, editable=False)
    power_up = models.CharField(
        "at power-up",
        max_length=4,
        choices=PowerUp,
        default=PowerUp.OFF,
        help_text="What it does when the machine has booted, or the controller starts after switching off in order.",
    )
    on_stop = models.CharField(
        "when the controller stops",
        max_length=4,
        choices=End,
        default=End.OFF,
        help_text="An orderly stop: switch it off, or hold the pin as it is.",
    )
    on_lost = models.CharField(
        "when the controller is lost",
        max_length=4,
        choices=End,
        default=End.OFF,
        help_text="The controller crashed and does not come back: switch it off, or leave the pin as it is.",
    )
    max_on = models.DurationField(
        "longest on", null=True, blank=True, help_text="It is switched off after being on for so long, whoever asked."
    )
    min_on = models.DurationField(
        "shortest on", null=True, blank=True, help_text="Once on, it stays on for so long: spares compressors."
    )
    min_off = models.DurationField(
        "shortest off", null=True, blank=True, help_text="Once off, it stays off for so long: spares compressors."
    )
    interlock = models.ForeignKey(
        Interlock,
        null=True,
        blank=True,
        on_delete=models.PROTECT,
        related_name="relays",
        help_text="Of the relays of an interlock at most one is on.",
    )

    wanted = models.BooleanField(default=False, editable=False)
    wanted_at = models.DateTimeField(null=True, editable=False)
    wanted_until = models.DateTimeField(null=True, editable=False)
    wanted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, editable=False, on_delete=models.PROTECT, related_name="+"
    )
    wanted_via = models.CharField(max_length=12, choices=Event.Via, blank=True, editable=False)
    command = models.PositiveBigIntegerField(default=0, editable=False, help_text="The Event that asked for wanted.")
    applied_command = models.PositiveBigIntegerField(default=0, editable=False, help_text="The last one carried out.")
    actual = models.BooleanField(null=True, editable=False)
    actual_at = models.DateTimeField(null=True, editable=False)
    fault = models.CharField(max_length=300, blank=True, editable=False)
    cycles = models.PositiveBigIntegerField(default=0, editable=False, help_text="How often it went on.")
    on_for = models.DurationField(
        default=timedelta(0), editable=False, help_text="How long it was on in all, until it last went off."
    )

    objects = RelayQuerySet.as_manager()

    class Meta:
        ordering = ["room__position", "room__name", "position", "name"]
        permissions = [("switch_relay", "Can switch relays")]
        constraints = [
            models.UniqueConstraint(
                Lower("name"), name="relay_name_unique", violation_error_message="There is a relay of this name."
            ),
            models.UniqueConstraint(
                fields=["slug"], name="relay_slug_unique", violation_error_message="There is a relay of this slug."
            ),
            models.UniqueConstraint(
                fields=["board", "line"],
                condition=Q(is_enabled=True),
                name="one_enabled_relay_per_line",
                violation_error_message="Another enabled relay of this board uses this line: choose another line.",
            ),
            models.CheckConstraint(
                condition=Q(line__in=header.LINES),
                name="relay_line_exists",
                violation_error_message="There is no such line: choose one of GPIO0 to GPIO27.",
            ),
            models.CheckConstraint(
                condition=Q(polarity__in=["active-low", "active-high"]),
                name="relay_polarity_known",
                violation_error_message="Choose active-low or active-high.",
            ),
            models.CheckConstraint(
                condition=Q(
                    power_up__in=["off", "on", "last"], on_stop__in=["off", "hold"], on_lost__in=["off", "hold"]
                ),
                name="relay_starts_and_ends_known",
                violation_error_message="Choose off, on or last at power-up, off or hold at the ends.",
            ),
            models.CheckConstraint(
                condition=Q(mode="switch", pulse__isnull=True) | Q(mode="momentary", pulse__isnull=False),
                name="relay_pulse_goes_with_momentary",
                violation_error_message="A momentary relay needs a pulse, and only a momentary one has it.",
            ),
            _within("pulse", SHORTEST, timedelta(seconds=10), "A pulse lasts 100ms to 10s."),
            _within("max_on", SHORTEST, LONGEST, "The longest on is 100ms to 30 days."),
            _within("min_on", SHORTEST, LONGEST, "The shortest on is 100ms to 30 days."),
            _within("min_off", SHORTEST, LONGEST, "The shortest off is 100ms to 30 days."),
            models.CheckConstraint(
                condition=Q(min_on__isnull=True) | Q(max_on__isnull=True) | Q(min_on__lte=F("max_on")),
                name="relay_min_on_within_max_on",
                violation_error_message="The shortest on cannot be longer than the longest on.",
            ),
            models.CheckConstraint(
                condition=Q(mode="switch") | Q(power_up="off", on_stop="off", on_lost="off"),
                name="momentary_relay_ends_off",
                violation_error_message="A momentary relay is off at power-up, stop and loss: choose off for all.",
            ),
            models.UniqueConstraint(
                fields=["interlock"],
                condition=Q(wanted=True),
                name="one_wanted_relay_per_interlock",
                violation_error_message="Another relay of this interlock is on.",
            ),
            models.UniqueConstraint(
                fields=["interlock"],
                condition=Q(power_up="on"),
                name="one_power_up_on_per_interlock",
                violation_error_message="Another relay of this interlock is on at power-up: only one of them can be.",
            ),
            models.CheckConstraint(
                condition=Q(wanted=True) | Q(wanted_until__isnull=True),
                name="relay_until_only_when_on",
                violation_error_message="Only a relay that is wanted on has an end.",
            ),
            models.CheckConstraint(
                condition=Q(wanted=False) | Q(is_enabled=True),
                name="relay_disabled_is_off",
                violation_error_message="A disabled relay cannot be wanted on.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def event_target(self) -> "tuple[Board, Relay | None]":
        return self.board, self

    def clean(self) -> None:
        self._clean_slug()
        if self.board_id and self.line:
            try:
                self.line = header.canonical(self.line, self.board.header)
            except ValueError as error:
                raise ValidationError({"line": str(error)}) from error
        if self.interlock_id and self.board_id and self.interlock and self.interlock.board_id != self.board_id:
            raise ValidationError({"interlock": f"{self.interlock} is on another board: its relays share one board."})
        before = self.stored()
        guarded = [name for name in GUARDED if before and name in self.changed_fields(before)]
        if before and guarded and (before.wanted or before.actual):
            raise ValidationError({guarded[0]: f"Switch {before.name} off first."})

    def _clean_slug(self) -> None:
        self.slug = self.slug or slugify(self.name)
        if not self.slug and self.name:
            raise ValidationError({"slug": "The name has no letter for an address: write a slug, like porch-lamp."})
        if self.slug.lower() in RESERVED_SLUGS:
            raise ValidationError({"slug": f"“{self.slug}” is the address of a page of this site: write another slug."})

    @property
    def is_active_low(self) -> bool:
        return self.polarity == self.Polarity.ACTIVE_LOW

    @property
    def is_momentary(self) -> bool:
        return self.mode == self.Mode.MOMENTARY

    @property
    def actual_now(self) -> bool | None:
        """What is so; None, not known, where its controller is silent: what was so is no news then."""
        return self.actual if self.is_enabled and self.board.is_served else None

    @property
    def is_pending(self) -> bool:
        """Whether what is so is not yet what is wanted."""
        return self.actual is not self.wanted

    def as_state(self, **line: Any) -> plan.RelayState:
        """It as the plan sees it; ``line`` says what is known of its line and of when things happened."""
        return plan.RelayState(
            id=self.pk,
            name=self.name,
            wanted=self.wanted,
            command=self.command,
            is_urgent=self.wanted_via in BY_CONTROLLER,
            lock=self.lock_reason if self.is_locked else None,
            pulse=_seconds(self.pulse),
            power_up=plan.PowerUp(self.power_up),
            holds_on_stop=self.on_stop == self.End.HOLD,
            max_on=_seconds(self.max_on),
            min_on=_seconds(self.min_on),
            min_off=_seconds(self.min_off),
            interlock=self.interlock_id,
            **line,
        )

    def as_seen(self, now: Now) -> plan.RelayState:
        """It as its row tells: the moments of the wall clock turned into those of the boot clock."""
        return self.as_state(
            is_claimed=self.actual is not None,
            level=self.actual,
            since=now.boot_at(self.actual_at or now.wall),
            asked_at=now.boot_at(self.wanted_at or now.wall),
            until=now.boot_at(self.wanted_until) if self.wanted_until else None,
            is_faulty=bool(self.fault),
        )

    def switch(
        self, on: bool, *, by: "User | None", via: str, lasting: timedelta | None = None, command_id: str = ""
    ) -> Event:
        """Ask for on or off: the Event that was accepted, durable; RelayError where it was refused."""
        from relays import door

        seconds = lasting.total_seconds() if lasting is not None else None
        return door.ask(plan.Request(self.pk, on, seconds), by=by, via=via, command_id=command_id)

    def press(self, *, by: "User | None", via: str, command_id: str = "") -> Event:
        """Press a momentary relay: like ``switch``."""
        from relays import door

        return door.ask(plan.Request(self.pk, on=True, is_press=True), by=by, via=via, command_id=command_id)

    def lock(self, reason: str, *, by: "User | None", via: str) -> Event:
        """Refuse every request until it is unlocked; deadlines and stops still switch off."""
        from relays import door

        return door.set_lock(self, reason, by=by, via=via)

    def unlock(self, *, by: "User | None", via: str) -> Event:
        from relays import door

        return door.set_lock(self, None, by=by, via=via)


def _seconds(duration: timedelta | None) -> float | None:
    return duration.total_seconds() if duration is not None else None
