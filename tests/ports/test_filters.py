"""What may be asked of a list, by the address: which ships are found, in which order, page by page."""

from typing import Any

import pytest
from django.test import Client
from hypothesis import given, settings
from hypothesis import strategies as st

from ports import filters, lists
from ports.filters import CallFilter
from ports.models import Berth, Identifier, Port, PortCall, Vessel, VesselName
from ports.snapshot import Status, StayReport, VesselType
from ports.views import port as page
from tests.ports.told import Teller, call, hour, ship
from tests.relays.test_views import text

NORTH, SOUTH = StayReport("North quay"), StayReport("South quay")


@pytest.fixture
def fleet(known: Teller) -> Port:
    """Four ships that are expected, each unlike the others."""
    known.tell(
        call(
            ship=ship("EVER GIVEN", imo="9811000", mmsi="353136000", flag="PA", type=VesselType.CONTAINER),
            **{"eta": hour(10), "agent": "Wilson Sons", "previous_port": "Kobe", "stays": (NORTH,)},
        ),
        call(ship=ship("GIVEN TAKE", flag="HK", type=VesselType.BULK), eta=hour(30), agent="Inchcape"),
        call(ship=ship("ALGOMA", flag="CA", type=VesselType.BULK), eta=hour(20), previous_port="Osaka"),
        call(ship=ship("50% OFF_", type=VesselType.TUG), stays=(SOUTH,)),
    )
    return Port.objects.get(locode="XXAAA")


def names(client: Client, query: str = "", tab: str = "expected") -> list[str]:
    response: Any = client.get(f"/ports/XXAAA/{tab}/?{query}")
    assert response.status_code == 200, text(response)
    return [line.call.vessel.name for line in response.context["lines"]]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("q=given", ["EVER GIVEN", "GIVEN TAKE"]),
        ("q=%20ever%20", ["EVER GIVEN"]),
        ("q=9811000", ["EVER GIVEN"]),
        ("q=353136000", ["EVER GIVEN"]),
        ("q=csalgoma", ["ALGOMA"]),
        ("q=981", []),
        ("q=%25", ["50% OFF_"]),
        ("q=_", ["50% OFF_"]),
        ("q=nobody", []),
        ("type=bulk", ["ALGOMA", "GIVEN TAKE"]),
        ("flag=PA", ["EVER GIVEN"]),
        ("agent=wilson", ["EVER GIVEN"]),
        ("previous_port=osa", ["ALGOMA"]),
        ("type=bulk&flag=HK&q=take", ["GIVEN TAKE"]),
        ("type=&flag=&q=&berth=&page=&sort=&times=", ["EVER GIVEN", "ALGOMA", "GIVEN TAKE", "50% OFF_"]),
        ("unheard=of", ["EVER GIVEN", "ALGOMA", "GIVEN TAKE", "50% OFF_"]),
    ],
)
def test_filters_stand_in_the_address(as_viewer: Client, fleet: Port, query: str, expected: list[str]) -> None:
    assert names(as_viewer, query) == expected


def test_a_list_is_filtered_by_berth(as_viewer: Client, fleet: Port) -> None:
    assert names(as_viewer, f"berth={Berth.objects.get(name='South quay').pk}") == ["50% OFF_"]


def test_a_ship_is_found_by_a_name_and_a_number_that_she_had(as_viewer: Client, fleet: Port) -> None:
    her = Vessel.objects.get(name="ALGOMA")
    VesselName.objects.create(vessel=her, name="OLD FRIEND", first_seen_at=hour(0))
    Identifier.objects.create(vessel=her, kind="mmsi", value="316001234")
    Identifier.objects.create(vessel=her, kind="name", value="NICK", source="told")
    assert names(as_viewer, "q=friend") == names(as_viewer, "q=316001234") == ["ALGOMA"]
    assert names(as_viewer, "q=nick") == []


