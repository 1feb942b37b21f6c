from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_safe

from relays import clock, status, wiring
from relays.boards import kernel
from relays.models import Board


@require_safe
def board(request: HttpRequest, pk: int) -> HttpResponse:
    """A board: its controller, what is wired where, what config.txt should say."""
    shown = get_object_or_404(Board, pk=pk)
    context = {
        "board": shown,
        "shown": status.BoardStatus.of(shown, clock.now()),
        "places": wiring.places(shown),
        "lines": "\n".join(shown.config_txt()),
        "kernel": "" if shown.is_simulated else kernel.sentence(kernel.keeps_outputs()),
        "may_add": request.user.has_perm("relays.add_relay"),
        "may_edit": request.user.is_staff and request.user.has_perm("relays.view_board"),
    }
    return render(request, "relays/board.html", context)
