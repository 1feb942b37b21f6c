"""What can go wrong with a file, each in a sentence that says who, what, and what to do."""

import http.client
import socket
import ssl
import zlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import PurePath
from urllib.parse import urljoin, urlsplit

import requests
from urllib3.exceptions import HTTPError, NameResolutionError, NewConnectionError, ReadTimeoutError

from ports.fetch.limits import Limits
from ports.sources import Address
from ports.sources.text import clean

LONGEST_PAUSE = timedelta(days=1)
"""As long as a server may send us away: a mistake of its must not stop a port for good."""


class FetchError(Exception):
    """A sentence. What is passing may be tried again at once."""

    def __init__(self, sentence: str, *, is_passing: bool = False, retry_at: datetime | None = None) -> None:
        super().__init__(sentence)
        self.is_passing = is_passing
        self.retry_at = retry_at


def host_of(address: Address) -> str:
    return urlsplit(address.url).netloc or address.url


LATER = "The next refresh tries again."
NEWER = "The publisher has changed something: see whether there is a newer version of this site."
_PAGES = ("text/html", "application/xhtml+xml")
_ANY = ("", "text/plain", "application/octet-stream", "binary/octet-stream")


def look_at(address: Address, content_type: str, body: bytes) -> None:
    """Whether a body can be the file at all; what it says is for its source to read."""
    host, kind = host_of(address), content_type.partition(";")[0].strip().lower()
    wanted = PurePath(address.file).suffix.lstrip(".").lower()
    start = body[:200].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if not body.strip():
        raise FetchError(f"{host} answered with nothing where {address.file} should be. {LATER}")
    if kind in _PAGES or start.startswith((b"<!doctype html", b"<html")):
        raise FetchError(f"{host} answered with a web page where {address.file} should be. {LATER}")
    if wanted in ("xml", "json") and kind not in _ANY and wanted not in kind:
        raise FetchError(f"{host} says that {address.file} is {clean(kind, 60)}, not {wanted.upper()}. {NEWER}")


_REFUSALS = {
    400: f"does not understand how this site asks for {{file}} (400). {NEWER}",
    401: "wants a login for {file} (401). See whether the publisher has changed its terms.",
    403: "does not let this site read {file} (403). See whether the publisher has changed its terms.",
    404: f"has no {{file}} (404). {NEWER}",
    406: f"has {{file}} in no form that this site reads (406). {NEWER}",
    410: f"has no {{file}} any more (410). {NEWER}",
    429: "wants to be asked less often (429). The next refresh tries again; a longer interval helps.",
}
_PASSING = (500, 502, 503, 504)


def refused(address: Address, response: requests.Response) -> FetchError:
    """What an answer says that is not the file."""
    host, status = host_of(address), response.status_code
    retry_at = _retry_at(response.headers.get("Retry-After", "")) if status in (429, 503) else None
    if retry_at:
        return FetchError(f"{host} asks for a pause until {retry_at:%Y-%m-%d %H:%M} UTC ({status}).", retry_at=retry_at)
    if 300 <= status < 400 and "Location" in response.headers:
        new = clean(_joined(address, response.headers["Location"]), 200)
        return FetchError(
            f"{host} sends {address.file} to another address, {new} ({status}), which is not followed. "
            "If the publisher has moved, a newer version of this site may know it."
        )
    if status >= 500:
        return FetchError(f"{host} has a trouble of its own ({status}). {LATER}", is_passing=status in _PASSING)
    refusal = _REFUSALS.get(status, f"answered with status {status} where {{file}} should be. {NEWER}")
    return FetchError(f"{host} {refusal.format(file=address.file)}")


def _joined(address: Address, location: str) -> str:
    try:
        return urljoin(address.url, location)
    except ValueError:
        return location


def _retry_at(told: str) -> datetime | None:
    """The moment of a Retry-After, in seconds or as a date; None where it is neither."""
    now, told = datetime.now(UTC), told.strip()
    if told.isascii() and told.isdigit():
        return now + min(timedelta(seconds=int(told[:9])), LONGEST_PAUSE)
    try:
        moment = parsedate_to_datetime(told)
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return min(max(moment, now), now + LONGEST_PAUSE)


BROKEN = (OSError, HTTPError, http.client.HTTPException, zlib.error, EOFError, ValueError)
"""What may come of a server or of the way to it; requests' own errors are OSErrors."""


def broken(address: Address, error: Exception, limits: Limits) -> FetchError:
    """What went wrong on the way, in the words of who has to do something about it."""
    host, file, causes = host_of(address), address.file, tuple(_causes(error))

    def has(*kinds: type[BaseException]) -> bool:
        return any(isinstance(cause, kinds) for cause in causes)

    if has(requests.exceptions.InvalidSchema, requests.exceptions.MissingSchema, requests.exceptions.InvalidURL):
        return FetchError(f"{clean(address.url)} is no address that can be asked.")
    if has(requests.exceptions.ProxyError):
        return FetchError(f"The proxy of this machine does not lead to {host}. Look at HTTPS_PROXY.", is_passing=True)
    if has(NameResolutionError, socket.gaierror):
        return FetchError(
            f"The name {host} is not known here. Look at this machine’s network and DNS.", is_passing=True
        )
    if has(ssl.SSLError, requests.exceptions.SSLError):
        return FetchError(
            f"{host} cannot be trusted: {_reason(causes)}. Look at this machine’s clock and certificates."
        )
    if has(requests.exceptions.ConnectTimeout):
        return FetchError(f"{host} took no connection within {limits.connect:g} s. {LATER}", is_passing=True)
    if has(requests.exceptions.ReadTimeout, ReadTimeoutError):
        return FetchError(f"{host} was silent for {limits.read:g} s. {LATER}", is_passing=True)
    if has(NewConnectionError):
        return FetchError(f"No connection to {host}: {_reason(causes)}. {LATER}", is_passing=True)
    if has(zlib.error):
        return FetchError(f"What {host} packed {file} into cannot be unpacked. {LATER}")
    return FetchError(f"{host} broke off before {file} was whole. {LATER}", is_passing=True)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and those within it, as libraries wrap them."""
    waiting, seen = [error], set[int]()
    while waiting:
        inner = waiting.pop(0)
        if id(inner) not in seen:
            seen.add(id(inner))
            yield inner
            about = (inner.__cause__, inner.__context__, getattr(inner, "reason", None), *inner.args)
            waiting += [cause for cause in about if isinstance(cause, BaseException)]


def _reason(causes: Sequence[BaseException]) -> str:
    """The system's own words."""
    said = [getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") for cause in causes]
    return clean(next((words for words in said if words), "it gives no reason"), 100)
