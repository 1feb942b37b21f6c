"""The one door: every request to a relay, from wherever it comes, passes here.

It checks rights and asks the plan; what is accepted is durable before it is acknowledged, and what is refused
leaves an Event too. It never touches a pin.
"""

import getpass
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.db import DatabaseError, models
from django.db.models import Q, Subquery
from django.utils import timezone

from iotsite import database
from iotsite.prepared import Prepared, insert, update
from relays import clock, durations, plan, wakeup
from relays.models import Board, Event, Relay
from relays.runfiles import BoardFiles

if TYPE_CHECKING:
    from accounts.models import User

COMMAND_ID_KEPT = timedelta(hours=24)
PENDING = "pending"


def _with_rivals(**which: int | str) -> "models.QuerySet[Relay]":
    """A relay, and those of its interlock."""
    interlock = Relay.objects.filter(**which).order_by().values("interlock")
    return Relay.objects.filter(Q(**which) | Q(interlock__in=interlock)).select_related("board", "interlock").order_by()


def _with_answer(number: int, event: int) -> "models.QuerySet[Relay]":
    """A relay, and what its controller said of a command of it, all as it was at one moment."""
    answer = Event.objects.filter(of=event).order_by("-id")
    said = {"answer": Subquery(answer.values("outcome")[:1]), "answer_why": Subquery(answer.values("why")[:1])}
    return Relay.objects.at_hand().filter(pk=number).annotate(**said)


_BY_NUMBER = Prepared(lambda number: _with_rivals(pk=number))
_BY_SLUG = Prepared(lambda slug: _with_rivals(slug=slug))
_WITH_ANSWER = Prepared(_with_answer)


class RelayError(Exception):
    """A request that was refused: ``code`` for programs, ``sentence`` for people, and its Event, if one was kept."""

    def __init__(self, code: str, sentence: str, event: Event | None = None) -> None:
        super().__init__(sentence)
        self.code = code
        self.sentence = sentence
        self.event = event


@dataclass(frozen=True)
class Outcome:
    """What became of a command: applied, pending, failed or superseded, and its relay as it was then."""

    word: str
    event: Event
    relay: Relay
    why: str = ""
    """What its controller said of it."""

    @property
    def sentence(self) -> str:
        """Why it came so; of a pending one what it waits for, which takes a plan of the whole board."""
        return _why_pending(self.event, self.relay) if self.word == PENDING else self.why


def name_of(by: "User | None", via: str) -> str:
    """Who acts: the user, or on the command line whoever is signed in to the machine."""
    if by is not None:
        return by.get_username()
    if via != Event.Via.COMMAND_LINE:
        return ""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "an unknown user"


def ask(request: plan.Request, *, by: "User | None", via: str, command_id: str = "") -> Event:
    """Bring a request to its relay: the accepted Event, durable. RelayError where it is refused."""
    try:
        event, refused = database.write(lambda: _answer(request, by, via, command_id))
    except Relay.DoesNotExist as error:
        raise RelayError("gone", "This relay was deleted meanwhile.") from error
    except DatabaseError as error:
        raise RelayError("database", f"Nothing was changed, the database cannot be written: {error}.") from error
    if refused:
        raise RelayError(refused.code, refused.sentence, event)
    return event


def _answer(request: plan.Request, by: "User | None", via: str, command_id: str) -> tuple[Event, plan.Refused | None]:
    rows = (_BY_SLUG if isinstance(request.relay, str) else _BY_NUMBER)(request.relay)
    relay = next((row for row in rows if request.relay in (row.pk, row.slug)), None)
    if relay is None:
        raise Relay.DoesNotExist
    request = replace(request, relay=relay.pk)
    kind = Event.Kind.PRESSED if request.is_press else Event.Kind.ASKED_ON if request.on else Event.Kind.ASKED_OFF
    event = Event.new(kind=kind, board=relay.board, relay=relay, who=name_of(by, via), via=via)
    event.by = by
    event.lasting = timedelta(seconds=request.lasting) if request.lasting is not None else None
    earlier = _earlier(relay, command_id)
    if earlier and (earlier.kind, earlier.lasting, earlier.by) == (event.kind, event.lasting, event.by):
        return earlier, None
    answer = _verdict(request, relay, rows, by, is_reused=earlier is not None)
    if isinstance(answer, plan.Refused):
        event.outcome, event.why = Event.Outcome.REFUSED, answer.sentence[:300]
        event.save()
        return event, answer
    event.outcome, event.command_id = Event.Outcome.ACCEPTED, command_id
    for rival in rows:
        if rival.pk in answer.replaces:
            _replace(rival, relay, event)
    insert(event)
    _want(relay, event)
    wakeup.wake_after_commit(relay.board_id)
    return event, None


