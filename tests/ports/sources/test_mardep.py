"""Hong Kong's four lists: each trap of the recorded answers, and what an answer that is none says."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from xml.etree import ElementTree
from xml.sax.saxutils import escape
from zoneinfo import ZoneInfo

import pytest

from ports.snapshot import BerthKind, CallReport, Snapshot, Status, VesselType
from ports.sources import SourceError
from ports.sources.mardep import MarDep
from tests.ports.sources.samples import EXAMPLES, SAMPLES, read

ZONE = ZoneInfo("Asia/Hong_Kong")
AT = datetime(2025, 8, 22, 13, 25, tzinfo=UTC)
G2 = read(EXAMPLES / "hk-mardep-2025-08-18")
G3 = read(EXAMPLES / "hk-mardep-2025-08-22")
DUE, ARRIVED, IN_PORT, DEPARTED = "RP04005i.XML", "RP05005i.XML", "RP06005i.XML", "RP05505i.XML"

BLANK = {"CALL_SIGN": "VRAA1", "VESSEL_NAME": "EVER GIVEN", "SHIP_TYPE": "CONTAINER", "AGENT_NAME": "AN AGENT"}
BLANKS = {
    DUE: {**BLANK, "LAST_PORT": "SINGAPORE", "ETA": "2025/08/23 12:00"},
    ARRIVED: {**BLANK, "CURRENT_LOCATION": "SINOPEC", "ARRIVAL_TIME": "22-AUG-2025 12:00"},
    IN_PORT: {**BLANK, "FLAG": "PANAMA", "CURRENT_LOCATION": "SINOPEC", "ARRIVAL_TIME": "2025/08/22 12:00"},
    DEPARTED: {**BLANK, "ATD_TIME": "2025/08/22 12:00", "LAST_BERTH": "SINOPEC"},
}


def hkt(day: int, hour: int, minute: int = 0) -> datetime:
    return datetime(2025, 8, day, hour, minute, tzinfo=ZONE)


def xml(file: str, rows: Iterable[dict[str, str]]) -> bytes:
    """One list, as the department writes it."""
    told = "".join(
        f"<G_SQL1>{''.join(f'<{name}>{escape(value)}</{name}>' for name, value in row.items())}</G_SQL1>"
        for row in rows
    )
    root = file[:8].upper() + "XML"
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<{root}>{told}</{root}>'.encode()


def of(file: str, *rows: dict[str, str]) -> bytes:
    """A list of rows that say ``rows`` where they differ from BLANKS."""
    return xml(file, [{**BLANKS[file], **row} for row in rows])


def parse(**lists: bytes) -> Snapshot:
    names = {"due": DUE, "arrived": ARRIVED, "in_port": IN_PORT, "departed": DEPARTED}
    return MarDep().parse({names[name]: content for name, content in lists.items()}, AT)


def calls_of(snapshot: Snapshot, call_sign: str) -> list[CallReport]:
    return [call for call in snapshot.calls if call.ship.call_sign == call_sign]


def places(call: CallReport) -> list[str]:
    return [stay.berth for stay in call.stays]


@pytest.fixture(scope="module")
def g2() -> Snapshot:
    return MarDep().parse(G2, datetime(2025, 8, 18, 12, 10, tzinfo=UTC))


@pytest.fixture(scope="module")
def g3() -> Snapshot:
    return MarDep().parse(G3, AT)


# --- the recorded lists -------------------------------------------------------------------------------------


def raw(files: dict[str, bytes], file: str) -> list[dict[str, str]]:
    """Read with another parser."""
    root = ElementTree.fromstring(files[file])
    return [{field.tag: (field.text or "").strip() for field in row} for row in root]


@pytest.mark.parametrize("files", [G2, G3], ids=["18 Aug", "22 Aug"])
def test_the_calls_are_those_that_an_independent_count_finds(files: dict[str, bytes]) -> None:
    snapshot = MarDep().parse(files, AT)
    told = {status: [call for call in snapshot.calls if call.status == status] for status in Status}
    due = raw(files, DUE)
    assert sorted((call.ship.call_sign, call.ship.name) for call in told[Status.EXPECTED]) == sorted(
        (row["CALL_SIGN"], row["VESSEL_NAME"]) for row in due
    )
    left = {row["CALL_SIGN"]: row["ATD_TIME"] for row in raw(files, DEPARTED)}
    assert {call.ship.call_sign: f"{call.atd:%Y/%m/%d %H:%M}" for call in told[Status.DEPARTED]} == left
    here = {row["CALL_SIGN"] for row in raw(files, IN_PORT)} | {row["CALL_SIGN"] for row in raw(files, ARRIVED)}
    since = {row["CALL_SIGN"]: row["ARRIVAL_TIME"] for row in raw(files, IN_PORT)}
    here = {sign for sign in here if sign not in left or left[sign] < since.get(sign, "")}
    assert {call.ship.call_sign for call in told[Status.IN_PORT]} == here
    assert len(told[Status.IN_PORT]) == len(here)
    assert not told[Status.CANCELLED]


def test_the_four_recorded_lists_are_read_in_a_tenth_of_a_second() -> None:
    took = []
    for _ in range(5):
        began = time.process_time()
        MarDep().parse(G3, AT)
        took.append(time.process_time() - began)
    assert min(took) <= 0.1


def test_nothing_that_the_lists_say_of_a_place_or_country_is_unknown(g2: Snapshot, g3: Snapshot) -> None:
    assert g2.unknown == g3.unknown == {}
    for files, snapshot in ((G2, g2), (G3, g3)):
        flags = {row["CALL_SIGN"]: row["FLAG"] for row in raw(files, IN_PORT)}
        assert all(call.ship.flag for call in snapshot.calls if flags.get(call.ship.call_sign))


# --- traps of the recorded lists ----------------------------------------------------------------------------


def test_two_date_formats_mean_one_moment_in_hong_kong_time(g3: Snapshot) -> None:
    """Arrived: 22-AUG-2025 15:51; in port: 2025/08/22 15:51. UTC+8 is said nowhere."""
    whampoa = calls_of(g3, "VRIG9")[-1]
    assert whampoa.ata == datetime(2025, 8, 22, 7, 51, tzinfo=UTC)
    assert whampoa.ata.utcoffset() == timedelta(hours=8)


def test_an_imo_number_stands_only_in_the_list_of_ships_in_port_and_is_told_for_all_calls_of_the_ship(
    g2: Snapshot,
) -> None:
    assert {call.ship.imo for call in calls_of(g2, "9V7391")} == {"9554092"}
    assert all(call.ship.imo == "" for call in g2.calls if call.status == Status.EXPECTED)


def test_a_temporary_imo_number_is_none(g3: Snapshot) -> None:
    rows = [row["CALL_SIGN"] for row in raw(G3, IN_PORT) if row.get("IMO_NO", "").startswith("TEMP")]
    assert len(rows) == 9
    assert {call.ship.imo for sign in rows for call in calls_of(g3, sign)} == {""}


def test_a_blank_imo_number_is_none(g3: Snapshot) -> None:
    rows = [row["CALL_SIGN"] for row in raw(G3, IN_PORT) if "IMO_NO" not in row]
    assert len(rows) == 3
    assert all(calls_of(g3, sign)[0].ship.imo == "" for sign in rows)


def test_no_ship_has_an_mmsi(g3: Snapshot) -> None:
    assert {call.ship.mmsi for call in g3.calls} == {""}


def test_trailing_spaces_of_names_are_dropped(g3: Snapshot) -> None:
    assert b"<VESSEL_NAME>BAO QIAO 77 </VESSEL_NAME>" in G3[ARRIVED]
    assert calls_of(g3, "3E6968")[0].ship.name == "BAO QIAO 77"


def test_two_ships_of_one_name_stay_two(g2: Snapshot, g3: Snapshot) -> None:
    ships = {call.ship for snapshot in (g2, g3) for call in snapshot.calls if call.ship.name == "YUNNAN"}
    assert {ship.call_sign for ship in ships} == {"9V9911", "VROI7"}


def test_a_ship_is_in_port_since_2011(g3: Snapshot) -> None:
    oldest = min((call for call in g3.calls if call.ata), key=lambda call: call.ata or AT)
    assert oldest.ata is not None
    assert oldest.ata.year == 2011
    assert oldest.status == Status.IN_PORT


def test_an_eta_in_the_past_is_still_expected(g3: Snapshot) -> None:
    late = [call for call in g3.calls if call.status == Status.EXPECTED and call.eta and call.eta < AT]
    assert late
    assert all(call.ata is None for call in late)


def test_the_list_of_arrivals_is_not_the_list_of_ships_in_port(g3: Snapshot) -> None:
    left = [row["CALL_SIGN"] for row in raw(G3, ARRIVED) if row.get("REMARK") == "Departed"]
    assert len(left) == 49
    for sign in left:
        assert calls_of(g3, sign)[0].status == Status.DEPARTED


def test_an_arrival_that_departed_is_one_call_with_both_moments(g2: Snapshot) -> None:
    call = calls_of(g2, "VRGB9")[0]
    assert (call.status, call.ata, call.atd) == (Status.DEPARTED, hkt(17, 22, 14), hkt(18, 13, 37))
    assert places(call) == ["SOUTH LAMMA DG ANCHORAGE"]


def test_arrived_and_in_port_are_one_call(g3: Snapshot) -> None:
    both = {row["CALL_SIGN"] for row in raw(G3, ARRIVED)} & {row["CALL_SIGN"] for row in raw(G3, IN_PORT)}
    here = {sign: [call for call in calls_of(g3, sign) if call.status == Status.IN_PORT] for sign in both}
    assert len(both) == 37
    assert {len(calls) for calls in here.values()} == {1}


def test_a_ship_that_moved_since_her_arrival_has_both_places_in_order(g2: Snapshot) -> None:
    call = calls_of(g2, "V7LE9")[0]
    assert (call.status, call.ata) == (Status.IN_PORT, hkt(18, 18, 28))
    assert places(call) == ["POTOI ISLAND", "TAP SHEK KOK"]
    assert [stay.ata for stay in call.stays] == [hkt(18, 18, 28), None]


def test_a_ship_departed_that_the_lagging_list_still_has_in_port_is_departed(g2: Snapshot) -> None:
    assert [(call.status, call.ata, call.atd) for call in calls_of(g2, "9V7391")] == [
        (Status.DEPARTED, hkt(18, 11, 39), hkt(18, 18, 4))
    ]
    assert places(calls_of(g2, "9V7391")[0]) == ["KWAICHUNG CONTR. BERTH NO. 12 (TERMINAL 8)"]


def test_a_ship_that_departed_and_came_back_has_two_calls(g3: Snapshot) -> None:
    assert [(call.status, call.ata, call.atd, places(call)) for call in calls_of(g3, "VRIG9")] == [
        (Status.DEPARTED, None, hkt(22, 11, 29), ["TSING YI"]),
        (Status.IN_PORT, hkt(22, 15, 51), None, ["TSUEN WAN BAY"]),
    ]


@pytest.mark.parametrize(("files", "many"), [(G2, 8), (G3, 5)], ids=["18 Aug", "22 Aug"])
def test_a_ship_departed_and_due_again_has_two_calls(files: dict[str, bytes], many: int) -> None:
    snapshot = MarDep().parse(files, AT)
    both = {row["CALL_SIGN"] for row in raw(files, DUE)} & {row["CALL_SIGN"] for row in raw(files, DEPARTED)}
    assert len(both) == many
    for sign in both:
        left, due = calls_of(snapshot, sign)
        assert (left.status, due.status) == (Status.DEPARTED, Status.EXPECTED)
        assert left.eta is None
        assert due.atd is None


def test_the_kind_of_a_place_is_read_off_its_name(g2: Snapshot, g3: Snapshot) -> None:
    kinds = {stay.berth: stay.kind for snapshot in (g2, g3) for call in snapshot.calls for stay in call.stays}
    assert len(kinds) == 69
    at_anchor = {name for name, kind in kinds.items() if kind == BerthKind.ANCHORAGE}
    assert at_anchor >= {
        "WESTERN ANCHORAGE NO.3",
        "VICTORIA HARBOUR UNDEFINED ANCHORAGES",
        "CASTLE PEAK NO.11 BUOY",
        "KWUN TONG TYPHOON SHELTER",
        "POTOI ISLAND",
        "TSUEN WAN BAY",
        "TATHONG CHANNEL",
    }
    assert not at_anchor & {"KAI TAK CRUISE TERMINAL", "HK ELECTRIC CO. LAMMA ISLAND PO LO TSUI", "SINOPEC"}


def test_a_pilot_station_is_neither_berth_nor_anchorage() -> None:
    call = parse(in_port=of(IN_PORT, {"CURRENT_LOCATION": "EAST LAMMA PILOT BOARDING STATION"})).calls[0]
    assert call.stays[0].kind == BerthKind.PILOT_STATION


def test_a_place_has_no_key_so_that_its_spelling_may_change(g3: Snapshot) -> None:
    assert {stay.key for call in g3.calls for stay in call.stays} == {""}


def test_types_are_mapped_and_the_word_of_the_list_kept(g3: Snapshot) -> None:
    types = {call.ship.source_type: call.ship.type for call in g3.calls}
    assert types["BULK/ WOODCHIP/ CEMENT/ ORE CARRIER"] == VesselType.BULK
    assert types["LIQUIFIED PETROLEUM GAS TANKER"] == VesselType.TANKER
    assert types["PASSENGER"] == VesselType.CRUISE
    assert types["FISHING"] == VesselType.FISHING
    assert types["TUG"] == VesselType.TUG
    assert types["PLEASURE VESSEL/ YACHT"] == VesselType.OTHER


@pytest.mark.parametrize(
    ("called", "flag"),
    [
        ("HONG KONG, CHINA", "HK"),
        ("MACAO, CHINA", "MO"),
        ("TAIWAN, CHINA", "TW"),
        ("UNITED KINGDOM OF GREAT BRITAIN", "GB"),
        ("REPUBLIC OF PALAU", "PW"),
        ("UNITED REPUBLIC OF TANZANIA", "TZ"),
        ("VIETNAM", "VN"),
        ("REPUBLIC OF KOREA", "KR"),
        ("ANTIGUA & BARBUDA", "AG"),
        ("ATLANTIS", ""),
    ],
)
def test_flags_are_told_by_their_letters(called: str, flag: str) -> None:
    assert parse(in_port=of(IN_PORT, {"FLAG": called})).calls[0].ship.flag == flag


def test_an_unknown_agent_is_none() -> None:
    assert parse(due=of(DUE, {"AGENT_NAME": "UNKNOWN AGENT"})).calls[0].agent == ""


# --- joining ------------------------------------------------------------------------------------------------


def test_the_list_in_port_is_right_about_when_and_where() -> None:
    arrived = of(ARRIVED, {"ARRIVAL_TIME": "22-AUG-2025 11:50", "CURRENT_LOCATION": "SINOPEC"})
    here = of(IN_PORT, {"ARRIVAL_TIME": "2025/08/22 12:00", "CURRENT_LOCATION": "TSING YI"})
    (call,) = parse(arrived=arrived, in_port=here).calls
    assert (call.status, call.ata, places(call)) == (Status.IN_PORT, hkt(22, 12), ["TSING YI"])


def test_an_arrival_told_before_the_list_in_port_has_it_is_in_port() -> None:
    other = {"CALL_SIGN": "VRBB2", "VESSEL_NAME": "OTHER"}
    snapshot = parse(arrived=of(ARRIVED, {}), in_port=of(IN_PORT, other))
    assert [(call.status, places(call)) for call in calls_of(snapshot, "VRAA1")] == [(Status.IN_PORT, ["SINOPEC"])]


def test_an_arrival_remarked_departed_is_departed_before_the_departure_is_told() -> None:
    (call,) = parse(arrived=of(ARRIVED, {"REMARK": "Departed"}), in_port=of(IN_PORT, {})).calls
    assert (call.status, call.ata, call.atd) == (Status.DEPARTED, hkt(22, 12), None)


def test_two_visits_within_one_window_are_two_calls() -> None:
    arrived = of(
        ARRIVED,
        {"ARRIVAL_TIME": "21-AUG-2025 14:00", "REMARK": "Departed", "CURRENT_LOCATION": "TSING YI"},
        {"ARRIVAL_TIME": "22-AUG-2025 08:00"},
    )
    left = of(DEPARTED, {"ATD_TIME": "2025/08/22 01:30", "LAST_BERTH": "TSING YI"})
    here = of(IN_PORT, {"ARRIVAL_TIME": "2025/08/22 08:00"})
    assert [
        (call.status, call.ata, call.atd) for call in parse(arrived=arrived, departed=left, in_port=here).calls
    ] == [
        (Status.DEPARTED, hkt(21, 14), hkt(22, 1, 30)),
        (Status.IN_PORT, hkt(22, 8), None),
    ]


def test_two_departures_within_one_window_each_end_the_visit_before_them() -> None:
    arrived = of(
        ARRIVED,
        {"ARRIVAL_TIME": "22-AUG-2025 08:00", "REMARK": "Departed"},
        {"ARRIVAL_TIME": "21-AUG-2025 14:00", "REMARK": "Departed"},
    )
    left = of(DEPARTED, {"ATD_TIME": "2025/08/22 18:00"}, {"ATD_TIME": "2025/08/22 01:30"})
    assert [(call.ata, call.atd) for call in parse(arrived=arrived, departed=left).calls] == [
        (hkt(21, 14), hkt(22, 1, 30)),
        (hkt(22, 8), hkt(22, 18)),
    ]


def test_an_arrival_without_an_end_before_one_that_ended_is_over_too() -> None:
    arrived = of(ARRIVED, {"ARRIVAL_TIME": "21-AUG-2025 14:00"}, {"ARRIVAL_TIME": "22-AUG-2025 08:00"})
    left = of(DEPARTED, {"ATD_TIME": "2025/08/22 18:00"})
    assert [(call.status, call.ata) for call in parse(arrived=arrived, departed=left).calls] == [
        (Status.DEPARTED, hkt(22, 8))
    ]


def test_an_arrival_at_an_unreadable_moment_that_ended_is_ended_by_the_departure() -> None:
    others = [{"CALL_SIGN": f"VR{number}"} for number in range(5)]
    arrived = of(ARRIVED, *others, {"ARRIVAL_TIME": "?", "REMARK": "Departed"})
    (call,) = calls_of(parse(arrived=arrived, departed=of(DEPARTED, {})), "VRAA1")
    assert (call.status, call.ata, call.atd) == (Status.DEPARTED, None, hkt(22, 12))


def test_a_ship_that_departed_from_another_place_left_only_the_last_at_her_departure() -> None:
    arrived = of(ARRIVED, {"ARRIVAL_TIME": "21-AUG-2025 14:00", "REMARK": "Departed", "CURRENT_LOCATION": "TSING YI"})
    others = of(IN_PORT, {"CALL_SIGN": "VRBB2"})
    (call,) = calls_of(parse(arrived=arrived, in_port=others, departed=of(DEPARTED, {})), "VRAA1")
    assert [(stay.berth, stay.ata, stay.atd) for stay in call.stays] == [
        ("TSING YI", hkt(21, 14), None),
        ("SINOPEC", None, hkt(22, 12)),
    ]


def test_a_ship_is_called_as_the_list_in_port_calls_her() -> None:
    due = of(DUE, {"VESSEL_NAME": "OLD NAME", "SHIP_TYPE": "OTHER"})
    here = of(IN_PORT, {"VESSEL_NAME": "NEW NAME", "SHIP_TYPE": "TUG"})
    ships = {call.ship for call in parse(due=due, in_port=here).calls}
    assert {(ship.name, ship.type) for ship in ships} == {("NEW NAME", VesselType.TUG)}


def test_who_came_at_her_eta_is_not_expected_a_second_time() -> None:
    due = of(DUE, {"ETA": "2025/08/22 11:00"}, {"ETA": "2025/08/25 11:00"})
    here, again = parse(due=due, in_port=of(IN_PORT, {})).calls
    assert (here.status, here.eta, here.ata) == (Status.IN_PORT, hkt(22, 11), hkt(22, 12))
    assert (again.status, again.eta) == (Status.EXPECTED, hkt(25, 11))


def test_a_row_that_stands_there_twice_is_one_call() -> None:
    assert len(parse(due=of(DUE, {}, {}), in_port=of(IN_PORT, {}, {})).calls) == 2


def test_a_ship_without_call_sign_is_joined_by_name() -> None:
    nobody = {"CALL_SIGN": "", "VESSEL_NAME": "BARGE 7"}
    other = {"CALL_SIGN": "NIL", "VESSEL_NAME": "BARGE 8"}
    snapshot = parse(arrived=of(ARRIVED, nobody, other), in_port=of(IN_PORT, nobody, other))
    assert [(call.ship.name, call.ship.call_sign) for call in snapshot.calls] == [("BARGE 7", ""), ("BARGE 8", "")]


def test_a_ship_without_a_name_is_known_by_her_call_sign() -> None:
    ship = parse(in_port=of(IN_PORT, {"VESSEL_NAME": " "})).calls[0].ship
    assert (ship.name, ship.call_sign) == ("", "VRAA1")


def test_a_row_that_says_not_which_ship_it_is_is_counted() -> None:
    snapshot = parse(in_port=of(IN_PORT, {}, {"CALL_SIGN": " ", "VESSEL_NAME": ""}))
    assert len(snapshot.calls) == 1
    assert snapshot.unknown == {"RP06005i.XML: a row without call sign and name": 1}


# --- files that are not there -------------------------------------------------------------------------------


def test_with_all_four_lists_both_open_statuses_are_complete(g3: Snapshot) -> None:
    assert g3.complete == {Status.EXPECTED, Status.IN_PORT}
    assert (g3.eta_from, g3.eta_to, g3.missing) == (None, None, ())


@pytest.mark.parametrize(
    ("missing", "complete"),
    [
        (DUE, {Status.IN_PORT}),
        (ARRIVED, set()),
        (IN_PORT, set()),
        (DEPARTED, {Status.EXPECTED}),
    ],
)
def test_a_missing_list_leaves_unsaid_who_is_gone(missing: str, complete: set[Status]) -> None:
    """Who leaves a list stands in the next: who is due no more may have arrived, who is in port no more departed."""
    files = {name: content for name, content in G3.items() if name != missing}
    snapshot = MarDep().parse(files, AT)
    assert snapshot.missing == (missing,)
    assert snapshot.complete == complete
    assert snapshot.calls


def test_without_the_list_in_port_a_ship_that_moved_does_not_seem_to_go_back() -> None:
    snapshot = MarDep().parse({name: content for name, content in G2.items() if name != IN_PORT}, AT)
    assert [(call.status, places(call)) for call in calls_of(snapshot, "V7LE9")] == [(Status.IN_PORT, [])]
    assert places(calls_of(snapshot, "VRGB9")[0]) == ["SOUTH LAMMA DG ANCHORAGE"]


def test_without_the_departures_who_departed_is_known_by_the_remark() -> None:
    snapshot = MarDep().parse({name: content for name, content in G2.items() if name != DEPARTED}, AT)
    (call,) = calls_of(snapshot, "VRGB9")
    assert (call.status, call.ata, call.atd) == (Status.DEPARTED, hkt(17, 22, 14), None)


def test_a_single_list_is_enough() -> None:
    for name, content in G3.items():
        assert len(MarDep().parse({name: content}, AT).calls) >= 60


# --- answers that are none ----------------------------------------------------------------------------------


def refusal(file: str, content: bytes) -> str:
    with pytest.raises(SourceError) as error:
        MarDep().parse({**G3, file: content}, AT)
    return str(error.value)


def test_the_recorded_file_that_a_browser_spoilt_is_refused() -> None:
    content = (SAMPLES / "mardep" / "RP05005i-not-well-formed.xml").read_bytes()
    assert refusal(ARRIVED, content) == "RP05005i.XML is not well-formed XML: syntax error: line 1, column 0."


def test_a_list_under_the_name_of_another_is_refused() -> None:
    assert refusal(DUE, G3[IN_PORT]) == "RP04005i.XML holds <RP06005IXML>, where <RP04005IXML> is expected."


def test_html_is_refused_by_what_it_is() -> None:
    assert refusal(DUE, b"\n<!DOCTYPE html><html></html>") == "RP04005i.XML is a web page, not the list."


@pytest.mark.parametrize("file", [DUE, ARRIVED, IN_PORT, DEPARTED])
def test_a_list_without_ships_is_never_zero_ships(file: str) -> None:
    assert refusal(file, xml(file, [])) == f"{file} tells of no ship at all, which is never so."


@pytest.mark.parametrize(
    ("file", "field"),
    [(file, field) for file in BLANKS for field in BLANKS[file]],
)
def test_a_renamed_field_is_refused(file: str, field: str) -> None:
    content = G3[file].replace(f"{field}>".encode(), b"NEW_FIELD>")
    assert refusal(file, content) == f"{file} has changed: no row has {field}, but NEW_FIELD."


@pytest.mark.parametrize(("file", "field"), [(IN_PORT, "IMO_NO"), (ARRIVED, "REMARK")])
def test_a_renamed_field_that_may_be_blank_is_refused(file: str, field: str) -> None:
    content = G3[file].replace(f"{field}>".encode(), b"NEW_FIELD>")
    assert refusal(file, content) == f"{file} has changed: no row has {field}, but NEW_FIELD."


def test_a_new_field_changes_nothing(g3: Snapshot) -> None:
    content = G3[DUE].replace(b"</G_SQL1>", b"<PILOT>YES</PILOT></G_SQL1>")
    assert MarDep().parse({**G3, DUE: content}, AT) == g3


def test_moments_in_another_format_are_refused() -> None:
    content = G3[DUE].replace(b"<ETA>2025/08/", b"<ETA>22.08.2025 ")
    assert refusal(DUE, content).startswith("RP04005i.XML writes ETA in a way that cannot be read: “22.08.2025 24 ")


@pytest.mark.parametrize(
    "words", ["soon", "", "2025/13/01 12:00", "2025/08/22 24:00", "0001/01/01 00:00", "22-AUX-2025 11:00"]
)
def test_a_single_moment_that_cannot_be_read_is_not_known(words: str) -> None:
    rows = [{"CALL_SIGN": f"VR{number}"} for number in range(5)]
    snapshot = parse(due=of(DUE, *rows, {"CALL_SIGN": "VRXX9", "ETA": words}))
    assert [(call.status, call.eta) for call in calls_of(snapshot, "VRXX9")] == [(Status.EXPECTED, None)]
    assert all(call.eta for call in snapshot.calls if call.ship.call_sign != "VRXX9")


def test_a_departure_at_an_unreadable_moment_still_ends_the_visit() -> None:
    others = [{"CALL_SIGN": f"VR{number}"} for number in range(5)]
    (call,) = calls_of(parse(in_port=of(IN_PORT, {}), departed=of(DEPARTED, *others, {"ATD_TIME": "?"})), "VRAA1")
    assert (call.status, call.ata, call.atd) == (Status.DEPARTED, hkt(22, 12), None)


def test_months_in_any_letter_case_and_seconds_are_read() -> None:
    (call,) = parse(arrived=of(ARRIVED, {"ARRIVAL_TIME": "2-aug-2025 8:05:59"})).calls
    assert call.ata == hkt(2, 8, 5)


def test_a_year_rolls_over() -> None:
    arrived = of(ARRIVED, {"ARRIVAL_TIME": "31-DEC-2025 23:59", "REMARK": "Departed"})
    (call,) = parse(arrived=arrived, departed=of(DEPARTED, {"ATD_TIME": "2026/01/01 00:05"})).calls
    assert (call.ata, call.atd) == (
        datetime(2025, 12, 31, 23, 59, tzinfo=ZONE),
        datetime(2026, 1, 1, 0, 5, tzinfo=ZONE),
    )


# --- hostile answers ----------------------------------------------------------------------------------------

BOMB = b"""<?xml version="1.0"?>
<!DOCTYPE RP04005IXML [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;"><!ENTITY c "&b;&b;&b;&b;&b;">]>
<RP04005IXML><G_SQL1><CALL_SIGN>&c;</CALL_SIGN></G_SQL1></RP04005IXML>"""
OUTSIDE = b"""<?xml version="1.0"?><!DOCTYPE RP04005IXML [<!ENTITY x SYSTEM "file:///etc/hostname">]>
<RP04005IXML><G_SQL1><CALL_SIGN>&x;</CALL_SIGN></G_SQL1></RP04005IXML>"""
REMOTE = b"""<!DOCTYPE RP04005IXML SYSTEM "http://127.0.0.1:1/evil.dtd"><RP04005IXML/>"""


@pytest.mark.parametrize("content", [BOMB, OUTSIDE, REMOTE], ids=["bomb", "external entity", "external DTD"])
def test_entities_and_document_types_are_refused(content: bytes) -> None:
    assert refusal(DUE, content) == "RP04005i.XML defines a document type or entities, which are not taken."


@pytest.mark.parametrize("root", [b"<RP04005IXML>", b"<RP04005IXML><G_SQL1>"])
def test_two_megabytes_of_nesting_are_refused_at_once(root: bytes) -> None:
    began = time.process_time()
    assert refusal(DUE, root + b"<a>" * 690_000) == "RP04005i.XML is nested deeper than a list of rows."
    assert time.process_time() - began < 0.5


def test_a_file_of_20_megabytes_is_refused_at_once() -> None:
    began = time.process_time()
    assert refusal(DUE, G3[DUE] + b" " * 20_000_000) == (
        f"RP04005i.XML is too large: {len(G3[DUE]) + 20_000_000:,} bytes, and at most 2,097,152 are read."
    )
    assert time.process_time() - began < 0.5


def test_half_a_million_rows_are_refused() -> None:
    began = time.process_time()
    told = refusal(DUE, b"<RP04005IXML>" + b"<r/>" * 500_000 + b"</RP04005IXML>")
    assert told == "RP04005i.XML has more than 10,000 rows, which is never so."
    assert time.process_time() - began < 1


def test_the_most_that_fits_is_read_within_a_stated_bound() -> None:
    """2 MB of rows like those recorded: forty times as many."""
    rows = [{"CALL_SIGN": f"V{number:05}"} for number in range(7_500)]
    content = of(DUE, *rows)
    assert 1_500_000 < len(content) < 2_097_152
    began = time.process_time()
    assert len(parse(due=content).calls) == 7_500
    assert time.process_time() - began < 3


@pytest.mark.parametrize("encoding", ["utf-7", "big5", "no-such"])
def test_an_encoding_that_cannot_be_read_is_refused(encoding: str) -> None:
    told = refusal(DUE, f'<?xml version="1.0" encoding="{encoding}"?><RP04005IXML/>'.encode())
    assert told.startswith("RP04005i.XML is in an encoding that cannot be read")


def test_hostile_names_become_one_printable_line_that_fits() -> None:
    rows = [
        {"CALL_SIGN": "VR1", "VESSEL_NAME": "EVER\nGIVEN\t\u202enevig"},
        {"CALL_SIGN": "VR2", "VESSEL_NAME": "<script>alert(1)</script>"},
        {"CALL_SIGN": "VR3", "VESSEL_NAME": "A" * 10_000, "AGENT_NAME": "B" * 10_000, "LAST_PORT": "C" * 10_000},
        {"CALL_SIGN": "V" * 500, "VESSEL_NAME": "=1+1"},
    ]
    one, two, three, four = parse(due=of(DUE, *rows)).calls
    assert one.ship.name == "EVER GIVEN nevig"
    assert two.ship.name == "<script>alert(1)</script>"
    assert (len(three.ship.name), len(three.agent), len(three.previous_port)) == (120, 120, 120)
    assert (four.ship.call_sign, four.ship.name) == ("V" * 20, "=1+1")


def test_nul_is_no_xml() -> None:
    assert "not well-formed" in refusal(DUE, of(DUE, {"VESSEL_NAME": "EVER\x00GIVEN"}))
