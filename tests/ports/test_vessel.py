"""A ship's page: what she is, where she was and will be, and what changed."""

import re
from datetime import timedelta
from typing import Any

import pytest
from django.db.models import Model
from django.test import Client
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from ports import track
from ports.models import Change, Port, PortCall, Stay, Vessel, VesselName
from ports.snapshot import Status, StayReport
from ports.views import vessel as page
from ports.views.vessel import with_stays
from tests.ports.told import Teller, call, hour, ship
from tests.relays.test_views import text

IMO = "9811000"
HOSTILE = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "=cmd|' /C calc'!A0",
    "A\u202eB\u2066C",
    "two\r\nlines",
    "NUL\x00\x0b\x1b",
    "{{ 7*7 }}{% now %}",
    "x" * 10_000,
]


@pytest.fixture
def given(known: Teller) -> Vessel:
    """She comes an hour late, lies at two berths, leaves, and is expected again, at another port."""
    her = ship(imo=IMO, mmsi="353136000", flag="PA", source_type="Container ship (cellular)")
    known.tell(call(ship=her, eta=hour(5)))
    known.tell(call(ship=her, eta=hour(8)))
    first, second = StayReport("Kwai Tsing 3"), StayReport("Buoy A9")
    known.tell(call(Status.IN_PORT, ship=her, ata=hour(8), stays=(first,)), at=9)
    known.tell(call(Status.IN_PORT, ship=her, ata=hour(8), stays=(second,)), at=12)
    known.tell(call(Status.DEPARTED, ship=her, ata=hour(8), atd=hour(20)), at=21)
    known.tell(call(ship=her, port="XXBBB", eta=hour(100), agent="Evergreen", previous_port="Alpha"))
    return Vessel.objects.get(imo=IMO)


def look(client: Client, vessel: Vessel, query: str = "") -> Any:
    return client.get(f"/ports/vessels/{vessel.pk}/{query}")


def change(row: Model, **fields: Any) -> None:
    """Past all that would refuse it."""
    type(row)._default_manager.filter(pk=row.pk).update(**fields)


# --- what is known of her -----------------------------------------------------------------------------------


def test_what_she_is(as_viewer: Client, given: Vessel) -> None:
    shown = text(look(as_viewer, given))
    for words in ("EVER GIVEN", "9811000", "353136000", "CSEVERGIVE", "Panama", "Container ship (cellular)"):
        assert words in shown


def test_names_she_had_and_since_when(as_viewer: Client, given: Vessel) -> None:
    assert "Earlier names" not in text(look(as_viewer, given))
    for name, day in (("OLD NAME", 1), ("EVER GIVEN", 30)):
        VesselName.objects.create(vessel=given, name=name, first_seen_at=hour(24 * day))
    shown = text(look(as_viewer, given))
    assert re.search(r"Earlier names\s+OLD NAME\s+since 11 Jan 2026", shown)
    assert shown.count("EVER GIVEN since") == 0


def test_what_is_not_known_is_left_out(as_viewer: Client, known: Teller) -> None:
    known.tell(call(name="NAMELESS"))
    shown = text(look(as_viewer, Vessel.objects.get(name="NAMELESS")))
    assert "IMO" not in shown.split("Calls")[0]
    assert "MMSI" not in shown
    assert "Elsewhere" not in shown


def test_links_lead_out_by_imo_and_else_by_mmsi(as_viewer: Client, given: Vessel) -> None:
    def links() -> list[str]:
        return re.findall(
            r'<a href="(https://[^"]*(?:9811000|353136000))"\s+rel="([^"]*)"', look(as_viewer, given).text
        )

    assert links()
    assert {rel for _, rel in links()} == {"noreferrer noopener external"}
    assert all(address.endswith("9811000") for address, _ in links())
    change(given, imo="")
    assert links()
    assert all(address.endswith("353136000") for address, _ in links())


def test_her_calls_newest_first_with_berths_and_moments(as_viewer: Client, given: Vessel) -> None:
    response = look(as_viewer, given)
    assert [voyage.call.port.locode for voyage in response.context["voyages"]] == ["XXBBB", "XXAAA"]
    assert [voyage.berths for voyage in response.context["voyages"]] == [[], ["Kwai Tsing 3", "Buoy A9"]]
    coming, past = ([word for word, _ in voyage.moments] for voyage in response.context["voyages"])
    assert (coming, past) == (["ETA"], ["arrived", "departed"])
    assert "agent Evergreen" in text(response)


