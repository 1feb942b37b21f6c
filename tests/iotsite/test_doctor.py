"""A machine with each thing broken in turn: the exact sentence and what to type, and that all else stays right."""

import os
import stat
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from io import StringIO
from pathlib import Path

import pytest
from django.conf import settings as site
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings

from accounts.models import User
from iotsite import database
from iotsite.doctor import examination
from iotsite.doctor.findings import Finding, State, untold, wrong
from iotsite.doctor.machine import Machine, clock_error
from ports.models import Feed, Port, Refresh
from relays import clock
from relays.doctor import closed_chip
from relays.models import Relay
from tests.iotsite.doctored import CONTROLLER, Doctored, full, healthy, web

pytestmark = pytest.mark.django_db

HUP = f"kill -HUP {CONTROLLER}"


@pytest.fixture
def pi(tmp_path: Path, settings: Settings) -> Iterator[Doctored]:
    """A machine on which all is right."""
    settings.DATA_DIR, settings.RUN_DIR = tmp_path / "data", tmp_path / "run"
    for folder in (settings.DATA_DIR, settings.RUN_DIR):
        folder.mkdir(mode=0o700)
    (settings.DATA_DIR / "secret_key").write_text("k")
    with web({"status": "alive"}) as port:
        settings.LISTEN = ("127.0.0.1", port)
        yield healthy(tmp_path)


def test_of_a_healthy_machine_everything_is_right(pi: Doctored) -> None:
    assert pi.bad() == []
    said = {finding.about: finding.says for finding in pi.found()}
    assert said["DATA_DIR"] == f"{site.DATA_DIR}, for {pi.machine.user} alone."
    assert said["RUN_DIR"] == f"{site.RUN_DIR}, in memory, for {pi.machine.user} alone."
    assert said["Backup"] == "None yet, which a site in its first week may do without."
    assert said["Clock"] == "It is set by the network."
    assert said["Controller of Pi"] == "It runs (pid 812, version 0.1.0)."
    assert said["Faults"] == "None: 2 relays do what the controller asks."
    assert said["GPIO chip"] == "/dev/gpiochip0, which the controller of Pi may open."
    assert said["GPIO lines"] == "Held by its controller: GPIO5 (Lamp), GPIO12 (Fan). It was seen 2m ago."
    assert said["Kernel"] == "This kernel keeps outputs at their level when the program that drove them ends."
    assert said["While it boots"] == "/boot/firmware/config.txt keeps GPIO5 (Lamp), GPIO12 (Fan) off."
    assert said["Refreshes"] == "No port is on: nobody is asked for anything."
    assert said["HTTPS"] == "It is off, and the site is open to this machine alone."
    assert examination.examine(pi.machine).summary == "Nothing is wrong."


# --- what the site is made of -----------------------------------------------------------------------------------


def test_another_python(pi: Doctored) -> None:
    pi.machine.python = (3, 9, 2)
    command = "sudo apt install python3 python3-venv\nscript/server"
    assert pi.bad() == [wrong("Python", "This is Python 3.9.2; it takes 3.11, 3.12 or 3.13.", command)]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ("Django==4.2.1", "Django {} is installed and 4.2.1 is wanted."),
        ("nothing-of-the-kind==1.0", "nothing-of-the-kind 1.0 is missing."),
    ],
)
def test_a_package_of_another_version_or_none(pi: Doctored, row: str, says: str) -> None:
    from django import __version__

    pi.machine.code = pi.lay("/code/requirements.txt", f'# A comment\n{row}\nlgpio==9; python_version < "3.0"\n').parent
    assert pi.bad() == [wrong("Packages", says.format(__version__), "script/server")]


def test_a_connection_that_checkpoints_by_itself(pi: Doctored) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA wal_autocheckpoint=1000")
    [finding] = pi.bad()
    assert (finding.about, finding.command) == ("SQLite", "script/server")
    assert finding.says.endswith(
        ", which may damage the database: before 3.51.3, checkpoints must be left to one process."
    )


