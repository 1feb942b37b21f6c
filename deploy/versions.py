"""Which release is the newest, and what is new in one."""

from __future__ import annotations

import os
import re
from pathlib import Path

from machine import MachineError, run
from release import Clone

VERSION = re.compile(r"v(\d+)\.(\d+)\.(\d+)")
"""A release's tag; one with more than that (v2.0.0-rc1) is not yet for everybody."""
MOST_SUBJECTS = 20
PROXIES = ("http_proxy", "https_proxy", "all_proxy", "no_proxy")


def fetch(clone: Clone) -> None:
    """Fetch what is new from where the clone comes from; MachineError where that cannot be reached."""
    env = {name: value for name, value in os.environ.items() if name.lower() in PROXIES}
    env |= {"GIT_TERMINAL_PROMPT": "0", "GIT_SSH_COMMAND": "ssh -o BatchMode=yes -o ConnectTimeout=20"}
    slow = ("-c", "http.lowSpeedLimit=1000", "-c", "http.lowSpeedTime=30")
    run("git", "-C", clone.folder, *slow, "fetch", "--quiet", "--tags", "origin", account=clone.owner, env=env)


def newest(clone: Clone) -> str | None:
    """The tag of the newest release; None where there was none yet."""
    tags = [tag for tag in clone.git("tag", "--list", "v*").splitlines() if VERSION.fullmatch(tag)]
    return max(tags, key=number, default=None)


def number(version: str) -> tuple[int, ...]:
    """A version as one that can be compared; the lowest for what is none."""
    found = VERSION.match(version if version.startswith("v") else f"v{version}")
    return tuple(int(part) for part in found.groups()) if found else ()


def is_newer(clone: Clone, tag: str, installed: Path) -> bool:
    """Whether a release has something that the installed one lacks. That may be a commit between two releases."""
    return number(tag) >= number(version(installed)) and not _contains(clone, installed.name, tag)


def _contains(clone: Clone, commit: str, tag: str) -> bool:
    try:
        clone.git("merge-base", "--is-ancestor", f"{tag}^{{commit}}", commit)
    except MachineError:
        return False  # nor does it where the clone is another one, and does not know what is installed
    return True


def version(release: Path) -> str:
    """What a release says that it is."""
    found = re.search(r'^__version__ = "([^"]+)"$', (release / "iotsite/__init__.py").read_text(), re.MULTILINE)
    return found[1] if found else "?"


def called(release: Path) -> str:
    """A release as people call it."""
    return f"{version(release)} ({release.name[:7]})"


def news(clone: Clone, old: Path, new: Path) -> str:
    """What is new: the part of CHANGELOG.md that the old release does not have, else the commits."""
    return _chapters(new, version(old)) or _subjects(clone, old.name, new.name)


def _chapters(new: Path, since: str) -> str:
    """The chapters above that of a version; nothing where it has no chapter, or the first one."""
    try:
        chapters = re.split(r"(?m)^(?=## )", (new / "CHANGELOG.md").read_text())[1:]
    except FileNotFoundError:
        return ""
    numbers = [chapter.split()[1] for chapter in chapters]
    return "".join(chapters[: numbers.index(since)]).strip() if since in numbers else ""


def _subjects(clone: Clone, old: str, new: str) -> str:
    try:
        subjects = clone.git("log", "--no-merges", "--format=- %s", f"{old}..{new}").splitlines()
    except MachineError:
        return ""  # the clone does not know what was installed
    more = [f"- and {len(subjects) - MOST_SUBJECTS} more"] if len(subjects) > MOST_SUBJECTS else []
    return "\n".join(subjects[:MOST_SUBJECTS] + more)
