import base64
import re
import secrets
from typing import Any

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.crypto import constant_time_compare, salted_hmac

from iotsite.rows import QuickRows


class SubscriptionQuerySet(models.QuerySet["Subscription"]):
    def find(self, secret: str) -> "Subscription | None":
        """The one that ``secret`` opens, its user joined, while that one is active."""
        if not Subscription.SHAPE.fullmatch(secret):
            return None
        number = int(secret.split("-", 1)[0])
        found = self.select_related("user").filter(user_id=number, user__is_active=True).first()
        return found if found and constant_time_compare(found.secret, secret) else None

    def renew(self, user: Any) -> "Subscription":
        """A new secret for ``user``. What the one before it opened is closed."""
        made = {"nonce": secrets.token_urlsafe(16), "made_at": timezone.now()}
        return self.update_or_create(user=user, defaults=made)[0]


class Subscription(QuickRows, models.Model):
    """What lets somebody's calendar and feed reader in, which can show no password: a secret in their address.

    The secret itself lies nowhere: it follows from the nonce and SECRET_KEY, so that a copy of the database opens
    nothing, and yet its owner can be shown it again.
    """

    SHAPE = re.compile(r"[0-9]{1,18}-[A-Za-z0-9_-]{43}")

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, on_delete=models.CASCADE, primary_key=True, related_name="subscription"
    )
    nonce = models.CharField(max_length=22, editable=False)
    made_at = models.DateTimeField(editable=False)

    objects = SubscriptionQuerySet.as_manager()

    def __str__(self) -> str:
        return f"the address of {self.user}"

    @property
    def secret(self) -> str:
        proof = salted_hmac("ports.subscription", f"{self.user_id} {self.nonce}", algorithm="sha256").digest()
        return f"{self.user_id}-{base64.urlsafe_b64encode(proof).decode().rstrip('=')}"
