"""Finnish port calls, in three shapes: each trap of them, and what an answer that is none says."""

import json
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from ports.identity import is_imo
from ports.known import add_missing
from ports.models import Feed, Vessel
from ports.refresh import replay
from ports.snapshot import BerthKind, CallReport, Snapshot, Status, VesselType
from ports.sources import SourceError
from ports.sources.digitraffic import Digitraffic
from tests.ports.sources.samples import SAMPLES, read

AT = datetime(2019, 10, 23, 12, 41, tzinfo=UTC)
FOLDER = SAMPLES / "digitraffic"
RECORDED = json.loads((FOLDER / "2019" / "FIRAU.json").read_bytes())
V1 = json.loads((FOLDER / "v1" / "FIKTK.json").read_bytes())
V2 = json.loads((FOLDER / "v2" / "FIRAU.json").read_bytes())
BERTH = {
    **{"portAreaCode": "BF", "portAreaName": "Iso-Hakuni", "berthCode": "BF3", "berthName": "Ro-Ro 5"},
    **{"eta": None, "etd": None, "ata": None, "atd": None},
}


def utc(*parts: int) -> datetime:
    return datetime(*parts, tzinfo=UTC)  # type: ignore[misc,arg-type]


def parse(answer: object, port: str = "FIRAU", at: datetime = AT) -> Snapshot:
    return Digitraffic().parse({f"{port}.json": json.dumps(answer).encode()}, at)


def wrapped(*calls: dict[str, Any]) -> dict[str, Any]:
    return {"dataUpdatedTime": "2026-04-08T07:31:42Z", "portCalls": list(calls)}


def call_with(**fields: object) -> dict[str, Any]:
    """The recorded call of today's shape, at Kotka, where it says something else."""
    return {**V1["portCalls"][0], **fields}


def told(**fields: object) -> CallReport:
    (call,) = parse(wrapped(call_with(**fields)), "FIKTK").calls
    return call


def berths(*times: dict[str, Any]) -> CallReport:
    return told(portAreaDetails=[{**BERTH, **one} for one in times])


@pytest.fixture(scope="module")
def rauma() -> Snapshot:
    return parse(RECORDED)


def by_name(snapshot: Snapshot, name: str) -> CallReport:
    return next(call for call in snapshot.calls if call.ship.name == name)


# --- the recorded answers -----------------------------------------------------------------------------------


def test_the_calls_are_those_that_an_independent_count_finds(rauma: Snapshot) -> None:
    times = {str(call["portCallId"]): call["portAreaDetails"][0] for call in RECORDED["portCalls"]}
    departed = {key for key, area in times.items() if area["atd"]}
    here = {key for key, area in times.items() if area["ata"]} - departed
    assert {call.key for call in rauma.calls if call.status == Status.DEPARTED} == departed
    assert {call.key for call in rauma.calls if call.status == Status.IN_PORT} == here
    assert {call.key for call in rauma.calls} == set(times)
    assert (len(times), len(departed), len(here)) == (15, 6, 1)


def test_the_shape_of_2019_is_read(rauma: Snapshot) -> None:
    trica = by_name(rauma, "Trica")
    assert (trica.key, trica.port, trica.status) == ("2468263", "FIRAU", Status.DEPARTED)
    assert trica.eta == utc(2019, 10, 22, 4)
    assert trica.ata == utc(2019, 10, 22, 3, 55)
    assert trica.etd == utc(2019, 10, 22, 20)
    assert trica.atd == utc(2019, 10, 22, 21, 30)
    assert (trica.previous_port, trica.next_port) == ("FIHKO", "FIHKO")
    assert (trica.ship.imo, trica.ship.mmsi, trica.ship.call_sign) == ("9307384", "244912000", "PHLV")
    assert (trica.ship.flag, trica.ship.type, trica.ship.source_type) == ("NL", VesselType.GENERAL, "roro")
    (stay,) = trica.stays
    assert (stay.berth, stay.key, stay.area, stay.kind) == ("Ro-Ro 5", "BF/BF3", "Iso-Hakuni", BerthKind.BERTH)
    assert (stay.eta, stay.ata, stay.etd, stay.atd) == (trica.eta, trica.ata, trica.etd, trica.atd)


def test_the_shape_of_v1_is_read() -> None:
    (anina,) = Digitraffic().parse(read(FOLDER / "v1"), utc(2026, 4, 8, 8)).calls
    assert (anina.key, anina.port, anina.status) == ("3352890", "FIKTK", Status.EXPECTED)
    assert (anina.eta, anina.etd) == (utc(2026, 4, 11, 9), utc(2026, 4, 12, 9))
    assert (anina.ship.name, anina.ship.flag, anina.ship.type) == ("Anina", "PT", VesselType.CONTAINER)
    assert anina.stays == ()


