"""A backup written over the living database: controllers go on, and no relay moves."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import requests

from tests.iotsite.shelf import Shelf, content, edit
from tests.site import wait_for

pytestmark = pytest.mark.xdist_group("backup")


def restore(shelf: Shelf, file: Path) -> str:
    return shelf.restore(file, "--in-place")


def refused(shelf: Shelf, file: Path) -> str:
    """What is said; nothing may change by it but that a copy was kept."""
    before = content(shelf.database)
    done = shelf.runner.run("restore", str(file), "--in-place")
    assert done
    assert done["status"] == 1, done["said"]
    assert content(shelf.database) == before
    return str(done["said"])


def test_a_running_controller_goes_on_without_an_edge(shelf: Shelf) -> None:
    site = shelf.site
    controller = site.start_controller()
    shelf.runner.do("switch", "Lamp", "on")
    made = shelf.back_up()
    shelf.runner.do("switch", "Lamp", "off")
    shelf.runner.do("switch", "Pump", "on", "--for", "1h")
    before = {slug: (site.relay(slug), site.events(slug)) for slug in ("lamp", "pump")}
    edit(shelf.database, "UPDATE relays_relay SET name = 'Renamed since' WHERE slug = 'lamp'")
    inode = shelf.database.stat().st_ino
    restore(shelf, made)
    assert shelf.database.stat().st_ino == inode
    assert {slug: (site.relay(slug), site.events(slug)) for slug in before} == before, "but for the name"
    shelf.runner.do("switch", "Lamp", "on")
    assert json.loads(site.files().plan.read_text())["lines"]["1"]["name"] == "Lamp", "it reads its rows anew"
    assert site.levels("GPIO17") == [1, 0, 1, 0]
    assert site.levels("GPIO18") == [1, 0]
    assert controller.poll() is None
    assert (site.files().last_beat() or {})["problem"] == ""


def test_what_moves_relays_all_the_time_loses_no_edge_by_it(shelf: Shelf) -> None:
    """A press ends after its pulse, and its end is written down, whatever is restored meanwhile."""
    site = shelf.site
    edit(shelf.database, "UPDATE relays_relay SET mode = 'momentary', pulse = 300000 WHERE slug = 'lamp'")
    site.start_controller()
    shelf.runner.do("switch", "Lamp", "press")
    made = shelf.back_up()
    for number in range(1, 5):
        restore(shelf, made)
        wait_for(lambda: site.relay("lamp")["wanted"] == 0)
        assert site.levels("GPIO17") == [1, *[0, 1] * number]
        shelf.runner.do("switch", "Lamp", "press")
    wait_for(lambda: site.relay("lamp")["cycles"] == 5 and site.relay("lamp")["actual"] == 0)


def test_stop_everything_since_the_backup_stays(shelf: Shelf) -> None:
    made = shelf.back_up()
    shelf.runner.do("stop")
    restore(shelf, made)
    with shelf.site.database() as connection:
        assert connection.execute("SELECT stopped_at IS NOT NULL FROM relays_board").fetchone()[0]


def test_a_relay_that_is_gone_comes_back_off(shelf: Shelf) -> None:
    edit(shelf.backup, "UPDATE relays_relay SET wanted = 1 WHERE slug = 'lamp'")
    edit(shelf.database, "DELETE FROM relays_event", "DELETE FROM relays_relay")
    restore(shelf, shelf.backup)
    assert (shelf.site.relay("lamp")["wanted"], shelf.site.count("relays_relay")) == (0, 1)


def test_going_back_takes_a_newer_version_s_tables_away(shelf: Shelf) -> None:
    made = shelf.back_up()
    whole = content(made)
    site = shelf.site
    edit(
        shelf.database,
        "ALTER TABLE relays_relay ADD COLUMN wattage integer",
        "CREATE TABLE relays_new (id integer PRIMARY KEY AUTOINCREMENT, text)",
        "INSERT INTO relays_new (text) VALUES ('later')",
        "INSERT INTO django_migrations (app, name, applied) VALUES ('relays', '9999_later', '2030-01-01')",
    )
    site.start_controller()
    shelf.runner.do("switch", "Lamp", "on")
    restore(shelf, made)
    now = content(shelf.database)
    assert [(len(now[table]), len(now[table][0])) for table in ("relays_relay", "django_migrations")] == [
        (len(whole[table]), len(whole[table][0])) for table in ("relays_relay", "django_migrations")
    ]
    assert now.keys() == whole.keys()
    shelf.runner.do("switch", "Lamp", "off")
    assert site.levels("GPIO17") == [1, 0, 1]


def test_events_are_left_out_where_the_older_version_asks_more_of_one(shelf: Shelf) -> None:
    made = shelf.back_up()
    edit(shelf.database, "ALTER TABLE relays_event RENAME COLUMN why TO reason")
    edit(
        shelf.database,
        "INSERT INTO relays_event (at, kind, outcome, board_id, who, via, reason, command_id, field,"
        " was, became) SELECT '2030-01-01', 'started', '', id, '', 'controller', '', '', '', '', '' FROM relays_board",
    )
    restore(shelf, made)
    assert content(shelf.database) == content(made)


def test_a_relay_that_would_move_is_refused(shelf: Shelf) -> None:
    edit(shelf.database, "UPDATE relays_relay SET line = 'GPIO5', wanted = 1 WHERE slug = 'lamp'")
    assert refused(shelf, shelf.backup) == (
        "Lamp is on, and not the same relay in the backup: stop the controllers and restore it without --in-place. "
        "Nothing was changed."
    )


def test_what_the_backup_s_rules_forbid_is_refused(shelf: Shelf) -> None:
    """Both on now, and of one interlock in the backup."""
    made = shelf.back_up()
    lock = "INSERT INTO relays_interlock (id, name, dead_time, policy, board_id) VALUES (7, 'A', 500000, 'replace', 1)"
    edit(made, lock, "UPDATE relays_relay SET interlock_id = 7")
    edit(shelf.database, "UPDATE relays_relay SET wanted = 1")
    assert "is on, and not the same relay in the backup" in refused(shelf, made)


def test_pages_of_another_size_are_refused(shelf: Shelf) -> None:
    edit(shelf.backup, "PRAGMA page_size = 8192", "VACUUM")
    said = "Its pages are of another size: stop everything and restore it without --in-place."
    assert refused(shelf, shelf.backup) == said


def test_beside_a_web_server_it_is_refused(shelf: Shelf) -> None:
    shelf.site.start_controller()
    web, address = shelf.site.start_web()
    assert requests.get(f"{address}/readyz", timeout=10).status_code == 200  # the first who asks makes it open the file
    said = refused(shelf, shelf.backup)
    assert said.startswith("The database is in use by ")
    assert f"(pid {web.pid}): end these processes" in said
    assert "run_relays" not in said


@pytest.mark.slow
def test_a_writer_that_does_not_end_is_not_waited_for_for_ever(shelf: Shelf) -> None:
    with closing(sqlite3.connect(shelf.database, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        done = shelf.runner.run("restore", str(shelf.backup), "--in-place")
        said = "Others have been writing for too long: try again. Nothing was changed."
        assert done == {"status": 1, "said": said}


@pytest.mark.slow
def test_a_kill_at_any_line_leaves_the_old_or_the_new_one_whole(shelf: Shelf) -> None:
    old, new = content(shelf.database), content(shelf.backup)
    found = []
    for how in [{"line": line} for line in range(150, 900, 45)] + [{"after": n * 0.03} for n in range(1, 9)]:
        shelf.fresh()
        shelf.runner.is_killed("restore", str(shelf.backup), "--in-place", **how)
        now = content(shelf.database)
        assert now in (old, new)
        assert all(content(folder / "db.sqlite3") == old for folder in shelf.kept)
        assert shelf.kept or now == old
        found.append(now == new)
    assert found.count(False) > 5
    assert any(found)
    restore(shelf, shelf.backup)
    assert content(shelf.database) == new
    assert not (shelf.site.data_dir / ".restore").exists()
