"""What may be asked of a relay, and what is to be done to its pins, when.

Pure: no clock, no database, no pins. All rules live here and only here: deadlines, pulses, max-on, min-on,
min-off, interlocks with their dead time, staggered starts, power-up and Stop everything.

All moments are seconds of the boot clock, all durations seconds. Where rules collide, the earlier wins: Stop
everything; interlock and dead time; max-on; a deadline or the end of a pulse; min-off; min-on; stagger. A lock
refuses requests; it never keeps a deadline, max-on or stop from switching off.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from enum import StrEnum

from relays import durations
from relays.clock import Now

STAGGER_WINDOW = 1.0
PRESS_LAPSES_AFTER = 10.0
"""A press that a fault or a restart kept from beginning is not made up for later than this."""

SHORTEST = durations.SHORTEST.total_seconds()
LONGEST = durations.LONGEST.total_seconds()


class PowerUp(StrEnum):
    OFF = "off"
    ON = "on"
    LAST = "last"


class Start(StrEnum):
    """How a relay came to the controller: it runs already, its board powers up, or a crash is behind it."""

    RUNNING = "running"
    POWER_UP = "power-up"
    RESUMED = "resumed"


class Via(StrEnum):
    """By what means the controller itself changes what is wanted."""

    TIMER = "timer"
    INTERLOCK = "interlock"
    POWER_UP = "power-up"
    STOP = "stop"


@dataclass(frozen=True)
class RelayState:
    """One enabled relay: what is wanted of it, its rules, and what its line does."""

    id: int
    name: str
    wanted: bool = False
    command: int = 0
    """The number of the Event that asked for ``wanted``."""
    asked_at: float = 0.0
    until: float | None = None
    is_urgent: bool = False
    """The off was not a mere request (a deadline, max-on, stop …): min-on does not delay it."""

    lock: str | None = None
    """Why it is locked; None where it is not."""
    pulse: float | None = None
    """The length of a press; None for a switch."""
    power_up: PowerUp = PowerUp.OFF
    holds_on_stop: bool = False
    max_on: float | None = None
    min_on: float | None = None
    min_off: float | None = None
    interlock: int | None = None

    start: Start = Start.RUNNING
    is_claimed: bool = False
    held: bool = False
    """The level an unclaimed line was left at: the claim repeats it, so that nothing moves."""
    level: bool | None = None
    """What the line does; None where it is not claimed or cannot be read."""
    since: float = 0.0
    """When the line last moved, as far as known."""
    is_faulty: bool = False
    retry_at: float = 0.0

    @property
    def is_off(self) -> bool:
        return self.is_claimed and self.level is False


@dataclass(frozen=True)
class InterlockState:
    id: int
    dead_time: float
    replaces: bool = True
    """Whether a request switches off the relay that is on, or is refused."""


@dataclass(frozen=True)
class BoardState:
    relays: tuple[RelayState, ...]
    interlocks: dict[int, InterlockState] = field(default_factory=dict)
    is_stopped: bool = False
    """Stop everything holds this board off."""
    is_ending: bool = False
    """The controller was asked to end in good order."""
    is_served: bool = True
    """A controller answers for the board."""
    ons_per_second: int = 4
    ons: tuple[float, ...] = ()
    """When relays were last switched on."""

    def relay(self, id: int | str) -> RelayState:
        return next(relay for relay in self.relays if relay.id == id)

    def siblings(self, relay: RelayState) -> list[RelayState]:
        """The other relays of its interlock."""
        if relay.interlock is None:
            return []
        return [other for other in self.relays if other.interlock == relay.interlock and other.id != relay.id]

    def changed(self, changes: "list[Change]") -> "BoardState":
        """The board as it is once ``changes`` are made."""
        if not changes:
            return self
        new = {change.relay: change for change in changes}
        return replace(
            self,
            relays=tuple(
                replace(relay, wanted=new[relay.id].on, until=None, is_urgent=True) if relay.id in new else relay
                for relay in self.relays
            ),
        )


@dataclass(frozen=True)
class Request:
    relay: int | str
    """Its number; the door takes its slug too."""
    on: bool
    lasting: float | None = None
    is_press: bool = False


@dataclass(frozen=True)
class Accepted:
    replaces: tuple[int, ...] = ()
    """Relays of the same interlock whose ``wanted`` goes off with this request."""


@dataclass(frozen=True)
class Refused:
    code: str
    sentence: str


@dataclass(frozen=True)
class Change:
    """The controller's own change of what is wanted; holds only while ``command`` is still the newest."""

    relay: int
    command: int
    on: bool
    via: Via
    why: str


