"""A Change in words: one sentence, for pages, feeds and programs alike."""

from collections.abc import Callable
from datetime import datetime, timedelta

from ports.models import Change
from ports.snapshot import Status
from ports.sources.text import isolated
from ports.times import exact_length

MOMENTS = (
    *(Change.Field.ETA, Change.Field.ETD, Change.Field.ATA, Change.Field.ATD),
    *(Change.Field.LEAVES, Change.Field.PILOT),
)
STATUSES = {
    Status.EXPECTED: "expected",
    Status.IN_PORT: "arrived",
    Status.DEPARTED: "departed",
    Status.CANCELLED: "cancelled",
    Status.GONE: "gone from the feed",
}


def moment(text: str) -> datetime | None:
    """What a Change of a moment keeps; None where it is none."""
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        return None


def shift(was: str, became: str) -> timedelta | None:
    """How far a moment moved; None where one of both is not known."""
    before, after = moment(was), moment(became)
    return after - before if before and after else None


def later(by: timedelta) -> str:
    """3 h later, 25 min earlier."""
    return f"{exact_length(by)} {'later' if by > timedelta(0) else 'earlier'}"


def sentence(change: Change, words: Callable[[datetime], str]) -> str:
    """“ETA moved 3 h later, from 14:30 to 17:30”; ``words`` tells a moment in the zone of the reader."""
    if change.field == Change.Field.STATUS:
        return _status(change)
    name = change.get_field_display()
    if change.field in MOMENTS:
        return _moment(change, name, words)
    if change.field == Change.Field.VESSEL and change.was == change.became:
        return "recognised as another ship of the same name"
    was, became = isolated(change.was), isolated(change.became)
    if not was:
        return f"{name}: {became}"
    return f"{name}: {became or 'no longer known'}, was {was}"


def _status(change: Change) -> str:
    became = STATUSES.get(Status(change.became), change.became) if change.became in Status else change.became
    if not change.was:
        return f"new: {became}"
    if (change.was, change.became) == (Status.GONE, Status.EXPECTED):
        return "expected again"
    return became


def _moment(change: Change, name: str, words: Callable[[datetime], str]) -> str:
    was, became = moment(change.was), moment(change.became)
    by = shift(change.was, change.became)
    if by and was and became:
        return f"{name} moved {later(by)}, from {words(was)} to {words(became)}"
    if became:
        return f"{name}: {words(became)}"
    return f"{name} no longer known{f', was {words(was)}' if was else ''}"
