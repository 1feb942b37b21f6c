"""What leaves the site: tables, calendars and feeds, opened by programs that are not ours."""

import csv
import io
import logging
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import feedparser
import icalendar
import pytest
import requests
from django.test import Client
from django.test.utils import override_settings
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from iotsite.discretion import DiscretionFilter
from ports import arrivals, newsfeed
from ports.models import Berth, Change, Port, PortCall, Subscription, Vessel
from ports.snapshot import Status, StayReport, VesselType
from tests.ports.test_vessel import HOSTILE
from tests.ports.told import Teller, call, hour, ship
from tests.relays.test_views import text
from tests.site import Site


@pytest.fixture
def fleet(known: Teller) -> Teller:
    known.tell(
        call(ship=ship("TANKER", type=VesselType.TANKER, flag="PA"), eta=hour(30), agent="Shell", previous_port="Aden"),
        call(ship=ship("BOXES", type=VesselType.CONTAINER), eta=hour(20), stays=(StayReport("Kwai Tsing 3"),)),
        call(name="NO ETA"),
        call(Status.IN_PORT, "HERE", ata=hour(1)),
        call(name="ELSEWHERE", eta=hour(10), port="XXBBB"),
        at=2,
    )
    return known


@pytest.fixture
def secret(viewer: User) -> str:
    return Subscription.objects.renew(viewer).secret


# --- tables -------------------------------------------------------------------------------------------------


def rows(client: Client, path: str) -> list[dict[str, str]]:
    response = client.get(f"/ports/{path}")
    assert response.status_code == 200
    assert response["Content-Type"] == "text/csv; charset=utf-8"
    return list(csv.DictReader(io.StringIO(response.getvalue().decode(), newline="")))


def test_a_list_as_a_table(as_viewer: Client, fleet: Teller) -> None:
    found = rows(as_viewer, "XXAAA/expected.csv")
    assert [row["vessel"] for row in found] == ["BOXES", "TANKER", "NO ETA"]
    assert found[0]["berth"] == "Kwai Tsing 3"
    assert found[0]["eta"] == "2026-01-11T08:00+00:00"
    assert (found[1]["type"], found[1]["flag"], found[1]["agent"], found[1]["previous port"]) == (
        *("tanker", "PA"),
        *("Shell", "Aden"),
    )
    assert (found[2]["eta"], found[2]["source"]) == ("", "Nobody's")
    assert {row["vessel"] for row in rows(as_viewer, "XXAAA/in-port.csv")} == {"HERE"}
    assert rows(as_viewer, "XXAAA/departed.csv") == []


@pytest.mark.parametrize(
    "query", ["q=boxes", "type=tanker", "flag=PA", "agent=shell", "previous_port=aden", "sort=-eta", "sort=name", ""]
)
def test_a_table_takes_what_the_list_takes(as_viewer: Client, fleet: Teller, query: str) -> None:
    lines = as_viewer.get(f"/ports/XXAAA/expected/?{query}").context["lines"]
    assert [row["call"] for row in rows(as_viewer, f"XXAAA/expected.csv?{query}")] == [
        str(line.call.pk) for line in lines
    ]
    assert lines


def test_a_table_has_all_pages(as_viewer: Client, fleet: Teller) -> None:
    fleet.tell(*(call(name=f"SHIP {number}", eta=hour(number)) for number in range(120)))
    assert len(rows(as_viewer, "XXAAA/expected.csv?page=2")) == 120


def test_times_in_the_zone_that_was_asked_for(as_viewer: Client, fleet: Teller) -> None:
    Port.objects.update(zone="America/Vancouver")
    assert rows(as_viewer, "XXAAA/expected.csv")[0]["eta"] == "2026-01-11T00:00-08:00"
    assert rows(as_viewer, "XXAAA/expected.csv?times=utc")[0]["eta"] == "2026-01-11T08:00+00:00"


