"""Asks publishers for their files: the only package that speaks HTTP to the world outside.

Whatever a server does, it ends in time, fills no memory, and becomes a file or a sentence.
"""

import http.client
import random
import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import urlencode

import requests

from ports.fetch.complaints import BROKEN, LATER, NEWER, FetchError, broken, host_of, look_at, refused
from ports.fetch.connections import Watch, open_session
from ports.fetch.limits import LIMITS, Limits
from ports.progress import tell
from ports.sources import Address
from ports.sources.text import clean

Memory = dict[str, dict[str, str]]
"""For each file, what its last answer said of itself, so that the next request is conditional."""

AT_ONCE = 65_536


@dataclass(frozen=True, slots=True)
class Fetched:
    """What became of one request for some files."""

    files: dict[str, bytes] = field(default_factory=dict)
    """Those that were got whole."""
    memory: Memory = field(default_factory=dict)
    """To be kept once the files are taken over. A file that failed has none: next time it is asked for in full."""
    errors: dict[str, str] = field(default_factory=dict)
    """For each that was not got, what is wrong, in a sentence."""
    retry_at: datetime | None = None
    """A server asks not to be asked before."""
    bytes: int = 0
    """That came over the line, as bodies."""

    @property
    def is_unchanged(self) -> bool:
        """Every file is as it was when ``memory`` was made."""
        return not self.files and not self.errors


def fetch(addresses: Sequence[Address], memory: Memory, limits: Limits = LIMITS) -> Fetched:
    """All files of a feed, or none where none has changed. Never raises for what a server does."""
    watch = Watch()
    with open_session(watch) as session:
        errand = _Errand(session, watch, limits)
        for address in addresses:
            errand.ask(address, memory.get(address.file, {}))
        unchanged = [address for address in addresses if errand.is_unchanged(address)]
        if len(unchanged) < len(addresses):  # files are joined: what has not changed is needed beside what has
            for address in unchanged:
                errand.ask(address, {})
        return errand.fetched()


@dataclass(frozen=True, slots=True)
class _Answer:
    body: bytes | None
    """None: as it was (304)."""
    memory: dict[str, str]


