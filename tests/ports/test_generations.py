"""Hong Kong's recorded answers played in their order, against a count made from the bare files, without our code."""

import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from xml.etree import ElementTree
from zoneinfo import ZoneInfo

import pytest
from django.utils import timezone
from pytest_django import Settings

from ports.models import Change, Feed, Port, PortCall
from ports.refresh import RefreshError, replay
from ports.takeover import Result

RECORDED = Path(__file__).resolve().parents[2] / "ports" / "example"
HONG_KONG = ZoneInfo("Asia/Hong_Kong")
THEN, NOW = datetime(2025, 8, 18, 20, 30, tzinfo=HONG_KONG), datetime(2025, 8, 22, 21, 25, tzinfo=HONG_KONG)
OLD, NEW = RECORDED / "hk-mardep-2025-08-18", RECORDED / "hk-mardep-2025-08-22"

Rows = dict[str, dict[str, str]]


class Raw:
    """One generation by call sign, as ElementTree has it. No call sign stands twice in a list."""

    def __init__(self, folder: Path) -> None:
        self.due = self._rows(folder / "RP04005i.XML")
        self.arrived = self._rows(folder / "RP05005i.XML")
        self.here = self._rows(folder / "RP06005i.XML")
        self.left = self._rows(folder / "RP05505i.XML")

    @staticmethod
    def _rows(file: Path) -> Rows:
        found = [{cell.tag: (cell.text or "").strip() for cell in row} for row in ElementTree.parse(file).getroot()]
        rows = {row["CALL_SIGN"]: row for row in found}
        assert len(rows) == len(found)
        return rows

    @property
    def in_port(self) -> set[str]:
        """Who lies there; a list may still name one who has just left."""
        return {sign for sign in self.here if not self.has_left(sign)}

    def has_left(self, sign: str) -> bool:
        left = self.left.get(sign)
        return left is not None and moment(left["ATD_TIME"]) >= moment(self.here[sign]["ARRIVAL_TIME"])


def moment(words: str) -> datetime:
    form = "%Y/%m/%d %H:%M" if "/" in words else "%d-%b-%Y %H:%M"
    return datetime.strptime(words, form).replace(tzinfo=HONG_KONG)


@pytest.fixture
def feed(db: None, settings: Settings, tmp_path: Path) -> Feed:
    settings.RUN_DIR = tmp_path
    return Port.objects.get(locode="HKHKG").feed


def play(feed: Feed, folder: Path, at: datetime) -> Result:
    return replay(feed, {file.name: file.read_bytes() for file in folder.glob("*.XML")}, at)


def signs(calls: Iterable[PortCall]) -> list[str]:
    return sorted(call.vessel.call_sign for call in calls)


def changes(field: str, **where: str) -> list[Change]:
    return list(Change.objects.filter(field=field, **where).select_related("call__vessel"))


@pytest.fixture
def played(feed: Feed) -> Feed:
    play(feed, OLD, THEN)
    play(feed, NEW, NOW)
    return feed


def test_the_first_answer_gives_its_lists(feed: Feed) -> None:
    play(feed, OLD, THEN)
    raw = Raw(OLD)
    assert signs(PortCall.objects.expected()) == sorted(raw.due)
    assert signs(PortCall.objects.in_port()) == sorted(raw.in_port)
    assert signs(PortCall.objects.departed()) == sorted(raw.left)


def test_the_next_answer_gives_its_lists(played: Feed) -> None:
    raw = Raw(NEW)
    assert signs(PortCall.objects.expected()) == sorted(raw.due)
    assert signs(PortCall.objects.in_port()) == sorted(raw.in_port)


def test_arrivals_are_those_who_were_due_and_are_there_now(played: Feed) -> None:
    old, new = Raw(OLD), Raw(NEW)
    arrived = {sign for sign in new.in_port if sign in old.due and sign not in new.left}
    assert signs(change.call for change in changes("status", was="expected", became="in_port")) == sorted(arrived)


def test_departures_are_those_who_were_there_or_due_and_left_since(played: Feed) -> None:
    old, new = Raw(OLD), Raw(NEW)
    left = {sign for sign, row in new.left.items() if moment(row["ATD_TIME"]) > THEN}
    assert signs(change.call for change in changes("status", became="departed")) == sorted(left)
    from_port = {change.call.vessel.call_sign for change in changes("status", was="in_port", became="departed")}
    assert from_port == left & old.in_port


def test_eta_moves_are_those_of_ships_still_due(played: Feed) -> None:
    old, new = Raw(OLD), Raw(NEW)
    waiting = {sign for sign in old.due.keys() & new.due.keys() if sign not in new.left and sign not in new.arrived}
    moved = {sign for sign in waiting if old.due[sign]["ETA"] != new.due[sign]["ETA"]}
    told = changes("eta")
    assert signs(change.call for change in told) == sorted(moved)
    for change in told:
        sign = change.call.vessel.call_sign
        assert datetime.fromisoformat(change.was) == moment(old.due[sign]["ETA"])
        assert datetime.fromisoformat(change.became) == moment(new.due[sign]["ETA"])


def test_berth_moves_are_those_of_ships_that_stayed(played: Feed) -> None:
    old, new = Raw(OLD), Raw(NEW)
    last = {sign: new.left[sign] for sign in old.in_port & new.left.keys() if moment(new.left[sign]["ATD_TIME"]) > THEN}
    for sign in (old.in_port & new.in_port) - last.keys():
        if new.here[sign]["ARRIVAL_TIME"] == old.here[sign]["ARRIVAL_TIME"]:
            last[sign] = new.here[sign]

    def place(row: dict[str, str]) -> str:
        return re.sub(r"\W", "", row.get("CURRENT_LOCATION") or row["LAST_BERTH"])

    moved = {sign for sign, row in last.items() if place(old.here[sign]) != place(row)}
    told = [change for change in changes("berth") if change.was]
    assert signs(change.call for change in told) == sorted(moved)


def test_who_vanished_is_gone_and_was_never_called_departed(played: Feed) -> None:
    old, new = Raw(OLD), Raw(NEW)
    nowhere = (old.in_port | old.due.keys()) - new.due.keys() - new.in_port - new.left.keys()
    gone = {change.call.vessel.call_sign for change in changes("status", became="gone")}
    assert nowhere <= gone
    assert not nowhere & set(signs(change.call for change in changes("status", became="departed")))


def test_playing_an_answer_twice_changes_nothing(played: Feed) -> None:
    before = Change.objects.count()
    result = play(played, NEW, NOW)
    assert result.counts["HKHKG"].is_nothing
    assert Change.objects.count() == before


def test_playing_an_older_answer_is_refused(played: Feed) -> None:
    with pytest.raises(RefreshError, match="an older answer changes nothing"):
        play(played, OLD, THEN)


def test_the_log_counts_what_was_logged(played: Feed) -> None:
    last = played.last_good()
    assert last
    counts = last.counts["HKHKG"]
    moved = set(Change.objects.filter(refresh=last).values_list("call", flat=True))
    assert len(moved) == counts["new"] + counts["changed"] + counts["departed"] + counts["gone"]
    assert last.as_of == NOW.astimezone(UTC)
    assert timezone.now() - last.started_at < timedelta(minutes=5)
