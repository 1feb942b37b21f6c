import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from iotsite import database
from relays import clock, runfiles
from relays.models import Board

pytestmark = pytest.mark.django_db


@pytest.fixture
def board() -> Iterator[Board]:
    made = Board.objects.create(name="Shed", driver="simulated")
    yield made
    for path in Path(settings.RUN_DIR).glob("board-*"):
        path.unlink()


def ready(client: Client) -> tuple[int, dict[str, Any]]:
    answer = client.get("/readyz")
    return answer.status_code, json.loads(answer.content)


def test_healthz_needs_no_login(client: Client) -> None:
    answer = client.get("/healthz")
    assert (answer.status_code, json.loads(answer.content)) == (200, {"status": "alive"})


def test_ready_without_a_board(client: Client) -> None:
    assert ready(client) == (200, {"status": "ready", "problems": [], "warnings": []})


def test_a_board_without_a_controller_is_not_ready(client: Client, board: Board) -> None:
    status, said = ready(client)
    assert status == 503
    assert said["problems"] == ["The controller of Shed does not run: start it with manage.py run_relays."]


def test_a_board_that_is_served_is_ready(client: Client, board: Board) -> None:
    board.files.beat(at=clock.boot_seconds() + 60)
    assert ready(client)[0] == 200


def test_a_silent_controller_is_not_ready(client: Client, board: Board) -> None:
    beat = {"pid": 1, "boot_id": clock.boot_id(), "at": clock.boot_seconds() - 12}
    runfiles.write_whole(board.files.run_dir / f"board-{board.pk}.beat", beat)
    status, said = ready(client)
    assert status == 503
    [problem] = said["problems"]
    assert re.fullmatch(r"The controller of Shed has not answered for 1\d s\.", problem)


def test_a_heartbeat_of_another_boot_counts_for_nothing(client: Client, board: Board) -> None:
    beat = {"pid": 1, "boot_id": "another", "at": clock.boot_seconds()}
    runfiles.write_whole(board.files.run_dir / f"board-{board.pk}.beat", beat)
    assert ready(client)[0] == 503


def test_what_the_controller_complains_of_is_passed_on(client: Client, board: Board) -> None:
    board.files.beat(problem="The database cannot be written: disk I/O error. Records wait in memory.")
    status, said = ready(client)
    assert status == 503
    assert said["problems"] == [
        "The controller of Shed says: The database cannot be written: disk I/O error. Records wait in memory."
    ]


def test_a_large_log_is_named(client: Client) -> None:
    log = database.path().with_name("db.sqlite3-wal")
    with log.open("wb") as file:
        os.truncate(file.fileno(), 17 * 2**20)
    try:
        assert ready(client)[1]["warnings"] == [
            "The database's log has grown to 17 MB: something keeps it from being emptied."
        ]
    finally:
        log.unlink()
