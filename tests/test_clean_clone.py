"""What a newcomer does, with nothing taken for granted: script/server in a fresh copy of this tree."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from iotsite import places, settings
from tests.site import ROOT, Site, children_of, free_port, wait_for

INSTALL_WITHIN = 600
AT_LEISURE = 60


def copy_tree(folder: Path) -> Path:
    """The files that a clone would have, and those that are not committed yet."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    for name in filter(None, listed.stdout.decode().split("\0")):
        if (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    return folder


def newcomers_env() -> dict[str, str]:
    ours = {*settings.env.scheme, "PYTHON", "VIRTUAL_ENV", "DJANGO_SETTINGS_MODULE"}
    return {name: value for name, value in os.environ.items() if name not in ours and not name.startswith("PYTEST")}


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Site]:
    folder = copy_tree(tmp_path / "clone of iotsite")  # a blank in a path is nothing special
    made = Site(folder, places.default_run_dir(folder / "data"))
    yield made
    made.end()


class Started:
    """script/server as a terminal runs it: a process group of its own, what it prints in a file."""

    def __init__(self, clone: Site) -> None:
        self.clone = clone
        self.port = free_port()
        self.address = f"http://127.0.0.1:{self.port}"
        self.printed = clone.folder.parent / f"printed-{self.port}"
        began = time.monotonic()
        with self.printed.open("wb") as file:
            self.process = subprocess.Popen(
                [clone.folder / "script" / "server", "--port", str(self.port)],
                cwd="/",
                env=newcomers_env(),
                stdout=file,
                stderr=file,
                start_new_session=True,
            )
        clone.processes.append(self.process)
        self.says(f"Open {self.address}\n", INSTALL_WITHIN)
        self.seconds = time.monotonic() - began

    @property
    def text(self) -> str:
        return self.printed.read_text()

    def says(self, sentence: str, seconds: float = AT_LEISURE) -> None:
        def is_said() -> bool:
            assert sentence in self.text or self.process.poll() is None, self.text
            return sentence in self.text

        wait_for(is_said, seconds, sentence)

    def child(self, word: str) -> int:
        """The pid of its child with this word in its command line, or 0."""
        return next((pid for pid, command in children_of(self.process.pid).items() if word in command), 0)

    def kill_child(self, word: str) -> None:
        old = self.child(word)
        os.kill(old, signal.SIGKILL)
        wait_for(lambda: self.child(word) not in (0, old), AT_LEISURE, word)
        if word == "run_relays":
            wait_for(lambda: self.child(word) == (self.clone.files().last_beat() or {}).get("pid"), AT_LEISURE)
        wait_for(lambda: self.status("readyz") == 200, AT_LEISURE, f"{self.address}/readyz")

    def status(self, page: str) -> int:
        try:
            return requests.get(f"{self.address}/{page}", timeout=5).status_code
        except requests.RequestException:
            return 0

    def sign_in(self) -> requests.Session:
        """A browser that signed in with what was printed."""
        said = re.search(r"^User: (\S+)\nPassword: (\S+)$", self.text, re.MULTILINE)
        assert said, self.text
        browser = requests.Session()
        form = browser.get(f"{self.address}/", timeout=20)
        assert form.url.startswith(f"{self.address}/account/sign-in/")
        fields = {"username": said[1], "password": said[2], "csrfmiddlewaretoken": token(form), "next": "/"}
        home = browser.post(form.url, data=fields, timeout=20)
        assert home.url == f"{self.address}/"
        return browser

    def ctrl_c(self) -> int:
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(AT_LEISURE)


def token(page: requests.Response) -> str:
    found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', page.text)
    assert found, page.text
    return found[1]


def state(page: requests.Response, slug: str) -> str:
    """What a page says of a relay: On, Off or Not known."""
    found = re.search(rf'href="/relays/{slug}/".*?<span class="(?:on|off|unknown)">([^<]+)<', page.text, re.DOTALL)
    assert found, page.text
    return found[1].strip()


def left_running(folder: Path) -> list[str]:
    """The command lines of processes that run in or from a folder."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_text()
            if str(folder) in command or (process / "cwd").readlink().is_relative_to(folder):
                found.append(command.replace("\0", " "))
        except OSError:
            continue
    return found


@pytest.mark.slow
def test_a_newcomer_starts_switches_stops_and_starts_again(clone: Site, capsys: pytest.CaptureFixture[str]) -> None:
    (clone.folder / ".venv" / "bin").mkdir(parents=True)  # what a start that was interrupted left
    first = Started(clone)
    browser = first.sign_in()
    home = browser.get(f"{first.address}/", timeout=20)
    assert state(home, "porch-lamp") == "Off"
    switched = {"on": "on", "csrfmiddlewaretoken": token(home)}
    browser.post(f"{first.address}/relays/porch-lamp/switch", data=switched, timeout=20)
    wait_for(lambda: state(browser.get(f"{first.address}/", timeout=20), "porch-lamp") == "On", AT_LEISURE)
    assert clone.levels("GPIO17") == [1, 0], "active-low: off, then on"

    first.kill_child("iotsite.serve")
    first.says("The web server ended (killed by signal 9): starting it again.\n")
    first.kill_child("run_relays")
    first.says("The controller of Simulated board ended (killed by signal 9): starting it again.\n")
    wait_for(lambda: state(browser.get(f"{first.address}/", timeout=20), "porch-lamp") == "On", AT_LEISURE)
    assert clone.levels("GPIO17") == [1, 0]

    assert first.ctrl_c() == 0
    assert left_running(clone.folder) == []
    assert clone.levels("GPIO17") == [1, 0, 1], "an orderly stop switches off what was not told to hold"

    second = Started(clone)
    assert "Installing" in first.text
    assert "Installing" not in second.text
    assert "Password" not in second.text
    assert second.ctrl_c() == 0
    assert left_running(clone.folder) == []
    with capsys.disabled():
        print(f"\nscript/server: first start {first.seconds:.1f} s, second start {second.seconds:.1f} s")


def pretend_python(folder: Path, described: str, missing: str) -> str:
    """A Python that says of itself ``described`` and lacks a module."""
    program = folder / "python"
    program.write_text(f'#!/bin/sh\ncase "$*" in -) echo "{described}" ;; *{missing}*) exit 1 ;; esac\n')
    program.chmod(0o755)
    return str(program)


@pytest.mark.parametrize(
    ("described", "missing", "said"),
    [
        (
            "x86_64 Python 3.12",
            "ensurepip",
            "Python's venv is missing here. This mends it:\n    sudo apt install python3-venv\n",
        ),
        (
            "aarch64 Python 3.13 lgpio of the system",
            "lgpio",
            "Python's lgpio is missing here. This mends it:\n    sudo apt install python3-lgpio\n",
        ),
    ],
)
def test_a_part_that_the_system_lacks_is_named_with_the_line_that_mends_it(
    tmp_path: Path, described: str, missing: str, said: str
) -> None:
    copy = copy_tree(tmp_path / "copy")
    done = start_once(copy, pretend_python(tmp_path, described, missing))
    assert (done.returncode, done.stderr) == (1, said)
    assert not (copy / ".venv").exists()


def test_a_python_that_does_not_do_is_said(tmp_path: Path) -> None:
    done = start_once(copy_tree(tmp_path / "copy"), "/bin/false")
    assert (done.returncode, done.stderr) == (1, "PYTHON=/bin/false is not a Python 3.11, 3.12 or 3.13.\n")


def start_once(copy: Path, python: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [copy / "script" / "server"],
        env=newcomers_env() | {"PYTHON": python},
        capture_output=True,
        text=True,
        timeout=60,
    )