# --- where it keeps what it writes ------------------------------------------------------------------------------


def test_a_folder_that_is_open_to_others(pi: Doctored) -> None:
    site.DATA_DIR.chmod(0o755)
    says = f"{site.DATA_DIR} is open to others (mode 755)."
    assert pi.bad() == [wrong("DATA_DIR", says, f"sudo chmod 700 {site.DATA_DIR}")]


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_file_that_belongs_to_somebody_else(pi: Doctored) -> None:
    os.chown(site.DATA_DIR / "secret_key", 12345, -1)
    says = f"In {site.DATA_DIR}, secret_key do not belong to root, who has to write to them."
    assert pi.bad() == [wrong("DATA_DIR", says, f"sudo chown -R root: {site.DATA_DIR}")]


def test_a_file_system_that_became_read_only(pi: Doctored) -> None:
    pi.machine.file_system = partial(full, free=2**33, flag=os.ST_RDONLY)
    says = f"{site.DATA_DIR} cannot be written: its file system is read-only, as one becomes when a card fails."
    assert pi.bad() == [wrong("DATA_DIR", says, "sudo dmesg --level=err,warn | tail -n 20")]


def test_heartbeats_on_a_disk(pi: Doctored) -> None:
    pi.lay("proc/self/mountinfo", "30 1 0:1 / / rw - ext4 /dev/sda rw\n")
    says = f"{site.RUN_DIR} lies on a disk (ext4): a heartbeat each second wears out an SD card."
    assert pi.bad() == [wrong("RUN_DIR", says, "sed -i '/^RUN_DIR=/d' .env\nscript/server")]


def test_a_full_disk(pi: Doctored) -> None:
    pi.machine.file_system = partial(full, free=100 * 2**20)
    says = "100.0 MB of 32.0 GB are free; the site, with room for a backup, wants 200.0 MB."
    command = f"sudo apt clean\nsudo journalctl --vacuum-size=50M\nsudo du -xsh {site.DATA_DIR}/*"
    assert pi.bad() == [wrong("Disk space", says, command)]


def test_a_log_that_nothing_empties(pi: Doctored) -> None:
    with database.log_path().open("wb") as file:
        os.truncate(file.fileno(), 17 * 2**20)
    says = "The database's log has grown to 17.0 MB: something keeps it from being emptied."
    assert pi.bad() == [wrong("Write-ahead log", says, "script/server")]


def test_tables_of_an_older_version(pi: Doctored) -> None:
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'ports' AND name LIKE '0002%'")
    command = ".venv/bin/python manage.py backup\n.venv/bin/python manage.py migrate\nscript/server"
    assert pi.bad() == [wrong("Database", "Its tables are those of an older iotsite.", command)]


def test_tables_of_a_newer_version(pi: Doctored) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('relays', '9999_moon', '2030-01-01')"
        )
    says = "It was written by a newer iotsite (relays.9999_moon), which this one would read wrongly."
    assert pi.bad() == [wrong("Database", says, "git pull && script/server")]


def test_no_backup_and_an_old_one(pi: Doctored) -> None:
    old = time.time() - 40 * 86400
    os.utime(site.DATA_DIR / "secret_key", (old, old))
    command = ".venv/bin/python manage.py backup"
    assert pi.bad() == [wrong("Backup", f"There is none in {site.DATA_DIR}/backups.", command)]
    (site.DATA_DIR / "backups").mkdir()
    made = site.DATA_DIR / "backups" / "iotsite-2026-01-02T030405Z.sqlite3"
    made.touch()
    assert pi.bad() == []
    os.utime(made, (old, old))
    assert pi.bad() == [wrong("Backup", f"The newest is 40d old: {made.name}.", command)]


# --- the machine below it ---------------------------------------------------------------------------------------


