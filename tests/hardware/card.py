"""The SD card of a virtual Pi: a clone of this checkout in somebody's home with a try-out's data, and two releases.

The guest has no network, so releases are made out here, by script/install into a scratch root; what else an
installation is, script/install does inside.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

from tests.site import ROOT, Site, migrated_database

OWNER = 1000
"""Whom the clone belongs to: not root, and not the services' user."""
CLONE, ORIGIN = Path("/home/pi/iotsite"), Path("/srv/iotsite.git")
NEXT_VERSION = "99.0.0"
COLOUR = "9001_room_has_a_colour"
MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = [("relays", "{last}")]
    operations = [migrations.RunSQL("ALTER TABLE relays_room ADD COLUMN colour TEXT NOT NULL DEFAULT 'red'")]
"""
"""Of the next version, so that a way back has to put the database back."""
SIZE = 4 * 2**30
"""Bytes, of which the file takes those that are written."""

LINES = {"lamp": "GPIO17", "pump": "GPIO27", "heater": "GPIO22", "fan": "GPIO23", "left low": "GPIO5"}
ACTIVE_LOW = {"lamp", "heater", "left low"}
ON = ("lamp", "pump", "heater", "fan")
"""Those that the tests find on: of either polarity, one that goes off at an end and one that is held."""
OPTIONS = {
    "pump": ["--power-up", "last"],
    "heater": ["--on-stop", "hold", "--on-lost", "hold"],
    "fan": ["--on-stop", "hold", "--on-lost", "hold", "--power-up", "on"],
}
FURNISH = """
from django.core.management import call_command
from accounts.models import User
User.objects.create_superuser("admin")
for one in {words}:
    call_command(*one)
"""


class CardError(Exception):
    """What could not be made, and what was printed."""


def make_card(folder: Path) -> Path:
    """An ext4 image whose folder ``up`` is the guest's layer above this machine's files."""
    up = folder / "card/up"
    (folder / "card/work").mkdir(parents=True)
    _commit_both_versions(folder / "source", up)
    (folder / "token").write_text(_try_out(folder / "try-out"))
    (folder / "try-out/data").rename(up / CLONE.relative_to("/") / "data")
    for owned in (CLONE, ORIGIN):
        _run("chown", "-R", f"{OWNER}:{OWNER}", up / owned.relative_to("/"))
    releases = up / "opt/iotsite/releases"
    releases.parent.mkdir(parents=True)
    (folder / "scratch/opt/iotsite/releases").rename(releases)
    image = folder / "card.img"
    with image.open("wb") as file:
        file.truncate(SIZE)
    _run("mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-E", "nodiscard", "-d", folder / "card", image)
    for used in ("card", "source", "scratch", "try-out"):
        shutil.rmtree(folder / used)
    return image


def _commit_both_versions(source: Path, up: Path) -> None:
    """This checkout as a commit, the clone of it, and in the origin only a newer version; a release of each."""
    _copy_checkout(source)
    _git(source, "init", "--quiet", "--initial-branch=main")
    _commit(source, "What is installed")
    _install(source)
    origin, clone = up / ORIGIN.relative_to("/"), up / CLONE.relative_to("/")
    _git(source, "clone", "--quiet", "--bare", source, origin)
    _git(source, "clone", "--quiet", origin, clone)
    _git(clone, "remote", "set-url", "origin", str(ORIGIN))
    version = source / "iotsite/__init__.py"
    version.write_text(re.sub('__version__ = ".*"', f'__version__ = "{NEXT_VERSION}"', version.read_text()))
    migrations = source / "relays/migrations"
    last = max(path.stem for path in migrations.glob("0*.py"))
    (migrations / f"{COLOUR}.py").write_text(MIGRATION.format(last=last))
    _commit(source, "What it is updated to")
    _install(source)
    _git(source, "tag", f"v{NEXT_VERSION}")
    _git(source, "push", "--quiet", origin, "main", f"v{NEXT_VERSION}")


def _try_out(folder: Path) -> str:
    """A board with relays, as after some days of script/server; a token for its API."""
    migrated_database(folder)
    words = [["add_board", "Pi", "--driver", "gpio"]]
    for name, line in LINES.items():
        polarity = "--active-low" if name in ACTIVE_LOW else "--active-high"
        words.append(["add_relay", name, "--line", line, polarity, *OPTIONS.get(name, [])])
    words.append(["create_token", "admin", "--name", "tests", "--scope", "switch"])
    done = Site(folder).manage("shell", "-c", FURNISH.format(words=words))
    if done.returncode != 0:
        raise CardError(done.stderr)
    return done.stdout.splitlines()[-1]


def _copy_checkout(target: Path) -> None:
    """What git knows of or would add, as it is now: tests are of the code that lies here."""
    listed = _git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name, follow_symlinks=False)


def _commit(folder: Path, message: str) -> None:
    _git(folder, "add", "--all")
    _git(folder, "-c", "user.name=pi", "-c", "user.email=pi@example.org", "commit", "--quiet", "--message", message)


def _install(source: Path) -> None:
    _run(source / "script/install", "--root", source.parent / "scratch")


def _git(folder: Path, *arguments: str | Path) -> str:
    return _run("git", "-C", folder, "-c", "safe.directory=*", *arguments)


def _run(*command: str | Path) -> str:
    env = {name: value for name, value in os.environ.items() if not name.startswith(("DJANGO", "GIT_", "PYTHON"))}
    done = subprocess.run(command, env=env, capture_output=True, text=True)
    if done.returncode != 0:
        raise CardError(f"{' '.join(map(str, command))}:\n{done.stdout}{done.stderr}")
    return done.stdout
