from typing import Any

from django import forms
from django.contrib.auth import forms as django_forms
from django.core.exceptions import ValidationError
from django.views.decorators.debug import sensitive_variables

from accounts import guard, known
from accounts.models import Token, User


class CalmForm(forms.Form):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{"label_suffix": ""} | options)


class SignInForm(CalmForm, django_forms.AuthenticationForm):
    wait = 0
    """Seconds after which to try again, where there were too many attempts."""

    @sensitive_variables()
    def clean(self) -> dict[str, Any]:
        # Django computes a hash only where both are there; nothing may be computed that was not asked for here.
        username = self.cleaned_data.get("username")
        if username is not None and self.cleaned_data.get("password"):
            assert self.request is not None
            browser = known.browser_of(self.request, username)
            attempts = guard.attempts
            self.wait = attempts.wait_of(f"browser {browser}") if browser else attempts.wait_of_stranger()
            if self.wait:
                raise ValidationError(guard.sentence(self.wait))
        return super().clean()


class PasswordForm(CalmForm, django_forms.PasswordChangeForm):
    wait = 0

    @sensitive_variables("old_password")
    def clean_old_password(self) -> str:
        self.wait = guard.attempts.wait_of(f"password of {self.user.pk}")
        if self.wait:
            raise ValidationError(guard.sentence(self.wait))
        return super().clean_old_password()


class TokenForm(CalmForm):
    """A new token: how it is called, what it may, how long it lasts."""

    NEVER = "never"

    name = forms.CharField(max_length=60, help_text="What uses it, like “Home Assistant”.")
    scope = forms.ChoiceField(label="What it may do", choices=Token.Scope, initial=Token.Scope.READ)
    lasting = forms.ChoiceField(
        label="How long it lasts",
        choices=[("7", "7 days"), ("30", "30 days"), ("90", "90 days"), ("365", "a year"), (NEVER, "until revoked")],
        initial=str(Token.DEFAULT_DAYS),
    )

    def make(self, user: User) -> tuple[Token, str] | None:
        """The token and its text; None where it is refused, which the form then says."""
        lasting = self.cleaned_data["lasting"]
        days = None if lasting == self.NEVER else int(lasting)
        try:
            return Token.make(user, self.cleaned_data["name"], self.cleaned_data["scope"], days)
        except ValidationError as error:
            for sentence in error.messages:
                self.add_error(None, sentence)
            return None
