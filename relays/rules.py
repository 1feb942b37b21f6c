"""The rules of a relay in sentences, as its page and whoever wires it read them. What they do stands in plan.py."""

from collections.abc import Sequence

from relays import durations, header
from relays.models import Interlock, Relay


def sentences(relay: Relay, siblings: Sequence[str] = ()) -> list[str]:
    """``siblings``: the names of the other relays of its interlock."""
    told = [_wiring(relay)]
    if relay.pulse:
        told.append(f"It is only ever pressed: a press lasts {durations.exact(relay.pulse)}.")
    if relay.max_on:
        told.append(f"It is switched off after {durations.exact(relay.max_on)} on, whoever asked.")
    if relay.min_on:
        told.append(
            f"Once on, it stays on for at least {durations.exact(relay.min_on)}; "
            "Stop everything, its interlock and the end of its time go before that."
        )
    if relay.min_off:
        told.append(f"Once off, it stays off for at least {durations.exact(relay.min_off)}: an on waits until then.")
    if relay.interlock:
        told.append(_interlock(relay.interlock, siblings))
    told.append({"off": "At power-up it is off.", "on": "At power-up it goes on."}.get(relay.power_up, LAST))
    return told


LAST = "At power-up it goes on if it was wanted on last, and its time is not over."


def _wiring(relay: Relay) -> str:
    pin = header.pin_of(relay.board.header, relay.line)
    where = f", pin {pin} of its header" if pin else ""
    level = "low" if relay.is_active_low else "high"
    return f"It is switched by {relay.line} of {relay.board}{where}; {relay.polarity}: on when the pin is {level}."


def _interlock(interlock: Interlock, siblings: Sequence[str]) -> str:
    if not siblings:
        return f"It is alone in the interlock {interlock}: nothing else has to be off."
    others = " and ".join([", ".join(siblings[:-1]), siblings[-1]] if siblings[1:] else siblings)
    pause = durations.exact(interlock.dead_time)
    together = f"It is never on together with {others} ({interlock})"
    if interlock.policy == Interlock.Policy.REFUSE:
        return f"{together}: while one is on, an on of another is refused; {pause} pass in between."
    return f"{together}: going on switches the other off, and {pause} pass in between."
