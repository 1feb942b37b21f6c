"""script/install below a root: what it lays where, for whom, and what it leaves alone. Packages are installed once.

That the units do their work, that a running controller is reloaded and that no relay moves is shown by tests/hardware.
"""

import fcntl
import os
import pwd
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

import prerequisites
from machine import Machine, MachineError
from tests.site import Site, add_relays, wait_for
from tests.test_clean_clone import copy_tree, newcomers_env

PACKAGES = ("django", "pycountry", "pip", "pydantic*", "icalendar", "uvicorn", "lucide", "ninja", "gpiozero", "tzdata")
"""What most tests can do without."""
AMONG_OTHERS = pwd.getpwnam("nobody").pw_uid
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root: files of several owners"),
    pytest.mark.skipif(not shutil.which("systemd-sysusers"), reason="systemd is not installed here"),
    pytest.mark.xdist_group("install"),
]


@dataclass
class Place:
    """A clone, and the root that is installed into."""

    clone: Path
    root: Path

    def install(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        command = [self.clone / "script" / "install", "--root", self.root, *arguments]
        umask = 0o077  # sudo may keep such a one
        return subprocess.run(
            command, cwd="/", env=newcomers_env(), umask=umask, capture_output=True, text=True, timeout=600
        )

    def done(self, *arguments: str | Path) -> str:
        """What an install that went well says."""
        done = self.install(*arguments)
        assert done.returncode == 0, done.stderr + done.stdout
        return done.stdout

    def git(self, *arguments: str) -> str:
        who = ["-c", "user.name=Anna", "-c", "user.email=anna@example.org"]
        owner = self.clone.stat().st_uid
        return subprocess.check_output(["git", "-C", self.clone, *who, *arguments], user=owner, text=True).strip()

    def commit(self, file: str, text: str) -> str:
        """A new commit; the name of its release."""
        (self.clone / file).write_text(text)
        self.git("add", ".")
        self.git("commit", "--quiet", "--message", f"Change {file}")
        return self.git("rev-parse", "--short=12", "HEAD")

    @property
    def current(self) -> Path:
        return self.root / "opt/iotsite/current"

    @property
    def releases(self) -> Path:
        return self.root / "opt/iotsite/releases"

    @property
    def data_dir(self) -> Path:
        return self.root / "var/lib/iotsite"

    @property
    def uid(self) -> int:
        """Of the user iotsite there."""
        found = re.search(r"^iotsite:x:(\d+):", (self.root / "etc/passwd").read_text(), re.MULTILINE)
        assert found
        return int(found[1])

    def facts(self) -> dict[str, tuple[object, ...]]:
        """What can be seen of every file from outside, but for when a folder or a lock was last touched."""
        found = {}
        for path in self.root.rglob("*"):
            info = path.lstat()
            when = info.st_mtime_ns if not path.is_dir() and "lock" not in path.name else 0
            where = path.readlink() if path.is_symlink() else ""
            found[str(path)] = (info.st_mode, info.st_uid, info.st_gid, info.st_ino, info.st_size, when, where)
        return found


@pytest.fixture(scope="module")
def first() -> Iterator[tuple[Place, str]]:
    """The first install on a machine, and what it said. Not below a folder of root's alone: iotsite must get in."""
    folder = Path(tempfile.mkdtemp(prefix="iotsite-install-"))
    folder.chmod(0o755)
    place = Place(copy_tree(folder / "clone of iotsite"), folder / "root")
    place.git("init", "--quiet")
    place.commit("note", "first")
    place.root.mkdir()
    yield place, place.done()
    shutil.rmtree(folder)


@pytest.fixture
def fresh(first: tuple[Place, str]) -> Iterator[Place]:
    yield from copied(first[0])


@pytest.fixture(scope="module")
def worn(first: tuple[Place, str]) -> Iterator[Place]:
    yield from copied(first[0])


@pytest.fixture
def place(worn: Place, tmp_path: Path) -> Place:
    """A new clone, and a root into which other tests installed too: what it was like is no matter for who asks."""
    clone = worn.root.with_name(tmp_path.name)
    subprocess.run(["git", "clone", "--quiet", "--no-hardlinks", worn.clone, clone], check=True)
    return Place(clone, worn.root)


def copied(first: Place) -> Iterator[Place]:
    """The first install with few of its packages, which takes less time."""
    folder = Path(tempfile.mkdtemp(prefix="iotsite-install-"))
    folder.chmod(0o755)
    root = folder / "root"
    root.mkdir()
    left_out = [f"--exclude={name}" for name in PACKAGES]
    pack = subprocess.Popen(["tar", "-C", first.root, *left_out, "-c", "."], stdout=subprocess.PIPE)
    subprocess.run(["tar", "-C", root, "--same-owner", "-xp"], stdin=pack.stdout, check=True)
    yield Place(first.clone, root)
    shutil.rmtree(folder)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- what it lays ---------------------------------------------------------------------------------------------------


def test_what_the_site_writes_belongs_to_its_user_alone(first: tuple[Place, str]) -> None:
    place = first[0]
    for folder in (place.data_dir, place.data_dir / "backups", place.root / "run/iotsite"):
        assert (mode(folder), folder.stat().st_uid) == (0o700, place.uid), folder
    assert re.search(r"^iotsite:x:\d+:\d+:.*:/usr/sbin/nologin$", (place.root / "etc/passwd").read_text(), re.MULTILINE)
    assert re.search(r"^gpio:", (place.root / "etc/group").read_text(), re.MULTILINE)


def test_its_settings_are_read_by_its_user_and_written_by_root(first: tuple[Place, str]) -> None:
    place = first[0]
    config = place.root / "etc/iotsite.env"
    assert (mode(config), config.stat().st_uid, config.stat().st_gid) == (0o640, 0, place.uid)
    assert config.read_text().endswith("DATA_DIR=/var/lib/iotsite\nRUN_DIR=/run/iotsite\n")
    assert (place.current / ".env").resolve() == config


def test_a_release_is_whole_compiled_readable_by_all_and_written_by_root(first: tuple[Place, str]) -> None:
    place = first[0]
    commit = place.git("rev-parse", "--short=12", "HEAD")
    assert [release.name for release in place.releases.iterdir()] == [commit]
    assert place.current.readlink() == Path("releases") / commit
    infos = {path: path.stat() for path in place.current.resolve().rglob("*") if not path.is_symlink()}
    assert {info.st_uid for info in infos.values()} == {0}
    assert [path for path, info in infos.items() if info.st_mode & 0o022 or not info.st_mode & 0o004] == []
    assert list((place.current / "relays/__pycache__").glob("plan.*.pyc"))
    assert (place.current / ".venv/bin/python").resolve() == Path("/usr/bin/python3").resolve()


def test_a_release_runs_as_the_user_who_may_not_write_to_it(first: tuple[Place, str]) -> None:
    place = first[0]
    before = place.facts()
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, place.uid, place.uid)
        program = [place.current / ".venv/bin/python", place.current / "manage.py", "first_run", "--without-examples"]
        env = {"DATA_DIR": f"{folder}/data", "RUN_DIR": f"{folder}/run"}
        who = {"user": place.uid, "group": place.uid, "extra_groups": []}
        done = subprocess.run(program, cwd="/", env=env, capture_output=True, text=True, **who)
    assert "Password: " in done.stdout, done.stderr
    assert place.facts() == before


