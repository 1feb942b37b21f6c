"""script/server's program, with real processes: what it starts, what it starts again, and how everything ends."""

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from pytest_django import Settings

from iotsite import child, supervisor
from ports import watch
from tests.ports.harbour import HarbourSite, harbour_site
from tests.site import ROOT, Site, children_of, command_of, free_port, wait_for

AT_LEISURE = 60
"""Seconds that a loaded machine may take; each of these waits ends after one or two elsewhere."""


@dataclass
class Server:
    """A running supervisor."""

    site: Site
    port: int
    process: subprocess.Popen[bytes]

    @property
    def children(self) -> dict[int, str]:
        return children_of(self.process.pid)

    def child(self, word: str) -> int:
        """The pid of the one child whose command line has ``word``; 0 where there is none."""
        pids = [pid for pid, command in self.children.items() if word in command]
        return pids[0] if len(pids) == 1 else 0

    def signal_child(self, word: str, number: signal.Signals = signal.SIGKILL) -> int:
        pid: int = wait_for(lambda: self.child(word), AT_LEISURE, word)
        os.kill(pid, number)
        return pid

    def kill_child(self, word: str) -> int:
        """Kill it and wait for the next one; the new pid."""
        old = self.signal_child(word)
        return int(wait_for(lambda: self.child(word) not in (0, old) and self.child(word), AT_LEISURE, word))

    def said(self, sentence: str, seconds: float = AT_LEISURE) -> None:
        wait_for(lambda: sentence in self.site.log(), seconds, f"{sentence}\n{self.site.log()}")

    def answers(self) -> bool:
        return supervisor.answers(self.port, "readyz")

    def end(self, number: signal.Signals = signal.SIGINT) -> int:
        """Send a signal; the exit status. Nothing that it started outlives it."""
        children = list(self.children)
        self.process.send_signal(number)
        status = self.process.wait(AT_LEISURE)
        assert not [pid for pid in children if command_of(pid)]
        return status


Start = Callable[..., Server]


@pytest.fixture
def start(site: Site) -> Start:
    """Start it and wait until it says the address."""
    return starter(site)


def starter(site: Site) -> Start:
    def started(*options: str) -> Server:
        port = free_port()
        command = [sys.executable, "-m", "iotsite.supervisor", "--port", str(port), *options]
        server = Server(site, port, site.start(*command))
        last = ("Stop it with Ctrl-C.\n", "/readyz says why.\n")  # after all addresses, or instead of them

        def is_up() -> bool:
            return any(words in site.log() for words in last) or server.process.poll() is not None

        wait_for(is_up, AT_LEISURE, "its last words at the start")
        return server

    return started


def switch_on(site: Site, slug: str) -> None:
    done = site.manage("switch", slug, "on")
    assert done.returncode == 0, done.stdout + done.stderr


def refusal(site: Site, *options: str) -> tuple[int, str]:
    """The exit status and the sentence of one that cannot start."""
    command = [sys.executable, "-m", "iotsite.supervisor", *options]
    done = subprocess.run(command, cwd=ROOT, env=site.env, capture_output=True, text=True, timeout=AT_LEISURE)
    return done.returncode, done.stderr


def test_it_starts_everything_and_ctrl_c_ends_it_in_good_order(site: Site, start: Start) -> None:
    server = start()
    assert f"Open http://127.0.0.1:{server.port}\n" in site.log()
    assert "Password: " in site.log()
    wait_for(server.answers, AT_LEISURE)
    switch_on(site, "porch-lamp")
    assert server.end() == 0
    assert site.levels("GPIO17") == [1, 0, 1]
    assert not [word for word in ("ERROR", "by signal", "does not end", "did not end") if word in site.log()]


def test_sigterm_ends_it_too(start: Start) -> None:
    assert start().end(signal.SIGTERM) == 0


def test_a_killed_child_comes_back_without_an_edge(site: Site, start: Start) -> None:
    server = start()
    switch_on(site, "porch-lamp")
    server.kill_child("iotsite.serve")
    server.said("The web server ended (killed by signal 9): starting it again.\n")
    controller = server.kill_child("run_relays")
    server.said("The controller of Simulated board ended (killed by signal 9): starting it again.\n")
    wait_for(lambda: (site.files().last_beat() or {}).get("pid") == controller, AT_LEISURE)
    wait_for(server.answers, AT_LEISURE)
    assert site.levels("GPIO17") == [1, 0]
    assert server.end() == 0


def test_a_controller_that_dies_five_times_is_given_up_and_its_relays_switched_off(site: Site, start: Start) -> None:
    server = start()
    switch_on(site, "porch-lamp")
    for _ in range(child.DEATHS - 1):
        server.kill_child("run_relays")
    server.signal_child("run_relays")
    server.said("The controller of Simulated board ended 5 times within a minute (killed by signal 9)")
    server.said("failsafe: Porch lamp (GPIO17) is switched off\n")
    assert site.levels("GPIO17") == [1, 0, 1]
    assert site.history("GPIO17")[-1].cause == "failsafe"
    wait_for(lambda: supervisor.answers(server.port, "healthz"), AT_LEISURE)
    assert not supervisor.answers(server.port, "readyz")
    assert server.end() == 1