def test_changes_as_a_table(as_viewer: Client, fleet: Teller) -> None:
    fleet.tell(call(ship=ship("TANKER", type=VesselType.TANKER, flag="PA"), eta=hour(33)))
    [row] = rows(as_viewer, "XXAAA/changes.csv?field=eta")
    assert (row["vessel"], row["was"], row["became"]) == ("TANKER", "2026-01-11T18:00:00Z", "2026-01-11T21:00:00Z")


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_in_a_table(as_viewer: Client, fleet: Teller, name: str) -> None:
    Vessel.objects.filter(name="BOXES").update(name=name, call_sign=name, source_type=name)
    Berth.objects.update(name=name)
    PortCall.objects.update(agent=name)
    found = rows(as_viewer, "XXAAA/expected.csv")
    assert len(found) == 3
    kept = name.replace("\x00", "").replace("\x0b", "").replace("\x1b", "")
    kept = f"'{kept}" if name.startswith("=") else kept
    assert (found[0]["vessel"], found[0]["berth"], found[0]["agent"]) == (kept, kept, kept)


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("XXAAA/berths.csv", 404),
        ("XXAAA/nothing.csv", 404),
        ("XXZZZ/expected.csv", 404),
        ("XXAAA/expected.csv?type=spaceship", 400),
        ("XXAAA/expected.csv?q=%00", 400),
        ("XXAAA/changes.csv?field=name", 400),
    ],
)
def test_a_table_that_cannot_be(as_viewer: Client, fleet: Teller, path: str, status: int) -> None:
    assert as_viewer.get(f"/ports/{path}").status_code == status


def test_of_a_port_that_is_off_there_is_no_table(as_viewer: Client, fleet: Teller) -> None:
    Port.objects.update(is_enabled=False)
    assert as_viewer.get("/ports/XXAAA/expected.csv").status_code == 302


