"""How fresh the list of a port is, and what became of the last try to make it so."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery

from ports import watch
from ports.models import Port, Refresh
from ports.progress import Now

OLD_AFTER = 3
"""Intervals of its feed after which a list is old."""


def at_hand(ports: QuerySet[Port]) -> QuerySet[Port]:
    """Each with its feed and what ``Freshness`` needs."""
    # By number: refreshes are written in the order of time, and an index gives the last of a feed at once.
    tries = Refresh.objects.filter(feed=OuterRef("feed")).order_by("-id")
    good = tries.good().telling_of(OuterRef("locode"))  # its feed may have gone on while it was off
    return ports.select_related("feed").annotate(
        good_as_of=Subquery(good.values("as_of")[:1]),
        last_asked_at=Subquery(tries.asked().values("started_at")[:1]),
        **{f"last_{name}": Subquery(tries.values(name)[:1]) for name in ("started_at", "outcome", "error")},
    )


@dataclass(frozen=True)
class Freshness:
    port: Port
    as_of: datetime | None
    """The moment whose truth is shown; None where no answer was good yet."""
    tried_at: datetime | None
    is_failed: bool
    error: str
    """What was wrong with the last try, in a sentence; also where it was partly done."""
    is_wished: bool
    """Somebody asked for a refresh, and none has begun since."""
    waits_until: datetime | None
    """Before when the publisher does not want the refresh that is wished."""
    now: Now | None
    """How far the refresh is that is under way."""

    @classmethod
    def of(cls, port: Any) -> "Freshness":
        """Of a port that came ``at_hand``."""
        feed, tried = port.feed, port.last_started_at
        asked = port.last_asked_at
        is_wished = bool(feed.wished_at and port.is_enabled and (asked is None or feed.wished_at > asked))
        return cls(
            port,
            port.good_as_of,
            tried,
            port.last_outcome == Refresh.Outcome.FAILED,
            port.last_error or "",
            is_wished,
            feed.waits_until() if is_wished else None,
            None if port.is_example else watch.running().get(feed.pk),
        )

    @property
    def age(self) -> timedelta | None:
        return self.port.now - self.as_of if self.as_of else None

    @property
    def is_old(self) -> bool:
        """An example never ages: it has its own present."""
        if self.port.is_example or self.age is None:
            return False
        return self.age > OLD_AFTER * self.port.feed.interval

    @property
    def is_under_way(self) -> bool:
        """So that something is to come within seconds."""
        return self.now is not None or (self.is_wished and self.waits_until is None)

    @property
    def is_unheard(self) -> bool:
        """A refresh is wished, and nobody is there to see to it."""
        return self.is_wished and self.now is None and not watch.is_running()

    @property
    def is_trouble(self) -> bool:
        return bool(self.is_old or self.error)
