import time
from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.helpers import ACTION_CHECKBOX_NAME
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.utils.html import format_html

from accounts.models import User
from accounts.rights import user_of
from iotsite.admin import moment
from relays import door, header
from relays.admin.edited import EditedAdmin, Sections
from relays.door import RelayError
from relays.forms import LockForm
from relays.models import Board, Event, Relay
from relays.models.edits import EditedModel

WAIT = 1.5
"""How long an action waits (seconds) to see its relays switched."""
EVENTS_SHOWN = 10
RULES = "Durations are written like 500ms, 90s, 10m or 2h30m. Leave a rule empty where there is none."


class StateFilter(admin.SimpleListFilter):
    """By what is so, as far as it is known: what a silent controller said last is not."""

    title = "what is so"
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("on", "on"),
            ("off", "off"),
            ("unknown", "not known"),
            ("differs", "not as wanted"),
            ("fault", "fault"),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Relay]) -> QuerySet[Relay]:
        served = [board.pk for board in Board.objects.enabled() if board.is_served]
        known = Q(is_enabled=True, actual__isnull=False, board__in=served)
        filters = {
            "on": known & Q(actual=True),
            "off": known & Q(actual=False),
            "unknown": ~known,
            "differs": known & ~Q(wanted=F("actual")),
            "fault": ~Q(fault=""),
        }
        return queryset.filter(filters.get(self.value() or "", Q()))


class RelayList(ChangeList):
    """The list of relays, each with its newest Event: one query for all of them."""

    def get_results(self, request: HttpRequest) -> None:
        super().get_results(request)
        numbers = [relay.last_event for relay in self.result_list if relay.last_event]
        events = Event.objects.select_related("of").in_bulk(numbers)
        for relay in self.result_list:
            relay.newest = events.get(relay.last_event)


