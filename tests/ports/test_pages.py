"""The pages of ports: which there are, what a list says of a ship, how fresh it is, and what one may do."""

import os
import re
import socket
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries

from accounts.models import User
from ports import example, watch
from ports.counts import MOST_COUNTED
from ports.ledger import Tally
from ports.models import Change, Feed, Follow, Port, PortCall, Refresh, Vessel
from ports.snapshot import OPEN, BerthKind, Status, StayReport
from ports.sources import registry
from ports.views import port as page
from relays.models import Board, Relay
from tests.ports.told import Teller, call, hour, ship
from tests.relays.test_views import said, text

TABS = ["in-port", "expected", "departed", "changes", "berths"]


@pytest.fixture
def alpha(known: Teller) -> Port:
    """Some ships in every state, and hour 30 for ever, as in an example."""
    near = StayReport("Quay 2", kind=BerthKind.BERTH)
    far = StayReport("North anchorage", kind=BerthKind.ANCHORAGE)
    lying = call(Status.IN_PORT, "LYING", ata=hour(20), stays=(near,), agent="Wilson", previous_port="Kobe")
    waiting = call(Status.IN_PORT, "WAITING", ata=hour(10), stays=(far,))
    resident = call(Status.IN_PORT, "RESIDENT", ata=hour(-400), stays=(near,))
    due = [call(name="LATE", eta=hour(26)), call(name="SOON", eta=hour(40), ship=ship("SOON", flag="PA"))]
    known.tell(lying, waiting, resident, *due, call(Status.IN_PORT, "LEAVING", ata=hour(1)), at=27)
    due[1] = call(eta=hour(43), ship=ship("SOON", flag="PA"))
    known.tell(lying, waiting, resident, *due, call(Status.DEPARTED, "LEAVING", ata=hour(1), atd=hour(28)), at=29)
    Port.objects.filter(locode="XXAAA").update(is_enabled=False, is_example=True, example_at=hour(30))
    return Port.objects.get(locode="XXAAA")


def look(client: Client, tab: str = "in-port", query: str = "", **options: Any) -> Any:
    return client.get(f"/ports/XXAAA/{tab}/{query}", **options)


def names(response: Any) -> list[str]:
    return [line.call.vessel.name for line in response.context["lines"]]


# --- the lists ----------------------------------------------------------------------------------------------


def test_a_port_opens_with_who_lies_there(as_viewer: Client, alpha: Port) -> None:
    response = as_viewer.get("/ports/XXAAA/")
    assert (response.status_code, response["Location"]) == (302, "/ports/XXAAA/in-port/")
    assert as_viewer.get("/ports/xxaaa/")["Location"] == "/ports/XXAAA/in-port/"


def test_ships_in_port_stand_by_what_they_lie_at_the_latest_first(as_viewer: Client, alpha: Port) -> None:
    response = look(as_viewer)
    assert names(response) == ["LYING", "RESIDENT", "WAITING"]
    assert [line.group for line in response.context["lines"]] == ["At berth", "", "At anchor"]
    shown = text(response)
    for words in ("08:00 · 10 h ago", "Quay 2", "Wilson", "Kobe", "long stay", "3 ships"):
        assert words in shown


def test_expected_ships_stand_in_the_order_of_their_etas_with_what_moved(as_viewer: Client, alpha: Port) -> None:
    response = look(as_viewer, "expected")
    assert names(response) == ["LATE", "SOON"]
    badges = [[badge.words for badge in line.badges] for line in response.context["lines"]]
    assert badges == [["overdue 4 h"], ["ETA moved 3 h later"]]
    assert "12 Jan 07:00 · in 13 h" in text(response)
    assert "other · Panama" in text(response)


def test_an_eta_that_moved_long_ago_is_no_news(as_viewer: Client, alpha: Port) -> None:
    Change.objects.filter(field="eta").update(seen_at=hour(30) - timedelta(hours=25))
    assert "moved" not in text(look(as_viewer, "expected"))


