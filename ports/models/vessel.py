from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q

from ports.identity import is_imo
from ports.snapshot import VesselType


class Vessel(models.Model):
    """A ship, whichever ports and sources tell of her."""

    name = models.CharField(max_length=120)
    imo = models.CharField("IMO", max_length=7, blank=True)
    mmsi = models.CharField("MMSI", max_length=9, blank=True)
    call_sign = models.CharField(max_length=20, blank=True)
    flag = models.CharField(max_length=2, blank=True, help_text="ISO 3166-1, two letters.")
    type = models.CharField(max_length=11, choices=VesselType, default=VesselType.OTHER)
    source_type = models.CharField(max_length=120, blank=True, help_text="The type in the source's own words.")
    first_seen_at = models.DateTimeField(editable=False)
    corrected = models.JSONField(default=list, blank=True, editable=False)
    """The fields that somebody put right by hand, which no refresh changes."""

    class Meta:
        ordering = ["name"]
        indexes = [models.Index(fields=["name"], name="vessels_by_name")]
        constraints = [
            models.UniqueConstraint(
                fields=["imo"],
                condition=~Q(imo=""),
                name="vessel_imo_unique",
                violation_error_message="Another vessel has this IMO number: merge the two.",
            ),
            models.CheckConstraint(
                condition=Q(imo="") | Q(imo__regex=r"^[0-9]{7}$"),
                name="vessel_imo_sane",
                violation_error_message="An IMO number has seven digits.",
            ),
            models.CheckConstraint(
                condition=Q(mmsi="") | Q(mmsi__regex=r"^[0-9]{9}$"),
                name="vessel_mmsi_sane",
                violation_error_message="An MMSI has nine digits.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        if self.imo and not is_imo(self.imo):
            raise ValidationError(
                {"imo": "The last digit of an IMO number follows from the others: this one is wrong."}
            )


class Identifier(models.Model):
    """What a vessel is recognised by: an IMO number, an MMSI, a call sign, or, within one source, her name.

    A merge hands them to the vessel that stays, so that a refresh finds that one.
    """

    class Kind(models.TextChoices):
        IMO = "imo", "IMO"
        MMSI = "mmsi", "MMSI"
        CALL_SIGN = "call_sign", "call sign"
        NAME = "name", "name"

    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="identifiers")
    kind = models.CharField(max_length=9, choices=Kind)
    value = models.CharField(max_length=120)
    source = models.CharField(max_length=20, blank=True)
    """Of a name; the others are the same everywhere."""

    class Meta:
        constraints = [models.UniqueConstraint(fields=["kind", "value", "source"], name="identifier_unique")]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.value}"


class VesselName(models.Model):
    """A name that a vessel had, and since when."""

    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=120)
    first_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["first_seen_at"]
        constraints = [models.UniqueConstraint(fields=["vessel", "name"], name="vessel_name_unique")]

    def __str__(self) -> str:
        return self.name


class Follow(models.Model):
    """A star that somebody gave to a vessel."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="follows")
    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="followers")
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "vessel"], name="follow_unique")]

    def __str__(self) -> str:
        return f"{self.user} follows {self.vessel}"
