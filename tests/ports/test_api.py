"""The ports' part of the API: what each call gives and refuses, and that nothing is changed by it."""

from datetime import UTC, datetime, timedelta
from typing import Any, get_args
from urllib.parse import quote

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.models import Token, User
from ports import api, schemas
from ports.models import Change, Port, PortCall, Refresh, Vessel
from ports.snapshot import BerthKind, CallReport, Status, StayReport, VesselType
from tests.ports.told import Teller, call, hour, ship
from tests.relays.test_api import Program, problem

KEYS = {
    *("id", "port", "vessel", "status", "berth", "stays", "eta", "etd", "ata", "atd", "pilot_ordered_at", "leaves_at"),
    *("agent", "previous_port", "next_port", "first_seen", "last_seen", "is_listed", "is_doubtful"),
}
CALLS = "/ports/XXAAA/calls"
HOSTILE = [
    "<script>alert(1)</script>",
    "=cmd|' /C calc'!A0",
    "A\u202eB\u2066C",
    "O'BRIEN\"; DROP TABLE ports_vessel;--",
    "{{ 7*7 }}",
    "ÅBO \U0001f6a2",
    "%00%27",
]


@pytest.fixture
def program(owner: User) -> Program:
    return Program(Token.make(owner, "tablet", "read")[1])


def names(response: Any) -> list[str]:
    assert response.status_code == 200, response.content
    return [item["vessel"]["name"] for item in response.json()["items"]]


def in_port(name: str, hours: float = -5, **told: Any) -> CallReport:
    return call(Status.IN_PORT, name, ata=hour(hours), **told)


def walk(program: Program, path: str) -> list[dict[str, Any]]:
    """All items, page by page."""
    items: list[dict[str, Any]] = []
    cursor = ""
    for _ in range(1000):
        page = program.get(f"{path}{cursor}").json()
        items += page["items"]
        if page["next_cursor"] is None:
            return items
        cursor = f"{'&' if '?' in path else '?'}cursor={page['next_cursor']}"
    raise AssertionError("it never ends")


# --- ports --------------------------------------------------------------------------------------------------


def test_the_words_of_the_document_are_the_models_words() -> None:
    assert get_args(schemas.Statuses) == tuple(Status.values)
    assert get_args(schemas.Types) == tuple(VesselType.values)
    assert get_args(schemas.BerthKinds) == tuple(BerthKind.values)


def test_a_port_is_told_with_its_counts_its_freshness_and_who_publishes_it(program: Program, feed: Teller) -> None:
    anchorage = StayReport("Outer", kind=BerthKind.ANCHORAGE)
    feed.tell(
        in_port("ONE", stays=(StayReport("Quay 1"),)),
        in_port("TWO", stays=(anchorage,)),
        in_port("THREE"),
        call(name="FOUR", eta=hour(7)),
        call(name="FIVE", eta=hour(70)),
        call(Status.DEPARTED, "SIX", atd=hour(-3)),
        call(Status.DEPARTED, "SEVEN", atd=hour(-30)),
    )
    port = Port.objects.get(locode="XXAAA")
    Port.objects.filter(pk=port.pk).update(
        is_enabled=False, is_example=True, example_at=hour(1), latitude=1, longitude=2
    )
    [told] = [item for item in program.get("/ports").json()["items"] if item["locode"] == "XXAAA"]
    assert told == {
        "locode": "XXAAA",
        "name": "Alpha",
        "country": "XX",
        "zone": "UTC",
        "place": {"latitude": 1.0, "longitude": 2.0},
        "is_on": True,
        "is_example": True,
        "now": "2026-01-10T13:00:00Z",
        "counts": {"at_berth": 2, "at_anchor": 1, "expected": 2, "due_24h": 1, "departed_24h": 1},
        "refreshed_at": "2026-01-10T13:00:00Z",
        "source": {
            "name": "What tests tell",
            "publisher": "The tests",
            "attribution": "Nobody's",
            "licence": "none stated",
            "page": "https://ships.invalid/",
            "warning": None,
        },
    }


def test_ports_that_are_off_are_told_as_off_and_without_counts(program: Program, known: Teller) -> None:
    Port.objects.filter(locode="XXBBB").update(is_enabled=False)
    told = {item["locode"]: item for item in walk(program, "/ports?limit=3")}
    assert len(told) == Port.objects.count() > 3
    assert list(told) == sorted(told)
    assert (told["XXAAA"]["is_on"], told["XXAAA"]["counts"]["at_berth"]) == (True, 1)
    assert (told["XXBBB"]["is_on"], told["XXBBB"]["counts"], told["XXBBB"]["refreshed_at"]) == (False, None, None)


