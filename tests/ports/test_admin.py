"""The admin of ports: turned on and off, vessels put right and merged, history to be read, whatever ships are named."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.db import connection, models
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone

from accounts.models import User
from ports import watch
from ports.models import Berth, Change, Feed, Identifier, Port, PortCall, Refresh, Vessel
from ports.snapshot import Ship, Status, StayReport
from ports.watch import START_IT
from tests.ports.told import Teller, call, hour
from tests.relays.test_admin import errors, form_of, said, text

LISTS = {name: f"/admin/ports/{name}/" for name in ("port", "feed", "refresh", "vessel", "portcall", "change", "berth")}
OLD = call(Status.IN_PORT, "OLD LADY", ata=hour(-500))
Captured = Callable[..., Any]


def page(row: models.Model, what: str = "change") -> str:
    return reverse(f"admin:ports_{row._meta.model_name}_{what}", args=[row.pk])


def act(client: Client, action: str, *rows: models.Model, **more: str) -> Any:
    chosen = {"action": action, "_selected_action": [str(row.pk) for row in rows]}
    return client.post(LISTS[str(rows[0]._meta.model_name)], chosen | more, follow=True)


def port() -> Port:
    return Port.objects.get(locode="XXAAA")


def vessel(name: str = "OLD LADY") -> Vessel:
    return Vessel.objects.get(name=name)


@contextmanager
def somebody_watches() -> Iterator[socket.socket]:
    """A socket where the process that keeps the ports fresh has its own."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind(str(watch.address()))
        listening.setblocking(False)
        yield listening


def inline(client: Client, row: Vessel, **changes: str) -> dict[str, Any]:
    """The form of a vessel with the numbers she is also recognised by, as a browser sends it."""
    rows = list(row.identifiers.order_by("pk"))
    sent: dict[str, Any] = {"identifiers-TOTAL_FORMS": len(rows), "identifiers-INITIAL_FORMS": len(rows)}
    for place, identifier in enumerate(rows):
        sent |= {f"identifiers-{place}-id": identifier.pk, f"identifiers-{place}-vessel": row.pk}
    return form_of(client, page(row)) | sent | changes


# --- ports and feeds ----------------------------------------------------------------------------------------


def test_a_port_is_turned_on_and_asked_for_at_once(
    as_owner: Client, feed: Teller, django_capture_on_commit_callbacks: Captured
) -> None:
    Port.objects.update(is_enabled=False)
    with somebody_watches() as listening:
        with django_capture_on_commit_callbacks(execute=True):
            response = as_owner.post(page(port()), {"is_enabled": "on"}, follow=True)
        assert listening.recv(100) == b"wake"
    assert "What tests tell (told) is asked for a refresh." in said(response)
    feed.feed.refresh_from_db()
    assert (port().is_enabled, feed.feed.wished_at is not None) == (True, True)


def test_a_port_is_turned_off_and_keeps_what_was_seen(as_owner: Client, known: Teller) -> None:
    as_owner.post(page(port()), {}, follow=True)
    known.feed.refresh_from_db()
    assert (port().is_enabled, known.feed.wished_at, port().calls.count()) == (False, None, 1)


def test_nothing_else_of_a_port_is_changed_by_hand(as_owner: Client, feed: Teller) -> None:
    as_owner.post(page(port()), {"is_enabled": "on", "name": "Zeta", "zone": "Asia/Tokyo", "locode": "XXZZZ"})
    assert (port().name, port().zone) == ("Alpha", "UTC")
    for name in ("port", "feed", "berth", "vessel", "portcall", "change", "refresh"):
        assert as_owner.get(f"{LISTS[name]}add/").status_code == 403, name
    for row in (port(), feed.feed):
        assert as_owner.post(page(row, "delete"), {"post": "yes"}).status_code == 403


def test_a_refresh_is_asked_for_once_for_each_feed_of_the_chosen_ports(as_owner: Client, feed: Teller) -> None:
    response = act(as_owner, "refresh_now", *feed.feed.ports.all())
    assert said(response) == [START_IT], "nobody sees to it"
    feed.feed.refresh_from_db()
    assert feed.feed.wished_at is not None


