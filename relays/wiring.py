"""What is wired where: every pin of a board's header with its relays, as the drawing of the header shows it."""

from dataclasses import dataclass, replace

from relays import header
from relays.header import Pin
from relays.models import Board, Relay


@dataclass(frozen=True)
class Place:
    """A pin and the relays that name its line, the enabled one first."""

    pin: Pin
    relays: tuple[Relay, ...] = ()
    is_offered: bool = False
    """A form may choose it."""
    is_chosen: bool = False


def places(board: Board) -> list[Place]:
    """The header of ``board`` by the numbers of its pins; one query."""
    relays = sorted(board.relays.all(), key=lambda relay: not relay.is_enabled)
    return [Place(pin, tuple(r for r in relays if r.line == pin.line)) for pin in header.pins(board.header)]


def choice(board: Board, chosen: str, own: int | None = None) -> list[Place]:
    """The same for a form: lines that no enabled relay uses are offered, and that of the relay ``own`` itself."""
    return [
        replace(
            place,
            is_offered=bool(place.pin.line) and all(r.pk == own or not r.is_enabled for r in place.relays),
            is_chosen=bool(chosen) and place.pin.line == chosen,
        )
        for place in places(board)
    ]
