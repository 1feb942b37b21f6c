"""The API below /api/: who may come in, how it says no, and what it is made of."""

from collections.abc import Callable
from datetime import UTC, datetime
from functools import wraps
from http import HTTPStatus
from typing import Annotated, Any

from django.core.exceptions import RequestDataTooBig
from django.http import HttpRequest, HttpResponse
from ninja import NinjaAPI, Schema
from ninja.errors import AuthenticationError, ValidationError
from ninja.errors import HttpError as NinjaError
from ninja.openapi.schema import OpenAPISchema
from ninja.security import HttpBearer
from pydantic import ConfigDict, Field

from accounts.models import Token
from iotsite import __version__
from iotsite.apidocs import DocsPage
from iotsite.bridge import AFTERWARDS
from iotsite.problems import MEDIA_TYPE, problem

ABOUT = """\
Every call needs a token: `Authorization: Bearer iot_…`. Your account page makes one, or `manage.py create_token`.

`wanted` is what was asked for, `actual` what the pin was read back to be: true, false, or null, which is not known.
Errors are problem documents (RFC 9457): `detail` is a sentence, `code` is for programs.
"""
UNKNOWN = "Send a valid token: “Authorization: Bearer iot_…”. Your account page makes one."
READ_ONLY = "This token may only read: make one with the scope “switch”."
NO_JSON = "The body is not JSON: send an object like {}."
TOO_LONG = "The body is far longer than any call needs: send less."
MOST_ERRORS = 10
"""So many errors of a body are told; who sends more has enough to do."""


class ApiError(Exception):
    """Ends a call with a problem document: status, code for programs, sentence, and what else should stand there."""

    def __init__(self, status: int, code: str, detail: str, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.code, self.detail, self.more = status, code, detail, more

    def response(self) -> HttpResponse:
        return problem(self.status, HTTPStatus(self.status).phrase, self.detail, self.code, **self.more)


class Told(Schema):
    model_config = ConfigDict(use_attribute_docstrings=True)


class ProblemOut(Told):
    type: str
    title: str
    status: int
    detail: str
    """What is wrong and what to do, for people."""
    code: str
    """What is wrong, for programs."""


REFUSALS = dict.fromkeys((400, 401, 403, 404, 405, 409, 413, 422, 502, 503), ProblemOut)


def only_known_parameters(view: Callable[..., Any]) -> Callable[..., Any]:
    """Refuse parameters that a call does not have: whoever misspells one should not be taken to have said nothing."""

    @wraps(view)
    def strict(request: HttpRequest, **values: Any) -> Any:
        if request.GET:
            known = [name for name in values if name != "body" and name not in request.resolver_match.kwargs]  # type: ignore[union-attr]
            if unknown := sorted(set(request.GET) - {*known}):
                there = f"there are {', '.join(known)}" if known else "this call has none"
                raise ApiError(422, "invalid", f"There is no parameter “{unknown[0][:50]}”: {there}.")
        return view(request, **values)

    return strict


# Not a datetime, which pydantic takes from any number too.
Moment = Annotated[str, Field(json_schema_extra={"format": "date-time"})]


def moment_of(parameter: str, text: str) -> datetime:
    """The moment that ``text`` is; the answer to a wrong one names its ``parameter``."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise ApiError(422, "invalid", f"{parameter}: write a moment with its zone, as in 2026-11-25T18:00:00Z.")


class Bearer(HttpBearer):
    """Whoever shows a valid token; ``request.auth`` is that token."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        return Token.objects.find(token)


class SwitchingBearer(Bearer):
    """Whoever shows a valid token that may switch; what its user may, the door asks."""

    def authenticate(self, request: HttpRequest, token: str) -> Token | None:
        found = super().authenticate(request, token)
        if found and not found.may_switch:
            raise ApiError(403, "read_only", READ_ONLY)
        return found


reading = Bearer()
switching = SwitchingBearer()


class Api(NinjaAPI):
    def get_openapi_schema(self, **options: Any) -> OpenAPISchema:
        """Ninja's, which takes every answer for JSON."""
        schema = super().get_openapi_schema(**options)
        for call in (call for calls in schema["paths"].values() for call in calls.values()):
            for status, answer in call["responses"].items():
                if int(status) >= 400:
                    answer["content"] = {MEDIA_TYPE: answer["content"]["application/json"]}
        return schema


def no_token() -> HttpResponse:
    """What whoever shows no valid token is told."""
    response = ApiError(401, "no_token", UNKNOWN).response()
    response["WWW-Authenticate"] = 'Bearer realm="iotsite"'
    return response


def call(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """A view for programs as it stands in the addresses.

    That a token was used is written down when all is answered: whoever holds the database delays no read and no stop.
    """

    @wraps(view)
    def answer(request: HttpRequest, **path: Any) -> HttpResponse:
        response = view(request, **path)
        token: Token | None = getattr(request, "auth", None)
        if token and not token.is_used_today:
            request.META[AFTERWARDS] = token.note_use
        return _say_which_method(request, response) if response.status_code == 405 else response

    return answer


def _say_which_method(request: HttpRequest, response: HttpResponse) -> HttpResponse:
    allowed = ", ".join(sorted(response["Allow"].split(", ")))
    said = ApiError(405, "wrong_method", f"This address takes {allowed}, not {request.method}.").response()
    said["Allow"] = allowed
    return said


api = Api(title="iotsite", version=__version__, description=ABOUT, auth=reading, urls_namespace="api", docs=DocsPage())


@api.exception_handler(ApiError)
def _say(request: HttpRequest, error: ApiError) -> HttpResponse:
    return error.response()


@api.exception_handler(AuthenticationError)
def _ask_for_token(request: HttpRequest, error: AuthenticationError) -> HttpResponse:
    return no_token()


@api.exception_handler(ValidationError)
def _say_what_is_wrong(request: HttpRequest, error: ValidationError) -> HttpResponse:
    # A body is “body.body” to ninja, and its fields “body.body.on”.
    places = [[str(part) for part in found["loc"] if part != "body"] for found in error.errors]
    errors = [
        {"where": ".".join(place) or "body", "what": found["msg"]}
        for place, found in zip(places[:MOST_ERRORS], error.errors[:MOST_ERRORS], strict=True)
    ]
    detail = "; ".join(f"{found['where']}: {found['what']}" for found in errors)
    return ApiError(422, "invalid", f"{detail}.", errors=errors).response()


@api.exception_handler(NinjaError)
def _say_in_general(request: HttpRequest, error: NinjaError) -> HttpResponse:
    return ApiError(error.status_code, "bad_request", NO_JSON if error.status_code == 400 else str(error)).response()


@api.exception_handler(RequestDataTooBig)
def _say_that_it_is_long(request: HttpRequest, error: RequestDataTooBig) -> HttpResponse:
    return ApiError(413, "too_long_body", TOO_LONG).response()
