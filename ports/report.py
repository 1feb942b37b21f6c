"""What a refresh did, in lines for a terminal or a log and as JSON."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ports.ledger import Tally
from ports.models import Change
from ports.snapshot import Status
from ports.sources.text import clean
from ports.takeover import Result

LONGEST = 500
MOMENTS = {"eta", "etd", "ata", "atd", "leaves_at", "pilot_ordered_at"}


def line(port: str, result: Result) -> str:
    """``HKHKG mardep: 213 calls: 12 new, 31 changed (9 ETA, 4 berth), 8 departed, 3 gone from the feed, 0.41 s``"""
    counts = result.counts.get(port)
    if counts is None:
        return f"{port} {result.feed.source}: nothing is told of it, {_seconds(result)}"
    parts = [f"{counts.new:,} new", f"{counts.changed:,} changed{_fields(counts)}"]
    parts += [f"{number:,} {word}" for number, word in _others(counts) if number]
    if unknown := sum(result.unknown.values()):
        parts.append(f"{unknown:,} not understood")
    if result.missing:
        parts.append(f"without {' and '.join(result.missing)}")
    calls = f"{counts.calls:,} call{'' if counts.calls == 1 else 's'}"
    return f"{port} {result.feed.source}: {calls}: {', '.join(parts)}, {_seconds(result)}"


def trouble(result: Result) -> str:
    """What went wrong, in a line; empty where nothing did."""
    return f"{result.outcome.label}: {clean(result.error, LONGEST)}" if result.error else ""


def _others(counts: Tally) -> list[tuple[int, str]]:
    return [(counts.departed, "departed"), (counts.gone, "gone from the feed")]


def _fields(counts: Tally) -> str:
    named = [f"{number:,} {Change.Field(field).label}" for field, number in counts.fields.most_common()]
    return f" ({', '.join(named)})" if named else ""


def _seconds(result: Result) -> str:
    return f"{result.took.total_seconds():.2f} s"


def item(port: str, result: Result) -> dict[str, Any]:
    """The same for programs."""
    counts = result.counts.get(port)
    return {
        "port": port,
        "source": result.feed.source,
        "outcome": result.outcome.value,
        "error": " ".join(filter(None, (result.error, result.unkept))),
        "missing": list(result.missing),
        "unknown": result.unknown,
        "took": round(result.took.total_seconds(), 3),
        **((counts or Tally()).as_json()),
    }


def differences(result: Result) -> Iterator[str]:
    """One line for each call and field that moved, with moments in the zone of its port."""
    for change in result.changes:
        yield f"{change.port.locode} {clean(change.call.vessel.name)}: {_difference(change)}"


def _difference(change: Change) -> str:
    if change.field == Change.Field.STATUS and not change.was:
        return f"new, {change.call.get_status_display()}"
    was, became = (_shown(change, text) for text in (change.was, change.became))
    return f"{change.get_field_display()} {was} → {became}"


def _shown(change: Change, text: str) -> str:
    if change.field in MOMENTS and text:
        return f"{datetime.fromisoformat(text).astimezone(change.port.tzinfo):%Y-%m-%d %H:%M}"
    if change.field == Change.Field.STATUS and text:
        return Status(text).label
    return clean(text) or "none"
