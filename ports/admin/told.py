"""How the admin shows what the feeds told: it is never added or deleted by hand, and there may be a lot of it."""

from datetime import datetime
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html

from iotsite.admin import CarefulAdmin, moment
from ports import watch
from ports.filters import of_ships
from ports.models import Feed


def moment_or_none(at: datetime | None) -> str:
    return moment(at) if at else "-"


def link(row: Model, text: object = None) -> str:
    """A link to the page of ``row``."""
    address = reverse(f"admin:ports_{row._meta.model_name}_change", args=[row.pk])
    return format_html('<a href="{}">{}</a>', address, text or row)


def list_link(model: str, text: str, **which: Any) -> str:
    """A link to the list of a model, narrowed down."""
    address = reverse(f"admin:ports_{model}_changelist", query=which)
    return format_html('<a href="{}">{}</a>', address, text)


def wish(request: HttpRequest, feed: Feed) -> None:
    """Ask for a refresh, and say how to start who sees to it where nobody does."""
    if feed.is_example:
        messages.error(request, f"{feed} is a recording: there is nothing to fetch.")
        return
    feed.wish()
    transaction.on_commit(watch.wake)
    if not watch.is_running():
        messages.warning(request, watch.START_IT)
    elif until := feed.waits_until():
        messages.warning(request, f"{feed.publisher.publisher} asks us to wait until {moment(until)}.")
    else:
        messages.success(request, f"{feed.publisher.title} ({feed.name}) is asked for a refresh.")


class SearchesShips(admin.ModelAdmin):  # type: ignore[type-arg]  # not generic at run time
    """Searches for ships as the pages do: by a part of a name, or a whole number."""

    search_help_text = "A part of a vessel's name, or a whole IMO number, MMSI or call sign."

    def of_ships(self, words: str) -> Q:
        return of_ships(words)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        term = search_term.strip()
        return (queryset.filter(self.of_ships(term)) if term else queryset), False


class KnownAdmin(CarefulAdmin):
    """Of what comes from the sources: some of it may be changed, none added or deleted."""

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
