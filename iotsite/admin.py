"""What the admin of every app shares: its name, its way to our sign-in page, and how it says no."""

from collections.abc import Callable, Iterable
from datetime import datetime
from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.auth.decorators import login_not_required
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db import DatabaseError, models
from django.db.models import ProtectedError
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import date_format
from django.views.decorators.http import require_safe

admin.site.site_header = admin.site.site_title = "iotsite admin"
admin.site.index_title = "What there is"
admin.site.enable_nav_sidebar = False

COUNTED_AT_MOST = 10_000


@login_not_required
@require_safe
def sign_in(request: HttpRequest) -> HttpResponse:
    """The admin has no sign-in of its own: one page asks for passwords, so that one place can limit guessing."""
    if request.user.is_authenticated:
        messages.error(request, f"{request.user} may not use the admin: sign in as somebody who may.")
    return redirect_to_login(request.GET.get("next") or reverse("admin:index"))


def change_password(request: HttpRequest) -> HttpResponse:
    """Nor has it a page of its own where one's old password is asked for."""
    return redirect("accounts:password")


def moment(at: datetime) -> str:
    """A moment as the admin writes it everywhere; the year only where it is another one."""
    there = timezone.localtime(at)
    return date_format(there, "j M H:i:s" if there.year == timezone.localtime().year else "j M Y H:i:s")


class CappedPaginator(Paginator):  # type: ignore[type-arg]  # not generic at run time
    """Counts no further than people turn pages: counting ten million rows takes seconds."""

    @cached_property
    def count(self) -> int:
        count: int = self.object_list[:COUNTED_AT_MOST].count()  # type: ignore[attr-defined]
        return count


class HistoryAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """What happened, the newest first: to be read, never written. There may be millions of it."""

    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER
    paginator = CappedPaginator
    ordering = ["-id"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class CarefulAdmin(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Never deletes what has a history, and says in a sentence what the rules or the database refuse."""

    def why_kept(self, row: Any) -> str:
        """Why ``row`` may not be deleted and what to do instead; empty where it may."""
        raise NotImplementedError

    def get_deleted_objects(
        self, objs: "models.QuerySet[models.Model] | Iterable[models.Model]", request: HttpRequest
    ) -> tuple[list[Any], dict[str, int], set[str], list[str]]:
        # Asked before Django collects what hangs on the rows: that may be millions of Events.
        kept = [sentence for row in objs if (sentence := self.why_kept(row))]
        return ([], {}, set(), kept) if kept else super().get_deleted_objects(objs, request)  # type: ignore[arg-type]

    def changeform_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return self._or_say_why(super().changeform_view, request, *args, **options)

    def changelist_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return self._or_say_why(super().changelist_view, request, *args, **options)

    def delete_view(self, request: HttpRequest, *args: Any, **options: Any) -> Any:
        return self._or_say_why(super().delete_view, request, *args, **options)

    @staticmethod
    def _or_say_why(view: Callable[..., Any], request: HttpRequest, *args: Any, **options: Any) -> Any:
        """What ``view`` answers; where what it checked has changed before it saved, the page anew with the reason."""
        try:
            return view(request, *args, **options)
        except ValidationError as error:
            refused = error.messages
        except ProtectedError:
            refused = ["Nothing was deleted: something hangs on it by now."]
        except DatabaseError as error:
            refused = [f"Nothing was changed, the database refused it: {error}."]
            if request.method != "POST":
                raise
        for sentence in refused:
            messages.error(request, sentence)
        return HttpResponseRedirect(request.get_full_path())