def test_departed_ships_say_when_they_left(as_viewer: Client, alpha: Port) -> None:
    response = look(as_viewer, "departed")
    assert names(response) == ["LEAVING"]
    assert "11 Jan 16:00" not in text(response), "of today the time is enough"
    assert "16:00 · 2 h ago" in text(response)


def test_changes_are_told_in_sentences_newest_first(as_viewer: Client, alpha: Port) -> None:
    sentences = [words for _, words in look(as_viewer, "changes").context["changes"]]
    assert {"departed", "ETA moved 3 h later, from 12 Jan 04:00 to 12 Jan 07:00"} <= {*sentences[:3]}
    assert sentences.index("new: expected") > sentences.index("departed")


def test_who_vanished_is_called_gone_and_never_departed(as_viewer: Client, alpha: Port, known: Teller) -> None:
    known.tell(call(Status.IN_PORT, "LYING", ata=hour(20)), at=29.5)
    assert names(look(as_viewer, "expected")) == []
    assert names(look(as_viewer, "departed")) == ["LEAVING"]
    response = look(as_viewer, "changes", "?field=status&became=gone")
    gone = {change.call.vessel.name for change, _ in response.context["changes"]}
    assert gone == {"LATE", "SOON", "WAITING", "RESIDENT", "OLD LADY"}
    assert [words for _, words in response.context["changes"]] == ["gone from the feed"] * 5


def lose(*, days: float) -> None:
    """Let the feed have told no more of any ship for so long, though it never said what became of them."""
    PortCall.objects.filter(status__in=OPEN).update(last_seen_at=hour(30) - timedelta(days=days))


def test_who_is_open_and_in_the_feed_no_more_is_marked_and_not_called_overdue(
    as_viewer: Client, alpha: Port, known: Teller
) -> None:
    known.tell(complete=frozenset(), at=29.9)
    assert set(PortCall.objects.filter(status__in=OPEN).values_list("last_seen_at", flat=True)) == {hour(29)}
    assert "not in the feed since 17:00" in text(look(as_viewer))
    lose(days=9)
    for tab in ("in-port", "expected"):
        for line in look(as_viewer, tab).context["lines"]:
            words = {badge.words: badge.is_caution for badge in line.badges}
            assert words["not in the feed since 2 Jan"] is True
            assert not any(word.startswith("overdue") for word in words)
    assert "not in the feed" not in text(look(as_viewer, "departed"))


def test_a_ship_that_one_follows_is_marked(as_viewer: Client, viewer: User, alpha: Port) -> None:
    Follow.objects.create(user=viewer, vessel=Vessel.objects.get(name="LYING"))
    marked = [line.call.vessel.name for line in look(as_viewer).context["lines"] if "followed" in str(line.badges)]
    assert marked == ["LYING"]


def test_contradicting_times_are_marked(as_viewer: Client, alpha: Port) -> None:
    PortCall.objects.filter(vessel__name="LYING").update(is_doubtful=True)
    assert "times contradict each other" in text(look(as_viewer))


def test_nothing_is_listed_before_the_first_load_is_whole(as_viewer: Client, alpha: Port) -> None:
    Port.objects.update(loaded_at=None)
    for tab in TABS:
        shown = text(look(as_viewer, tab))
        assert not any(name in shown for name in ("LYING", "SOON", "LEAVING")), tab
    assert "Its ships are not here yet" in text(look(as_viewer))


def test_a_port_without_ships_says_so(as_viewer: Client, alpha: Port) -> None:
    Change.objects.all().delete()
    PortCall.objects.all().delete()
    assert "No ship is told of here." in text(look(as_viewer))
    assert "Nothing has changed since the first refresh." in text(look(as_viewer, "changes"))
    assert "No ship lies here" in text(look(as_viewer, "berths"))


def test_the_source_its_terms_and_its_page_stand_on_every_list(as_viewer: Client, alpha: Port) -> None:
    for tab in TABS:
        response = look(as_viewer, tab)
        assert "Source: Nobody's . Terms: none stated." in text(response), tab
        assert 'href="https://ships.invalid/"' in response.content.decode(), tab