def _earlier(relay: Relay, command_id: str) -> Event | None:
    if not command_id:
        return None
    recent = Event.objects.filter(relay=relay, command_id=command_id, at__gt=timezone.now() - COMMAND_ID_KEPT)
    return recent.first()


def _verdict(
    request: plan.Request, relay: Relay, rows: list[Relay], by: "User | None", is_reused: bool
) -> plan.Accepted | plan.Refused:
    """``rows``: the relay and those of its interlock."""
    if by is not None and not by.has_perm("relays.switch_relay"):
        return plan.Refused("not_allowed", f"You may look at {relay.name}, but not switch it: ask an administrator.")
    if is_reused:
        return plan.Refused("command_id_reused", "This command_id was used for another command: choose a new one.")
    for part in (relay.board, relay):
        if not part.is_enabled:
            return plan.Refused("disabled", f"{part.name} is disabled: enable it first.")
    now = clock.now()
    if request.lasting is not None:
        rows = relay.board.rows_around(relay)  # its time may be over before it has its turn among those that wait
    return plan.admit(relay.board.as_seen((row for row in rows if row.is_enabled), now), request, now)


def _want(relay: Relay, event: Event) -> None:
    """Write down what the Event asks for."""
    relay.wanted = event.kind != Event.Kind.ASKED_OFF
    relay.wanted_at = event.at
    relay.wanted_until = event.at + event.lasting if relay.wanted and event.lasting else None
    relay.wanted_by_id, relay.wanted_via = event.by_id, event.via
    relay.command = event.pk
    update(relay, "wanted", "wanted_at", "wanted_until", "wanted_by", "wanted_via", "command")


def _replace(rival: Relay, relay: Relay, cause: Event) -> None:
    why = f"only one of {relay.name} and {rival.name} may be on"
    event = Event.objects.create(
        kind=Event.Kind.ASKED_OFF,
        outcome=Event.Outcome.ACCEPTED,
        board=rival.board,
        relay=rival,
        by=cause.by,
        who=cause.who,
        via=Event.Via.INTERLOCK,
        why=why,
    )
    _want(rival, event)


def outcome_of(event: Event) -> Outcome:
    """What became of an accepted command, as far as its controller has said."""
    assert event.relay_id is not None
    found: Any
    [found] = _WITH_ANSWER(event.relay_id, event.pk)
    if found.applied_command == event.pk:
        return Outcome(Event.Outcome.APPLIED, event, found)
    return Outcome(found.answer or PENDING, event, found, found.answer_why or "")


def _why_pending(event: Event, relay: Relay) -> str:
    if not relay.board.is_served:
        return "the relay controller does not answer: start it and it will be done"
    if relay.command > event.pk:
        return "a newer command came meanwhile"  # before or after this one was carried out: its controller knows
    now = clock.now()
    wait = plan.plan(relay.board.as_seen(relay.board.rows_around(relay), now), now).waits.get(relay.pk)
    if wait is None:
        return "the relay controller has not confirmed it yet"
    left = f" (in {durations.words(wait.until - now.boot)})" if wait.until else ""
    return f"{wait.why}{left}"


def wait_for(event: Event, seconds: float) -> Outcome:
    """What became of a command, after waiting up to ``seconds`` for its controller to say so."""
    files = BoardFiles(settings.RUN_DIR, event.board_id)

    def settled() -> Outcome | None:
        outcome = outcome_of(event)
        return outcome if outcome.word != PENDING or not files.is_served else None

    return wakeup.ear().wait(event.pk, files, seconds, settled) or outcome_of(event)


