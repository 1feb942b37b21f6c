"""The one process that owns a board's lines: makes what is so follow what is wanted.

One loop: sleep until woken or until something is due, read the board's rows, plan, write, read back, record what
changed. It goes on with the rows it knows when the database is away.
"""

import logging
import os
import select
import signal
import sqlite3
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from django.conf import settings
from django.db import DatabaseError, connection

from iotsite import __version__, database, places
from iotsite.notify import be_patient, notify, ready
from iotsite.prepared import Kept
from relays import clock, plan, recorder, runfiles
from relays.boards import BoardError, Driver
from relays.clock import Now
from relays.header_report import Reporter
from relays.line import BACKOFF, Line, line_as_left, new_line, reads_back
from relays.memory import Memory
from relays.models import Board, Event, Relay
from relays.wakeup import Mailbox

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
MOST_PASSES = 8
DRAIN_WITHIN = 5.0
START_WITHIN = 110.0
"""Seconds that a start may take, as TimeoutStartSec in deploy/systemd: a small Pi reads a new release off its card."""
ENDS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
HEAD_START = 0.005
"""Seconds that the recorder has for itself after lines were moved: somebody waits to be told."""
SWEEP_PAUSES = (0.0, 0.005, 0.02, 0.1)


_BOARD = Kept(lambda board: Board.objects.filter(pk=board))
_ENABLED = Kept(
    lambda board: Relay.objects.filter(board=board, is_enabled=True).select_related("interlock").order_by("pk")
)


