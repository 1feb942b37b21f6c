"""The plan by properties: whatever people, clocks, crashes and faults do, these hold at every instant."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from relays import plan
from relays.plan import PowerUp, Request, Start
from tests.relays.world import Edge, World

HISTORIES = 10_000
PARTS = 4
"""The histories are spread over so many tests, for as many processors."""
CLOSE = 1e-6

durations = st.sampled_from([0.1, 0.3, 0.5, 1.0, 2.5, 10.0, 60.0])
optional = st.none() | durations


@st.composite
def rules(draw: st.DrawFn, number: int) -> plan.RelayState:
    is_momentary = draw(st.integers(0, 4)) == 0
    max_on, min_on = draw(optional), draw(optional)
    if max_on is not None and min_on is not None and min_on > max_on:
        min_on, max_on = max_on, min_on
    return plan.RelayState(
        id=number,
        name=f"relay {number}",
        pulse=draw(st.sampled_from([0.1, 0.5, 2.0])) if is_momentary else None,
        power_up=PowerUp.OFF if is_momentary else draw(st.sampled_from(PowerUp)),
        max_on=max_on,
        min_on=min_on,
        min_off=draw(optional),
        interlock=draw(st.sampled_from([None, 1, 1, 2])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> World:
    count = draw(st.integers(1, 5))
    relays = {number: draw(rules(number)) for number in range(1, count + 1)}
    powered: set[int] = set()
    for number, relay in relays.items():  # the database lets one relay of an interlock be on at power-up
        if relay.power_up is PowerUp.ON and relay.interlock in powered:
            relays[number] = replace(relay, power_up=PowerUp.OFF)
        elif relay.power_up is PowerUp.ON and relay.interlock:
            powered.add(relay.interlock)
    interlocks = {
        number: plan.InterlockState(number, draw(st.sampled_from([0.1, 0.5, 3.0])), draw(st.booleans()))
        for number in (1, 2)
    }
    return World(relays, interlocks, ons_per_second=draw(st.integers(1, 5)))


relay_numbers = st.integers(1, 5)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("on"), relay_numbers, optional),
        st.tuples(st.just("on"), relay_numbers, optional),
        st.tuples(st.just("off"), relay_numbers, st.none()),
        st.tuples(st.just("press"), relay_numbers, st.none()),
        st.tuples(st.just("time"), st.just(0), st.sampled_from([0.05, 0.1, 0.25, 0.6, 1.0, 3.0, 20.0, 90.0])),
        st.tuples(st.just("time"), st.just(0), st.sampled_from([0.05, 0.1, 0.25, 0.6, 1.0, 3.0, 20.0, 90.0])),
        st.tuples(st.just("wall"), st.just(0), st.sampled_from([3600.0, -3600.0, -1.8e9])),
        st.tuples(st.just("crash"), st.just(0), st.sampled_from([0.1, 2.0, 30.0])),
        st.tuples(st.just("power cut"), st.just(0), st.sampled_from([0.1, 30.0])),
        st.tuples(st.just("stop"), st.just(0), st.none()),
        st.tuples(st.just("reset"), st.just(0), st.none()),
        st.tuples(st.just("lock"), relay_numbers, st.none()),
        st.tuples(st.just("unlock"), relay_numbers, st.none()),
        st.tuples(st.just("stuck"), relay_numbers, st.sampled_from([0.2, 2.0])),
    ),
    min_size=3,
    max_size=25,
)
Step = tuple[str, int, float | None]


def play(world: World, history: list[Step], *, with_wall: bool = True) -> World:
    world.start(Start.POWER_UP)
    for what, number, value in history:
        number = (number - 1) % len(world.relays) + 1
        before = world.is_stopped
        match what:
            case "on" | "off" | "press":
                request = Request(number, what != "off", value if what == "on" else None, is_press=what == "press")
                world.ask(request)
            case "time":
                world.pass_time(value or 0)
            case "wall":
                world.wall_offset += (value or 0) if with_wall else 0
                world.settle()
            case "crash" | "power cut":
                world.crash()
                world.pass_time(value or 0)
                world.start(Start.RESUMED if what == "crash" else Start.POWER_UP)
            case "stop" | "reset":
                world.is_stopped = what == "stop"
                world.settle()
            case "lock" | "unlock":
                world.relays[number] = replace(world.relays[number], lock="repair" if what == "lock" else None)
                world.settle()
            case "stuck":
                world.stuck.add(number)
                world.pass_time(value or 0)
                world.stuck.discard(number)
        if world.is_stopped and before and not world.stuck:
            assert_stopped(world)
    return world


def assert_stopped(world: World) -> None:
    waiting = {number for number, relay in world.relays.items() if relay.is_faulty}
    assert not any(on for number, on in world.pins.items() if number not in waiting), "stop is absolute"
    assert not any(relay.wanted for relay in world.relays.values())


def spans(edges: list[Edge], relay: int, end: float) -> list[tuple[float, float]]:
    """From when until when a relay was on."""
    found, began = [], None
    for edge in edges:
        if edge.relay == relay:
            if edge.on:
                began = edge.at
            elif began is not None:
                found.append((began, edge.at))
                began = None
    return [*found, (began, end)] if began is not None else found


def assert_interlocks(world: World) -> None:
    """Never two on, and the dead time between any two, at every instant of the history."""
    on: set[int] = set()
    off_since: dict[int, float] = {}
    for edge in world.edges:
        relay = world.relays[edge.relay]
        if not edge.on:
            on.discard(edge.relay)
            off_since[edge.relay] = edge.at
            continue
        for other in world.state.siblings(relay):
            assert other.id not in on, f"{relay.name} and {other.name} on together at {edge.at}"
            dead = world.interlocks[relay.interlock or 0].dead_time
            assert edge.at - off_since.get(other.id, 0) >= dead - CLOSE, f"dead time at {edge.at}"
        on.add(edge.relay)


def assert_min_off(world: World) -> None:
    off_since: dict[int, float] = {}
    for edge in world.edges:
        least = world.relays[edge.relay].min_off
        if not edge.on:
            off_since[edge.relay] = edge.at
        elif least is not None and edge.relay in off_since:
            assert edge.at - off_since[edge.relay] >= least - CLOSE


def assert_min_on(world: World) -> None:
    on_since: dict[int, float] = {}
    for index, edge in enumerate(world.edges):
        least = world.relays[edge.relay].min_on
        if edge.on:
            on_since[edge.relay] = edge.at
        elif least is not None and index not in world.forced:
            assert edge.at - on_since[edge.relay] >= least - CLOSE


def assert_stagger(world: World) -> None:
    for first, moment in enumerate(world.ons):
        within = [other for other in world.ons[first:] if other < moment + 1.0 - CLOSE]
        assert len(within) <= world.ons_per_second


def has_no(history: list[Step], *kinds: str) -> bool:
    return not any(what in kinds for what, _, _ in history)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
def test_the_rules_hold_at_every_instant(part: int) -> None:
    @settings(max_examples=HISTORIES // PARTS, database=None, suppress_health_check=list(HealthCheck))
    @given(worlds(), steps)
    def holds(world: World, history: list[Step]) -> None:
        play(world, history)
        assert_interlocks(world)
        assert_min_off(world)
        assert_min_on(world)
        assert_stagger(world)
        assert_ends(world, history)
        assert_it_settles(world)

    holds()


def assert_ends(world: World, history: list[Step]) -> None:
    """Max-on and pulses end to the moment, where no crash or fault was in the way."""
    if not has_no(history, "crash", "power cut", "stuck"):
        return
    for relay in world.relays.values():
        for began, ended in spans(world.edges, relay.id, world.boot):
            if relay.max_on is not None:
                assert ended - began <= relay.max_on + CLOSE
            if relay.pulse is not None:
                assert ended - began <= relay.pulse + CLOSE


def assert_it_settles(world: World) -> None:
    """Left alone, with nothing in the way, everything becomes what is wanted, and nothing is left to do."""
    world.pass_time(1000)
    for number, relay in world.relays.items():
        assert world.pins.get(number, False) is relay.wanted, f"{relay.name} does not settle"
        assert relay.until is None or relay.until > world.boot, "a deadline was not kept"
    if not any(relay.wanted for relay in world.relays.values()):
        assert world.look_again is None


@settings(max_examples=1000, database=None, suppress_health_check=list(HealthCheck))
@given(worlds(), steps)
def test_steps_of_the_wall_clock_change_nothing(world: World, history: list[Step]) -> None:
    other = World(dict(world.relays), dict(world.interlocks), world.ons_per_second)
    assert play(world, history).edges == play(other, history, with_wall=False).edges


@settings(max_examples=1000, database=None, suppress_health_check=list(HealthCheck))
@given(worlds(), steps)
def test_what_was_admitted_is_done_or_overtaken(world: World, history: list[Step]) -> None:
    """An accepted on comes on, unless a newer command, a deadline or a stop took its place first."""
    play(world, history)
    world.is_stopped = False
    world.stuck.clear()
    world.settle()
    for number, relay in world.relays.items():
        before, was_on = len(world.edges), world.pins.get(number, False)
        if isinstance(world.ask(Request(number, on=True, is_press=relay.pulse is not None)), plan.Accepted):
            world.pass_time(1000)
            came_on = any(edge.relay == number and edge.on for edge in world.edges[before:])
            assert was_on or came_on, f"{relay.name} was admitted and never came on"