def test_everything_starts_at_boot_and_nothing_was_started(first: tuple[Place, str]) -> None:
    place, said = first
    wanted = place.root / "etc/systemd/system/multi-user.target.wants"
    assert sorted(link.name for link in wanted.iterdir()) == ["iotsite-refresh.service", "iotsite-web.service"]
    assert said.endswith(f"Installed below {place.root}; nothing was started.\n")
    for unit in (place.clone / "deploy/systemd").iterdir():
        laid = place.root / "etc/systemd/system" / unit.name
        assert (laid.read_text(), mode(laid)) == (unit.read_text(), 0o644)


def test_the_command_is_that_of_the_release_in_use_and_needs_root(first: tuple[Place, str]) -> None:
    place = first[0]
    command = place.root / "usr/local/bin/iotsite"
    assert command.readlink() == Path("/opt/iotsite/current/deploy/iotsite")
    program = [place.current / "deploy/iotsite", "doctor", "--json"]
    done = subprocess.run(program, cwd="/", user=AMONG_OTHERS, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "This needs root: sudo iotsite doctor --json\n")


# --- again, and again ---------------------------------------------------------------------------------------------


def test_a_second_run_changes_nothing(place: Place) -> None:
    place.done()
    before = place.facts()
    assert place.done() == f"Installed below {place.root}; nothing was started.\n"
    assert place.facts() == before


