import logging
from collections.abc import Iterator

import pytest
from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import DatabaseError
from django.http import HttpRequest, HttpResponse
from django.test import Client, override_settings
from django.urls import path

from iotsite import errors, problems, urls
from iotsite.urls import handler400, handler403, handler404, handler500  # noqa: F401  # for this ROOT_URLCONF


def broken(request: HttpRequest) -> HttpResponse:
    raise DatabaseError("disk I/O error")


def forbidden(request: HttpRequest) -> HttpResponse:
    raise PermissionDenied(request.GET.get("why", ""))


def suspicious(request: HttpRequest) -> HttpResponse:
    raise SuspiciousOperation("inner workings")


urlpatterns = [
    *urls.urlpatterns,
    path("broken", broken),
    path("forbidden", forbidden),
    path("suspicious", suspicious),
    path("api/broken", broken),
    path("api/forbidden", forbidden),
    path("api/suspicious", suspicious),
]


@pytest.fixture(autouse=True)
def _urls() -> Iterator[None]:
    with override_settings(ROOT_URLCONF=__name__):
        yield


@pytest.fixture(params=["signed in", "stranger"])
def browser(request: pytest.FixtureRequest, client: Client, as_owner: Client) -> Client:
    made = as_owner if request.param == "signed in" else client
    made.raise_request_exception = False
    return made


@pytest.fixture
def signed_in(as_owner: Client) -> Client:
    as_owner.raise_request_exception = False
    return as_owner


def test_what_is_not_there_is_said_to_everybody(browser: Client) -> None:
    response = browser.get("/nowhere/<b>")
    assert response.status_code == 404
    assert errors.NOT_FOUND in response.content.decode()
    assert b"<b>" not in response.content


def test_what_somebody_may_not_do_is_said_with_its_reason(signed_in: Client) -> None:
    response = signed_in.get("/forbidden?why=Only+<b>anna</b>+may+do+this.")
    assert response.status_code == 403
    assert "Only &lt;b&gt;anna&lt;/b&gt; may do this." in response.content.decode()
    assert errors.FORBIDDEN in signed_in.get("/forbidden").content.decode()


def test_a_suspicious_request_learns_nothing_of_the_inner_workings(signed_in: Client) -> None:
    response = signed_in.get("/suspicious")
    assert response.status_code == 400
    assert errors.UNREADABLE in response.content.decode()
    assert b"inner workings" not in response.content


def test_what_breaks_is_said_without_the_database(signed_in: Client, caplog: pytest.LogCaptureFixture) -> None:
    response = signed_in.get("/broken")
    assert response.status_code == 500
    assert errors.BROKEN in response.content.decode()
    assert b"disk I/O error" not in response.content
    assert "disk I/O error" in caplog.text


def test_the_page_of_what_breaks_needs_no_database_and_no_user(rf: object) -> None:
    response = errors.server_error(HttpRequest())  # no user, no session; and this test may not use the database
    assert b"Something went wrong" in response.content


@pytest.mark.parametrize(
    ("address", "status", "title", "detail"),
    [
        ("/api/nowhere", 404, "Not Found", errors.NOT_FOUND),
        ("/api/forbidden", 403, "Forbidden", errors.FORBIDDEN),
        ("/api/forbidden?why=No.", 403, "Forbidden", "No."),
        ("/api/suspicious", 400, "Bad Request", errors.UNREADABLE),
        ("/api/broken", 500, "Internal Server Error", errors.BROKEN),
    ],
)
def test_a_program_gets_a_problem_document(
    signed_in: Client, address: str, status: int, title: str, detail: str
) -> None:
    response = signed_in.get(address)
    assert (response.status_code, response["Content-Type"]) == (status, "application/problem+json")
    assert response.json() == {"type": "about:blank", "title": title, "status": status, "detail": detail}


def test_a_form_without_proof_is_refused_in_a_sentence() -> None:
    client = Client(enforce_csrf_checks=True)
    for headers, why in (
        ({}, errors.TOO_OLD),
        ({"origin": "http://evil.example"}, errors.OTHER_SITE),
    ):
        response = client.post("/account/sign-in/", headers=headers)
        assert response.status_code == 403
        assert f"The site did not take this form. {why}" in response.content.decode()
    assert errors.NO_REFERER in client.post("/account/sign-in/", secure=True).content.decode()
    response = client.post("/account/sign-in/", secure=True, headers={"referer": "https://evil.example/"})
    assert errors.OTHER_SITE in response.content.decode()


def test_a_problem_carries_its_code_and_what_else_there_is_to_say() -> None:
    response = problems.problem(409, "Refused", "It is locked.", code="locked", command=7)
    assert response.status_code == 409
    assert b'"code": "locked", "command": 7' in response.content


def test_an_error_page_is_no_error_in_the_log(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    client.get("/nowhere")
    assert [record.levelname for record in caplog.records if record.levelno >= logging.ERROR] == []