def test_a_controller_that_cannot_start_is_given_up(site: Site, start: Start) -> None:
    site.manage("add_board", "Broken", "--driver", "simulated")
    with site.database() as connection:
        connection.execute("PRAGMA ignore_check_constraints=1")
        connection.execute("UPDATE relays_board SET driver = 'unheard of'")
    server = start()
    server.said("The controller of Broken ended 5 times within a minute (with status 1): it is not started again.\n")
    server.said("It had not moved any relay.\n")
    wait_for(lambda: supervisor.answers(server.port, "healthz"), AT_LEISURE)
    assert server.end() == 1


def test_a_relay_does_not_stay_on_when_its_controller_was_killed_just_before_the_end(site: Site, start: Start) -> None:
    server = start()
    switch_on(site, "porch-lamp")
    server.signal_child("run_relays")
    assert server.end() == 0
    assert site.levels("GPIO17") == [1, 0, 1]


def test_a_relay_that_holds_at_a_stop_holds_at_one_that_comes_during_the_next_start(site: Site, start: Start) -> None:
    server = start()
    with site.database() as connection:
        connection.execute("UPDATE relays_relay SET on_stop = 'hold' WHERE slug = 'porch-lamp'")
    switch_on(site, "porch-lamp")
    assert server.end() == 0
    again = site.start(*server.process.args)
    wait_for(lambda: [pid for pid in children_of(again.pid) if "run_relays" in command_of(pid)], AT_LEISURE)
    again.terminate()
    assert again.wait(AT_LEISURE) == 0
    assert site.levels("GPIO17") == [1, 0]


def test_boards_come_and_go_while_it_runs(site: Site, start: Start) -> None:
    server = start()
    assert site.manage("add_board", "Second", "--driver", "simulated").returncode == 0
    wait_for(lambda: server.child("--board=Second"), AT_LEISURE)
    wait_for(lambda: site.files(2).is_served, AT_LEISURE)
    with site.database() as connection:
        connection.execute("UPDATE relays_board SET is_enabled = 0 WHERE id = 2")
    wait_for(lambda: len(server.children) == 2, AT_LEISURE)
    assert "Second ended" not in site.log()
    assert server.child("--board=Simulated board")


@pytest.fixture
def harbour(tmp_path_factory: pytest.TempPathFactory, template_database: Path) -> Iterator[HarbourSite]:
    """A site with ports, all off, that a server on this machine tells of."""
    with harbour_site(tmp_path_factory.mktemp("s"), template_database) as made:
        yield made


WATCH = "refresh_ships --watch"


def test_ports_are_kept_fresh_as_soon_as_one_is_on_and_as_long(harbour: HarbourSite, settings: Settings) -> None:
    server = starter(harbour)()
    assert not server.child(WATCH), "an example needs nobody"
    settings.RUN_DIR = harbour.run_dir
    assert watch.is_running(), "it will be, as soon as it is wanted"
    harbour.turn_on("XXAAA")
    wait_for(lambda: server.child(WATCH), AT_LEISURE)
    harbour.wait_refreshes(1)
    harbour.turn_on("XXAAA", on=False)
    wait_for(lambda: len(server.children) == 2, AT_LEISURE)
    assert "ships ended" not in harbour.log()
    harbour.turn_on("XXCCC")
    harbour.wait_refreshes(1, "south")
    assert server.end() == 0
    assert len(harbour.server.asked) == 2
    assert not [word for word in ("ERROR", "Traceback", "does not end") if word in harbour.log()]


def test_what_keeps_ports_fresh_comes_back_and_is_given_up_in_the_end(harbour: HarbourSite, settings: Settings) -> None:
    settings.RUN_DIR = harbour.run_dir
    harbour.turn_on("XXAAA")
    server = starter(harbour)()
    first = server.kill_child(WATCH)
    server.said("The refresh of ships ended (killed by signal 9): starting it again.\n")
    harbour.wait_refreshes(1)
    server.process.send_signal(signal.SIGHUP)
    wait_for(lambda: server.child(WATCH) not in (0, first), AT_LEISURE)
    for _ in range(child.DEATHS - 1):
        server.kill_child(WATCH)
    server.signal_child(WATCH)
    server.said("The refresh of ships ended 5 times within a minute (killed by signal 9): it is not started again.\n")
    wait_for(lambda: not watch.is_running(), AT_LEISURE)
    wait_for(lambda: supervisor.answers(server.port, "healthz"), AT_LEISURE)
    harbour.turn_on("XXAAA", on=False)
    wait_for(watch.is_running, AT_LEISURE, "that it is forgiven, since nobody wants it")
    harbour.turn_on("XXAAA")
    wait_for(lambda: server.child(WATCH), AT_LEISURE, "turned off and on, it is tried again")
    assert server.end() == 1


