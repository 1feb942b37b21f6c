"""A virtual machine whose kernel has a GPIO chip, in which the tests of this folder run; see vm/README.md.

Its root is this machine's whole file system, read-only below a layer in memory or on a card: the same Python, virtual
environment and checkout stand at the same paths. What comes back is a report of each phase of each test.
"""

import json
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from tests.hardware.card import CardError, make_card
from tests.site import ROOT, migrated_database

VM = Path(__file__).parent / "vm"
SHARE = Path("/gpio-out")
"""Where the guest sees the one folder that it may write to."""

IS_GUEST = "GPIO_SIM" in os.environ
NOT_POSSIBLE_HERE = 77
PROCESSORS = 4
"""Fewer would make a whole run longer than the 25 minutes that it may take."""
LONGEST_BOOT = 240.0
LONGEST_RUN = 1800.0


class MachineError(Exception):
    """The machine did not do what it should; says what it printed last."""


@dataclass(frozen=True)
class Kernel:
    """The folder with the guest's kernel; or why there is none, and whether something failed or is only not here."""

    folder: Path | None
    why_not: str = ""
    is_failure: bool = False


@cache
def kernel() -> Kernel:
    """Made at the first call, which takes half a minute the first time."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return Kernel(None, "the virtual machine is one for x86-64 Linux")
    if os.geteuid() != 0:
        return Kernel(None, "the virtual machine needs root")
    if platform.freedesktop_os_release().get("VERSION_CODENAME") != "bookworm":
        return Kernel(None, "the virtual machine is built from the packages of Debian 12")
    made = subprocess.run([VM / "build.sh"], capture_output=True, text=True)
    if made.returncode == 0:
        return Kernel(Path(made.stdout.strip()))
    if made.returncode == NOT_POSSIBLE_HERE:
        return Kernel(None, made.stderr.strip().splitlines()[-1])
    return Kernel(None, f"{VM / 'build.sh'} failed:\n{made.stderr[-2000:]}", is_failure=True)


class Machine:
    """One boot, in which pytest runs the tests named."""

    def __init__(self, folder: Path, tests: list[str]) -> None:
        self.share = Path(tempfile.mkdtemp(prefix="iotsite-vm-"))
        self.reports = self.share / "reports"
        self.reports.touch()
        shutil.copy(VM / "chip", self.share)
        self.command = _qemu(folder, self.share) + self._prepare(tests)
        self.began = time.monotonic()
        self.is_told = False
        self.process = self._boot()

    def _prepare(self, tests: list[str]) -> list[str]:
        """Lay into the shared folder what the guest does; what it has besides, as options of QEMU."""
        shutil.copy(migrated_database(self.share / "template"), self.share / "db.sqlite3")
        shutil.copy(VM / "guest", self.share)
        (self.share / "job").write_text(_job("tests.hardware.settings", tests))
        return []

    def _boot(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self.command, stdin=subprocess.DEVNULL)

    def _is_over(self) -> bool:
        return self.process.poll() is not None

    def results(self, test: str) -> Iterator[dict[str, Any]]:
        """The reports of one test, as soon as it is over."""
        while True:
            is_over = self._is_over()
            mine = [report for report in self._read() if report["nodeid"] == test]
            if any(report["when"] == "teardown" for report in mine):
                yield from mine
                return
            if is_over:
                raise MachineError(f"The machine ended without this test. {self._last_words()}")
            self._check_time()
            time.sleep(0.2)

    def _read(self) -> list[dict[str, Any]]:
        whole_lines = self.reports.read_text().rpartition("\n")[0]
        return [json.loads(line) for line in whole_lines.splitlines()]

    def _check_time(self) -> None:
        lasted = time.monotonic() - self.began
        is_up = (self.share / "output").exists()
        if lasted > (LONGEST_RUN if is_up else LONGEST_BOOT):
            self.end()

    def _last_words(self) -> str:
        """The end of what was printed inside, by the kernel if nothing else was; told once only."""
        said = next((file for file in (self.share / "output", self.share / "console") if file.exists()), None)
        if said is None or self.is_told:
            return ""
        self.is_told = True
        return "\n".join(["Its last words:", *said.read_text(errors="replace").splitlines()[-40:]])

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def forget(self) -> None:
        self.end()
        shutil.rmtree(self.share)


class Pi(Machine):
    """systemd on a card of its own: a boot for the tests of each file, each with what the one before left there."""

    @classmethod
    def why_not(cls) -> str:
        """Why it is not to be had here; empty where it is."""
        if (os.cpu_count() or 1) < PROCESSORS and "WITH_SYSTEMD" not in os.environ:
            return f"the machine with systemd wants {PROCESSORS} processors, or WITH_SYSTEMD=1: it takes minutes of two"
        missing = cls._missing()
        return f"the machine with systemd needs {', '.join(missing)}" if missing else ""

    @staticmethod
    def _missing() -> list[str]:
        """The packages of Debian that it needs besides, and that are not installed here."""
        needs = {"systemd": "/lib/systemd/systemd", "e2fsprogs": "/sbin/mke2fs", "git": "/usr/bin/git"}
        missing = [package for package, file in needs.items() if not Path(file).exists()]
        has_venv = subprocess.run(["/usr/bin/python3", "-c", "import ensurepip, venv"], capture_output=True)
        return missing if has_venv.returncode == 0 else [*missing, "python3-venv"]

    def _prepare(self, tests: list[str]) -> list[str]:
        try:
            card = make_card(self.share)
        except CardError as error:
            shutil.rmtree(self.share)
            raise MachineError(str(error)) from error
        for file in VM.glob("vm-*"):
            shutil.copy(file, self.share)
        shutil.copy(VM / "guest-systemd", self.share / "guest")
        shutil.copy(VM / "jobs", self.share)
        jobs = [list(some) for _, some in groupby(tests, lambda test: test.partition("::")[0])]
        for number, job in enumerate(jobs, 1):
            (self.share / f"job-{number}").write_text(_job("tests.settings", job))
        self.reboots_left = len(jobs) - 1
        return ["-drive", f"file={card},if=virtio,format=raw,cache=unsafe"]

    def _is_over(self) -> bool:
        """QEMU ends where the guest starts anew, and is started again: a reset of its own takes it minutes."""
        if not super()._is_over():
            return False
        if self.reboots_left == 0 or self.process.returncode != 0:
            return True
        self.reboots_left -= 1
        self.process = self._boot()
        return False


def _job(settings: str, tests: list[str]) -> str:
    plugins = ["-p", "pytest_django.plugin", "-p", "no:cacheprovider"]
    pytest = [sys.executable, "-m", "pytest", *plugins, "-o", "addopts=", "--ds", settings, *tests]
    exports = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    rows = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    # A run takes minutes: this copies the checkout, so that edits made outside meanwhile stay outside.
    snapshot = "find . -mindepth 1 -name '.*' -prune -o -type f -exec chown root {} +"
    return "\n".join([*rows, f"cd {shlex.quote(str(ROOT))}", snapshot, shlex.join(pytest)])


def _qemu(folder: Path, share: Path) -> list[str]:
    # TCG even where there is /dev/kvm: a nested one stops this guest in its early boot.
    # mitigations=off and tsc=reliable: less to emulate. A Nehalem is emulated faster than newer processors. norandmaps:
    # what lies at the same address in each process is translated once for all of them.
    append = "console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr norandmaps tsc=reliable random.trust_cpu=on"
    options = {
        "accel": "tcg,thread=multi",
        "machine": "q35",
        "cpu": "Nehalem",
        "smp": "1",
        "m": "2048",
        "display": "none",
        "kernel": folder / "vmlinuz",
        "initrd": folder / "initramfs.cpio",
        "append": append,
        "serial": f"file:{share / 'console'}",
    }
    command = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-no-reboot", "-device", "virtio-rng-pci"]
    for name, value in options.items():
        command += [f"-{name}", str(value)]
    for tag, path, extra in (("host", "/", ",readonly=on"), ("out", share, "")):
        command += ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{extra}"]
        command += ["-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]
    return command
