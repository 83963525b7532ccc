"""One live database: the requests it gets, the order of its transactions, and what goes wrong.

Decides when the file is captured, merged into and let go of. How file and state become equal is in
``following``; merging, recording and comparing have modules of their own. Nothing here waits: a
busy file is tried again when the caller says ``look``.

A step that writes to the file holds the file's write lock throughout. It captures first, merges,
writes the file's rows, and when nothing but a crash can go wrong any more it commits the state,
then the file, then notes that the file has everything. A crash in between is mended by the next
step (``repair``).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import apsw
import msgspec

from meerkat.core.rows import (
    DatabaseAttached,
    DatabaseDetached,
    DatabaseExported,
    DatabaseLoaded,
    DatabaseState,
    RowsApplied,
    RowsCaptured,
    RowsEntry,
    RowsReport,
    RowsSigned,
)

from .compare import RowDelta
from .exports import export_state
from .file import File, FileBroken, FileBusy, FileGone, FileStuck
from .following import Following
from .merge import Conflict
from .schema import Table
from .state import BaseError, begin_state, discard_state, is_sound, open_state, place_state
from .telling import changed_row
from .values import Locator, Scalar
from .wire import RowChanged

__all__ = ["Database", "DatabaseConfig"]

STATE, NEW_STATE, EXPORT = "state.db", "state.new", "export.db"
BUSY = "busy"
WAITING = "Waiting for another program to finish writing."
OWN_DAMAGE = (
    "Meerkat's own records of it are damaged, and are built again when meerkat starts anew; "
    "the file itself was left alone."
)
MISSING = "It is not there any more."

Vector = tuple[tuple[bytes, int], ...]
Values = tuple[Scalar, ...]


@dataclass(frozen=True, slots=True)
class DatabaseConfig:
    """Times in seconds."""

    idle: float = 2.0  # then handles are closed: they block a program's journal_mode=delete; guess
    patience: float = 5.0  # of being busy before people are told; SQLite's usual busy timeout
    slice_bytes: int = 1024 * 1024  # of entries merged in one step; guess
    slice_entries: int = 2_000  # guess
    vfs: str | None = None  # of SQLite's, or its default


class Database:
    """See the module. Requests come one at a time; reports leave through ``on_report``."""

    def __init__(
        self,
        folder: Path,
        state_dir: Path,
        version: bytes,
        *,
        on_report: Callable[[RowsReport], None],
        config: DatabaseConfig | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """``folder``: the root of the paths, without symbolic links. ``clock``: in seconds."""
        self.version = version
        self.path: str | None = None  # where it is attached or is to be
        self.problem = ""
        self.on_rows: Callable[[RowChanged], None] | None = None
        self.at_step: Callable[[str], None] = lambda _name: None  # tests crash here
        self._folder, self._state_dir = folder, state_dir
        self._report = on_report
        self._config = config or DatabaseConfig()
        self._clock = clock
        self._following: Following | None = None
        self._file: File | None = None
        self._attached = False  # it was reported
        self._exported = False  # a copy is out: nothing more is merged
        self._queue: deque[RowsEntry] = deque()
        self._unreported = 0  # entries merged that the file does not have yet
        self._seen: tuple[int, int] | None = None  # opening and data version that were captured
        self._busy_since: float | None = None
        self._used = 0.0
        self._told = ("", 0)
        self._changed_rows: list[RowChanged] = []

    # -- beginning and end -----------------------------------------------------------------------

    def load(self, base: Path, author: bytes) -> None:
        """Go on with the state, or begin it from ``base``, which is named by its hash.

        Loading again only changes as whom we write.
        """
        try:
            following = self._following or self._open(base, author)
        except (BaseError, OSError, apsw.Error, ValueError) as error:
            self._say_state(f"It cannot be merged: {error}.")
            return
        self._following = following
        if following.ledger.author != author:
            with following.transaction():
                following.ledger.author = author
        self._report(DatabaseLoaded(self.version, self._have, following.ledger.number))
        for waiting in following.ledger.waiting():
            self._report(RowsCaptured(self.version, waiting.number, waiting.batches))

    def _open(self, base: Path, author: bytes) -> Following:
        path = self._state_dir / STATE
        if path.exists():
            try:
                return Following(open_state(path))
            except (apsw.CorruptError, apsw.NotADBError, msgspec.MsgspecError):
                pass  # begun anew: the peer has every operation
        new = self._state_dir / NEW_STATE
        connection = begin_state(base, bytes.fromhex(base.name), new)
        try:
            Following.begin(connection, author)
        except BaseException:
            connection.close()
            raise
        return Following(place_state(connection, new, path))

    def close(self) -> None:
        """Let go of everything, as it is."""
        if self._file is not None:
            self._file.close()
        if self._following is not None:
            self._following.connection.close()
            self._following = None

    # -- requests --------------------------------------------------------------------------------

    def attach(self, path: str) -> bool:
        """The file stands at ``path``: what differs there was written by programs.

        Like all that follow: True if the file was busy, so that ``look`` has to be called again.
        """
        if self._file is not None:
            self._file.close()
        self.path, self._file = path, File(self._folder / path, self._config.vfs)
        self._attached = self._exported = False
        self._seen = None
        return self.look()

    def detach(self, gone: bool = False, leave: bool = False) -> bool:
        """Capture what is left and let go; or only let go, if the file is not there any more.

        ``leave``: let go as it is; it stays the file that follows, as after a crash.
        """
        self._exported = False
        if self._following is None or self._file is None:
            self._report(DatabaseDetached(self.version, self._have))
            return self.look()
        if not (gone or leave):
            self.look()
            if self._file is None:
                return False  # it is broken, which was reported
            if not self._let_go(self._file):
                self._report(DatabaseDetached(self.version, self._have, BUSY))
                return False
        self._drop_file()
        if gone:
            with self._following.transaction():
                self._following.unbind()
        self._say_state("")
        self._report(DatabaseDetached(self.version, self._have))
        return self.look()

    def _let_go(self, file: File) -> bool:
        """Empty the write-ahead log into the file; False while programs keep it from that."""
        if self._busy_since is not None:
            return False
        try:
            file.empty_log()
        except (FileBusy, FileStuck):
            return False
        except (FileGone, FileBroken):
            return True
        file.close()
        log = Path(f"{file.path}-wal")
        with suppress(OSError):
            return log.stat().st_size == 0
        return True

    def export(self) -> None:
        """Write the database as it is merged where the folder finds it, and hold still."""
        following = self._following
        if following is None:
            self._report(DatabaseExported(self.version, "It is not loaded."))
            return
        self._exported = False
        self._drop_file()
        with following.transaction():
            following.unbind()
        self.look()
        try:
            export_state(
                self._state_dir / STATE,
                following.connection,
                following.definitions.target().schema,
                self._state_dir / EXPORT,
            )
            following.exported(self._state_dir / EXPORT)
        except (apsw.Error, OSError, UnicodeError) as error:
            self._report(DatabaseExported(self.version, f"It cannot be written: {error}."))
            return
        self._exported = True
        self._report(DatabaseExported(self.version))

    def apply(self, entries: Sequence[RowsEntry]) -> bool:
        """Merge what others wrote, after everything given before."""
        self._queue.extend(entries)
        return self.look()

    def signed(self, request: RowsSigned) -> None:
        """The batches of a capture are in our log."""
        if self._following is not None:
            # After a power cut the capture is reported again, and this comes again.
            with self._following.transaction(durable=False):
                self._following.sign(request)

    def look(self) -> bool:
        """Do what is to be done: capture, merge, write. True if the file was busy."""
        if self._following is None or self._exported:
            return False
        self._used = self._clock()
        try:
            self._do(self._following)
        except FileBusy:
            if self._busy_since is None:
                self._busy_since = self._clock()
            elif self._clock() - self._busy_since >= self._config.patience:
                self._say_state(WAITING)
            return True
        except FileGone:
            if not self._attached:
                self._break(MISSING)
            return False  # the folder finds out whether it was deleted
        except FileStuck as error:
            self._say_state(str(error))
            return True
        except FileBroken as error:
            self._break(str(error))
            return False
        finally:
            self._changed_rows = []
        self._busy_since = None
        self._say_state("" if self._attached else self.problem)
        return False

    def close_idle(self, now: float) -> None:
        """Close the file's handle if it was not used for a while. ``now``: as the clock says."""
        if self._file is not None and now - self._used >= self._config.idle:
            if self._seen is not None and not self._queue:
                self._file.rest()
            else:
                self._file.close()
            self._seen = None

    # -- questions -------------------------------------------------------------------------------

    @property
    def aside(self) -> int:
        """How many rows a constraint keeps out of the file."""
        return self._following.merging.aside_count if self._following is not None else 0

    @property
    def is_resting(self) -> bool:
        """Whether no handle of the file is open."""
        return self._file is None or not self._file.is_open

    def conflicts(self) -> list[Conflict]:
        """The rows that a constraint keeps out of the file."""
        return self._following.merging.conflicts() if self._following is not None else []

    def history(self, table: str, key: Sequence[Scalar]) -> list[tuple[str, bytes, int]]:
        """Of each cell of a row: column, author, wall time in ms. ``key``: rowid or primary key."""
        if self._following is None:
            return []
        found = self._following.definitions.target().schema.tables.get(table)
        if found is None or not key:
            return []
        locator = key[0] if found.has_rowid else tuple(key)
        if not isinstance(locator, int | tuple):
            return []
        return self._following.merging.history(table, locator)

    @property
    def _have(self) -> Vector:
        return tuple(sorted(self._following.ledger.have.items())) if self._following else ()

    # -- steps -----------------------------------------------------------------------------------

    def _do(self, following: Following) -> None:
        file = self._file
        if file is None:
            while self._queue:
                self._merge(following, self._slice())
            return
        if self._attached and not self._queue and not following.behind and file.is_unchanged:
            return  # our own closing is noticed, too, and must not open it again
        if not self._attached and not following.behind and self._read(following, file):
            self._write(following, file)
        try:
            while self._queue or following.behind:
                if not self._keep_parts(following):
                    self._write(following, file)
        except FileStuck:
            if not following.behind:  # what programs write is wanted all the same
                self._read(following, file)
            raise
        if self._read(following, file):
            self._write(following, file)
        self._now_attached()

    def _merge(self, following: Following, taken: Sequence[RowsEntry]) -> None:
        with following.transaction():
            following.merge(taken)
        self._took(taken)
        self._applied()

    def _keep_parts(self, following: Following) -> bool:
        """Take parts of a transaction whose end is far away, which the file need not wait for."""
        taken = self._slice()
        if not taken or following.behind or any(entry.last for entry in taken):
            return False
        self._merge(following, taken)
        return True

    def _read(self, following: Following, file: File) -> bool:
        """Capture. Whether the file has to be written to."""
        with file.reading(following.tracker.begin) as connection:
            seen = (file.opened, int(connection.pragma("data_version")))
            if seen == self._seen:
                return False
            with following.transaction():
                self._hear(following)
                following.bind(file.identity)
                number = following.capture(connection)
                if number is not None:
                    file.sync_log()
                self.at_step("captured")
        self._seen = seen
        self.at_step("capture in state")
        self._captured(following)
        self._report_capture(following, number)
        return following.behind

    def _write(self, following: Following, file: File) -> None:
        """Capture, merge a slice, and write it to the file."""
        with file.writing(following.begin_writing) as connection:
            self.at_step("locked")
            taken = self._slice()
            with following.transaction():
                self._hear(following)
                following.bind(file.identity)
                if following.behind:
                    following.catch_up(connection)
                number = following.capture(connection)
                if number is not None:
                    file.sync_log()
                if taken:
                    following.merge(taken)
                if following.flush(connection, self._flushed if self.on_rows else None):
                    following.fall_behind()
                # From here on a commit cannot be refused: it has every lock it needs.
                connection.cache_flush()
                self.at_step("flushed")
            self._took(taken)
            self.at_step("state committed")
            self._report_capture(following, number)  # whatever becomes of the file
            version = int(connection.pragma("data_version"))
            connection.execute("COMMIT")
            self.at_step("file committed")
        self._note(following, file, version)
        self._captured(following)
        self._applied()

    def _note(self, following: Following, file: File, version: int) -> None:
        """The file has everything: note that, and how it looks now."""
        with file.reading(following.tracker.begin) as connection:
            alone = int(connection.pragma("data_version")) == version
            # A power cut may undo this: then the same is found and noted again.
            with following.transaction(durable=False):
                following.caught_up()
                if alone:
                    following.passed(connection)
        self.at_step("noted")
        self._seen = (file.opened, version) if alone else None

    # -- slices and reports ----------------------------------------------------------------------

    def _slice(self) -> list[RowsEntry]:
        taken: list[RowsEntry] = []
        size = 0
        for entry in self._queue:
            if size >= self._config.slice_bytes or len(taken) >= self._config.slice_entries:
                break
            taken.append(entry)
            size += len(entry.data)
        return taken

    def _took(self, taken: Sequence[RowsEntry]) -> None:
        for _ in taken:
            self._queue.popleft()
        self._unreported += len(taken)

    def _now_attached(self) -> None:
        if not self._attached and self.path is not None:
            self._attached = True
            self._report(DatabaseAttached(self.version, self.path))

    def _applied(self) -> None:
        self._tell_rows()
        if self._file is not None:
            self._now_attached()
        count, self._unreported = self._unreported, 0
        if count:
            self._report(RowsApplied(self.version, self._have, count))

    def _captured(self, following: Following) -> None:
        heard, following.captured_rows = following.captured_rows, None
        for table, delta in heard or ():
            self._changed_rows.append(changed_row(table, delta, b""))
        self._tell_rows()
        self._now_attached()

    def _report_capture(self, following: Following, number: int | None) -> None:
        if number is None:
            return
        for waiting in following.ledger.waiting():
            if waiting.number == number:
                self._report(RowsCaptured(self.version, number, waiting.batches))

    # -- rows for whoever watches ----------------------------------------------------------------

    def _hear(self, following: Following) -> None:
        following.captured_rows = [] if self.on_rows is not None else None
        self._changed_rows = []

    def _flushed(self, table: Table, at: Locator, old: Values | None, new: Values | None) -> None:
        author = self._following.author_at(table, at) if self._following and new else b""
        if old != new:
            self._changed_rows.append(changed_row(table, RowDelta(at, old, at, new), author))

    def _tell_rows(self) -> None:
        changed, self._changed_rows = self._changed_rows, []
        if self.on_rows is not None:
            for one in changed:
                self.on_rows(one)

    # -- what goes wrong -------------------------------------------------------------------------

    def _break(self, reason: str) -> None:
        """Let go of a file that cannot be live; nothing was written to it."""
        self._drop_file()
        if self._following is not None and not is_sound(self._following.connection):
            reason = OWN_DAMAGE
            self._following.connection.close()
            self._following = None
            discard_state(self._state_dir / STATE)
        self._say_state(reason)
        self._report(DatabaseDetached(self.version, self._have, reason))

    def _drop_file(self) -> None:
        if self._file is not None:
            with suppress(apsw.Error):
                self._file.close()
        self._file, self.path = None, None
        self._attached = False
        self._seen = self._busy_since = None

    def _say_state(self, problem: str) -> None:
        self.problem = problem
        now = (problem, self.aside)
        if now != self._told:
            self._told = now
            self._report(DatabaseState(self.version, *now))