class Controller:
    """Owns the lines of one board, from the lock to the end of the process."""

    def __init__(
        self, board: Board, driver: Driver, files: runfiles.BoardFiles, lock: int, now: Callable[[], Now] = clock.now
    ) -> None:
        self.board = board
        self.driver = driver
        self.files = files
        self.lock = lock
        self.now = now
        self.mailbox = Mailbox(files)
        self.recorder = recorder.Recorder(board.pk, self.mailbox.tell)
        self.lines: dict[int, Line] = {}
        self.interlocks: dict[int, plan.InterlockState] = {}
        self.is_ending = False
        self.has_rows = False
        self.is_behind = False
        """The last try to read the rows failed."""
        self.is_stop_told = False
        self.seen_version: int | None = None
        self.problem = ""
        self.next_check = 0.0
        boot_id = clock.boot_id()
        self.left = Memory.load(files, boot_id)
        """What the last controller of this boot left."""
        self.memory = Memory(
            boot_id, board.driver, getattr(driver, "chip", None), ons=self.left.ons if self.left else []
        )
        self.header = Reporter(files, self.memory.chip)
        self.asked: list[int] = []
        """The signals that came."""

    def begin(self) -> None:
        """Read the rows, take the lines as they were left, say that the board is served."""
        for number in ENDS:
            signal.signal(number, lambda got, _: self.asked.append(got))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)  # manage.py blocked them, so that none came too early
        how = "power-up" if self.left is None else "clean restart" if self.left.ended_well else "after a crash"
        log.info("board=%s start=%r pid=%s version=%s", self.board, how, os.getpid(), __version__)
        self.recorder.put([recorder.Noted(Event.Kind.STARTED, how, self.now().wall)])
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout = 50")  # a deadline does not wait for a locked database
        self.look()
        self.header.begin()
        ready()

    def run(self, ear: int) -> bool:
        """Serve until a signal asks for an end; ``ear`` is readable then. Says whether to come back, upgraded."""
        until = self.look()
        while not self.asked:
            pause = max(0.0, min(until - self.now().boot, LOOK_EVERY))
            ready, _, _ = select.select([self.mailbox.socket.fileno(), ear], [], [], pause)
            if ear in ready:
                os.read(ear, 64)
            self.mailbox.empty()
            until = self.look()
        return not self.is_asked_to_stop

    @property
    def is_asked_to_stop(self) -> bool:
        return any(number != signal.SIGHUP for number in self.asked)

    def look(self) -> float:
        """Look at everything once and act; the boot clock's moment of the next look."""
        self._check_file()
        if self._rows_may_have_changed() or self.is_behind:
            self._read_rows()
        now = self.now()
        is_check = now.boot >= self.next_check
        if is_check:
            self._verify(now)
            self.next_check = now.boot + LOOK_EVERY
        due = [self.next_check, self._act(), self.now().boot + BACKOFF[0] if self.is_behind else None]
        if is_check:
            self._beat()  # after what there was to do: a first heartbeat says that the lines are taken
        return min(moment for moment in due if moment is not None)

    # --- rows -----------------------------------------------------------------------------------------------

    def _check_file(self) -> None:
        problem = database.problem()
        if problem and problem != self.problem:
            log.error("board=%s database=%r", self.board, problem)
        self.problem = problem

    def _rows_may_have_changed(self) -> bool:
        if self.problem:
            return False
        try:
            connection.ensure_connection()
            [version] = connection.connection.execute("PRAGMA data_version").fetchone()
        except (DatabaseError, sqlite3.Error):
            return True  # reading the rows says what is wrong
        was, self.seen_version = self.seen_version, version
        return bool(was != version)

    def _read_rows(self) -> None:
        if self.problem:
            return
        try:
            board = next(iter(_BOARD(self.board.pk)), None)
            rows = _ENABLED(self.board.pk)
        except DatabaseError as error:
            if not self.is_behind:
                log.error("board=%s database=%r", self.board, str(error))
            self.is_behind = True
            return
        self.is_behind = False
        if board is None:
            return
        if board.driver != self.board.driver:
            log.info("board=%s driver=%s: starting anew with it", board, board.driver)
            self.asked.append(signal.SIGHUP)
            return
        self.board = board
        rows = rows if board.is_enabled else []
        self.interlocks = {row.interlock.pk: row.interlock.as_state() for row in rows if row.interlock}
        self._let_go(rows)
        for row in rows:
            self._take_row(row)
        self.has_rows = True

    def _let_go(self, rows: list[Relay]) -> None:
        """Release the lines of relays that went, moved to another line or changed polarity, all before any claim."""
        found = {row.id: row for row in rows}
        for number, line in list(self.lines.items()):
            row = found.get(number)
            if row and (row is line.row or (row.line, row.is_active_low) == (line.memory.line, line.memory.active_low)):
                continue
            if line.is_claimed:
                try:
                    self.driver.release(line.memory.line, hold=False)
                except BoardError as error:
                    log.error("board=%s relay=%s fault=%r", self.board, line.row.slug, str(error))
                log.info("board=%s relay=%s line=%s released", self.board, line.row.slug, line.memory.line)
            del self.lines[number]
            if row is None:
                self.recorder.put([recorder.Found(line.key, None, "", "", self.now().wall)])

    def _take_row(self, row: Relay) -> None:
        line = self.lines.get(row.id)
        if line is None:
            boot = self.now().boot
            line = self.lines[row.id] = new_line(row, boot) if self.has_rows else line_as_left(row, self.left, boot)
        elif line.row is row and not line.change:
            return  # nothing that it has not followed yet
        line.follow(row, self.recorder.recorded)
        if row.applied_command == row.command and not line.change:
            line.settled = line.key
        line.note_command(self.now())

    # --- acting ---------------------------------------------------------------------------------------------

    def _state(self) -> plan.BoardState:
        is_latched = self.files.is_latched
        state = plan.BoardState(
            relays=tuple(line.as_state() for line in self.lines.values()),
            interlocks=self.interlocks,
            is_stopped=is_latched or self.board.stopped_at is not None,
            is_ending=self.is_ending,
            ons_per_second=self.board.ons_per_second,
            ons=tuple(self.memory.ons),
        )
        return state.changed([line.change for line in self.lines.values() if line.change])

    def _tell_of_latch(self) -> None:
        """A stop that reached us by its latch alone is recorded by us, as soon as the database is there."""
        is_latched = self.files.is_latched
        if is_latched and not self.is_stop_told and self.board.stopped_at is None:
            by = self.files.latched_by()
            log.info("board=%s stop=everything who=%s", self.board, by.get("who"))
            self.recorder.put([recorder.Stopped(str(by.get("who", "")), str(by.get("via", Event.Via.STOP)))])
        self.is_stop_told = is_latched

    def _act(self) -> float | None:
        """Plan and carry out until nothing is left to do now; when the next thing is due."""
        for _ in range(MOST_PASSES):
            now = self.now()
            todo = plan.plan(self._state(), now)
            records = [self._change(change, now) for change in todo.changes]
            for line in self.lines.values():
                line.start = plan.Start.RUNNING
            self._carry_out(todo.writes)
            self._tell(records)
            if not todo.writes:
                self._tell_of_latch()
                return todo.look_again
            self.recorder.drain(HEAD_START)
            self._remember()
        return self.now().boot + BACKOFF[0]

    def _change(self, change: plan.Change, now: Now) -> recorder.Changed:
        line = self.lines[change.relay]
        base = line.key.command
        line.change = replace(change, command=base)
        line.step += 1
        return recorder.Changed(line.key, change, now.wall)

    def _carry_out(self, writes: tuple[plan.Write, ...]) -> None:
        if not writes:
            return
        for write in writes:
            self.lines[write.relay].memory.moving_to = write.on
        self._remember()
        for write in writes:
            self._carry_out_one(self.lines[write.relay], write)

    def _carry_out_one(self, line: Line, write: plan.Write) -> None:
        name = line.memory.line
        was = line.level if line.is_claimed else line.memory.level
        try:
            if write.is_claim:
                self.driver.claim(name, write.on, active_low=line.memory.active_low)
                line.is_claimed = True
            else:
                self.driver.write(name, write.on)
            line.level = self.driver.read(name)
        except BoardError as error:
            self._fail(line, str(error))
            if line.is_claimed:
                line.level = None
            else:
                line.memory.moving_to = None
            return
        moment = self.now()
        if line.level is not write.on:
            self._fail(line, reads_back(name, line.level))
        else:
            if line.fault:
                log.info("board=%s relay=%s cured", self.board, line.row.slug)
            line.succeeded()
        if line.level is not was:
            line.memory.since = moment.boot
            if line.level and not write.is_claim:
                self.memory.ons = [*(t for t in self.memory.ons if t > moment.boot - 1), moment.boot]
        line.memory.level, line.memory.moving_to = line.level, None

    def _fail(self, line: Line, sentence: str) -> None:
        if sentence != line.fault:
            log.error("board=%s relay=%s fault=%r", self.board, line.row.slug, sentence)
        line.failed(sentence, self.now())

    def _verify(self, now: Now) -> None:
        """See what every line really does, whoever moved it."""
        is_news = False
        for line in self.lines.values():
            if not line.is_claimed or line.level is None:
                continue
            try:
                level = self.driver.read(line.memory.line)
            except BoardError as error:
                line.level, is_news = None, True
                self._fail(line, str(error))
                continue
            if level is not line.level:
                is_news = True
                line.level = line.memory.level = level
                line.memory.since = now.boot
                self._fail(line, reads_back(line.memory.line, level))
                line.retry_at = 0.0
        if is_news:
            self._tell([])

    def _remember(self) -> None:
        self.memory.lines = {number: line.memory for number, line in self.lines.items()}
        self._in_run_dir(lambda: self.memory.save(self.files))

    def _beat(self) -> None:
        said = {"board": self.board.name, "version": __version__, "problem": self.problem or self.recorder.problem}
        said["code"] = str(settings.BASE_DIR)
        self._in_run_dir(lambda: self.files.beat(**said))
        if self.header.is_due:
            self._in_run_dir(lambda: self.header.tell(self.lines.values()))
        notify("WATCHDOG=1")

    def _in_run_dir(self, write: Callable[[], None]) -> None:
        """Write to RUN_DIR, and where it was swept away, even under our hands, lay it anew first.

        systemd empties /dev/shm when the user who started us by hand signs out (RemoveIPC).
        """
        for pause in SWEEP_PAUSES:
            try:
                if not self.files.socket.exists() or os.fstat(self.lock).st_nlink == 0:
                    self._restore_run_dir()
                write()
                return
            except FileNotFoundError:
                time.sleep(pause)
        raise places.PlaceError(f"{self.files.run_dir} is taken away again and again: choose another RUN_DIR.")

    def _restore_run_dir(self) -> None:
        log.error("board=%s run_dir=%s was removed: laid anew", self.board, self.files.run_dir)
        places.run_folder(self.files.run_dir)
        if os.fstat(self.lock).st_nlink == 0:
            self.lock = self.files.take_lock()
        self.mailbox.open()
        self.memory.save(self.files)

    # --- recording ------------------------------------------------------------------------------------------

    def _tell(self, records: "list[recorder.Changed]") -> None:
        """Hand the recorder what it does not know yet."""
        at = self.now().wall
        news: list[recorder.Record] = [*records, *filter(None, (line.news(at) for line in self.lines.values()))]
        if news:
            self.recorder.put(news)

    # --- ends -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """An orderly end: switch off what its owner did not ask to hold; the rest stays as it is."""
        self.is_ending = True
        was_on = [line for line in self.lines.values() if line.level]
        self._act()
        for line in self.lines.values():
            line.memory.is_over = line.row.on_stop != Relay.End.HOLD
        switched_off = [line for line in was_on if line.level is False]
        at = self.now().wall
        why = "the controller stopped: switched off"
        for line in switched_off:
            self.recorder.put([recorder.Noted(Event.Kind.STOPPED, why, at, line.row.pk)])
        self.recorder.put([recorder.Noted(Event.Kind.STOPPED, "an orderly stop", at)])
        self._end("stop")
        self.files.end_beat()

    def upgrade(self, command: list[str]) -> None:
        """Become ``command``, the newest version of ourselves; the lock stays taken, and no line moves.

        Returns only where a signal asked for a stop meanwhile.
        """
        self._end("upgrade")
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)  # one that comes from now on is our successor's to hear
        if self.is_asked_to_stop:
            return
        runfiles.hand_on(self.lock)
        be_patient(START_WITHIN)
        os.chdir(Path(command[1]).parent)  # the folder we were started in may go with the release that it is of
        os.execv(command[0], command)

    def _end(self, how: str) -> None:
        self.memory.ended_well = True
        self._remember()
        if not self.recorder.drain(DRAIN_WITHIN):
            log.error("board=%s end=%s records_lost=%s", self.board, how, self.recorder.waiting)
        log.info("board=%s end=%s pid=%s", self.board, how, os.getpid())
