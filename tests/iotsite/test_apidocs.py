"""The API's page says what the API is, without anybody writing it down twice."""

import re

import pytest
from django.test import Client

from iotsite import apidocs
from iotsite.api import api
from iotsite.apidocs import Call, Field
from tests.site import ROOT

SOURCES = ["iotsite/api.py", "relays/api.py", "ports/api.py", "relays/door.py", "relays/plan.py"]
NOT_FOR_PROGRAMS = {"no_reason", "press_with_duration"}
"""Of locking, which no call does, and of a field that a press does not have."""


@pytest.fixture(scope="module")
def calls() -> dict[str, Call]:
    return {f"{call.method} {call.path}": call for call in apidocs.calls(api.get_openapi_schema(), "http://site")}


def said(fields: list[Field]) -> dict[str, str]:
    return {field.name: " · ".join([field.kind, *field.notes]) for field in fields}


def test_it_has_every_call(calls: dict[str, Call]) -> None:
    assert list(calls) == [
        "GET /api/relays",
        "GET /api/relays/{slug}",
        "PUT /api/relays/{slug}",
        "POST /api/relays/{slug}/press",
        "POST /api/all-off",
        "GET /api/stop",
        "POST /api/stop",
        "DELETE /api/stop",
        "GET /api/events",
        "GET /api/stream",
        "GET /api/ports",
        "GET /api/ports/{locode}/calls",
        "GET /api/vessels/{id}",
        "GET /api/changes",
    ]


def test_what_a_call_takes_is_said_with_its_kind_its_bounds_and_what_is_so_without_it(calls: dict[str, Call]) -> None:
    switch = calls["PUT /api/relays/{slug}"]
    assert said(switch.parameters) == {"slug": "text · needed"}
    assert said(switch.body) == {
        "on": "true or false · needed",
        "wait": "number · 0 to 2 · 2 unless you say",
        "command_id": "text",
        "for": "number · 0.1 to 2,592,000",
    }
    assert switch.needs_switch


def test_choices_and_moments_are_said_in_words(calls: dict[str, Call]) -> None:
    assert said(calls["GET /api/events"].parameters) == {
        "relay": "text",
        "outcome": "“accepted”, “refused”, “applied”, “failed” or “superseded”",
        "since": "moment",
        "cursor": "whole number",
        "limit": "whole number · 1 to 200 · 50 unless you say",
    }


def test_what_a_call_answers_is_said_for_each_status(calls: dict[str, Call]) -> None:
    switch = calls["PUT /api/relays/{slug}"]
    assert [(answer.status, answer.phrase, answer.shape) for answer in switch.answers] == [
        (200, "OK", "Relay"),
        (202, "Accepted", "Relay"),
    ]
    assert {401, 403, 404, 409, 422, 502, 503} <= set(switch.problems)


def test_what_comes_back_is_said_with_what_it_is_made_of() -> None:
    shapes = {shape.name: said(shape.fields) for shape in apidocs.shapes(api.get_openapi_schema())}
    assert shapes["Relay"]["actual"] == "true, false or null · needed"
    assert shapes["Relay"]["pending"] == "Pending or null · needed"
    assert shapes["Relays"]["items"] == "list of Relay · needed"
    assert shapes["AllOff"]["off"] == "list of text · needed"


def test_each_call_has_a_line_that_does_it(calls: dict[str, Call]) -> None:
    token = '-H "Authorization: Bearer $TOKEN"'
    assert calls["GET /api/relays"].curl == f"curl {token} http://site/api/relays"
    assert calls["GET /api/stream"].curl == f"curl -N {token} http://site/api/stream"
    switch = f"""curl -X PUT {token} --json '{{"on": true}}' http://site/api/relays/porch-lamp"""
    assert calls["PUT /api/relays/{slug}"].curl == switch
    reset = f"""curl -X DELETE {token} --json '{{"confirm": true}}' http://site/api/stop"""
    assert calls["DELETE /api/stop"].curl == reset


def test_prose_shows_code_and_nobody_s_markup() -> None:
    assert apidocs.prose("Say `on`,\nnot <b>.") == "Say <code>on</code>, not &lt;b&gt;."


def test_every_code_of_a_refusal_is_explained_and_no_other() -> None:
    text = "".join((ROOT / source).read_text() for source in SOURCES)
    used = set(re.findall(r'(?:Refused|RelayError|ApiError)\(\s*(?:[\w.]+, )?"([a-z_]+)"', text)) | {"failed"}
    assert sorted(code for _, code, _ in apidocs.CODES) == sorted(used - NOT_FOR_PROGRAMS), "each once"


def test_the_page_has_calls_codes_and_shapes_and_no_script_of_its_own(as_owner: Client) -> None:
    page = as_owner.get("/api/docs").content.decode()
    for anchor in ("switch_relay", "events", "errors", "Relay", "Problem"):
        assert f'id="{anchor}"' in page
    assert "<h2><code>PUT /api/relays/{slug}</code></h2>" in re.sub(r">\s+<", "><", page)
    assert "command_id_reused" in page
    assert "http://testserver/api/relays/porch-lamp" in page
    assert set(re.findall(r'<a\s[^>]*href="#([^"]+)"', page)) <= set(re.findall(r'id="([^"]+)"', page))
    assert page.count("<script") == 2, "those of every page"


def test_the_address_of_the_api_leads_to_it(as_owner: Client) -> None:
    response = as_owner.get("/api/")
    assert (response.status_code, response["Location"]) == (302, "/api/docs")
