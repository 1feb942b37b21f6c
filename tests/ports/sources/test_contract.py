"""What holds for every source. A new one is held to it by its lines in the registry and in samples.py."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import groupby
from zoneinfo import ZoneInfo

import pycountry
import pytest
import time_machine

from ports import identity
from ports.models import Berth, Feed, Port, PortCall, Vessel
from ports.models.feed import SHORTEST_INTERVAL
from ports.snapshot import OPEN, CallReport, Ship, Snapshot, Status, StayReport
from ports.sources import Source, SourceError, registry
from tests.ports.sources.samples import GOOD, ROOT, Sample

BROKEN = {
    "empty": b"",
    "blank": b" \r\n",
    "HTML": b"<!DOCTYPE html><html><head><title>Sorry</title></head><body>Down for maintenance</body></html>",
    "bare HTML": b"<html><body>Down for maintenance</body></html>",
    "text": b"Service unavailable",
    "null": b"null",
    "an empty list": b"[]",
    "an empty object": b"{}",
    "a number": b"1",
    "XML of another kind": b'<?xml version="1.0"?><rss version="2.0"><channel/></rss>',
    "NUL": b"\x00" * 100,
    "not UTF-8": b"\xff\xfe\xfd{}",
    "deep XML": b"<a>" * 600_000,
    "deep JSON": b"[" * 2_000_000,
}


@pytest.fixture(params=sorted(registry()))
def source(request: pytest.FixtureRequest) -> Source:
    return registry()[request.param]


@pytest.fixture
def sample(source: Source) -> Sample:
    assert source.name in GOOD, f"tests/ports/sources/samples.py has no sample of {source.name}."
    return GOOD[source.name]


@pytest.fixture
def snapshot(source: Source, sample: Sample) -> Snapshot:
    return source.parse(sample.files, sample.at)


def ships(snapshot: Snapshot) -> list[Ship]:
    return [call.ship for call in snapshot.calls]


def stays(snapshot: Snapshot) -> list[StayReport]:
    return [stay for call in snapshot.calls for stay in call.stays]


def moments(told: CallReport | StayReport | Snapshot) -> list[datetime]:
    values = (getattr(told, field.name) for field in fields(told))
    return [value for value in values if isinstance(value, datetime)]


# --- what it says of itself ---------------------------------------------------------------------------------


def test_says_who_publishes_under_which_terms_and_where_to_look(source: Source) -> None:
    for told in (source.title, source.publisher, source.attribution, source.licence):
        assert told == told.strip() != ""
    assert source.page.startswith("https://")
    assert source.licence_url == "" or source.licence_url.startswith("https://")


def test_the_documentation_has_a_section_on_it(source: Source) -> None:
    sections = (ROOT / "docs" / "sources.md").read_text().split("\n## ")[1:]
    own = [section for section in sections if section.startswith(f"{source.name}:")]
    assert len(own) == 1, f"docs/sources.md has no section “{source.name}: …”."
    assert source.publisher in own[0]
    assert "Checked against" in own[0]


def test_asks_politely(source: Source) -> None:
    assert SHORTEST_INTERVAL <= source.interval <= timedelta(hours=6)


def test_its_names_fit_the_database(source: Source) -> None:
    Feed._meta.get_field("source").clean(source.name, None)
    for name in source.feeds:
        Feed._meta.get_field("name").clean(name, None)


def test_its_zones_exist(source: Source) -> None:
    assert ZoneInfo(source.zone)
    assert all(ZoneInfo(port.zone) for ports in source.feeds.values() for port in ports)


def test_its_ports_are_ports(source: Source) -> None:
    assert source.feeds
    for ports in source.feeds.values():
        assert ports
        for port in ports:
            row = Port(**{field.name: getattr(port, field.name) for field in fields(port)})
            row.clean_fields(exclude=["feed"])
            assert port.locode[:2] == port.country
            assert pycountry.countries.get(alpha_2=port.country)
            assert port.latitude is None or -90 <= port.latitude <= 90
            assert port.longitude is None or -180 <= port.longitude <= 180


def test_no_two_feeds_tell_of_one_port() -> None:
    locodes = [port.locode for source in registry().values() for ports in source.feeds.values() for port in ports]
    assert len(locodes) == len(set(locodes))


def test_its_addresses_are_files_of_different_names_over_https(source: Source) -> None:
    at = datetime(2026, 11, 25, 12, tzinfo=UTC)
    for feed in source.feeds:
        addresses = source.addresses(feed, at)
        names = [address.file.casefold() for address in addresses]
        assert names
        assert len(names) == len(set(names))
        assert all(address.url.startswith("https://") for address in addresses)
        assert all("/" not in address.file and address.file == address.file.strip() for address in addresses)


def test_the_sample_is_what_its_addresses_name(source: Source, sample: Sample) -> None:
    asked = {address.file.casefold() for address in source.addresses(sample.feed, sample.at)}
    assert {name.casefold() for name in sample.files} == asked


# --- what it reads ------------------------------------------------------------------------------------------


def test_reads_its_sample(snapshot: Snapshot, sample: Sample) -> None:
    assert snapshot.calls
    assert snapshot.missing == ()
    assert snapshot.at == sample.at


@contextmanager
def nothing_but_bytes(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Neither the network nor another thread; the clock cannot be taken away, so it is compared below."""

    def refuse(*args: object, **kwargs: object) -> None:
        raise AssertionError("parse() reaches outside")

    with monkeypatch.context() as patch:
        patch.setattr(socket, "socket", refuse)
        patch.setattr(threading.Thread, "start", refuse)
        yield


