"""How the body of an answer is sent: whole, or in parts as it is made. (live.Stream is the third way.)

Each takes the answer of Django in the thread that made it, and serves it in the event loop.
"""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from django.db import connections

AT_A_TIME, WITHIN = 4, 300.0
"""So many answers in parts, the others wait; and so many seconds for one, however slowly somebody reads."""


class Whole:
    def take(self, answer: Any) -> None:
        self.content = b"".join(answer)
        answer.close()

    async def serve(self, receive: Any, send: Any) -> None:
        await send({"type": "http.response.body", "body": self.content})


class Parts:
    """A long answer, no faster than it is read, all of it by one thread: a cursor of the database belongs to one."""

    places = asyncio.Semaphore(AT_A_TIME)

    def take(self, answer: Any) -> None:
        self.answer = answer

    async def serve(self, receive: Any, send: Any) -> None:
        loop = asyncio.get_running_loop()
        leaving, thread = loop.create_task(receive()), ThreadPoolExecutor(1, thread_name_prefix="parts")
        try:
            async with self.places, asyncio.timeout(WITHIN):
                parts = iter(self.answer)
                while (part := await loop.run_in_executor(thread, next, parts, None)) is not None:
                    if leaving.done():
                        return
                    await send({"type": "http.response.body", "body": part, "more_body": True})
            await send({"type": "http.response.body"})
        except TimeoutError:
            pass  # uvicorn cuts off what did not end, so that nobody takes it for the whole
        finally:
            leaving.cancel()
            thread.submit(self.answer.close)
            thread.submit(connections.close_all)
            thread.shutdown(wait=False)