def test_the_shape_of_v2_is_read() -> None:
    """Of a sample made by hand: none was ever recorded."""
    snapshot = Digitraffic().parse(read(FOLDER / "v2"), utc(2026, 4, 8, 22))
    assert [(call.key, call.status, call.ship.name, call.ship.imo) for call in snapshot.calls] == [
        ("V-1001", Status.DEPARTED, "Trica", "9307384"),
        ("V-1002", Status.IN_PORT, "Finnland", "9301598"),
        ("V-1003", Status.EXPECTED, "", "9359258"),
        ("V-1004", Status.CANCELLED, "Tian Shou", "9704752"),
    ]
    assert snapshot.calls[0].atd == utc(2026, 4, 8, 21, 30)
    assert {call.stays for call in snapshot.calls} == {()}
    assert (snapshot.complete, snapshot.has_whole_stays) == (frozenset(), False)


# --- traps --------------------------------------------------------------------------------------------------


def test_a_departure_without_an_arrival_before_it_is_a_departure(rauma: Snapshot) -> None:
    tern = by_name(rauma, "Baltic Tern")
    assert (tern.status, tern.ata, tern.atd) == (Status.DEPARTED, None, utc(2019, 10, 23, 11, 10))


def test_mmsi_0_means_unknown(rauma: Snapshot) -> None:
    assert by_name(rauma, "Venta Maersk").ship.mmsi == ""


def test_imo_numbers_are_taken_only_with_a_right_check_digit(rauma: Snapshot) -> None:
    assert all(is_imo(call.ship.imo) for call in rauma.calls)
    assert told(imoLloyds=9307385).ship.imo == ""
    assert told(imoLloyds=0).ship.imo == ""


def test_a_blank_is_a_space_and_means_unknown() -> None:
    call = told(prevPort=" ", nextPort=" ", radioCallSign=" ", nationality=" ", agentInfo=[{"role": 1, "name": " "}])
    assert (call.previous_port, call.next_port, call.agent) == ("", "", "")
    assert (call.ship.call_sign, call.ship.flag) == ("", "")


def test_a_berth_not_known_in_finnish_is_no_berth(rauma: Snapshot) -> None:
    emotion = by_name(rauma, "Emotion")
    assert RECORDED["portCalls"][2]["portAreaDetails"][0]["berthName"] == "Ei tiedossa"
    assert emotion.stays == ()
    assert emotion.eta == utc(2019, 10, 23, 12, 5)


def test_the_misspelt_unknow_means_unknown() -> None:
    unknown = {"portAreaCode": "MUU", "portAreaName": "Ei tiedossa", "berthCode": "unknow", "berthName": "Ei tiedossa"}
    assert berths(unknown).stays == ()


def test_a_berth_not_known_in_a_known_area_is_the_area() -> None:
    (stay,) = berths({"berthCode": "unknow", "berthName": "Ei tiedossa"}).stays
    assert (stay.berth, stay.key, stay.area) == ("Iso-Hakuni", "BF", "Iso-Hakuni")


def test_two_berths_of_one_name_stay_two(rauma: Snapshot) -> None:
    keys = {stay.key for call in rauma.calls for stay in call.stays if stay.berth == "Metsä-Botnia"}
    assert keys == {"BL/BL1", "BL/BL2"}


def test_a_draught_of_0_is_not_told() -> None:
    """Nothing here knows draughts: with one or without, the call is the same."""
    assert berths({"arrivalDraught": 0.0}) == berths({"arrivalDraught": 7.5})


def test_the_agent_is_the_ships_not_her_managers(rauma: Snapshot) -> None:
    assert by_name(rauma, "Sluisgracht").agent == "Euroports Rauma Oy"
    assert told(agentInfo=[{"role": 2, "name": "Manager"}]).agent == ""


def test_offsets_are_heeded_and_a_moment_without_one_is_not_known() -> None:
    times = [{"eta": "2026-04-11T12:00:00+03:00", "etd": "2026-04-11T12:00:00", "ata": None}]
    two_more = [{"etd": "2026-04-12T09:00:00Z"}, {"etd": "2026-04-13T09:00:00.000+0000"}]
    first = berths(*times, *two_more).stays[0]
    assert first.eta == utc(2026, 4, 11, 9)
    assert first.etd is None


