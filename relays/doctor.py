"""What is right and what is wrong with boards and relays; see iotsite/doctor."""

import re
from collections.abc import Iterable, Iterator

from django.conf import settings

from iotsite import __version__
from iotsite.doctor.findings import Finding, lasting, right, untold, wrong
from iotsite.doctor.machine import Machine, of_rows
from relays import config_txt, header
from relays.boards import BoardError, gpio, kernel, taken
from relays.header_report import HeaderReport
from relays.models import Board, Relay

CONFIG_TXT = ("/boot/firmware/config.txt", "/boot/config.txt")
"""Where it lies: on Bookworm and newer, where the second is a leftover that nobody reads; and before."""

Wiring = dict[str, Relay]
"""The relays of this machine's header by their lines."""


# --- controllers, and what they say of their relays -----------------------------------------------------------


@of_rows("Controllers")
def controllers(machine: Machine) -> Iterator[Finding]:
    boards = list(Board.objects.enabled())
    if not boards:
        yield right("Controllers", "There is no board yet, and so none is wanted.")
    for board in boards:
        yield _controller(board, machine)


def _controller(board: Board, machine: Machine) -> Finding:
    about, again = f"Controller of {board}", machine.start(f"controller@{board.pk}")
    beat, age = board.files.last_beat(), board.silent_for
    if beat is None or age is None:
        return wrong(about, "It does not run: no relay follows what is asked.", again)
    who = f"pid {beat.get('pid')}, version {beat.get('version')}"
    if not board.is_served:
        return wrong(about, f"It has not answered for {lasting(age)} ({who}).", again)
    if problem := beat.get("problem"):
        return wrong(about, f"It says: {problem}", again)
    if (beat.get("version"), beat.get("code")) != (__version__, str(settings.BASE_DIR)):
        says = f"It still runs the version {beat.get('version')} of {beat.get('code')}, not what is installed now."
        return wrong(about, f"{says} To go over moves no relay.", _upgrade(board, beat, machine))
    stopped = "; Stop everything holds all relays off" if board.is_stopped else ""
    simulated = "; the board is simulated, nothing is switched for real" if board.is_simulated else ""
    return right(about, f"It runs ({who}){stopped}{simulated}.")


def _upgrade(board: Board, beat: dict[str, object], machine: Machine) -> str:
    if machine.is_installed:
        return f"sudo systemctl reload iotsite-controller@{board.pk}"
    return f"kill -HUP {beat.get('pid')}"


@of_rows("Faults")
def faults(machine: Machine) -> Iterator[Finding]:
    """What the controllers that run complain of; what others said last is no news."""
    relays = Relay.objects.filter(is_enabled=True, board__is_enabled=True).select_related("board").order_by("name")
    heard = [relay for relay in relays if relay.board.is_served]
    for relay in heard:
        if relay.fault:
            yield wrong(f"Relay {relay}", relay.fault, machine.manage(f"switch {relay.slug} off"))
    if not heard:
        yield right("Faults", "No controller tells of any.")
    elif not any(relay.fault for relay in heard):
        who = "1 relay does" if len(heard) == 1 else f"{len(heard)} relays do"
        yield right("Faults", f"None: {who} what the controller asks.")


# --- the header of this machine ---------------------------------------------------------------------------------


def _wired() -> tuple[Board, Wiring] | None:
    """The board that is this machine's header, and its relays in the order of their lines; None where there is none."""
    board = Board.objects.enabled().filter(driver=Board.Driver.GPIO).first()
    if not board:
        return None
    relays = {relay.line: relay for relay in board.relays.filter(is_enabled=True)}
    return board, {line: relays[line] for line in sorted(relays, key=header.number_of)}


@of_rows("GPIO lines")
def lines(machine: Machine) -> Iterator[Finding]:
    """The chip of the header, whether it may be opened, and who holds which line."""
    found = _wired()
    if not found:
        yield right("GPIO lines", "No board is this machine's own header: there is nothing to look at.")
        return
    board, relays = found
    if report := HeaderReport.last(board.files):
        yield from _as_told(board, relays, report, machine)
    else:
        yield from _as_seen(board, relays, machine)


def _as_told(board: Board, relays: Wiring, report: HeaderReport, machine: Machine) -> Iterator[Finding]:
    if report.problem:
        again = machine.start(f"controller@{board.pk}")
        yield wrong("GPIO chip", f"The controller of {board} cannot look at its lines: {report.problem}.", again)
        return
    yield right("GPIO chip", f"{report.device}, which the controller of {board} may open.")
    yield from _holders(relays, report.own, report.others, f" It was seen {lasting(report.age)} ago.")


def _as_seen(board: Board, relays: Wiring, machine: Machine) -> Iterator[Finding]:
    try:
        number = gpio.find_chip(machine.root)
    except BoardError:
        yield closed_chip(board, machine)
        return
    if number is None:
        yield _no_chip(machine)
        return
    device = machine.at(f"/dev/gpiochip{number}")
    yield right("GPIO chip", f"{device}, which {machine.user} may open.")
    found = taken.by_others(device, (), relays)
    lost = f"pid {(board.files.last_beat() or {}).get('pid')},"  # its controller, which does not answer
    own = [line for line, holder in found.items() if holder.startswith(lost)]
    yield from _holders(relays, own, {line: holder for line, holder in found.items() if line not in own}, "")


def _no_chip(machine: Machine) -> Finding:
    if machine.is_confined:
        says = "The web server may not look at it, and no controller runs that would."
        return untold("GPIO chip", says, machine.manage("doctor"))
    says = "This machine shows no GPIO header, and a board is there for one."
    return wrong("GPIO chip", says, "ls -l /dev/gpiochip*\nuname -r")


