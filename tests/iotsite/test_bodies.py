"""A long answer goes out as it is made, and who reads it slowly is in nobody's way."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

from iotsite import bodies
from iotsite.bodies import Parts
from iotsite.bridge import STREAM, Bridge

Message = dict[str, Any]
REQUEST: Message = {"type": "http", "method": "GET", "raw_path": b"/", "query_string": b"", "scheme": "http"}
REQUEST |= {"server": ("127.0.0.1", 8000), "client": ("127.0.0.9", 1234), "headers": []}


@pytest.fixture(autouse=True)
def _places_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """They belong to one event loop, and each test has its own."""
    monkeypatch.setattr(Parts, "places", asyncio.Semaphore(bodies.AT_A_TIME))


class Table:
    """An answer that is made while it is sent."""

    def __init__(self, *parts: bytes) -> None:
        self.parts, self.made_in, self.made, self.closed = parts, set[str](), 0, 0

    def __iter__(self) -> Iterator[bytes]:
        for part in self.parts:
            self.made_in.add(threading.current_thread().name)
            self.made += 1
            yield part

    def close(self) -> None:
        self.closed += 1

    def is_closed_soon(self) -> bool:
        """In the thread that made it."""
        for _ in range(500):
            if self.closed:
                break
            time.sleep(0.01)
        return self.closed == 1


async def stay() -> Message:
    await asyncio.sleep(60)
    return await leave()


async def leave() -> Message:
    return {"type": "http.disconnect"}


def serve(
    table: Table, read: Callable[[Message], Awaitable[None]], receive: Callable[[], Awaitable[Message]] = stay
) -> None:
    parts = Parts()
    parts.take(table)
    asyncio.run(parts.serve(receive, read))


def test_it_is_sent_as_it_is_made_by_one_thread_of_its_own() -> None:
    table, sent = Table(b"a", b"b", b"c"), []

    async def read(message: Message) -> None:
        sent.append((message.get("body"), message.get("more_body")))

    serve(table, read)
    assert sent == [(b"a", True), (b"b", True), (b"c", True), (None, None)]
    assert table.made_in == {"parts_0"}
    assert table.is_closed_soon()


def test_it_is_made_no_faster_than_it_is_read() -> None:
    table, made = Table(*[b"x"] * 100), []

    async def read(message: Message) -> None:
        made.append(table.made)
        await asyncio.sleep(0.001)

    serve(table, read)
    assert made == [*range(1, 101), 100]


def test_nothing_more_is_made_for_who_left() -> None:
    table = Table(*[b"x"] * 1000)

    async def read(message: Message) -> None:
        await asyncio.sleep(0)

    serve(table, read, receive=leave)
    assert table.made < 10
    assert table.is_closed_soon()


def test_what_is_read_too_slowly_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "WITHIN", 0.2)
    table, sent = Table(*[b"x"] * 1000), []

    async def read(message: Message) -> None:
        sent.append(message)
        await asyncio.sleep(0.05)

    serve(table, read)
    assert len(sent) < 8
    assert sent[-1]["more_body"], "not ended, so that nobody takes it for the whole"
    assert table.is_closed_soon()


def test_slow_readers_leave_the_threads_to_the_others() -> None:
    """However many there are: a page and a switch find a thread."""
    tables = [Table(b"x", b"x", b"x") for _ in range(bodies.AT_A_TIME + 5)]
    asked, sent = iter(tables), []

    def site(environ: Message, start: Callable[..., Any]) -> Any:
        start("200 OK", [])
        if table := next(asked, None):
            environ[STREAM] = Parts()
            return table
        return Table(b"fine")

    def made() -> int:
        return sum(table.made for table in tables)

    async def talk() -> None:
        bridge, go_on = Bridge(site, threads=1, longest_body=0, body_within=5), asyncio.Event()

        async def receive() -> Message:
            return {"type": "http.request", "body": b"", "more_body": False}

        async def read_slowly(message: Message) -> None:
            if "body" in message:
                await go_on.wait()

        async def read(message: Message) -> None:
            sent.append(message.get("body"))

        slow = [asyncio.create_task(bridge(REQUEST, Once(receive), read_slowly)) for _ in tables]
        async with asyncio.timeout(10):
            while made() < bodies.AT_A_TIME:
                await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)
        assert made() == bodies.AT_A_TIME
        await asyncio.wait_for(bridge(REQUEST, receive, read), 5)
        go_on.set()
        await asyncio.gather(*slow)

    asyncio.run(talk())
    assert sent == [None, b"fine"]
    assert [table.made for table in tables] == [3] * len(tables)


class Once:
    """Who has asked, and stays."""

    def __init__(self, ask: Callable[[], Awaitable[Message]]) -> None:
        self.coming = iter([ask])

    async def __call__(self) -> Message:
        return await next(self.coming, stay)()
