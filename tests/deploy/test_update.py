"""script/update against real releases, units and programs: each of its steps fails in turn, and no relay moves."""

import fcntl
import signal
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from changeover import settle_at_boot
from journal import Journal
from machine import WEB
from tests.deploy.installed import CONTROLLER, Edits, Installed, Upstream
from tests.site import ROOT, command_of, wait_for

pytestmark = [pytest.mark.xdist_group("update"), pytest.mark.slow]

LAST = max(path.stem for path in (ROOT / "relays/migrations").glob("0*.py"))
COLOUR = "relays_room ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'"
MIGRATION = f"""
from django.conf import settings
from django.db import migrations


def fail(apps, schema_editor):
    if settings.DATA_DIR.name != "rehearsal":
        raise RuntimeError("the disk is full")


class Migration(migrations.Migration):
    dependencies = [("relays", "{LAST}")]
    operations = [migrations.RunSQL("ALTER TABLE {COLOUR}")]
"""
HALF_WAY = (
    MIGRATION.replace(LAST, "9001_room_has_a_colour")
    .replace("colour TEXT", "smell TEXT")
    .replace("operations = [", "operations = [migrations.RunPython(fail), ")
)
MIGRATES: Edits = {"relays/migrations/9001_room_has_a_colour.py": MIGRATION}
MAIN = "def main() -> None:\n"
SLOWLY = "    if 'migrate' in sys.argv:\n        import time; time.sleep(8)\n"
HANDLE = "    def handle(self, *args: Any, **options: Any) -> None:\n"
COMMAND = "relays/management/commands/run_relays.py"


def is_now(version: str) -> Edits:
    return {
        "iotsite/__init__.py": lambda text: text.replace('"0.1.0"', f'"{version}"'),
        "CHANGELOG.md": lambda text: text.replace("## 0.1.0", f"## {version}\n\n- Rooms have colours.\n\n## 0.1.0"),
    }


RELEASES: dict[str, Edits] = {
    "packages": {"requirements.txt": lambda text: f"{text}./there-is-none\n"},
    "syntax": {"relays/plan.py": lambda text: f"{text}\ndef (\n"},
    "import": {"relays/plan.py": lambda text: f"{text}\nraise RuntimeError('out of order')\n"},
    "half-way": {**MIGRATES, "relays/migrations/9002_room_has_a_smell.py": HALF_WAY},
    "web": {**MIGRATES, "iotsite/asgi.py": lambda text: f"{text}\nraise RuntimeError\n"},
    # The old code cannot even start with what this one makes of the database.
    "crash": {
        "relays/migrations/9001_board_is_called.py": MIGRATION.replace(COLOUR, "relays_board RENAME name TO called"),
        "relays/models/board.py": lambda text: text.replace(
            "    name = models.CharField(", "    name = models.CharField(db_column='called', "
        ),
        COMMAND: lambda text: text.replace(HANDLE, f"{HANDLE}        raise RuntimeError\n"),
    },
    "hang": {COMMAND: lambda text: text.replace(HANDLE, f"{HANDLE}        import time; time.sleep(999)\n")},
    "slow": {**MIGRATES, "manage.py": lambda text: text.replace(MAIN, f"{MAIN}{SLOWLY}")},
    "v0.2.0": {**MIGRATES, **is_now("0.2.0")},
}


@pytest.fixture(scope="module")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    made = Upstream(tmp_path_factory.mktemp("upstream"))
    for tag, edits in RELEASES.items():
        made.commit(tag, edits)
    return made


@pytest.fixture(scope="module")
def only(upstream: Upstream) -> Iterator[Installed]:
    made = Installed(upstream)
    made.switch_on("Porch lamp")
    yield made
    made.end()


@pytest.fixture
def pi(only: Installed, upstream: Upstream) -> Iterator[Installed]:
    """The machine, with the first release in use; afterwards it is so still, and no relay has moved."""
    levels = only.levels()
    assert only.release == upstream.name("v0.1.0")
    yield only
    assert only.levels() == levels
    assert levels["GPIO17"] == [1, 0], "active-low: on since it was switched on"


def assert_nothing_changed(pi: Installed, upstream: Upstream, before: dict[str, Any]) -> None:
    old = upstream.name("v0.1.0")
    assert pi.release == old
    assert pi.running() == dict.fromkeys((WEB, CONTROLLER), old)
    assert (pi.board.last_beat() or {})["code"] == str(pi.machine.releases / old)
    wait_for(pi.is_ready, what="a site that is ready")
    assert not list(pi.machine.releases.parent.glob("update.*"))
    assert ("OnFailure", "iotsite-failsafe@1.service") not in pi.manager.asked
    assert pi.content() == before


def back(upstream: Upstream, step: str) -> str:
    """What is said last, where the step failed."""
    old = f"0.1.0 ({upstream.name('v0.1.0')[:7]})"
    return (
        f"{old} runs again, and everything answers. No relay moved.\n"
        f"The update failed at “{step}”, for the reason above.\n"
    )


