"""Who may come in: people, and the tokens of their programs."""

import hashlib
import logging
import re
import secrets
import threading
import time
from datetime import timedelta
from typing import ClassVar, Self

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.db import DatabaseError, models
from django.db.models import F, Q
from django.utils import timezone

from iotsite import database
from iotsite.prepared import Prepared
from iotsite.rows import QuickRows

logger = logging.getLogger(__name__)


class User(QuickRows, AbstractUser):
    """Somebody who may sign in. Our own from the first migration, so that it can grow."""


class TokenQuerySet(models.QuerySet["Token"]):
    def valid(self) -> Self:
        """Those that open something now: not expired, and their user is active."""
        is_running = Q(expires_at=None) | Q(expires_at__gt=timezone.now())
        return self.filter(is_running, user__is_active=True)

    def find(self, text: str) -> "Token | None":
        """The valid token with this text, its user joined; one query, and none for what cannot be a token."""
        if not Token.SHAPE.fullmatch(text):
            return None
        # By its hash: how long the look-up takes tells nothing about the text.
        found = next(iter(_WITH_HASH(_hashed(text))), None)
        return found if found and found.user.is_active and not found.is_expired else None


class Token(QuickRows, models.Model):
    """What a program shows instead of a password. The text is known to who was given it; here is its hash."""

    class Scope(models.TextChoices):
        READ = "read", "look"
        SWITCH = "switch", "look and switch"

    SHAPE = re.compile(r"iot_[A-Za-z0-9_-]{43}")
    LIMIT = 50
    DEFAULT_DAYS = 90
    MOST_DAYS = 3650
    notes_again_at: ClassVar[float] = 0.0
    noting: ClassVar[threading.Lock] = threading.Lock()
    """Held by the one thread that writes a date; a second one is not worth its wait, another use will come."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="tokens")
    name = models.CharField(
        max_length=60, help_text="What uses it: “Home Assistant”.", error_messages={"blank": "Give it a name."}
    )
    scope = models.CharField(max_length=6, choices=Scope, default=Scope.READ, help_text="What it may do.")
    hash = models.CharField(max_length=64, editable=False)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField(null=True, blank=True, editable=False)
    last_used_on = models.DateField(null=True, blank=True, editable=False)

    objects = TokenQuerySet.as_manager()

    class Meta:
        ordering = ["name"]
        constraints = [
            models.UniqueConstraint(fields=["hash"], name="token_hash_unique"),
            models.UniqueConstraint(
                fields=["user", "name"],
                name="token_name_unique_for_its_user",
                violation_error_message="There is a token of this name: choose another one, or revoke that one first.",
            ),
            models.CheckConstraint(
                condition=Q(scope__in=["read", "switch"]),
                name="token_scope_known",
                violation_error_message="Choose read or switch.",
            ),
            models.CheckConstraint(
                condition=Q(expires_at=None) | Q(expires_at__gt=F("created_at")),
                name="token_expires_after_it_was_made",
                violation_error_message="Let it last a day at least.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def may_switch(self) -> bool:
        return self.scope == self.Scope.SWITCH

    @property
    def is_expired(self) -> bool:
        return self.expires_at is not None and self.expires_at <= timezone.now()

    @property
    def is_used_today(self) -> bool:
        return self.last_used_on is not None and self.last_used_on >= timezone.localdate()

    @classmethod
    def make(cls, user: User, name: str, scope: str, days: int | None = DEFAULT_DAYS) -> tuple["Token", str]:
        """A new token and its text, which nobody can have a second time; ``days`` None: it never expires.

        ValidationError with sentences where the name is taken, the scope unknown, or there are too many.
        """
        if days is not None and not 1 <= days <= cls.MOST_DAYS:
            raise ValidationError({"expires_at": f"Let it last 1 to {cls.MOST_DAYS} days."})
        text = f"iot_{secrets.token_urlsafe(32)}"
        now = timezone.now()
        ends = None if days is None else now + timedelta(days=days)
        token = cls(user=user, name=name.strip(), scope=scope, hash=_hashed(text), created_at=now, expires_at=ends)
        with database.writing():
            if user.tokens.count() >= cls.LIMIT:
                raise ValidationError(f"{user} has {cls.LIMIT} tokens, and more there cannot be: revoke one first.")
            token.full_clean()
            token.save(force_insert=True)
        return token, text

    def note_use(self) -> None:
        """Write down today's date, once a day. A database that cannot be written to keeps nobody from reading.

        Where another holds the database this waits as any write does: call it when the work is done, not before.
        One thread tries at a time, and after a failure nobody for a minute: not every request waits.
        """
        if self.is_used_today or time.monotonic() < Token.notes_again_at or not Token.noting.acquire(blocking=False):
            return
        today = timezone.localdate()
        is_older = Q(last_used_on=None) | Q(last_used_on__lt=today)
        try:
            with database.writing():
                Token.objects.filter(is_older, pk=self.pk).update(last_used_on=today)
        except DatabaseError as error:
            Token.notes_again_at = time.monotonic() + 60
            logger.warning("That the token %s was used today is not written down: %s", self.pk, error)
        else:
            self.last_used_on = today
        finally:
            Token.noting.release()


_WITH_HASH = Prepared(lambda hash: Token.objects.filter(hash=hash).select_related("user"))


def _hashed(text: str) -> str:
    # 256 random bits need no slow hash: there is nothing to guess.
    return hashlib.sha256(text.encode()).hexdigest()
