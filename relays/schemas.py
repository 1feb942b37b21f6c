"""What the API takes and gives, in the words of OpenAPI, and how relays and Events become that."""

from datetime import datetime
from typing import Annotated, Any, Literal

from ninja import Schema
from pydantic import ConfigDict, Field, StrictBool

from iotsite.api import Told
from relays import durations
from relays.models import Event
from relays.status import RelayStatus


class Strict(Schema):
    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


WAIT = 2.0
"""So long (seconds) a call waits for the pin, unless it says how long."""
Wait = Annotated[float, Field(strict=True, ge=0, le=2, description="Seconds to wait for the pin.")]
CommandId = Annotated[
    str,
    Field(
        pattern=r"^[!-~]{1,100}$",
        description="The same one again, within 24 h and with the same body, is not a second command.",
    ),
]
Lasting = Annotated[
    float,
    Field(
        strict=True,
        ge=durations.SHORTEST.total_seconds(),
        le=durations.LONGEST.total_seconds(),
        description="On for so many seconds, then off by itself.",
    ),
]


class Press(Strict):
    wait: Wait = WAIT
    command_id: CommandId | None = None


class Switch(Press):
    on: StrictBool
    """What it is to be, never “the other one”: sent twice it does no harm."""
    lasting: Lasting | None = Field(None, alias="for")


class AllOff(Strict):
    wait: Wait = WAIT


class Confirmation(Strict):
    confirm: Annotated[
        StrictBool,
        Field(json_schema_extra={"const": True}, description="The second step: yes, nothing is dangerous any more."),
    ]


class PendingOut(Told):
    why: str
    """Why it is not yet as wanted, in words."""
    until: datetime | None
    """How long that lasts; null where only an event can tell."""


class RelayOut(Told):
    id: int
    slug: str
    name: str
    kind: str
    """What it switches: a lamp, a pump, a door."""
    room: str | None
    board: str
    line: str
    """Its output on the board, like `GPIO17`."""
    mode: Literal["switch", "momentary"]
    """A momentary relay can only be pressed."""
    wanted: bool
    """What was asked for last."""
    actual: bool | None
    """What its pin was read back to be; null: not known."""
    since: datetime | None
    """Since when `actual` is so."""
    until: datetime | None
    """When it goes off by itself."""
    pending: PendingOut | None
    """Why `actual` is not yet `wanted`; null where it is."""
    fault: str | None
    """What is wrong with it, in words."""
    command: int
    """The number of the event that asked for `wanted`; in the answer to a command, of that command."""
    is_locked: bool
    """It refuses every request, until somebody unlocks it."""
    lock_reason: str | None
    is_simulated: bool
    """Nothing is switched for real."""
    is_served: bool
    """The controller of its board answers. Where it does not, `actual` is null."""


class RelaysOut(Told):
    items: list[RelayOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none."""


class RefusalOut(Told):
    slug: str
    code: str
    detail: str


class AllOffOut(Told):
    off: list[str]
    """Slugs of the relays that are off now."""
    pending: list[str]
    """Slugs of those that will be."""
    refused: list[RefusalOut]


class StoppedBoardOut(Told):
    board: str
    is_stopped: bool
    since: datetime | None
    by: str | None


class StopOut(Told):
    is_stopped: bool
    boards: list[StoppedBoardOut]
    note: str | None = None
    """What could not be done yet: everything is stopped even where the database cannot be written to."""


class EventOut(Told):
    id: int
    at: datetime
    kind: str
    outcome: str | None
    board: str
    relay: str | None
    """Its slug; null for what happened to the whole board."""
    of: int | None
    """The event that this one answers: the command that was applied, failed or superseded."""
    who: str | None
    via: str
    """By what means: page, api, timer, …"""
    why: str | None
    sentence: str
    """All of it, for people."""


class EventsOut(Told):
    items: list[EventOut]
    next_cursor: str | None
    """Send it as `cursor` for the next page; null: there is none."""


def as_item(relay: RelayStatus) -> dict[str, Any]:
    """A relay as programs see it: what RelayOut describes."""
    return {
        "id": relay.id,
        "slug": relay.slug,
        "name": relay.name,
        "kind": relay.kind,
        "room": relay.room or None,
        "board": relay.board.name,
        "line": relay.line,
        "mode": "momentary" if relay.is_momentary else "switch",
        "wanted": relay.wanted,
        "actual": relay.actual,
        "since": relay.since,
        "until": relay.until,
        "pending": {"why": _why_pending(relay), "until": relay.why_until} if relay.is_pending else None,
        "fault": relay.fault or None,
        "command": relay.command,
        "is_locked": relay.lock is not None,
        "lock_reason": relay.lock,
        "is_simulated": relay.board.is_simulated,
        "is_served": relay.board.is_served,
    }


def _why_pending(relay: RelayStatus) -> str:
    if not relay.board.is_served:
        return "the relay controller does not answer"
    return relay.why or "the relay controller has not confirmed it yet"


def event_item(event: Event) -> dict[str, Any]:
    """An Event as programs see it: what EventOut describes."""
    return {
        "id": event.pk,
        "at": event.at,
        "kind": event.kind,
        "outcome": event.outcome or None,
        "board": event.board.name,
        "relay": event.relay.slug if event.relay else None,
        "of": event.of_id,
        "who": (event.of or event).who or None,
        "via": event.via,
        "why": event.why or None,
        "sentence": event.sentence,
    }
