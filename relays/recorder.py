"""Writes down what the controller did, in a thread of its own: a slow or locked database delays no pin.

(But by the few milliseconds that the controller leaves it after lines were moved, ``HEAD_START``.)

Records are kept in their order and tried again until the database takes them.
"""

import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import DatabaseError, IntegrityError, transaction
from django.db.models import F

from iotsite import database
from iotsite.prepared import Prepared, insert, update
from relays import door, plan
from relays.models import Board, Event, Relay

log = logging.getLogger(__name__)

RETRY_AFTER = 0.2
CHANGES_KEPT = 1000
AT_ONCE = 50
"""So many batches go into one transaction, where so many wait."""


class Key(NamedTuple):
    """What a line follows: a command of the rows (``step`` 0), or the controller's own change on top of one."""

    relay: int
    command: int
    step: int


@dataclass(frozen=True)
class Changed:
    """The controller changed what is wanted; ``key`` is what its line follows from now on."""

    key: Key
    change: plan.Change
    at: datetime


@dataclass(frozen=True)
class Found:
    """What a line does now, and what became of a command."""

    key: Key
    actual: bool | None
    fault: str
    outcome: str
    at: datetime


@dataclass(frozen=True)
class Noted:
    """Something else that happened to the board or one of its relays."""

    kind: str
    why: str
    at: datetime
    relay: int | None = None


@dataclass(frozen=True)
class Stopped:
    """Stop everything reached the controller by its latch."""

    who: str
    via: str


Record = Changed | Found | Noted | Stopped


_RELAY = Prepared(lambda relay: Relay.objects.filter(pk=relay))
_UNSETTLED = Prepared(
    lambda relay, to: (
        Event.objects.unsettled()
        .filter(relay=relay, id__gt=F("relay__applied_command"), id__lte=to)
        .select_related("relay")
        .order_by("id")
    )
)
"""With their relay: mostly there is one, and then the relay need not be asked for."""


@dataclass
class _Book:
    """One board's transaction at a time."""

    board: int
    recorded: dict[Key, int] = field(default_factory=dict)
    """The command that each of the controller's last changes became."""

    def write(self, records: Sequence[Record]) -> set[int]:
        """Write them down; the commands whose outcome was among them."""
        settled: set[int] = set()
        with transaction.atomic():
            database.check()
            for record in records:
                match record:
                    case Changed():
                        self._changed(record)
                    case Found():
                        settled |= self._found(record)
                    case Noted():
                        self._note(record.relay, record.kind, record.why, record.at)
                    case Stopped():
                        board = Board.objects.get(pk=self.board)
                        door.record_stop(board, who=record.who, by=None, via=record.via)
        return settled

    def _changed(self, record: Changed) -> None:
        change, key = record.change, record.key
        relay = Relay.objects.filter(pk=key.relay).first()
        if relay is None:
            return  # deleted meanwhile, and with it whoever could ask
        is_newest = relay.command == self._command(key._replace(step=key.step - 1))
        event = Event.objects.create(
            kind=Event.Kind.ASKED_ON if change.on else Event.Kind.ASKED_OFF,
            outcome=Event.Outcome.ACCEPTED if is_newest else Event.Outcome.SUPERSEDED,
            board_id=self.board,
            relay=relay,
            via=change.via,
            why=change.why,
            at=record.at,
        )
        if is_newest:
            self.recorded[key] = event.pk
            if len(self.recorded) > CHANGES_KEPT:
                del self.recorded[next(iter(self.recorded))]
            Relay.objects.filter(pk=relay.pk).update(
                wanted=change.on,
                wanted_at=record.at,
                wanted_until=None,
                wanted_by=None,
                wanted_via=change.via,
                command=event.pk,
            )

    def _found(self, record: Found) -> set[int]:
        command = self._command(record.key)
        unsettled = _UNSETTLED(record.key.relay, command)
        relay = unsettled[0].relay if unsettled else next(iter(_RELAY(record.key.relay)), None)
        if relay is None:
            return set()
        settled = self._settle(relay, unsettled, command, record) if command > relay.applied_command else set()
        if bool(relay.fault) != bool(record.fault):
            self._note(relay.pk, Event.Kind.FAULT if record.fault else Event.Kind.CURED, record.fault, record.at)
        if relay.actual is not record.actual:
            _count(relay, record)
            relay.actual_at = record.at
        relay.actual, relay.fault = record.actual, record.fault
        update(relay, "actual", "actual_at", "fault", "applied_command", "cycles", "on_for")
        return settled

    def _command(self, key: Key) -> int:
        """The number of the Event behind ``key``; 0 where its change came too late to stand."""
        return self.recorded.get(key, 0) if key.step else key.command

    def _settle(self, relay: Relay, unsettled: list[Event], command: int, record: Found) -> set[int]:
        """Say what became of ``command``, and that those before it were overtaken; which ones these were."""
        answers = []
        for event in unsettled:
            if event.pk < command:
                answers.append(_answer(event, Event.Outcome.SUPERSEDED, "a newer command came first", record.at))
            elif record.outcome:
                answers.append(_answer(event, record.outcome, record.fault, record.at))
        for answer in answers:
            insert(answer)
        if record.outcome == Event.Outcome.APPLIED:
            relay.applied_command = command
        return {answer.of_id for answer in answers if answer.of_id}

    def _note(self, relay: int | None, kind: str, why: str, at: datetime) -> None:
        via = Event.Via.CONTROLLER
        Event.objects.create(kind=kind, board_id=self.board, relay_id=relay, via=via, why=why[:300], at=at)


