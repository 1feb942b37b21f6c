"""Hong Kong's lists over real HTTP, from a server that does everything a server can do wrong: the old list stays."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from django.utils import timezone
from pytest_django import Settings

from ports import fetch
from ports.models import Feed, Port, PortCall, Refresh
from ports.refresh import NotYetError, refresh, replay
from ports.sources import Address, registry
from ports.sources.mardep import MarDep
from tests.ports import servers
from tests.ports.servers import Answer, Server

RECORDED = Path(__file__).resolve().parents[2] / "ports" / "example" / "hk-mardep-2025-08-22"
FILES = {file.name: file.read_bytes() for file in sorted(RECORDED.glob("*.XML"))}
DUE = FILES["RP04005i.XML"]
QUICK = fetch.Limits(connect=1, read=0.5, whole=1, pause=0.01)


@pytest.fixture
def server() -> Iterator[Server]:
    with servers.serving() as made:
        yield made


@pytest.fixture
def feed(
    db: None, settings: Settings, tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Feed]:
    """Hong Kong's feed at the server, told well once."""
    settings.RUN_DIR = tmp_path

    class Mirror(MarDep):
        name = "mirror"

        def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
            return [server.address(name) for name in FILES]

    registry()["mirror"] = Mirror()
    monkeypatch.setattr(fetch, "fetch", partial(fetch.fetch, limits=QUICK))
    made = Feed.objects.create(source="mirror", name="hong-kong", interval=timedelta(minutes=15))
    Port.objects.filter(locode="HKHKG").update(feed=made, is_enabled=True)
    for name, content in FILES.items():
        server.tell(f"/{name}", servers.tagged(content, f'"{name}"'))
    assert refresh(made).is_whole
    yield made
    registry().pop("mirror")


def rows() -> list[tuple[object, ...]]:
    return list(PortCall.objects.order_by("id").values_list("id", "status", "eta", "ata", "atd", "berth", "digest"))


BAD: dict[str, tuple[Answer, str]] = {
    "406": (servers.status(406, b"Use gzip."), "406"),
    "429": (servers.status(429, Retry_After="3600"), "429"),
    "500": (servers.status(500), "500"),
    "slow drip": (servers.drip(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100, 0.1), "RP04005i.XML"),
    "endless body": (servers.endless(), "MB"),
    "zip bomb": (servers.bomb(40_000_000), "MB"),
    "truncated body": (servers.cut(DUE, 1000), "RP04005i.XML"),
    "redirect": (servers.status(302, Location="https://elsewhere.invalid/new"), "https://elsewhere.invalid/new"),
    "wrong content type": (servers.whole(DUE, "image/png"), "image/png"),
    "HTML instead of XML": (servers.whole(b"<!DOCTYPE html><html><body>Sorry</body></html>", "text/html"), "page"),
    "HTML that says it is XML": (servers.whole(b"<html><body>Sorry</body></html>"), "page"),
    "empty": (servers.whole(b""), "RP04005i.XML"),
    "renamed key": (servers.whole(DUE.replace(b"ETA>", b"ARRIVES>")), "no row has ETA"),
    "renamed root": (servers.whole(DUE.replace(b"RP04005IXML", b"SHIPS")), "RP04005i.XML"),
    "malformed": (servers.whole(DUE[:-20]), "RP04005i.XML"),
    "no rows": (servers.whole(b"<RP04005IXML></RP04005IXML>"), "no ship at all"),
    "torn connection": (servers.reset(), "RP04005i.XML"),
}


@pytest.mark.parametrize("name", BAD)
def test_whatever_a_server_does_the_old_list_stays_and_a_sentence_says_why(
    feed: Feed, server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    answer, words = BAD[name]
    before = rows()
    server.tell("/RP04005i.XML", answer)
    result = refresh(feed, force=True)
    row = feed.last_refresh()
    assert row
    assert not result.is_whole
    assert words in row.error
    assert row.error.endswith(".")
    assert "Traceback" not in row.error + caplog.text
    assert rows() == before
    assert row.outcome in (Refresh.Outcome.FAILED, Refresh.Outcome.PARTIAL)


@pytest.mark.parametrize("name", [name for name in BAD if name != "429"])
def test_when_it_is_well_again_so_is_the_list(feed: Feed, server: Server, name: str) -> None:
    before = rows()
    server.tell("/RP04005i.XML", BAD[name][0])
    refresh(feed, force=True)
    server.tell("/RP04005i.XML", servers.whole(DUE))
    assert refresh(feed, force=True).outcome == Refresh.Outcome.UNCHANGED
    assert rows() == before


def test_what_the_other_files_say_is_taken_over_where_one_could_not_be_got(feed: Feed, server: Server) -> None:
    changed = FILES["RP06005i.XML"].replace(b"NORTH-WEST LAMMA ANCHORAGE", b"SOMEWHERE ELSE")
    server.tell("/RP04005i.XML", servers.status(500))
    server.tell("/RP06005i.XML", servers.whole(changed))
    result = refresh(feed, force=True)
    assert result.outcome == Refresh.Outcome.PARTIAL
    assert result.counts["HKHKG"].fields["berth"] > 0
    assert result.counts["HKHKG"].gone == 0


def test_500_then_fine_is_a_good_refresh(feed: Feed, server: Server) -> None:
    server.tell("/RP04005i.XML", servers.status(500), servers.whole(DUE))
    assert refresh(feed, force=True).outcome == Refresh.Outcome.UNCHANGED


def test_an_unchanged_answer_is_fresh_and_not_read_again(feed: Feed, server: Server) -> None:
    result = refresh(feed, force=True)
    assert (result.outcome, result.refresh and result.refresh.bytes) == (Refresh.Outcome.UNCHANGED, 0)
    assert result.counts["HKHKG"].calls == PortCall.objects.listed().count()


def test_what_is_remembered_of_an_answer_is_kept_in_the_database(feed: Feed, server: Server) -> None:
    refresh(Feed.objects.get(pk=feed.pk), force=True)
    assert [server.asked_for(name)[-1].headers["if-none-match"] for name in FILES] == [f'"{name}"' for name in FILES]


def test_a_pause_that_was_asked_for_is_kept_by_whoever_comes_next(feed: Feed, server: Server) -> None:
    server.tell("/RP04005i.XML", servers.status(429, Retry_After="3600"))
    refresh(feed, force=True)
    with pytest.raises(NotYetError, match="asks us to wait until"):
        refresh(Feed.objects.get(pk=feed.pk), force=True)


def test_after_recorded_files_the_publisher_is_asked_for_all_of_it(feed: Feed, server: Server) -> None:
    """304 would say that the recorded list is fresh."""
    other = FILES | {"RP04005i.XML": DUE.replace(b"AC SPLENDOR", b"AC DC")}
    replay(feed, other, timezone.now())
    assert refresh(feed, force=True).counts["HKHKG"].changed == 1


def test_a_port_that_is_turned_on_later_is_read_though_nothing_changed(feed: Feed) -> None:
    """Its feed may have been asked for other ports before: 304 would leave it empty."""
    Port.objects.filter(locode="HKHKG").update(loaded_at=None)
    PortCall.objects.all().delete()
    assert refresh(feed, force=True).counts["HKHKG"].new > 300