def test_who_may_only_look_may_ask_for_a_refresh(as_viewer: Client, feed: Teller) -> None:
    with somebody_watches():
        assert said(act(as_viewer, "refresh_now", feed.feed)) == ["What tests tell (told) is asked for a refresh."]
    feed.feed.refresh_from_db()
    assert feed.feed.wished_at is not None
    assert as_viewer.post(page(port()), {}).status_code == 403
    assert port().is_enabled


def test_a_publisher_who_asks_us_to_wait_is_told_of(as_owner: Client, feed: Teller) -> None:
    Feed.objects.filter(pk=feed.feed.pk).update(next_allowed_at=timezone.now() + timedelta(hours=1))
    with somebody_watches():
        (sentence,) = said(act(as_owner, "refresh_now", feed.feed))
    assert sentence.startswith("The tests asks us to wait until ")


def test_what_is_off_and_what_is_recorded_is_not_fetched(as_owner: Client, feed: Teller) -> None:
    Port.objects.filter(feed=feed.feed).update(is_enabled=False)
    assert said(act(as_owner, "refresh_now", port())) == ["Alpha is off, and is not fetched."]
    assert said(act(as_owner, "refresh_now", feed.feed)) == ["No port of told told is on: nothing is fetched."]
    Feed.objects.filter(pk=feed.feed.pk).update(is_example=True)
    Port.objects.filter(pk=port().pk).update(is_example=True, example_at=hour(0))
    sentence = "told told is a recording: there is nothing to fetch."
    assert said(act(as_owner, "refresh_now", port())) == [sentence]
    assert said(act(as_owner, "refresh_now", feed.feed)) == [sentence]
    assert as_owner.post(page(port()), {"is_enabled": "on"}).status_code == 403
    assert as_owner.post(page(feed.feed), {"interval": "20m"}).status_code == 403
    feed.feed.refresh_from_db()
    assert (feed.feed.wished_at, port().is_enabled) == (None, False)