def test_a_failed_refresh_makes_nothing_fresher(program: Program, known: Teller) -> None:
    Refresh.objects.create(
        feed=known.feed, started_at=hour(9), as_of=hour(9), took=timedelta(0), outcome="failed", error="No answer."
    )
    [told] = [item for item in walk(program, "/ports") if item["locode"] == "XXAAA"]
    assert told["refreshed_at"] == "2026-01-10T12:00:00Z"


# --- calls --------------------------------------------------------------------------------------------------


def test_a_call_is_told_in_these_words(program: Program, known: Teller) -> None:
    stay = StayReport("Quay 1", area="West", ata=hour(-4))
    particulars = ship("EVER GIVEN", imo="9811000", mmsi="353136000", flag="PA", type=VesselType.CONTAINER)
    known.tell(
        in_port("OLD LADY", -500), call(Status.IN_PORT, ship=particulars, ata=hour(-5), stays=(stay,), agent="GAC")
    )
    [item] = program.get(f"{CALLS}?q=given").json()["items"]
    assert item.keys() == KEYS
    vessel = Vessel.objects.get(name="EVER GIVEN")
    berth = {"name": "Quay 1", "area": "West", "kind": "berth"}
    assert item["vessel"] == {
        "id": vessel.pk,
        "name": "EVER GIVEN",
        "imo": "9811000",
        "mmsi": "353136000",
        "call_sign": "CSEVERGIVE",
        "type": "container",
        "flag": "PA",
    }
    assert item["berth"] == berth
    [told] = item["stays"]
    assert (told["berth"], told["ata"], told["seen_until"]) == (berth, "2026-01-10T08:00:00Z", None)
    assert (item["port"], item["status"], item["agent"], item["next_port"]) == ("XXAAA", "in_port", "GAC", None)
    assert (item["ata"], item["eta"]) == ("2026-01-10T07:00:00Z", None)
    assert (item["first_seen"], item["last_seen"]) == ("2026-01-10T13:00:00Z", "2026-01-10T13:00:00Z")


def test_who_stands_in_the_feed_was_seen_when_it_was_read_last(program: Program, known: Teller) -> None:
    known.tell(in_port("OLD LADY", -500), in_port("BRIEF"), at=1)
    known.tell(in_port("OLD LADY", -500), at=2)
    known.tell(in_port("OLD LADY", -500), at=3)
    told = {item["vessel"]["name"]: item for item in program.get(CALLS).json()["items"]}
    assert (told["OLD LADY"]["is_listed"], told["OLD LADY"]["last_seen"]) == (True, "2026-01-10T15:00:00Z")
    assert (told["BRIEF"]["status"], told["BRIEF"]["is_listed"]) == ("gone", False)
    assert told["BRIEF"]["last_seen"] == "2026-01-10T13:00:00Z"


def test_calls_are_found_by_status_type_and_ship(program: Program, known: Teller) -> None:
    known.tell(
        in_port("OLD LADY", -500),
        call(name="TANKED", ship=ship("TANKED", imo="9811000", type=VesselType.TANKER), eta=hour(9)),
        call(Status.DEPARTED, "AWAY", atd=hour(-1)),
        call(name="ELSEWHERE", port="XXBBB"),
    )
    assert names(program.get(f"{CALLS}?status=in_port")) == ["OLD LADY"]
    assert names(program.get(f"{CALLS}?status=departed")) == ["AWAY"]
    assert names(program.get(f"{CALLS}?status=gone")) == []
    assert names(program.get(f"{CALLS}?type=tanker")) == ["TANKED"]
    assert names(program.get(f"{CALLS}?q=9811000")) == ["TANKED"]
    assert names(program.get(f"{CALLS}?q=ank")) == ["TANKED"]
    assert names(program.get(f"{CALLS}?q=ank&type=bulk")) == []
    assert names(program.get("/ports/xxbbb/calls")) == ["ELSEWHERE"], "a code in small letters too"


def test_a_cursor_walks_through_all_calls_while_ships_come(program: Program, known: Teller) -> None:
    old = in_port("OLD LADY", -500)
    ships = [in_port(f"SHIP {number}") for number in range(11)]
    known.tell(old, *ships)
    first = program.get(f"{CALLS}?limit=5").json()
    known.tell(old, *ships, in_port("LATE"))
    seen = [item["vessel"]["name"] for item in first["items"]]
    seen += [item["vessel"]["name"] for item in walk(program, f"{CALLS}?limit=5&cursor={first['next_cursor']}")]
    assert sorted(seen) == sorted(["OLD LADY", *(f"SHIP {number}" for number in range(11))])