@dataclass(frozen=True)
class Write:
    """Drive a line. ``is_claim``: take it first, in one step with the level."""

    relay: int
    on: bool
    is_claim: bool = False


@dataclass(frozen=True)
class Wait:
    """Why a relay is not yet what is wanted, and until when; ``until`` is None where only an event can tell."""

    why: str
    until: float | None


@dataclass(frozen=True)
class Plan:
    """Do ``writes`` in their order, make ``changes``, then plan again; else look again at ``look_again``."""

    writes: tuple[Write, ...] = ()
    changes: tuple[Change, ...] = ()
    waits: dict[int, Wait] = field(default_factory=dict)
    look_again: float | None = None


def admit(state: BoardState, request: Request, now: Now) -> Accepted | Refused:
    """Whether the request may stand. What is accepted is never refused later: it is done, waits, or is superseded."""
    relay = state.relay(request.relay)
    refused = _misuse(relay, request) or _bad_duration(relay, request)
    if not refused and relay.lock is not None:
        refused = Refused("locked", f"{relay.name} is locked: {relay.lock or 'no reason given'}.")
    if refused or not request.on:
        return refused or Accepted()
    return _admit_on(state, relay, request, now)


def _misuse(relay: RelayState, request: Request) -> Refused | None:
    if request.is_press and relay.pulse is None:
        return Refused("not_momentary", f"{relay.name} is a switch, not momentary: switch it on or off.")
    if request.on and not request.is_press and relay.pulse is not None:
        return Refused("momentary", f"{relay.name} is momentary: it can only be pressed.")
    return None


def _bad_duration(relay: RelayState, request: Request) -> Refused | None:
    if request.lasting is None:
        return None
    asked = durations.words(request.lasting)
    if not request.on:
        return Refused("off_with_duration", "Off takes no duration: only “on for …” does.")
    if request.is_press:
        return Refused("press_with_duration", f"A press takes no duration: {relay.name} has a pulse of its own.")
    if not SHORTEST <= request.lasting <= LONGEST:
        return Refused("bad_duration", f"On for {asked} is not possible: choose from 100ms to 30 days.")
    if relay.min_on is not None and request.lasting < relay.min_on:
        least = durations.words(relay.min_on)
        return Refused("too_short", f"{relay.name} stays on for at least {least}: {asked} is too short.")
    if relay.max_on is not None and request.lasting > relay.max_on:
        most = durations.words(relay.max_on)
        return Refused("too_long", f"{relay.name} stays on for at most {most}: {asked} is too long.")
    return None


def _admit_on(state: BoardState, relay: RelayState, request: Request, now: Now) -> Accepted | Refused:
    if state.is_stopped:
        return Refused("stopped", "Everything is stopped: reset the stop first.")
    if not state.is_served:
        return Refused("no_controller", "The relay controller does not answer: start it, then try again.")
    if request.is_press and relay.wanted:
        return Refused("pressing", f"{relay.name} is being pressed: try again in a moment.")
    rivals = [other for other in state.siblings(relay) if other.wanted]
    if rivals and relay.interlock is not None and not state.interlocks[relay.interlock].replaces:
        rival = rivals[0].name
        return Refused("interlock", f"{rival} is on, and only one of the two may be: switch {rival} off first.")
    if request.lasting is not None:
        wanting = replace(relay, wanted=True, until=None)
        others = tuple(wanting if other.id == relay.id else other for other in state.relays)
        wait = plan(replace(state, relays=others), now).waits.get(relay.id)
        if wait and wait.until and wait.until - now.boot >= request.lasting:
            left = durations.words(wait.until - now.boot)
            return Refused("over_before_it_starts", f"{relay.name} can go on in {left} only: ask for longer than that.")
    return Accepted(replaces=tuple(rival.id for rival in rivals))


