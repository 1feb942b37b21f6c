from collections.abc import Iterable
from typing import TYPE_CHECKING

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q

from iotsite.prepared import Prepared
from relays import header, plan, runfiles
from relays.clock import Now
from relays.models.edits import EditedModel

if TYPE_CHECKING:
    from relays.models.relay import Relay


def _around(board: int, relay: int) -> "models.QuerySet[Relay]":
    enabled = Board(pk=board).relays.filter(is_enabled=True).order_by()
    concerned = enabled.filter(Q(pk=relay) | Q(actual=None) | ~Q(wanted=F("actual")))
    return enabled.filter(Q(pk__in=concerned.values("pk")) | Q(interlock__in=concerned.values("interlock")))


_AROUND: "Prepared[Relay]" = Prepared(lambda board, relay: _around(board, relay).select_related("interlock"))


class BoardQuerySet(models.QuerySet["Board"]):
    def enabled(self) -> "BoardQuerySet":
        return self.filter(is_enabled=True)


class Board(EditedModel):
    """A computer or device that has relay outputs, and how to reach them."""

    class Driver(models.TextChoices):
        GPIO = "gpio", "the header of this Raspberry Pi"
        SIMULATED = "simulated", "simulated (nothing is switched)"

    class Header(models.TextChoices):
        J8 = "J8", "40 pins (J8)"
        P1 = "P1", "26 pins (P1)"
        P1_REV1 = "P1-rev1", "26 pins (P1, first boards of 2012)"

    EDITABLE = ("name", "driver", "header", "is_enabled", "ons_per_second")

    name = models.CharField(
        max_length=60,
        unique=True,
        error_messages={"unique": "There is a board of this name."},
        help_text="What you call it: “This Pi”, “Boat house”.",
    )
    driver = models.CharField(max_length=12, choices=Driver, help_text="How its relays are reached.")
    header = models.CharField(
        max_length=8, choices=Header, default=Header.J8, help_text="Which pins the board has; nearly always 40."
    )
    is_enabled = models.BooleanField(
        "enabled", default=True, help_text="A board that is not enabled has no controller: its relays do nothing."
    )
    ons_per_second = models.PositiveSmallIntegerField(
        "ons per second",
        default=4,
        help_text="At most so many relays go on within a second, so that the supply is not overrun.",
    )
    stopped_at = models.DateTimeField(null=True, blank=True, editable=False)
    stopped_by = models.CharField(max_length=150, blank=True, editable=False)

    objects = BoardQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(driver__in=["gpio", "simulated"]),
                name="board_driver_known",
                violation_error_message="Choose gpio or simulated.",
            ),
            models.CheckConstraint(
                condition=Q(header__in=list(header.PINS)),
                name="board_header_known",
                violation_error_message="Choose one of the known headers.",
            ),
            models.CheckConstraint(
                condition=Q(ons_per_second__range=(1, 1000)),
                name="board_ons_per_second_sane",
                violation_error_message="Choose 1 to 1000 ons per second.",
            ),
            models.UniqueConstraint(
                fields=["driver"],
                condition=Q(driver="gpio", is_enabled=True),
                name="one_enabled_gpio_board",
                violation_error_message="This machine has one header: another enabled board uses it already.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def event_target(self) -> "tuple[Board, Relay | None]":
        return self, None

    def clean(self) -> None:
        before = self.stored()
        if before is None:
            return
        guarded = [name for name in ("driver", "header", "is_enabled") if name in self.changed_fields(before)]
        busy = self.relays.on().first()
        if guarded and busy:
            raise ValidationError({guarded[0]: f"Switch {busy.name} off first."})
        if "header" in guarded:
            missing = self.relays.exclude(line__in=header.lines_of(self.header)).first()
            if missing:
                raise ValidationError({"header": f"This header has no {missing.line}, which {missing.name} uses."})

    @property
    def is_simulated(self) -> bool:
        return self.driver == self.Driver.SIMULATED

    @property
    def files(self) -> runfiles.BoardFiles:
        return runfiles.BoardFiles(settings.RUN_DIR, self.pk)

    @property
    def is_stopped(self) -> bool:
        """Stop everything holds it: by the database, or by the latch that works without one."""
        return self.stopped_at is not None or self.files.is_latched

    @property
    def silent_for(self) -> float | None:
        """Seconds since its controller last answered; None where none ever did in this boot."""
        return self.files.beat_age()

    @property
    def is_served(self) -> bool:
        """Whether a controller answers for it now."""
        return self.files.is_served

    def rows_around(self, relay: "Relay") -> "list[Relay]":
        """Its enabled relays on which it may depend when ``relay`` has its turn, itself among them.

        Those that are not yet as wanted, and those of the same interlocks; the interlocks at hand.
        """
        return _AROUND(self.pk, relay.pk)

    def as_seen(self, relays: "Iterable[Relay]", now: Now) -> plan.BoardState:
        """The board as its rows tell, for those who only read and ask; its controller knows more.

        ``relays``: those that matter, with their interlocks at hand.
        """
        relays = list(relays)
        return plan.BoardState(
            relays=tuple(relay.as_seen(now) for relay in relays),
            interlocks={relay.interlock.pk: relay.interlock.as_state() for relay in relays if relay.interlock},
            is_stopped=self.is_stopped,
            is_served=self.is_served,
            ons_per_second=self.ons_per_second,
        )

    def config_txt(self) -> list[str]:
        """The lines for config.txt that keep its relays off while the Pi boots, before any program runs."""
        wired = sorted(self.relays.filter(is_enabled=True), key=lambda relay: header.number_of(relay.line))
        return [header.off_in_config_txt(relay.line, is_active_low=relay.is_active_low) for relay in wired]
