"""Real HTTP, from a server that does everything a server can do wrong: the old list of ships stays."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.utils import timezone
from pytest_django import Settings

from ports import fetch
from ports.fetch.limits import Limits
from ports.models import Feed, Port, PortCall, Refresh
from ports.refresh import NotYetError, refresh, replay
from ports.sources import Address, registry
from ports.sources.digitraffic import Digitraffic
from ports.sources.mardep import MarDep
from tests.ports import servers
from tests.ports.servers import Answer, Server
from tests.ports.sources.samples import SAMPLES

RECORDED = Path(__file__).resolve().parents[2] / "ports" / "example" / "hk-mardep-2025-08-22"
FILES = {file.name: file.read_bytes() for file in sorted(RECORDED.glob("*.XML"))}
DUE = FILES["RP04005i.XML"]
PATIENT = Limits(size=1_000_000, pause=0.01)
QUICK = replace(PATIENT, connect=1, read=0.5, whole=1)
"""Where a server drips, which is to be waited for."""


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
    monkeypatch.setattr(fetch, "fetch", partial(fetch.fetch, limits=PATIENT))
    made = Feed.objects.create(source="mirror", name="hong-kong", interval=timedelta(minutes=15))
    Port.objects.filter(locode="HKHKG").update(feed=made, is_enabled=True)
    for name, content in FILES.items():
        server.tell(f"/{name}", servers.tagged(content, f'"{name}"'))
    assert refresh(made).is_whole
    yield made
    registry().pop("mirror")


@pytest.fixture
def rauma(feed: Feed, server: Server) -> Iterator[Feed]:
    """Rauma's feed of one file at the same server, told well once."""

    class Mirror(Digitraffic):
        name = "mirror-fi"

        def addresses(self, feed: str, at: datetime) -> Sequence[Address]:
            return [server.address(RAUMA.name)]

    registry()["mirror-fi"] = Mirror()
    made = Feed.objects.create(source="mirror-fi", name="FIRAU", interval=timedelta(minutes=15))
    Port.objects.filter(locode="FIRAU").update(feed=made, is_enabled=True)
    server.tell(f"/{RAUMA.name}", RAUMA.whole())
    assert refresh(made).is_whole
    yield made
    registry().pop("mirror-fi")


def rows() -> list[tuple[object, ...]]:
    return list(PortCall.objects.order_by("id").values_list("id", "status", "eta", "ata", "atd", "berth", "digest"))


# --- whatever a server does ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class File:
    """One file of a feed, and how it would be broken."""

    name: str
    content: bytes
    content_type: str
    root: bytes
    key: bytes
    """Of a field that no row can do without."""
    no_rows: bytes

    @classmethod
    def of(cls, name: str, content: bytes) -> "File":
        if name.endswith(".json"):
            return cls(name, content, "application/json", b"portCalls", b"portCallId", b'{"portCalls": []}')
        root = name.upper().replace(".", "").encode()
        key = next(key for key in (b"ETA", b"ARRIVAL_TIME", b"ATD_TIME") if b"<%b>" % key in content)
        return cls(name, content, "application/xml", root, key, b"<%b></%b>" % (root, root))

    def whole(self, body: bytes | None = None) -> Answer:
        return servers.whole(self.content if body is None else body, self.content_type)

    def dripping(self) -> Answer:
        """The headers at once, and then one byte after another."""
        head = f"HTTP/1.1 200 OK\r\nContent-Type: {self.content_type}\r\nContent-Length: {len(self.content)}\r\n\r\n"

        def answer(handler: Any) -> None:
            handler.connection.sendall(head.encode())
            servers.drip(self.content, 0.1)(handler)

        return answer


