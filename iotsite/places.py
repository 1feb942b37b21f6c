"""Where the site keeps what it writes: DATA_DIR for what must last, RUN_DIR for what a reboot may take.

Standard library only: script/server reads these before anything is installed.
"""

import fcntl
import hashlib
import json
import os
import secrets
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

SOCKET_PATH_LIMIT = 107
LONGEST_SOCKET_NAME = len("/board-9999.sock")


class PlaceError(Exception):
    """A folder that cannot be used, with a sentence that says what to do."""


def private_folder(path: Path) -> Path:
    """Make ``path`` (mode 0700) if needed and return it; refuse one that somebody else owns.

    A folder in a place that everybody may write to (/dev/shm) could have been laid there by another
    user to read along or to feed us: its owner is checked, and links are not followed.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = path.lstat()
    except FileExistsError as error:
        raise PlaceError(f"{path} is not a folder: move it away or name another one.") from error
    except OSError as error:
        raise PlaceError(f"{path} cannot be made: {error.strerror}.") from error
    if not stat.S_ISDIR(found.st_mode):
        raise PlaceError(f"{path} is not a folder: move it away or name another one.")
    if found.st_uid != os.geteuid():
        raise PlaceError(f"{path} belongs to another user: remove it or name another folder.")
    if stat.S_IMODE(found.st_mode) != 0o700:
        path.chmod(0o700)
    return path


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until no other process is in here with this lock: what lies about then belongs to a dead one."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
    finally:
        os.close(lock)


def default_run_dir(data_dir: Path) -> Path:
    """The folder for sockets, locks and heartbeats of the site whose data lie in ``data_dir``.

    /dev/shm comes first because it does not depend on the environment: a command from cron or over
    ``sudo -u`` has no XDG_RUNTIME_DIR and must still meet the controller that a login shell started.
    """
    mark = hashlib.sha256(os.fsencode(data_dir.resolve())).hexdigest()[:12]
    if os.access("/dev/shm", os.W_OK):
        return Path("/dev/shm") / f"iotsite-{os.geteuid()}-{mark}"
    return Path(os.environ.get("XDG_RUNTIME_DIR", "/tmp")) / f"iotsite-{os.geteuid()}-{mark}"


def run_folder(path: Path) -> Path:
    """RUN_DIR made and checked; a Unix socket's path ends at 107 bytes."""
    if len(os.fsencode(path)) + LONGEST_SOCKET_NAME > SOCKET_PATH_LIMIT:
        room = SOCKET_PATH_LIMIT - LONGEST_SOCKET_NAME
        raise PlaceError(f"RUN_DIR {path} is too long for a socket: at most {room} bytes.")
    return private_folder(path)


def secret_key(data_dir: Path) -> str:
    """The signing key kept in ``data_dir/secret_key``, made at the first start with mode 0600."""
    path = data_dir / "secret_key"
    try:
        if not path.exists():
            _write_once(path, secrets.token_urlsafe(50))
    except OSError as error:
        raise PlaceError(f"SECRET_KEY is not set and {path} cannot be made: {error.strerror}.") from error
    key = path.read_text().strip()
    if len(key) < 50:
        raise PlaceError(f"{path} holds no usable key: delete it and start again (everybody signs in anew).")
    return key


def _write_once(path: Path, text: str) -> None:
    """Put ``text`` at ``path``, whole or not at all, unless another process was first."""
    draft = path.with_name(f".{path.name}-{os.getpid()}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    try:
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()


def this_machines_zone() -> str:
    """The time zone this machine is set to, by its IANA name; UTC where it does not say."""
    target = os.path.realpath("/etc/localtime")
    _, found, name = target.partition("/zoneinfo/")
    return name if found else "UTC"


def names_of(machine: str) -> list[str]:
    """What a browser may call the machine with this host name: from itself, and in its network."""
    short = machine.split(".")[0]
    return list(dict.fromkeys(["localhost", machine, short, f"{short}.local"]))


def write_whole(path: Path, content: dict[str, Any]) -> None:
    """Replace a small file in one step: whoever reads it, even after a kill, sees the old or the new."""
    draft = _draft(path, os.getpid(), threading.get_native_id())
    draft.write_text(json.dumps(content))
    os.replace(draft, path)  # noqa: PTH105  # Path's makes a path of the answer, which takes longer than all else


@lru_cache
def _draft(path: Path, pid: int, thread: int) -> Path:
    return path.with_name(f".{path.name}-{pid}-{thread}")


def read_whole(path: Path) -> dict[str, Any] | None:
    """The content of such a file; None where there is none, or none of ours."""
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) else None
