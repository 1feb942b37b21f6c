"""What pages and programs are told the moment it happens: server-sent events, from one watcher in each web process.

The watcher is a thread that looks at the database's version and at the heartbeats, and only while somebody listens.
It makes each message once, for all streams; the event loop hands it on.
"""

import asyncio
import json
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any

from django.conf import settings
from django.contrib.auth import HASH_SESSION_KEY
from django.contrib.sessions.models import Session
from django.db import connection
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import Token, User
from accounts.rights import user_of
from iotsite.bridge import STREAM
from iotsite.parts import parts
from relays import cards, status
from relays.runfiles import BoardFiles
from relays.schemas import as_item
from relays.status import House

log = logging.getLogger(__name__)

LOOK_EVERY = 0.03
LOOK_AT_BEATS_EVERY = 0.4
BEAT_EVERY = 4.0
CHECK_RIGHTS_EVERY = 4.0
MOST_STREAMS = 1500
MOST_OF_A_SESSION = 4
"""A browser allows six connections to a host: with more streams its pages would wait for each other."""
BACKLOG = 200
"""Messages that wait for a slow reader; one more, and it is cut off and may come back."""
OPEN_WITHIN = 10.0
"""So long (seconds) a place is kept for a stream that is about to open."""


def message(event: str, data: Any, id: str = "") -> bytes:
    """One server-sent event. JSON has no raw line break, so that nobody's text can end it."""
    head = f"id: {id}\n" if id else ""
    return f"{head}event: {event}\ndata: {json.dumps(data, default=str)}\n\n".encode()


