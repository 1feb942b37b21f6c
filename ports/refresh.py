"""One try at a Feed: is it its turn, is nobody else at it, what does it answer. What becomes of that: takeover.py."""

import fcntl
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from ports.models import Feed, Port, Refresh
from ports.takeover import Progress, Result, Work


class RefreshError(Exception):
    """Why there is no refresh now, in a sentence."""


class FeedBusyError(RefreshError):
    """Another process works at the feed."""


class NotYetError(RefreshError):
    """It is too early; ``until`` says for how long."""

    def __init__(self, sentence: str, until: datetime) -> None:
        super().__init__(sentence)
        self.until = until


def refresh(
    feed: Feed,
    *,
    force: bool = False,
    save: Path | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Fetch ``feed`` and take over what it says of the ports that are on. RefreshError where that is not to be now.

    ``force`` asks before the interval is over, but never before the publisher allows it. ``save`` is a folder for the
    bytes that came, as they came.
    """
    from ports import fetch  # requests takes a tenth of a second to import, and only this process needs it

    with alone(feed):
        feed.refresh_from_db()
        at = timezone.now()
        _wait_your_turn(feed, at, force=force)
        work = Work(feed, at, is_dry=dry_run, progress=progress, ports=list(feed.ports.filter(is_enabled=True)))
        if not work.ports:
            raise RefreshError(f"No port of {feed} is on: nobody is asked.")
        source = feed.publisher
        memory = feed.memory if source.is_timeless and all(port.loaded_at for port in work.ports) else {}
        got = fetch.fetch(source.addresses(feed.name, at), {} if save else memory)
        work.bytes = got.bytes
        if save:
            work.unkept = keep(got.files, save)
        if got.retry_at:  # the publisher's word, also for a dry run
            Feed.objects.filter(pk=feed.pk).update(next_allowed_at=got.retry_at)
        if got.is_unchanged:
            return work.end(Refresh.Outcome.UNCHANGED)
        errors = " ".join(got.errors.values())
        if not got.files:
            return work.end(Refresh.Outcome.FAILED, errors)
        work.memory = {} if errors else got.memory
        return work.apply(got.files, errors)


def replay(
    feed: Feed,
    files: dict[str, bytes],
    at: datetime,
    *,
    ports: Sequence[Port] | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Result:
    """Take over recorded ``files`` as if they had been fetched at ``at``.

    For these ports, on or off (all of the feed), and those of the feed that are on, since they all are as fresh then.
    RefreshError where the feed has told of a later moment already: history is not written backwards.
    """
    with alone(feed):
        feed.refresh_from_db()
        last = feed.last_good()
        if last and at < last.as_of:
            raise RefreshError(
                f"{feed} has told of {last.as_of:%Y-%m-%d %H:%M} UTC already: an older answer changes nothing."
            )
        named = [port.pk for port in (feed.ports.all() if ports is None else ports)]
        chosen = list(feed.ports.filter(Q(pk__in=named) | Q(is_enabled=True)))
        work = Work(feed, at, is_dry=dry_run, progress=progress, ports=chosen, is_replay=True)
        return work.apply(files)


def keep(files: dict[str, bytes], folder: Path) -> str:
    """Lay the bytes that were fetched into ``folder``, each under the name of its file; a sentence where that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_bytes(content)
    except OSError as error:
        return f"What was fetched could not be kept in {folder}: {error.strerror}."
    return ""


def next_at(feed: Feed) -> datetime:
    """When ``feed`` may be asked next: an interval after it was asked last, and not before the publisher allows it."""
    last = feed.last_asked()
    due = last.started_at + feed.interval if last else datetime.min.replace(tzinfo=timezone.get_default_timezone())
    return max(due, feed.next_allowed_at) if feed.next_allowed_at else due


def _wait_your_turn(feed: Feed, at: datetime, *, force: bool) -> None:
    if feed.is_example:
        raise RefreshError(f"{feed} is a recording: there is nothing to fetch.")
    if feed.next_allowed_at and feed.next_allowed_at > at:
        until = feed.next_allowed_at
        raise NotYetError(f"{feed.publisher.publisher} asks us to wait until {until:%Y-%m-%d %H:%M} UTC.", until)
    if not force and (until := next_at(feed)) > at:
        raise NotYetError(f"{feed} was asked lately: the next time is {until:%H:%M} UTC; --force asks now.", until)


@contextmanager
def alone(feed: Feed) -> Iterator[None]:
    """Two at once for one feed exclude each other; the kernel ends it with the process."""
    lock = os.open(settings.RUN_DIR / f"feed-{feed.pk}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise FeedBusyError(f"{feed} is being refreshed by another process.") from None
        yield
    finally:
        os.close(lock)