def test_moves_of_pilots_are_no_etas(as_viewer: Client, known: Teller) -> None:
    known.tell(call(name="PILOTED", pilot_ordered_at=hour(3), leaves_at=hour(4)), at=2)
    response = look(as_viewer, "expected")
    heads = [head["label"] for head in response.context["heads"]]
    assert heads == ["Ship", "Pilot ordered", "Leaves"]
    assert "overdue" not in text(response)


def test_where_in_port_is_derived_the_page_says_since_when(as_viewer: Client, db: None) -> None:
    seen = timezone.now().replace(year=2026, month=11, day=23, hour=20)
    Port.objects.filter(locode="CAVAN").update(is_enabled=True, loaded_at=seen, seen_since=seen)
    shown = text(as_viewer.get("/ports/CAVAN/in-port/"))
    assert "Seen to arrive since 23 Nov; ships already here appear when they next move." in shown
    assert registry()["ppa"].warning in shown
    Port.objects.filter(locode="HKHKG").update(is_enabled=True, loaded_at=seen, seen_since=seen)
    assert "Seen to arrive" not in text(as_viewer.get("/ports/HKHKG/in-port/"))


# --- zones --------------------------------------------------------------------------------------------------


def test_times_are_the_ports_and_the_zone_is_named(as_viewer: Client, alpha: Port) -> None:
    Port.objects.update(zone="Asia/Hong_Kong")
    response = look(as_viewer)
    assert "16:00 · 10 h ago" in text(response)
    assert "Hong Kong time UTC+8" in text(response)
    assert '<time datetime="2026-01-11T16:00+08:00"' in response.content.decode()


def test_times_can_be_told_in_utc_or_in_any_zone(as_viewer: Client, alpha: Port) -> None:
    Port.objects.update(zone="Asia/Hong_Kong")
    assert "08:00 · 10 h ago" in text(look(as_viewer, query="?times=utc"))
    response = look(as_viewer, query="?times=America/St_Johns")
    assert "04:30 · 10 h ago" in text(response)
    assert "St Johns time UTC−3:30" in text(response)
    assert "times=America%2FSt_Johns" in response.context["next"] + response.context["tabs"][1][1]


# --- how fresh ----------------------------------------------------------------------------------------------


def refreshed(feed: Feed, minutes: float, outcome: str = "done", error: str = "") -> None:
    at = timezone.now() - timedelta(minutes=minutes)
    counts = {port.locode: Tally().as_json() for port in feed.ports.all()}
    facts: dict[str, Any] = {"started_at": at, "as_of": at, "outcome": outcome, "error": error, "counts": counts}
    Refresh.objects.create(feed=feed, took=timedelta(0), **facts)


@pytest.fixture
def aging(known: Teller) -> Feed:
    known.feed.refreshes.all().delete()
    return known.feed


def test_a_fresh_list_says_as_of_when(as_viewer: Client, aging: Feed) -> None:
    refreshed(aging, 10)
    shown = text(look(as_viewer))
    assert re.search(r"As of (\d+ \w+ (\d{4} )?)?\d\d:\d\d · 10 min ago", shown)
    assert "triangle-alert" not in look(as_viewer).content.decode().split('id="fresh"')[1].split("</div>")[0]


def test_an_old_list_says_how_old_and_how_to_refresh_it(as_viewer: Client, aging: Feed) -> None:
    refreshed(aging, 46)
    shown = text(look(as_viewer))
    assert re.search(r"This list is as of .*· 46 min ago", shown)
    assert "manage.py refresh_ships --watch" in shown


def test_a_failed_refresh_says_why_and_which_list_stands(as_viewer: Client, aging: Feed) -> None:
    refreshed(aging, 20)
    refreshed(aging, 5, "failed", "The server answered 500 <b>.")
    response = look(as_viewer)
    assert re.search(r"This list is as of .*· 20 min ago.*failed: The server answered 500 <b>\.", text(response))
    assert b"500 <b>" not in response.content


