"""manage.py refresh_ships [PORT …] [--watch] [--from-files DIR [--at MOMENT]] [--save DIR] [--dry-run] [--force]"""

import argparse
import gc
import json
import logging
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from iotsite.checkpoint import Checkpointer
from iotsite.places import PlaceError
from ports import report
from ports.models import Feed, Port, Refresh
from ports.progress import Now, tell, telling
from ports.refresh import NotYetError, RefreshError, refresh, replay
from ports.takeover import Result
from ports.watch import AlreadyWatchingError, Watch

MISUSE = 2
INTERRUPTED, TERMINATED = 130, 143
INSIST_EVERY = 0.2
"""Seconds between two times that a signal is sent on."""
LEVELS = (logging.WARNING, logging.INFO, logging.DEBUG, logging.DEBUG)
"""Of the watch's log, by verbosity."""
OLDEST, NEWEST = 1970, 9998
"""The years that files may have been fetched in; others cannot even be told in every zone."""
ALONE = ("ports", "from_files", "at", "save", "dry_run", "force", "json")
"""What does not go with --watch."""


def moment(text: str) -> datetime:
    """An argparse type; naive where no zone is said."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"“{text}” is not a moment: write it like 2025-08-22T21:25 or 2025-08-22T21:25+08:00."
        ) from error
    if not OLDEST <= at.year <= NEWEST:
        raise argparse.ArgumentTypeError(f"“{text}” is no moment at which anything was fetched: look at the year.")
    return at


@dataclass
class Task:
    """What is to be refreshed in one go."""

    feed: Feed
    ports: list[Port]

    @property
    def title(self) -> str:
        return f"{', '.join(port.locode for port in self.ports)} {self.feed.source}"


class Command(BaseCommand):
    help = "Fetch what the publishers tell of the ports that are on, and take it over."
    requires_system_checks = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.epilog = "Exit status: 0 done or nothing new; 1 where something failed or is only partly done."
        parser.add_argument("ports", nargs="*", metavar="PORT", help="UN/LOCODE; without any, all ports that are on")
        parser.add_argument("--watch", action="store_true", help="keep going, each feed at its own interval")
        parser.add_argument("--from-files", type=Path, metavar="DIR", help="read recorded files; fetch nothing")
        parser.add_argument("--at", type=moment, metavar="MOMENT", help="when those were fetched, in ISO 8601 (now)")
        parser.add_argument("--save", type=Path, metavar="DIR", help="keep the files that are fetched, as they come")
        parser.add_argument("--dry-run", action="store_true", help="print the differences, write nothing")
        parser.add_argument("--force", action="store_true", help="before the interval is over")
        parser.add_argument("--json", action="store_true", help="a list of one object for each port")

    def execute(self, *args: Any, **options: Any) -> str | None:
        try:
            return super().execute(*args, **options)
        except DatabaseError as error:
            raise CommandError(f"The database cannot be used: {error}. Has script/server been run here?") from error

    def handle(self, *args: Any, **options: Any) -> None:
        _refuse_misuse(options)
        gc.freeze()  # what lives as long as the process need not be looked through for garbage
        with ending_cleanly():
            if options["watch"]:
                self._watch(options["verbosity"])
            elif not self._refresh_all(options):
                sys.exit(1)

    def _watch(self, verbosity: int) -> None:
        logging.getLogger("ports").setLevel(LEVELS[verbosity])
        Feed.objects.exists()  # a database that cannot be read now is said at once
        try:
            watch = Watch()
            Checkpointer(keeps_lock=False).start()
            watch.run()
        except (AlreadyWatchingError, PlaceError) as error:
            raise CommandError(str(error)) from error
        except SystemExit:
            sys.exit(0)  # that is how it ends

    def _refresh_all(self, options: dict[str, Any]) -> bool:
        """Refresh what is asked for; whether all went well."""
        tasks = _tasks(options["ports"], with_files=options["from_files"] is not None)
        if not tasks and not options["json"]:
            self.stdout.write("No port is on. Turn one on at its page: the list of ports is at /ports/.")
        if options["save"]:
            _make_room(options["save"])
        items: list[dict[str, Any]] = []
        is_well = True
        for task in tasks:
            listener = self._bar(task, options)
            try:
                with telling(task.feed.pk, listener), erasing(listener):
                    result = _carry_out(task, options)
            except RefreshError as error:
                is_well &= isinstance(error, NotYetError)
                self._say_no(task, error, options)
                items += [_refusal(port, error) for port in task.ports]
            else:
                is_well &= result.is_whole and not result.unkept
                self._say(task, result, options)
                items += [report.item(locode, result) for locode in _locodes(task, result)]
        if options["json"]:
            self.stdout.write(json.dumps(items, indent=2, ensure_ascii=False))
        return is_well

    def _say(self, task: Task, result: Result, options: dict[str, Any]) -> None:
        """The line of each port, and what went wrong."""
        if trouble := report.trouble(result):
            self.stderr.write(f"{task.title}: {trouble}")
        if result.unkept:
            self.stderr.write(f"{task.title}: {result.unkept}")
        if options["json"] or not options["verbosity"]:
            return
        if options["dry_run"] or options["verbosity"] > 1:
            for difference in report.differences(result):
                self.stdout.write(difference)
        if result.outcome in Refresh.GOOD:
            for locode in _locodes(task, result):
                self.stdout.write(report.line(locode, result))

    def _say_no(self, task: Task, error: RefreshError, options: dict[str, Any]) -> None:
        if not isinstance(error, NotYetError):
            self.stderr.write(f"{task.title}: {error}")
        elif options["verbosity"] and not options["json"]:
            self.stdout.write(f"{task.title}: not yet: {error}")

    def _bar(self, task: Task, options: dict[str, Any]) -> "Bar | None":
        is_wanted = options["verbosity"] and not options["json"] and self.stderr.isatty()
        return Bar(task.title, self.stderr.write) if is_wanted else None


# --- what is asked for --------------------------------------------------------------------------------------


def _refuse_misuse(options: dict[str, Any]) -> None:
    def refuse(sentence: str) -> None:
        raise CommandError(sentence, returncode=MISUSE)

    if options["watch"] and any(options[name] for name in ALONE):
        refuse("--watch sees to all ports that are on, as they are published: it goes with no port or other option.")
    if options["from_files"] is None and options["at"]:
        refuse("--at says when recorded files were fetched: it goes with --from-files only.")
    if options["from_files"] is not None and (options["save"] or options["force"]):
        refuse("--save and --force are about fetching: with --from-files nothing is fetched.")


def _make_room(folder: Path) -> None:
    """Find out before anything is fetched whether it could be kept."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as sample:
            sample.write(b"a folder may be there and the disk be full")
    except OSError as error:
        raise CommandError(f"Nothing can be kept in {folder}: {error.strerror}.", returncode=MISUSE) from error


