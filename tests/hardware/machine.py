"""A virtual machine whose kernel has a GPIO chip, in which the tests of this folder run; see vm/README.md.

Its root is this machine's whole file system, read-only below a layer in memory: the same Python, virtual
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
from pathlib import Path
from typing import Any

from tests.site import ROOT, migrated_database

VM = Path(__file__).parent / "vm"
SHARE = Path("/gpio-out")
"""Where the guest sees the one folder that it may write to."""

IS_GUEST = "GPIO_SIM" in os.environ
NOT_POSSIBLE_HERE = 77
LONGEST_BOOT = 120.0
LONGEST_RUN = 1200.0


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
        shutil.copy(migrated_database(self.share / "template"), self.share / "db.sqlite3")
        shutil.copy(VM / "guest", self.share)
        (self.share / "job").write_text(_job(tests))
        self.began = time.monotonic()
        self.is_told = False
        self.process = subprocess.Popen(_qemu(folder, self.share), stdin=subprocess.DEVNULL)

    def results(self, test: str) -> Iterator[dict[str, Any]]:
        """The reports of one test, as soon as it is over."""
        while True:
            is_over = self.process.poll() is not None
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


def _job(tests: list[str]) -> str:
    plugins = ["-p", "pytest_django.plugin", "-p", "no:cacheprovider"]
    pytest = [sys.executable, "-m", "pytest", *plugins, "-o", "addopts=", "--ds", "tests.hardware.settings", *tests]
    exports = {"PATH": os.environ["PATH"], "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    rows = [f"export {name}={shlex.quote(value)}" for name, value in exports.items()]
    # A run takes minutes: this copies the checkout into memory, so that edits made outside meanwhile stay outside.
    snapshot = "find . -mindepth 1 -name '.*' -prune -o -type f -exec chown root {} +"
    return "\n".join([*rows, f"cd {shlex.quote(str(ROOT))}", snapshot, shlex.join(pytest)])


def _qemu(folder: Path, share: Path) -> list[str]:
    # TCG even where there is /dev/kvm: a nested one stops this guest in its early boot.
    # mitigations=off and tsc=reliable: less to emulate. A Nehalem is emulated faster than newer processors.
    append = "console=ttyS0 loglevel=5 panic=-1 mitigations=off nokaslr tsc=reliable random.trust_cpu=on"
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