def test_what_its_owner_wrote_into_the_settings_is_kept(place: Place) -> None:
    config = place.root / "etc/iotsite.env"
    config.write_text("PORTS_PUBLIC=on\n")
    place.done("--lan")
    place.done("--lan")
    assert config.read_text() == "PORTS_PUBLIC=on\nLISTEN=0.0.0.0:8000\n"
    config.write_text("LISTEN=127.0.0.1:9000\n")
    assert f"{config} says LISTEN=127.0.0.1:9000, which is left as it is.\n" in place.done("--lan")


def test_what_is_not_committed_is_left_out(place: Place) -> None:
    name = place.git("rev-parse", "--short=12", "HEAD")
    (place.clone / "note").write_text("half a thought")
    said = place.done()
    assert said.startswith(f"The clone has changes that are not committed. They are left out: {name} is installed.\n")
    assert (place.current / "note").read_text() == "first"


def test_a_new_commit_takes_the_packages_over_without_a_network(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    place.done()
    old = place.current.resolve()
    new = place.commit("note", "packages stay")
    assert "The packages are those of the release in use.\n" in place.done()
    assert place.current.readlink() == Path("releases") / new
    assert ((place.current / "note").read_text(), (old / "note").read_text()) == ("packages stay", "first")
    asked = [place.current / ".venv/bin/python", "-c", "import environ; print(environ.__file__)"]
    assert subprocess.check_output(asked, text=True).startswith(str(place.root))


@pytest.mark.parametrize("moment", ["note", ".venv/made-for"])
def test_one_that_was_killed_leaves_the_release_in_use_and_is_finished_by_the_next(place: Place, moment: str) -> None:
    old = place.current.readlink()
    new = place.commit("note", f"killed at {moment}")
    command = [place.clone / "script" / "install", "--root", place.root]
    killed = subprocess.Popen(command, env=newcomers_env(), stdout=subprocess.DEVNULL, start_new_session=True)
    wait_for(lambda: list(place.releases.glob(f".{new}-*/{moment}")), 60)
    os.killpg(killed.pid, signal.SIGKILL)
    killed.wait()
    assert not (place.releases / new).exists()
    assert place.current.readlink() == old
    place.done()
    assert place.current.readlink() == Path("releases") / new
    assert not list(place.releases.glob(".*"))


def test_what_a_killed_one_left_at_work_does_not_disturb_the_next(place: Place) -> None:
    draft = place.releases / f".{place.commit('note', 'beside a tar')}-1"
    writes = 'n=0; while mkdir -p "$0/files"; do n=$((n + 1)); : >"$0/files/$n"; done'
    with subprocess.Popen(["sh", "-c", writes, draft], start_new_session=True) as at_work:
        try:
            wait_for((draft / "files/100").exists)
            place.done()
        finally:
            os.killpg(at_work.pid, signal.SIGKILL)
    assert (place.current / "note").read_text() == "beside a tar"
    place.done()
    assert not list(place.releases.glob(".*"))


def test_two_at_once_exclude_each_other(place: Place) -> None:
    with (place.root / "run/lock/iotsite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        done = place.install()
    assert done.stderr == "Another script/install or script/update is at work: let it end first.\n"


# --- whose clone it is --------------------------------------------------------------------------------------------


def test_the_clone_stays_its_owners(place: Place) -> None:
    """git refuses root in it, and what root laid there its owner could not remove."""
    place.commit("note", "owned")
    for path in (place.clone, *place.clone.rglob("*")):
        os.chown(path, AMONG_OTHERS, -1, follow_symlinks=False)
    place.done()
    assert {path.lstat().st_uid for path in place.clone.rglob("*")} == {AMONG_OTHERS}
    assert ((place.current / "note").read_text(), (place.current / "note").stat().st_uid) == ("owned", 0)


def test_without_git_there_is_a_sentence(place: Place) -> None:
    shutil.rmtree(place.clone / ".git")
    assert place.install().stderr == f"{place.clone} is no clone: git clone makes one, and an update needs it.\n"


# --- what the machine lacks ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ("3.11 ensurepip lgpio", "Something is missing here. This mends it:\n    sudo apt install python3-venv"),
        (
            "3.9",
            "{} is Python 3.9, and the services can use no other: the site needs 3.11, 3.12 or 3.13, as Debian 12 and "
            "13 have.",
        ),
    ],
)
def test_a_python_that_does_not_do_is_said_before_anything_is_changed(tmp_path: Path, told: str, said: str) -> None:
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\necho {told}\n")
    python.chmod(0o755)
    with pytest.raises(MachineError) as caught:
        prerequisites.check(Machine(tmp_path), str(python))
    assert str(caught.value) == said.format(python)