def closed_chip(board: Board, machine: Machine) -> Finding:
    """Why the one who looks may not open the chip, and whether that matters."""
    if machine.is_installed:
        says = f"Only the controller of {board} may open it, and does not run."
        return untold("GPIO chip", says, machine.start(f"controller@{board.pk}"))
    group, members = _group_of_chip(machine)
    if machine.user in members:
        says = f"{machine.user} is in the group {group}, but was not yet when this session began."
        return wrong("GPIO chip", says, f"newgrp {group}")
    says = f"{machine.user} may not open it: that takes the group {group}."
    return wrong("GPIO chip", says, f"sudo usermod -aG {group} {machine.user}\nnewgrp {group}")


def _group_of_chip(machine: Machine) -> tuple[str, list[str]]:
    """The group that may open the chips, and who is in it."""
    numbers = {str(chip.stat().st_gid) for chip in machine.at("/dev").glob("gpiochip*")}
    rows = [row.split(":") for row in machine.read("/etc/group").splitlines() if row.count(":") == 3]
    found = next((row for row in rows if row[2] in numbers and row[2] != "0"), ["gpio", "", "", ""])
    return found[0], found[3].split(",")


def _holders(relays: Wiring, own: Iterable[str], others: dict[str, str], seen: str) -> Iterator[Finding]:
    own = set(own)
    for line, relay in relays.items():
        if line in others:
            yield _stolen(line, relay, others[line], seen)
    held = [f"{line} ({relay})" for line, relay in relays.items() if line in own]
    free = [f"{line} ({relay})" for line, relay in relays.items() if line not in own and line not in others]
    said = [f"held by its controller: {', '.join(held)}"] if held else []
    said += [f"held by nobody: {', '.join(free)}"] if free else []
    said += [f"held by others, and not wired here: {_and(others, relays)}"] if others.keys() - relays.keys() else []
    if said:
        text = "; ".join(said)
        yield right("GPIO lines", f"{text[0].upper()}{text[1:]}.{seen}")


def _and(others: dict[str, str], relays: Wiring) -> str:
    return ", ".join(f"{line} ({holder})" for line, holder in others.items() if line not in relays)


def _stolen(line: str, relay: Relay, holder: str, seen: str) -> Finding:
    """A line that somebody else has: its relay cannot be switched."""
    says = f"{line} ({relay}) is held by another program ({holder}): stop it or choose another line.{seen}"
    pids = re.findall(r"pid (\d+),", holder)
    return wrong("GPIO lines", says, f"sudo kill {' '.join(pids)}" if pids else "sudo fuser -v /dev/gpiochip*")


def kernel_keeps(machine: Machine) -> Iterator[Finding]:
    """What happens to a relay that is on when its controller dies."""
    if machine.away or not _wired():
        return
    keeps = kernel.keeps_outputs(machine.root)
    if keeps:
        yield right("Kernel", kernel.sentence(keeps))
    elif machine.model:
        look = f"grep -n strict_gpiod {CONFIG_TXT[0]}\nsudo apt update\nsudo apt full-upgrade"
        yield (untold if keeps is None else wrong)("Kernel", kernel.sentence(keeps), look)
    else:
        yield untold("Kernel", f"{kernel.sentence(keeps)} Nothing mends that on a machine that is no Pi.", "uname -r")


# --- while it boots ---------------------------------------------------------------------------------------------


def boot(machine: Machine) -> Iterator[Finding]:
    """Whether the firmware drives each relay to off before any program runs."""
    found = None if machine.away else _wired()
    if not found or not found[1]:
        return
    path = next((path for path in CONFIG_TXT if machine.at(path).exists()), CONFIG_TXT[0])
    try:
        lines = config_txt.boot_lines(machine.at(path), machine.model)
    except OSError as error:
        yield untold("While it boots", f"{path} cannot be read here: {error.strerror}.", f"cat {path}")
        return
    yield _boot(found[1], lines, path)


def _boot(relays: Wiring, lines: dict[int, config_txt.BootLine], path: str) -> Finding:
    about = "While it boots"
    said: dict[str, list[str]] = {}
    for line, relay in relays.items():
        said.setdefault(_at_boot(relay, lines.get(header.number_of(line))), []).append(line)
    add = " ".join(_config_line(relays[line]) for line in relays if line not in said.get(OFF, []))
    command = f"printf '%s\\n' '' '[all]' {add} | sudo tee -a {path}"
    if ON in said:
        says = f"{path} drives {_named(said[ON], relays)} to on until the controller has started."
        return wrong(about, says, command)
    if LEFT in said:
        says = f"{path} does not keep {_named(said[LEFT], relays)} off"
        return wrong(about, f"{says}: it may click, or be on until the controller starts.", command)
    if DOUBTFUL in said:
        says = (
            f"{path} says of {_named(said[DOUBTFUL], relays)} something under a condition that cannot be judged here."
        )
        return untold(about, says, f"grep -n -e '^\\[' -e '^gpio=' {path}")
    return right(about, f"{path} keeps {_named(relays, relays)} off.")


OFF, ON, LEFT, DOUBTFUL = "off", "on", "left alone", "doubtful"


def _at_boot(relay: Relay, line: config_txt.BootLine | None) -> str:
    """What the firmware does to a relay."""
    if line and line.is_doubtful:
        return DOUBTFUL
    if not line or not line.is_output or not line.level:
        return LEFT
    return OFF if line.level == ("dh" if relay.is_active_low else "dl") else ON


def _config_line(relay: Relay) -> str:
    return header.off_in_config_txt(relay.line, is_active_low=relay.is_active_low)


def _named(lines: Iterable[str], relays: Wiring) -> str:
    return ", ".join(f"{line} ({relays[line]})" for line in lines)