def test_sighup_brings_everything_back_anew_without_an_edge(site: Site, start: Start) -> None:
    server = start()
    switch_on(site, "porch-lamp")
    web, controller = server.child("iotsite.serve"), server.child("run_relays")
    server.process.send_signal(signal.SIGHUP)
    server.said("Starting anew with what is installed now.\n")
    wait_for(lambda: server.child("iotsite.serve") not in (0, web), AT_LEISURE)
    wait_for(lambda: site.log().count("Open http://") == 2, AT_LEISURE)
    assert server.child("run_relays") == controller, "a controller that starts itself anew keeps its pid"
    assert [event["why"] for event in site.events("porch-lamp") if event["kind"] == "fault"] == []
    assert site.levels("GPIO17") == [1, 0]
    assert "ended (" not in site.log()


def test_nothing_outlives_a_killed_supervisor(site: Site, start: Start) -> None:
    server = start()
    children = server.children
    assert len(children) == 2
    server.process.kill()
    wait_for(lambda: not any(command_of(pid) for pid in children), AT_LEISURE)


def test_a_closed_terminal_ends_everything(site: Site) -> None:
    command = f"exec {sys.executable} -m iotsite.supervisor --port {free_port()}"
    terminal = site.start("script", "--flush", "--quiet", "--command", command, "/dev/null")
    wait_for(lambda: "Open http://" in site.log(), AT_LEISURE)
    supervising = int((site.run_dir / "server.lock").read_text())
    pids = [supervising, *children_of(supervising)]
    assert len(pids) == 3
    terminal.kill()
    wait_for(lambda: not any(command_of(pid) for pid in pids), AT_LEISURE)


def test_a_child_that_does_not_end_is_killed(site: Site, start: Start) -> None:
    server = start()
    server.signal_child("iotsite.serve", signal.SIGSTOP)
    assert server.end() == 0
    assert "The web server does not end: killing it.\n" in site.log()


def test_a_foreign_database_neither_starts_nor_ends_a_controller(site: Site, start: Start) -> None:
    server = start()
    switch_on(site, "porch-lamp")
    foreign, ours = site.folder / "foreign.sqlite3", site.data_dir / "db.sqlite3"
    with site.database() as connection:
        connection.execute("VACUUM INTO ?", (str(foreign),))
    with closing(sqlite3.connect(foreign)) as connection, connection:
        connection.execute("UPDATE relays_board SET is_enabled = 0")
    foreign.replace(ours)
    for log in ours.parent.glob("db.sqlite3-*"):
        log.unlink()
    time.sleep(2.5 * supervisor.LOOK_EVERY)
    assert site.levels("GPIO17") == [1, 0]
    assert len(server.children) == 2


def test_it_says_where_to_open_the_site(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under HTTPS that is where the reverse proxy is: a link to this port would lead to https and to nobody."""
    plain = supervisor.Supervisor("0.0.0.0", 8001, ["192.168.1.20"])
    assert plain._ways_in() == ["http://192.168.1.20:8001"]
    monkeypatch.setattr(supervisor.settings, "HTTPS", True)
    assert plain._ways_in() == [f"https://{socket.gethostname().split('.')[0]}.local"]


def test_a_port_in_use_is_said_before_anything_is_made(site: Site) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        status, said = refusal(site, "--port", str(port))
    assert status == 1
    assert said == f"Port {port} is in use by another program. Choose another one: script/server --port 8000\n"
    assert site.count("accounts_user") == 0


def test_a_second_one_on_the_same_data_is_refused(site: Site, start: Start) -> None:
    server = start()
    status, said = refusal(site, "--port", str(free_port()))
    assert status == 1
    assert said == (
        f"script/server runs already with the data in {site.data_dir} (pid {server.process.pid}): "
        "stop that one first.\n"
    )


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--port", "http"], "argument --port: “http” is not a port: write a number from 1 to 65535, like 8001."),
        (["--port", "0"], "argument --port: “0” is not a port: write a number from 1 to 65535, like 8001."),
        (["--port", "70000"], "argument --port: “70000” is not a port: write a number from 1 to 65535, like 8001."),
        (["--prot", "8001"], "unrecognized arguments: --prot 8001"),
    ],
)
def test_bad_options_are_said(site: Site, options: list[str], sentence: str) -> None:
    status, said = refusal(site, *options)
    assert status == 2
    assert said.endswith(f"script/server: error: {sentence}\n")


def test_a_first_run_that_fails_ends_it(site: Site) -> None:
    (site.data_dir / "db.sqlite3").write_text("What is this?" * 100)
    status, said = refusal(site, "--port", str(free_port()))
    assert status == 1
    assert "cannot be used: file is not a database." in said


def test_it_listens_on_this_machine_only(site: Site, start: Start) -> None:
    server = start()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.2", server.port), timeout=5)


def test_lan_opens_it_to_the_network_and_says_what_that_means(site: Site, start: Start) -> None:
    server = start("--lan")
    assert "Open to the network, without encryption: whoever is in it can read along, passwords too." in site.log()
    socket.create_connection(("127.0.0.2", server.port), timeout=5).close()
    for address in supervisor.own_addresses():
        assert f"Open http://{address}:{server.port}\n" in site.log()
        assert urllib.request.urlopen(f"http://{address}:{server.port}/account/sign-in/", timeout=5).status == 200
