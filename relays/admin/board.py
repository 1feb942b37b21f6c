from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.html import format_html

from iotsite import starting
from iotsite.admin import moment
from relays import wiring
from relays.admin.edited import EditedAdmin, Sections
from relays.models import Board


@admin.register(Board)
class BoardAdmin(EditedAdmin):
    list_display = ["name", "driver", "state", "is_enabled", "relay_count"]
    list_filter = ["driver", "is_enabled"]
    search_fields = ["name"]
    readonly_fields = ["state", "wiring", "config_txt"]

    class Media:
        css = {"all": ["header.css"]}

    def sections(self, row: Board | None) -> Sections:
        fields = ["name", "driver", "header", "is_enabled", "ons_per_second"]
        if row is None:
            return [(None, {"fields": fields})]
        return [
            (None, {"fields": ["state", *fields]}),
            ("What is wired where", {"fields": ["wiring"]}),
            ("While the Raspberry Pi boots", {"fields": ["config_txt"]}),
        ]

    def history_of(self, row: Board) -> dict[str, int]:
        return {"board__id__exact": row.pk}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Board]:
        return Board.objects.annotate(relay_count=Count("relays")).order_by("name")

    def why_kept(self, row: Board) -> str:
        if row.events.exists():
            return f"{row} has a history: disable it instead of deleting it."
        if row.relays.exists() or row.interlocks.exists():
            return f"{row} has relays or interlocks: delete those first, or disable the board."
        return ""

    @admin.display(description="relays", ordering="relay_count")
    def relay_count(self, board: Any) -> int:
        count: int = board.relay_count
        return count

    @admin.display(description="now")
    def state(self, board: Board) -> str:
        silent_for = board.silent_for
        if not board.is_enabled:
            words = "Disabled: it has no controller, and its relays do nothing."
        elif silent_for is None:
            words = f"Its controller does not run: start it with {' or '.join(starting.controller(board.pk))}."
        elif board.is_served:
            words = "Its controller answers."
        else:
            words = f"Its controller has not answered for {silent_for:.0f} s."
        return format_html("{} {}", self._stop(board), words) if board.is_stopped else words

    def _stop(self, board: Board) -> str:
        who = board.stopped_by or board.files.latched_by().get("who")
        return format_html(
            '<strong class="stopped">Everything is stopped{}{}. Nothing can be switched on until it is '
            '<a href="{}">reset</a>.</strong>',
            f" since {moment(board.stopped_at)}" if board.stopped_at else "",
            f" by {who}" if who else "",
            reverse("relays:reset_stop"),
        )

    @admin.display(description="header")
    def wiring(self, board: Board) -> str:
        return render_to_string("admin/relays/board/_wiring.html", {"places": wiring.places(board)})

    @admin.display(description="lines for config.txt")
    def config_txt(self, board: Board) -> str:
        return render_to_string(
            "admin/relays/board/_config.html", {"lines": "\n".join(board.config_txt()), "board": board}
        )
