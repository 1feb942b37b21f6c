"""Contracts: every setting is documented, and what the site writes lies where only its owner reads."""

import os
import re
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from iotsite import places, settings

ROOT = Path(__file__).resolve().parent.parent.parent
ANOTHER_USER = 12345


def load(data_dir: Path, run_dir: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Read the settings in a process of its own; what it prints is DEBUG and the length of the key."""
    kept = {name: value for name, value in os.environ.items() if name not in settings.env.scheme}
    return subprocess.run(
        [sys.executable, "-c", "from iotsite import settings; print(settings.DEBUG, len(settings.SECRET_KEY))"],
        cwd=ROOT,
        env=kept | {"DATA_DIR": str(data_dir), "RUN_DIR": str(run_dir)} | env,
        capture_output=True,
        text=True,
        timeout=30,
    )


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize(
    ("name", "pattern"), [(".env.example", r"^#?([A-Z_]+)="), ("README.md", r"^\| *`([A-Z_]+)` *\|")]
)
def test_every_variable_is_documented_and_nothing_else(name: str, pattern: str) -> None:
    documented = re.findall(pattern, (ROOT / name).read_text(), re.MULTILINE)
    assert sorted(documented) == sorted(settings.env.scheme)


def test_a_clean_start_is_safe(tmp_path: Path) -> None:
    done = load(tmp_path / "data", tmp_path / "run")
    assert (done.stdout, done.stderr) == ("False 67\n", "")
    assert mode(tmp_path / "data") == mode(tmp_path / "run") == 0o700
    assert mode(tmp_path / "data" / "secret_key") == 0o600


def test_a_folder_that_others_may_read_is_closed(tmp_path: Path) -> None:
    for name in ("data", "run"):
        (tmp_path / name).mkdir()
        (tmp_path / name).chmod(0o755)
    assert load(tmp_path / "data", tmp_path / "run").returncode == 0
    assert mode(tmp_path / "data") == mode(tmp_path / "run") == 0o700


def test_the_key_is_made_once(tmp_path: Path) -> None:
    first = places.secret_key(tmp_path)
    assert len(first) >= 50
    assert places.secret_key(tmp_path) == first
    assert [path.name for path in tmp_path.iterdir()] == ["secret_key"]


def test_processes_that_start_together_get_one_key(tmp_path: Path) -> None:
    code = f"from pathlib import Path; from iotsite import places; print(places.secret_key(Path({str(tmp_path)!r})))"
    started = [
        subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True) for _ in range(8)
    ]
    keys = {process.communicate(timeout=30)[0] for process in started}
    assert len(keys) == 1
    assert len(keys.pop().strip()) >= 50


def test_a_key_of_the_environment_is_taken_and_not_written(tmp_path: Path) -> None:
    assert load(tmp_path / "data", tmp_path / "run", SECRET_KEY="x" * 60).stdout == "False 60\n"
    assert not (tmp_path / "data" / "secret_key").exists()


def test_a_cut_off_key_is_refused(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("short")
    with pytest.raises(places.PlaceError, match="holds no usable key: delete it and start again"):
        places.secret_key(tmp_path)


def test_a_key_that_cannot_be_made_names_the_variable(tmp_path: Path) -> None:
    with pytest.raises(places.PlaceError, match=r"SECRET_KEY is not set and .* cannot be made"):
        places.secret_key(tmp_path / "missing")


def test_a_data_dir_that_is_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "data").touch()
    done = load(tmp_path / "data", tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr == f"iotsite: {tmp_path}/data is not a folder: move it away or name another one.\n"


def test_a_data_dir_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "data").symlink_to(tmp_path / "elsewhere")
    done = load(tmp_path / "data", tmp_path / "run")
    assert done.stderr == f"iotsite: {tmp_path}/data is not a folder: move it away or name another one.\n"


def test_a_folder_of_somebody_else_is_refused(tmp_path: Path) -> None:
    theirs = Path("/usr")
    if os.geteuid() == 0:
        theirs = tmp_path / "data"
        theirs.mkdir()
        os.chown(theirs, ANOTHER_USER, ANOTHER_USER)
    done = load(theirs, tmp_path / "run")
    assert done.returncode == 1
    assert done.stderr == f"iotsite: {theirs} belongs to another user: remove it or name another folder.\n"


def test_a_run_dir_too_long_for_a_socket_is_refused(tmp_path: Path) -> None:
    long = tmp_path / ("x" * 100)
    done = load(tmp_path / "data", long)
    assert done.returncode == 1
    assert done.stderr == f"iotsite: RUN_DIR {long} is too long for a socket: at most 91 bytes.\n"
    assert not long.exists()


def test_the_default_run_dir_goes_with_the_data_dir(tmp_path: Path) -> None:
    one, other = places.default_run_dir(tmp_path / "one"), places.default_run_dir(tmp_path / "other")
    assert one != other
    assert one == places.default_run_dir(tmp_path / "other" / ".." / "one")
    assert str(os.geteuid()) in one.name
