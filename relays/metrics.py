"""The relays in numbers, for Prometheus: how each of them is, what became of commands, and how long that took."""

import threading
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import timedelta
from itertools import accumulate

from django.conf import settings
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.utils import floatToGoString

from iotsite.procfs import resident_memory
from relays import status
from relays.models import Event
from relays.models.relay import BY_CONTROLLER
from relays.runfiles import BoardFiles
from relays.status import BoardStatus, RelayStatus, State

BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Seconds from a command to its pin."""
AT_ONCE = 5000
"""So many Events are taken in at one look; more than that wait for the next one."""
OUTCOMES = [outcome for outcome in Event.Outcome if outcome != Event.Outcome.NONE]


class Tally:
    """What became of commands since somebody looked first. It looks at each Event once."""

    def __init__(self) -> None:
        self._looking = threading.Lock()
        self._last: int | None = None
        """The number of the Event that was counted last."""
        self.commands = Counter({(via.value, outcome.value): 0 for via in Event.Via for outcome in OUTCOMES})
        """By means and outcome; all of them from the start: a rate needs the 0 before the 1."""
        self.took = [0] * (len(BUCKETS) + 1)
        self.seconds = 0.0

    def look(self) -> list[Metric]:
        """Take in what is new: one query, whatever there is."""
        with self._looking:
            if self._last is None:
                self._last = Event.objects.order_by("-id").values_list("id", flat=True).first() or 0
            else:
                self._take_in(self._last)
            return [self._commands(), self._seconds()]

    def _take_in(self, last: int) -> None:
        new = Event.objects.filter(id__gt=last).order_by("id")
        rows = new.values_list("id", "outcome", "via", "at", "of__via", "of__at")[:AT_ONCE]
        for number, outcome, via, at, asked_via, asked_at in rows.iterator(chunk_size=500):
            self._last = number
            if outcome:
                self.commands[asked_via or via, outcome] += 1
            if outcome == Event.Outcome.APPLIED and asked_at and asked_via not in BY_CONTROLLER:
                self._time(at - asked_at)

    def _time(self, took: timedelta) -> None:
        seconds = max(0.0, took.total_seconds())  # the clock may have been set meanwhile
        self.took[bisect_left(BUCKETS, seconds)] += 1
        self.seconds += seconds

    def _commands(self) -> Metric:
        commands = CounterMetricFamily(
            "iotsite_commands",
            "What became of commands, by the means they came by, since this web server was asked for metrics first. "
            "What was accepted is counted again when it is applied, failed or superseded.",
            labels=["via", "outcome"],
        )
        for labels, number in self.commands.items():
            commands.add_metric(labels, number)
        return commands

    def _seconds(self) -> Metric:
        bounds = [*map(floatToGoString, BUCKETS), "+Inf"]
        return HistogramMetricFamily(
            "iotsite_command_seconds",
            "From a command to its pin, read back; with all that it waited for: dead times, shortest on and off, "
            "starting one after another, a controller that was away. Without what the controller decides itself.",
            buckets=list(zip(bounds, accumulate(self.took), strict=True)),
            sum_value=self.seconds,
        )


class RelayMetrics:
    """What is told at each look: three queries, however many relays and Events there are."""

    def __init__(self) -> None:
        self.tally = Tally()

    def collect(self) -> Iterator[Metric]:
        house = status.house()
        yield from _relays(house.relays)
        yield from _boards(house.boards)
        yield from self.tally.look()


def _relays(relays: Iterable[RelayStatus]) -> Iterator[Metric]:
    """Of what is not known there is no number: an off would be a lie, and NaN spoils every sum."""
    labels = ["relay", "name", "board"]
    wanted = GaugeMetricFamily("iotsite_relay_wanted", "1: on is wanted, 0: off.", labels=labels)
    actual = GaugeMetricFamily(
        "iotsite_relay_actual", "1: the pin was read back on, 0: off; absent while that is not known.", labels=labels
    )
    fault = GaugeMetricFamily(
        "iotsite_relay_fault", "1: it has a fault, 0: none; absent while its controller is silent.", labels=labels
    )
    for relay in relays:
        values = [relay.slug, relay.name, str(relay.board.id)]
        wanted.add_metric(values, relay.wanted)
        if relay.actual is not None:
            actual.add_metric(values, relay.actual)
        if relay.board.is_served:
            fault.add_metric(values, bool(relay.fault))
    yield from (wanted, actual, fault, _states(relays))


def _states(relays: Iterable[RelayStatus]) -> Metric:
    states = GaugeMetricFamily(
        "iotsite_relays", "How many relays are in each state, as pages show it.", labels=["state"]
    )
    found = Counter(relay.state for relay in relays)
    for state in State:
        states.add_metric([state], found[state])
    return states


def _boards(boards: Iterable[BoardStatus]) -> Iterator[Metric]:
    labels = ["board", "name"]
    served = GaugeMetricFamily("iotsite_controller_up", "1: its controller answers, 0: it is silent.", labels=labels)
    stopped = GaugeMetricFamily("iotsite_board_stopped", "1: Stop everything holds it off.", labels=labels)
    age = GaugeMetricFamily(
        "iotsite_controller_heartbeat_age_seconds",
        "Since its controller answered last; absent where it never did since the machine booted.",
        labels=labels,
    )
    memory = GaugeMetricFamily(
        "iotsite_controller_resident_memory_bytes",
        "What its controller uses; absent while it is silent.",
        labels=labels,
    )
    for board in boards:
        values, files = [str(board.id), board.name], BoardFiles(settings.RUN_DIR, board.id)
        served.add_metric(values, board.is_served)
        stopped.add_metric(values, board.is_stopped)
        if (seconds := files.beat_age()) is not None:
            age.add_metric(values, seconds)
        if board.is_served and (used := resident_memory((files.last_beat() or {}).get("pid", 0))):
            memory.add_metric(values, used)
    yield from (served, stopped, age, memory)
