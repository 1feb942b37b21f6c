"""What is told of a refresh while it runs."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from pytest_django import Settings

from ports import progress
from ports.progress import Now


@pytest.fixture(autouse=True)
def run_dir(settings: Settings, tmp_path: Path) -> Path:
    settings.RUN_DIR = tmp_path
    return tmp_path


def stages() -> dict[int, str]:
    return {number: str(now) for number, now in progress.running().items()}


def test_it_is_told_from_the_first_moment_to_the_last() -> None:
    assert stages() == {}
    with progress.telling(7):
        assert stages() == {7: "starting"}
        progress.tell("fetching")
        assert stages() == {7: "fetching"}
        progress.tell("writing", 0, 900)
        assert stages() == {7: "writing 0 of 900"}
    assert stages() == {}


def test_it_ends_with_a_failure_too(run_dir: Path) -> None:
    with pytest.raises(SystemExit), progress.telling(7):
        raise SystemExit
    assert list(run_dir.iterdir()) == []


def test_two_feeds_are_told_apart() -> None:
    with progress.telling(7), progress.telling(8):
        progress.tell("reading")
        assert stages() == {7: "starting", 8: "reading"}


def test_who_listens_hears_every_step_while_the_file_is_spared(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "TELL_EVERY", 3600)
    heard: list[Now] = []
    with progress.telling(7, heard.append):
        for done in range(100):
            progress.tell("writing", done, 100)
        assert stages() == {7: "writing 0 of 100"}
    assert [now.done for now in heard] == list(range(100))


def test_what_another_process_tells_is_left_alone(run_dir: Path) -> None:
    file = run_dir / "feed-7.now"
    with progress.telling(7):
        told = json.loads(file.read_text())
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = json.dumps(told | {"pid": other.pid, "born": progress._born(other.pid), "stage": "reading"})
        file.write_text(theirs)
        with progress.telling(7):
            progress.tell("fetching")
            assert stages() == {7: "reading"}
        assert file.read_text() == theirs
        other.communicate(b"\n")
    with progress.telling(7):
        assert stages() == {7: "starting"}, "it is dead now"


def test_nothing_is_told_where_nobody_asked(run_dir: Path) -> None:
    progress.tell("fetching")
    assert list(run_dir.iterdir()) == []


def test_what_a_killed_process_left_is_not_told(run_dir: Path) -> None:
    """Not even when its number was given to another process: here, ours."""
    file = run_dir / "feed-7.now"
    with progress.telling(7):
        left = json.loads(file.read_text())
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    for born in (left["born"], ""):
        file.write_text(json.dumps(left | {"pid": gone.pid, "born": born}))
        assert stages() == {}
    file.write_text(json.dumps(left | {"pid": os.getpid(), "born": "1"}))
    assert stages() == {}
    file.write_text(json.dumps(left))
    assert stages() == {7: "starting"}


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"pid": "x"}'])
def test_a_file_that_is_none_of_ours_is_passed_over(run_dir: Path, text: str) -> None:
    (run_dir / "feed-7.now").write_text(text)
    assert stages() == {}


def test_a_refresh_goes_on_without_its_run_dir(settings: Settings, run_dir: Path) -> None:
    settings.RUN_DIR = run_dir / "swept away"
    with progress.telling(7):
        progress.tell("fetching")
    assert stages() == {}