def test_ports_are_named_by_their_codes_and_an_unknown_one_is_none() -> None:
    assert (told(prevPort="DEHAM").previous_port, told(prevPort="ZZUKN").previous_port) == ("DEHAM", "")


def test_a_passenger_ship_is_a_cruise_a_ferry_is_not() -> None:
    assert told(vesselTypeCode=10).ship.type == VesselType.CRUISE
    assert told(vesselTypeCode=20).ship.type == VesselType.OTHER
    assert told(vesselTypeCode=20).ship.source_type == "passenger car ferry"


def test_every_type_that_the_source_has_is_mapped_with_its_word() -> None:
    codes = (10, 20, 30, 40, 44, 50, 60, 70, 80, 81, 82, 83, 90, 91, 93, 94, 95, 96, 97, 99)
    words = {told(vesselTypeCode=code).ship.source_type for code in codes}
    assert len(words) == len(codes)
    assert not any(word.isdigit() for word in words)
    assert (told(vesselTypeCode=77).ship.type, told(vesselTypeCode=77).ship.source_type) == (VesselType.OTHER, "77")


# --- several berths -----------------------------------------------------------------------------------------

EARLY, LATER, LAST = "2026-04-11T09:00:00Z", "2026-04-11T15:00:00Z", "2026-04-12T09:00:00Z"


def test_stays_stand_in_the_order_of_time() -> None:
    call = berths(
        {"berthName": "second", "eta": LATER, "etd": LAST}, {"berthName": "first", "eta": EARLY, "etd": LATER}
    )
    assert [stay.berth for stay in call.stays] == ["first", "second"]
    assert (call.eta, call.etd) == (utc(2026, 4, 11, 9), utc(2026, 4, 12, 9))


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ({"eta": EARLY}, {"eta": LATER}, Status.EXPECTED),
        ({"ata": EARLY}, {"eta": LATER}, Status.IN_PORT),
        ({"ata": EARLY, "atd": LATER}, {"eta": LATER}, Status.IN_PORT),
        ({"ata": EARLY, "atd": LATER}, {"eta": LATER, "ata": LATER}, Status.IN_PORT),
        ({"ata": EARLY, "atd": LATER}, {"ata": LATER, "atd": LAST}, Status.DEPARTED),
        ({"ata": EARLY}, {"ata": LATER, "atd": LAST}, Status.DEPARTED),
        ({"eta": EARLY}, {"eta": LATER, "atd": LAST}, Status.DEPARTED),
    ],
)
def test_she_has_departed_when_she_left_her_last_berth(first: Any, second: Any, status: Status) -> None:
    call = berths(first, {"berthCode": "BF4", **second})
    assert call.status == status
    assert (call.atd is not None) == (status == Status.DEPARTED)


def test_a_call_of_which_no_moment_is_known_is_expected() -> None:
    assert berths({}).status == Status.EXPECTED


def test_an_anchorage_is_known_by_its_finnish_name() -> None:
    assert berths({"berthName": "Ankkuripaikka 2"}).stays[0].kind == BerthKind.ANCHORAGE


# --- what is asked, and what it is complete for -------------------------------------------------------------


def test_it_asks_as_the_publisher_wants_to_be_asked() -> None:
    (address,) = Digitraffic().addresses("FIHEL", utc(2026, 11, 25, 18, 38))
    assert address.url == "https://meri.digitraffic.fi/api/port-call/v1/port-calls"
    assert address.params == {"locode": "FIHEL", "etaFrom": "2026-11-04T00:00:00Z", "etaTo": "2026-12-06T00:00:00Z"}
    assert address.headers["Accept-Encoding"] == "gzip"
    assert address.headers["Digitraffic-User"].startswith("iotsite/")


def test_the_address_is_the_same_all_day() -> None:
    asked = {str(Digitraffic().addresses("FIRAU", utc(2026, 11, 25, hour))) for hour in (0, 12, 23)}
    assert len(asked) == 1


def test_helsinki_is_asked_for_fewer_days_so_that_fewer_than_1000_calls_answer() -> None:
    spans = {}
    for port in ("FIHEL", "FIKTK"):
        (address,) = Digitraffic().addresses(port, AT)
        spans[port] = datetime.fromisoformat(address.params["etaTo"]) - datetime.fromisoformat(
            address.params["etaFrom"]
        )
    assert spans == {"FIHEL": timedelta(days=32), "FIKTK": timedelta(days=71)}


