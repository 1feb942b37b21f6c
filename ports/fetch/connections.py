"""The session that everything is fetched by, and its connections, which are cut when their time is over."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool

from iotsite import __version__

USER_AGENT = f"iotsite/{__version__} (self-hosted site; reads lists of ships)"


class Watch:
    """Cuts the connections of a fetch when its time is over.

    The timeout of a socket starts anew with each byte: a server that drips its headers keeps a reader for days.
    """

    def __init__(self) -> None:
        self.sockets: list[socket.socket] = []
        self.until = 0.0

    @property
    def left(self) -> float:
        return self.until - time.monotonic()

    @property
    def is_over(self) -> bool:
        return self.left <= 0

    @contextmanager
    def during(self, seconds: float) -> Iterator[None]:
        self.until = time.monotonic() + seconds
        timer = threading.Timer(seconds, self._cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()

    def add(self, connection: socket.socket) -> None:
        # Its double reaches the same connection when TLS has taken the first one over.
        self.sockets.append(connection.dup())
        if self.is_over:
            self._cut()

    def _cut(self) -> None:
        if not self.is_over:
            return  # this was the clock of the file before
        for connection in tuple(self.sockets):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended already
                pass

    def close(self) -> None:
        for connection in self.sockets:
            connection.close()
        self.sockets.clear()


class _WatchedHTTP(HTTPConnection):
    def __init__(self, watch: Watch, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.watch = watch

    def _new_conn(self) -> socket.socket:
        connection = super()._new_conn()
        self.watch.add(connection)
        return connection


class _WatchedHTTPS(_WatchedHTTP, HTTPSConnection):
    pass


class _WatchedAdapter(HTTPAdapter):
    def __init__(self, watch: Watch) -> None:
        self.watch = watch
        super().__init__()

    def get_connection_with_tls_context(self, *args: Any, **kwargs: Any) -> HTTPConnectionPool:
        pool = super().get_connection_with_tls_context(*args, **kwargs)
        kind = _WatchedHTTPS if pool.scheme == "https" else _WatchedHTTP
        pool.ConnectionCls = partial(kind, self.watch)  # type: ignore[assignment]
        return pool

    def close(self) -> None:
        super().close()
        self.watch.close()


def open_session(watch: Watch) -> requests.Session:
    """A session that says who asks, follows no redirect and is cut when ``watch`` says so."""
    session = requests.Session()
    session.headers.update({"User-Agent": USER_AGENT, "Accept-Encoding": "gzip"})
    # Proxies and certificates of the environment are used: without them many a house reaches nothing. ~/.netrc is not:
    # requests looks there where no other authentication is set, and no feed needs one.
    session.auth = _no_authentication
    # requests reads the body of a redirect to its end, also where it does not follow.
    session.get_redirect_target = lambda resp: None  # type: ignore[method-assign]
    for scheme in ("http://", "https://"):
        session.mount(scheme, _WatchedAdapter(watch))
    return session


def _no_authentication(request: requests.PreparedRequest) -> requests.PreparedRequest:
    return request