def test_a_name_that_fits_too_many_is_found_all_the_same(
    as_viewer: Client, fleet: Port, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(filters, "FEW_SHIPS", 1)
    assert filters.ships("given") is None
    assert names(as_viewer, "q=given") == ["EVER GIVEN", "GIVEN TAKE"]


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("name", ["50% OFF_", "ALGOMA", "EVER GIVEN", "GIVEN TAKE"]),
        ("-name", ["GIVEN TAKE", "EVER GIVEN", "ALGOMA", "50% OFF_"]),
        ("eta", ["EVER GIVEN", "ALGOMA", "GIVEN TAKE", "50% OFF_"]),
        ("-eta", ["GIVEN TAKE", "ALGOMA", "EVER GIVEN", "50% OFF_"]),
        ("type", ["ALGOMA", "GIVEN TAKE", "EVER GIVEN", "50% OFF_"]),
        ("berth", ["EVER GIVEN", "50% OFF_", "ALGOMA", "GIVEN TAKE"]),
    ],
)
def test_a_list_is_sorted_and_what_is_not_known_stands_last(
    as_viewer: Client, fleet: Port, sort: str, expected: list[str]
) -> None:
    assert names(as_viewer, f"sort={sort}") == expected


@pytest.mark.parametrize("sort", sorted(filters.ASCENDING))
@pytest.mark.parametrize("tab", ["in-port", "expected", "departed"])
def test_every_list_can_be_sorted_by_everything(as_viewer: Client, fleet: Port, tab: str, sort: str) -> None:
    assert sorted(names(as_viewer, f"sort={sort}", tab)) == sorted(names(as_viewer, f"sort=-{sort}", tab))


def test_heads_turn_the_order_round_and_keep_what_was_asked(as_viewer: Client, fleet: Port) -> None:
    response: Any = as_viewer.get("/ports/XXAAA/expected/?type=bulk&sort=eta&page=1&times=utc")
    heads = {head["label"]: head for head in response.context["heads"]}
    assert (heads["ETA"]["way"], heads["Ship"]["way"]) == ("ascending", "")
    assert heads["ETA"]["address"] == "/ports/XXAAA/expected/?type=bulk&times=utc&sort=-eta"
    assert heads["Ship"]["address"] == "/ports/XXAAA/expected/?type=bulk&times=utc&sort=name"
    assert response.context["unfiltered"] == "/ports/XXAAA/expected/?sort=eta&times=utc"


@pytest.mark.parametrize("sort", ["", "&sort=name", "&sort=-eta"])
def test_pages_follow_each_other_without_a_gap(
    as_viewer: Client, fleet: Port, monkeypatch: pytest.MonkeyPatch, sort: str
) -> None:
    monkeypatch.setattr(page, "PAGE", 1)
    whole = names(as_viewer, f"page=1{sort}")
    address, seen = f"/ports/XXAAA/expected/?{sort}", []
    while address:
        context = as_viewer.get(address).context
        seen += [line.call.vessel.name for line in context["lines"]]
        address = context["next"]
    assert len(seen) == len({*seen}) == 4
    assert whole == seen[:1]
    assert context["previous"].endswith("page=3")


@pytest.mark.parametrize("sort", ["", "&sort=name", "&sort=-berth"])
@pytest.mark.parametrize(("tab", "status"), [("in-port", Status.IN_PORT), ("departed", Status.DEPARTED)])
def test_pages_put_together_are_the_whole_list(
    as_viewer: Client, known: Teller, monkeypatch: pytest.MonkeyPatch, tab: str, status: Status, sort: str
) -> None:
    lying = [(StayReport(f"Pier {number}"),) if number % 3 else () for number in range(7)]
    known.tell(
        *(
            call(status, f"SHIP {n}", ata=hour(-n), atd=hour(n / 9) if tab == "departed" else None, stays=stays)
            for n, stays in enumerate(lying)
        ),
        at=9,
    )
    whole = [name for name in names(as_viewer, sort, tab) if name != "OLD LADY"]
    assert len(whole) == 7
    monkeypatch.setattr(page, "PAGE", 2)
    pages = [names(as_viewer, f"page={number}{sort}", tab) for number in range(1, 5)]
    assert [name for one in pages for name in one if name != "OLD LADY"] == whole


