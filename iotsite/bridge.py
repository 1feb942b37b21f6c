"""Between the event loop and Django: requests run in a pool of threads that live as long as the process.

Threads that live keep their database connection: under Django's own ASGI handler each request would open one. A view
may put what serves its body into ``environ[STREAM]``, and what nobody should wait for into ``environ[AFTERWARDS]``.
"""

import asyncio
import io
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any
from urllib.parse import unquote_to_bytes

from iotsite.bodies import Whole

STREAM, AFTERWARDS = "iotsite.stream", "iotsite.afterwards"
SAME_FOR_ALL: dict[str, Any] = {"SCRIPT_NAME": "", "wsgi.version": (1, 0), "wsgi.errors": sys.stderr}
SAME_FOR_ALL |= {"wsgi.multithread": True, "wsgi.multiprocess": False, "wsgi.run_once": False}
STREAMS = (b"/live", b"/api/stream")
OPENED_AT_A_TIME = 4
"""After a restart all pages ask for their streams at once. The thread that is started for one keeps its database
connection, a quarter of a megabyte, for ever."""
TOO_SLOW = {"type": "http.response.start", "status": 408, "headers": [(b"connection", b"close")]}


class Bridge:
    """An ASGI application out of a WSGI one, with at most ``threads`` requests at work."""

    def __init__(self, site: Any, *, threads: int, longest_body: int, body_within: float) -> None:
        self.site, self.longest_body, self.body_within = site, longest_body, body_within
        self.few = asyncio.Semaphore(OPENED_AT_A_TIME)
        self.pool = ThreadPoolExecutor(threads, thread_name_prefix="request")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        try:
            async with asyncio.timeout(self.body_within):
                environ = _environ(scope, await self._read(receive))
        except ConnectionError:
            return  # what came of the body is not what was meant
        except TimeoutError:
            await send(TOO_SLOW)
            await send({"type": "http.response.body"})
            return
        loop = asyncio.get_running_loop()
        async with self.few if scope["raw_path"] in STREAMS else nullcontext():
            head, body = await loop.run_in_executor(self.pool, self._answer, environ)
        await send(head)
        if afterwards := environ.get(AFTERWARDS):
            loop.run_in_executor(self.pool, afterwards)
        del environ, afterwards  # a stream may last for days
        await body.serve(receive, send)

    async def _read(self, receive: Any) -> bytes:
        """All of the body; of one that is too long is kept one byte more than Django takes, so that Django says so."""
        body, has_more = bytearray(), True
        while has_more:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise ConnectionError
            body += message["body"][: self.longest_body + 1 - len(body)]
            has_more = message["more_body"]
        return bytes(body)

    def _answer(self, environ: dict[str, Any]) -> tuple[dict[str, Any], Any]:
        said: list[Any] = []
        answer = self.site(environ, lambda status, headers, exc_info=None: said.extend((status, headers)))
        body = environ.get(STREAM) or Whole()
        body.take(answer)
        unfit = "Content-Length" if STREAM in environ else ""
        headers = [(k.lower().encode("latin1"), v.encode("latin1")) for k, v in said[1] if k != unfit]
        return {"type": "http.response.start", "status": int(said[0][:3]), "headers": headers}, body


def _environ(scope: Any, body: bytes) -> dict[str, Any]:
    """A request in WSGI's words (PEP 3333). Names with an underscore are dropped: they could pass for others."""
    environ: dict[str, Any] = {**SAME_FOR_ALL, "REQUEST_METHOD": scope["method"], "SERVER_PROTOCOL": "HTTP/1.1"}
    environ |= {"PATH_INFO": unquote_to_bytes(scope["raw_path"]).decode("latin1"), "wsgi.input": io.BytesIO(body)}
    environ |= {"QUERY_STRING": scope["query_string"].decode("latin1"), "wsgi.url_scheme": scope["scheme"]}
    environ |= {"SERVER_NAME": scope["server"][0], "SERVER_PORT": str(scope["server"][1])}
    for name, value in scope["headers"]:
        key = name.decode("latin1").upper().replace("-", "_")
        key = key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"
        if b"_" not in name:
            joint = "; " if key == "HTTP_COOKIE" else ","
            environ[key] = joint.join([*([environ[key]] if key in environ else []), value.decode("latin1")])
    return environ | {"CONTENT_LENGTH": str(len(body)), "REMOTE_ADDR": (scope["client"] or [""])[0]}
