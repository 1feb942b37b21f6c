"""Form fields and forms that speak as people do: durations as 10m, and each refusal at the field it is about."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import DatabaseError
from django.db.models import Max

from accounts.models import User
from iotsite import database
from relays import durations
from relays.models import Board, Event, Interlock, Relay, Room

SHOWN_AT = {
    "board_driver_known": "driver",
    "board_header_known": "header",
    "board_ons_per_second_sane": "ons_per_second",
    "one_enabled_gpio_board": "driver",
    "interlock_dead_time_sane": "dead_time",
    "interlock_policy_known": "policy",
    "relay_name_unique": "name",
    "relay_slug_unique": "slug",
    "one_enabled_relay_per_line": "line",
    "relay_line_exists": "line",
    "relay_polarity_known": "polarity",
    "relay_pulse_goes_with_momentary": "pulse",
    "relay_pulse_sane": "pulse",
    "relay_max_on_sane": "max_on",
    "relay_min_on_sane": "min_on",
    "relay_min_off_sane": "min_off",
    "relay_min_on_within_max_on": "min_on",
    "momentary_relay_ends_off": "mode",
    "one_power_up_on_per_interlock": "power_up",
}
"""The field of a form at which each constraint of the database is explained."""


class DurationField(forms.Field):
    """A duration as people write it: 500ms, 90s, 10m, 2h30m."""

    widget = forms.TextInput(attrs={"size": 10, "maxlength": 40, "spellcheck": "false"})

    def to_python(self, value: Any) -> timedelta | None:
        if isinstance(value, timedelta):
            return value
        if value is None or not value.strip():
            return None
        try:
            return durations.parse(value)
        except ValueError as error:
            raise ValidationError(str(error)) from error

    def prepare_value(self, value: Any) -> Any:
        return durations.exact(value) if isinstance(value, timedelta) else value


class EditedForm(forms.ModelForm):  # type: ignore[type-arg]  # not generic at run time
    """The form of a row whose constraints speak at the field they are about, rather than above them all."""

    def add_error(self, field: str | None, error: Any) -> None:
        if field is None and hasattr(error, "error_dict"):
            for refusal in error.error_dict.pop(NON_FIELD_ERRORS, []):
                super().add_error(self._field_of(refusal), refusal)
            for unshown in error.error_dict.keys() - self.fields.keys():
                super().add_error(None, error.error_dict.pop(unshown))
        super().add_error(field, error)

    def _field_of(self, refusal: ValidationError) -> str | None:
        for constraint in self.instance._meta.constraints:
            if constraint.violation_error_message == refusal.message:
                field = SHOWN_AT.get(constraint.name)
                return field if field in self.fields else None
        return None


class PageForm(EditedForm):
    """What the site's own pages add and edit. Checks the whole row, not only the fields it shows."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": ""} | options)

    def _get_validation_exclusions(self) -> set[str]:
        return {name for name in super()._get_validation_exclusions() if name in self.fields}  # type: ignore[misc]

    def prepare(self) -> None:
        """What has to be written before the row itself, in the same transaction."""

    def save_by(self, user: User) -> bool:
        """Save the checked form; False, with the reason at its field, where that cannot be by now."""
        try:
            with database.writing():
                self.prepare()
                self.instance.save_edited(by=user, via=Event.Via.PAGE)
        except ValidationError as error:
            self.add_error(None, error)
        except DatabaseError as error:
            self.add_error(None, f"Nothing was changed, the database cannot be written: {error}.")
        return not self.errors


class BoardForm(PageForm):
    class Meta:
        model = Board
        fields = ["name", "driver", "header"]


class RelayForm(PageForm):
    """A new relay: where it is wired and what it is; its rules can wait."""

    room_name = forms.CharField(
        label="Room",
        required=False,
        max_length=60,
        help_text="Choose one or write a new one; may be left empty.",
        widget=forms.TextInput(attrs={"list": "rooms", "autocomplete": "off"}),
    )
    line = forms.CharField(error_messages={"required": "Choose a line on the drawing."})
    polarity = forms.ChoiceField(
        choices=Relay.Polarity.choices,
        widget=forms.RadioSelect,
        error_messages={"required": "Say at which level it is on; if in doubt take active-low, and try it."},
    )
    pulse = DurationField(required=False, help_text="How long a press of a momentary relay lasts: 100ms to 10s.")

    class Meta:
        model = Relay
        fields = ["name", "line", "kind", "polarity", "mode", "pulse", "slug"]
        error_messages = {"name": {"required": "Say what it switches."}}
        labels = {"slug": "Name in addresses"}
        help_texts = {"kind": "It gets a picture by that."}

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if self.instance.room:
            self.initial["room_name"] = self.instance.room.name
        self.rooms = list(Room.objects.values_list("name", flat=True))

    def prepare(self) -> None:
        """Find its room, or make it, as the last one."""
        name = self.cleaned_data["room_name"]
        room = Room.objects.filter(name__iexact=name).first() if name else None
        if name and room is None:
            last = Room.objects.aggregate(last=Max("position"))["last"] or 0
            room = Room.objects.create(name=name, position=min(last + 1, 32767))
        self.instance.room = room


class RelayEditForm(RelayForm):
    """Everything that may be edited of a relay."""

    max_on = DurationField(label="Longest on", required=False, help_text="It is switched off after so long.")
    min_on = DurationField(label="Shortest on", required=False, help_text="Once on, it stays on for so long.")
    min_off = DurationField(label="Shortest off", required=False, help_text="Once off, it stays off for so long.")

    class Meta(RelayForm.Meta):
        fields = [
            *RelayForm.Meta.fields,
            *("position", "is_enabled", "power_up", "on_stop", "on_lost", "max_on", "min_on", "min_off", "interlock"),
        ]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.fields["interlock"].queryset = Interlock.objects.filter(board=self.instance.board)  # type: ignore[attr-defined]
        self.fields["interlock"].empty_label = "none"  # type: ignore[attr-defined]


class LockForm(forms.Form):
    """Why relays are locked."""

    reason = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
        help_text="Others will read it: “Being repaired, ask Anna.”",
        error_messages={"required": "Say why: others will read it."},
    )