def test_what_changed_in_sentences(as_viewer: Client, given: Vessel) -> None:
    sentences = [words for _, _, words in look(as_viewer, given).context["changes"]]
    assert sentences[0] == "new: expected"
    assert any(words.startswith("ETA moved 3 h later") for words in sentences)
    assert "arrived" in sentences
    assert "departed" in sentences
    assert any("Buoy A9" in words for words in sentences)


def test_moments_are_told_in_the_zone_of_each_port(as_viewer: Client, given: Vessel) -> None:
    Port.objects.update(is_example=True, example_at=hour(23))  # in another year they would be told with theirs
    change(Port.objects.get(locode="XXBBB"), zone="Asia/Hong_Kong")
    shown = text(look(as_viewer, given))
    assert "ETA 15 Jan 00:00" in shown  # 16:00 UTC
    assert "arrived 10 Jan 20:00" in shown
    assert "UTC+8" in shown


def test_an_example_has_its_own_present(as_viewer: Client, given: Vessel) -> None:
    change(Port.objects.get(locode="XXBBB"), is_example=True, example_at=hour(97))
    shown = text(look(as_viewer, given))
    assert "in 3 h" in shown
    assert "recorded 14 Jan 2026" in shown


def test_a_port_whose_first_load_is_not_whole_says_nothing_yet(as_viewer: Client, given: Vessel) -> None:
    change(Port.objects.get(locode="XXBBB"), loaded_at=None)
    response = look(as_viewer, given)
    assert [voyage.call.port.locode for voyage in response.context["voyages"]] == ["XXAAA"]
    assert {one.port.locode for one, _, _ in response.context["changes"]} == {"XXAAA"}


def test_the_source_is_named(as_viewer: Client, given: Vessel) -> None:
    assert "Source: Nobody's" in text(look(as_viewer, given)).replace("&#x27;", "'")