def test_a_refresh_that_was_partly_done_says_what_is_missing(as_viewer: Client, aging: Feed) -> None:
    refreshed(aging, 5, "partial", "RP05505i.XML was not there.")
    assert re.search(r"was partly done ?: RP05505i.XML was not there\.", text(look(as_viewer)))


def test_a_port_that_was_never_fetched_says_so(as_viewer: Client, aging: Feed) -> None:
    assert "Nothing was fetched yet." in text(look(as_viewer))


def test_an_example_never_ages_and_says_of_which_day_it_is(as_viewer: Client, alpha: Port) -> None:
    shown = text(look(as_viewer))
    assert "Recorded 11 Jan 2026, shown as of that evening." in shown
    assert "This list is as of" not in shown


def test_the_day_of_a_recording_is_that_of_the_port(as_viewer: Client, alpha: Port) -> None:
    Port.objects.update(zone="Pacific/Auckland")  # where it is the 12th already
    for path in ("/ports/XXAAA/in-port/", "/ports/"):
        assert "Recorded 12 Jan 2026" in text(as_viewer.get(path))


# --- turning on and off, refreshing -------------------------------------------------------------------------


@pytest.fixture
def watching(known: Teller) -> Iterator[None]:
    """Something listens where the watch does."""
    ear = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    ear.bind(os.fspath(watch.address()))
    yield
    ear.close()


def test_a_port_that_is_off_leads_to_where_it_is_turned_on(as_viewer: Client, db: None) -> None:
    assert as_viewer.get("/ports/HKHKG/in-port/")["Location"] == "/ports/HKHKG/turn-on/"


def test_turning_on_says_first_who_publishes_under_which_terms_and_how_often_we_ask(as_owner: Client, db: None) -> None:
    source = registry()["ppa"]
    shown = text(as_owner.get("/ports/CAVAN/turn-on/"))
    for words in (source.publisher, source.licence, source.attribution, "Every 15 min", source.warning, "Nanaimo"):
        assert words in shown
    assert not Port.objects.get(locode="CAVAN").is_enabled


def test_a_port_that_is_turned_on_is_fetched_at_once(as_owner: Client, watching: None) -> None:
    response = as_owner.post("/ports/HKHKG/turn-on/", follow=True)
    port = Port.objects.select_related("feed").get(locode="HKHKG")
    assert port.is_enabled
    assert port.feed.wished_at
    assert said(response) == ["Hong Kong is on. Its ships are being fetched."]
    assert "Waiting for the refresh" in text(response)
    assert "every 2s" in response.content.decode()


def test_where_its_publisher_asks_us_to_wait_it_says_so_and_no_page_keeps_asking(
    as_owner: Client, watching: None
) -> None:
    until = timezone.now() + timedelta(hours=30)
    Feed.objects.update(next_allowed_at=until)
    response = as_owner.post("/ports/HKHKG/turn-on/", follow=True)
    zone = Port.objects.get(locode="HKHKG").tzinfo
    at, now = until.astimezone(zone), timezone.now().astimezone(zone)
    there = f"{at:%-d %b %H:%M}" if at.year == now.year else f"{at:%-d %b %Y %H:%M}"
    sentence = f"{registry()['mardep'].publisher} asks us to wait until {there}"
    assert said(response) == [f"Hong Kong is on. {sentence} (Hong Kong time)."]
    assert sentence in text(response)
    assert "Waiting for the refresh" not in text(response)
    assert "every 2s" not in response.content.decode()
    Feed.objects.update(next_allowed_at=timezone.now() - timedelta(minutes=1))
    assert "Waiting for the refresh" in text(as_owner.get("/ports/HKHKG/in-port/"))


def test_where_nothing_fetches_it_says_how_to_start_it(as_owner: Client, known: Teller) -> None:
    response = as_owner.post("/ports/HKHKG/turn-on/", follow=True)
    assert said(response) == ["Nothing fetches ships now: start it with manage.py refresh_ships --watch."]
    assert "A refresh is wished, and nothing runs that would fetch it" in text(response)