def _answer(event: Event, outcome: str, why: str, at: datetime) -> Event:
    return Event.new(
        kind=event.kind,
        outcome=outcome,
        of=event,
        board_id=event.board_id,
        relay_id=event.relay_id,
        via=Event.Via.CONTROLLER,
        why=why[:300],
        at=at,
    )


def _count(relay: Relay, record: Found) -> None:
    """Count what wears a relay: how often it went on, and for how long it was."""
    if record.actual and relay.actual is False:
        relay.cycles += 1
    if relay.actual and relay.actual_at:
        relay.on_for += max(record.at - relay.actual_at, timedelta(0))


class Recorder(threading.Thread):
    """Takes records and writes them, in order, each batch in one transaction; ``told`` is called after each."""

    def __init__(self, board: int, told: Callable[[Iterable[int]], None]) -> None:
        super().__init__(name="recorder", daemon=True)
        self._book = _Book(board)
        self.recorded = self._book.recorded
        self._told = told
        self._batches: deque[Sequence[Record]] = deque()
        self._at_once = AT_ONCE
        self._has_work = threading.Condition()
        self.problem = ""
        """Why records wait, in a sentence; empty where none do."""

    def put(self, records: Sequence[Record]) -> None:
        with self._has_work:
            self._batches.append(records)
            self._has_work.notify_all()

    @property
    def waiting(self) -> int:
        """How many batches are not yet written."""
        return len(self._batches)

    def drain(self, seconds: float) -> bool:
        """Wait until all is written; says whether it is."""
        with self._has_work:
            return self._has_work.wait_for(lambda: not self._batches, seconds)

    def run(self) -> None:
        while True:
            with self._has_work:
                self._has_work.wait_for(lambda: bool(self._batches))
            if not self.work_off():
                threading.Event().wait(RETRY_AFTER)

    def work_off(self) -> bool:
        """Write what waits; says whether all is written."""
        while batches := list(self._batches)[: self._at_once]:
            settled = self._try(batches)
            if settled is None:
                return False
            self._told(settled)
            with self._has_work:
                for _ in batches:
                    self._batches.popleft()
                self._has_work.notify_all()
        return True

    def _try(self, batches: Sequence[Sequence[Record]]) -> set[int] | None:
        """The commands settled by the batches; None where they need a further try."""
        settled: set[int] = set()
        try:
            settled = self._book.write([record for batch in batches for record in batch])
        except (IntegrityError, Board.DoesNotExist):
            # Rows were edited against the rules, behind our back: no later try of this record can succeed.
            if len(batches) > 1:
                self._at_once = 1
                return None
            log.exception("record lost: %s", batches)
        except DatabaseError as error:
            if not self.problem:
                log.error("database=failing waiting=%s error=%r", self.waiting, str(error))
            self.problem = f"The database cannot be written: {error}. Records wait in memory."
            return None
        if self.problem:
            log.info("database=back")
            self.problem = ""
        self._at_once = AT_ONCE
        return settled