def test_calls_page_by_page(as_viewer: Client, given: Vessel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", 1)
    seen, query = [], ""
    while True:
        context = look(as_viewer, given, query).context
        seen += [voyage.call.port.locode for voyage in context["voyages"]]
        if not (query := context["older"]):
            break
    assert seen == ["XXBBB", "XXAAA"]
    assert context["newer"] == "?page=1"


@pytest.mark.parametrize("query", ["?page=x", "?page=0", "?page=99999999999", "?page=%00"])
def test_a_page_that_cannot_be_is_said_in_words(as_viewer: Client, given: Vessel, query: str) -> None:
    response = look(as_viewer, given, query)
    assert response.status_code == 400
    assert "Page:" in text(response)


def test_no_such_ship(as_viewer: Client, given: Vessel) -> None:
    assert as_viewer.get("/ports/vessels/999999/").status_code == 404


def test_a_page_costs_few_queries(
    as_viewer: Client, given: Vessel, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    look(as_viewer, given)
    # session, user, she and her star, names, calls, stays, changes, what the site has
    with django_assert_max_num_queries(8):
        look(as_viewer, given)


# --- the drawing --------------------------------------------------------------------------------------------


def drawn(vessel: Vessel) -> track.Drawing:
    calls = PortCall.objects.filter(vessel=vessel).select_related("port", "berth").order_by("-id")
    drawing = track.draw(with_stays(list(calls)))
    assert drawing
    return drawing


def test_a_bar_for_each_stay_and_a_hollow_one_for_what_is_expected(given: Vessel) -> None:
    Port.objects.update(is_example=True, example_at=hour(48))
    drawing = drawn(given)
    assert [(bar.shown, bar.sentence) for bar in drawing.bars] == [
        ("plan", "Beta: expected 14 Jan 16:00"),
        ("past", "Alpha, Kwai Tsing 3: 10 Jan 21:00 to 11 Jan 00:00, 3 h"),
        ("past", "Alpha, Buoy A9: 11 Jan 00:00 to 11 Jan 09:00, 9 h"),
    ]
    planned, first, second = drawing.bars
    assert first.x < second.x < planned.x
    assert planned.y != first.y == second.y
    assert [name for name, _ in drawing.lanes] == ["Beta", "Alpha"]


def test_bars_lie_within_the_drawing_and_can_be_seen(given: Vessel) -> None:
    change(PortCall.objects.get(port__locode="XXBBB"), eta=hour(24 * 3650))
    for bar in drawn(given).bars:
        assert bar.width >= track.THINNEST
        assert bar.x >= 0
        assert bar.x + bar.width <= 100.01


def test_who_is_here_is_drawn_until_now(given: Vessel) -> None:
    Port.objects.update(is_example=True, example_at=hour(110))
    change(PortCall.objects.get(port__locode="XXBBB"), status="in_port", ata=hour(100))
    here = next(bar for bar in drawn(given).bars if bar.sentence.startswith("Beta"))
    assert here.sentence == "Beta: since 14 Jan 16:00, 10 h"
    assert here.x + here.width == pytest.approx(drawn(given).now or 0, abs=0.1)


def test_who_is_in_the_feed_no_more_is_drawn_until_it_told_of_her_last(as_viewer: Client, given: Vessel) -> None:
    Port.objects.update(is_example=True, example_at=hour(200))
    call = PortCall.objects.get(port__locode="XXBBB")
    change(call, status="in_port", ata=hour(100), last_seen_at=hour(120))
    here = next(bar for bar in drawn(given).bars if bar.call == call.pk)
    assert here.sentence == "Beta: since 14 Jan 16:00, 20 h; not in the feed since 15 Jan"
    assert here.x + here.width < (drawn(given).now or 0) - 5
    shown = text(look(as_viewer, given))
    assert "last known: in port not in the feed since 15 Jan" in shown
    change(call, status="expected", ata=None, eta=hour(100))
    shown = text(look(as_viewer, given))
    assert "last known: expected not in the feed since 15 Jan" in shown
    assert "overdue" not in shown


def test_moments_that_contradict_each_other_are_drawn_as_doubtful(given: Vessel) -> None:
    past = PortCall.objects.get(port__locode="XXAAA", vessel=given)
    Stay.objects.filter(call=past).delete()
    change(past, ata=hour(20), atd=hour(8), is_doubtful=True)
    doubtful = next(bar for bar in drawn(given).bars if bar.call == past.pk)
    assert doubtful.shown == "doubtful"
    assert doubtful.width >= track.THINNEST


def test_what_vanished_is_never_drawn_as_departed(given: Vessel) -> None:
    Port.objects.update(is_example=True, example_at=hour(51))
    change(PortCall.objects.get(port__locode="XXBBB"), status="gone", last_seen_at=hour(50))
    bar = next(bar for bar in drawn(given).bars if bar.sentence.startswith("Beta"))
    assert (bar.shown, bar.sentence) == ("plan", "Beta: expected 14 Jan 16:00, gone from the feed")


def test_of_no_moment_there_is_no_drawing(known: Teller, as_viewer: Client) -> None:
    known.tell(call(name="TIMELESS"))
    response = look(as_viewer, Vessel.objects.get(name="TIMELESS"))
    assert response.context["drawing"] is None
    assert response.status_code == 200


def test_ticks_are_few_whatever_the_span() -> None:
    for days in (0.01, 1, 3, 10, 45, 200, 1000, 20_000, 900_000):
        ticks = list(track._ticks(hour(0), hour(0) + timedelta(days=days)))
        assert len(ticks) <= track.MOST_TICKS
        assert ticks or days < 2


# --- strangers ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_a_hostile_name_is_shown_as_it_is_and_does_nothing(as_viewer: Client, given: Vessel, name: str) -> None:
    change(given, name=name, call_sign=name, source_type=name)
    VesselName.objects.create(vessel=given, name=f"{name} I", first_seen_at=hour(0))
    PortCall.objects.filter(vessel=given).update(agent=name, previous_port=name, next_port=name)
    Change.objects.filter(call__vessel=given, field="berth").update(was=name, became=name)
    for stay in Stay.objects.filter(call__vessel=given):
        change(stay.berth, name=name)
    response = look(as_viewer, given)
    assert response.status_code == 200
    assert "<script>alert" not in response.text
    assert "<img" not in response.text.split("</header>")[1]
    assert ">49<" not in response.text
    shown = response.context["vessel"].name
    assert shown == name


@pytest.mark.parametrize("is_public", [False, True])
def test_who_may_look(client: Client, given: Vessel, settings: Settings, is_public: bool) -> None:
    settings.PORTS_PUBLIC = is_public
    response = look(client, given)
    if is_public:
        assert response.status_code == 200
        assert "aria-pressed" not in response.text
    else:
        assert (response.status_code, response["Location"].split("?")[0]) == (302, "/account/sign-in/")


def test_her_star_stands_there(as_owner: Client, owner: User, given: Vessel) -> None:
    assert 'aria-pressed="false"' in look(as_owner, given).text
    given.follow(owner, True)
    assert 'aria-pressed="true"' in look(as_owner, given).text