def test_turning_off_keeps_what_was_seen(as_owner: Client, known: Teller) -> None:
    response = as_owner.post("/ports/XXAAA/turn-off/", follow=True)
    assert said(response) == ["Alpha is off: nothing is fetched for it. What was seen is kept."]
    assert not Port.objects.get(locode="XXAAA").is_enabled
    assert PortCall.objects.filter(port__locode="XXAAA").exists()


def test_a_refresh_is_wished_and_the_watch_is_woken(as_owner: Client, watching: None) -> None:
    as_owner.post("/ports/XXAAA/refresh/")
    assert Feed.objects.get(source="told").wished_at


def test_a_port_that_is_off_is_not_refreshed(as_owner: Client, known: Teller) -> None:
    response = as_owner.post("/ports/HKHKG/refresh/", follow=True)
    assert said(response) == ["Hong Kong is off, and is not fetched."]
    assert Port.objects.get(locode="HKHKG").feed.wished_at is None


@pytest.mark.parametrize("path", ["turn-on", "turn-off", "remove"])
def test_who_may_only_look_changes_nothing(as_viewer: Client, known: Teller, path: str) -> None:
    locode = "HKHKG" if path == "turn-on" else "XXAAA"
    before = list(Port.objects.order_by("pk").values())
    response = as_viewer.post(f"/ports/{locode}/{path}/")
    assert response.status_code == 403
    assert "Ask somebody who has the rights" in text(response)
    assert list(Port.objects.order_by("pk").values()) == before
    assert "Turn o" not in text(look(as_viewer))


def test_only_the_staff_asks_for_refreshes(client: Client, known: Teller) -> None:
    client.force_login(User.objects.create_user("guest"))
    assert client.post("/ports/XXAAA/refresh/").status_code == 403
    assert Feed.objects.get(source="told").wished_at is None


def test_the_example_is_removed_with_one_click_and_nothing_else_is(as_owner: Client, known: Teller) -> None:
    example.load()
    response = as_owner.post("/ports/XXHKG/remove/", follow=True)
    assert said(response) == ["The example is removed."]
    assert not Port.objects.filter(locode="XXHKG").exists()
    assert said(as_owner.post("/ports/XXAAA/remove/", follow=True)) == ["Alpha is no example: turn it off instead."]
    assert PortCall.objects.filter(port__locode="XXAAA").exists()


def test_of_very_many_ships_it_says_no_more_than_that(as_viewer: Client, alpha: Port) -> None:
    def due(number: int) -> PortCall:
        return PortCall(
            port=alpha, vessel=vessel, status=Status.EXPECTED, eta=hour(50), first_seen_at=hour(30), digest=0
        )

    vessel = Vessel.objects.get(name="SOON")
    PortCall.objects.bulk_create(map(due, range(2, MOST_COUNTED)))
    shown = text(look(as_viewer, "expected"))
    assert "Ships 1 to 50 of 10000" in shown
    PortCall.objects.bulk_create([due(0), due(1)])
    shown = text(look(as_viewer, "expected"))
    assert "Ships 1 to 50 of over 10,000" in shown
    assert "Expected over 10,000" in shown


# --- all ports, all refreshes -------------------------------------------------------------------------------


def test_ports_that_are_on_stand_with_their_counts(as_viewer: Client, alpha: Port) -> None:
    found = {one.port.locode: one.counts for one in as_viewer.get("/ports/").context["on"]}
    counts = found["XXAAA"]
    assert counts
    assert (counts.at_berth, counts.at_anchor, counts.expected, counts.due, counts.left) == (2, 1, 2, 2, 1)
    assert found["XXBBB"] is not None
    assert "HKHKG" not in found


def test_ports_that_could_be_on_are_one_click_away_and_nothing_is_fetched_before(as_viewer: Client, db: None) -> None:
    response = as_viewer.get("/ports/")
    shown = text(response)
    assert "No port is on. Nothing is fetched until one is turned on." in shown
    for words in ("Hong Kong · Hong Kong Marine Department", "Finland", "Canada", "Vancouver CAVAN"):
        assert words in shown
    assert 'href="/ports/CAVAN/turn-on/"' in response.content.decode()
    assert not Refresh.objects.exists()


