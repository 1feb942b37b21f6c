"""The header of a Raspberry Pi, through gpiozero and lgpio.

gpiozero's own lgpio pins would click a relay at each start: they claim the line as an input, then as an output at
level 0, then write the level that was asked for; and their close() lets the pin float. Ours claim once, at the
level, and let go without touching it. The chip is chosen by its label and the factory named: nothing falls back.
"""

import array
import contextlib
import fcntl
import os
import struct
from pathlib import Path
from typing import Any

from relays.boards import BoardError, taken
from relays.runfiles import BoardFiles

GPIO_GET_CHIPINFO_IOCTL = 0x8044B401
"""struct gpiochip_info { char name[32]; char label[32]; __u32 lines; }, from linux/gpio.h."""


def chip_label(device: Path) -> str:
    """What the kernel calls a chip: ``pinctrl-bcm2711`` for the header of a Pi 4."""
    info = array.array("B", bytes(68))
    handle = os.open(device, os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(handle, GPIO_GET_CHIPINFO_IOCTL, info)
    finally:
        os.close(handle)
    label: bytes = struct.unpack("32s32sI", info.tobytes())[1]
    return label.rstrip(b"\0").decode(errors="replace")


def is_raspberry_pi(root: Path = Path("/")) -> bool:
    try:
        return b"Raspberry Pi" in (root / "proc/device-tree/model").read_bytes()
    except OSError:
        return False


def find_chip(root: Path = Path("/")) -> int | None:
    """The number of the chip that carries the header; None where this machine has none. BoardError if it is closed."""
    for device in sorted((root / "dev").glob("gpiochip[0-9]*")):
        try:
            if chip_label(device).startswith("pinctrl-"):
                return int(device.name.removeprefix("gpiochip"))
        except PermissionError as error:
            if not is_raspberry_pi(root):
                continue  # a laptop's own chip, which is nobody's header
            raise BoardError(
                f"{device} may not be opened by this user: run “sudo usermod -aG gpio $USER”, sign in again."
            ) from error
        except OSError:
            continue
    return None


def find_header(folder: Path) -> str:
    """Which header this Pi has: J8, P1 or P1-rev1. ``folder``: where lgpio may leave its FIFO."""
    info = _factory(_chip(), folder).board_info
    if "J8" in info.headers:
        return "J8"
    return "P1-rev1" if info.pcb_revision == "1.0" else "P1"


def _chip() -> int:
    chip = find_chip()
    if chip is None:
        raise BoardError("This machine has no GPIO header: use a simulated board, or run this on a Raspberry Pi.")
    return chip


def _factory(chip: int, folder: Path) -> Any:
    # lgpio makes a FIFO where it is imported, and fails where it cannot. LG_WD would name another place, but lgpio
    # stays there then, and a controller that is to start itself anew would not find its manage.py.
    try:
        with contextlib.chdir(folder):
            import lgpio
            from gpiozero import GPIOZeroError
            from gpiozero.pins.lgpio import LGPIOFactory, LGPIOPin
            from gpiozero.pins.local import LocalPiPin
    except ImportError as error:
        raise BoardError("Python's lgpio is missing: run “sudo apt install python3-lgpio”, start again.") from error

    class SteadyPin(LGPIOPin):  # type: ignore[misc]
        """A pin that is claimed once, at its level, and never becomes an input."""

        def __init__(self, factory: Any, info: Any) -> None:
            LocalPiPin.__init__(self, factory, info)
            self._pwm = self._bounce = self._callback = None
            self._edges = lgpio.BOTH_EDGES

        def output_with_state(self, state: Any) -> None:
            lgpio.gpio_claim_output(self.factory._handle, self._number, int(bool(state)))

        def close(self) -> None:
            try:
                lgpio.gpio_free(self.factory._handle, self._number)
            except lgpio.error:
                pass  # it was never claimed

    try:
        factory = LGPIOFactory(chip)
        factory.pin_class = SteadyPin
        factory.board_info  # noqa: B018 asks which Pi this is, now rather than at the first pin
    except (GPIOZeroError, lgpio.error, OSError) as error:
        raise BoardError(f"The GPIO chip {chip} cannot be used: {error}.") from error
    return factory


class Gpio:
    """The driver: one gpiozero OutputDevice for each claimed line."""

    def __init__(self, files: BoardFiles) -> None:
        self.chip = _chip()
        self._factory = _factory(self.chip, files.run_dir)
        import gpiozero
        import lgpio

        self._lgpio = lgpio
        self._gpiozero = gpiozero
        self._errors = (gpiozero.GPIOZeroError, lgpio.error, OSError)
        self._devices: dict[str, Any] = {}

    def claim(self, line: str, on: bool, *, active_low: bool) -> None:
        try:
            self._devices[line] = self._gpiozero.OutputDevice(
                line, active_high=not active_low, initial_value=on, pin_factory=self._factory
            )
        except self._errors as error:
            raise BoardError(self._why_not(line, error)) from error

    def write(self, line: str, on: bool) -> None:
        try:
            self._devices[line].value = on
        except self._errors as error:
            raise BoardError(f"{line} cannot be written: {error}.") from error

    def read(self, line: str) -> bool:
        try:
            return bool(self._devices[line].value)
        except self._errors as error:
            raise BoardError(f"{line} cannot be read: {error}.") from error

    def release(self, line: str, *, hold: bool) -> None:
        try:
            if not hold:
                self._devices[line].value = False
            self._devices.pop(line).close()
        except self._errors as error:
            raise BoardError(f"{line} cannot be let go: {error}.") from error

    def _why_not(self, line: str, error: Exception) -> str:
        if "busy" not in str(error):
            return f"{line} cannot be claimed: {error}."
        user = self._lgpio.gpio_get_line_info(self._factory._handle, int(line.removeprefix("GPIO")))[4]
        holder = " or ".join(taken.processes(line, user)) or user or "unknown"
        return f"{line} is in use by another program ({holder}): stop it or choose another line."


def open_board(files: BoardFiles) -> Gpio:
    return Gpio(files)