def test_a_clock_that_nothing_sets(pi: Doctored) -> None:
    pi.take("run/systemd/timesync/synchronized")
    pi.machine.clock_error = lambda: 16_000_000
    says = "Nothing sets it: moments are wrong by as long as this machine was without power, or drift."
    assert pi.bad() == [wrong("Clock", says, "sudo timedatectl set-ntp true\ntimedatectl")]
    pi.machine.clock_error = lambda: 250_000  # another program than systemd's own sets it
    assert pi.bad() == []


def test_a_web_server_that_may_not_ask_for_the_clock(pi: Doctored) -> None:
    pi.take("run/systemd/timesync/synchronized")
    pi.lay("proc/self/status", "Seccomp:\t2\n")
    assert pi.bad() == [untold("Clock", "The web server may not ask whether the network sets it.", "timedatectl")]


def test_this_kernel_says_how_sure_it_is_of_its_clock() -> None:
    error = clock_error()
    assert error is not None
    assert 0 <= error <= 16_000_000


def test_services_that_failed(pi: Doctored) -> None:
    pi.install()
    pi.lay_units(
        "iotsite-web.service loaded active running The pages",
        "iotsite-refresh.service loaded activating auto-restart What keeps the ports fresh",
        "iotsite-controller@1.service loaded failed failed The controller",
        "iotsite-failsafe@1.service loaded inactive dead Switch off",
    )
    look = "sudo journalctl -u iotsite-controller@1 -n 20\nsudo systemctl reset-failed iotsite-controller@1"
    assert pi.bad() == [
        wrong("Services", "iotsite-refresh ends again and again.", "sudo journalctl -u iotsite-refresh -n 20"),
        wrong(
            "Services",
            "iotsite-controller@1 has failed, and nothing starts it again.",
            f"{look}\nsudo systemctl restart iotsite-controller@1",
        ),
    ]


def test_a_systemd_that_does_not_answer(pi: Doctored) -> None:
    pi.install()
    pi.lay("/usr/bin/systemctl", "#!/bin/sh\nexit 1\n")
    says = "systemd does not answer here."
    assert pi.bad() == [untold("Services", says, "systemctl list-units --all 'iotsite-*'")]


# --- controllers and relays -------------------------------------------------------------------------------------


def controller_is_silent(pi: Doctored) -> None:
    pi.beat(at=clock.boot_seconds() - 75)


CONTROLLERS: list[tuple[Callable[[Doctored], None], str, str]] = [
    (lambda pi: pi.beat(version="0.0.9"), "It still runs the version 0.0.9 of {code}, not what is installed now.", HUP),
    (lambda pi: pi.beat(code="/old"), "It still runs the version 0.1.0 of /old, not what is installed now.", HUP),
]


@pytest.mark.parametrize(("breaks", "says", "command"), CONTROLLERS)
def test_a_controller_of_another_version(
    pi: Doctored, breaks: Callable[[Doctored], None], says: str, command: str
) -> None:
    breaks(pi)
    says = f"{says.format(code=site.BASE_DIR)} To go over moves no relay."
    assert pi.bad() == [wrong("Controller of Pi", says, command)]
    pi.install()
    assert pi.bad() == [wrong("Controller of Pi", says, f"sudo systemctl reload iotsite-controller@{pi.board.pk}")]


def test_a_controller_that_complains(pi: Doctored) -> None:
    pi.beat(problem="The database cannot be written: disk I/O error.")
    says = "It says: The database cannot be written: disk I/O error."
    assert pi.bad() == [wrong("Controller of Pi", says, "script/server")]


def test_a_controller_that_is_silent_or_not_there(pi: Doctored) -> None:
    chip = wrong(
        "GPIO chip",
        "This machine shows no GPIO header, and a board is there for one.",
        "ls -l /dev/gpiochip*\nuname -r",
    )
    Relay.objects.update(fault="It was at fault then.")
    controller_is_silent(pi)
    says = "It has not answered for 1m (pid 812, version 0.1.0)."
    assert pi.bad() == [wrong("Controller of Pi", says, "script/server"), chip]
    pi.board.files.end_beat()
    says = "It does not run: no relay follows what is asked."
    assert pi.bad() == [wrong("Controller of Pi", says, "script/server"), chip]