def test_what_cannot_be_fetched_is_said(pi: Installed, upstream: Upstream) -> None:
    before, away = pi.content(), upstream.folder.with_name("away")
    upstream.folder.rename(away)
    try:
        status, said = pi.update()
    finally:
        away.rename(upstream.folder)
    assert status == 1, said
    assert said.endswith("\nThe newest release is not known; nothing was changed.\n")
    assert "does not appear to be a git repository" in said
    assert_nothing_changed(pi, upstream, before)


def test_it_says_what_is_there_and_changes_nothing(pi: Installed, upstream: Upstream) -> None:
    before, new = pi.content(), upstream.name("v0.2.0")[:7]
    old = f"0.1.0 ({upstream.name('v0.1.0')[:7]})"
    said = f"Fetching what is new …\nv0.2.0 ({new}) is there, and {old} is installed. To update: sudo script/update\n"
    assert pi.update("--check") == (0, said)
    assert pi.update("--to", "v0.1.0") == (0, f"Fetching what is new …\n{old} is v0.1.0 already.\n")
    assert pi.update("--to", "v9") == (
        1,
        f"Fetching what is new …\n{pi.clone} knows no commit “v9”; nothing was changed.\n",
    )
    assert_nothing_changed(pi, upstream, before)


def test_two_at_a_time_exclude_each_other(pi: Installed) -> None:
    with (pi.root / "run/lock/iotsite.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert pi.update() == (1, "Another script/install or script/update is at work: let it end first.\n")


@pytest.mark.parametrize(
    ("tag", "step", "why"),
    [
        ("packages", "Making the release", "The packages could not be installed: see above. Nothing was changed."),
        ("syntax", "Making the release", "SyntaxError: invalid syntax"),
        ("import", "Trying it on a copy of the data", "RuntimeError: out of order"),
    ],
)
def test_a_release_that_is_no_good_is_found_out_before_anything_is_touched(
    pi: Installed, upstream: Upstream, tag: str, step: str, why: str
) -> None:
    before, pid = pi.content(), pi.pid(CONTROLLER)
    pi.manager.asked.clear()
    status, said = pi.update("--to", tag)
    assert status == 1, said
    assert said.endswith(f"{why}\nThe update failed at “{step}”; nothing was changed.\n"), said
    assert pi.manager.asked == []
    assert pi.pid(CONTROLLER) == pid
    assert not (pi.machine.releases / upstream.name(tag)).exists()
    assert not (pi.machine.data_dir / "rehearsal").exists()
    assert_nothing_changed(pi, upstream, before)


def test_without_a_backup_it_goes_no_further(pi: Installed, upstream: Upstream) -> None:
    before, backups = pi.content(), pi.machine.data_dir / "backups"
    backups.rename(backups.with_name("away"))
    backups.touch()
    try:
        status, said = pi.update()
    finally:
        backups.unlink()
        backups.with_name("away").rename(backups)
    assert status == 1, said
    assert said.endswith(back(upstream, "Backing up")), said
    assert f"{backups} is not a folder: move it away or name another one.\n" in said
    assert_nothing_changed(pi, upstream, before)


@pytest.mark.parametrize(
    ("tag", "step", "why"),
    [
        ("half-way", "Migrating the database", "RuntimeError: the disk is full\n"),
        ("hang", "Reloading the controllers", f"{CONTROLLER} did not answer within 20 s.\n"),
        ("web", "Starting web and refresh", f"Job for {WEB} failed.\n"),
    ],
)
def test_a_step_that_fails_leads_back(pi: Installed, upstream: Upstream, tag: str, step: str, why: str) -> None:
    before = pi.content()
    status, said = pi.update("--to", tag, patience=20 if tag == "hang" else 60)
    assert status == 1, said
    assert said.endswith(back(upstream, step)), said
    assert why in said
    assert ("What it replaced is kept in" in said) == (tag != "hang"), "it alone has no migration"
    assert_nothing_changed(pi, upstream, before)


def test_a_controller_that_dies_again_and_again_is_not_given_up(pi: Installed, upstream: Upstream) -> None:
    """Neither code can start until the database is put back, which takes longer than its starts are allowed to."""
    before, service = pi.content(), pi.manager.service(CONTROLLER)
    with pi.looked_into():
        update, launches = pi.updating("--to", "crash"), service.launches
        wait_for(lambda: service.launches >= launches + 5 or service.state == "failed", 120)
    said, _ = update.communicate(timeout=300)
    assert f"{CONTROLLER} ended. This says why: journalctl -u {CONTROLLER}\n" in said
    assert said.endswith(back(upstream, "Reloading the controllers")), said
    assert_nothing_changed(pi, upstream, before)


def test_who_is_interrupted_goes_back(pi: Installed, upstream: Upstream) -> None:
    before = pi.content()
    said = pi.update_until("Backing up", signal.SIGINT)
    assert "“Backing up” failed: It was interrupted (SIGINT).\n" in said
    assert said.endswith(back(upstream, "Backing up")), said
    assert_nothing_changed(pi, upstream, before)


def test_a_kill_before_anything_is_touched_leaves_nothing_to_settle(pi: Installed, upstream: Upstream) -> None:
    before = pi.content()
    pi.update_until("Making the release", signal.SIGKILL)
    assert_nothing_changed(pi, upstream, before)


def test_what_a_kill_left_is_settled_once_the_way_back_is_free(pi: Installed, upstream: Upstream) -> None:
    before = pi.content()
    pi.update_until("Migrating", signal.SIGKILL)
    with pi.looked_into():
        status, said = pi.update(patience=1)
    backup = max((pi.machine.data_dir / "backups").iterdir())
    assert status == 1, said
    assert said.endswith(
        "The way back did not succeed. Once what stands above is mended, sudo script/update tries it again. By hand it "
        "is:\n"
        "    sudo systemctl stop iotsite-web.service iotsite-refresh.service\n"
        f"    sudo ln -sfn releases/{upstream.name('v0.1.0')} {pi.machine.current}\n"
        f"    sudo iotsite restore {backup} --in-place\n"
        "    sudo systemctl reload-or-restart iotsite-controller@1.service\n"
        "    sudo systemctl start iotsite-web.service\n"
        f"    sudo rm {pi.machine.releases.with_name('update.json')}\n"
    ), said
    status, said = pi.update("--to", "v0.1.0")
    assert status == 0, said
    assert "was interrupted.\nGoing back to" in said
    assert_nothing_changed(pi, upstream, before)


def test_a_migration_that_a_kill_left_at_work_is_waited_for(pi: Installed, upstream: Upstream) -> None:
    before, release = pi.content(), pi.machine.releases / upstream.name("slow")
    update = pi.updating("--to", "slow")
    wait_for(lambda: migrates(release), 120, "its migration")
    update.kill()
    update.communicate()
    status, said = pi.update("--to", "v0.1.0")
    assert status == 0, said
    wait_for(lambda: not migrates(release), 30, "the end of it")
    assert_nothing_changed(pi, upstream, before)


def migrates(release: Path) -> bool:
    commands = [command_of(int(process.name)) for process in Path("/proc").glob("[0-9]*")]
    return any(f"{release}/manage.py migrate " in command for command in commands)


def test_after_a_power_cut_the_boot_settles_it(pi: Installed, upstream: Upstream) -> None:
    before, levels = pi.content(), pi.levels()
    pi.update_until("Reloading", signal.SIGKILL)
    pi.manager.cut_power()
    settle_at_boot(pi.machine)
    pi.manager.boot()
    assert pi.levels() == levels
    wait_for(pi.is_ready)
    assert_nothing_changed(pi, upstream, before)


def test_an_update_moves_no_relay_and_says_what_is_new(only: Installed, upstream: Upstream) -> None:
    levels, pid = only.levels(), only.pid(CONTROLLER)
    for name in ("oldest", "older", "old"):
        (only.machine.releases / name).mkdir()
        time.sleep(0.01)
    status, said = only.update()
    assert status == 0, said
    old, new = upstream.name("v0.1.0"), upstream.name("v0.2.0")
    assert said.endswith(
        f"0.2.0 ({new[:7]}) runs, and everything answers. No relay moved.\n"
        "What is new:\n\n## 0.2.0\n\n- Rooms have colours.\n"
    )
    assert only.running() == dict.fromkeys((WEB, CONTROLLER), new)
    assert (only.levels(), only.pid(CONTROLLER)) == (levels, pid)
    assert {path.name for path in only.machine.releases.iterdir()} == {old, new, "old"}
    assert not list(only.machine.releases.parent.glob("update.*"))
    assert only.update() == (0, f"Fetching what is new …\nThere is nothing newer than 0.2.0 ({new[:7]}).\n")


def test_a_kill_after_people_were_let_in_does_not_put_the_database_back(only: Installed, upstream: Upstream) -> None:
    levels, new = only.levels(), upstream.commit("v0.3.0", {"relays/migrations/9002_more.py": MORE}, on="v0.2.0")
    only.manager.asked.clear()
    update = only.updating()
    wait_for(lambda: ("start", WEB) in only.manager.asked, 120)
    update.kill()
    update.communicate()
    left = Journal.left(only.machine)
    assert left
    assert left.is_open
    only.switch_on("Garden pump")
    status, said = only.update()
    assert status == 0, said
    assert said.startswith(
        f"The last update, from {upstream.name('v0.2.0')[:7]} to {new[:7]}, was interrupted.\n"
        f"It had come so far that 0.2.0 ({new[:7]}) is in use: it runs, and everything answers.\n"
    )
    assert only.running() == dict.fromkeys((WEB, CONTROLLER), new)
    assert only.levels() == levels | {"GPIO22": [1, 0]}


MORE = MIGRATION.replace(LAST, "9001_room_has_a_colour").replace("colour TEXT", "smell TEXT")
