"""How many ships are where: a few queries for any number of ports."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Count, IntegerField, OuterRef, Q, QuerySet, Subquery

from ports.models import Port, PortCall
from ports.snapshot import BerthKind, Status

DAY = timedelta(hours=24)
MOST_COUNTED = 10_000
"""How many more there are than so many, a page does not wait to know."""


@dataclass
class Counts:
    at_berth: int = 0
    """Or where in the port nobody says."""
    at_anchor: int = 0
    expected: int = 0
    due: int = 0
    """Expected within 24 h, or overdue."""
    left: int = 0
    """Departed within 24 h."""


def with_open(ports: QuerySet[Port]) -> QuerySet[Port]:
    """Each with how many ships are in port (``in_port``), and how many are expected (``expected``).

    Where there are more than MOST_COUNTED: one more than that.
    """
    return ports.annotate(in_port=_number(Status.IN_PORT), expected=_number(Status.EXPECTED))


class _Number(Subquery):
    """How many rows there are. A Count would group them first, which takes SQLite twice as long."""

    template = "(SELECT COUNT(*) FROM (%(subquery)s))"
    output_field = IntegerField()


def _number(status: Status) -> _Number:
    return _Number(
        PortCall.objects.filter(port=OuterRef("pk"), status=status).order_by().values("pk")[: MOST_COUNTED + 1]
    )


def words(number: int) -> str:
    """Such a number, as it is shown."""
    return f"over {MOST_COUNTED:,}" if number > MOST_COUNTED else str(number)


def count(ports: Iterable[Port]) -> dict[int, Counts]:
    """Of each port by its number, in its own present."""
    ports = [port for port in ports if port.loaded_at]
    found = {port.pk: Counts() for port in ports}
    in_port = PortCall.objects.in_port().filter(port__in=ports)
    for pk, kind, number in in_port.order_by().values_list("port", "berth__kind").annotate(number=Count("id")):
        if kind == BerthKind.ANCHORAGE:
            found[pk].at_anchor += number
        else:
            found[pk].at_berth += number
    due = Count("id", filter=_any(ports, lambda now: Q(eta__lt=now + DAY)))
    expected = PortCall.objects.expected().filter(port__in=ports).order_by().values_list("port")
    for pk, number, soon in expected.annotate(number=Count("id"), due=due):
        found[pk].expected, found[pk].due = number, soon
    left = PortCall.objects.departed().filter(_any(ports, lambda now: Q(atd__gt=now - DAY)))
    for pk, number in left.order_by().values_list("port").annotate(number=Count("id")):
        found[pk].left = number
    return found


def _any(ports: list[Port], condition: Callable[[datetime], Q]) -> Q:
    """What holds in the present of a port; those of one present are asked for together."""
    whole = Q(pk__in=[])
    for example_at in {port.example_at for port in ports}:
        same = [port for port in ports if port.example_at == example_at]
        whole |= Q(port__in=same) & condition(same[0].now)
    return whole
