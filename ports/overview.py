"""The ports that are on: how many ships are where, and how fresh that is."""

from dataclasses import dataclass

from ports import counts
from ports.counts import Counts
from ports.freshness import Freshness, at_hand
from ports.models import Port
from ports.times import Clock


@dataclass(frozen=True)
class Overview:
    port: Port
    counts: Counts | None
    """None before the first load is whole."""
    fresh: Freshness
    clock: Clock


def overview() -> list[Overview]:
    """In two queries, for any number of ports."""
    ports = list(at_hand(Port.objects.on()))
    numbers = counts.count(ports)
    return [Overview(port, numbers.get(port.pk), Freshness.of(port), Clock.of(port)) for port in ports]