def test_reads_the_same_twice_and_asks_nobody(
    source: Source, sample: Sample, snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is closed to this test: pytest-django lets none in that did not ask."""
    files = sample.files
    before = dict(files)
    with nothing_but_bytes(monkeypatch):
        again = source.parse(files, sample.at)
    assert again == snapshot
    assert files == before


def test_what_is_read_does_not_hang_on_the_clock(source: Source, sample: Sample, snapshot: Snapshot) -> None:
    """Years later the same bytes at the same moment say the same."""
    with time_machine.travel(datetime(2031, 2, 3, tzinfo=UTC), tick=False):
        assert source.parse(sample.files, sample.at) == snapshot


def test_a_timeless_source_says_the_same_of_the_same_bytes_at_any_moment(
    source: Source, sample: Sample, snapshot: Snapshot
) -> None:
    later = source.parse(sample.files, sample.at + timedelta(days=1))
    assert (later.calls == snapshot.calls) or not source.is_timeless
    assert later.at == sample.at + timedelta(days=1)


def test_the_letter_case_of_a_file_is_nothing(source: Source, sample: Sample, snapshot: Snapshot) -> None:
    for change in (str.lower, str.upper):
        assert source.parse({change(name): content for name, content in sample.files.items()}, sample.at) == snapshot


def test_every_moment_is_aware(snapshot: Snapshot) -> None:
    told = [snapshot, *snapshot.calls, *stays(snapshot)]
    found = [moment for one in told for moment in moments(one)]
    assert len(found) > len(snapshot.calls)
    assert all(moment.utcoffset() is not None for moment in found)


def test_calls_are_of_the_ports_of_the_feed(source: Source, sample: Sample, snapshot: Snapshot) -> None:
    assert {call.port for call in snapshot.calls} <= {port.locode for port in source.feeds[sample.feed]}


def test_statuses_are_known_and_none_is_gone(snapshot: Snapshot) -> None:
    told = {call.status for call in snapshot.calls}
    assert all(isinstance(status, Status) for status in told | snapshot.complete)
    assert Status.GONE not in told
    assert snapshot.complete <= set(OPEN)


def test_its_keys_are_its_own(snapshot: Snapshot) -> None:
    keys = [(call.port, call.key) for call in snapshot.calls if call.key]
    assert len(keys) == len(set(keys))


def test_a_ship_without_keys_is_in_port_once(snapshot: Snapshot) -> None:
    here = [(call.port, call.ship) for call in snapshot.calls if not call.key and call.status == Status.IN_PORT]
    assert len(here) == len(set(here))


def test_what_it_tells_fits_the_database(snapshot: Snapshot) -> None:
    for ship in ships(snapshot):
        values = {name: getattr(ship, name) for name in ("imo", "mmsi", "call_sign", "flag", "type", "source_type")}
        row = Vessel(name=ship.name, first_seen_at=snapshot.at, **values)
        row.clean_fields(exclude=[] if ship.name else ["name"])
        row.clean()
    for call in snapshot.calls:
        PortCall(
            agent=call.agent, previous_port=call.previous_port, next_port=call.next_port, key=call.key
        ).clean_fields(exclude=["port", "vessel", "first_seen_at", "digest", "status", "last_seen_at"])
    for stay in stays(snapshot):
        row_of_berth = Berth(key=stay.key or stay.berth, name=stay.berth, area=stay.area, kind=stay.kind)
        row_of_berth.clean_fields(exclude=["port"])


def test_ships_have_right_numbers_or_none(snapshot: Snapshot) -> None:
    for ship in ships(snapshot):
        assert ship.imo == identity.imo(ship.imo)
        assert ship.mmsi == identity.mmsi(ship.mmsi)
        assert ship.call_sign == identity.call_sign(ship.call_sign)
        assert ship.flag == "" or pycountry.countries.get(alpha_2=ship.flag)
        assert ship.name or ship.imo or ship.mmsi or ship.call_sign


def test_the_calls_of_a_ship_stand_in_the_order_of_time(snapshot: Snapshot) -> None:
    keyless = [call for call in snapshot.calls if not call.key]
    for _, told in groupby(keyless, key=lambda call: (call.port, call.ship)):
        when = [call.ata or call.atd or call.eta for call in told]
        known = [moment for moment in when if moment]
        assert known == sorted(known)


# --- what it refuses ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN.keys())
def test_what_cannot_be_its_answer_is_refused_with_a_sentence(source: Source, sample: Sample, content: bytes) -> None:
    for name in sample.files:
        with pytest.raises(SourceError) as error:
            source.parse({**sample.files, name: content}, sample.at)
        assert_sentence(error.value)


def test_no_file_at_all_is_refused(source: Source, sample: Sample) -> None:
    for files in ({}, {"README.txt": b"hello"}):
        with pytest.raises(SourceError) as error:
            source.parse(files, sample.at)
        assert_sentence(error.value)


@pytest.mark.parametrize("part", [0.5, 0.9, 0.999])
def test_a_truncated_file_is_refused(source: Source, sample: Sample, part: float) -> None:
    for name, content in sample.files.items():
        with pytest.raises(SourceError) as error:
            source.parse({**sample.files, name: content[: int(len(content.rstrip()) * part)]}, sample.at)
        assert_sentence(error.value)


def test_20_megabytes_are_refused_or_read_within_seconds(source: Source, sample: Sample) -> None:
    for name, content in sample.files.items():
        began = time.process_time()
        with pytest.raises(SourceError) as error:
            source.parse({**sample.files, name: content + b" " * 20_000_000 + b"<!"}, sample.at)
        assert time.process_time() - began < 5
        assert_sentence(error.value)


def assert_sentence(error: SourceError) -> None:
    """One line that a person can read, and that a Refresh can keep."""
    words = str(error)
    assert words.endswith(".")
    assert words.isprintable()
    assert 15 < len(words) <= 400
