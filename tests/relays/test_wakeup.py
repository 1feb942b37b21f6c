"""Datagrams between web and controller: each told its own, and none of them believed."""

import json
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests

from relays import wakeup
from relays.runfiles import BoardFiles
from relays.schemas import WAIT
from relays.wakeup import Ear, Mailbox
from tests.site import Site, add_relays, post, sign_in, wait_for


class House:
    """An ear, the mailbox of a controller, and what the database would say of each command."""

    def __init__(self, run_dir: Path) -> None:
        self.files = BoardFiles(run_dir, 1)
        self.mailbox = Mailbox(self.files)
        self.ear = Ear()
        self.ear.start()
        self.settled: set[int] = set()
        self.looks = 0

    def look(self, command: int) -> Callable[[], int | None]:
        def look() -> int | None:
            self.looks += 1
            return command if command in self.settled else None

        return look

    def wait(self, command: int, seconds: float = 30.0) -> tuple[int | None, float]:
        """What came of waiting for ``command``, and how long that took."""
        begun = time.monotonic()
        found = self.ear.wait(command, self.files, seconds, self.look(command))
        return found, time.monotonic() - begun

    def settle(self, *commands: int) -> None:
        """Record commands as the controller does, and tell."""
        self.settled |= {*commands}
        self.mailbox.empty()
        self.mailbox.tell(commands)

    def forge(self, message: bytes) -> None:
        """A stranger's datagram at the ear, whose address anybody may use."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as stranger:
            stranger.sendto(message, self.ear._socket.getsockname())


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    made = House(tmp_path)
    made.wait(0, 0.05)  # from now on it is told
    made.mailbox.empty()
    made.looks = 0
    yield made
    made.mailbox.socket.close()


@pytest.fixture
def only_told(monkeypatch: pytest.MonkeyPatch) -> float:
    """Nobody looks unless told; so many seconds would pass before one did."""
    monkeypatch.setattr(wakeup, "LOOK_EVERY", 10.0)
    return wakeup.LOOK_EVERY


def later(do: Callable[[], None], seconds: float = 0.1) -> threading.Timer:
    timer = threading.Timer(seconds, do)
    timer.start()
    return timer


def test_who_waits_is_told_at_once_and_looks_no_more_than_needed(house: House, only_told: float) -> None:
    begun = time.monotonic()
    later(lambda: house.settle(7))
    found, took = house.wait(7)
    assert found == 7
    assert time.monotonic() - begun >= 0.1
    assert took < only_told
    assert house.looks == 1


def test_each_is_told_of_its_own_command_only(house: House, only_told: float) -> None:
    later(lambda: house.settle(8, 9))
    assert house.wait(7, 0.2)[0] is None
    assert house.looks <= 1, "once at the end, perhaps; not for the others"


def test_what_was_recorded_before_one_waits_is_not_missed(house: House, only_told: float) -> None:
    house.settle(7)
    wait_for(lambda: 7 in house.ear._recorded)
    found, took = house.wait(7)
    assert found == 7
    assert took < only_told


def test_a_datagram_that_is_lost_costs_one_look(house: House) -> None:
    later(lambda: house.settled.add(7))  # and nobody tells
    found, took = house.wait(7)
    assert found == 7
    assert house.looks <= 1 + took // wakeup.LOOK_EVERY


def test_a_controller_that_starts_anew_is_asked_again(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    def restart() -> None:
        house.mailbox.socket.close()
        house.mailbox = Mailbox(house.files)

    later(restart, 0.05)
    later(lambda: house.settled.add(7), 0.1)
    assert house.wait(7)[0] == 7
    later(lambda: house.settle(8), 0.1)
    house.wait(9, 0.3)
    monkeypatch.setattr(wakeup, "LOOK_EVERY", 10.0)
    house.looks = 0
    later(lambda: house.settle(10), 0.1)
    found, took = house.wait(10)
    assert (found, house.looks) == (10, 1), "the new one tells"
    assert took < wakeup.LOOK_EVERY


def test_without_a_controller_one_looks_now_and_then(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.mailbox.socket.close()
    house.files.socket.unlink()
    found, took = house.wait(7, 0.6)
    assert found is None
    assert took >= 0.6
    assert 2 <= house.looks <= 2 + took // wakeup.LOOK_EVERY


def test_many_wait_and_each_is_told(house: House, only_told: float) -> None:
    with ThreadPoolExecutor(wakeup.WAITERS) as people:
        told = [people.submit(house.wait, number) for number in range(1, wakeup.WAITERS + 1)]
        later(lambda: house.settle(*range(1, wakeup.WAITERS + 1)))
        found = [future.result() for future in told]
    assert [command for command, _ in found] == list(range(1, wakeup.WAITERS + 1))
    assert max(took for _, took in found) < only_told


def test_one_more_than_may_wait_does_not(house: House) -> None:
    with ThreadPoolExecutor(wakeup.WAITERS) as people:
        waiting = [people.submit(house.wait, number) for number in range(1, wakeup.WAITERS + 1)]
        wait_for(lambda: len(house.ear._waiting) == wakeup.WAITERS)
        assert house.wait(99)[0] is None
        assert not any(future.done() for future in waiting), "it did not wait for one of their places"
        house.settle(*range(1, wakeup.WAITERS + 1))
    later(lambda: house.settle(99))
    assert house.wait(99)[0] == 99, "there is room again"


def test_a_wait_that_fails_leaves_its_place(house: House) -> None:
    def broken() -> None:
        raise RuntimeError

    for _ in range(wakeup.WAITERS + 1):
        later(lambda: house.settle(7), 0.001)
        with pytest.raises(RuntimeError):
            house.ear.wait(7, house.files, 1.0, broken)
    assert house.ear._waiting == {}


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\x00",
        b"\xff\xfe",
        b"{",
        b"7",
        b"null",
        b"[]",
        b'"recorded"',
        b'{"recorded": 7}',
        b'{"recorded": null}',
        b'{"recorded": {"7": 7}}',
        b'{"recorded": ["7", null, [7], 7.5, true]}',
        b'{"recorded": [' + b"9" * 900 + b"]}",
        b"[" * 1024,
        b'{"recorded": ' + b"[" * 1000,
        b'{"recorded": [7]}',
        wakeup.TELL,
    ],
)
def test_a_forged_datagram_makes_one_look_and_no_more(house: House, message: bytes) -> None:
    begun = time.monotonic()
    later(lambda: house.forge(message), 0.05)
    later(lambda: house.settle(7), 0.15)
    found, took = house.wait(7)
    assert found == 7, "the ear lives"
    assert time.monotonic() - begun >= 0.15, "it was the database that said so"
    assert house.looks <= 2 + took // wakeup.LOOK_EVERY


def test_a_controller_believes_no_datagram_either(tmp_path: Path) -> None:
    mailbox = Mailbox(BoardFiles(tmp_path, 1))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as nameless:
        for message in (b"", b"\xff", b"[" * 1024, b"x" * 5000, wakeup.TELL):
            nameless.sendto(message, os.fspath(mailbox.files.socket))
            mailbox.empty()
    mailbox.tell([1])
    assert mailbox._waiting == {}, "who has no address cannot be told"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as named:
        named.bind("")
        named.settimeout(5)
        named.sendto(wakeup.TELL, os.fspath(mailbox.files.socket))
        mailbox.empty()
        mailbox.tell([1, 2])
        assert json.loads(named.recv(2000)) == {"recorded": [1, 2]}
        mailbox.tell(range(1000))
        assert named.recv(2000) == b"{}", "too many for a datagram: look"
    mailbox.tell([3])
    assert mailbox._waiting == {}, "who is gone is forgotten"
    mailbox.socket.close()


def test_nobody_hangs_with_a_controller_that_hangs(house: House) -> None:
    """Its socket takes a few datagrams that nobody reads, and then no more."""
    for _ in range(2000):
        wakeup.wake(house.files)
    found, took = house.wait(7, 0.5)
    assert found is None
    assert took < 5.0
    assert not wakeup.wake(house.files)


# --- on a real site -----------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_hundred_who_wait_for_a_stopped_controller_delay_nobody(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    add_relays(site, "Lamp", "Pump")
    site.add_user()
    token = site.manage("create_token", "bench", "--name", "t", "--scope", "switch").stdout.strip()
    controller = site.start_controller()
    _, address = site.start_web()
    browser, headers = sign_in(address), {"Authorization": f"Bearer {token}"}
    usual = measured(lambda: browser.get(address, timeout=10))
    told: list[tuple[int, float]] = []

    def put(wait: float) -> None:
        begun = time.monotonic()
        wish = {"on": True, "wait": wait}
        answer = requests.put(f"{address}/api/relays/lamp", json=wish, headers=headers, timeout=30)
        told.append((answer.status_code, time.monotonic() - begun))

    def put_by_all(wait: float, how_many: int) -> float:
        """Seconds until so many of a hundred were answered."""
        told.clear()
        people[:] = [threading.Thread(target=put, args=(wait,)) for _ in range(100)]
        begun = time.monotonic()
        for person in people:
            person.start()
        wait_for(lambda: len(told) >= how_many, what=f"{how_many} answers")
        return time.monotonic() - begun

    def among_those_who_wait(_: int) -> bool:
        """Whether they delay neither each other, nor who opens a page, nor who stops everything."""
        site.freeze(controller)
        waited = put_by_all(WAIT, 100 - wakeup.WAITERS)
        home = measured(lambda: browser.get(address, timeout=10))
        stop = measured(lambda: post(browser, f"{address}/stop"))  # which is an answer to all who wait
        for person in people:
            person.join()
        assert {202} <= {status for status, _ in told} <= {202, 409, 503}, "pending, or overtaken by the stop"
        controller.send_signal(signal.SIGCONT)
        wait_for(lambda: site.levels("GPIO17")[-1] == 1, what="off")
        assert post(browser, f"{address}/stop/reset").status_code == 302
        with capsys.disabled():
            at_once = sorted(took for _, took in told)[: 100 - wakeup.WAITERS]
            print(f"\nhome {usual * 1000:.0f} ms, among 100 who wait {home * 1000:.0f} ms, stop {stop * 1000:.0f} ms")
            print(f"{len(at_once)} of 100 answered within {max(at_once):.2f} s, all in {max(t for _, t in told):.2f} s")
        # They queue for the processor, but not for those who wait.
        return waited < 2 * nobody_waits and max(home, stop) < max(0.2, 10 * usual)

    people: list[threading.Thread] = []
    nobody_waits = put_by_all(0, 100)
    assert any(map(among_those_who_wait, range(3))), "busy with something else for once, but not each time"


def measured(do: Callable[[], requests.Response]) -> float:
    begun = time.monotonic()
    assert do().status_code < 400
    return time.monotonic() - begun