def _tasks(names: list[str], *, with_files: bool) -> list[Task]:
    """One for each feed of the ports of these names, or of all that are on."""
    ports = Port.objects.filter(is_enabled=True, is_example=False).select_related("feed").order_by("locode")
    found = [_named(name, with_files=with_files) for name in names] if names else list(ports)
    if with_files and not found:
        raise CommandError("No port is on: name those that the files tell of.", returncode=MISUSE)
    tasks: dict[int, Task] = {}
    for port in found:
        task = tasks.setdefault(port.feed_id, Task(port.feed, []))
        if port not in task.ports:
            task.ports.append(port)
    return list(tasks.values())


def _named(name: str, *, with_files: bool) -> Port:
    port = Port.objects.filter(locode=name.upper()).select_related("feed").first()
    if port is None:
        known = ", ".join(Port.objects.order_by("locode").values_list("locode", flat=True)) or "none"
        raise CommandError(f"There is no port “{name}”. Ports: {known}.", returncode=MISUSE)
    if port.is_example:
        raise CommandError(f"{port.locode} is an example, recorded once: it is never refreshed.", returncode=MISUSE)
    if not port.is_enabled and not with_files:
        raise CommandError(
            f"{port.locode} ({port.name}) is off: nothing is fetched for it. Turn it on at its page, "
            f"/ports/{port.locode}/, or give --from-files.",
            returncode=MISUSE,
        )
    return port


def _carry_out(task: Task, options: dict[str, Any]) -> Result:
    writing = partial(tell, "writing")
    if options["from_files"] is None:
        tell("fetching")
        return refresh(
            task.feed,
            force=options["force"],
            save=options["save"],
            dry_run=options["dry_run"],
            progress=writing,
        )
    at = _aware(options["at"], task.feed)
    files = _read_files(options["from_files"], task.feed, at)
    return replay(task.feed, files, at, ports=task.ports, dry_run=options["dry_run"], progress=writing)


