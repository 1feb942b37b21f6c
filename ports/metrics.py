"""The ships in numbers, for Prometheus: how fresh each feed is, and how many ships each port has."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, QuerySet, Subquery
from django.utils import timezone
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from ports import counts
from ports.models import Feed, Port, Refresh


class ShipMetrics:
    """Of the ports that are on. Not of the example: what was recorded is no news."""

    def collect(self) -> Iterator[Metric]:
        on = Port.objects.filter(is_enabled=True)
        yield from _feeds(_with_tries(Feed.objects.filter(pk__in=on.values("feed"))), timezone.now())
        yield _ships(list(on))


def _with_tries(feeds: QuerySet[Feed]) -> QuerySet[Any]:
    # By number: refreshes are written in the order of time, and an index gives the last of a feed at once.
    tries = Refresh.objects.filter(feed=OuterRef("pk")).order_by("-id")
    return feeds.annotate(
        tried_at=Subquery(tries.values("started_at")[:1]),
        outcome=Subquery(tries.values("outcome")[:1]),
        as_of=Subquery(tries.good().values("as_of")[:1]),
    )


def _feeds(feeds: Iterable[Any], now: datetime) -> Iterator[Metric]:
    outcome = GaugeMetricFamily(
        "iotsite_feed_last_outcome",
        "1 for what became of its last refresh, 0 for the others.",
        labels=["feed", "outcome"],
    )
    tried = GaugeMetricFamily("iotsite_feed_refresh_age_seconds", "Since its last refresh began.", labels=["feed"])
    good = GaugeMetricFamily(
        "iotsite_feed_data_age_seconds", "Since the moment of which its last good answer tells.", labels=["feed"]
    )
    for feed in feeds:
        for word in Refresh.Outcome:
            outcome.add_metric([str(feed), word], feed.outcome == word)
        for family, moment in ((tried, feed.tried_at), (good, feed.as_of)):
            if moment is not None:
                family.add_metric([str(feed)], max(0.0, (now - moment).total_seconds()))
    yield from (outcome, tried, good)


def _ships(ports: list[Port]) -> Metric:
    ships = GaugeMetricFamily(
        "iotsite_port_ships",
        "How many ships: at_berth (or where in port nobody says), at_anchor, expected, departed within 24 h; absent "
        "before the first answer.",
        labels=["port", "name", "status"],
    )
    numbers = counts.count(ports)
    for port in ports:
        if (found := numbers.get(port.pk)) is not None:
            told = {"at_berth": found.at_berth, "at_anchor": found.at_anchor}
            told |= {"expected": found.expected, "departed": found.left}
            for status, number in told.items():
                ships.add_metric([port.locode, port.name, status], number)
    return ships
