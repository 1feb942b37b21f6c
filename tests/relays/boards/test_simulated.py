import json
from functools import partial
from pathlib import Path

import pytest

from relays.boards import BoardError, open_board, simulated
from relays.boards.simulated import Simulated, append, history
from relays.runfiles import BoardFiles


@pytest.fixture
def files(tmp_path: Path) -> BoardFiles:
    return BoardFiles(tmp_path, 1)


@pytest.fixture
def board(files: BoardFiles) -> Simulated:
    made = open_board("simulated", files)
    assert isinstance(made, Simulated)
    return made


def rows(files: BoardFiles) -> list[tuple[str, int, str]]:
    return [(row.line, row.level, row.cause) for row in history(files.lines)]


@pytest.mark.parametrize("active_low", [True, False])
def test_levels_follow_polarity(board: Simulated, files: BoardFiles, active_low: bool) -> None:
    off, on = (1, 0) if active_low else (0, 1)
    board.claim("GPIO17", False, active_low=active_low)
    assert not board.read("GPIO17")
    board.write("GPIO17", True)
    assert board.read("GPIO17")
    board.release("GPIO17", hold=False)
    assert [level for _, level, _ in rows(files)] == [off, on, off, off]


def test_a_line_let_go_with_hold_stays_as_it_is(board: Simulated, files: BoardFiles) -> None:
    board.claim("GPIO17", True, active_low=True)
    board.release("GPIO17", hold=True)
    assert rows(files) == [("GPIO17", 0, "claim"), ("GPIO17", 0, "release")]


def test_lines_outlive_their_holder(board: Simulated, files: BoardFiles) -> None:
    board.claim("GPIO17", True, active_low=True)
    successor = Simulated(files)
    successor.claim("GPIO17", True, active_low=True)
    assert [level for _, level, _ in rows(files)] == [0, 0]


def test_what_others_do_to_a_line_is_seen(board: Simulated, files: BoardFiles) -> None:
    board.claim("GPIO17", False, active_low=True)
    append(files.lines, "GPIO17", 0, "somebody")
    assert board.read("GPIO17")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ("busy", "GPIO17 is in use by another program (simulated): stop it or choose another line."),
        ("failing", "GPIO17 cannot be written (simulated): check the board."),
    ],
)
def test_faults_are_sentences(board: Simulated, files: BoardFiles, fault: str, sentence: str) -> None:
    if fault != "busy":
        board.claim("GPIO17", False, active_low=True)
    files.faults.write_text(json.dumps({"GPIO17": fault}))
    ask = partial(board.claim, active_low=True) if fault == "busy" else board.write
    with pytest.raises(BoardError) as refused:
        ask("GPIO17", True)
    assert str(refused.value) == sentence


def test_a_stuck_line_does_not_move_and_says_so(board: Simulated, files: BoardFiles) -> None:
    board.claim("GPIO17", False, active_low=True)
    files.faults.write_text('{"GPIO17": "stuck"}')
    board.write("GPIO17", True)
    assert not board.read("GPIO17")


def test_a_long_history_is_shortened_and_no_line_forgotten(files: BoardFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(simulated, "LONGEST", 100)
    append(files.lines, "GPIO5", 1, "claim")
    for number in range(120):
        append(files.lines, "GPIO17", number % 2, "write")
    Simulated(files)
    kept = rows(files)
    assert len(kept) == 51
    assert kept[0] == ("GPIO5", 1, "claim")
    assert kept[-1] == ("GPIO17", 1, "write")