def plan(state: BoardState, now: Now) -> Plan:
    """The writes to make now, the changes of wanted to record, why relays wait, and when to look again."""
    if state.is_ending:
        return Plan(writes=tuple(_last_writes(state)))
    changes = [*_changes(state, now)]
    state = state.changed(changes)
    agenda = _Agenda(now.boot)
    agenda.note_ends(state)
    writes = [*_claims(state, agenda), *_offs(state, agenda), *_ons(state, agenda)]
    return Plan(tuple(writes), tuple(changes), agenda.waits, agenda.next)


class _Agenda:
    """Collects what lies ahead: the waits of relays and the next moment at which something is due."""

    def __init__(self, boot: float) -> None:
        self.boot = boot
        self.waits: dict[int, Wait] = {}
        self.next: float | None = None

    def note(self, moment: float) -> None:
        if moment > self.boot and (self.next is None or moment < self.next):
            self.next = moment

    def wait(self, relay: RelayState, waits: list[Wait]) -> bool:
        """Whether ``relay`` has to wait: for the longest of those ``waits`` that are not over."""
        ahead = [wait for wait in waits if wait.until is None or wait.until > self.boot]
        for wait in ahead:
            if wait.until is not None:
                self.note(wait.until)
        if ahead:
            self.waits[relay.id] = max(ahead, key=lambda wait: float("inf") if wait.until is None else wait.until)
        return bool(ahead)

    def note_ends(self, state: BoardState) -> None:
        for relay in state.relays:
            if relay.wanted:
                for end in (relay.until, _pulse_end(relay), _max_on_end(relay), _lapse(relay)):
                    if end is not None:
                        self.note(end)


def _pulse_end(relay: RelayState) -> float | None:
    return relay.since + relay.pulse if relay.pulse is not None and relay.level else None


def _max_on_end(relay: RelayState) -> float | None:
    return relay.since + relay.max_on if relay.max_on is not None and relay.level else None


def _lapse(relay: RelayState) -> float | None:
    """When a press that could not begin is given up."""
    was_kept_from = relay.is_faulty or relay.start is Start.RESUMED
    begun = relay.level or (not relay.is_claimed and relay.held)
    return relay.asked_at + PRESS_LAPSES_AFTER if relay.pulse is not None and was_kept_from and not begun else None


def _changes(state: BoardState, now: Now) -> Iterator[Change]:
    """What the controller itself decides to want, at most one relay of an interlock on."""
    found = {relay.id: _change(state, relay, now) for relay in state.relays}
    taken: dict[int | None, RelayState] = {}
    rivals = [relay for relay in state.relays if relay.interlock is not None]
    for relay in sorted(rivals, key=lambda relay: found[relay.id] is not None):  # the steady first
        change = found[relay.id]
        if not (change.on if change else relay.wanted):
            continue
        if holder := taken.get(relay.interlock):
            why = f"only one of {holder.name} and {relay.name} may be on"
            found[relay.id] = _to(relay, False, Via.INTERLOCK, why) if relay.wanted else None
        else:
            taken[relay.interlock] = relay
    changes = [change for change in found.values() if change]
    yield from (change for change in changes if not change.on)
    yield from (change for change in changes if change.on)


def _change(state: BoardState, relay: RelayState, now: Now) -> Change | None:
    if state.is_stopped:
        return _to(relay, False, Via.STOP, "everything is stopped") if relay.wanted else None
    expired = relay.until is not None and relay.until <= now.boot
    if relay.start is Start.POWER_UP:
        on = _wanted_at_power_up(relay, expired)
        if on != relay.wanted or (on and expired):
            return _to(relay, on, Via.POWER_UP, f"power-up: {relay.power_up}")
    if not relay.wanted:
        return None
    return _end(relay, now)


def _wanted_at_power_up(relay: RelayState, expired: bool) -> bool:
    """A lock means that somebody may be working there: power-up does not switch on then."""
    if relay.lock is not None or relay.pulse is not None:
        return False
    return relay.power_up is PowerUp.ON or (relay.power_up is PowerUp.LAST and relay.wanted and not expired)