def set_lock(relay: Relay, reason: str | None, *, by: "User | None", via: str) -> Event:
    """Lock a relay for a reason, or unlock it (None). Locking moves nothing."""
    reason = reason.strip()[:200] if reason is not None else None
    refused = _lock_refused(relay, reason, by)
    event = Event(kind=Event.Kind.UNLOCKED if reason is None else Event.Kind.LOCKED, board=relay.board, relay=relay)
    event.by, event.who, event.via, event.why = by, name_of(by, via), via, reason or ""
    if refused:
        event.outcome, event.why = Event.Outcome.REFUSED, refused.sentence
    try:
        with database.writing():
            event.save()
            if not refused:
                Relay.objects.filter(pk=relay.pk).update(
                    is_locked=reason is not None,
                    lock_reason=reason or "",
                    locked_by=event.who if reason is not None else "",
                )
                wakeup.wake_after_commit(relay.board_id)
    except DatabaseError as error:
        raise RelayError("database", f"Nothing was changed, the database cannot be written: {error}.") from error
    if refused:
        raise RelayError(refused.code, refused.sentence, event)
    return event


def _lock_refused(relay: Relay, reason: str | None, by: "User | None") -> plan.Refused | None:
    if by is not None and not by.has_perm("relays.change_relay"):
        return plan.Refused("not_allowed", f"You may not lock or unlock {relay.name}: ask an administrator.")
    if reason == "":
        return plan.Refused("no_reason", f"Say why {relay.name} is locked: others will read it.")
    return None


def stop_everything(*, by: "User | None", via: str) -> str:
    """Switch every relay off, and refuse every on until ``reset_stop``. Works without a database.

    The latch and the wake-up go first: the controller acts on them at once. Returns what could not be done
    yet, in a sentence; empty where all is recorded.
    """
    if by is not None and not by.has_perm("relays.switch_relay"):
        raise RelayError("not_allowed", "You may look at the relays, but not stop them: ask an administrator.")
    who = name_of(by, via)
    served = BoardFiles.all(settings.RUN_DIR)
    for files in served:
        files.latch(who, via)
        wakeup.wake(files)
    try:
        with database.writing():
            for board in Board.objects.enabled():
                record_stop(board, who=who, by=by, via=via)
    except DatabaseError as error:
        if not served:
            raise RelayError("database", f"Nothing was stopped, the database cannot be written: {error}.") from error
        return f"Stopped, but not recorded yet, since the database cannot be written: {error}."
    for files in served:
        wakeup.wake(files)
    return ""


def record_stop(board: Board, *, who: str, by: "User | None", via: str) -> None:
    """Write down that everything on ``board`` is stopped, unless it is written already; in a transaction."""
    now = timezone.now()
    if not Board.objects.filter(pk=board.pk, stopped_at=None).update(stopped_at=now, stopped_by=who):
        return
    Event.objects.create(kind=Event.Kind.STOPPED_EVERYTHING, board=board, by=by, who=who, via=via, at=now)
    for relay in board.relays.filter(wanted=True):
        event = Event.objects.create(
            kind=Event.Kind.ASKED_OFF,
            outcome=Event.Outcome.ACCEPTED,
            board=board,
            relay=relay,
            by=by,
            who=who,
            via=Event.Via.STOP,
            why="everything is stopped",
            at=now,
        )
        _want(relay, event)


def reset_stop(*, by: "User | None", via: str) -> None:
    """Let relays be switched again. Restores nothing: what was stopped stays off."""
    if by is not None and not by.has_perm("relays.switch_relay"):
        raise RelayError("not_allowed", "You may look at the relays, but not reset the stop: ask an administrator.")
    try:
        with database.writing():
            for board in Board.objects.all():
                if not board.is_stopped:
                    continue
                record_stop(board, who=board.files.latched_by().get("who", ""), by=None, via=Event.Via.STOP)
                Board.objects.filter(pk=board.pk).update(stopped_at=None, stopped_by="")
                Event.objects.create(kind=Event.Kind.RESET, board=board, by=by, who=name_of(by, via), via=via)
                # Before the commit: a kill in between leaves the stop in the database, never a half reset.
                board.files.unlatch()
                wakeup.wake_after_commit(board.pk)
    except DatabaseError as error:
        raise RelayError("database", f"The stop stays, the database cannot be written: {error}.") from error
