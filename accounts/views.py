from typing import Any

from django.contrib import messages
from django.contrib.auth import views
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse_lazy
from django.views.decorators.http import require_http_methods, require_POST

from accounts import known
from accounts.forms import PasswordForm, SignInForm, TokenForm
from accounts.models import Token
from accounts.rights import user_of


class SignIn(views.LoginView):
    template_name = "account/sign_in.html"
    authentication_form = SignInForm

    def form_valid(self, form: Any) -> HttpResponse:
        response = super().form_valid(form)
        known.remember(self.request, response, form.get_user())
        return response

    def form_invalid(self, form: Any) -> HttpResponse:
        return _with_wait(super().form_invalid(form), form.wait)


class ChangePassword(views.PasswordChangeView):
    template_name = "account/password.html"
    form_class = PasswordForm
    success_url = reverse_lazy("accounts:account")

    def form_valid(self, form: Any) -> HttpResponse:
        messages.success(self.request, "Your password is changed. Whoever was signed in as you elsewhere is not now.")
        return super().form_valid(form)

    def form_invalid(self, form: Any) -> HttpResponse:
        return _with_wait(super().form_invalid(form), form.wait)


def _with_wait(response: HttpResponse, wait: int) -> HttpResponse:
    if wait:
        response.status_code = 429
        response.headers["Retry-After"] = str(wait)
    return response


@require_http_methods(["GET", "HEAD", "POST"])
def account(request: HttpRequest) -> HttpResponse:
    """Who one is here; a POST makes a token, and its answer is the only one that ever shows it."""
    user, token, text = user_of(request), None, ""
    form = TokenForm(request.POST or None)
    if request.method == "POST":
        if form.is_valid() and (made := form.make(user)):
            token, text = made
            form = TokenForm()
        else:
            form.fields["name"].widget.attrs["autofocus"] = True  # the form stands far below on a phone
    tokens = list(user.tokens.all())
    context = {
        "form": form,
        "made": token,
        "text": text,
        "tokens": tokens,
        "has_room": len(tokens) < Token.LIMIT,
        "may_switch": user.has_perm("relays.switch_relay"),
        "may_change": user.has_perm("relays.change_relay"),
    }
    return render(request, "account/account.html", context)


@require_POST
def revoke(request: HttpRequest, pk: int) -> HttpResponse:
    token = get_object_or_404(user_of(request).tokens, pk=pk)
    token.delete()
    messages.success(request, f"The token “{token}” is revoked: what uses it is refused from now on.")
    return redirect("accounts:account")
