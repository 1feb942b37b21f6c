"""The API of a real site: a web server, a controller and a program with a token."""

import threading
from collections.abc import Callable

import pytest
import requests

from relays import clock
from tests.site import Site, add_relays, wait_for


@pytest.fixture
def running(site: Site) -> tuple[Site, str, requests.Session]:
    """A lamp, a controller, a web server and a program with a token."""
    add_relays(site, "Lamp", "Pump")
    site.add_user()
    made = site.manage("create_token", "bench", "--name", "t", "--scope", "switch")
    assert made.returncode == 0, made.stderr
    site.start_controller()
    _, address = site.start_web()
    session = requests.Session()
    session.headers["Authorization"] = f"Bearer {made.stdout.strip()}"
    return site, f"{address}/api", session


Running = tuple[Site, str, requests.Session]


def settled(ask: Callable[[], requests.Response]) -> requests.Response:
    """The answer once there is an outcome: asked with one command_id, it may be asked again."""
    answers = [ask()]
    wait_for(lambda: answers[-1].status_code != 202 or answers.append(ask()), what="an outcome")
    return answers[-1]


def test_a_real_controller_confirms_and_the_database_may_be_locked_meanwhile(running: Running) -> None:
    site, address, session = running
    with site.database() as other:
        other.execute("BEGIN IMMEDIATE")
        begun = clock.boot_seconds()
        assert session.get(f"{address}/relays", timeout=10).status_code == 200
        stop = session.post(f"{address}/stop", timeout=20)
        read_for = clock.boot_seconds() - begun
        assert stop.json()["note"].startswith("Stopped, but not recorded yet")
        assert stop.json()["is_stopped"] is True
        begun = clock.boot_seconds()
        assert session.get(f"{address}/relays", timeout=10).status_code == 200
        assert clock.boot_seconds() - begun < 4, "who waited for the database would wait 5 s"
        other.execute("ROLLBACK")
    assert read_for < 15, "each of the two may wait 5 s for the database, once"
    wait_for(lambda: session.get(f"{address}/stop", timeout=10).json()["boards"][0]["since"], what="its record")
    assert session.delete(f"{address}/stop", json={"confirm": True}, timeout=20).json()["is_stopped"] is False
    said = settled(lambda: session.put(f"{address}/relays/lamp", json={"on": True, "command_id": "b"}, timeout=10))
    assert (said.status_code, said.json()["actual"], said.json()["pending"]) == (200, True, None)
    assert site.levels("GPIO17") == [1, 0]
    settled(lambda: session.put(f"{address}/relays/pump", json={"on": True, "command_id": "c"}, timeout=10))
    said = session.post(f"{address}/all-off", timeout=10)
    assert sorted(said.json()["off"] + said.json()["pending"]) == ["lamp", "pump"]
    assert settled(lambda: session.post(f"{address}/all-off", timeout=10)).status_code == 200
    assert (site.levels("GPIO17")[-1], site.levels("GPIO18")[-1]) == (1, 1)
    site.files().faults.write_text('{"GPIO17": "stuck"}')
    said = settled(lambda: session.put(f"{address}/relays/lamp", json={"on": True, "command_id": "d"}, timeout=10))
    assert (said.status_code, said.json()["code"]) == (502, "failed")


def test_of_many_at_once_with_one_command_id_one_switches(running: Running) -> None:
    site, address, session = running
    told: list[requests.Response] = []

    def put() -> None:
        headers = dict(session.headers)
        body = {"on": True, "for": 600, "command_id": "a"}
        told.append(settled(lambda: requests.put(f"{address}/relays/lamp", json=body, headers=headers, timeout=20)))

    threads = [threading.Thread(target=put) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {answer.status_code for answer in told} == {200}
    assert len({answer.json()["command"] for answer in told}) == 1
    assert [event["outcome"] for event in site.events("lamp")] == ["accepted", "applied"]


def test_a_body_of_10_mb_is_answered_and_the_connection_goes_on(running: Running) -> None:
    _, address, session = running
    for body in (b"a" * 10 * 2**20, (b"a" * 2**16 for _ in range(160))):
        said = session.put(f"{address}/relays/lamp", data=body, timeout=30)
        assert (said.status_code, said.headers["Content-Type"]) == (413, "application/problem+json")
        assert session.get(f"{address}/relays", timeout=10).status_code == 200
    said = requests.put(f"{address}/relays/lamp", data=b"a" * 10 * 2**20, timeout=30)
    assert said.status_code == 401
    deep = b"[" * 2_000_000
    assert session.put(f"{address}/relays/lamp", data=deep, timeout=30).status_code == 400