class _Errand:
    """The requests of one fetch, on one session, and what came of them."""

    def __init__(self, session: requests.Session, watch: Watch, limits: Limits) -> None:
        self.session = session
        self.watch = watch
        self.limits = limits
        self.answers: dict[str, _Answer] = {}
        self.errors: dict[str, str] = {}
        self.closed_until: dict[str, datetime] = {}
        self.bytes = 0

    def is_unchanged(self, address: Address) -> bool:
        answer = self.answers.get(address.file)
        return answer is not None and answer.body is None

    def fetched(self) -> Fetched:
        return Fetched(
            files={file: answer.body for file, answer in self.answers.items() if answer.body is not None},
            memory={file: answer.memory for file, answer in self.answers.items() if answer.memory},
            errors=self.errors,
            retry_at=max(self.closed_until.values(), default=None),
            bytes=self.bytes,
        )

    def ask(self, address: Address, known: Mapping[str, str]) -> None:
        tell("fetching")
        host = host_of(address)
        self.answers.pop(address.file, None)
        try:
            if host in self.closed_until:
                raise FetchError(f"{address.file} was not asked for: {host} asks for a pause.")
            self.answers[address.file] = self._persist(address, known)
        except FetchError as failure:
            self.errors[address.file] = str(failure)
            if failure.retry_at:
                self.closed_until[host] = failure.retry_at

    def _persist(self, address: Address, known: Mapping[str, str]) -> _Answer:
        # Not urllib3's Retry: it does not know when the time is over nor that a body was cut short, and it reads the
        # body of an error to its end before it tries again.
        pause = self.limits.pause
        with self.watch.during(self.limits.whole):
            for _ in range(self.limits.tries - 1):
                try:
                    return self._try(address, known)
                except FetchError as failure:
                    nap = pause * random.uniform(1, 2)  # noqa: S311  # so that not all who failed come back at once
                    if not failure.is_passing or nap > self.watch.left:
                        raise
                    time.sleep(nap)
                    pause *= 2
            return self._try(address, known)

    def _try(self, address: Address, known: Mapping[str, str]) -> _Answer:
        try:
            with self._get(address, known) as response:
                return self._read(address, known, response)
        except BROKEN as error:
            if self.watch.is_over:
                late = f"{address.file} did not come whole from {host_of(address)} within {self.limits.whole:g} s."
                raise FetchError(f"{late} {LATER}") from error
            raise broken(address, error, self.limits) from error

    def _get(self, address: Address, known: Mapping[str, str]) -> requests.Response:
        return self.session.get(
            address.url,
            params=address.params,
            headers={**address.headers, **_conditions(address, known)},
            timeout=(self.limits.connect, self.limits.read),
            allow_redirects=False,
            stream=True,
        )

    def _read(self, address: Address, known: Mapping[str, str], response: requests.Response) -> _Answer:
        if response.status_code == http.client.NOT_MODIFIED and _conditions(address, known):
            return _Answer(None, dict(known))
        if response.status_code != http.client.OK:
            raise refused(address, response)
        body = self._body(address, response)
        look_at(address, response.headers.get("Content-Type", ""), body)
        return _Answer(body, _remembered(address, response.headers))

    def _body(self, address: Address, response: requests.Response) -> bytes:
        packing = response.headers.get("Content-Encoding", "").strip().lower()
        if packing not in ("", "identity", "gzip", "x-gzip"):
            raise FetchError(
                f"{host_of(address)} packs {address.file} as {clean(packing, 40)}, which is not read. {NEWER}"
            )
        unpack = _Gunzip() if packing.endswith("gzip") else _AsItIs()
        body, came = bytearray(), 0
        while chunk := response.raw.read1(AT_ONCE, decode_content=False):
            came += len(chunk)
            self.bytes += len(chunk)
            body += unpack.feed(chunk, self.limits.size - len(body))
            if max(len(body), came) > self.limits.size:
                large = f"{address.file} from {host_of(address)} is larger than {self.limits.size / 1e6:g} MB"
                raise FetchError(f"{large}, as no list of ships is. Nothing of it was taken. {NEWER}")
        if self.watch.is_over:  # a connection that was cut looks like one that has ended
            raise TimeoutError
        if came and not unpack.is_whole:
            raise EOFError
        return bytes(body)


class _AsItIs:
    is_whole = True

    def feed(self, chunk: bytes, room: int) -> bytes:
        return chunk


class _Gunzip:
    """Unpacks what there is room for, and one byte more that tells, whatever a chunk holds."""

    def __init__(self) -> None:
        self.stream = zlib.decompressobj(wbits=31)

    @property
    def is_whole(self) -> bool:
        return self.stream.eof

    def feed(self, chunk: bytes, room: int) -> bytes:
        unpacked = self.stream.decompress(chunk, room + 1)
        if self.stream.unused_data:
            raise zlib.error("something follows the end")
        return unpacked


_CONDITIONS = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}


def _conditions(address: Address, known: Mapping[str, str]) -> dict[str, str]:
    """The headers that ask for a file only if it has changed."""
    if known.get("url") != _full(address):  # an ETag is true of one address
        return {}
    return {header: known[mark] for mark, header in _CONDITIONS.items() if known.get(mark)}


def _remembered(address: Address, headers: Mapping[str, str]) -> dict[str, str]:
    told = {mark: headers.get(mark, "") for mark in _CONDITIONS}
    sane = {mark: text for mark, text in told.items() if 0 < len(text) < 200 and text.isascii() and text.isprintable()}
    return {"url": _full(address), **sane} if sane else {}


def _full(address: Address) -> str:
    return f"{address.url}?{urlencode(address.params)}" if address.params else address.url
