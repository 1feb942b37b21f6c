"""What is old of each history, and which of it may go. It only reads; iotsite/pruning.py takes away.

A Pi has no clock of its own, so that the moment in a row may be wrong, and so may be the present. A row is old only
where its number agrees: numbers are in the order in which rows were written, whatever the clock said.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import BigIntegerField, Exists, ExpressionWrapper, F, Max, Model, OuterRef, Q, QuerySet, Value

from ports.models import Change, Feed, Port, PortCall, Refresh
from relays.models import Event, Relay

Rows = QuerySet[Any]

UNSET = datetime(2020, 1, 1, tzinfo=UTC)
"""A clock that says an earlier moment was not set yet."""


class History:
    """Rows that are written once, and are taken away when they are older than a setting says."""

    name: str
    setting: str
    model: type[Model]
    moment: str
    """The field that says when; an index begins with it."""

    @property
    def days(self) -> int:
        """0 is for ever."""
        return int(getattr(settings, self.setting))

    def cutoff(self, now: datetime) -> datetime | None:
        """What was written before is old; None where it is kept for ever."""
        return now - timedelta(days=self.days) if self.days else None

    def old(self, cutoff: datetime) -> Rows | None:
        """What may go of the rows from before ``cutoff``, the oldest first; None where nothing may."""
        rows = self._may_go(self._by_time().filter(**{f"{self.moment}__lt": cutoff}), cutoff)
        if not rows.exists():
            return None
        rows = rows.exclude(pk__in=self._kept())
        if first := self.first_since(cutoff):
            rows = rows.filter(number__lt=first[1])
        set_right = rows.filter(**{f"{self.moment}__gte": UNSET}).order_by(f"-{self.moment}", "-id")
        newest = set_right.values_list("id", flat=True).first()
        return rows.filter(number__lte=newest) if newest else None

    def first_since(self, moment: datetime) -> tuple[datetime, int] | None:
        """The first row from ``moment`` on: when, and its number."""
        since = self._by_time().filter(**{f"{self.moment}__gte": moment})
        found: tuple[datetime, int] | None = since.values_list(self.moment, "id").first()
        return found

    def last_before(self, moment: datetime) -> datetime | None:
        """When the last row before ``moment`` was written."""
        until = self._by_time().filter(**{f"{self.moment}__lt": moment}).order_by(f"-{self.moment}")
        found: datetime | None = until.values_list(self.moment, flat=True).first()
        return found

    def and_with_them(self, rows: Rows | list[int]) -> list[Rows]:
        """All that goes with ``rows``, in the order in which it must."""
        return [self._rows().filter(pk__in=rows)]

    def drop(self, numbers: list[int], cutoff: datetime) -> int:
        """Delete the rows of these numbers, and what goes with them; how many that were. In a transaction."""
        return sum(part._raw_delete(part.db) for part in self.and_with_them(numbers))

    def _rows(self) -> Rows:
        return self.model._default_manager.order_by()

    def _by_time(self) -> Rows:
        rows: Rows = self._rows().alias(number=_opaque("id"))
        return rows.order_by(self.moment, "id")

    def _may_go(self, rows: Rows, cutoff: datetime) -> Rows:
        """Those that nothing needs that is younger."""
        raise NotImplementedError

    def _kept(self) -> set[int]:
        """The numbers of those that are needed however old they are."""
        return set()


class Events(History):
    """A command goes with its answers, once all of them are old."""

    name, setting, model, moment = "events", "KEEP_EVENTS", Event, "at"

    def _may_go(self, rows: Rows, cutoff: datetime) -> Rows:
        answers = self._rows().filter(of=OuterRef("pk"))
        is_unsettled = Q(outcome=Event.Outcome.ACCEPTED) & ~Exists(answers)
        rows = rows.alias(answered=_opaque("of")).filter(answered=None)
        return rows.filter(~Exists(answers.filter(at__gte=cutoff)), ~is_unsettled)

    def _kept(self) -> set[int]:
        """What each relay was asked last, what it did last, and the newest of it; of each board the newest as well."""
        relays: Rows = Relay.objects.with_last_event().order_by()
        numbers = {number for row in relays.values_list("command", "applied_command", "last_event") for number in row}
        # By the index of relays: those of none are few, those of a board may be all.
        boards = self._rows().filter(relay=None).annotate(where=_opaque("board")).values("where")
        numbers.update(boards.annotate(last=Max("id")).values_list("last", flat=True))
        return {of or number for number, of in self._rows().filter(pk__in=numbers).values_list("id", "of")}

    def and_with_them(self, rows: Rows | list[int]) -> list[Rows]:
        return [self._rows().filter(of__in=rows), *super().and_with_them(rows)]


class Changes(History):
    """Those of a call that its feed still lists stay, and those of an example, which never ages."""

    name, setting, model, moment = "changes", "KEEP_CHANGES", Change, "seen_at"

    def _may_go(self, rows: Rows, cutoff: datetime) -> Rows:
        left = PortCall.objects.filter(pk=OuterRef("call"), last_seen_at__isnull=False)
        return rows.filter(Exists(left)).exclude(port__in=Port.objects.filter(is_example=True).order_by())

    def drop(self, numbers: list[int], cutoff: datetime) -> int:
        Port.objects.filter(seen_since__lt=cutoff, is_example=False).update(seen_since=cutoff)
        return super().drop(numbers, cutoff)


class Refreshes(History):
    """One that brought a Change stays as long as that. Of an example all stay."""

    name, setting, model, moment = "refreshes", "KEEP_REFRESHES", Refresh, "started_at"

    def _may_go(self, rows: Rows, cutoff: datetime) -> Rows:
        changes = Change.objects.order_by().filter(refresh=OuterRef("pk"))
        return rows.filter(~Exists(changes)).exclude(feed__in=Feed.objects.filter(is_example=True).order_by())

    def _kept(self) -> set[int]:
        """The last of each feed, and the last that asked; of each port the last good one that told of it."""
        tries = [Refresh.objects.filter(feed=feed) for feed in Feed.objects.all()]
        told = Port.objects.exclude(loaded_at=None).values_list("feed", "locode")
        lists = [which for one in tries for which in (one, one.asked())]
        lists += [Refresh.objects.filter(feed=feed).good().telling_of(Value(locode)) for feed, locode in told]
        return {last for rows in lists for last in rows.order_by("-id").values_list("id", flat=True)[:1]}


def _opaque(column: str) -> Any:
    """The number in a column, by which SQLite does not look for rows: it is to go by the time."""
    return ExpressionWrapper(F(column) + 0, output_field=BigIntegerField())


HISTORIES: tuple[History, ...] = (Events(), Changes(), Refreshes())
"""Changes before the refreshes that brought them."""


def silence_around(moment: datetime, now: datetime) -> tuple[datetime, datetime]:
    """The last time before ``moment`` that anything was written, in whatever history, and the next."""
    lasts = [last for history in HISTORIES if (last := history.last_before(moment))]
    firsts = [first[0] for history in HISTORIES if (first := history.first_since(moment))]
    return max(lasts, default=moment), min(firsts, default=now)
