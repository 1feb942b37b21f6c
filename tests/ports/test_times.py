"""Moments, lengths and changes in words."""

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from ports.models import Change
from ports.moves import sentence
from ports.times import Clock, exact_length, length, zones

NOW = datetime(2026, 11, 25, 18, 30, tzinfo=UTC)
UTC_CLOCK = Clock(NOW, UTC, "UTC")


def at(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[arg-type, misc]


@pytest.mark.parametrize(
    ("moment", "words"),
    [
        (at(2026, 11, 25, 21, 30), "21:30 · in 3 h"),
        (at(2026, 11, 25, 18, 5), "18:05 · 25 min ago"),
        (NOW + timedelta(seconds=30), "18:30 · now"),
        (at(2026, 11, 26, 0, 15), "26 Nov 00:15 · in 5 h"),
        (at(2025, 8, 22, 9, 28), "22 Aug 2025 09:28 · 15 months ago"),
        (at(2011, 3, 1, 0, 0), "1 Mar 2011 00:00 · 15 years ago"),
    ],
)
def test_a_moment_has_its_date_only_where_it_is_needed(moment: datetime, words: str) -> None:
    assert f"{UTC_CLOCK.words(moment)} · {UTC_CLOCK.distance(moment)}" == words


def test_a_day_is_told_without_its_hour_unless_it_is_today() -> None:
    moments = (at(2026, 11, 25, 9, 5), at(2026, 11, 23, 9, 5), at(2025, 8, 22, 9, 28))
    assert [UTC_CLOCK.day(moment) for moment in moments] == ["09:05", "23 Nov", "22 Aug 2025"]


def test_today_is_that_of_the_zone() -> None:
    hong_kong = Clock(NOW, ZoneInfo("Asia/Hong_Kong"), "Hong Kong time")  # where it is the 26th already
    assert hong_kong.words(at(2026, 11, 25, 17, 0)) == "01:00"
    assert hong_kong.words(at(2026, 11, 25, 15, 0)) == "25 Nov 23:00"


@pytest.mark.parametrize(
    ("zone", "offset"),
    [("Asia/Hong_Kong", "UTC+8"), ("America/St_Johns", "UTC−3:30"), ("Asia/Kathmandu", "UTC+5:45"), ("UTC", "UTC+0")],
)
def test_the_offset_is_that_of_the_day(zone: str, offset: str) -> None:
    assert Clock(NOW, ZoneInfo(zone), "").offset == offset
    summer = Clock(at(2026, 7, 1), ZoneInfo("Europe/Helsinki"), "")
    assert (summer.offset, Clock(NOW, summer.zone, "").offset) == ("UTC+3", "UTC+2")


def test_a_moment_is_exact_for_programs_and_on_demand() -> None:
    told = Clock(NOW, ZoneInfo("America/Vancouver"), "Vancouver time").told(at(2026, 11, 25, 20, 0))
    assert 'datetime="2026-11-25T12:00-08:00"' in told
    assert 'title="Wednesday 25 November 2026, 12:00"' in told
    assert UTC_CLOCK.told(None) == ""


@pytest.mark.parametrize(
    ("minutes", "short", "exact"),
    [
        (0, "0 min", "0 min"),
        (59.9, "59 min", "1 h"),
        (205, "3 h", "3 h 25 min"),
        (-180, "3 h", "3 h"),
        (47 * 60 + 59, "47 h", "1 d 23 h"),
        (99 * 1440, "99 d", "99 d"),
        (400 * 1440, "13 months", "400 d"),
        (5117 * 1440, "14 years", "5117 d"),
    ],
)
def test_lengths_in_words(minutes: float, short: str, exact: str) -> None:
    assert (length(timedelta(minutes=minutes)), exact_length(timedelta(minutes=minutes))) == (short, exact)


def test_zones_that_an_address_may_name() -> None:
    assert {"Europe/Helsinki", "America/Vancouver", "UTC"} <= zones()
    assert not {"", "localtime", "../etc/passwd"} & zones()


ETA, LATER, SOONER = "2026-11-25T20:00:00+00:00", "2026-11-25T23:00:00+00:00", "2026-11-25T19:35:00+00:00"


@pytest.mark.parametrize(
    ("field", "was", "became", "words"),
    [
        ("eta", ETA, LATER, "ETA moved 3 h later, from 20:00 to 23:00"),
        ("eta", ETA, SOONER, "ETA moved 25 min earlier, from 20:00 to 19:35"),
        ("etd", "", ETA, "ETD: 20:00"),
        ("ata", ETA, "", "ATA no longer known, was 20:00"),
        ("leaves_at", ETA, LATER, "leaves moved 3 h later, from 20:00 to 23:00"),
        ("eta", "soon", "later", "ETA no longer known"),
        ("status", "", "expected", "new: expected"),
        ("status", "expected", "in_port", "arrived"),
        ("status", "in_port", "departed", "departed"),
        ("status", "expected", "gone", "gone from the feed"),
        ("status", "gone", "expected", "expected again"),
        ("status", "expected", "cancelled", "cancelled"),
        ("berth", "Quay 1", "Quay 2", "berth: Quay 2, was Quay 1"),
        ("berth", "", "Quay 2", "berth: Quay 2"),
        ("agent", "Wilson", "", "agent: no longer known, was Wilson"),
        ("vessel", "EVER GIVEN", "EVER GLOBE", "vessel: EVER GLOBE, was EVER GIVEN"),
        ("vessel", "EVER GIVEN", "EVER GIVEN", "recognised as another ship of the same name"),
    ],
)
def test_a_change_is_one_sentence(field: str, was: str, became: str, words: str) -> None:
    known: dict[str, Any] = {"field": field, "was": was, "became": became}
    assert sentence(Change(**known), UTC_CLOCK.words) == words