@pytest.mark.parametrize(
    ("written", "sentence"),
    [
        ("9m", "Ask at most every 10 minutes."),
        ("", "This field is required."),
        ("often", "“often” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
    ],
)
def test_nobody_is_asked_more_often_than_is_polite(as_owner: Client, feed: Teller, written: str, sentence: str) -> None:
    found = errors(as_owner.post(page(feed.feed), {"interval": written}))
    assert [refusal for refusals in found.values() for refusal in refusals] == [sentence]


def test_how_often_a_feed_is_asked_can_be_chosen(as_owner: Client, feed: Teller) -> None:
    assert form_of(as_owner, page(feed.feed))["interval"] == "15m"
    Feed.objects.filter(pk=feed.feed.pk).update(memory={"told": {"etag": "1"}})
    as_owner.post(page(feed.feed), {"interval": "2h"})
    feed.feed.refresh_from_db()
    assert (feed.feed.interval, feed.feed.memory) == (timedelta(hours=2), {"told": {"etag": "1"}})
    assert "2h" in text(as_owner.get(LISTS["feed"]))


def test_the_feeds_tell_what_became_of_the_last_try(as_owner: Client, known: Teller) -> None:
    Refresh.objects.create(
        feed=known.feed,
        started_at=timezone.now(),
        as_of=hour(1),
        took=timedelta(0),
        outcome="failed",
        error="It is down.",
    )
    shown = text(as_owner.get(page(known.feed)))
    assert "failed. It is down." in shown
    assert "10 Jan" in shown
    log = text(as_owner.get(LISTS["refresh"], {"outcome": "failed"}))
    assert "It is down." in log
    assert "1 refresh" in log
    assert "XXAAA: 1 calls, " in text(as_owner.get(page(Refresh.objects.get(outcome="done"))))


# --- vessels ------------------------------------------------------------------------------------------------


def test_a_vessel_put_right_stays_right_and_the_feed_still_finds_her(as_owner: Client, known: Teller) -> None:
    wrong = call(ship=Ship("EVR GIVEN", imo="9074729", call_sign="H3RC"), eta=hour(9))
    known.tell(OLD, wrong)
    found = vessel("EVR GIVEN")
    as_owner.post(page(found), inline(as_owner, found, name=" EVER  GIVEN ", imo="9811000", flag="pa"))
    found.refresh_from_db()
    assert (found.name, found.imo, found.flag, found.call_sign) == ("EVER GIVEN", "9811000", "PA", "H3RC")
    assert found.corrected == ["flag", "imo", "name"]
    known.tell(OLD, call(ship=wrong.ship, eta=hour(10)))
    found.refresh_from_db()
    assert (found.name, found.imo, found.calls.get().eta) == ("EVER GIVEN", "9811000", hour(10))
    assert "Put right by hand: flag, IMO, name" in text(as_owner.get(page(found)))
    assert "1 vessel" in text(as_owner.get(LISTS["vessel"], {"corrected": "1"}))
    act(as_owner, "give_back", found)
    found.refresh_from_db()
    assert found.corrected == []
    known.tell(OLD, call(ship=wrong.ship, eta=hour(10)))
    found.refresh_from_db()
    assert (found.name, found.imo) == ("EVR GIVEN", "9074729")


def test_saving_a_vessel_unchanged_puts_nothing_right(as_owner: Client, known: Teller) -> None:
    as_owner.post(page(vessel()), inline(as_owner, vessel()))
    assert vessel().corrected == []


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("imo", "9811001", "The last digit of an IMO number follows from the others: this one is wrong."),
        ("imo", "98110", "The last digit of an IMO number follows from the others: this one is wrong."),
        ("imo", "9811000", "Another vessel has this IMO number: merge the two."),
        ("mmsi", "123", "An MMSI has nine digits."),
        ("mmsi", "000000000", "An MMSI has nine digits."),
        ("flag", "QQ", "No country has these letters (ISO 3166-1)."),
        ("name", "\u202e", "Write a name that can be read."),
        ("name", "", "This field is required."),
        ("type", "boat", "Select a valid choice. boat is not one of the available choices."),
    ],
)
def test_a_wrong_correction_is_refused_in_words(
    as_owner: Client, known: Teller, field: str, value: str, sentence: str
) -> None:
    Vessel.objects.create(name="OTHER", imo="9811000", first_seen_at=hour(0))
    found = errors(as_owner.post(page(vessel()), inline(as_owner, vessel(), **{field: value})))
    assert sentence in [refusal for refusals in found.values() for refusal in refusals]
    assert vessel().corrected == []


def test_a_number_that_is_another_ships_is_taken_from_her(as_owner: Client, known: Teller) -> None:
    found = vessel()
    found.be_known_by("imo", "9811000")
    as_owner.post(page(found), inline(as_owner, found, **{"identifiers-0-DELETE": "on"}))
    assert not Identifier.objects.filter(value="9811000").exists()
    assert vessel().corrected == []


def test_a_vessel_with_calls_is_not_deleted(as_owner: Client, known: Teller) -> None:
    response = as_owner.post(page(vessel(), "delete"), {"post": "yes"}, follow=True)
    assert "OLD LADY has called at a port: merge her with another vessel instead." in text(response)
    lonely = Vessel.objects.create(name="LONELY", first_seen_at=hour(0))
    as_owner.post(page(lonely, "delete"), {"post": "yes"})
    assert [row.name for row in Vessel.objects.all()] == ["OLD LADY"]


@pytest.fixture
def twins(known: Teller) -> tuple[Vessel, Vessel]:
    """One ship under two names, in one port twice."""
    one = Ship("EVER GIVEN", imo="9811000", call_sign="H3RC")
    two = Ship("EVERGIVEN", imo="9074729", mmsi="353136000")
    known.tell(
        OLD,
        *(call(Status.IN_PORT, ship=ship, ata=hour(-3), stays=(StayReport("Quay"),)) for ship in (one, two)),
        call(ship=two, port="XXBBB", eta=hour(9)),
    )
    return vessel("EVER GIVEN"), vessel("EVERGIVEN")