def test_a_page_looks_through_so_many_calls_and_says_where_to_go_on(
    program: Program, known: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "LOOKED_AT", 3)
    known.tell(in_port("OLD LADY", -500), *(call(Status.DEPARTED, f"GONE {n}", atd=hour(-n)) for n in range(10)))
    page = program.get(f"{CALLS}?type=tanker").json()
    assert (page["items"], page["next_cursor"] is None) == ([], False)
    everybody = [item["vessel"]["name"] for item in walk(program, f"{CALLS}?limit=2")]
    assert len(everybody) == len(set(everybody)) == 11
    assert walk(program, f"{CALLS}?type=tanker") == []
    since = "changed_since=2026-01-10T12:00:01Z"
    assert walk(program, f"{CALLS}?type=tanker&{since}") == []
    changed = [item["vessel"]["name"] for item in walk(program, f"{CALLS}?{since}&limit=2")]
    assert sorted(changed) == sorted(everybody), "more changed than may be looked up"
    assert len(walk(program, "/changes?limit=2")) == Change.objects.count()
    assert names(program.get(f"{CALLS}?status=in_port")) == ["OLD LADY"], "who is there is looked up, not looked for"
    assert names(program.get(f"{CALLS}?q=old+lady")) == ["OLD LADY"]


def test_calls_that_changed_since_come_once(program: Program, known: Teller) -> None:
    old = in_port("OLD LADY", -500)
    known.tell(old, call(name="ONE", eta=hour(10)), call(name="TWO", eta=hour(10)), at=1)
    known.tell(old, call(name="ONE", eta=hour(11)), call(name="TWO", eta=hour(10)), at=2)
    known.tell(old, call(name="ONE", eta=hour(12)), call(name="TWO", eta=hour(10)), at=3)
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T13:00:00Z")) == ["TWO", "ONE"]
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T13:00:01Z")) == ["ONE"]
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T15:00:01Z")) == []
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T13:00:00Z&q=two&status=expected")) == ["TWO"]
    everybody = walk(program, f"{CALLS}?changed_since=2026-01-10T12:00:01Z&limit=1")
    assert [item["vessel"]["name"] for item in everybody] == ["TWO", "ONE"]


def test_what_a_first_load_found_has_changed_since_before_it(program: Program, known: Teller) -> None:
    """Though it makes no Changes, and a part of it may be older: what was killed goes on with a later answer."""
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T12:00:00Z")) == ["OLD LADY"]
    PortCall.objects.update(first_seen_at=hour(-1))
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T12:00:00Z&status=in_port")) == ["OLD LADY"]
    assert names(program.get(f"{CALLS}?changed_since=2026-01-10T12:00:01Z")) == []


def test_a_call_that_left_the_list_without_a_word_has_changed_then(program: Program, known: Teller) -> None:
    """Noticed at 15:00, though she was seen last at 14:00: who asked in between has to be told."""
    old, away = in_port("OLD LADY", -500), call(Status.DEPARTED, "AWAY", atd=hour(-1))
    known.tell(old, away, at=1)
    known.tell(old, away, at=2)
    known.tell(old, at=3)
    known.tell(old, call(Status.DEPARTED, "LATER", atd=hour(3.5)), at=4)
    assert Change.objects.count() == 2, "one for each that is new"

    def since(moment: str) -> list[tuple[str, bool]]:
        items = walk(program, f"{CALLS}?changed_since=2026-01-10T{moment}Z")
        return [(item["vessel"]["name"], item["is_listed"]) for item in items]

    assert since("14:30:00") == since("15:00:00") == [("LATER", True), ("AWAY", False)]
    assert since("15:00:01") == [("LATER", True)]
    assert since("16:00:01") == []


