"""The plan by examples: one rule each, as a person would tell it."""

from dataclasses import replace

import pytest

from relays import plan
from relays.plan import PowerUp, Refused, RelayState, Request, Start
from tests.relays.world import World, world


def lamp(**rules: object) -> RelayState:
    return RelayState(id=1, name="Lamp", **rules)  # type: ignore[arg-type]


def fan(**rules: object) -> RelayState:
    return RelayState(id=2, name="Fan", **rules)  # type: ignore[arg-type]


def ask(house: World, relay: int, on: bool, lasting: float | None = None) -> plan.Accepted | Refused:
    return house.ask(Request(relay, on, lasting))


def refusal(answer: plan.Accepted | Refused) -> tuple[str, str]:
    assert isinstance(answer, Refused)
    return answer.code, answer.sentence


def test_a_relay_goes_on_and_off_when_asked() -> None:
    house = world(lamp())
    ask(house, 1, True)
    house.pass_time(5)
    ask(house, 1, False)
    assert house.edges_of(1) == [(0, True), (5, False)]


def test_on_for_ten_minutes_ends_after_ten_minutes() -> None:
    house = world(lamp())
    ask(house, 1, True, 600)
    house.pass_time(3600)
    assert house.edges_of(1) == [(0, True), (600, False)]


def test_asking_again_moves_the_deadline() -> None:
    house = world(lamp())
    ask(house, 1, True, 600)
    house.pass_time(300)
    ask(house, 1, True, 600)
    house.pass_time(3600)
    assert house.edges_of(1) == [(0, True), (900, False)]


def test_max_on_switches_off_whoever_asked_for_longer() -> None:
    house = world(lamp(max_on=60))
    ask(house, 1, True)
    house.pass_time(50)
    ask(house, 1, True)
    house.pass_time(100)
    assert house.edges_of(1) == [(0, True), (60, False)]


def test_min_off_makes_an_on_wait_and_says_until_when() -> None:
    house = world(lamp(min_off=30))
    house.pass_time(30)
    ask(house, 1, True)
    house.pass_time(10)
    ask(house, 1, False)
    house.pass_time(5)
    ask(house, 1, True)
    wait = plan.plan(house.state, house.now).waits[1]
    house.pass_time(60)
    assert house.edges_of(1) == [(30, True), (40, False), (70, True)]
    assert (wait.why, wait.until) == ("it stays off for at least 30s", 1070)


def test_min_off_counts_from_the_start_after_a_power_cut() -> None:
    house = world(lamp(min_off=30, power_up=PowerUp.ON))
    house.pass_time(100)
    assert house.edges_of(1) == [(30, True)]


def test_min_on_makes_an_off_wait() -> None:
    house = world(lamp(min_on=30))
    ask(house, 1, True)
    house.pass_time(10)
    ask(house, 1, False)
    house.pass_time(60)
    assert house.edges_of(1) == [(0, True), (30, False)]


def test_a_deadline_does_not_wait_for_min_on() -> None:
    house = world(lamp(min_on=30, min_off=20))
    ask(house, 1, True, 30)
    house.pass_time(100)
    assert house.edges_of(1) == [(20, True), (30, False)]


def test_stop_does_not_wait_for_min_on() -> None:
    house = world(lamp(min_on=30))
    ask(house, 1, True)
    house.pass_time(10)
    house.is_stopped = True
    house.settle()
    assert house.edges_of(1) == [(0, True), (10, False)]


def test_interlock_does_not_wait_for_min_on() -> None:
    house = world(lamp(min_on=30, interlock=1), fan(interlock=1), dead_time=0.5)
    ask(house, 1, True)
    house.pass_time(10)
    ask(house, 2, True)
    house.pass_time(60)
    assert house.edges_of(1) == [(0.5, True), (10, False)]
    assert house.edges_of(2) == [(10.5, True)]


def test_an_interlock_breaks_before_it_makes() -> None:
    house = world(lamp(interlock=1), fan(interlock=1), dead_time=2)
    house.pass_time(2)
    ask(house, 1, True)
    house.pass_time(5)
    ask(house, 2, True)
    wait = plan.plan(house.state, house.now).waits[2]
    house.pass_time(10)
    assert house.edges_of(1) == [(2, True), (7, False)]
    assert house.edges_of(2) == [(9, True)]
    assert (wait.why, wait.until) == ("after Lamp is off", 1009)


