"""What a stop, a crash, a reboot and a power cut do to one relay on the kernel that runs here, in sentences."""

from relays import durations, header
from relays.boards import kernel
from relays.models import Relay

STOP = "The controller is stopped (Ctrl-C, SIGTERM)"
UPGRADE = "An upgrade (SIGHUP)"
CRASH = "The controller crashes or is killed, and is back within seconds"
LOSS = "It crashes and does not come back (5 times in a minute)"
WEB = "The web server crashes, restarts or is upgraded"
BOOT = "While the Raspberry Pi boots"
REBOOT = "Reboot"
POWER_CUT = "Power cut"

MAY_DROP = "This kernel does not say whether it keeps outputs. If it does not: "


def sentences(relay: Relay) -> list[tuple[str, str]]:
    """What may happen, and what that does to ``relay``. Simulated lines outlive their program, as on a good kernel."""
    keeps = True if relay.board.is_simulated else kernel.keeps_outputs()
    return told(relay, keeps)


def told(relay: Relay, keeps: bool | None) -> list[tuple[str, str]]:
    """The same for a kernel that keeps outputs when their program dies, lets them go, or does not say (None)."""
    if not (relay.is_enabled and relay.board.is_enabled):
        return [("Whatever happens", "Nothing drives it: it is disabled, and its line is let go."), *_boot(relay)]
    return [
        (STOP, _stop(relay, keeps)),
        (UPGRADE, _moves(keeps, "The pin does not move.", "for about a second, until the new controller takes it")),
        (CRASH, _crash(relay, keeps)),
        (LOSS, _loss(relay, keeps)),
        (WEB, "Nothing: it owns no pin."),
        *_boot(relay),
        (REBOOT, f"The controller is stopped in order, as above. {_power_up(relay)}"),
        (POWER_CUT, f"{_power_cut(relay)} {_power_up(relay)}"),
    ]


def _moves(keeps: bool | None, kept: str, how_long: str) -> str:
    """``kept`` where the kernel keeps outputs; else that the relay drops, and for ``how_long``."""
    drop = f"If it is on, it drops {how_long}; if it is off, it stays off."
    if keeps is None:
        return f"{kept} {MAY_DROP}{drop[0].lower()}{drop[1:]}"
    return kept if keeps else drop


def _stop(relay: Relay, keeps: bool | None) -> str:
    if relay.on_stop == Relay.End.OFF:
        return "It is switched off first. The next start counts as a power-up (see “Reboot”)."
    kept = "The pin stays as it is, on or off. The next start goes on with what is wanted."
    return _moves(keeps, kept, "until the controller is started again: this kernel cannot hold it")


def _crash(relay: Relay, keeps: bool | None) -> str:
    kept = "The pin does not move, and what it was switched on for still ends on time."
    words = _moves(keeps, kept, "until the controller is back")
    if not relay.is_momentary:
        return words
    if keeps is False:
        return f"{words} A press that is cut short drops at once; what is left of it is made up for."
    return f"{words} A press that is cut short ends when the controller is back."


def _loss(relay: Relay, keeps: bool | None) -> str:
    if relay.on_lost == Relay.End.OFF:
        words = "A small program without Django or database switches it off. The next start counts as a power-up."
        return f"It drops with the controller. {words}" if keeps is False else words
    kept = "The pin stays as it is. If it is on, nothing switches it off, not even the end of “on for …”"
    if relay.max_on:
        kept += f" or its longest on, {durations.words(relay.max_on)}"
    return _moves(keeps, f"{kept}.", "and stays off: this kernel cannot hold it")


def _boot(relay: Relay) -> list[tuple[str, str]]:
    """Before any program runs the chip pulls the line, and a relay may take that for on."""
    if relay.board.is_simulated:
        return []
    is_up = header.is_pulled_up(relay.line)
    pulled = f"{relay.line} is an input, weakly pulled {'up' if is_up else 'down'}"
    cure = f"“{header.off_in_config_txt(relay.line, is_active_low=relay.is_active_low)}” in config.txt"
    if is_up is relay.is_active_low:
        return [(BOOT, f"{pulled}: that is off for it, as it is {relay.polarity}. To be sure, put {cure}.")]
    return [(BOOT, f"{pulled}: it may click or go on, as it is {relay.polarity}. {cure} prevents that.")]


def _power_cut(relay: Relay) -> str:
    if relay.board.is_simulated:
        return "Its simulated line is forgotten. When the machine is back:"
    return "The relay drops. When the power is back:"


def _power_up(relay: Relay) -> str:
    """What it does when the controller starts after a boot."""
    choice = Relay.PowerUp(relay.power_up)
    if choice == Relay.PowerUp.OFF or relay.is_momentary:
        return "It is off, and stays off until somebody asks."
    if relay.is_locked:
        return "It stays off as long as it is locked."
    if relay.board.is_stopped:
        return "It stays off as long as everything is stopped."
    if choice == Relay.PowerUp.ON:
        return "It goes on when the controller has started."
    return "It goes on if on is what was wanted last, unless its time is over meanwhile; else it stays off."