def test_it_is_complete_only_between_the_etas_it_asked_for(rauma: Snapshot) -> None:
    assert rauma.complete == {Status.EXPECTED, Status.IN_PORT}
    (address,) = Digitraffic().addresses("FIRAU", AT)
    assert rauma.eta_from == datetime.fromisoformat(address.params["etaFrom"])
    assert rauma.eta_to == datetime.fromisoformat(address.params["etaTo"])
    assert rauma.has_whole_stays


def test_a_call_at_another_port_is_counted_not_told() -> None:
    snapshot = parse(wrapped(call_with(), call_with(portCallId=2, portToVisit="FIHEL")), "FIKTK")
    assert [call.key for call in snapshot.calls] == ["3352890"]
    assert snapshot.unknown == {"FIHEL": 1}


def test_an_answer_about_another_port_is_refused() -> None:
    with pytest.raises(SourceError, match=r"^FIHEL.json tells of FIKTK, not of FIHEL\.$"):
        parse(V1, "FIHEL")


def test_a_call_that_stands_there_twice_is_told_once_with_the_last_word() -> None:
    snapshot = parse(wrapped(call_with(), call_with(prevPort="NLRTM")), "FIKTK")
    assert [(call.key, call.previous_port) for call in snapshot.calls] == [("3352890", "NLRTM")]


def test_a_call_without_its_number_is_counted() -> None:
    snapshot = parse(wrapped(call_with(), call_with(portCallId=None)), "FIKTK")
    assert len(snapshot.calls) == 1
    assert snapshot.unknown == {"no portCallId": 1}


def test_a_call_that_says_not_which_ship_it_is_is_counted() -> None:
    nobody = {"vesselName": " ", "imoLloyds": 0, "mmsi": 0, "radioCallSign": " "}
    snapshot = parse(wrapped(call_with(), call_with(portCallId=2, **nobody)), "FIKTK")
    assert [call.key for call in snapshot.calls] == ["3352890"]
    assert snapshot.unknown == {"no ship": 1}


@pytest.mark.django_db
def test_a_visit_without_a_name_takes_none_from_the_ship(tmp_path: Path, settings: Any) -> None:
    """The change to v2 renames nobody; a ship that has no name yet is called by her number until she has one."""
    settings.RUN_DIR = tmp_path
    add_missing()
    feed = Feed.objects.get(source="digitraffic", name="FIRAU")
    tell = [
        *([{**V2[0], "vesselName": "Trica"}], [{key: value for key, value in V2[0].items() if key != "vesselName"}]),
        *([V2[2]], [{**V2[2], "vesselName": "Emotion"}]),
    ]
    names = []
    for number, answer in enumerate(tell):
        files = {"FIRAU.json": json.dumps(answer).encode()}
        assert replay(feed, files, AT + timedelta(hours=number)).error == ""
        names.append(Vessel.objects.get(imo=answer[0]["vesselId"]).name)
    assert names == ["Trica", "Trica", "9359258", "Emotion"]


# --- answers that are none ----------------------------------------------------------------------------------


def refusal(content: bytes, port: str = "FIRAU") -> str:
    with pytest.raises(SourceError) as error:
        Digitraffic().parse({f"{port}.json": content}, AT)
    return str(error.value)


def test_the_recorded_answer_under_a_renamed_key_is_refused() -> None:
    (content,) = read(FOLDER / "2019-renamed-key").values()
    assert refusal(content) == "FIRAU.json has changed: it has no list “portCalls”, but “RENAMEDportCalls”."


@pytest.mark.parametrize(
    "key", [key for key in V1["portCalls"][0] if b'"%s"' % key.encode() in json.dumps(V1).encode()]
)
def test_a_renamed_key_of_a_call_that_is_read_is_refused(key: str) -> None:
    unread = {
        *("portCallTimestamp", "customsReference", "domesticTrafficArrival", "domesticTrafficDeparture"),
        *("arrivalWithCargo", "notLoading", "discharge", "vesselNamePrefix", "currentSecurityLevel"),
    }
    content = json.dumps(V1).replace(f'"{key}"', '"renamed"').encode()
    if key in unread:
        assert Digitraffic().parse({"FIKTK.json": content}, AT) == parse(V1, "FIKTK")
    else:
        assert refusal(content, "FIKTK") == f"FIKTK.json has changed: no call has “{key}”."


@pytest.mark.parametrize("key", ["portAreaCode", "berthCode", "berthName", "eta", "etd", "ata", "atd"])
def test_a_renamed_key_of_a_berth_is_refused(key: str) -> None:
    content = json.dumps(V1).replace(f'"{key}"', '"renamed"').encode()
    assert refusal(content, "FIKTK") == f"FIKTK.json has changed: no call has “{key}”."


