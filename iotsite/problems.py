"""What a program is told when something is wrong: RFC 9457 problem documents."""

from typing import Any

from django.http import HttpRequest, JsonResponse

MEDIA_TYPE = "application/problem+json"


def problem(status: int, title: str, detail: str, code: str = "", **more: Any) -> JsonResponse:
    """``title`` is the same for every problem of its kind, ``detail`` says what to do about this one.

    ``code`` is for programs; it stands beside the fields of the RFC, as ``more`` does.
    """
    content = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    if code:
        content["code"] = code
    return JsonResponse(content | more, status=status, content_type=MEDIA_TYPE)


def is_for_program(request: HttpRequest) -> bool:
    """Whether a program asks, and not a person with a browser."""
    return request.path_info.startswith("/api/") or request.path_info == "/metrics"
