"""The command line, as somebody uses it over SSH: exact words and exit statuses, from real processes."""

import json

import pytest

from tests.site import Site, add_relays


def test_a_relay_is_wired_tested_and_listed(site: Site) -> None:
    done = site.manage("add_board", "Shed", "--driver", "simulated")
    assert done.stdout == "Shed is added. Its controller starts with script/server or manage.py run_relays.\n"
    done = site.manage("add_relay", "Pump", "--line", "J8:11", "--active-low", "--room", "Garden", "--max-on", "2h")
    assert done.stdout == "Pump is added on GPIO17. Try it: manage.py switch pump on --for 1s\n"
    site.start_controller()
    done = site.manage("switch", "PUMP", "on", "--for", "10m")
    assert (done.stdout, done.returncode) == ("Pump: applied\n", 0)
    [row] = json.loads(site.manage("relays", "--json").stdout)
    assert row.pop("until") is not None
    assert row == {
        "slug": "pump",
        "name": "Pump",
        "room": "Garden",
        "board": "Shed",
        "line": "GPIO17",
        "wanted": True,
        "actual": True,
        "fault": None,
    }
    header, line = site.manage("relays").stdout.splitlines()
    assert header.split() == ["slug", "name", "room", "board", "line", "wanted", "actual", "until", "fault"]
    assert line.split()[:7] == ["pump", "Pump", "Garden", "Shed", "GPIO17", "on", "on"]


def test_without_a_controller_an_on_is_refused_and_an_off_is_stored(site: Site) -> None:
    add_relays(site, "Pump")
    done = site.manage("switch", "Pump", "on")
    assert (done.stderr, done.returncode) == (
        "Pump: refused: The relay controller does not answer: start it, then try again.\n",
        4,
    )
    assert site.relay("pump")["wanted"] == 0
    done = site.manage("switch", "Pump", "off", "--wait", "0")
    assert (done.stderr, done.returncode) == (
        "Pump: pending: the relay controller does not answer: start it and it will be done\n",
        3,
    )
    assert site.relay("pump")["command"] == site.events("pump")[-1]["id"]


def test_a_wait_is_told_with_its_reason(site: Site) -> None:
    add_relays(site, "Fridge", min_off="1h")
    site.start_controller()
    done = site.manage("switch", "Fridge", "on", "--wait", "0.2")
    assert done.returncode == 3
    assert done.stderr.startswith("Fridge: pending: it stays off for at least 1h (in 59m")


def test_a_board_that_fails_is_told(site: Site) -> None:
    add_relays(site, "Pump")
    site.files().faults.write_text('{"GPIO17": "failing"}')
    site.start_controller()
    done = site.manage("switch", "Pump", "on")
    assert (done.stderr, done.returncode) == (
        "Pump: failed: GPIO17 cannot be written (simulated): check the board.\n",
        5,
    )


def test_stop_holds_everything_off_until_it_is_reset(site: Site) -> None:
    add_relays(site, "Pump", "Lamp")
    site.start_controller()
    assert site.manage("switch", "Pump", "on").returncode == 0
    done = site.manage("stop")
    assert done.stdout == "Everything is stopped. Nothing goes on until: manage.py stop --reset\n"
    site.wait_actual("pump", False, 1)
    done = site.manage("switch", "Lamp", "on")
    assert (done.stderr, done.returncode) == ("Lamp: refused: Everything is stopped: reset the stop first.\n", 4)
    done = site.manage("stop", "--reset")
    assert done.stdout == "The stop is reset. What was on stays off until you switch it on.\n"
    assert site.manage("switch", "Lamp", "on").returncode == 0
    assert site.levels("GPIO17") == [1, 0, 1]


@pytest.mark.parametrize(
    ("command", "status", "said"),
    [
        ("switch Nothing on", 1, "There is no relay “Nothing”. Relays: Pump."),
        ("switch Pump on --for 10x", 2, "“10x” is not a duration: write it like 500ms, 90s, 10m or 2h30m."),
        ("switch Pump on --for 31d", 2, "“31d” is too long: at most 30 days."),
        ("switch Pump on --for 10ms", 2, "“10ms” is too short: at least 100ms."),
        ("switch Pump on --wait soon", 2, "“soon” is not a wait: give seconds, 0 to 60."),
        ("switch Pump off --for 10m", 4, "Pump: refused: Off takes no duration: only “on for …” does."),
        ("switch Pump press", 4, "Pump: refused: Pump is a switch, not momentary: switch it on or off."),
        ("switch Pump press --for 1m", 4, "A press takes no duration: the relay has a pulse of its own."),
        ("switch Pump maybe", 2, "argument what: invalid choice: 'maybe'"),
        ("add_relay Lamp --line 18", 2, "one of the arguments --active-low --active-high is required"),
        ("add_relay Lamp --line 17 --active-low", 1, "Another enabled relay of this board uses this line"),
        ("add_relay Lamp --line 99 --active-low", 1, "line: GPIO99 is not on this board's header"),
        ("add_relay Lamp --line J8:1 --active-low", 1, "line: Pin 1 of the header carries no GPIO line"),
        ("add_relay Pump --line 18 --active-low", 1, "There is a relay of this name."),
        ("add_relay Lamp --line 18 --active-low --board Attic", 1, "There is no board “Attic”. Boards: Test board."),
        ("add_relay Bell --line 18 --active-low --momentary 11s", 1, "A pulse lasts 100ms to 10s."),
        (
            "add_relay Bell --line 18 --active-low --momentary 1s --power-up on",
            1,
            "A momentary relay is off at power-up, stop and loss: choose off for all.",
        ),
        (
            "add_relay Lamp --line 18 --active-low --min-on 2h --max-on 1h",
            1,
            "The shortest on cannot be longer than the longest on.",
        ),
        ("add_board Shed --driver magic", 2, "argument --driver: invalid choice: 'magic'"),
        ("run_relays --board Attic", 2, "There is no enabled board “Attic”. Enabled boards: Test board."),
        ("run_relays --number 7", 2, "There is no enabled board with the number 7. Enabled boards: Test board."),
    ],
)
def test_bad_input_is_answered_with_a_sentence(pump_site: Site, command: str, status: int, said: str) -> None:
    done = pump_site.manage(*command.split())
    assert (done.returncode, done.stdout) == (status, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(scope="module")
def pump_site(tmp_path_factory: pytest.TempPathFactory, template_database):  # type: ignore[no-untyped-def]
    from tests.site import make_site

    site = make_site(tmp_path_factory.mktemp("pump"), template_database)
    add_relays(site, "Pump")
    yield site
    site.end()


def test_a_missing_database_is_answered_with_a_sentence(site: Site) -> None:
    (site.data_dir / "db.sqlite3").unlink()
    for command in (["relays"], ["switch", "Pump", "on"], ["run_relays"], ["stop"]):
        done = site.manage(*command)
        assert done.returncode == 1
        assert "Traceback" not in done.stderr
        assert "unable to open database file" in done.stderr
    assert not (site.data_dir / "db.sqlite3").exists()


def test_several_boards_are_listed_and_a_second_controller_is_turned_away(site: Site) -> None:
    add_relays(site, "Pump")
    process = site.start_controller()
    done = site.manage("run_relays")
    assert (done.returncode, done.stderr) == (
        1,
        f"CommandError: Test board is served already, by the controller with pid {process.pid}: stop that one first.\n",
    )
    assert site.manage("add_board", "Attic", "--driver", "simulated").returncode == 0
    done = site.manage("run_relays")
    assert (done.returncode, done.stderr) == (
        2,
        "CommandError: Say which board with --board. Enabled boards: Attic, Test board.\n",
    )