def test_before_two_are_merged_a_page_says_what_moves(as_owner: Client, twins: tuple[Vessel, Vessel]) -> None:
    twins[1].follow(User.objects.get(), on=True)
    shown = text(act(as_owner, "merge", *twins))
    assert "They differ in IMO: look twice" in shown
    assert "Alpha, in port" in shown
    for sentence in ("EVER GIVEN stays", "2 calls", "the name EVERGIVEN", "IMO 9074729, MMSI 353136000", "1 star "):
        assert sentence in shown
    for sentence in ("EVERGIVEN stays", "1 call ", "the name EVER GIVEN", "IMO 9811000, call sign H3RC", "0 stars"):
        assert sentence in shown
    assert Vessel.objects.count() == 3, "nothing has happened yet"


def test_two_are_merged_into_the_one_that_was_chosen(as_owner: Client, twins: tuple[Vessel, Vessel]) -> None:
    stays, goes = twins[1], twins[0]
    response = act(as_owner, "merge", *twins, stays=str(stays.pk))
    assert response.redirect_chain[-1][0] == page(stays)
    assert said(response) == ["EVER GIVEN is EVERGIVEN now: one vessel, with the calls of both."]
    assert not Vessel.objects.filter(pk=goes.pk).exists()
    stays.refresh_from_db()
    assert (stays.imo, stays.call_sign, stays.calls.count()) == ("9074729", "H3RC", 3)
    assert stays.calls.in_port().count() == 1
    assert LogEntry.objects.get().object_id == str(stays.pk)


@pytest.mark.parametrize("stays", ["", "x", "999999", "-1"])
def test_who_is_not_one_of_the_two_cannot_stay(as_owner: Client, twins: tuple[Vessel, Vessel], stays: str) -> None:
    assert "Choose which one stays." in text(act(as_owner, "merge", *twins, stays=stays))
    assert Vessel.objects.count() == 3


def test_one_or_three_are_not_two(as_owner: Client, twins: tuple[Vessel, Vessel]) -> None:
    for chosen in (twins[:1], (*twins, vessel())):
        assert said(act(as_owner, "merge", *chosen)) == ["Choose two vessels, those that are one."]
    assert Vessel.objects.count() == 3


def test_who_may_only_look_merges_and_corrects_nothing(as_viewer: Client, twins: tuple[Vessel, Vessel]) -> None:
    for action in ("merge", "give_back"):
        act(as_viewer, action, *twins, stays=str(twins[0].pk))
    assert as_viewer.post(page(twins[0]), {"name": "MINE"}).status_code == 403
    assert Vessel.objects.filter(name__startswith="EVER").count() == 2
    assert as_viewer.get(page(twins[0])).status_code == 200


# --- what the feeds told ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["portcall", "change", "refresh"])
def test_what_was_told_is_read_only(as_owner: Client, twins: tuple[Vessel, Vessel], name: str) -> None:
    row = {"portcall": PortCall, "change": Change, "refresh": Refresh}[name].objects.first()
    assert row is not None
    assert as_owner.get(page(row)).status_code == 200
    for what in ("change", "delete"):
        assert as_owner.post(page(row, what), {"post": "yes", "status": "gone"}).status_code == 403


def test_the_kind_of_a_place_is_put_right_and_stays_so(as_owner: Client, known: Teller) -> None:
    told = call(Status.IN_PORT, "NEW", ata=hour(-2), stays=(StayReport("WEST ROADS"),))
    known.tell(OLD, told)
    berth = Berth.objects.get()
    as_owner.post(page(berth), {"kind": "anchorage", "name": "x"})
    known.tell(OLD, call(Status.IN_PORT, "NEW", ata=hour(-2), agent="GAC", stays=(StayReport("WEST ROADS"),)))
    berth.refresh_from_db()
    assert (berth.kind, berth.name) == ("anchorage", "WEST ROADS")


