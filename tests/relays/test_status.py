"""What is told of one relay is what is told of it among all."""

import random
from datetime import UTC, datetime, timedelta

from django.db import transaction
from django.utils import timezone

from relays import clock, status
from relays.models import Board, Interlock, Relay

LINES = ("GPIO4", "GPIO5", "GPIO6", "GPIO12", "GPIO13", "GPIO16", "GPIO17", "GPIO18", "GPIO22")


def furnish(board: Board, seed: int) -> None:
    """Nine relays, four of them in pairs that exclude each other, each on, off or on its way; two on another board."""
    chance = random.Random(seed)
    Board.objects.update(ons_per_second=1)
    pairs = [Interlock.objects.create(name=f"Pair {number}", board=board) for number in range(2)]
    moved_at = timezone.now() - timedelta(seconds=chance.uniform(0, 1))
    other = Board.objects.create(name="Attic", driver=Board.Driver.SIMULATED)
    for number, line in enumerate(LINES):
        pair = pairs[number // 2] if number < 4 else None
        rival_is_wanted = bool(pair and pair.relays.filter(wanted=True).exists())
        Relay.objects.create(
            **{"name": f"Relay {number}", "slug": f"relay-{number}", "line": line, "polarity": "active-low"},
            **{"board": other if number > 6 else board, "interlock": pair, "command": number, "wanted_at": moved_at},
            **{
                "wanted": not rival_is_wanted and chance.random() < 0.6,
                "actual": chance.choice([True, False, False, None]),
            },
            **{"actual_at": moved_at, "min_off": chance.choice([None, None, timedelta(minutes=5)])},
        )


def test_an_end_is_told_to_the_nearest_millisecond() -> None:
    end = datetime(2026, 12, 31, 23, 59, 59, 999_600, UTC)
    assert status._to_the_millisecond(end) == datetime(2027, 1, 1, tzinfo=UTC)
    assert status._to_the_millisecond(end.replace(microsecond=1_499)).microsecond == 1_000


def test_why_one_waits_follows_from_those_around_it(served: Board) -> None:
    reasons: set[str] = set()
    for seed in range(40):
        with transaction.atomic():
            furnish(served, seed)
            now = clock.now()
            told = {relay.id: relay for relay in status.house(now).relays}
            for relay in Relay.objects.at_hand():
                assert status.of(relay, now) == told[relay.pk], (seed, relay)
            reasons |= {relay.why for relay in told.values()}
            transaction.set_rollback(True)
    assert {"relays start one after another", "it stays off for at least 5m", "after Relay 0 is off"} < reasons
