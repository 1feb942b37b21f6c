"""Form fields and forms that speak as people do: durations as 10m, and each refusal at the field it is about."""

from datetime import timedelta
from typing import Any

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError

from relays import durations

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
        super().add_error(field, error)

    def _field_of(self, refusal: ValidationError) -> str | None:
        for constraint in self.instance._meta.constraints:
            if constraint.violation_error_message == refusal.message:
                field = SHOWN_AT.get(constraint.name)
                return field if field in self.fields else None
        return None


class LockForm(forms.Form):
    """Why relays are locked."""

    reason = forms.CharField(
        max_length=200,
        widget=forms.TextInput(attrs={"size": 60, "autofocus": True}),
        help_text="Others will read it: “Being repaired, ask Anna.”",
        error_messages={"required": "Say why: others will read it."},
    )