def test_of_two_lines_left_on_in_an_interlock_one_is_claimed_off() -> None:
    """As after an edit by hand in the database while no controller ran."""
    left_on = {"held": True, "min_on": 60, "since": 1000.0, "interlock": 1}
    both = (lamp(**left_on), fan(**left_on))
    state = plan.BoardState(both, {1: plan.InterlockState(1, dead_time=0.5)})
    writes = plan.plan(state, world().now).writes
    assert writes == (plan.Write(1, on=True, is_claim=True), plan.Write(2, on=False, is_claim=True))


def test_a_group_may_refuse_instead_of_replacing() -> None:
    house = world(lamp(interlock=1), fan(interlock=1), dead_time=0.5, replaces=False)
    ask(house, 1, True)
    code, sentence = refusal(ask(house, 2, True))
    assert code == "interlock"
    assert sentence == "Lamp is on, and only one of the two may be: switch Lamp off first."


def test_a_relay_stuck_on_keeps_its_rival_off() -> None:
    house = world(lamp(interlock=1), fan(interlock=1), dead_time=0.5)
    ask(house, 1, True)
    house.pass_time(1)
    house.stuck.add(1)
    ask(house, 2, True)
    house.pass_time(60)
    assert house.edges_of(2) == []
    assert plan.plan(house.state, house.now).waits[2].why == "after Lamp is off"
    house.stuck.clear()
    house.pass_time(60)
    assert [on for _, on in house.edges_of(2)] == [True]


def test_a_press_is_as_long_as_its_pulse() -> None:
    house = world(lamp(pulse=0.5))
    house.ask(Request(1, on=True, is_press=True))
    house.pass_time(10)
    assert house.edges_of(1) == [(0, True), (0.5, False)]


def test_a_press_counts_from_the_moment_the_pin_moved() -> None:
    house = world(lamp(pulse=0.5, min_off=3))
    house.ask(Request(1, on=True, is_press=True))
    house.pass_time(10)
    assert house.edges_of(1) == [(3, True), (3.5, False)]


def test_a_press_cut_short_by_a_crash_ends_when_the_controller_is_back() -> None:
    house = world(lamp(pulse=0.5))
    house.ask(Request(1, on=True, is_press=True))
    house.crash()
    house.pass_time(20)
    house.start(Start.RESUMED)
    assert house.edges_of(1) == [(0, True), (20, False)]


def test_a_press_that_a_fault_kept_from_beginning_lapses() -> None:
    house = world(lamp(pulse=0.5))
    house.stuck.add(1)
    house.ask(Request(1, on=True, is_press=True))
    house.pass_time(20)
    house.stuck.clear()
    house.pass_time(20)
    assert house.edges_of(1) == []
    assert not house.relays[1].wanted


def test_relays_start_one_after_another() -> None:
    house = world(*(RelayState(id=n, name=f"Relay {n}", power_up=PowerUp.ON) for n in range(1, 6)), ons_per_second=2)
    house.pass_time(10)
    assert [house.edges_of(n) for n in range(1, 6)] == [
        [(0, True)],
        [(0, True)],
        [(1, True)],
        [(1, True)],
        [(2, True)],
    ]


@pytest.mark.parametrize(
    ("policy", "edges"),
    [(PowerUp.OFF, []), (PowerUp.ON, [(100, True)]), (PowerUp.LAST, [(100, True)])],
)
def test_power_up_does_what_the_relay_says(policy: PowerUp, edges: list[tuple[float, bool]]) -> None:
    house = world(lamp())
    ask(house, 1, True)
    house.crash()
    house.pass_time(100)
    house.relays[1] = replace(house.relays[1], power_up=policy)
    house.start(Start.POWER_UP)
    assert house.edges_of(1)[2:] == edges


def test_power_up_as_last_wanted_keeps_off_what_has_expired() -> None:
    house = world(lamp(power_up=PowerUp.LAST))
    ask(house, 1, True, 60)
    house.crash()
    house.pass_time(100)
    house.start(Start.POWER_UP)
    assert house.edges_of(1) == [(0, True), (100, False)]


def test_a_locked_relay_stays_off_at_power_up() -> None:
    house = world(lamp(power_up=PowerUp.ON, lock="being repaired"))
    assert house.edges_of(1) == []