class Stream:
    """One open page or program. Everything but ``take`` and ``serve`` is called by the watcher."""

    kind: str
    session: str | None = None
    """Of which there may be a few; None where nobody's browser has to be spared."""

    def __init__(self) -> None:
        self.made_at = time.monotonic()
        self.loop: asyncio.AbstractEventLoop | None = None
        self._queue: asyncio.Queue[bytes | None] = asyncio.Queue(BACKLOG)

    def is_allowed(self, rights: "Rights") -> bool:
        raise NotImplementedError

    def welcome(self, all_of_it: "News") -> bytes:
        """What it is told first."""
        raise NotImplementedError

    def news(self, news: "News") -> bytes:
        raise NotImplementedError

    def take(self, answer: Any) -> None:
        """Its headers were all that it is for."""
        answer.close()

    async def serve(self, receive: Any, send: Any) -> None:
        """Hand on what is put, until one of both sides has had enough."""
        self.loop = asyncio.get_running_loop()
        leaving = self.loop.create_task(self._wait_for_leave(receive))
        await send({"type": "http.response.body", "body": b"retry: 1000\n\n", "more_body": True})
        watcher().add(self)
        try:
            while (chunk := await self._queue.get()) is not None:
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            watcher().drop(self)
            leaving.cancel()

    async def _wait_for_leave(self, receive: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self.put(None)

    def put(self, chunk: bytes | None) -> None:
        """In the event loop: hand ``chunk`` on; None is the end."""
        if self._queue.full():
            while not self._queue.empty():
                self._queue.get_nowait()
            chunk = None
        if chunk != b"":
            self._queue.put_nowait(chunk)


class PageStream(Stream):
    """A page of somebody who is signed in; ``seen`` is the fingerprint of what the page shows."""

    kind = "page"

    def __init__(self, request: HttpRequest) -> None:
        super().__init__()
        self.user = user_of(request).pk
        self.session = request.session.session_key
        self.proof = request.session.get(HASH_SESSION_KEY)
        self.may_switch = request.user.has_perm("relays.switch_relay")
        self.seen = request.headers.get("Last-Event-ID") or request.GET.get("seen", "")

    def is_allowed(self, rights: "Rights") -> bool:
        user = rights.users.get(self.user)
        if user is None or self.session not in rights.sessions:
            return False
        return user.get_session_auth_hash() == self.proof and rights.may_switch(user) is self.may_switch

    def welcome(self, all_of_it: "News") -> bytes:
        return b"" if self.seen == all_of_it.id else all_of_it.for_pages(self.may_switch)

    def news(self, news: "News") -> bytes:
        return news.for_pages(self.may_switch)


class ApiStream(Stream):
    """A program with a token."""

    kind = "program"

    def __init__(self, token: Token) -> None:
        super().__init__()
        self.token = token.pk

    def is_allowed(self, rights: "Rights") -> bool:
        return self.token in rights.tokens

    def welcome(self, all_of_it: "News") -> bytes:
        return all_of_it.for_programs()

    def news(self, news: "News") -> bytes:
        return news.for_programs()


class News:
    """What differs between two looks at the house, or all of it, as messages: made once, when somebody wants them."""

    def __init__(self, before: House | None, now: House) -> None:
        self.now = now
        self.id = now.fingerprint
        known = {relay.id: relay for relay in before.relays} if before else {}
        self.changed = [relay for relay in now.relays if known.get(relay.id) != relay]
        self.is_rebuilt = before is None or _shape(before) != _shape(now)
        self.has_board_news = before is None or before.boards != now.boards
        self.for_pages = cache(self._for_pages)
        self.for_programs = cache(self._for_programs)

    def _for_pages(self, may_switch: bool) -> bytes:
        if self.is_rebuilt:
            return message("refresh", {}, self.id)
        made = [
            message("card", {"id": relay.id, "html": cards.card(relay, may_switch)}, self.id) for relay in self.changed
        ]
        if self.has_board_news:
            notices = {"html": cards.notices(self.now, may_switch), "is_stale": bool(self.now.silent)}
            made.append(message("notices", notices, self.id))
        return b"".join(made)

    def _for_programs(self) -> bytes:
        made = [message("relay", as_item(relay), self.id) for relay in self.changed]
        if self.has_board_news:
            made.append(message("stop", {"is_stopped": bool(self.now.stopped)}, self.id))
        return b"".join(made)


def _shape(house: House) -> list[Any]:
    """What stands where on a page: when that changes, a page is made anew."""
    return [[(relay.id, relay.room, relay.name) for relay in house.relays], [board.id for board in house.boards]]


class Rights:
    """Who may listen still: all that the streams ask, in a query for each kind."""

    def __init__(self, streams: Iterable[Stream]) -> None:
        pages = [stream for stream in streams if isinstance(stream, PageStream)]
        tokens = [stream.token for stream in streams if isinstance(stream, ApiStream)]
        living = Session.objects.filter(
            session_key__in={page.session for page in pages}, expire_date__gt=timezone.now()
        )
        self.sessions = set(living.values_list("session_key", flat=True)) if pages else set()
        people = User.objects.filter(is_active=True, pk__in={page.user for page in pages})
        self.users = {user.pk: user for user in people} if pages else {}
        valid = Token.objects.valid().filter(pk__in={*tokens})
        self.tokens = set(valid.values_list("pk", flat=True)) if tokens else set()
        self.may_switch: Callable[[User], bool] = cache(lambda user: user.has_perm("relays.switch_relay"))


class Watcher(threading.Thread):
    """Looks for news while somebody listens, and tells them."""

    def __init__(self) -> None:
        super().__init__(name="watcher", daemon=True)
        self._streams: set[Stream] = set()
        self._opening: set[Stream] = set()
        self._new: list[Stream] = []
        self._is_ending = False
        self._has_streams = threading.Condition()
        self._all_of_it: News | None = None
        self._ships = ""
        self._version: int | None = None
        self._beats: list[tuple[bool, bool]] = []
        self._due: dict[str, float] = {}

    def add(self, stream: Stream) -> None:
        with self._has_streams:
            self._opening.discard(stream)
            self._streams.add(stream)
            self._new.append(stream)
            self._has_streams.notify()
            is_ending = self._is_ending
        if is_ending:
            self._tell([(stream, None)])

    def drop(self, stream: Stream) -> None:
        with self._has_streams:
            self._streams.discard(stream)

    def has_room_for(self, stream: Stream) -> bool:
        """Whether one more may be opened; its place is kept then, since many tabs come at once."""
        with self._has_streams:
            soon = time.monotonic() - OPEN_WITHIN
            self._opening = {other for other in self._opening if other.made_at > soon}
            others = [*self._streams, *self._opening]
            own = sum(other.session == stream.session for other in others) if stream.session else 0
            has_room = len(others) < MOST_STREAMS and own < MOST_OF_A_SESSION
            if has_room:
                self._opening.add(stream)
            return has_room

    def kinds(self) -> Counter[str]:
        """How many streams of each kind are open."""
        with self._has_streams:
            return Counter(stream.kind for stream in self._streams)

    def end(self) -> None:
        """Close all streams: the server ends."""
        with self._has_streams:
            self._is_ending = True
            streams = list(self._streams)
        self._tell((stream, None) for stream in streams)

    def run(self) -> None:
        while True:
            with self._has_streams:
                self._has_streams.wait_for(lambda: bool(self._streams))
                new, self._new = self._new, []
                streams = list(self._streams)
            try:
                self._step(streams, new)
            except Exception:  # without this thread all pages stand still
                log.exception("live: what happened is not told")
                self._try_again(new)
            time.sleep(LOOK_EVERY)

    def _try_again(self, new: list[Stream]) -> None:
        """After a failure: look again in a second, and tell what was not told."""
        with self._has_streams:
            self._new = [*new, *self._new]
        self._version = None
        connection.close()
        time.sleep(1.0)

    def _step(self, streams: list[Stream], new: list[Stream]) -> None:
        if self._is_due("rights", CHECK_RIGHTS_EVERY):
            self._check_rights(streams)
        version = self._version
        if self._may_have_news() or self._all_of_it is None:
            before, house = self._house, status.house()
            if house != before:
                news, old = News(before, house), {*streams} - {*new}
                self._tell((stream, stream.news(news)) for stream in old)
                self._all_of_it = News(None, house)  # not before all are told
        all_of_it = self._all_of_it
        if all_of_it is not None:
            self._tell((stream, stream.welcome(all_of_it)) for stream in new)
        self._tell_of_ships(streams, new, may_have_news=self._version != version)
        if self._is_due("beat", BEAT_EVERY):
            beat = message("beat", {})
            self._tell((stream, beat) for stream in streams)

    def _tell_of_ships(self, streams: list[Stream], new: list[Stream], *, may_have_news: bool) -> None:
        """Pages that list ships fetch them anew when this is not what they show. Asked last: a switch is told first."""
        before = self._ships
        if may_have_news or not before:
            self._ships = parts().ships
        told = message("ships", {"seen": self._ships})
        pages = new if self._ships == before else streams
        self._tell((stream, told) for stream in pages if isinstance(stream, PageStream))

    @property
    def _house(self) -> House | None:
        """As it was at the last look."""
        return self._all_of_it.now if self._all_of_it else None

    def _is_due(self, what: str, every: float) -> bool:
        if time.monotonic() < self._due.get(what, 0.0):
            return False
        self._due[what] = time.monotonic() + every
        return True

    def _may_have_news(self) -> bool:
        """Whether somebody committed something, or a controller fell silent, came back or was stopped."""
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA data_version")
            version = cursor.fetchone()[0]
        was, self._version = self._version, version
        return bool(was != version) or (self._is_due("controllers", LOOK_AT_BEATS_EVERY) and self._beats_changed())

    def _beats_changed(self) -> bool:
        files = [BoardFiles(settings.RUN_DIR, board.id) for board in (self._house.boards if self._house else ())]
        was, self._beats = self._beats, [(board.is_served, board.is_latched) for board in files]
        return was != self._beats

    def _check_rights(self, streams: list[Stream]) -> None:
        rights = Rights(streams)
        gone = [stream for stream in streams if not stream.is_allowed(rights)]
        self._tell((stream, message("bye", {})) for stream in gone)
        self._tell((stream, None) for stream in gone)

    @staticmethod
    def _tell(told: Iterable[tuple[Stream, bytes | None]]) -> None:
        """Hand messages to the event loop, all in one go."""
        told = list(told)
        for loop in {stream.loop for stream, _ in told if stream.loop}:
            loop.call_soon_threadsafe(_put_all, [(stream, chunk) for stream, chunk in told if stream.loop is loop])


def _put_all(told: list[tuple[Stream, bytes | None]]) -> None:
    for stream, chunk in told:
        stream.put(chunk)


@cache
def watcher() -> Watcher:
    """The one of this process, at work."""
    made = Watcher()
    made.start()
    return made


def open_streams() -> Counter[str]:
    """How many are open, of each kind."""
    return watcher().kinds() if watcher.cache_info().currsize else Counter()


def end() -> None:
    """Close all streams: the server is about to end."""
    if watcher.cache_info().currsize:
        watcher().end()


@require_GET
def live(request: HttpRequest) -> HttpResponse:
    """The stream of a page. 204, which browsers take for “do not ask again”, where the session has enough of them."""
    stream = PageStream(request)
    if not watcher().has_room_for(stream):
        return HttpResponse(status=204)
    request.META[STREAM] = stream
    return HttpResponse(content_type="text/event-stream")
