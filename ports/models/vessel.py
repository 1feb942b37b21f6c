from datetime import datetime

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from iotsite.rows import QuickRows
from ports.identity import is_imo
from ports.snapshot import VesselType
from ports.sources.text import isolated

NUMBERS = ("imo", "mmsi", "call_sign")
CORRECTABLE = ("name", *NUMBERS, "flag", "type")
"""What a person may put right."""


class Vessel(QuickRows, models.Model):
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
        indexes = [
            models.Index(fields=["name"], name="vessels_by_name"),
            models.Index(fields=["mmsi"], condition=~Q(mmsi=""), name="vessels_by_mmsi"),
            models.Index(fields=["call_sign"], condition=~Q(call_sign=""), name="vessels_by_call_sign"),
        ]
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

    def correct(self, **right: str) -> None:
        """Put fields right by hand, so that no refresh changes them. What was told before still finds her."""
        with transaction.atomic():
            was = {field: getattr(self, field) for field in right}
            for field, value in right.items():
                setattr(self, field, value)
            self.corrected = sorted({*self.corrected, *right})
            for kind in NUMBERS:
                if kind in right:
                    self.be_known_by(kind, was[kind])
                    # Her row says it now, and it is no other's.
                    Identifier.objects.filter(kind=kind, value=right[kind], source="").delete()
            if was.get("name", self.name) != self.name:
                self.be_called(was["name"], self.first_seen_at)
                self.be_called(self.name, timezone.now())
            self.save(update_fields=[*right, "corrected"])

    def give_back(self) -> None:
        """Let the feed say again what was put right by hand: at the next refresh that tells anything new."""
        with transaction.atomic():
            self.corrected = []
            self.save(update_fields=["corrected"])
            # A number that no report has, and each its own, so that what is told next is read anew.
            self.calls.listed().update(digest=-models.F("id"))

    def be_known_by(self, kind: str, value: str, source: str = "") -> None:
        """Let a report that tells this be about her, also where her own row says otherwise."""
        if value:
            Identifier.objects.update_or_create(kind=kind, value=value, source=source, defaults={"vessel": self})

    def be_called(self, name: str, since: datetime) -> None:
        """Note a name that she has or had; of two moments for one name the earlier."""
        told, is_new = VesselName.objects.get_or_create(vessel=self, name=name, defaults={"first_seen_at": since})
        if not is_new and since < told.first_seen_at:
            told.first_seen_at = since
            told.save(update_fields=["first_seen_at"])

    def follow(self, user: AbstractBaseUser, on: bool) -> None:
        """Give her ``user``'s star, or take it back."""
        if on:
            Follow.objects.get_or_create(user_id=user.pk, vessel=self)
        else:
            Follow.objects.filter(user_id=user.pk, vessel=self).delete()


class Identifier(QuickRows, models.Model):
    """What a vessel is recognised by beside what stands in her row: numbers and call signs that she had, those of a
    vessel that was merged into her or that a person put right, and, where a source tells no more, her name.
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
        return f"{self.get_kind_display()} {isolated(self.value)}"


class VesselName(QuickRows, models.Model):
    """A name of a vessel that had several, and since when."""

    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="names")
    name = models.CharField(max_length=120)
    first_seen_at = models.DateTimeField()

    class Meta:
        ordering = ["first_seen_at"]
        constraints = [models.UniqueConstraint(fields=["vessel", "name"], name="vessel_name_unique")]

    def __str__(self) -> str:
        return self.name


class FollowQuerySet(models.QuerySet["Follow"]):
    def of(self, user: AbstractBaseUser | AnonymousUser) -> "FollowQuerySet":
        """The stars that ``user`` gave; a stranger gave none."""
        return self.filter(user_id=user.pk) if user.pk else self.none()


class Follow(QuickRows, models.Model):
    """A star that somebody gave to a vessel."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.CASCADE, related_name="follows")
    vessel = models.ForeignKey(Vessel, on_delete=models.CASCADE, related_name="followers")
    at = models.DateTimeField(auto_now_add=True)

    objects = FollowQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["user", "vessel"], name="follow_unique")]

    def __str__(self) -> str:
        return f"{self.user} follows {self.vessel}"
