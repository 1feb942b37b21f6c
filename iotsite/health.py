"""Is the site alive, and is it ready? The two pages that need no login; they say nothing about relays."""

from django.contrib.auth.decorators import login_not_required
from django.db import DatabaseError
from django.http import HttpRequest, JsonResponse
from django.views.decorators.cache import never_cache

from iotsite import database, starting
from relays.models import Board


@login_not_required
@never_cache
def healthz(request: HttpRequest) -> JsonResponse:
    """This process lives."""
    return JsonResponse({"status": "alive"})


@login_not_required
@never_cache
def readyz(request: HttpRequest) -> JsonResponse:
    """200 where the database answers and every enabled board has a controller; else 503 with sentences."""
    problems = [sentence] if (sentence := database.answers()) else _board_problems()
    status = "not ready" if problems else "ready"
    answer = {"status": status, "problems": problems, "warnings": _warnings()}
    return JsonResponse(answer, status=503 if problems else 200)


def _board_problems() -> list[str]:
    try:
        boards = list(Board.objects.enabled())
    except DatabaseError as error:
        return [f"The database does not answer: {error}."]
    found = []
    for board in boards:
        silent_for, beat = board.silent_for, board.files.last_beat() or {}
        if silent_for is None:
            found.append(f"The controller of {board} does not run: start it with {starting.controller(board.pk)[-1]}.")
        elif not board.is_served:
            found.append(f"The controller of {board} has not answered for {silent_for:.0f} s.")
        elif problem := beat.get("problem"):
            found.append(f"The controller of {board} says: {problem}")
    return found


def _warnings() -> list[str]:
    size = database.wal_size()
    if size <= database.WAL_LIMIT:
        return []
    return [f"The database's log has grown to {size // 2**20} MB: something keeps it from being emptied."]