FAILED, PARTIAL, UNCHANGED = Refresh.Outcome.FAILED, Refresh.Outcome.PARTIAL, Refresh.Outcome.UNCHANGED
HTML = b"<!DOCTYPE html><html><body>Sorry</body></html>"
DRIPPED = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100
BAD: dict[str, tuple[Callable[[File], Answer], str, Refresh.Outcome]] = {
    "406": (lambda file: servers.status(406, b"Use gzip."), "406", PARTIAL),
    "429": (lambda file: servers.status(429, Retry_After="3600"), "429", FAILED),
    "500": (lambda file: servers.status(500), "500", PARTIAL),
    "headers that drip": (lambda file: servers.drip(DRIPPED, 0.1), "{file}", PARTIAL),
    "a body that drips": (File.dripping, "{file}", PARTIAL),
    "endless body": (lambda file: servers.endless(), "larger than 1 MB", PARTIAL),
    "zip bomb": (lambda file: servers.bomb(40_000_000), "larger than 1 MB", PARTIAL),
    "truncated body": (lambda file: servers.cut(file.content, 1000), "{file}", PARTIAL),
    "redirect": (
        *(lambda file: servers.status(302, Location="https://elsewhere.invalid/new"), "https://elsewhere.invalid/new"),
        PARTIAL,
    ),
    "wrong content type": (lambda file: servers.whole(file.content, "image/png"), "image/png", PARTIAL),
    "HTML instead": (lambda file: servers.whole(HTML, "text/html"), "page", PARTIAL),
    "HTML that says it is none": (lambda file: file.whole(HTML), "page", PARTIAL),
    "empty": (lambda file: file.whole(b""), "{file}", PARTIAL),
    "torn connection": (lambda file: servers.reset(), "{file}", PARTIAL),
    # What came whole and says something else than it should is a publisher who changed: nothing of it is believed.
    "renamed key": (lambda file: file.whole(file.content.replace(file.key, b"WHEN")), "{key}", FAILED),
    "renamed root": (lambda file: file.whole(file.content.replace(file.root, b"SHIPS")), "{file}", FAILED),
    "malformed": (lambda file: file.whole(file.content[:-20]), "{file}", FAILED),
    "no rows": (lambda file: file.whole(file.no_rows), "{file}", FAILED),
}
"""What a server does to a file, words of the sentence about it, and the outcome where the three others are well.

After 429 these are not asked for.
"""


def see_it_fail(
    feed: Feed, outcome: Refresh.Outcome, words: str, log: pytest.LogCaptureFixture, *, is_slow: bool
) -> None:
    """Refresh: the old list stays, and a sentence says why."""
    before = rows()
    with pytest.MonkeyPatch.context() as patch:
        if is_slow:
            patch.setattr(fetch, "fetch", partial(fetch.fetch, limits=QUICK))
        result, row = refresh(feed, force=True), feed.last_refresh()
    assert row
    assert (result.outcome, row.outcome) == (outcome, outcome), row.error
    assert words in row.error
    assert row.error.endswith(".") or (len(row.error), row.error[-1]) == (500, "…")
    assert "Traceback" not in row.error + log.text
    assert rows() == before
    Feed.objects.filter(pk=feed.pk).update(next_allowed_at=None)


def see_it_well_again(feed: Feed) -> None:
    before = rows()
    assert refresh(feed, force=True).outcome == UNCHANGED
    assert rows() == before


@pytest.mark.parametrize("name", BAD)
def test_whatever_a_server_does_the_old_list_stays_and_a_sentence_says_why(
    feed: Feed, server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """To one of the four files, and to all of them."""
    make, words, outcome = BAD[name]
    due, *others = files = [File.of(*file) for file in FILES.items()]
    said = words.format(file=due.name, key=due.key.decode())
    server.tell(f"/{due.name}", make(due))
    see_it_fail(feed, outcome, said, caplog, is_slow="drip" in name)
    for file in others:
        server.tell(f"/{file.name}", make(file))
    see_it_fail(feed, FAILED, said, caplog, is_slow="drip" in name)
    for file in files:
        server.tell(f"/{file.name}", file.whole())
    see_it_well_again(feed)


@pytest.mark.parametrize("name", BAD)
def test_of_a_feed_with_one_file_nothing_is_left_to_take_over(
    rauma: Feed, server: Server, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    make, words, _ = BAD[name]
    server.tell(f"/{RAUMA.name}", make(RAUMA))
    see_it_fail(rauma, FAILED, words.format(file=RAUMA.name, key=RAUMA.key.decode()), caplog, is_slow="drip" in name)
    server.tell(f"/{RAUMA.name}", RAUMA.whole())
    see_it_well_again(rauma)


def test_what_comes_packed_is_read(feed: Feed, rauma: Feed, server: Server) -> None:
    for file in (RAUMA, *(File.of(*file) for file in FILES.items())):
        server.tell(f"/{file.name}", servers.zipped(file.content, file.content_type))
    for one in (feed, rauma):
        see_it_well_again(one)
        last = one.last_refresh()
        assert last
        assert 0 < last.bytes < 100_000


def test_the_command_says_what_is_missing_and_that_not_all_is_well(
    feed: Feed, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    server.tell("/RP04005i.XML", servers.status(500))
    with pytest.raises(SystemExit) as end:
        call_command("refresh_ships", "HKHKG", "--force")
    said = capsys.readouterr()
    assert end.value.code == 1
    assert re.fullmatch(r"HKHKG mirror: \d+ calls: 0 new, 0 changed, without RP04005i\.XML, \d\.\d\d s\n", said.out)
    assert said.err.startswith(f"HKHKG mirror: partly done: {server.host} has a trouble of its own (500). ")
    assert said.err.count("\n") == 1


RAUMA = File.of("FIRAU.json", (SAMPLES / "digitraffic" / "2019" / "FIRAU.json").read_bytes())


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
