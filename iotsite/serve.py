"""The web server: python -m iotsite.serve [--host H] [--port N]. uvicorn, with three habits of our own.

It gives up on connections that do not say what they want, or do not take what they asked for (uvicorn keeps both for
ever), at its end it closes the streams first, rather than wait for pages that would stay open for days, and it tells
systemd that it listens, and every second that its event loop goes round.
"""

import argparse
import asyncio
import os
import resource
from socket import socket
from typing import Any

import uvicorn
from django.conf import settings
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from iotsite.notify import notify

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "iotsite.settings")

HEAD_WITHIN = 10.0
"""Seconds within which the head of a request must have come."""
LONGEST_HEAD = 64 * 1024
READ_WITHIN = 20.0
"""Seconds within which something must be taken of what waits to be sent."""
TICKS = 10
"""Of uvicorn's, in a second."""


class PatientProtocol(HttpToolsProtocol):
    """Waits for the head of each request and for slow readers, but not for ever, and not for a book."""

    _giving_up: asyncio.TimerHandle | None = None
    _waiting_for_reader: asyncio.TimerHandle | None = None
    _head_size = 0

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        if self._giving_up:
            self._head_size += len(data)
        super().data_received(data)
        if self._giving_up and self._head_size > LONGEST_HEAD:
            self.transport.abort()
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and self.timeout_keep_alive_task is None:
            self._await_head()  # an empty line begins no request, but ends uvicorn's own patience

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._await_head()

    def on_headers_complete(self) -> None:
        self._head_is_here()
        super().on_headers_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_is_here()
        self._stop_waiting_for_reader()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._waiting_for_reader = self.loop.call_later(READ_WITHIN, self.transport.abort)

    def resume_writing(self) -> None:
        self._stop_waiting_for_reader()
        super().resume_writing()

    def _stop_waiting_for_reader(self) -> None:
        if self._waiting_for_reader:
            self._waiting_for_reader.cancel()
            self._waiting_for_reader = None

    def _await_head(self) -> None:
        if self._giving_up is None:
            self._head_size = 0
            self._giving_up = self.loop.call_later(HEAD_WITHIN, self.transport.abort)

    def _head_is_here(self) -> None:
        if self._giving_up:
            self._giving_up.cancel()
            self._giving_up = None


class Server(uvicorn.Server):
    async def startup(self, sockets: list[socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            notify("READY=1")

    async def on_tick(self, counter: int) -> bool:
        if counter % TICKS == 0:
            notify("WATCHDOG=1")  # not uvicorn's callback_notify: that goes by the wall clock, which may be set back
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket] | None = None) -> None:
        from iotsite import live

        live.end()
        await super().shutdown(sockets)


def main() -> None:
    parser = argparse.ArgumentParser("iotsite.serve", description="Serve the site over HTTP.")
    host, port = settings.LISTEN
    parser.add_argument("--host", default=host, help="an address in numbers (%(default)s: LISTEN in the settings)")
    parser.add_argument("--port", type=int, default=port, help="(%(default)s: the same)")
    options = parser.parse_args()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # 1024 would be fewer than MOST_STREAMS
    config = uvicorn.Config(
        "iotsite.asgi:application",
        host=options.host,
        port=options.port,
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        interface="asgi3",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,  # iotsite/forwarded.py reads them
        timeout_keep_alive=10,
        timeout_graceful_shutdown=3,
        backlog=1024,
    )
    Server(config).run()


if __name__ == "__main__":
    main()