def test_a_page_beyond_the_last_says_so(as_viewer: Client, fleet: Port) -> None:
    response = as_viewer.get("/ports/XXAAA/expected/?page=7")
    assert "There are no more." in text(response)


def test_how_many_there_are_is_said(as_viewer: Client, fleet: Port, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "PAGE", 3)

    def found(query: str = "") -> str:
        return str(as_viewer.get(f"/ports/XXAAA/expected/?{query}").context["found"])

    assert found() == "Ships 1 to 3 of 4"
    assert found("page=2") == "Ships 4 to 4 of 4"
    assert found("q=given") == "2 ships"
    assert found("q=algoma") == "1 ship"
    assert found("q=x") == "No ship"


def test_of_a_long_list_the_beginning_is_looked_through_and_the_page_says_so(
    as_viewer: Client, known: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lists, "LOOKED_AT", 2)
    known.tell(*(call(Status.DEPARTED, f"SHIP {n}", ata=hour(n), atd=hour(n + 1)) for n in range(4)), at=9)
    assert names(as_viewer, "", "departed") == ["SHIP 3", "SHIP 2", "SHIP 1", "SHIP 0"]
    assert names(as_viewer, "sort=name", "departed") == ["SHIP 2", "SHIP 3"]
    assert "among the 2 that left last" in text(as_viewer.get("/ports/XXAAA/departed/?sort=name"))
    assert names(as_viewer, "q=ship 0", "departed") == ["SHIP 0"], "a name is looked for among all"
    known.tell(*(call(Status.IN_PORT, f"LIES {n}", ata=hour(n)) for n in range(4)), at=10)
    assert names(as_viewer, "", "in-port") == ["LIES 3", "LIES 2"]
    assert "only the first 2 are looked through" in text(as_viewer.get("/ports/XXAAA/in-port/"))


def test_the_choice_of_orders_has_the_one_that_is_shown(as_viewer: Client, fleet: Port) -> None:
    for tab in ("in-port", "expected", "departed"):
        context = as_viewer.get(f"/ports/XXAAA/{tab}/?q=nobody").context
        assert context["sort"] in [value for value, _ in context["sorts"]], "else a browser would choose the first"


def test_choices_are_what_stands_in_the_port(as_viewer: Client, fleet: Port) -> None:
    response: Any = as_viewer.get("/ports/XXAAA/expected/")
    choices = response.context["choices"]
    assert [name for _, name in choices["berth"]] == ["North quay", "South quay"]
    assert choices["flag"] == [("CA", "Canada"), ("HK", "Hong Kong"), ("PA", "Panama")]
    assert choices["agent"] == '<option value="Inchcape"></option><option value="Wilson Sons"></option>'
    assert '<option value="Osaka"></option>' in choices["previous_port"]


def test_typed_words_put_a_clean_address_into_the_browser(as_viewer: Client, fleet: Port) -> None:
    query = "q=given&type=&berth=&flag=&agent=&previous_port=&sort=eta&unheard=of"
    response = as_viewer.get(f"/ports/XXAAA/expected/?{query}", headers={"HX-Request": "true"})
    assert response["HX-Replace-Url"] == "/ports/XXAAA/expected/?q=given&sort=eta"
    assert "HX-Replace-Url" not in as_viewer.get(f"/ports/XXAAA/expected/?{query}")


TEXTS = st.text(max_size=120) | st.sampled_from(["1", "-1", "name", "-eta", "bulk", "PA", "utc", "Asia/Hong_Kong"])


@given(asked=st.dictionaries(st.sampled_from([*CallFilter.base_filters]), TEXTS, max_size=5))
@settings(max_examples=150)
@pytest.mark.django_db
def test_whatever_is_asked_is_answered_or_refused_in_words(asked: dict[str, str]) -> None:
    found = CallFilter(asked, PortCall.objects.all())
    if found.form.is_valid():
        list(lists.ordered(found.qs, lists.Tab.EXPECTED, found.form.cleaned_data["sort"])[:5])
    else:
        assert all(said for errors in found.form.errors.values() for said in errors)
