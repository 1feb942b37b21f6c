"""A rehearsal uses a copy of the data, whole and as they are; the data themselves do not notice."""

import signal
import subprocess
import sys

import pytest

from tests.site import Site, add_relays, wait_for


def test_a_rehearsal_moves_nothing_and_leaves_nothing(site: Site) -> None:
    add_relays(site, "Lamp")
    site.start_controller()
    assert site.manage("switch", "Lamp", "on").returncode == 0
    events, files = site.events("lamp"), set(site.data_dir.iterdir())
    with site.database() as database:
        database.execute("BEGIN IMMEDIATE")  # it does not even ask to write
        done = site.manage("rehearse")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert (site.events("lamp"), set(site.data_dir.iterdir())) == (events, files)
    assert site.levels("GPIO17") == [1, 0]
    assert not (site.run_dir / "rehearsal").exists()


def test_it_waits_for_the_end_of_another(site: Site) -> None:
    """An update that was killed leaves its rehearsal at work, and the next update begins one."""
    rehearse = (sys.executable, "manage.py", "rehearse")
    one = site.start(*rehearse)
    wait_for(lambda: (site.data_dir / "rehearsal/db.sqlite3").exists())
    one.send_signal(signal.SIGSTOP)
    other = site.start(*rehearse)
    with pytest.raises(subprocess.TimeoutExpired):
        other.wait(4)
    one.send_signal(signal.SIGCONT)
    assert (one.wait(60), other.wait(60)) == (0, 0), site.log()


def test_it_names_the_migrations_that_are_missing(site: Site) -> None:
    site.manage("migrate", "sessions", "zero")
    assert site.manage("rehearse").stdout == "sessions.0001_initial\n"
    with site.database() as database:
        assert database.execute("SELECT * FROM django_migrations WHERE app = 'sessions'").fetchall() == []


def test_it_refuses_what_a_newer_version_wrote(site: Site) -> None:
    with site.database() as database:
        database.execute(
            "INSERT INTO django_migrations (app, name, applied) VALUES ('relays', '9999_later', '2030-01-01')"
        )
    done = site.manage("rehearse")
    said = "CommandError: The data were written by a newer iotsite (relays.9999_later): this one cannot use them.\n"
    assert (done.returncode, done.stderr) == (1, said)


def test_it_refuses_data_that_its_controller_cannot_serve(site: Site) -> None:
    add_relays(site, "Lamp")
    with site.database() as database:
        database.execute("ALTER TABLE relays_relay RENAME COLUMN cycles TO turns")
    done = site.manage("rehearse")
    assert done.returncode == 1
    assert "CommandError: " in done.stderr
