from datetime import timedelta
from typing import TYPE_CHECKING

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from relays import durations, plan
from relays.models.board import Board
from relays.models.edits import EditedModel

if TYPE_CHECKING:
    from relays.models.relay import Relay


class Interlock(EditedModel):
    """Relays of one board of which at most one may be on, and how long all are off in between."""

    class Policy(models.TextChoices):
        REPLACE = "replace", "switch off the one that is on"
        REFUSE = "refuse", "refuse the request"

    EDITABLE = ("name", "board", "dead_time", "policy")

    name = models.CharField(
        max_length=60,
        unique=True,
        error_messages={"unique": "There is an interlock so named."},
        help_text="What must not go together: “Gate motor”.",
    )
    board = models.ForeignKey(
        Board,
        on_delete=models.PROTECT,
        related_name="interlocks",
        help_text="All its relays are on this board, since one controller has to keep them apart.",
    )
    dead_time = models.DurationField(
        default=timedelta(milliseconds=500),
        help_text="How long all of them are off before the next goes on; a motor that reverses wants 500ms or more.",
    )
    policy = models.CharField(
        "when another is on", max_length=8, choices=Policy, default=Policy.REPLACE, help_text="What a request does."
    )

    class Meta:
        ordering = ["name"]
        constraints = [
            models.CheckConstraint(
                condition=Q(dead_time__range=(durations.SHORTEST, durations.LONGEST)),
                name="interlock_dead_time_sane",
                violation_error_message="Choose a dead time from 100ms to 30 days.",
            ),
            models.CheckConstraint(
                condition=Q(policy__in=["replace", "refuse"]),
                name="interlock_policy_known",
                violation_error_message="Choose replace or refuse.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def event_target(self) -> "tuple[Board, Relay | None]":
        return self.board, None

    def clean(self) -> None:
        if self.pk and self.board_id and self.relays.exclude(board_id=self.board_id).exists():
            raise ValidationError({"board": "Its relays are on another board: take them out of it first."})

    def as_state(self) -> plan.InterlockState:
        return plan.InterlockState(self.pk, self.dead_time.total_seconds(), self.policy == self.Policy.REPLACE)
