from django.db import models

from iotsite.rows import QuickRows


class Room(QuickRows, models.Model):
    """Where relays are shown together."""

    name = models.CharField(
        max_length=60,
        unique=True,
        error_messages={"unique": "There is a room of this name."},
        help_text="A heading on the page of relays.",
    )
    position = models.PositiveSmallIntegerField(default=0, help_text="Rooms are shown in this order.")

    class Meta:
        ordering = ["position", "name"]

    def __str__(self) -> str:
        return self.name