def test_what_to_type_where_it_is_installed_and_where_script_server_runs(pi: Doctored) -> None:
    controller_is_silent(pi)
    (site.RUN_DIR / "server.lock").write_text("4711")
    pi.lay("proc/4711/cmdline", f"python\0-m\0iotsite.supervisor\0--port\0{site.LISTEN[1]}\0")
    assert pi.bad()[0].command == "kill -HUP 4711"
    pi.install()
    assert pi.bad()[0].command == f"sudo systemctl restart iotsite-controller@{pi.board.pk}"


def test_a_relay_at_fault(pi: Doctored) -> None:
    Relay.objects.filter(slug="fan").update(fault="GPIO12 reads back off, though it was switched on.")
    says = "GPIO12 reads back off, though it was switched on."
    assert pi.bad() == [wrong("Relay Fan", says, ".venv/bin/python manage.py switch fan off")]


@pytest.mark.parametrize(
    ("holder", "command"),
    [("pid 4711, gpioset", "sudo kill 4711"), ("spi0 CS0", "sudo fuser -v /dev/gpiochip*")],
)
def test_a_line_that_another_program_holds(pi: Doctored, holder: str, command: str) -> None:
    pi.see(GPIO5=holder, GPIO8="spi0 CS0")
    says = f"GPIO5 (Lamp) is held by another program ({holder}): stop it or choose another line. It was seen 2m ago."
    assert pi.bad() == [wrong("GPIO lines", says, command)]
    [_, rest] = [finding for finding in pi.found() if finding.about == "GPIO lines"]
    assert rest.says == (
        "Held by its controller: GPIO12 (Fan); held by others, and not wired here: GPIO8 (spi0 CS0). "
        "It was seen 2m ago."
    )


def test_a_web_server_that_may_not_look_at_the_chip(pi: Doctored) -> None:
    pi.lay("proc/self/status", "Seccomp:\t2\n")
    pi.board.files.header.unlink()
    says = "The web server may not look at it, and no controller runs that would."
    assert pi.bad() == [untold("GPIO chip", says, ".venv/bin/python manage.py doctor")]


def test_a_kernel_that_lets_outputs_go(pi: Doctored) -> None:
    look = "grep -n strict_gpiod /boot/firmware/config.txt\nsudo apt update\nsudo apt full-upgrade"
    parameter = "sys/module/pinctrl_bcm2835/parameters/persist_gpio_outputs"
    pi.lay(parameter, "N\n")
    says = (
        "This kernel lets outputs go when the program that drove them ends: a relay that is on drops until it is "
        "claimed again; one that is off never moves."
    )
    assert pi.bad() == [wrong("Kernel", says, look)]
    pi.take(parameter)
    [finding] = pi.bad()
    assert (finding.about, finding.state, finding.command) == ("Kernel", State.UNTOLD, look)
    assert finding.says.startswith("This kernel does not say whether it keeps outputs")


ADD_LAMP = "printf '%s\\n' '' '[all]' gpio=5=op,dh | sudo tee -a /boot/firmware/config.txt"


def test_config_txt_without_a_line(pi: Doctored) -> None:
    pi.lay("boot/firmware/config.txt", "[pi5]\ngpio=5=op,dh\n[all]\ngpio=12=op,dl\n")
    says = (
        "/boot/firmware/config.txt does not keep GPIO5 (Lamp) off: it may click, or be on until the controller starts."
    )
    assert pi.bad() == [wrong("While it boots", says, ADD_LAMP)]


def test_config_txt_that_drives_a_relay_to_on(pi: Doctored) -> None:
    pi.lay("boot/firmware/config.txt", "gpio=5=op,dh\ngpio=5,12=op,dl\n")
    says = "/boot/firmware/config.txt drives GPIO5 (Lamp) to on until the controller has started."
    assert pi.bad() == [wrong("While it boots", says, ADD_LAMP)]