def _aware(at: datetime | None, feed: Feed) -> datetime:
    """A moment without a zone is one of the publisher's."""
    now = timezone.now()
    if at is None:
        return now
    at = at if at.tzinfo else _in_zone(at, feed.publisher.zone)
    if at > now:
        raise CommandError(f"{at:%Y-%m-%d %H:%M %Z} is still to come: say when the files were fetched.", returncode=2)
    return at


def _in_zone(at: datetime, zone: str) -> datetime:
    """A moment by the clocks of ``zone``; which one is not guessed where these were changed."""
    earlier, later = (at.replace(tzinfo=ZoneInfo(zone), fold=fold) for fold in (0, 1))
    if earlier.utcoffset() == later.utcoffset():
        return earlier
    if earlier.astimezone(UTC).astimezone(earlier.tzinfo).replace(tzinfo=None) != at:
        sentence = f"{at:%Y-%m-%d %H:%M} never came in {zone}: its clocks were put forward. Say it with its offset"
    else:
        sentence = f"{at:%Y-%m-%d %H:%M} came twice in {zone}: its clocks were put back. Say which"
    offsets = (moment.isoformat(timespec="minutes") for moment in (earlier, later))
    raise CommandError(f"{sentence}, like {' or '.join(offsets)}.", returncode=MISUSE)


def _read_files(folder: Path, feed: Feed, at: datetime) -> dict[str, bytes]:
    """The files of ``feed`` that lie in ``folder``, in whatever case their names are written."""
    names = [address.file for address in feed.publisher.addresses(feed.name, at)]
    try:
        there = {path.name.lower(): path for path in folder.iterdir() if path.is_file()}
        files = {name: there[name.lower()].read_bytes() for name in names if name.lower() in there}
    except OSError as error:
        raise RefreshError(f"{error.filename} cannot be read: {error.strerror}.") from error
    if not files:
        raise RefreshError(f"{folder} has none of its files: {', '.join(names)}.")
    return files


# --- what is said -------------------------------------------------------------------------------------------


def _locodes(task: Task, result: Result) -> list[str]:
    """The ports that something was found out about; a feed tells of all of its ports that are on."""
    return sorted(result.counts) or [port.locode for port in task.ports]


def _refusal(port: Port, error: RefreshError) -> dict[str, Any]:
    outcome = "not yet" if isinstance(error, NotYetError) else "failed"
    return {"port": port.locode, "source": port.feed.source, "outcome": outcome, "error": str(error)}


class Bar:
    """Says on a terminal, in one line that is drawn over and over, how far the work is."""

    WIDTH = 30

    def __init__(self, title: str, write: Callable[..., Any]) -> None:
        self.title, self.write = title, write

    def __call__(self, now: Now) -> None:
        self.erase()
        bar = ""
        if now.of:
            filled = self.WIDTH * now.done // now.of
            bar = f"  {'█' * filled}{'░' * (self.WIDTH - filled)}"
        self.write(f"{self.title}: {now} …{bar}", ending="")

    def erase(self) -> None:
        self.write("\r\x1b[K", ending="")


@contextmanager
def erasing(bar: Bar | None) -> Iterator[None]:
    """Leave no bar behind, however it ends."""
    try:
        yield
    finally:
        if bar:
            bar.erase()


@contextmanager
def ending_cleanly() -> Iterator[None]:
    """Let a signal end what runs by an exception: locks, files and transactions are let go of in order.

    Python acts on a signal between two of its steps. One that comes just before a wait begins, or in another thread,
    does not end that wait: so it is sent to the main thread until that has heard it.
    """
    is_heard = threading.Event()

    def end(number: int, _: object) -> None:
        if not is_heard.is_set():
            is_heard.set()
            sys.exit(INTERRUPTED if number == signal.SIGINT else TERMINATED)

    def insist() -> None:
        with os.fdopen(ear, "rb", buffering=0) as told:
            for (number,) in iter(partial(told.read, 1), b""):
                while number in heard and not is_heard.wait(INSIST_EVERY):
                    signal.pthread_kill(main, number)

    heard = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
    heard = {number for number in heard if signal.getsignal(number) != signal.SIG_IGN}  # nohup
    before = {number: signal.signal(number, end) for number in heard}
    main = threading.get_ident()
    ear, mouth = os.pipe2(os.O_CLOEXEC)
    os.set_blocking(mouth, False)
    signal.set_wakeup_fd(mouth)
    threading.Thread(target=insist, name="signals", daemon=True).start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(-1)
        os.close(mouth)
        for number, handler in before.items():
            signal.signal(number, handler)
