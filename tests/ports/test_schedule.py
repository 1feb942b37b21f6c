"""When a feed is asked next."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as some

from ports.schedule import WISH_AFTER, Standing

NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
QUARTER = timedelta(minutes=15)


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


ASKED = Standing(QUARTER, asked_at=NOON)


def test_one_that_was_never_asked_is_asked_now() -> None:
    assert Standing(QUARTER).due_at(NOON) == NOON


def test_it_is_asked_after_its_interval_and_a_little_longer() -> None:
    assert ASKED.due_at(NOON) == NOON + QUARTER
    assert replace(ASKED, chance=1.0).due_at(NOON) == NOON + minutes(16.5)


@pytest.mark.parametrize(("failures", "pause"), [(0, 15), (1, 15), (2, 30), (3, 60), (4, 60), (10_000, 60)])
def test_one_that_fails_is_asked_ever_more_seldom_but_every_hour(failures: int, pause: int) -> None:
    assert replace(ASKED, failures=failures).pause == minutes(pause)


def test_a_failure_never_makes_it_be_asked_more_often() -> None:
    assert replace(ASKED, interval=timedelta(hours=3), failures=4).pause == timedelta(hours=3)


def test_a_wish_is_granted_at_once_but_not_within_a_minute_of_the_last_try() -> None:
    wished = replace(ASKED, wished_at=NOON + minutes(5))
    assert wished.has_wish(NOON + minutes(5))
    assert wished.due_at(NOON + minutes(5)) <= NOON + minutes(5)
    hasty = replace(ASKED, wished_at=NOON + timedelta(seconds=2))
    assert hasty.due_at(NOON + timedelta(seconds=2)) == NOON + WISH_AFTER


def test_a_wish_from_before_the_last_try_is_granted_already() -> None:
    wished = replace(ASKED, wished_at=NOON - minutes(1))
    assert not wished.has_wish(NOON)
    assert wished.due_at(NOON) == NOON + QUARTER


def test_a_wish_from_the_future_waits_for_it() -> None:
    """The clock was set back: it would be later than every try, and granted again and again."""
    assert replace(ASKED, wished_at=NOON + timedelta(days=400)).due_at(NOON + minutes(2)) == NOON + QUARTER


def test_the_publishers_word_counts_more_than_a_wish() -> None:
    until = NOON + minutes(50)
    told = replace(ASKED, allowed_at=until, wished_at=NOON + minutes(5))
    assert told.due_at(NOON + minutes(6)) == until
    assert replace(Standing(QUARTER), allowed_at=until).due_at(NOON) == until
    assert replace(ASKED, allowed_at=NOON - minutes(1)).due_at(NOON) == NOON + QUARTER


@given(
    failures=some.integers(0, 50),
    wishes=some.lists(some.integers(0, 24 * 3600), max_size=30),
    chance=some.floats(0, 1),
)
def test_whatever_is_wished_and_whatever_fails_it_is_never_hammered(
    failures: int, wishes: list[int], chance: float
) -> None:
    """A day, second by second where something is due: no two tries within a minute, one at least every 66 minutes."""
    now, tries = NOON, [NOON]
    standing = replace(ASKED, failures=failures, chance=chance)
    for wish in [*sorted(wishes), 24 * 3600]:
        at = NOON + timedelta(seconds=wish)
        while (due := standing.due_at(now)) <= at:
            now = max(now, due)
            tries.append(now)
            standing = replace(standing, asked_at=now)
        now = at
        standing = replace(standing, wished_at=at)
    pauses = [later - earlier for earlier, later in pairwise(tries)]
    assert all(WISH_AFTER <= pause <= minutes(66) for pause in pauses)
    assert tries[-1] >= now - minutes(66)