def test_config_txt_with_a_condition_and_none(pi: Doctored) -> None:
    file = "boot/firmware/config.txt"
    pi.lay(file, "gpio=12=op,dl\n[0x12345678]\ngpio=5=op,dh\n")
    says = f"/{file} says of GPIO5 (Lamp) something under a condition that cannot be judged here."
    assert pi.bad() == [untold("While it boots", says, f"grep -n -e '^\\[' -e '^gpio=' /{file}")]
    pi.take(file)
    says = f"/{file} cannot be read here: No such file or directory."
    assert pi.bad() == [untold("While it boots", says, f"cat /{file}")]


# --- ships ------------------------------------------------------------------------------------------------------


@pytest.fixture
def hong_kong(pi: Doctored) -> Port:
    """A port that is on, with a list of five hours ago."""
    then = timezone.now() - timedelta(hours=5)
    Port.objects.filter(locode="HKHKG").update(is_enabled=True, loaded_at=then, seen_since=then)
    port = Port.objects.get(locode="HKHKG")
    feed = Feed.objects.get(pk=port.feed_id)
    told = {"took": timedelta(0), "counts": {"HKHKG": {}}, "started_at": then, "as_of": then}
    Refresh.objects.create(feed=feed, outcome="done", **told)
    return port


def test_nothing_fetches_ships_and_a_list_is_old(pi: Doctored, hong_kong: Port) -> None:
    old = wrong(
        "Ships of Hong Kong",
        "It is 5h old, and nothing newer came.",
        ".venv/bin/python manage.py refresh_ships HKHKG",
    )
    assert pi.bad() == [wrong("Refreshes", "Nothing fetches ships now.", "script/server"), old]
    (site.RUN_DIR / "refresh.given-up").touch()
    says = "script/server has given up: what fetches ships ended too often."
    assert pi.bad() == [wrong("Refreshes", says, "script/server"), old]


def test_a_port_that_never_answered_well(pi: Doctored, hong_kong: Port) -> None:
    Refresh.objects.update(outcome="failed", error="The publisher answered 503.")
    says = "No answer was good yet: The publisher answered 503."
    assert pi.bad()[1:] == [wrong("Ships of Hong Kong", says, ".venv/bin/python manage.py refresh_ships HKHKG")]


# --- the web ----------------------------------------------------------------------------------------------------


def test_no_web_server(pi: Doctored, settings: Settings) -> None:
    settings.LISTEN = ("127.0.0.1", 1)
    says = "It does not answer at http://127.0.0.1:1: Connection refused."
    assert pi.bad() == [wrong("Web server", says, "script/server")]


def test_another_program_at_its_port(pi: Doctored, settings: Settings) -> None:
    with web("Hello") as port:
        settings.LISTEN = ("127.0.0.1", port)
        says = f"Another program answers at http://127.0.0.1:{port}."
        assert pi.bad() == [wrong("Web server", says, f"sudo ss -ltnp 'sport = :{port}'")]


def test_a_site_that_is_open_without_https(pi: Doctored, settings: Settings) -> None:
    settings.LISTEN = ("0.0.0.0", settings.LISTEN[1])
    says = (
        "It is off, and the site is open to the network: whoever is in it can read along, passwords too. "
        "The page /https says the way out."
    )
    assert pi.bad() == [wrong("HTTPS", says, "sudo apt install caddy")]


def test_https_without_a_proxy(pi: Doctored, settings: Settings) -> None:
    settings.HTTPS = True
    says = "It is on, but nothing on this machine listens at port 443: right only if the proxy is on another one."
    assert pi.bad() == [untold("HTTPS", says, "systemctl status caddy")]


def test_debugging(pi: Doctored, settings: Settings) -> None:
    settings.DEBUG = True
    says = "DEBUG is on: whoever causes an error sees the inner workings of the site."
    assert pi.bad() == [wrong("Debugging", says, "sed -i '/^DEBUG=/d' .env\nscript/server")]