def _end(relay: RelayState, now: Now) -> Change | None:
    """The end of being wanted on, where it has come."""
    ends = (
        (_max_on_end(relay), f"on for the longest allowed time, {durations.words(relay.max_on or 0)}"),
        (relay.until, "its time is over"),
        (_pulse_end(relay), f"the pulse of {durations.words(relay.pulse or 0)} is over"),
        (_lapse(relay), "it could not be pressed in time"),
    )
    for end, why in ends:
        if end is not None and end <= now.boot:
            return _to(relay, False, Via.TIMER, why)
    return None


def _to(relay: RelayState, on: bool, via: Via, why: str) -> Change:
    return Change(relay.id, relay.command, on, via, why)


def _last_writes(state: BoardState) -> Iterator[Write]:
    """An orderly end: off what its owner did not ask to hold; nothing else moves."""
    for relay in state.relays:
        if relay.is_claimed and relay.level is not False and not relay.holds_on_stop:
            yield Write(relay.id, on=False)


def _claims(state: BoardState, agenda: _Agenda) -> Iterator[Write]:
    """Take the lines not yet ours at the level they were left at, unless that is no longer allowed."""
    taken = {relay.interlock for relay in state.relays if relay.is_claimed and relay.level is not False}
    for relay in state.relays:
        if relay.is_claimed or agenda.wait(relay, [_fault(relay)]):
            continue
        is_due_off = not relay.wanted and not _is_kept_on(state, relay, agenda.boot)
        on = relay.held and not is_due_off and (relay.interlock is None or relay.interlock not in taken)
        if on:
            taken.add(relay.interlock)
        yield Write(relay.id, on, is_claim=True)


def _offs(state: BoardState, agenda: _Agenda) -> Iterator[Write]:
    for relay in state.relays:
        if relay.wanted or not relay.is_claimed or relay.level is False:
            continue
        waits = [_fault(relay)]
        if relay.min_on is not None and relay.level and _is_kept_on(state, relay, agenda.boot):
            waits.append(Wait(f"it stays on for at least {durations.words(relay.min_on)}", relay.since + relay.min_on))
        if not agenda.wait(relay, waits):
            yield Write(relay.id, on=False)


def _is_kept_on(state: BoardState, relay: RelayState, boot: float) -> bool:
    """Whether min-on keeps it on: unless what wants it off goes before min-on."""
    goes_first = relay.is_urgent or state.is_stopped or any(other.wanted for other in state.siblings(relay))
    return relay.min_on is not None and relay.since + relay.min_on > boot and not goes_first


def _ons(state: BoardState, agenda: _Agenda) -> Iterator[Write]:
    ons = [moment for moment in state.ons if moment + STAGGER_WINDOW > agenda.boot]
    taken: set[int] = set()
    asking = [relay for relay in state.relays if relay.wanted and relay.is_claimed and not relay.level]
    for relay in sorted(asking, key=lambda relay: relay.command):
        waits = [_fault(relay), *_interlock_waits(state, relay)]
        if relay.min_off is not None:
            why = f"it stays off for at least {durations.words(relay.min_off)}"
            waits.append(Wait(why, relay.since + relay.min_off))
        if relay.interlock in taken:
            waits.append(Wait("another relay of its interlock goes on", None))
        if not agenda.wait(relay, waits) and not agenda.wait(relay, _stagger_waits(state, ons)):
            ons.append(agenda.boot)
            if relay.interlock is not None:
                taken.add(relay.interlock)
            yield Write(relay.id, on=True)


def _fault(relay: RelayState) -> Wait:
    return Wait("its line is at fault", relay.retry_at)


def _interlock_waits(state: BoardState, relay: RelayState) -> Iterator[Wait]:
    for other in state.siblings(relay):
        if not other.is_off:
            yield Wait(f"after {other.name} is off", None)
        elif relay.interlock is not None:
            yield Wait(f"after {other.name} is off", other.since + state.interlocks[relay.interlock].dead_time)


def _stagger_waits(state: BoardState, ons: list[float]) -> list[Wait]:
    if len(ons) < state.ons_per_second:
        return []
    return [Wait("relays start one after another", sorted(ons)[-state.ons_per_second] + STAGGER_WINDOW)]
