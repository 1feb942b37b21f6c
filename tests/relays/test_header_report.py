"""What a controller tells of the header; tests/hardware/test_doctor.py shows it with real lines."""

from pathlib import Path

import pytest

from relays import clock, header_report
from relays.boards import taken
from relays.header_report import HeaderReport, Reporter
from relays.models import Board

pytestmark = pytest.mark.django_db


def test_a_board_that_is_no_header_has_nothing_to_tell(board: Board) -> None:
    assert not Reporter(board.files, None).is_due
    assert not board.files.header.exists()


def test_it_tells_after_its_lines_are_claimed_and_then_rarely(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    reporter = Reporter(board.files, 99)
    assert not reporter.is_due
    reporter.begin()
    assert reporter.is_due
    reporter.tell([])
    assert not reporter.is_due
    assert reporter.due_at > clock.boot_seconds() + header_report.EVERY - 10
    board.files.beat()
    told = HeaderReport.last(board.files)
    assert told is not None
    assert (told.device, told.own, told.others) == ("/dev/gpiochip99", (), {})
    assert told.problem == "[Errno 2] No such file or directory: '/dev/gpiochip99'"


def test_only_the_controller_that_runs_is_believed(board: Board) -> None:
    assert HeaderReport.last(board.files) is None
    Reporter(board.files, 99).tell([])
    assert HeaderReport.last(board.files) is None, "it does not run"
    board.files.beat(pid=1)
    assert HeaderReport.last(board.files) is None, "another one runs, and has told nothing yet"
    board.files.beat()
    assert HeaderReport.last(board.files) is not None


@pytest.mark.parametrize(
    "content", ["", "[]", '{"pid": %d}', '{"pid": %d, "at": "x"}', '{"pid": %d, "at": 1, "own": 5}']
)
def test_a_file_that_makes_no_sense_tells_nothing(board: Board, content: str) -> None:
    board.files.beat()
    pid = (board.files.last_beat() or {})["pid"]
    board.files.header.write_text(content.replace("%d", str(pid)))
    assert HeaderReport.last(board.files) is None


def test_what_is_no_chip_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "gpiochip0").touch()
    with pytest.raises(OSError, match="Inappropriate ioctl for device"):
        taken.taken(tmp_path / "gpiochip0")
