"""What /metrics tells, to whom, and how it counts."""

import os
import platform
from datetime import timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.utils import timezone
from prometheus_client import parser
from prometheus_client.openmetrics import parser as openmetrics
from pytest_django import DjangoAssertNumQueries

from accounts.models import Token, User
from iotsite import __version__, metrics
from ports.models import Berth, Feed, Port, PortCall, Refresh, Vessel
from relays import clock, runfiles
from relays import metrics as relay_metrics
from relays.models import Board, Event, Relay
from tests.relays.test_controller import House, house

__all__ = ["house"]

PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,"
    "text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""How Prometheus asks."""
TEXT = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

Samples = dict[tuple[str, ...], float]
"""By name and the values of the labels, in the order of the labels' names."""


def read(text: str, parse: Any = parser) -> Samples:
    found = [sample for family in parse.text_string_to_metric_families(text) for sample in family.samples]
    told = {(sample.name, *(sample.labels[name] for name in sorted(sample.labels))): sample.value for sample in found}
    assert len(told) == len(found), "no sample twice"
    return told


class Scraper:
    """Asks as Prometheus does: with a token, and with nothing else."""

    def __init__(self, token: str) -> None:
        self.client = Client(headers={"authorization": f"Bearer {token}"})

    def get(self, accept: str = "") -> Any:
        return self.client.get("/metrics", headers={"accept": accept})

    def __call__(self, name: str) -> Any:
        """What is told under this name, by the values of the labels; a mere number where there are none."""
        response = self.get()
        assert response.status_code == 200, response.content
        samples = read(response.content.decode()).items()
        found = {
            labels[0] if len(labels) == 1 else (*labels,): value for (said, *labels), value in samples if said == name
        }
        return found.get((), found)


@pytest.fixture
def told(owner: User, monkeypatch: pytest.MonkeyPatch) -> Scraper:
    """Who asks a web process that nobody has asked before."""
    monkeypatch.setattr(metrics, "registry", metrics.new_registry())
    return Scraper(Token.make(owner, "Prometheus", "read")[1])


# --- relays -------------------------------------------------------------------------------------------------------


def test_wanted_actual_and_fault_stand_apart(told: Scraper, pump: Relay, served: Board) -> None:
    Relay.objects.create(
        name="Lamp", slug="lamp", board=served, line="GPIO22", polarity="active-low", wanted=True, actual=True
    )
    Relay.objects.update(fault="reads back off")
    Relay.objects.filter(pk=pump.pk).update(wanted=True, actual=False, fault="")
    board = str(served.pk)
    lamp, other = (board, "Lamp", "lamp"), (board, "Pump", "pump")
    assert told("iotsite_relay_wanted") == {lamp: 1, other: 1}
    assert told("iotsite_relay_actual") == {lamp: 1, other: 0}
    assert told("iotsite_relay_fault") == {lamp: 1, other: 0}
    assert told("iotsite_relays") == {"fault": 1, "switching": 1, "on": 0, "off": 0, "unknown": 0}


def test_what_a_silent_controller_said_is_not_told_and_unknown_is_not_off(told: Scraper, pump: Relay) -> None:
    Relay.objects.update(actual=False, fault="stuck")
    assert told("iotsite_relay_actual") == told("iotsite_relay_fault") == {}
    assert told("iotsite_relays") == {"unknown": 1, "fault": 0, "switching": 0, "on": 0, "off": 0}
    assert list(told("iotsite_relay_wanted").values()) == [0]


def test_a_pin_that_nobody_read_yet_is_not_off_either(told: Scraper, pump: Relay, served: Board) -> None:
    assert told("iotsite_relay_actual") == {}
    assert list(told("iotsite_relay_fault").values()) == [0]


def test_what_is_disabled_vanishes(told: Scraper, pump: Relay, served: Board) -> None:
    Relay.objects.update(is_enabled=False)
    assert told("iotsite_relay_wanted") == {}
    Relay.objects.update(is_enabled=True)
    Board.objects.update(is_enabled=False)
    assert told("iotsite_relay_wanted") == told("iotsite_controller_up") == {}


