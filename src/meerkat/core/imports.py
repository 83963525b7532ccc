"""Databases that came into the folder: imported, refused, or turned off and on by people.

Decides which paths the folder treats as ordinary files. What an imported database becomes in the
pool, ``local`` decides, as of any other content.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from .disk import IGNORED, Disk
from .effects import Answered, Effect, TellRows, TreatAsPlain
from .events import DatabaseRequested
from .files import DatabaseContent, Kind, Seen
from .replica import Replica
from .rows import DatabaseImported, DatabaseRefused, ImportDatabase

__all__ = ["ImportedContent", "Imports"]

NO_FILE = "No file of this folder is {path}."
NOT_LIVE = "{path} is no live database."
NOT_HERE = "{path} is not in this folder yet; try again when it is."
NO_SQLITE = "{path} is no SQLite database."
GONE = "{path} has gone meanwhile."
OPEN = "A program has {path} open; close it and try again."
IGNORED_HERE = "{path} is ignored here: a rule in .meerkatignore or config.toml names it."


@dataclass(frozen=True, slots=True)
class ImportedContent(DatabaseContent):
    """A database whose base is kept. ``chunks``: the base's, as in a blob's body."""

    digest: bytes
    size: int
    chunks: bytes


@dataclass(frozen=True, slots=True)
class _Switch:
    """What a person asked for. ``version``: the one to let go of, when turned off."""

    ticket: int
    version: bytes = b""


class Imports:
    """Paths on their way from or to a live database."""

    def __init__(self, replica: Replica, disk: Disk) -> None:
        self._replica, self._disk = replica, disk
        self._ticket = 0
        self._pending: dict[str, tuple[int, Seen]] = {}
        self.refused: dict[str, str] = {}  # path -> why
        self._off: dict[str, _Switch] = {}
        self._on: dict[str, _Switch] = {}
        self._let_go: set[str] = set()  # of those in _off
        self._plain: set[str] = set()  # what the folder was told
        self._again: list[str] = []  # treat these as databases, whatever was told

    def __bool__(self) -> bool:
        """Whether something is under way."""
        return bool(self._pending or self._off or self._on)

    def is_pending(self, path: str) -> bool:
        """Whether a database that stands there is being imported."""
        return path in self._pending

    # -- importing -------------------------------------------------------------------------

    def begin(self, seen: Seen) -> Effect:
        """A database stands where none of the pool does."""
        self._ticket += 1
        self._pending[seen.path] = (self._ticket, seen)
        return TellRows(ImportDatabase(self._ticket, seen.path, seen.path in self._on))

    def begin_again(self) -> list[Effect]:
        """A new rows process."""
        return [self.begin(seen) for _, seen in list(self._pending.values())]

    def forget(self, path: str) -> None:
        """Something else stands there now, or nothing."""
        self._pending.pop(path, None)

    def gone(self, path: str) -> None:
        """Nothing stands there any more."""
        self.forget(path)
        self.refused.pop(path, None)

    def hide(self, path: str) -> Iterator[Effect]:
        """A rule ignores it from now on."""
        self.forget(path)
        yield from self._fail(path, IGNORED_HERE)

    def imported(self, report: DatabaseImported) -> Seen | None:
        """What was seen, with its content; None if it does not matter any more."""
        seen = self._settle(report.ticket, report.path)
        if seen is None:
            return None
        content = ImportedContent(report.digest, report.size, report.chunks)
        return replace(seen, content=content)

    def refuse(self, report: DatabaseRefused) -> Iterator[Effect]:
        """It stays an ordinary file, on this machine."""
        if self._settle(report.ticket, report.path) is not None:
            self.refused[report.path] = report.reason
            switch = self._on.pop(report.path, None)
            if switch is not None:
                yield Answered(switch.ticket, problem=report.reason)

    def _settle(self, ticket: int, path: str) -> Seen | None:
        pending = self._pending.get(path)
        if pending is None or pending[0] != ticket:
            return None
        del self._pending[path]
        return pending[1]

    # -- off and on ------------------------------------------------------------------------

    def switch(self, event: DatabaseRequested) -> Iterator[Effect]:
        """A person wants it merged by rows, or not."""
        path = event.path
        shown = self._replica.view.files.get(path)
        _, version = self._replica.tree.find(shown.file, shown.version) if shown else (None, None)
        entry = self._disk.get(path)
        problem = ""
        if version is None:
            problem = NO_FILE
        elif entry is None or entry.version != version.id:
            problem = NOT_HERE
        elif entry.at == IGNORED:
            problem = IGNORED_HERE
        elif (version.kind == "rows") == event.live:
            problem = "" if event.live else NOT_LIVE
            if event.live:
                yield Answered(event.ticket)
                return
        elif event.live and version.kind != "blob":
            problem = NO_SQLITE
        if problem or version is None:
            yield Answered(event.ticket, problem=problem.format(path=path))
        elif event.live:
            self._on[path] = _Switch(event.ticket)
            self.refused.pop(path, None)
            self._again.append(path)
        else:
            self._off[path] = _Switch(event.ticket, version.id)

    def is_leaving(self, path: str) -> bool:
        """Whether the database there should be let go of."""
        return path in self._off

    def released(self, path: str) -> None:
        """It was: now the folder may read it."""
        if path in self._off:
            self._let_go.add(path)

    def busy(self, path: str) -> Iterator[Effect]:
        """It could not be."""
        yield from self._fail(path, OPEN)

    def observed(self, seen: Seen) -> Iterator[Effect]:
        """The folder reported this."""
        if seen.path in self._on and not isinstance(seen.content, DatabaseContent):
            yield from self._fail(seen.path, NO_SQLITE)

    def turned(self) -> Iterator[tuple[bytes, bool, int]]:
        """(file, live, ticket) of what is now as asked; it is to be written down."""
        for path, switch in list(self._off.items()):
            entry = self._disk.get(path)
            if entry is not None and entry.kind != Kind.DATABASE.value and entry.file:
                self._end(path)
                yield entry.file, False, switch.ticket
        for path, switch in list(self._on.items()):
            entry = self._disk.get(path)
            if entry is not None and entry.kind == Kind.DATABASE.value:
                self._end(path)
                yield entry.file, True, switch.ticket

    def lost(self) -> Iterator[Effect]:
        """What was to be turned off or on, and is not there any more."""
        for path in [*self._off, *self._on]:
            if self._disk.get(path) is None:
                yield from self._fail(path, GONE)

    def _fail(self, path: str, problem: str) -> Iterator[Effect]:
        switch = self._off.get(path) or self._on.get(path)
        self._end(path)
        if switch is not None:
            yield Answered(switch.ticket, problem=problem.format(path=path))

    def _end(self, path: str) -> None:
        self._off.pop(path, None)
        self._on.pop(path, None)
        self._let_go.discard(path)

    # -- what the folder treats as ordinary files ------------------------------------------

    def evaluate(self) -> Iterator[Effect]:
        """Tell the folder what is new about that."""
        for path in self._again:
            self._plain.discard(path)
            yield TreatAsPlain(path, plain=False)
        self._again.clear()
        tree = self._replica.tree
        if not (tree.plain or self.refused or self._let_go or self._plain):
            return
        wanted = {*self.refused, *self._let_go}
        for path in self._plain_places():
            entry = self._disk.get(path)
            live = entry is not None and entry.kind == Kind.DATABASE.value
            if not live and path not in self._on:
                wanted.add(path)
        for path in sorted(wanted - self._plain):
            yield TreatAsPlain(path, plain=True)
        for path in sorted(self._plain - wanted):
            yield TreatAsPlain(path, plain=False)
        self._plain = wanted

    def _plain_places(self) -> Iterator[str]:
        """Where the files that people turned off belong, and where they stand until they go."""
        tree, view = self._replica.tree, self._replica.view
        for file_key in tree.plain:
            for version in tree.files[file_key].shown():
                place = view.place_of(version.id)
                if place is not None:
                    yield place
        for path in self._plain:
            entry = self._disk.get(path)
            if entry is not None and entry.file in tree.plain:
                yield path

    def moved(self, old: str, new: str) -> None:
        """A file has another path now; the folder treats it there as it did here."""
        if old in self._plain:
            self._plain.add(new)
        else:
            self._plain.discard(new)

    def placed(self, path: str) -> None:
        """A live database was put there: the folder takes it for one, whatever it was told."""
        self.refused.pop(path, None)
        self._plain.discard(path)
