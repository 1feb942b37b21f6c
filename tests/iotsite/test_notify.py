"""What systemd is told: that a service is ready, and that it still lives."""

import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_django import Settings

from iotsite import notify
from ports.fetch import Limits, fetch
from ports.progress import Now, telling
from tests.ports.harbour import HarbourSite, harbour_site
from tests.ports.servers import serving, silence
from tests.site import Site, free_port, wait_for

READY, ALIVE = b"READY=1", b"WATCHDOG=1"


@pytest.fixture
def supervisor(monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """An ear as systemd has one, known by NOTIFY_SOCKET."""
    with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(str(Path(folder) / "notify"))
        ear.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", str(ear.getsockname()))
        yield ear


def test_it_is_heard(supervisor: socket.socket) -> None:
    notify.notify("READY=1")
    assert supervisor.recv(64) == READY


def test_a_supervisor_without_a_file_is_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(f"\0iotsite-{os.getpid()}")
        ear.settimeout(60)
        monkeypatch.setenv("NOTIFY_SOCKET", f"@iotsite-{os.getpid()}")
        notify.notify("READY=1")
        assert ear.recv(64) == READY


def test_without_a_supervisor_it_is_silence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify.notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    notify.notify("READY=1")


def test_a_supervisor_that_does_not_listen_holds_nobody_up(
    supervisor: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notify, "PATIENCE", 0.001)
    for _ in range(600):  # its box holds fewer; with endless patience this would never end
        notify.notify("WATCHDOG=1")
    assert supervisor.recv(64) == ALIVE


def hear(ear: socket.socket, until: bytes) -> list[bytes]:
    """All that is said, up to the first ``until``."""
    heard = [ear.recv(64)]
    while heard[-1] != until:
        heard.append(ear.recv(64))
    return heard


def fall_silent(ear: socket.socket, seconds: float = 3) -> set[bytes]:
    """Wait until nothing was said for so long; what was said before."""
    heard = set()
    ear.settimeout(seconds)
    with contextlib.suppress(TimeoutError):
        while True:
            heard.add(ear.recv(64))
    return heard


HANGING = """
import time
from iotsite import serve
serve.PatientProtocol.connection_made = lambda *of: time.sleep(600)
serve.main()
"""


def test_a_web_server_says_that_it_listens_and_lives_until_its_loop_hangs(
    supervisor: socket.socket, site: Site
) -> None:
    port = free_port()
    site.start(sys.executable, "-c", HANGING, "--port", str(port))
    assert hear(supervisor, READY) == [READY]
    socket.create_connection(("127.0.0.1", port)).close()  # the first to come makes it hang
    assert fall_silent(supervisor) == {ALIVE}


def test_a_web_server_without_a_port_is_never_ready(supervisor: socket.socket, site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = site.start(sys.executable, "-m", "iotsite.serve", "--port", str(taken.getsockname()[1]))
        assert process.wait(60) != 0
    assert fall_silent(supervisor, 0.1) == set()


@pytest.fixture
def harbour(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[HarbourSite]:
    with harbour_site(tmp_path_factory.mktemp("s"), template_database) as made:
        yield made


def test_a_watch_lives_while_it_gets_on_and_not_while_it_waits_for_a_file(
    supervisor: socket.socket, harbour: HarbourSite
) -> None:
    harbour.server.tell("/north.told", silence(60))
    harbour.turn_on("XXAAA")
    harbour.start_watch()
    assert hear(supervisor, READY) == [READY]
    wait_for(lambda: harbour.server.asked, 60)
    assert fall_silent(supervisor) == {ALIVE}
    assert len(harbour.server.asked) == 1, "it waits"


def test_every_file_that_is_asked_for_is_a_sign_of_life(settings: Settings, tmp_path: Path) -> None:
    settings.RUN_DIR = tmp_path
    heard: list[Now] = []
    with serving() as server, telling(7, heard.append):
        fetch([server.address(f"{number}.xml") for number in range(3)], {}, Limits(tries=1))
    assert [now.stage for now in heard] == ["fetching"] * 3