HOSTILE = [
    '"} 1\niotsite_relay_wanted{relay="door"} 1\n#',
    'back\\slash \\n \\\\ {x="y"},',
    "\r\nwrapped\x85\u2028\u2029",
    "\u202eright to left\u202c \u200f",
    "lamp 💡 # EOF",
    "# TYPE iotsite_relay_wanted counter",
    "{{name}} <script>",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_name_is_told_as_it_is_and_tells_nothing_else(told: Scraper, pump: Relay, served: Board, name: str) -> None:
    Relay.objects.update(name=name)
    Board.objects.update(name=name)
    for accept, parse in (("text/plain", parser), (PROMETHEUS, openmetrics)):
        samples = read(told.get(accept).content.decode(), parse)
        wanted = {labels: value for labels, value in samples.items() if labels[0] == "iotsite_relay_wanted"}
        assert wanted == {("iotsite_relay_wanted", str(served.pk), name, "pump"): 0}
        assert samples["iotsite_controller_up", str(served.pk), name] == 1


# --- boards -------------------------------------------------------------------------------------------------------


def test_a_controller_is_told_with_its_heartbeat_and_its_memory(told: Scraper, board: Board) -> None:
    board.files.beat(at=clock.boot_seconds() + 60)
    key = (str(board.pk), "Shed")
    assert told("iotsite_controller_up") == {key: 1}
    assert 0 <= told("iotsite_controller_heartbeat_age_seconds")[key] < 60
    assert told("iotsite_controller_resident_memory_bytes")[key] > 10e6, "the heartbeat is ours"


def test_of_a_silent_one_the_age_of_its_heartbeat_is_told_and_no_memory(told: Scraper, board: Board) -> None:
    beat = {"pid": os.getpid(), "boot_id": clock.boot_id(), "at": clock.boot_seconds() - 1000}
    runfiles.write_whole(board.files.run_dir / f"board-{board.pk}.beat", beat)
    assert list(told("iotsite_controller_up").values()) == [0]
    assert list(told("iotsite_controller_heartbeat_age_seconds").values()) == [pytest.approx(1000, abs=60)]
    assert told("iotsite_controller_resident_memory_bytes") == {}


def test_of_one_that_never_ran_there_is_no_age(told: Scraper, board: Board) -> None:
    assert told("iotsite_controller_heartbeat_age_seconds") == {}


def test_a_stop_is_told_also_where_only_its_latch_is_there(told: Scraper, board: Board) -> None:
    assert list(told("iotsite_board_stopped").values()) == [0]
    board.files.latch("anna", "page")
    assert list(told("iotsite_board_stopped").values()) == [1]


# --- commands -----------------------------------------------------------------------------------------------------


def asked(relay: Relay, outcome: str, via: str = "api", **more: Any) -> Event:
    return Event.objects.create(kind="asked on", outcome=outcome, board=relay.board, relay=relay, via=via, **more)


def applied(command: Event, seconds: float) -> None:
    assert command.relay
    asked(command.relay, "applied", "controller", of=command, at=command.at + timedelta(seconds=seconds))


def test_counting_begins_at_nothing_with_every_series_there(told: Scraper, pump: Relay) -> None:
    asked(pump, "accepted")
    numbers = told("iotsite_commands_total")
    assert set(numbers.values()) == {0}
    assert {labels for labels in numbers if labels[1] == "api"} == {
        (outcome, "api") for outcome in ("accepted", "refused", "applied", "failed", "superseded")
    }


def test_each_event_is_counted_once_by_the_means_of_its_command(told: Scraper, pump: Relay) -> None:
    told("iotsite_commands_total")
    command = asked(pump, "accepted")
    asked(pump, "refused", "page")
    asked(pump, "", "admin")
    for _ in range(2):
        numbers = told("iotsite_commands_total")
        assert {labels: number for labels, number in numbers.items() if number} == {
            ("accepted", "api"): 1,
            ("refused", "page"): 1,
        }
    applied(command, 0.1)
    assert told("iotsite_commands_total")["applied", "api"] == 1


def test_many_new_events_are_taken_in_bit_by_bit(told: Scraper, pump: Relay, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(relay_metrics, "AT_ONCE", 2)
    told("iotsite_commands_total")
    for _ in range(5):
        asked(pump, "accepted")
    assert [told("iotsite_commands_total")["accepted", "api"] for _ in range(4)] == [2, 4, 5, 5]


def test_the_histogram_has_the_seconds_from_a_command_to_its_pin(told: Scraper, pump: Relay) -> None:
    told("iotsite_commands_total")
    for seconds in (0.0009, 0.001, 0.004, 3.0, 60.0):
        applied(asked(pump, "accepted"), seconds)
    buckets = {float(bound): number for bound, number in told("iotsite_command_seconds_bucket").items()}
    assert [buckets[bound] for bound in (0.001, 0.0025, 0.005, 2.5, 5, 10, float("inf"))] == [2, 2, 3, 3, 4, 4, 5]
    assert told("iotsite_command_seconds_count") == 5
    assert told("iotsite_command_seconds_sum") == pytest.approx(63.0059)


def test_a_clock_that_was_set_back_makes_no_negative_second(told: Scraper, pump: Relay) -> None:
    told("iotsite_commands_total")
    applied(asked(pump, "accepted"), -3600)
    assert (told("iotsite_command_seconds_count"), told("iotsite_command_seconds_sum")) == (1, 0)


def test_what_the_controller_decides_itself_has_no_way_to_its_pin(told: Scraper, pump: Relay) -> None:
    told("iotsite_commands_total")
    applied(asked(pump, "accepted", "timer"), 0.0)
    assert told("iotsite_command_seconds_count") == 0
    assert told("iotsite_commands_total")["applied", "timer"] == 1


@pytest.mark.django_db(transaction=True)
def test_what_a_controller_did_with_commands_is_counted(house: House, told: Scraper) -> None:
    house.start()
    told("iotsite_commands_total")
    house.switch(house.fan, True)
    house.switch(house.lamp, True)
    house.switch(house.lamp, False)
    house.look()
    numbers = told("iotsite_commands_total")
    assert {outcome: number for (outcome, via), number in numbers.items() if via == "command line" and number} == {
        "accepted": 3,
        "applied": 2,
        "superseded": 1,
    }
    assert told("iotsite_command_seconds_count") == 2


# --- ships --------------------------------------------------------------------------------------------------------


@pytest.fixture
def port(db: None) -> Port:
    """Hong Kong, on, with a first answer an hour ago that told of four ships."""
    now = timezone.now()
    Port.objects.filter(locode="HKHKG").update(is_enabled=True, loaded_at=now, seen_since=now)
    found = Port.objects.get(locode="HKHKG")
    tried(found.feed, "done", hours=1)
    buoy = Berth.objects.create(port=found, key="buoy", name="Buoy", kind="anchorage")
    for number, more in enumerate(
        (
            {"status": "in_port", "berth": buoy},
            {"status": "in_port"},
            {"status": "expected"},
            {"status": "departed", "atd": now - timedelta(hours=2)},
            {"status": "departed", "atd": now - timedelta(days=2)},
        )
    ):
        vessel = Vessel.objects.create(name=f"Ship {number}", first_seen_at=now)
        PortCall.objects.create(port=found, vessel=vessel, digest=number, first_seen_at=now, **more)
    return found


def tried(feed: Feed, outcome: str, hours: float) -> None:
    at, error = timezone.now() - timedelta(hours=hours), "No answer." if outcome == "failed" else ""
    Refresh.objects.create(feed=feed, started_at=at, as_of=at, took=timedelta(0), outcome=outcome, error=error)


def test_ships_are_counted_by_port_and_status(told: Scraper, port: Port) -> None:
    assert told("iotsite_port_ships") == {
        ("Hong Kong", "HKHKG", "at_anchor"): 1,
        ("Hong Kong", "HKHKG", "at_berth"): 1,
        ("Hong Kong", "HKHKG", "expected"): 1,
        ("Hong Kong", "HKHKG", "departed"): 1,
    }


def test_a_feed_is_told_with_its_last_outcome_and_its_ages(told: Scraper, port: Port) -> None:
    tried(port.feed, "failed", hours=0.5)
    name = str(port.feed)
    outcomes = told("iotsite_feed_last_outcome")
    assert outcomes == {(name, word): word == "failed" for word in ("done", "unchanged", "partial", "failed")}
    assert told("iotsite_feed_refresh_age_seconds")[name] == pytest.approx(1800, abs=60)
    assert told("iotsite_feed_data_age_seconds")[name] == pytest.approx(3600, abs=60)


def test_a_feed_that_was_never_asked_has_no_age(told: Scraper, db: None) -> None:
    Port.objects.filter(locode="HKHKG").update(is_enabled=True)
    assert set(told("iotsite_feed_last_outcome").values()) == {0}
    assert told("iotsite_feed_refresh_age_seconds") == told("iotsite_feed_data_age_seconds") == {}
    assert told("iotsite_port_ships") == {}, "none is not the same as nobody knows"


@pytest.mark.parametrize("change", [{"is_enabled": False}, {"is_enabled": False, "is_example": True}])
def test_ports_that_are_off_and_the_example_are_not_told(told: Scraper, port: Port, change: dict[str, Any]) -> None:
    if "is_example" in change:
        change |= {"example_at": timezone.now()}
    Port.objects.update(**change)
    assert told("iotsite_port_ships") == told("iotsite_feed_last_outcome") == {}


# --- who asks, and how --------------------------------------------------------------------------------------------


def test_a_site_without_relays_or_ships_answers_too(told: Scraper) -> None:
    assert told("iotsite_build_info") == {(platform.python_version(), __version__): 1}
    assert told("iotsite_web_resident_memory_bytes") > 10e6
    assert set(told("iotsite_relays").values()) == {0}


@pytest.mark.parametrize(
    ("accept", "content_type"),
    [
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html,application/xhtml+xml", TEXT),
        (PROMETHEUS, OPENMETRICS),
        ("application/openmetrics-text;version=2.0.0;escaping=allow-utf-8", OPENMETRICS),
        ("text/plain;version=0.0.4;q=0.5,application/openmetrics-text;version=1.0.0;q=0.4", TEXT),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;version=x.y;q=nan", OPENMETRICS),
        ("text/plain;version=1e99.é;q=--", TEXT),
        (";;;,/,=;q=,application/", TEXT),
    ],
)
def test_the_format_is_the_one_that_is_rather_wanted(told: Scraper, accept: str, content_type: str) -> None:
    response = told.get(accept)
    assert (response.status_code, response["Content-Type"]) == (200, content_type)
    assert response.content.endswith(b"# EOF\n") is (content_type == OPENMETRICS)
    assert response["Cache-Control"] == "private, no-store"
    assert "Accept" in response["Vary"].split(", ")


def test_who_has_no_token_is_told_what_the_api_tells(client: Client, as_owner: Client, told: Scraper) -> None:
    revoked = Scraper(f"iot_{'x' * 43}").client
    for stranger in (client, as_owner, revoked):
        api, answer = stranger.get("/api/relays"), stranger.get("/metrics")
        assert answer.status_code == 401
        assert answer.content == api.content
        assert answer.headers == api.headers
        assert not answer.cookies


def test_other_methods_are_told_which_one_there_is(told: Scraper) -> None:
    answer = told.client.post("/metrics")
    assert (answer.status_code, answer["Allow"]) == (405, "GET")
    assert answer.json()["detail"] == "This address takes GET, not POST."


def test_a_database_that_is_away_is_a_scrape_that_failed(told: Scraper) -> None:
    def fail(*_: Any) -> None:
        raise OperationalError("disk I/O error")

    with connection.execute_wrapper(fail):
        answer = told.get()
    assert (answer.status_code, answer.json()["code"]) == (503, "database")
    assert answer.json()["detail"] == "The database does not answer: disk I/O error."


def test_the_number_of_questions_does_not_grow(
    told: Scraper, pump: Relay, served: Board, port: Port, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    told.get()
    with django_assert_num_queries(9):
        told.get()
    for number in range(20):
        line = {"line": f"GPIO{number % 2}", "board": Board.objects.create(name=f"B{number}", driver="simulated")}
        relay = Relay.objects.create(name=f"R{number}", slug=f"r{number}", polarity="active-low", **line)
        applied(asked(relay, "accepted"), 0.1)
    Port.objects.filter(is_example=False).update(is_enabled=True, loaded_at=timezone.now(), seen_since=timezone.now())
    with django_assert_num_queries(9):
        told.get()
