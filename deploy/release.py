"""Releases: the code of one commit with its packages, in a folder of its own, whole or not there at all."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path

from machine import PYTHON, Account, Machine, MachineError, run, say


class Clone:
    """The git clone that the site is installed from; git is run as whom it belongs to, for it refuses anybody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        if not (self.folder / ".git").exists():
            raise MachineError(f"{self.folder} is no clone: git clone makes one, and an update needs it.")
        self.owner = Account.of(self.folder.stat().st_uid)

    def git(self, *arguments: str) -> str:
        return run("git", "-C", self.folder, *arguments, account=self.owner).strip()

    def commit(self, ref: str = "HEAD") -> str:
        """The short name of a commit, which a release is called by."""
        name = self.git("rev-parse", "--verify", "--short=12", f"{ref}^{{commit}}")
        if not re.fullmatch("[0-9a-f]{12,64}", name):
            raise MachineError(f"git calls {ref} “{name}”, which is no commit.")
        return name

    @property
    def has_changes(self) -> bool:
        return bool(self.git("status", "--porcelain"))

    def extract(self, commit: str, folder: Path) -> None:
        """Lay the files of a commit into a folder."""
        with tempfile.TemporaryFile() as archive:
            # Whatever umask the owner has told git to use, the services must be able to read it.
            say_all = ("git", "-C", self.folder, "-c", "tar.umask=0022", "archive", "--format=tar", commit)
            run(*say_all, account=self.owner, stdout=archive)
            archive.seek(0)
            run("tar", "--extract", "--no-same-owner", "--directory", folder, stdin=archive)


def make(machine: Machine, clone: Clone, commit: str) -> Path:
    """The release of a commit; made where it is not there yet.

    It is made under another name, and gets its own once it is whole: what an interrupted run left is no release.
    """
    release = machine.releases / commit
    _clear_drafts(machine)
    if release.exists():
        return release
    # No other run's: of one that was killed, tar or pip may go on writing for a while.
    draft = machine.releases / f".{commit}-{os.getpid()}"
    draft.mkdir(parents=True)
    clone.extract(commit, draft)
    (draft / ".env").symlink_to("../../../../etc/iotsite.env")
    _take_packages_over(machine, draft)
    install_packages(draft)
    run(draft / ".venv/bin/python", "-m", "compileall", "-q", "-x", r"/\.venv/", draft)
    _sync(draft)  # a power cut must not leave a whole release of empty files
    draft.rename(release)
    return release


def _sync(folder: Path) -> None:
    """Wait until what was written to the file system of a folder lies on its disk."""
    run("sync", "--file-system", folder)


def _clear_drafts(machine: Machine) -> None:
    for draft in machine.releases.glob(".*"):
        shutil.rmtree(draft, ignore_errors=True)  # where something writes still, a later run succeeds


def install_packages(release: Path) -> None:
    """Its .venv with what it requires, by script/_venv of the release itself: nothing is done where that is there."""
    # pip may need to be told of a proxy or a mirror, and its progress is worth seeing.
    env = {**os.environ, "PYTHON": PYTHON, "PYTHONDONTWRITEBYTECODE": "1"}
    script = "set -euo pipefail; . script/_venv; prepare requirements.txt"
    try:
        run("bash", "-c", script, cwd=release, env=env, shows=True)
    except MachineError as error:
        raise MachineError("The packages could not be installed: see above. Nothing was changed.") from error


def _take_packages_over(machine: Machine, draft: Path) -> None:
    """Link the packages of the release in use, where they are what this one requires: quick, and without a network."""
    old = machine.release
    if old is None or not _same(old / ".venv/requirements.txt", draft / "requirements.txt"):
        return
    say("The packages are those of the release in use.")
    shutil.copytree(old / ".venv", draft / ".venv", symlinks=True, copy_function=_link, ignore=_programs_with_a_path)


def _programs_with_a_path(folder: str, names: Iterable[str]) -> list[str]:
    """Those that name the folder of the old release: nothing of ours runs them."""
    is_bin = Path(folder).name == "bin" and Path(folder).parent.name == ".venv"
    return [name for name in names if is_bin and not name.startswith("python")]


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        shutil.copy2(source, target, follow_symlinks=False)


def _same(one: Path, other: Path) -> bool:
    return one.exists() and other.exists() and one.read_bytes() == other.read_bytes()


SYSTEM_FILES = {"systemd": "/etc/systemd/system", "sysusers.d": "/etc/sysusers.d", "tmpfiles.d": "/etc/tmpfiles.d"}


def lay_system_files(machine: Machine, release: Path) -> None:
    """Units, user, folders and command, as this release wants them; systemd is told of it by ``daemon_reload``."""
    for kind, place in SYSTEM_FILES.items():
        machine.at(place).mkdir(parents=True, exist_ok=True)
        for file in (release / "deploy" / kind).iterdir():
            _lay(file, machine.at(place) / file.name)
    machine.command.parent.mkdir(parents=True, exist_ok=True)
    _point(machine.command, "/opt/iotsite/current/deploy/iotsite")


def _lay(file: Path, target: Path) -> None:
    if _same(file, target):
        return
    draft = target.with_name(f".{target.name}")
    shutil.copyfile(file, draft)
    draft.chmod(0o644)
    draft.replace(target)


def _point(link: Path, target: str) -> None:
    """Let a link point there, in one step."""
    if link.is_symlink() and str(link.readlink()) == target:
        return
    draft = link.with_name(f".{link.name}")
    draft.unlink(missing_ok=True)
    draft.symlink_to(target)
    draft.replace(link)


def use(machine: Machine, release: Path) -> None:
    """Point ``current`` to a release, in one step; from then on whatever starts is of that one."""
    _point(machine.current, f"releases/{release.name}")
    _sync(machine.releases)
