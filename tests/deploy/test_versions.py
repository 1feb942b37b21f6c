"""Which release is the newest, whether that is news, and what is new in it."""

import subprocess
from pathlib import Path

import pytest

import versions
from machine import Machine, MachineError
from release import Clone
from tests.deploy.installed import GIT
from tests.site import ROOT
from update import Update

OLD = "# Changes\n\n## 0.9.0\n\n- Lamps.\n"
NEW = OLD.replace("## 0.9.0", "## 0.10.0\n\n- Pumps.\n\n## 0.9.0")


def git(folder: Path, *arguments: str) -> None:
    subprocess.run([*GIT, *arguments], cwd=folder, check=True)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    """Two releases, one that is not for everybody yet, and a tag that is none."""
    folder = tmp_path / "clone"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    for tag in ("v0.9.0", "v0.10.0", "v0.11.0-rc1", "vase"):
        git(folder, "commit", "--quiet", "--allow-empty", "--message", f"Make {tag}")
        git(folder, "tag", tag)
    return Clone(folder)


def installed(place: Path, clone: Clone, ref: str, version: str, changelog: str = OLD) -> Path:
    release = place / clone.commit(ref)
    (release / "iotsite").mkdir(parents=True)
    (release / "iotsite/__init__.py").write_text(f'"""It."""\n\n__version__ = "{version}"\n')
    (release / "CHANGELOG.md").write_text(changelog)
    return release


def test_the_newest_release_is_that_of_the_highest_number(clone: Clone) -> None:
    assert versions.newest(clone) == "v0.10.0"


@pytest.mark.parametrize(
    ("ref", "version", "is_newer"),
    [
        ("v0.9.0", "0.9.0", True),
        ("v0.10.0", "0.10.0", False),
        ("v0.11.0-rc1", "0.10.0", False),  # a commit after it has it already
        ("v0.9.0", "0.10.0", True),  # one on the way to it
        ("v0.9.0", "0.11.0", False),  # another branch, that is farther
    ],
)
def test_a_release_is_news_where_what_is_installed_lacks_it(
    tmp_path: Path, clone: Clone, ref: str, version: str, is_newer: bool
) -> None:
    assert versions.is_newer(clone, "v0.10.0", installed(tmp_path, clone, ref, version)) is is_newer


def test_what_another_clone_installed_is_told_by_its_version(tmp_path: Path, clone: Clone) -> None:
    stranger = installed(tmp_path, clone, "v0.10.0", "0.9.0").rename(tmp_path / "0123456789ab")
    assert versions.is_newer(clone, "v0.10.0", stranger)


def test_what_is_new_stands_in_the_changelog(tmp_path: Path, clone: Clone) -> None:
    old, new = installed(tmp_path, clone, "v0.9.0", "0.9.0"), installed(tmp_path, clone, "v0.10.0", "0.10.0", NEW)
    assert versions.news(clone, old, new) == "## 0.10.0\n\n- Pumps."


def test_without_a_chapter_the_commits_are_what_is_new(tmp_path: Path, clone: Clone) -> None:
    old, new = installed(tmp_path, clone, "v0.9.0", "0.9.0"), installed(tmp_path, clone, "v0.10.0", "0.9.0")
    assert versions.news(clone, old, new) == "- Make v0.10.0"


def test_a_disk_that_is_too_full_is_said_before_anything_is_made(tmp_path: Path, clone: Clone) -> None:
    machine = Machine(tmp_path)
    machine.releases.mkdir(parents=True)
    machine.data_dir.mkdir(parents=True)
    with (machine.data_dir / "db.sqlite3").open("wb") as database:
        database.truncate(10**12)
    with pytest.raises(MachineError, match=r"MB free, and an update needs 5000210 MB\.$"):
        Update(machine, clone).check_room()


def test_script_update_says_that_nothing_is_installed() -> None:
    if Path("/opt/iotsite/current").exists():
        pytest.skip("iotsite is installed on this machine")
    done = subprocess.run([ROOT / "script/update"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "iotsite is not installed here: run sudo script/install first.\n")