def test_a_machine_without_the_systems_python_is_told_how_to_get_it(tmp_path: Path) -> None:
    python = tmp_path / "python3"
    with pytest.raises(MachineError) as caught:
        prerequisites.check(Machine(tmp_path), str(python))
    assert str(caught.value) == f"There is no {python} here. This mends it:\n    sudo apt install python3 python3-venv"


# --- a try-out's data ---------------------------------------------------------------------------------------------


def test_a_try_outs_data_are_taken_along_once_nobody_uses_them(fresh: Place, site: Site) -> None:
    add_relays(site, "Lamp", "Pump")
    (site.data_dir / "secret_key").write_text("k" * 60)
    controller = site.start_controller()
    assert site.manage("switch", "Lamp", "on").returncode == 0
    refused = fresh.install("--from", site.data_dir)
    assert (refused.returncode, refused.stderr) == (
        1,
        f"The data in {site.data_dir} are in use (pid {controller.pid}): end script/server there first, with Ctrl-C.\n",
    )
    controller.kill()  # and so the last of it lies in the write-ahead log
    controller.wait()
    before = site.relay("lamp")
    assert f"The data in {site.data_dir} are taken along." in fresh.done("--from", site.data_dir)

    database = fresh.data_dir / "db.sqlite3"
    with closing(sqlite3.connect(database)) as connection:
        connection.row_factory = sqlite3.Row
        row = connection.execute("SELECT * FROM relays_relay WHERE slug = 'lamp'").fetchone()
    assert dict(row) == before == site.relay("lamp")
    assert (fresh.data_dir / "secret_key").read_text() == "k" * 60
    for file in (database, fresh.data_dir / "secret_key"):
        assert (mode(file), file.stat().st_uid, file.stat().st_gid) == (0o600, fresh.uid, fresh.uid), file
    wanted = fresh.root / "etc/systemd/system/multi-user.target.wants"
    assert (wanted / "iotsite-controller@1.service").is_symlink()

    again = fresh.install("--from", site.data_dir)
    assert again.stderr == (
        f"{fresh.data_dir} holds data already, and nothing is written over. Leave out --from to go on with those.\n"
    )


def test_what_is_no_data_of_a_try_out_is_refused(place: Place, tmp_path: Path) -> None:
    before = place.facts()
    assert place.install("--from", tmp_path).stderr == (
        f"{tmp_path} holds no data of iotsite: there is no db.sqlite3 in it.\n"
    )
    (tmp_path / "db.sqlite3").write_text("a letter" * 1000)
    done = place.install("--from", tmp_path)
    assert (done.returncode, done.stderr) == (
        1,
        f"The database in {tmp_path} cannot be copied: file is not a database. Nothing was taken along.\n",
    )
    assert place.facts() == before


# --- off again ----------------------------------------------------------------------------------------------------


def test_uninstalled_it_keeps_what_was_written_and_purged_nothing(fresh: Place) -> None:
    (fresh.data_dir / "secret_key").write_text("k" * 60)
    (fresh.root / "etc/systemd/system/ssh.service").write_text("[Unit]\n")
    said = fresh.done("--uninstall")
    assert said.startswith("Stopping. What that does to a relay is what its on_stop says: switched off, or left as ")
    assert said.endswith(
        f"What the site wrote is still in {fresh.data_dir}, its settings in {fresh.root}/etc/iotsite.env.\n"
    )
    left = {str(path.relative_to(fresh.root)) for path in fresh.root.rglob("*iotsite*")}
    assert left == {"etc/iotsite.env", "var/lib/iotsite", "run/lock/iotsite.lock"}
    assert (fresh.data_dir / "secret_key").exists()
    assert (fresh.root / "etc/systemd/system/ssh.service").exists()

    fresh.done("--uninstall", "--purge")
    assert [path.name for path in fresh.root.rglob("*iotsite*")] == ["iotsite.lock"]
    assert "iotsite" not in (fresh.root / "etc/passwd").read_text()


def test_purge_alone_is_no_order(place: Place) -> None:
    before = place.facts()
    done = place.install("--purge")
    assert done.returncode == 2
    assert "--purge goes with --uninstall only." in done.stderr
    assert place.facts() == before