# --- whatever happens -------------------------------------------------------------------------------------------


def test_a_check_that_fails_says_so_and_the_others_go_on(pi: Doctored, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(machine: Machine) -> Iterator[Finding]:
        raise ZeroDivisionError("by nothing")

    monkeypatch.setitem(examination.SECTIONS["This machine"], "Clock", fail)
    says = "This could not be looked at: ZeroDivisionError: by nothing."
    assert pi.bad() == [untold("Clock", says, "LOG_LEVEL=DEBUG .venv/bin/python manage.py doctor")]


def test_a_machine_that_shows_nothing(pi: Doctored, tmp_path: Path) -> None:
    """No /proc, no /sys, no /boot: what cannot be seen is not taken for right, and nothing breaks."""
    pi.machine = Machine(tmp_path / "empty", clock_error=lambda: None)
    assert [(finding.about, finding.state) for finding in pi.bad()] == [
        ("RUN_DIR", State.UNTOLD),
        ("Clock", State.UNTOLD),
        ("Kernel", State.UNTOLD),
        ("While it boots", State.UNTOLD),
    ]


def test_everything_at_once_is_counted(pi: Doctored) -> None:
    pi.machine.clock_error = lambda: None
    pi.take("run/systemd/timesync/synchronized")
    pi.lay("boot/firmware/config.txt", "")
    site.DATA_DIR.chmod(0o750)
    report = examination.examine(pi.machine)
    assert report.summary == "2 things are wrong; 1 thing cannot be told from here."
    assert not report.is_well
    assert stat.S_IMODE(site.DATA_DIR.stat().st_mode) == 0o750, "looking mends nothing"


def test_no_name_steers_the_terminal(pi: Doctored, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict, "OPTIONS", {})
    Relay.objects.filter(slug="fan").update(fault="\x1b]0;owned\x07\x1b[2J\u202eGPIO12")
    printed = StringIO()
    with pytest.raises(SystemExit) as ended:
        call_command("doctor", stdout=printed)
    assert ended.value.code == 1
    assert "  WRONG    Relay Fan: �]0;owned��[2J�GPIO12\n" in printed.getvalue()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to give a file away")
def test_a_chip_that_its_group_alone_may_open(pi: Doctored) -> None:
    os.chown(pi.lay("dev/gpiochip0", ""), 0, 997)
    pi.lay("etc/group", "root:x:0:\ngpio:x:997:pi\n")
    pi.machine.user = "anna"
    says = "anna may not open it: that takes the group gpio."
    assert closed_chip(pi.board, pi.machine) == wrong("GPIO chip", says, "sudo usermod -aG gpio anna\nnewgrp gpio")
    pi.machine.user = "pi"
    says = "pi is in the group gpio, but was not yet when this session began."
    assert closed_chip(pi.board, pi.machine) == wrong("GPIO chip", says, "newgrp gpio")
    pi.install()
    says = "Only the controller of Pi may open it, and does not run."
    again = f"sudo systemctl restart iotsite-controller@{pi.board.pk}"
    assert closed_chip(pi.board, pi.machine) == untold("GPIO chip", says, again)


# --- the page ---------------------------------------------------------------------------------------------------


def test_the_page_says_the_same_to_the_staff(
    pi: Doctored, as_viewer: Client, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    pi.board.name = "<b>Pi</b>"
    pi.board.save()
    with django_assert_max_num_queries(20):
        page = as_viewer.get("/doctor/").content.decode()
    assert "Controller of &lt;b&gt;Pi&lt;/b&gt;" in page
    assert "It runs (pid 812, version 0.1.0)." in page
    assert "<b>Pi" not in page


def test_the_way_to_it_is_shown_to_the_staff_alone(as_viewer: Client, client: Client) -> None:
    client.force_login(User.objects.create_user("gustav"))
    link = b'href="/doctor/"'
    assert (link in as_viewer.get("/account/").content, link in client.get("/account/").content) == (True, False)