@pytest.mark.parametrize("model", ["vessel", "portcall", "change"])
@pytest.mark.parametrize(
    ("query", "found"),
    [("given", True), ("9811000", True), ("h3rc", True), ("98110", False), ("%", False)],
)
def test_ships_are_found_by_name_and_number(
    as_owner: Client, twins: tuple[Vessel, Vessel], model: str, query: str, found: bool
) -> None:
    assert ("EVER GIVEN" in text(as_owner.get(LISTS[model], {"q": query}))) is found


@pytest.mark.parametrize("query", [{"listed": "1"}, {"status": "in_port"}, {"port__id__exact": "1"}, {"p": "99"}])
def test_calls_are_narrowed_down(as_owner: Client, twins: tuple[Vessel, Vessel], query: dict[str, str]) -> None:
    assert as_owner.get(LISTS["portcall"], query, follow=True).status_code == 200


@pytest.mark.parametrize("name", LISTS)
def test_a_list_asks_as_much_for_one_row_as_for_many(as_owner: Client, known: Teller, name: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            assert as_owner.get(LISTS[name]).status_code == 200
        return len(asked)

    known.tell(OLD, call(Status.IN_PORT, "A", ata=hour(-2), stays=(StayReport("Quay"),)))
    before = cost()
    ships = [call(Status.IN_PORT, f"S{n}", ata=hour(-2), stays=(StayReport(f"Quay {n}"),)) for n in range(20)]
    known.tell(OLD, *ships)
    assert cost() <= before + (name == "feed")


def test_lists_count_no_further_than_people_turn_pages(
    as_owner: Client, twins: tuple[Vessel, Vessel], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("iotsite.admin.COUNTED_AT_MOST", 2)
    assert "2 vessels" in text(as_owner.get(LISTS["vessel"]))
    assert "2 port calls" in text(as_owner.get(LISTS["portcall"]))


HOSTILE = "<script>alert(1)</script>"


def test_names_cannot_smuggle_in_markup(as_owner: Client, known: Teller) -> None:
    quay = (StayReport(HOSTILE, area=HOSTILE),)
    known.tell(
        OLD,
        call(Status.IN_PORT, ship=Ship(HOSTILE, imo="9811000", source_type=HOSTILE), ata=hour(-1), agent=HOSTILE),
        call(Status.IN_PORT, ship=Ship(f"{HOSTILE}2", call_sign="A"), ata=hour(-1), stays=quay),
        unknown={HOSTILE: 3},
    )
    one, two = vessel(HOSTILE), vessel(f"{HOSTILE}2")
    one.be_called(HOSTILE, hour(1))
    one.be_known_by("name", HOSTILE, HOSTILE[:20])
    Change.objects.update(was=HOSTILE, became=HOSTILE)
    Refresh.objects.create(
        feed=known.feed, started_at=timezone.now(), as_of=hour(5), took=timedelta(0), outcome="failed", error=HOSTILE
    )
    rows: list[models.Model] = [one, two, *PortCall.objects.all(), *Change.objects.all(), *Berth.objects.all()]
    rows += Refresh.objects.all()
    answers = [as_owner.get(path) for path in (*LISTS.values(), *map(page, rows), page(known.feed))]
    answers += [as_owner.get(LISTS["vessel"], {"q": HOSTILE}), as_owner.get(page(one, "delete"))]
    answers.append(act(as_owner, "merge", one, two))
    answers.append(act(as_owner, "merge", one, two, stays=str(one.pk)))
    for answer in answers:
        assert answer.status_code == 200
        assert HOSTILE not in answer.content.decode(), answer.request["PATH_INFO"]
    shown = [answer for answer in answers if "&lt;script&gt;" in answer.content.decode()]
    assert len(shown) >= len(answers) - 3, "all but the lists of ports, and what tells of OLD LADY"


def test_every_field_has_help_in_plain_words(as_owner: Client, known: Teller) -> None:
    for row in (vessel(), port(), known.feed):
        form = as_owner.get(page(row)).context["adminform"].form
        assert [name for name, field in form.fields.items() if not field.help_text] == []