def test_a_table_is_read_in_one_statement(
    as_viewer: Client, fleet: Teller, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    response = as_viewer.get("/ports/XXAAA/expected.csv")
    with django_assert_max_num_queries(1):
        assert len(response.getvalue().splitlines()) == 4


def test_a_head_reads_no_row(
    as_viewer: Client, fleet: Teller, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    response = as_viewer.head("/ports/XXAAA/expected.csv")
    with django_assert_max_num_queries(0):
        assert response.getvalue() == b""


def test_a_long_table_takes_the_memory_of_a_few_rows(as_viewer: Client, fleet: Teller) -> None:
    vessel, port = Vessel.objects.get(name="BOXES"), Port.objects.get(locode="XXAAA")
    fields = {"vessel": vessel, "port": port, "status": "expected", "first_seen_at": hour(0), "digest": 0}
    PortCall.objects.bulk_create(PortCall(**fields, eta=hour(number), agent="x" * 100) for number in range(10_000))
    response = as_viewer.get("/ports/XXAAA/expected.csv")
    tracemalloc.start()
    length = sum(len(part) for part in response.streaming_content)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert length > 2_000_000
    assert peak < length / 1.5


# --- the secret ---------------------------------------------------------------------------------------------

PATHS = ["XXAAA/expected.ics", "XXAAA/changes.atom", "followed.ics", "followed.atom"]


def fetch(secret: str, path: str, **more: Any) -> Any:
    """As a program that knows nothing but the address."""
    return Client(**more).get(f"/ports/out/{secret}/{path}")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("is_public", [False, True])
def test_a_secret_address_needs_no_session_and_makes_none(
    fleet: Teller, secret: str, path: str, settings: Settings, is_public: bool
) -> None:
    settings.PORTS_PUBLIC = is_public
    response = fetch(secret, path)
    assert response.status_code == 200
    assert not response.cookies
    assert "Cookie" not in response.get("Vary", "")
    assert response["Cache-Control"] == "private, no-cache"
    assert fetch(f"{secret}x", path).status_code == 404
    head = Client().head(f"/ports/out/{secret}/{path}")
    assert (head.status_code, head["Content-Type"]) == (200, response["Content-Type"])
    for method in ("post", "put", "delete", "patch"):
        assert getattr(Client(), method)(f"/ports/out/{secret}/{path}").status_code == 405


@pytest.mark.parametrize("path", PATHS)
def test_wrong_and_revoked_addresses_find_nothing(
    fleet: Teller, viewer: User, owner: User, secret: str, path: str
) -> None:
    of_owner = Subscription.objects.renew(owner).secret
    number, proof = secret.split("-", 1)
    swapped = f"{of_owner.split('-', 1)[0]}-{proof}"
    turned = proof[:-1] + ("A" if proof[-1] != "A" else "B")
    for wrong in (swapped, f"{number}-{turned}", f"0{secret}x", "x", "1-" + "A" * 43, "9" * 18 + "-" + "A" * 43, "-"):
        response = fetch(wrong, path)
        assert (response.status_code, response.cookies) == (404, {})
        assert response["Content-Type"].startswith("text/plain")
    renewed = Subscription.objects.renew(viewer).secret
    assert (fetch(secret, path).status_code, fetch(renewed, path).status_code) == (404, 200)
    Subscription.objects.filter(user=viewer).delete()
    assert fetch(renewed, path).status_code == 404
    assert fetch(of_owner, path).status_code == 200


def test_who_is_no_longer_active_is_refused(fleet: Teller, viewer: User, secret: str) -> None:
    User.objects.filter(pk=viewer.pk).update(is_active=False)
    assert fetch(secret, "followed.ics").status_code == 404


def test_a_copy_of_the_database_opens_nothing(fleet: Teller, viewer: User, secret: str) -> None:
    """The secret stands nowhere in it, and with another key follows something else from it."""
    row = " ".join(str(value) for value in Subscription.objects.values_list()[0])
    assert secret.split("-", 1)[1] not in row
    with override_settings(SECRET_KEY="another one, which is not that of the site"):
        assert viewer.subscription.secret != secret


def test_who_is_signed_in_elsewhere_is_not_who_the_address_is_for(
    as_owner: Client, owner: User, viewer: User, fleet: Teller, secret: str
) -> None:
    Vessel.objects.get(name="BOXES").follow(viewer, True)
    response = as_owner.get(f"/ports/out/{secret}/followed.ics")
    assert "BOXES" in response.text
    assert not response.cookies


def test_the_log_does_not_tell_it(secret: str) -> None:
    def logged(message: str, *args: object) -> str:
        record = logging.LogRecord("django.request", logging.WARNING, "", 1, message, args, None)
        assert DiscretionFilter().filter(record)
        return record.getMessage()

    assert logged("%s: %s", "Not Found", f"/ports/out/{secret}/x.ics") == "Not Found: /ports/out/…/x.ics"
    assert logged(f"GET /ports/out/{secret}/followed.ics?q=1") == "GET /ports/out/…/followed.ics?q=1"
    assert logged("%d of %s", 1, "/ports/") == "1 of /ports/"


def test_the_log_of_the_site_has_that_filter(settings: Settings) -> None:
    handlers = logging.getLogger().handlers
    assert any(isinstance(one, DiscretionFilter) for handler in handlers for one in handler.filters)


@pytest.mark.parametrize("path", PATHS)
def test_asked_again_it_says_that_nothing_changed(fleet: Teller, secret: str, path: str) -> None:
    for encoding in ("identity", "gzip"):
        etag = fetch(secret, path, headers={"Accept-Encoding": encoding})["ETag"]
        again = fetch(secret, path, headers={"Accept-Encoding": encoding, "If-None-Match": etag})
        assert (again.status_code, again.content) == (304, b"")
    fleet.tell(call(name="NEWCOMER", eta=hour(50)))
    Vessel.objects.get(name="NEWCOMER").follow(User.objects.get(username="viola"), True)
    assert fetch(secret, path, headers={"If-None-Match": etag}).status_code == 200


# --- the page of the address --------------------------------------------------------------------------------


def test_the_page_shows_makes_renews_and_revokes_it(as_viewer: Client, viewer: User, fleet: Teller) -> None:
    assert "Make one" in text(as_viewer.get("/ports/subscription/"))
    assert not Subscription.objects.exists()

    def addresses() -> list[str]:
        shown = as_viewer.get("/ports/subscription/?port=XXAAA&type=tanker&page=2").text
        return [part.split("</output>")[0] for part in shown.split('<output class="secret">')[1:]]

    as_viewer.post("/ports/subscription/?port=XXAAA&type=tanker", {"do": "renew"})
    first = addresses()
    assert [address.rsplit("/", 1)[1] for address in first] == [
        *("expected.ics?type=tanker", "changes.atom?type=tanker"),
        *("followed.ics", "followed.atom"),
    ]
    assert all(address.startswith("http://testserver/ports/out/") for address in first)
    assert [Client().get(address).status_code for address in first] == [200] * 4
    as_viewer.post("/ports/subscription/", {"do": "renew"})
    assert [Client().get(address).status_code for address in first] == [404] * 4
    as_viewer.post("/ports/subscription/", {"do": "revoke"})
    assert addresses() == []


def test_the_page_of_a_port_that_is_not_there(as_viewer: Client, fleet: Teller) -> None:
    assert as_viewer.get("/ports/subscription/?port=XXZZZ").status_code == 404
    assert as_viewer.get("/ports/subscription/?port=%00").status_code == 404


def test_the_account_page_has_it_too(as_viewer: Client, viewer: User, fleet: Teller) -> None:
    assert "Make one" in text(as_viewer.get("/account/"))
    made = Subscription.objects.renew(viewer)
    assert f"/ports/out/{made.secret}/followed.ics" in as_viewer.get("/account/").text


def test_addresses_change_only_by_a_form_of_this_site(viewer: User) -> None:
    client = Client(enforce_csrf_checks=True)
    client.force_login(viewer)
    assert client.post("/ports/subscription/", {"do": "renew"}).status_code == 403
    assert not Subscription.objects.exists()


# --- calendars ----------------------------------------------------------------------------------------------


def events(secret: str, path: str = "XXAAA/expected.ics") -> list[Any]:
    response = fetch(secret, path)
    assert (response.status_code, response["Content-Type"]) == (200, "text/calendar; charset=utf-8")
    return list(icalendar.Calendar.from_ical(response.content).walk("VEVENT"))


def summaries(secret: str, path: str = "XXAAA/expected.ics") -> list[str]:
    return [str(event["SUMMARY"]) for event in events(secret, path)]


def test_expected_arrivals_as_a_calendar(fleet: Teller, secret: str) -> None:
    boxes, tanker = events(secret)
    assert (str(boxes["SUMMARY"]), str(boxes["LOCATION"])) == ("BOXES due at Alpha", "Kwai Tsing 3, Alpha")
    assert boxes.decoded("DTSTART") == hour(20)
    assert boxes["DTSTART"].to_ical() == b"20260111T080000Z"
    assert str(tanker["SUMMARY"]) == "TANKER due at Alpha"
    assert "agent: Shell" in str(tanker["DESCRIPTION"])
    assert "from: Aden" in str(tanker["DESCRIPTION"])
    assert "Nobody's" in str(tanker["DESCRIPTION"])
    assert str(tanker["URL"]) == f"http://testserver/ports/vessels/{Vessel.objects.get(name='TANKER').pk}/"
    assert str(tanker["TRANSP"]) == "TRANSPARENT"


def test_every_line_is_as_the_standard_wants_it(fleet: Teller, secret: str) -> None:
    content = fetch(secret, "XXAAA/expected.ics").content
    lines = content.split(b"\r\n")
    assert lines[-1] == b""
    assert all(len(line) <= 75 and b"\n" not in line and b"\r" not in line for line in lines)
    assert all(event.get("UID") and event.get("DTSTAMP") for event in events(secret))
    assert {b"VERSION:2.0", b"PRODID:-//iotsite//ports//EN"} <= set(lines)


def test_an_eta_that_moves_is_the_same_event_in_a_higher_sequence(fleet: Teller, secret: str) -> None:
    boxes = ship("BOXES", type=VesselType.CONTAINER)
    before = events(secret)[0]
    fleet.tell(call(ship=boxes, eta=hour(25), stays=(StayReport("Kwai Tsing 3"),)), at=5)
    fleet.tell(call(ship=boxes, eta=hour(26), stays=(StayReport("Kwai Tsing 4"),)), at=6)
    [after] = events(secret)
    assert before["UID"] == after["UID"]
    assert (before["SEQUENCE"], after["SEQUENCE"]) == (0, 2)
    assert (before.decoded("LAST-MODIFIED"), after.decoded("LAST-MODIFIED")) == (hour(2), hour(6))
    assert after.decoded("DTSTART") == hour(26)


def test_events_keep_their_numbers(fleet: Teller, secret: str) -> None:
    uids = [str(event["UID"]) for event in events(secret)]
    assert len({*uids}) == 2
    assert uids == [str(event["UID"]) for event in events(secret)]


def test_without_an_eta_it_tells_when_she_leaves_as_what_it_is(fleet: Teller, secret: str) -> None:
    PortCall.objects.filter(vessel__name="NO ETA").update(leaves_at=hour(40))
    found = {str(event["SUMMARY"]): event for event in events(secret)}
    assert set(found) == {"BOXES due at Alpha", "TANKER due at Alpha", "NO ETA leaves for Alpha"}
    assert found["NO ETA leaves for Alpha"].decoded("DTSTART") == hour(40)
    assert "Her source gives no ETA." in str(found["NO ETA leaves for Alpha"]["DESCRIPTION"])


def test_who_arrived_is_in_it_no_longer(fleet: Teller, secret: str) -> None:
    fleet.tell(call(Status.IN_PORT, ship=ship("BOXES", type=VesselType.CONTAINER), ata=hour(3)))
    assert summaries(secret) == []


@pytest.mark.parametrize("query", ["q=boxes", "type=tanker", "flag=PA", "agent=shell", "previous_port=aden"])
def test_a_calendar_takes_what_the_list_takes(as_viewer: Client, fleet: Teller, secret: str, query: str) -> None:
    lines = as_viewer.get(f"/ports/XXAAA/expected/?{query}").context["lines"]
    assert summaries(secret, f"XXAAA/expected.ics?{query}") == [f"{line.call.vessel} due at Alpha" for line in lines]
    assert lines


def test_what_one_follows_as_a_calendar(fleet: Teller, viewer: User, secret: str) -> None:
    for name in ("BOXES", "ELSEWHERE", "HERE"):
        Vessel.objects.get(name=name).follow(viewer, True)
    assert summaries(secret, "followed.ics") == ["ELSEWHERE due at Beta", "BOXES due at Alpha"]
    assert summaries(secret, "followed.ics?q=box") == ["BOXES due at Alpha"]
    Port.objects.filter(locode="XXBBB").update(is_enabled=False)
    assert summaries(secret, "followed.ics") == ["BOXES due at Alpha"]


def test_a_calendar_is_no_longer_than_a_calendar_takes(
    fleet: Teller, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(arrivals, "LONGEST", 1)
    assert summaries(secret) == ["BOXES due at Alpha"]


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_in_a_calendar(fleet: Teller, secret: str, name: str) -> None:
    hostile = f"{name}\r\nEND:VEVENT\r\nBEGIN:VALARM;X=\\,:"
    Vessel.objects.filter(name="BOXES").update(name=hostile)
    Berth.objects.update(name=hostile)
    PortCall.objects.update(agent=hostile, previous_port=hostile)
    Port.objects.update(name=hostile)
    boxes, _ = events(secret)
    calendar = icalendar.Calendar.from_ical(fetch(secret, "XXAAA/expected.ics").content)
    assert [part.name for part in calendar.walk()] == ["VCALENDAR", "VEVENT", "VEVENT"]
    assert all(str(boxes[field]).isprintable() for field in ("SUMMARY", "LOCATION"))
    assert len(boxes["SUMMARY"]) < 300
    assert str(boxes["SUMMARY"]).startswith(name[:1])


# --- feeds --------------------------------------------------------------------------------------------------


def entries(secret: str, path: str = "XXAAA/changes.atom") -> Any:
    response = fetch(secret, path)
    assert (response.status_code, response["Content-Type"]) == (200, "application/atom+xml; charset=utf-8")
    parsed = feedparser.parse(response.content)
    assert not parsed.bozo, parsed.get("bozo_exception")
    return parsed.entries


def titles(secret: str, path: str = "XXAAA/changes.atom") -> list[str]:
    return [entry.title for entry in entries(secret, path)]


def test_changes_as_a_feed_newest_first(fleet: Teller, secret: str) -> None:
    fleet.tell(call(ship=ship("BOXES", type=VesselType.CONTAINER), eta=hour(23), stays=(StayReport("Kwai Tsing 3"),)))
    found = entries(secret)
    moved = next(entry for entry in found if "ETA moved" in entry.title)
    assert moved.title == ("BOXES at Alpha: ETA moved 3 h later, from 11 Jan 2026, 08:00 UTC to 11 Jan 2026, 11:00 UTC")
    assert moved.link == f"http://testserver/ports/vessels/{Vessel.objects.get(name='BOXES').pk}/"
    assert datetime(*moved.updated_parsed[:6], tzinfo=UTC) == hour(3)
    numbers = list(Change.objects.filter(port__locode="XXAAA").order_by("-id").values_list("seen_at", flat=True))
    assert [datetime(*entry.updated_parsed[:6], tzinfo=UTC) for entry in found] == numbers


def test_entries_keep_their_ids_and_what_they_say(fleet: Teller, secret: str) -> None:
    before = {entry.id: entry.title for entry in entries(secret)}
    fleet.tell(call(ship=ship("BOXES", type=VesselType.CONTAINER), eta=hour(23), stays=(StayReport("Kwai Tsing 3"),)))
    after = {entry.id: entry.title for entry in entries(secret)}
    assert before.items() <= after.items()
    assert len(after) > len(before) > 3
    assert all(id.startswith("urn:uuid:") for id in after)


def test_a_feed_names_its_source_and_not_its_address(fleet: Teller, secret: str) -> None:
    content = fetch(secret, "XXAAA/changes.atom").text
    assert feedparser.parse(content).feed.rights == "Nobody's"
    assert secret not in content


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("field=eta", {"TANKER"}),
        ("q=boxes", {"BOXES"}),
        ("type=tanker", {"TANKER"}),
        ("type=tanker&field=status", {"TANKER"}),
        ("type=container&field=eta", set()),
        ("agent=shell", {"TANKER"}),
        ("became=in_port", {"HERE"}),
    ],
)
def test_a_feed_takes_what_the_lists_take(fleet: Teller, secret: str, query: str, names: set[str]) -> None:
    fleet.tell(
        call(ship=ship("TANKER", type=VesselType.TANKER, flag="PA"), eta=hour(31), agent="Shell", previous_port="Aden"),
        complete=frozenset(),
    )
    assert {title.split(" at ")[0] for title in titles(secret, f"XXAAA/changes.atom?{query}")} == names


def test_what_one_follows_as_a_feed(fleet: Teller, viewer: User, secret: str) -> None:
    assert entries(secret, "followed.atom") == []
    for name in ("BOXES", "ELSEWHERE"):
        Vessel.objects.get(name=name).follow(viewer, True)
    assert titles(secret, "followed.atom") == ["ELSEWHERE at Beta: new: expected", "BOXES at Alpha: new: expected"]


def test_a_feed_is_no_longer_than_a_reader_takes(fleet: Teller, secret: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(newsfeed, "LONGEST", 2)
    assert len(entries(secret)) == 2


@pytest.mark.parametrize("name", [*HOSTILE, "\U0001f6a2 \ufffe\uffff", "]]><x>&nbsp;"], ids=range(len(HOSTILE) + 2))
def test_hostile_names_in_a_feed(fleet: Teller, secret: str, name: str) -> None:
    Vessel.objects.update(name=name)
    Port.objects.update(name=name)
    Change.objects.filter(field="status").update(field="berth", was=name, became=name)
    for entry in entries(secret):
        assert entry.title.startswith(name[:1])
        assert len(entry.title) < 700
        assert entry.title_detail.type == "text/plain"


# --- both ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("path", PATHS)
def test_what_cannot_be_asked_is_said_in_words(fleet: Teller, secret: str, path: str) -> None:
    response = fetch(secret, f"{path}?type=spaceship")
    assert (response.status_code, response["Content-Type"]) == (400, "text/plain; charset=utf-8")
    assert "spaceship is not one of the available choices." in response.text


@pytest.mark.parametrize("path", ["expected.ics", "changes.atom"])
def test_only_of_ports_that_are_on_and_loaded(fleet: Teller, secret: str, path: str) -> None:
    assert fetch(secret, f"XXZZZ/{path}").status_code == 404
    assert fetch(secret, f"xxaaa/{path}").status_code == 200
    Port.objects.filter(locode="XXBBB").update(loaded_at=None)
    assert fetch(secret, f"XXBBB/{path}").status_code == 404
    Port.objects.update(is_enabled=False)
    assert fetch(secret, f"XXAAA/{path}").status_code == 404


def test_an_example_says_that_it_is_one(fleet: Teller, secret: str) -> None:
    Port.objects.filter(locode="XXAAA").update(is_enabled=False, is_example=True, example_at=hour(2))
    assert "Recorded, an example as of 10 Jan 2026, 14:00 UTC" in str(events(secret)[0]["DESCRIPTION"])


@pytest.mark.parametrize(("path", "most"), [("XXAAA/expected.ics", 4), ("XXAAA/changes.atom", 3)])
def test_they_cost_few_queries(
    fleet: Teller, secret: str, path: str, most: int, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_max_num_queries(most):  # the secret, the port, the rows, how often an ETA moved
        fetch(secret, path)


def test_the_secret_does_not_wear_off(viewer: User) -> None:
    made = Subscription.objects.renew(viewer)
    assert Subscription.objects.find(made.secret) == made
    assert made.made_at <= timezone.now()
    assert Subscription.SHAPE.fullmatch(made.secret)


# --- the real server ----------------------------------------------------------------------------------------

MANY_CALLS = """
from django.utils import timezone
from ports import known
from ports.models import *
known.add_missing()
now = timezone.now()
Port.objects.filter(locode="HKHKG").update(is_enabled=True, loaded_at=now)
port = Port.objects.get(locode="HKHKG")
ships = Vessel.objects.bulk_create(Vessel(name=f"SHIP {n}", first_seen_at=now) for n in range(3000))
PortCall.objects.bulk_create(
    PortCall(port=port, vessel=ship, status="departed", atd=now, first_seen_at=now, last_seen_at=now, digest=0)
    for ship in ships
)
"""


def test_a_real_server_sends_a_table_in_parts_and_tells_no_secret(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    done = site.manage("shell", "-c", MANY_CALLS)
    assert done.returncode == 0, done.stderr
    monkeypatch.setenv("PORTS_PUBLIC", "on")
    _, address = site.start_web()
    for encoding in ("identity", "gzip"):
        response = requests.get(
            f"{address}/ports/HKHKG/departed.csv", headers={"Accept-Encoding": encoding}, stream=True, timeout=60
        )
        assert response.headers["Transfer-Encoding"] == "chunked"
        assert response.headers.get("Content-Encoding", "identity") == encoding
        found = list(csv.DictReader(io.StringIO(response.content.decode(), newline="")))
        assert {row["vessel"] for row in found} == {f"SHIP {number}" for number in range(3000)}
    assert requests.head(f"{address}/ports/HKHKG/departed.csv", timeout=60).content == b""
    wrong = "1-" + "S" * 43
    assert requests.get(f"{address}/ports/out/{wrong}/followed.ics", timeout=60).status_code == 404
    assert "/ports/out/…/followed.ics" in site.log()
    assert wrong not in site.log()