def test_the_log_tells_what_each_refresh_did(as_viewer: Client, alpha: Port, known: Teller) -> None:
    known.tell(call(name="SOON", eta=hour(44), ship=ship("SOON", flag="PA")), at=29.7)
    shown = text(as_viewer.get("/ports/refreshes/"))
    assert re.search(r"Alpha : 1 call: 0 new, 1 changed \(1 ETA\), \d gone from the feed", shown)
    assert "Beta" not in text(as_viewer.get("/ports/refreshes/?port=XXAAA")).split("Refreshes")[1].split("Done")[0]


def test_the_log_tells_what_was_not_understood(as_viewer: Client, known: Teller) -> None:
    told = {"<b>X</b>\u202e\n" + "Y" * 500: 1, "CAXYZ": 1200, "": 2} | {f"CODE{number}": 3 for number in range(30)}
    known.tell(call(), unknown=told)
    response = as_viewer.get("/ports/refreshes/")
    shown = text(response)
    assert re.search(r"Not understood: CAXYZ 1,200 times,\s+CODE0 3 times,", shown)
    assert re.search(r"CODE25 3 times,\s+13 more", shown)
    Refresh.objects.update(unknown={word: told[word] for word in list(told)[:3]})
    content = as_viewer.get("/ports/refreshes/").content.decode()
    assert "<bdi>&lt;b&gt;X&lt;/b&gt;" in content
    assert "Y" * 40 not in content
    assert "\u202e" not in content
    assert "<bdi>an empty word</bdi> 2 times" in content
    Refresh.objects.update(unknown={})
    assert "Not understood" not in text(as_viewer.get("/ports/refreshes/"))


def test_the_log_is_paged_and_of_one_port_where_asked(as_viewer: Client, aging: Feed) -> None:
    for number in range(60):
        refreshed(aging, 60 - number)
    first = as_viewer.get("/ports/refreshes/?port=xxaaa")
    older = as_viewer.get(f"/ports/refreshes/{first.context['older']}")
    seen = [refresh.pk for page in (first, older) for refresh, _ in page.context["refreshes"]]
    assert seen == sorted(Refresh.objects.values_list("pk", flat=True), reverse=True)
    assert as_viewer.get("/ports/refreshes/?port=HKHKG").context["refreshes"] == []


# --- what the site has --------------------------------------------------------------------------------------


def links(response: Any) -> list[str]:
    navigation = response.content.decode().split('aria-label="Site"')[1].split("<details")[0]
    return re.findall(r'href="([^"]+)"', navigation)


def test_a_site_with_ships_alone_opens_with_them_and_speaks_of_no_relays(as_viewer: Client, known: Teller) -> None:
    response = as_viewer.get("/", follow=True)
    assert response.redirect_chain == [("/ports/", 302)]
    for path in ("/ports/", "/ports/XXAAA/in-port/", "/ports/refreshes/"):
        shown = as_viewer.get(path)
        assert links(shown) == ["/ports/"]
        assert "relay" not in text(shown).lower()


def test_a_site_with_relays_alone_says_where_ships_could_be(as_viewer: Client, pump: Relay) -> None:
    response = as_viewer.get("/")
    assert links(response) == ["/", "/activity/"]
    assert "Choose a port to see which ships lie there." in text(response)


def test_a_site_with_both_shows_both(as_viewer: Client, pump: Relay, alpha: Port) -> None:
    response = as_viewer.get("/")
    assert links(response) == ["/", "/activity/", "/ports/"]
    assert "Alpha 2 at berth, 1 at anchor, 2 due in 24 h" in text(response)


def test_a_site_with_nothing_yet_shows_how_to_get_either(as_owner: Client, db: None) -> None:
    shown = text(as_owner.get("/"))
    assert "Add the first relay" in shown
    assert "Choose a port" in shown


def test_a_port_alone_is_found_though_a_board_is_switched_off(as_viewer: Client, board: Board, known: Teller) -> None:
    Board.objects.update(is_enabled=False)
    assert as_viewer.get("/")["Location"] == "/ports/"


