"""The API below /api/: who may come in, how it says no, and what it is made of."""

from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI
from ninja.errors import AuthenticationError, ValidationError
from ninja.errors import HttpError as NinjaError
from ninja.security import HttpBearer

from accounts.models import Token
from iotsite import __version__
from iotsite.problems import problem

ABOUT = """\
Every call needs a token: `Authorization: Bearer iot_…`. Your account page makes one, or `manage.py create_token`.

`wanted` is what was asked for, `actual` what the pin was read back to be: true, false, or null, which is not known.
Errors are problem documents (RFC 9457): `detail` is a sentence, `code` is for programs.
"""
UNKNOWN = "Send a valid token: “Authorization: Bearer iot_…”. Your account page makes one."
READ_ONLY = "This token may only read: make one with the scope “switch”."
NO_JSON = "The body is not JSON: send an object like {}."


class ApiError(Exception):
    """Ends a call with a problem document: status, code for programs, sentence, and what else should stand there."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more

    def response(self) -> HttpResponse:
        return problem(self.status, HTTPStatus(self.status).phrase, self.detail, self.code, **self.more)


class Bearer(HttpBearer):
    """Whoever shows a valid token; ``request.auth`` is that token."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        found = Token.objects.find(token)
        if found:
            found.note_use()
        return found


class SwitchingBearer(Bearer):
    """Whoever shows a valid token that may switch; what its user may, the door asks."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        found = super().authenticate(request, token)
        if found and not found.may_switch:
            raise ApiError(403, "read_only", READ_ONLY)
        return found


reading = Bearer()
switching = SwitchingBearer()

api = NinjaAPI(title="iotsite", version=__version__, description=ABOUT, auth=reading, urls_namespace="api")


@api.exception_handler(ApiError)
def _say(request: HttpRequest, error: ApiError) -> HttpResponse:
    return error.response()


@api.exception_handler(AuthenticationError)
def _ask_for_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    response = ApiError(401, "no_token", UNKNOWN).response()
    response["WWW-Authenticate"] = 'Bearer realm="iotsite"'
    return response


@api.exception_handler(ValidationError)
def _say_what_is_wrong(request: HttpRequest, error: ValidationError) -> HttpResponse:
    # A body is “body.body” to ninja, and its fields “body.body.on”.
    places = [[str(part) for part in found["loc"] if part != "body"] for found in error.errors]
    errors = [
        {"where": ".".join(place) or "body", "what": found["msg"]}
        for place, found in zip(places, error.errors, strict=True)
    ]
    detail = "; ".join(f"{found['where']}: {found['what']}" for found in errors)
    return ApiError(422, "invalid", f"{detail}.", errors=errors).response()


@api.exception_handler(NinjaError)
def _say_in_general(request: HttpRequest, error: NinjaError) -> HttpResponse:
    return ApiError(error.status_code, "bad_request", NO_JSON if error.status_code == 400 else str(error)).response()
