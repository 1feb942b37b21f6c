"""What the next start of the controllers will do to relays, as far as that can be told from here."""

from collections.abc import Iterable

from relays import clock, plan
from relays.line import Line, line_as_left
from relays.memory import Memory
from relays.models import Board, Relay


def on_at_start(*, after_boot: bool) -> list[Relay]:
    """The relays that will be on once their controllers were started, in this boot or the next one.

    ``after_boot``: nothing is remembered then of how their lines were left.
    """
    found: list[Relay] = []
    for board in Board.objects.enabled():
        left = None if after_boot else Memory.load(board.files, clock.boot_id())
        found += _on(board, left)
    return found


def _on(board: Board, left: Memory | None) -> Iterable[Relay]:
    now = clock.now()
    rows = board.relays.filter(is_enabled=True).select_related("interlock").order_by("name")
    lines = [line_as_left(row, left, now.boot) for row in rows]
    for line in lines:
        line.note_command(now)
    state = _state(board, lines)
    state = state.changed(list(plan.plan(state, now).changes))
    return (line.row for line in lines if state.relay(line.row.pk).wanted)


def _state(board: Board, lines: list[Line]) -> plan.BoardState:
    return plan.BoardState(
        relays=tuple(line.as_state() for line in lines),
        interlocks={line.row.interlock.pk: line.row.interlock.as_state() for line in lines if line.row.interlock},
        is_stopped=board.is_stopped,
        ons_per_second=board.ons_per_second,
    )