# --- what cannot be asked -----------------------------------------------------------------------------------


@pytest.mark.parametrize("tab", TABS)
@pytest.mark.parametrize(
    "query",
    [
        *("page=abc", "page=0", "page=-1", "page=1e3", "page=99999999999999999999", "sort=xyz", "sort=--eta"),
        *("q=%00", "q=" + "a" * 10_000, "type=boat", "berth=x", "flag=ZZ", "agent=%00", "times=Mars", "times=%00"),
        *("times=../../etc/passwd", "before=x", "field=colour", "before=99999999999999999999"),
        *("q=%ff%fe", "page=%D9%A1", "page=1&page=x", "previous_port=" + "%F0%9F%9A%A2" * 200),
    ],
)
def test_nothing_in_the_address_breaks_a_page(as_viewer: Client, alpha: Port, tab: str, query: str) -> None:
    response = look(as_viewer, tab, f"?{query}")
    assert response.status_code in (200, 400)
    if response.status_code == 400:
        assert "Nothing is listed: correct the filter" in text(response)
        assert "LYING" not in text(response)
    assert len(response.content) < 60_000


@pytest.mark.parametrize(
    "path",
    [
        *("/ports/XXAAA/nowhere/", "/ports/NOPE/", "/ports/NOPE/in-port/", "/ports/%00/in-port/"),
        *("/ports/" + "A" * 10_000 + "/", "/ports/XXAAA%0A/in-port/", "/ports/NOPE/turn-on/", "/ports/XXAAA/IN-PORT/"),
    ],
)
def test_what_is_nowhere_is_not_found(as_viewer: Client, alpha: Port, path: str) -> None:
    response = as_viewer.get(path)
    assert response.status_code == 404
    assert "There is nothing at this address" in text(response)


@pytest.mark.parametrize("query", ["?before=x", "?port=toolong", "?port=%00", "?before=99999999999999999999999"])
def test_a_log_that_cannot_be_asked_for_says_so(as_viewer: Client, db: None, query: str) -> None:
    response = as_viewer.get(f"/ports/refreshes/{query}")
    assert response.status_code == 400
    assert "There is nothing of this" in text(response)


def test_names_stay_text(as_viewer: Client, alpha: Port) -> None:
    hostile = '<script>alert(1)</script>"><img src=x onerror=alert(1)>'
    Vessel.objects.update(name=hostile)
    PortCall.objects.update(agent=hostile, previous_port=hostile)
    for tab in TABS:
        content = look(as_viewer, tab).content
        assert b"<script>alert" not in content, tab
        assert b"<img src=x" not in content, tab


# --- what it costs ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("tab", "query"), [(tab, "") for tab in TABS] + [("expected", "?type=other&sort=-name")])
def test_a_list_costs_at_most_eight_queries(
    as_viewer: Client, alpha: Port, django_assert_max_num_queries: DjangoAssertNumQueries, tab: str, query: str
) -> None:
    look(as_viewer, tab, query)  # what the filters offer is asked once after each refresh
    with django_assert_max_num_queries(8):
        look(as_viewer, tab, query)


def test_more_ships_cost_no_more_queries(
    as_viewer: Client, alpha: Port, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    now = timezone.now()
    ships = Vessel.objects.bulk_create([Vessel(name=f"SHIP {n}", first_seen_at=now) for n in range(60)])
    PortCall.objects.bulk_create(
        PortCall(port=alpha, vessel=one, status="expected", eta=hour(50), first_seen_at=now, digest=0) for one in ships
    )
    look(as_viewer, "expected")
    with django_assert_max_num_queries(8):
        assert len(names(look(as_viewer, "expected"))) == page.PAGE


def test_the_ports_page_costs_the_same_for_any_number_of_ports(
    as_viewer: Client, alpha: Port, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    Port.objects.update(is_enabled=True)
    with django_assert_max_num_queries(10):  # session, user, what there is, ports, four counts, ports that are off
        as_viewer.get("/ports/")
