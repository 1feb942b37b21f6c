"""The page of the API: what its OpenAPI document says, for people. A call that is added later is on it by itself."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe
from ninja import NinjaAPI
from ninja.openapi.docs import DocsBase

Json = dict[str, Any]

CODES = [
    (400, "bad_request", "The body is not JSON."),
    (401, "no_token", "No token, an unknown one, one that expired or was revoked, or its account is not active."),
    (403, "read_only", "The token may only read."),
    (403, "not_allowed", "The token's user may look, but not switch."),
    (404, "no_such_relay", "No enabled relay has this slug."),
    (404, "no_such_port", "No port that is on has this code."),
    (404, "no_such_vessel", "No vessel has this number, or it was merged with another."),
    (404, "gone", "The relay was deleted while it was asked."),
    (405, "wrong_method", "The address takes other methods; “Allow” names them."),
    (409, "locked", "Somebody locked the relay, and says why."),
    (409, "stopped", "Everything is stopped: nothing goes on until that is reset."),
    (409, "momentary", "The relay can only be pressed."),
    (409, "not_momentary", "The relay is a switch: it cannot be pressed."),
    (409, "pressing", "It is being pressed at this moment."),
    (409, "interlock", "Another relay is on, and only one of the two may be."),
    (409, "off_with_duration", "“for” goes with on only."),
    (409, "bad_duration", "“for” is shorter or longer than any may be."),
    (409, "too_short", "The relay stays on for longer than that at least."),
    (409, "too_long", "The relay may not stay on for so long."),
    (409, "over_before_it_starts", "The relay has to wait for longer than “for” lasts."),
    (409, "disabled", "The relay or its board was disabled while it was asked."),
    (409, "command_id_reused", "This command_id was sent with another body."),
    (409, "superseded", "A newer command came before this one was carried out."),
    (413, "too_long_body", "The body is far longer than any call needs."),
    (422, "invalid", "A field is missing, unknown or of the wrong kind; “errors” says which."),
    (502, "failed", "The board failed: the pin is not as was asked. The controller goes on trying."),
    (503, "no_controller", "No controller answers. An on is not stored; an off is, and “command” is its number."),
    (503, "too_many_streams", "So many streams are open already that there is no room for another."),
    (503, "database", "The database cannot be written to: nothing was changed."),
]
"""Every way in which a call is refused: its status, its code, and what it means."""

WORTH_SAYING = 2**53
EXAMPLES = {"slug": "porch-lamp", "locode": "HKHKG", "id": "1"}
PLAIN = {"boolean": ("true", "false"), "integer": ("whole number",), "string": ("text",)}


@dataclass(frozen=True)
class Field:
    """One thing that is sent or given; ``shape`` names what it is made of, if it is not plain."""

    name: str
    kind: str
    shape: str
    notes: list[str]
    about: SafeString


@dataclass(frozen=True)
class Shape:
    name: str
    fields: list[Field]


@dataclass(frozen=True)
class Answer:
    status: int
    phrase: str
    shape: str


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    anchor: str
    about: SafeString
    needs_switch: bool
    parameters: list[Field]
    body: list[Field]
    answers: list[Answer]
    problems: list[int]
    curl: str


class DocsPage(DocsBase):
    def render_page(self, request: HttpRequest, api: NinjaAPI, **kwargs: Any) -> HttpResponse:
        schema = api.get_openapi_schema(path_params=kwargs)
        context = {
            "about": prose(api.description),
            "calls": list(calls(schema, request.build_absolute_uri("/").rstrip("/"))),
            "shapes": list(shapes(schema)),
            "codes": CODES,
            "openapi": self.get_openapi_url(api, kwargs),
        }
        return render(request, "api/docs.html", context)


def calls(schema: Json, site: str = "") -> Iterator[Call]:
    """All calls of an OpenAPI document; ``site`` is the address that their curl lines ask."""
    for path, methods in schema["paths"].items():
        for method, found in methods.items():
            body = _body(schema, found)
            statuses = {int(status): _shape_of(answer) for status, answer in found["responses"].items()}
            yield Call(
                method=method.upper(),
                path=path,
                anchor=found["operationId"].rsplit("_api_", 1)[-1],
                about=prose(found.get("description", "")),
                needs_switch=any("SwitchingBearer" in asked for asked in found.get("security", [])),
                parameters=[_field(item["name"], item["schema"], item) for item in found.get("parameters", [])],
                body=_fields(body),
                answers=[Answer(s, HTTPStatus(s).phrase, shape) for s, shape in statuses.items() if s < 400],
                problems=[s for s in statuses if s >= 400],
                curl=_curl(method.upper(), site + path, body, gives_json=bool(statuses.get(200))),
            )


def shapes(schema: Json) -> Iterator[Shape]:
    """What answers are made of; what is sent stands with its call."""
    for name, found in schema["components"]["schemas"].items():
        if name.endswith("Out"):
            yield Shape(_plain_name(name), _fields(found))


def prose(text: str) -> SafeString:
    """Words with `code` in them, as HTML; lines that only end for the width of the source are joined."""
    text = re.sub(r"(?<!\n)\n(?!\n)", " ", text.strip())
    return mark_safe(re.sub(r"(`+)(.+?)\1", r"<code>\2</code>", escape(text)))  # noqa: S308  # escaped before


def _body(schema: Json, call: Json) -> Json:
    """The object that a call takes, empty where it takes none."""
    content = call.get("requestBody", {}).get("content", {}).get("application/json", {})
    name = _reference(content.get("schema", {}))
    found: Json = schema["components"]["schemas"][name] if name else {}
    return found


def _shape_of(answer: Json) -> str:
    content = answer.get("content", {}).get("application/json", {})
    return _plain_name(_reference(content.get("schema", {})))


def _fields(found: Json) -> list[Field]:
    needed = found.get("required", ())
    fields = [
        _field(name, schema, schema | {"required": name in needed})
        for name, schema in found.get("properties", {}).items()
    ]
    return sorted(fields, key=lambda field: "needed" not in field.notes)


def _field(name: str, schema: Json, said: Json) -> Field:
    """``said``: where its description stands, and whether it must be there."""
    inner = next((part for part in schema.get("anyOf", []) if part.get("type") != "null"), schema)
    is_needed, (low, high) = said.get("required"), (inner.get("minimum"), inner.get("maximum"))
    notes = ["needed"] if is_needed else []
    if high is not None and high < WORTH_SAYING:
        notes.append(f"{low:,.9g} to {high:,.9g}")
    if schema.get("default") is not None:
        notes.append(f"{schema['default']:g} unless you say")
    about = said.get("description") or inner.get("description") or ""
    kinds = list(_kinds(schema if is_needed else inner))
    kind = " or ".join(part for part in (", ".join(kinds[:-1]), kinds[-1]) if part)
    return Field(name, kind, _plain_name(_reference(schema)), notes, prose(about))


def _kinds(schema: Json) -> Iterator[str]:
    """What it may be, in words."""
    if "anyOf" in schema:
        for part in schema["anyOf"]:
            yield from _kinds(part)
    elif "items" in schema:
        yield f"list of {' or '.join(_kinds(schema['items']))}"
    elif "$ref" in schema:
        yield _plain_name(_reference(schema))
    elif "enum" in schema:
        yield from (f"“{value}”" for value in schema["enum"])
    elif "const" in schema:
        yield json.dumps(schema["const"])
    elif schema.get("format") == "date-time":
        yield "moment"
    else:
        yield from PLAIN.get(schema["type"], (schema["type"],))


def _reference(schema: Json) -> str:
    """The name of the object that this is, or is a list of, or may be; empty where it is plain."""
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    parts = [schema["items"]] if "items" in schema else schema.get("anyOf", [])
    return next((name for part in parts if (name := _reference(part))), "")


def _plain_name(name: str) -> str:
    return name.removesuffix("Out")


def _curl(method: str, address: str, body: Json, *, gives_json: bool) -> str:
    """A line that does it, with no more than it needs."""
    example = dict.fromkeys(body.get("required", ()), True)
    words = ["curl", "" if gives_json else "-N", "" if method == "GET" else f"-X {method}"]
    words += ['-H "Authorization: Bearer $TOKEN"', f"--json '{json.dumps(example)}'" if example else ""]
    filled = re.sub(r"\{(\w+)\}", lambda found: EXAMPLES.get(found[1], found[1]), address)
    return " ".join(word for word in [*words, filled] if word)