def test_a_restart_after_a_crash_moves_nothing() -> None:
    house = world(lamp(), fan(power_up=PowerUp.ON))
    ask(house, 1, True)
    ask(house, 2, False)
    before = list(house.edges)
    house.crash()
    house.pass_time(5)
    house.start(Start.RESUMED)
    house.pass_time(60)
    assert house.edges == before


def test_a_deadline_that_passed_meanwhile_is_kept_first_thing() -> None:
    house = world(lamp())
    ask(house, 1, True, 60)
    house.crash()
    house.pass_time(100)
    house.start(Start.RESUMED)
    assert house.edges_of(1) == [(0, True), (100, False)]


def test_a_lock_refuses_requests_and_lets_a_deadline_pass() -> None:
    house = world(lamp())
    ask(house, 1, True, 60)
    house.relays[1] = replace(house.relays[1], lock="being repaired")
    assert refusal(ask(house, 1, False)) == ("locked", "Lamp is locked: being repaired.")
    house.pass_time(100)
    assert house.edges_of(1) == [(0, True), (60, False)]


def test_an_orderly_end_switches_off_what_does_not_hold() -> None:
    state = plan.BoardState(
        (
            lamp(wanted=True, is_claimed=True, level=True),
            fan(wanted=True, is_claimed=True, level=True, holds_on_stop=True),
            RelayState(id=3, name="Pump", wanted=True, is_claimed=True, level=False),
        ),
        is_ending=True,
    )
    assert plan.plan(state, world().now).writes == (plan.Write(1, on=False),)


@pytest.mark.parametrize(
    ("relay", "request_", "code", "sentence"),
    [
        (lamp(), Request(1, False, 60), "off_with_duration", "Off takes no duration: only “on for …” does."),
        (
            lamp(),
            Request(1, True, 0.05),
            "bad_duration",
            "On for 50ms is not possible: choose from 100ms to 30 days.",
        ),
        (
            lamp(),
            Request(1, True, 31 * 86400),
            "bad_duration",
            "On for 31d is not possible: choose from 100ms to 30 days.",
        ),
        (lamp(min_on=60), Request(1, True, 30), "too_short", "Lamp stays on for at least 1m: 30s is too short."),
        (lamp(max_on=60), Request(1, True, 90), "too_long", "Lamp stays on for at most 1m: 1m30s is too long."),
        (
            lamp(pulse=0.5),
            Request(1, True),
            "momentary",
            "Lamp is momentary: it can only be pressed.",
        ),
        (
            lamp(),
            Request(1, True, is_press=True),
            "not_momentary",
            "Lamp is a switch, not momentary: switch it on or off.",
        ),
        (
            lamp(pulse=0.5),
            Request(1, True, 5, is_press=True),
            "press_with_duration",
            "A press takes no duration: Lamp has a pulse of its own.",
        ),
        (lamp(lock=""), Request(1, True), "locked", "Lamp is locked: no reason given."),
        (
            lamp(min_off=60),
            Request(1, True, 30),
            "over_before_it_starts",
            "Lamp can go on in 1m only: ask for longer than that.",
        ),
    ],
)
def test_refusals_name_what_is_wrong(relay: RelayState, request_: Request, code: str, sentence: str) -> None:
    assert refusal(world(relay).ask(request_)) == (code, sentence)


def test_a_press_during_a_press_is_refused() -> None:
    house = world(lamp(pulse=2.0))
    press = Request(1, True, is_press=True)
    house.ask(press)
    assert refusal(house.ask(press)) == ("pressing", "Lamp is being pressed: try again in a moment.")


def test_on_is_refused_while_stopped_and_off_is_not() -> None:
    house = world(lamp())
    house.is_stopped = True
    assert refusal(ask(house, 1, True)) == ("stopped", "Everything is stopped: reset the stop first.")
    assert isinstance(ask(house, 1, False), plan.Accepted)


def test_without_a_controller_on_is_refused_and_off_is_not() -> None:
    house = world(lamp())
    house.crash()
    sentence = "The relay controller does not answer: start it, then try again."
    assert refusal(ask(house, 1, True)) == ("no_controller", sentence)
    assert isinstance(ask(house, 1, False), plan.Accepted)


def test_reset_restores_nothing() -> None:
    house = world(lamp())
    ask(house, 1, True)
    house.is_stopped = True
    house.settle()
    house.is_stopped = False
    house.pass_time(60)
    assert house.edges_of(1) == [(0, True), (0, False)]
