"""Threads that write at the same time share a transaction, and none feels the failure of another."""

import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from pytest_django import DjangoCaptureOnCommitCallbacks

from iotsite import database
from relays.models import Room
from tests.site import Site, wait_for

pytestmark = pytest.mark.django_db


def queued(*works: Callable[[], Any]) -> list[Any]:
    """What becomes of works that wait while another writes: results, or the errors they raised."""
    waiting = [database._Write(work) for work in works]
    database._waiting.extend(waiting)
    with database._writing:
        database._write_all()
    return [one.error or one.result for one in waiting]


def make(name: str) -> Callable[[], str]:
    return lambda: Room.objects.create(name=name).name


def test_a_statement_may_hold_percent_signs_however_often_it_is_asked() -> None:
    for value in ("a", "b"):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s || ' is 100%% of %%s'", [value])
            assert cursor.fetchone() == (f"{value} is 100% of %s",)


def test_what_is_written_is_given_back() -> None:
    assert database.write(make("Garden")) == "Garden"
    assert Room.objects.get().name == "Garden"


def test_what_the_work_raises_is_raised_and_nothing_of_it_is_kept() -> None:
    def half() -> None:
        Room.objects.create(name="Garden")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(half)
    assert not Room.objects.exists()


def test_those_that_wait_are_written_in_one_transaction() -> None:
    seen: list[list[str]] = []

    def look() -> int:
        seen.append([room.name for room in Room.objects.order_by("name")])
        return 3

    assert queued(make("Attic"), make("Boat"), look) == ["Attic", "Boat", 3]
    assert seen == [["Attic", "Boat"]], "the later sees what the earlier wrote"


def test_one_that_fails_spoils_none_of_the_others() -> None:
    def half() -> None:
        Room.objects.create(name="Half")
        Room.objects.create(name="Attic")  # taken

    first, second, third = queued(make("Attic"), half, make("Boat"))
    assert (first, third) == ("Attic", "Boat")
    assert isinstance(second, DatabaseError)
    assert [room.name for room in Room.objects.order_by("name")] == ["Attic", "Boat"]


def test_what_is_to_be_done_after_the_commit_is_not_done_for_one_that_failed(
    django_capture_on_commit_callbacks: DjangoCaptureOnCommitCallbacks,
) -> None:
    done: list[str] = []

    def failing() -> None:
        transaction.on_commit(lambda: done.append("failed"))
        raise ValueError

    with django_capture_on_commit_callbacks(execute=True):
        queued(lambda: transaction.on_commit(lambda: done.append("written")), failing)
    assert done == ["written"]


def test_a_database_that_cannot_be_written_is_told_to_all(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise DatabaseError("replaced")

    monkeypatch.setattr(database, "check", broken)
    assert [str(error) for error in queued(make("Attic"), make("Boat"))] == ["replaced", "replaced"]
    assert not Room.objects.exists()


def test_who_waits_too_long_is_told_and_written_never(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUEUE_FOR", 0.05)
    with database._writing, pytest.raises(DatabaseError, match="others have been writing for too long"):
        database.write(make("Garden"))
    assert not database._waiting
    database.write(make("Attic"))
    assert [room.name for room in Room.objects.all()] == ["Attic"]


def test_who_is_being_written_when_his_patience_ends_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database, "QUEUE_FOR", 0.05)
    told: list[int] = []
    is_first, is_taken, may_go_on = threading.Event(), threading.Event(), threading.Event()

    def leader() -> None:
        with database._writing:
            is_first.set()
            wait_for(lambda: database._waiting)
            one = database._waiting.popleft()
            is_taken.set()
            may_go_on.wait(5)
            one.result, one.is_done = 7, True

    leading = threading.Thread(target=leader)
    leading.start()
    assert is_first.wait(5)
    follower = threading.Thread(target=lambda: told.append(database.write(lambda: 1)))
    follower.start()
    assert is_taken.wait(5)
    follower.join(0.2)
    assert follower.is_alive(), "it gave up what was being written"
    may_go_on.set()
    follower.join(5)
    leading.join(5)
    assert told == [7]


def test_a_transaction_begins_soon_after_another_process_ended_its_own(site: Site) -> None:
    code = (
        "import time; from iotsite import database; from relays.models import Room; Room.objects.count()\n"
        "def write(): Room.objects.create(name='Garden'); return time.monotonic()\n"
        "print('ready'); print(f'at {database.write(write)}')"
    )
    with site.database() as other:
        other.execute("BEGIN IMMEDIATE")
        waiting = site.start(sys.executable, "manage.py", "shell", "-c", code)
        wait_for(lambda: "ready" in site.log(), what="the other process")
        time.sleep(1)
        assert waiting.poll() is None, site.log()
        other.execute("COMMIT")
        ended = time.monotonic()
    assert waiting.wait(20) == 0, site.log()
    assert float(site.log().rpartition("at ")[2]) - ended < 0.5, "SQLite's own naps take longer by then"
    assert site.count("relays_room") == 1
