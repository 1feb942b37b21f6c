"""A house without electricity: lines in memory that do what the plan says, on a clock that the test turns.

It keeps every change of level with its moment, so that a test can say what held at every instant.
"""

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta

from relays import plan
from relays.clock import Now

START = 1000.0


@dataclass(frozen=True)
class Edge:
    at: float
    relay: int
    on: bool


@dataclass
class World:
    relays: dict[int, plan.RelayState]
    interlocks: dict[int, plan.InterlockState] = field(default_factory=dict)
    ons_per_second: int = 4
    boot: float = START
    wall_offset: float = 0.0
    is_stopped: bool = False
    is_running: bool = False
    stuck: set[int] = field(default_factory=set)
    edges: list[Edge] = field(default_factory=list)
    forced: set[int] = field(default_factory=set)
    """Indices of the edges to off that something above min-on asked for."""
    ons: list[float] = field(default_factory=list)
    pins: dict[int, bool] = field(default_factory=dict)
    moved: dict[int, float] = field(default_factory=dict)
    commands: int = 0
    look_again: float | None = None

    @property
    def now(self) -> Now:
        wall = datetime(2026, 3, 29, tzinfo=UTC) + timedelta(seconds=self.boot + self.wall_offset)
        return Now(self.boot, wall)

    @property
    def state(self) -> plan.BoardState:
        return plan.BoardState(
            tuple(self.relays.values()),
            self.interlocks,
            is_stopped=self.is_stopped,
            is_served=self.is_running,
            ons_per_second=self.ons_per_second,
            ons=tuple(self.ons),
        )

    def ask(self, request: plan.Request) -> plan.Accepted | plan.Refused:
        """Through ``admit``, as the door does it."""
        answer = plan.admit(self.state, request, self.now)
        if isinstance(answer, plan.Accepted):
            for rival in answer.replaces:
                self._want(rival, False, None, is_urgent=True)
            until = self.boot + request.lasting if request.lasting is not None else None
            self._want(request.relay, request.on, until, is_urgent=False)
            if self.is_running:
                self.settle()
        return answer

    def _want(self, relay: int, on: bool, until: float | None, *, is_urgent: bool) -> None:
        self.commands += 1
        self.relays[relay] = replace(
            self.relays[relay],
            wanted=on,
            until=until,
            is_urgent=is_urgent,
            command=self.commands,
            asked_at=self.boot,
            retry_at=0.0,
        )

    def settle(self) -> None:
        """Plan and carry out until nothing is left to do now."""
        for _ in range(50):
            todo = plan.plan(self.state, self.now)
            for change in todo.changes:
                assert change.command == self.relays[change.relay].command
                self._want(change.relay, change.on, None, is_urgent=True)
            for number, relay in self.relays.items():
                self.relays[number] = replace(relay, start=plan.Start.RUNNING)
            for write in todo.writes:
                self._write(write)
            if not todo.writes and not todo.changes:  # a change clears the way for a line at fault
                assert todo.look_again is None or todo.look_again > self.boot, "asked to be called in the past"
                self.look_again = todo.look_again
                return
        raise AssertionError("the plan never settles")

    def _write(self, write: plan.Write) -> None:
        relay = self.relays[write.relay]
        was = self.pins.get(write.relay, False)
        if write.relay not in self.stuck:
            self._move(write.relay, write.on, is_claim=write.is_claim)
        level = self.pins.get(write.relay, False)
        is_wrong = level is not write.on
        self.relays[write.relay] = replace(
            relay,
            is_claimed=True,
            level=level,
            since=self.boot if level is not was else relay.since,
            is_faulty=is_wrong,
            retry_at=self.boot + 0.5 if is_wrong else 0.0,
        )

    def _move(self, number: int, on: bool, *, is_claim: bool) -> None:
        if self.pins.get(number, False) is on:
            return
        relay = self.relays[number]
        if not on and (relay.is_urgent or self.is_stopped or any(o.wanted for o in self.state.siblings(relay))):
            self.forced.add(len(self.edges))
        self.pins[number] = on
        self.moved[number] = self.boot
        self.edges.append(Edge(self.boot, number, on))
        if on and not is_claim:
            self.ons.append(self.boot)

    def pass_time(self, seconds: float) -> None:
        """Let time go by, looking whenever the plan asked for it."""
        end = self.boot + seconds
        while self.is_running and self.look_again is not None and self.look_again <= end:
            self._nothing_is_due_before(self.look_again)
            self.boot = self.look_again
            self.settle()
        self.boot = end
        if self.is_running:
            self.settle()

    def _nothing_is_due_before(self, moment: float) -> None:
        middle = Now(self.boot + (moment - self.boot) * 0.7, self.now.wall)
        if self.boot < middle.boot < moment:
            todo = plan.plan(self.state, middle)
            assert not todo.writes, f"due at {middle.boot}, not called before {moment}"
            assert not todo.changes, f"due at {middle.boot}, not called before {moment}"

    def crash(self) -> None:
        self.is_running = False

    def start(self, how: plan.Start) -> None:
        """A controller takes over: after a crash the pins are as they were, after a power cut they are off."""
        self.is_running = True
        for number, relay in self.relays.items():
            if how is plan.Start.POWER_UP and self.pins.get(number):
                self._cut(number)
            on = self.pins.get(number, False)
            since = self.moved.get(number, self.boot) if on else self.boot
            self.relays[number] = replace(relay, start=how, is_claimed=False, level=None, held=on, since=since)
        self.settle()

    def _cut(self, number: int) -> None:
        self.forced.add(len(self.edges))
        self.pins[number] = False
        self.edges.append(Edge(self.boot, number, False))

    def edges_of(self, relay: int) -> list[tuple[float, bool]]:
        """Its edges, by seconds after the start."""
        return [(round(edge.at - START, 6), edge.on) for edge in self.edges if edge.relay == relay]


def world(*relays: plan.RelayState, dead_time: float | None = None, replaces: bool = True, **options: int) -> World:
    """A running house; ``dead_time`` makes interlock 1, which relays join with ``interlock=1``."""
    interlocks = {1: plan.InterlockState(1, dead_time, replaces)} if dead_time is not None else {}
    made = World({relay.id: relay for relay in relays}, interlocks, **options)  # type: ignore[arg-type]
    made.start(plan.Start.POWER_UP)
    made.pass_time(0)
    return made