def test_where_more_changed_than_can_be_looked_up_all_calls_come(
    program: Program, known: Teller, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = in_port("OLD LADY", -500)
    ships = [call(name=f"SHIP {number}", eta=hour(number)) for number in range(9)]
    known.tell(old, *ships)
    known.tell(old, *ships[:4], *(call(name=f"SHIP {number}", eta=hour(20)) for number in range(4, 7)))
    since = f"{CALLS}?changed_since=2026-01-10T14:00:00Z"
    told = [item["vessel"]["name"] for item in walk(program, f"{since}&limit=2")]
    assert told == [f"SHIP {number}" for number in range(8, 3, -1)]
    monkeypatch.setattr(api, "LOOKED_AT", 4)
    everybody = walk(program, f"{since}&limit=2")
    assert everybody == walk(program, CALLS)
    assert len(everybody) == 10
    assert names(program.get(f"{since}&q=ship+7")) == ["SHIP 7"]


def test_before_its_first_load_is_whole_a_port_has_no_calls(program: Program, known: Teller) -> None:
    Port.objects.filter(locode="XXAAA").update(loaded_at=None)
    since = "changed_since=2026-01-01T00:00:00Z"
    for path in (CALLS, f"{CALLS}?status=in_port", f"{CALLS}?{since}", "/changes", "/changes?port=XXAAA"):
        assert program.get(path).json() == {"items": [], "next_cursor": None}, path


def test_a_port_that_is_off_or_unknown_is_not_there(program: Program, known: Teller) -> None:
    Port.objects.filter(locode="XXAAA").update(is_enabled=False)
    for code in ("XXAAA", "ZZZZZ", "a%00b", "%ff", "A" * 3000, "%F0%9F%92%A1", "'--"):
        status, word, sentence = problem(program.get(f"/ports/{code}/calls"))
        assert (status, word) == (404, "no_such_port"), code
        assert len(sentence) < 200
    assert problem(program.get("/changes?port=XXAAA"))[:2] == (404, "no_such_port")
    assert program.get("/changes").json()["items"] == []


@pytest.mark.parametrize(
    "query",
    [
        "status=lost",
        "status=",
        "type=boat",
        "q=",
        "q=%00",
        "q=a%00b",
        f"q={'a' * 101}",
        "changed_since=yesterday",
        "changed_since=2026-01-01T00:00:00",
        "changed_since=",
        "limit=0",
        "limit=201",
        "cursor=-1",
        "cursor=1-2",
        f"cursor={2**63}",
        "cursor=" + "9" * 5000,
        "cursor=abc",
        "cursor=%00",
        "colour=red",
        "Status=in_port",
    ],
)
def test_a_wrong_question_is_refused(program: Program, known: Teller, query: str) -> None:
    assert problem(program.get(f"{CALLS}?{query}"))[:2] == (422, "invalid")


@pytest.mark.parametrize("query", ["q=%ff", "q=%25", "q=_", "q=%5C", "q=%ed%a0%80", "cursor=0", "q=%F0%9F%92%A1"])
def test_an_odd_question_finds_nothing(program: Program, known: Teller, query: str) -> None:
    assert program.get(f"{CALLS}?{query}").json() == {"items": [], "next_cursor": None}


# --- vessels and changes ------------------------------------------------------------------------------------


def test_a_vessel_is_told_with_her_names_and_calls(program: Program, known: Teller) -> None:
    known.tell(in_port("OLD LADY", -500), call(ship=ship("YOUNG", imo="9811000"), eta=hour(9)), at=1)
    known.tell(in_port("OLD LADY", -500), call(ship=ship("MARRIED", imo="9811000"), eta=hour(9)), at=2)
    vessel = Vessel.objects.get(imo="9811000")
    told = program.get(f"/vessels/{vessel.pk}").json()
    assert (told["id"], told["name"], told["source_type"]) == (vessel.pk, "MARRIED", None)
    assert told["names"] == [
        {"name": "YOUNG", "first_seen": "2026-01-10T13:00:00Z"},
        {"name": "MARRIED", "first_seen": "2026-01-10T14:00:00Z"},
    ]
    assert [(item["port"], item["status"]) for item in told["calls"]] == [("XXAAA", "expected")]
    Port.objects.update(is_enabled=False)
    assert program.get(f"/vessels/{vessel.pk}").json()["calls"] == []


@pytest.mark.parametrize(
    ("number", "answer"),
    [
        ("999999", 404),
        (2**63 - 1, 404),
        (2**63, 422),
        ("0", 422),
        ("-1", 422),
        ("x", 422),
        ("9" * 5000, 422),
        ("1.5", 422),
    ],
)
def test_a_vessel_that_is_not_there(program: Program, known: Teller, number: object, answer: int) -> None:
    assert problem(program.get(f"/vessels/{number}"))[0] == answer


def test_a_change_is_told_in_these_words(program: Program, known: Teller) -> None:
    known.tell(in_port("OLD LADY", -500), call(name="ONE", eta=hour(10)), at=1)
    known.tell(in_port("OLD LADY", -500), call(name="ONE", eta=hour(13)), at=2)
    moved, made = program.get("/changes").json()["items"]
    change = Change.objects.get(field="eta")
    assert (moved["id"], moved["call"], moved["port"]) == (change.pk, change.call_id, "XXAAA")
    assert (moved["field"], moved["was"], moved["became"]) == ("eta", "2026-01-10T22:00:00Z", "2026-01-11T01:00:00Z")
    assert (moved["seen_at"], moved["vessel"]["name"]) == ("2026-01-10T14:00:00Z", "ONE")
    assert (made["field"], made["was"], made["became"]) == ("status", None, "expected")


def test_changes_are_found_by_port_and_moment_page_by_page(program: Program, known: Teller) -> None:
    old = in_port("OLD LADY", -500)
    for number in range(1, 6):
        known.tell(old, call(name="ONE", eta=hour(10 + number)), call(name="FAR", port="XXBBB", eta=hour(number)))
    everything = walk(program, "/changes?limit=3")
    assert [item["id"] for item in everything] == list(Change.objects.order_by("-id").values_list("id", flat=True))
    far = walk(program, "/changes?port=XXBBB&limit=2")
    assert [item["field"] for item in far] == ["eta"] * 4 + ["status"]
    assert len(program.get("/changes?since=2026-01-10T16:00:00Z").json()["items"]) == 4
    assert len(program.get("/changes?since=2026-01-10T18:00:00%2B02:00&port=XXBBB").json()["items"]) == 2


@pytest.mark.parametrize("query", ["since=5", "cursor=1-5", "cursor=a", "limit=201", "field=eta", f"cursor={2**63}"])
def test_a_wrong_question_about_changes_is_refused(program: Program, known: Teller, query: str) -> None:
    assert problem(program.get(f"/changes?{query}"))[:2] == (422, "invalid")


# --- all of them --------------------------------------------------------------------------------------------

PATHS = ["/ports", CALLS, "/changes", "/vessels/1"]


@pytest.mark.parametrize("path", PATHS)
def test_a_parameter_that_there_is_not_is_refused(program: Program, known: Teller, path: str) -> None:
    assert problem(program.get(f"{path}?colour=red"))[:2] == (422, "invalid")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_no_call_writes(program: Program, known: Teller, path: str, method: str) -> None:
    assert problem(program.ask(method, path, {}))[:2] == (405, "wrong_method")


@pytest.mark.parametrize("path", PATHS)
def test_nobody_reads_without_a_token(known: Teller, path: str, settings: Any) -> None:
    """Not even where the pages are open to everybody: a token is what a program is known by."""
    settings.PORTS_PUBLIC = True
    assert problem(Program("nonsense").get(path))[:2] == (401, "no_token")


@pytest.mark.parametrize(
    "path",
    [
        *("/ports", CALLS, f"{CALLS}?status=in_port", f"{CALLS}?q=ship&type=other", "/changes", "/changes?port=XXAAA"),
        f"{CALLS}?changed_since=2026-01-01T00:00:00Z",
    ],
)
def test_a_page_costs_as_many_queries_for_one_call_as_for_many(program: Program, known: Teller, path: str) -> None:
    def cost() -> int:
        with CaptureQueriesContext(
            connection,
        ) as asked:
            assert program.get(path).json()["items"]
        return len(asked)

    old, stay = in_port("OLD SHIP", -500), StayReport("Quay", ata=hour(-1))
    known.tell(old, in_port("SHIP 0", stays=(stay,)))
    before = cost()
    known.tell(old, *(in_port(f"SHIP {n}", stays=(StayReport(f"Quay {n}"), stay)) for n in range(30)))
    assert cost() == before <= 8


def test_a_vessel_costs_as_many_queries_for_one_call_as_for_many(program: Program, known: Teller) -> None:
    vessel = Vessel.objects.get()

    def cost() -> int:
        with CaptureQueriesContext(connection) as asked:
            program.get(f"/vessels/{vessel.pk}")
        return len(asked)

    before = cost()
    port = Port.objects.get(locode="XXBBB")
    for number in range(70):
        PortCall.objects.create(
            port=port, vessel=vessel, key=f"{number}", status="expected", first_seen_at=datetime.now(UTC), digest=number
        )
    assert cost() == before <= 8
    assert len(program.get(f"/vessels/{vessel.pk}").json()["calls"]) == api.CALLS_OF_A_VESSEL


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_comes_back_as_it_is_and_is_found(program: Program, known: Teller, name: str) -> None:
    known.tell(in_port(name, agent=name, previous_port=name, stays=(StayReport(name, area=name),)))
    response = program.get(f"{CALLS}?status=in_port&q={quote(name)}")
    assert response["Content-Type"].startswith("application/json")
    assert response["X-Content-Type-Options"] == "nosniff"
    [item] = response.json()["items"]
    assert item["vessel"]["name"] == item["agent"] == item["berth"]["name"] == item["berth"]["area"] == name
    assert program.get("/changes").json()["items"][0]["vessel"]["name"] in (name, "OLD LADY")