@admin.register(Relay)
class RelayAdmin(EditedAdmin):
    list_display = ["name", "state", "newest", "room", "where"]
    list_filter = [StateFilter, "board", "room", "kind", "mode", "is_locked", "is_enabled"]
    list_select_related = ["room", "board"]
    search_fields = ["name", "slug", "line", "room__name", "board__name"]
    search_help_text = "Name, line, room or board."
    readonly_fields = ["state", "about_the_line", "last_events"]
    radio_fields = {"polarity": admin.VERTICAL}
    actions = ["switch_on", "switch_off", "lock", "unlock"]

    def sections(self, row: Relay | None) -> Sections:
        now: Sections = [("Now", {"fields": ["state", "last_events"]})] if row else []
        about = ["about_the_line"] if row else []
        rules = ["mode", "pulse", "max_on", "min_on", "min_off", "interlock"]
        return [
            *now,
            ("What it is", {"fields": ["name", "slug", "kind", "room", "position", "is_enabled"]}),
            ("Where it is wired", {"fields": ["board", "line", *about, "polarity"]}),
            ("Its rules", {"fields": rules, "description": RULES}),
            ("What a start or an end does to it", {"fields": ["power_up", "on_stop", "on_lost"]}),
        ]

    def history_of(self, row: Relay) -> dict[str, int]:
        return {"relay__id__exact": row.pk}

    def get_changelist(self, request: HttpRequest, **options: Any) -> type[ChangeList]:
        return RelayList

    def get_queryset(self, request: HttpRequest) -> QuerySet[Relay]:
        return Relay.objects.with_last_event()

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offered to those who may; one that is sent all the same gets the door's answer, and leaves an Event."""
        actions = super().get_actions(request)
        if request.method == "POST":
            return actions
        may_switch, may_lock = request.user.has_perm("relays.switch_relay"), self.has_change_permission(request)
        offered = {"switch_on": may_switch, "switch_off": may_switch, "lock": may_lock, "unlock": may_lock}
        return {name: action for name, action in actions.items() if offered.get(name, True)}

    def why_kept(self, row: Relay) -> str:
        return f"{row} has a history: disable it instead of deleting it." if row.events.exists() else ""

    def save_model(self, request: HttpRequest, obj: EditedModel, form: Any, change: bool) -> None:
        super().save_model(request, obj, form, change)
        if isinstance(obj, Relay) and (warning := header.warning(obj.line)):
            messages.warning(request, warning)

    # --- what is shown --------------------------------------------------------------------------------------

    @admin.display(description="now")
    def state(self, relay: Relay) -> str:
        """What is so, what is wanted where that differs, and what stands in the way."""
        so = "Disabled" if not relay.is_enabled else {True: "On", False: "Off", None: "Not known"}[relay.actual_now]
        more = []
        if relay.is_enabled and relay.wanted is not relay.actual_now:
            more.append(f"wanted {'on' if relay.wanted else 'off'}")
        if relay.wanted_until:
            more.append(f"until {moment(relay.wanted_until)}")
        if relay.is_locked:
            more.append(f"locked: {relay.lock_reason}")
        fault = format_html(' · <span class="fault">Fault: {}</span>', relay.fault) if relay.fault else ""
        return format_html("<strong>{}</strong>{}{}", so, "".join(f" · {words}" for words in more), fault)

    @admin.display(description="last Event", ordering="last_event")
    def newest(self, relay: Any) -> str:
        return f"{moment(relay.newest.at)} {relay.newest.sentence}" if relay.newest else "none yet"

    @admin.display(description="where", ordering="line")
    def where(self, relay: Relay) -> str:
        return f"{relay.line} of {relay.board}"

    @admin.display(description="about the line")
    def about_the_line(self, relay: Relay) -> str:
        pin = header.pin_of(relay.board.header, relay.line)
        return format_html("Pin {} of the header. <strong>{}</strong>", pin, header.warning(relay.line))

    @admin.display(description="last Events")
    def last_events(self, relay: Relay) -> str:
        events = [(moment(event.at), event.sentence) for event in relay.events.select_related("of")[:EVENTS_SHOWN]]
        return render_to_string("admin/relays/relay/_events.html", {"events": events})

    # --- what it does ---------------------------------------------------------------------------------------

    @admin.action(description="Switch on")
    def switch_on(self, request: HttpRequest, queryset: QuerySet[Relay]) -> None:
        _switch(request, queryset, on=True)

    @admin.action(description="Switch off")
    def switch_off(self, request: HttpRequest, queryset: QuerySet[Relay]) -> None:
        _switch(request, queryset, on=False)

    @admin.action(description="Lock …")
    def lock(self, request: HttpRequest, queryset: QuerySet[Relay]) -> HttpResponse | None:
        """Asks for the reason on a page of its own."""
        form = LockForm(request.POST if "reason" in request.POST else None)
        if form.is_valid() or not self.has_change_permission(request):
            reason = form.cleaned_data["reason"] if form.is_valid() else ""
            _each(request, "Locked", queryset, lambda relay, by: relay.lock(reason, by=by, via=Event.Via.ADMIN))
            return None
        context = self.admin_site.each_context(request) | {"title": "Lock relays", "opts": self.opts, "form": form}
        context |= {"rows": [(relay, self.state(relay)) for relay in queryset], "checkbox": ACTION_CHECKBOX_NAME}
        return TemplateResponse(request, "admin/relays/relay/lock.html", context)

    @admin.action(description="Unlock")
    def unlock(self, request: HttpRequest, queryset: QuerySet[Relay]) -> None:
        _each(request, "Unlocked", queryset, lambda relay, by: relay.unlock(by=by, via=Event.Via.ADMIN))


def _each(
    request: HttpRequest, done: str, relays: QuerySet[Relay], act: Callable[[Relay, User], Event]
) -> list[tuple[Relay, Event]]:
    """Do it to each relay that allows it, and say which did not and why; ``done`` is said of the others."""
    events = []
    for relay in relays:
        try:
            events.append((relay, act(relay, user_of(request))))
        except RelayError as error:
            messages.error(request, error.sentence)
    if done and events:
        messages.success(request, f"{done}: {', '.join(relay.name for relay, _ in events)}.")
    return events


def _switch(request: HttpRequest, relays: QuerySet[Relay], *, on: bool) -> None:
    """Ask for each, wait a moment for all of them, and say what became of each."""
    asked = _each(request, "", relays, lambda relay, by: relay.switch(on, by=by, via=Event.Via.ADMIN))
    end, done = time.monotonic() + WAIT, []
    for relay, event in asked:
        outcome = door.wait_for(event, max(0.0, end - time.monotonic()))
        if outcome.word == Event.Outcome.APPLIED:
            done.append(relay.name)
            continue
        reason = f": {outcome.sentence}" if outcome.sentence else ""
        messages.warning(request, f"{relay.name}: {outcome.word}{reason}.")
    if done:
        messages.success(request, f"Switched {'on' if on else 'off'}: {', '.join(done)}.")