@pytest.mark.parametrize("key", ["visitId", "vesselId", "portOfCall", "eta", "status"])
def test_a_renamed_key_of_a_visit_is_refused(key: str) -> None:
    content = json.dumps(V2).replace(f'"{key}"', '"renamed"').encode()
    assert refusal(content) == f"FIRAU.json has changed: no call has “{key}”."


@pytest.mark.parametrize("answer", [[], wrapped()], ids=["v2", "v1"])
def test_no_call_at_all_is_never_zero_ships(answer: object) -> None:
    assert refusal(json.dumps(answer).encode()) == "FIRAU.json tells of no call at all, which is never so."


@pytest.mark.parametrize(
    "answer",
    [
        *(
            [1, 2],
            ["a"],
            [None],
            {"portCalls": [1]},
            {"portCalls": {}},
            {"portCalls": None},
            {"error": "no"},
            "text",
            1.5,
        ),
        wrapped(call_with(portAreaDetails=None)),
        wrapped(call_with(portAreaDetails=[1])),
    ],
)
def test_another_structure_is_refused_with_a_sentence(answer: object) -> None:
    assert refusal(json.dumps(answer).encode()).startswith("FIRAU.json ")


def test_moments_in_another_format_are_refused() -> None:
    content = json.dumps(RECORDED).replace('"eta": "2019-10-', '"eta": "23.10.2019 ').encode()
    assert refusal(content).startswith("FIRAU.json writes “eta” in a way that cannot be read: “23.10.2019 22T04")


def test_a_status_of_v2_that_is_not_known_is_read_off_the_moments_and_counted() -> None:
    snapshot = parse([{**V2[0], "status": "Sailed"}, {**V2[1], "status": None}])
    assert [call.status for call in snapshot.calls] == [Status.DEPARTED, Status.IN_PORT]
    assert snapshot.unknown == {"status Sailed": 1, "no status": 1}


def test_a_file_that_is_not_named_after_a_port_is_not_read() -> None:
    with pytest.raises(SourceError, match="named after its port"):
        Digitraffic().parse({"port-calls.json": json.dumps(V1).encode()}, AT)


# --- hostile answers ----------------------------------------------------------------------------------------


def test_nesting_and_size_are_refused_within_a_second() -> None:
    began = time.process_time()
    assert refusal(b"[" * 2_000_000) == "FIRAU.json is nested too deeply."
    assert refusal(b'{"a":' * 400_000) == "FIRAU.json is nested too deeply."
    assert refusal(b" " * 20_000_000 + b"[]").startswith("FIRAU.json is too large: 20,000,002 bytes")
    assert time.process_time() - began < 1


def test_the_most_calls_that_fit_are_read_within_a_stated_bound() -> None:
    """8 MB, some five times what the publisher gives at most."""
    calls = [{**RECORDED["portCalls"][number % 15], "portCallId": number} for number in range(3_000)]
    content = json.dumps(wrapped(*calls)).encode()
    assert 4_000_000 < len(content) < 8_388_608
    began = time.process_time()
    assert len(Digitraffic().parse({"FIRAU.json": content}, AT).calls) == 3_000
    assert time.process_time() - began < 3


JUNK = {
    **{"null": None, "true": True, "list": [], "object": {}, "lists": [[]], "negative": -1, "huge": 1e308, "empty": ""},
    **{"NUL": "\x00", "half a character": "\ud800", "long": "A" * 10_000, "object of list": {"a": [1]}},
}


@pytest.mark.parametrize("junk", JUNK.values(), ids=JUNK.keys())
def test_a_field_of_any_kind_breaks_nothing(junk: object) -> None:
    """Whatever stands there, it is told as nothing or as text that fits."""
    for field in ("vesselName", "radioCallSign", "imoLloyds", "mmsi", "nationality", "vesselTypeCode", "prevPort"):
        call = told(**{field: junk})
        assert call.ship.name.isprintable()
        assert len(call.ship.name) <= 120
        assert len(call.previous_port) <= 120
    good = {"eta": EARLY, "etd": EARLY, "ata": EARLY, "atd": EARLY}
    for field in BERTH:
        for stay in berths(good, good, {field: junk}).stays:
            assert stay.berth.isprintable()
            assert max(len(stay.berth), len(stay.key), len(stay.area)) <= 120
    assert told(agentInfo=junk).agent == ""


def test_hostile_names_become_one_printable_line() -> None:
    assert told(vesselName="\u202eEVIL\n\x00<b>").ship.name == "EVIL <b>"
