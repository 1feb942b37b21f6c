"""The limit on guessing: it stands in front of the hasher, which is slow on purpose and must not work for just anybody.

Strangers share one bucket, whoever they say they are and wherever they come from: addresses and names cost nothing. So
that none of them can keep the right person out, a browser that has signed in to an account before has a bucket of its
own for that account, and so has everybody who is signed in and changes their password.
"""

import math
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable

MINUTE = 60.0
STRANGERS = 20
OWN = 5
MOST_BUCKETS = 1000


class Bucket:
    """So many tokens, each of which is back a minute after it was taken: never more than that in any minute."""

    def __init__(self, size: int) -> None:
        self._taken: deque[float] = deque(maxlen=size)

    def take(self, now: float) -> float:
        """Take a token: 0; where there is none, the seconds until there is one."""
        is_empty = len(self._taken) == self._taken.maxlen
        wait = self._taken[0] + MINUTE - now if is_empty else 0.0
        if wait <= 0:
            self._taken.append(now)
        return max(0.0, wait)


class Guard:
    """The buckets of a process; there is one web process. What it keeps is bounded, whatever is asked of it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._strangers = Bucket(STRANGERS)
        self._own: OrderedDict[str, Bucket] = OrderedDict()

    def wait_of_stranger(self) -> int:
        """Ask to compute one hash: 0, or the seconds after which to ask again."""
        with self._lock:
            return math.ceil(self._strangers.take(self._clock()))

    def wait_of(self, key: str) -> int:
        """The same for somebody known, by a name that only the site can have given them."""
        with self._lock:
            bucket = self._own.setdefault(key, Bucket(OWN))
            self._own.move_to_end(key)
            if len(self._own) > MOST_BUCKETS:
                self._own.popitem(last=False)
            return math.ceil(bucket.take(self._clock()))


attempts = Guard()


def sentence(wait: int) -> str:
    return f"Too many attempts. Try again in {wait} s."
