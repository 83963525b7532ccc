"""A rows process in plain Python: rows are keys and values, the last writer wins.

Speaks as the real one does, and holds what it was promised to the letter: what stands in a file and
differs from the state was written by programs; nothing is merged while a copy is out.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from pathlib import Path
from typing import Any

from blake3 import blake3

from meerkat.core.chunks import chunk_stream, pack_chunks
from meerkat.core.rows import (
    ApplyRows,
    AttachDatabase,
    DatabaseAttached,
    DatabaseDetached,
    DatabaseExported,
    DatabaseImported,
    DatabaseLoaded,
    DatabaseRefused,
    DatabaseState,
    DetachDatabase,
    ExportDatabase,
    ImportDatabase,
    LoadDatabase,
    RowsApplied,
    RowsCaptured,
    RowsReport,
    RowsRequest,
    RowsSigned,
)
from meerkat.testing.memory_rows import MAGIC

PENDING = 2**62
GIVEN_UP = "It crashed too often."
Rows = dict[str, str]


def write_rows(path: Path, rows: Rows) -> None:
    path.write_bytes(MAGIC + json.dumps(rows, sort_keys=True).encode())


def read_rows(path: Path) -> Rows:
    return dict(json.loads(path.read_bytes()[len(MAGIC) :]))


def _text(data: bytes) -> str:
    return b64encode(data).decode()


class _State:
    """One database: ``cells`` are key -> (value or None, stamp)."""

    def __init__(self, path: Path, base: Path, author: bytes) -> None:
        self._path = path
        self.attached: Path | None = None
        self.inode = 0
        self.bound = False  # there is a file that should follow, let go of or not
        self.name = ""
        self.exported = False
        self.waiting: list[Any] = []
        if path.exists():
            kept = json.loads(path.read_text())
        else:
            cells = {key: [value, [0, ""]] for key, value in read_rows(base).items()}
            kept = {"cells": cells, "have": {}, "number": 0, "pending": {}}
        self.cells: dict[str, Any] = kept["cells"]
        self.have: dict[str, int] = kept["have"]
        self.number: int = kept["number"]
        self.pending: dict[str, str] = kept["pending"]
        self.author = author
        self.save()

    def save(self) -> None:
        self._path.parent.mkdir(exist_ok=True)
        kept = {
            "cells": self.cells,
            "have": self.have,
            "number": self.number,
            "pending": self.pending,
        }
        self._path.write_text(json.dumps(kept))

    def rows(self) -> Rows:
        return {key: value for key, (value, _) in self.cells.items() if value is not None}

    def is_there(self) -> bool:
        """Whether the file that was attached has its name still; if not, the folder says why."""
        at = self.attached
        return at is not None and at.exists() and at.stat().st_ino == self.inode

    def vector(self) -> tuple[tuple[bytes, int], ...]:
        return tuple(sorted((b64decode(author), last) for author, last in self.have.items()))


class PlainRows:
    """See the module. ``busy``: paths that programs have open, so that they are not let go of;
    ``broken``: paths that cannot be attached; ``given_up``: databases that are loaded only again.
    """

    def __init__(self, root: Path, report: Callable[[RowsReport], None]) -> None:
        self._root, self._report = root, report
        self._states: dict[bytes, _State] = {}
        self.busy: set[str] = set()
        self.broken: set[str] = set()
        self.given_up: set[bytes] = set()

    def close(self) -> None:
        self._states.clear()

    def look(self) -> bool:
        for version, state in self._states.items():
            self._capture(version, state)
        return False

    def tell(self, request: RowsRequest) -> None:
        if isinstance(request, ImportDatabase):
            self._import(request)
            return
        if isinstance(request, LoadDatabase):
            self._load(request)
            return
        state = self._states.get(request.version)
        if state is None:
            return  # meant for a rows process that died
        match request:
            case ApplyRows():
                state.waiting.append(request)
                self._merge(request.version, state)
            case RowsSigned():
                self._signed(request, state)
            case ExportDatabase():
                write_rows(self._home(request.version) / "export.db", state.rows())
                state.exported, state.bound = True, False
                self._report(DatabaseExported(request.version))
            case AttachDatabase():
                self._attach(request, state)
            case DetachDatabase():
                self._detach(request, state)

    def _home(self, version: bytes) -> Path:
        return self._root / ".meerkat" / "rows" / version.hex()

    def _import(self, request: ImportDatabase) -> None:
        path = self._root / request.path
        if not path.exists():
            self._report(DatabaseRefused(request.ticket, request.path, "It is gone."))
            return
        data = path.read_bytes()
        if b"refuse" in data:
            self._report(DatabaseRefused(request.ticket, request.path, "It cannot be live."))
            return
        digest = blake3(data).digest()
        (self._root / ".meerkat" / "bases" / digest.hex()).write_bytes(data)
        rest = memoryview(data)
        at = 0

        def read(size: int) -> bytes:
            nonlocal at
            piece = bytes(rest[at : at + size])
            at += len(piece)
            return piece

        chunks = pack_chunks(chunk_stream(read).chunks)
        self._report(DatabaseImported(request.ticket, request.path, digest, len(data), chunks))

    def _load(self, request: LoadDatabase) -> None:
        version = request.version
        if request.again:
            self.given_up.discard(version)
        if version in self.given_up:
            self._report(DatabaseDetached(version, (), GIVEN_UP))
            self._report(DatabaseState(version, GIVEN_UP))
            return
        state = self._states.get(version)
        if state is None:
            base = self._root / ".meerkat" / "bases" / request.base.hex()
            state = _State(self._home(version) / "state.json", base, request.author)
            self._states[version] = state
        state.author = request.author
        self._report(DatabaseLoaded(version, state.vector(), state.number))
        for number, batch in state.pending.items():
            self._report(RowsCaptured(version, int(number), (batch.encode(),)))

    def _capture(self, version: bytes, state: _State) -> None:
        if state.attached is None or not state.is_there():
            return
        there, known = read_rows(state.attached), state.rows()
        changes = {
            key: there.get(key)
            for key in sorted(there.keys() | known.keys())
            if there.get(key) != known.get(key)
        }
        if not changes:
            return
        state.number += 1
        batch = json.dumps(changes)
        for key, value in changes.items():
            state.cells[key] = [value, [PENDING + state.number, ""]]
        state.pending[str(state.number)] = batch
        state.save()
        self._report(RowsCaptured(version, state.number, (batch.encode(),)))

    def _signed(self, request: RowsSigned, state: _State) -> None:
        if state.pending.pop(str(request.number), None) is None:
            return
        lamport, sequence = request.marks[-1]
        author = _text(request.author)
        for cell in state.cells.values():
            if cell[1][0] == PENDING + request.number:
                cell[1] = [lamport, author]
        state.have[author] = max(sequence, state.have.get(author, 0))
        state.save()

    def _merge(self, version: bytes, state: _State) -> None:
        if state.exported or (state.bound and not state.is_there()):
            return
        self._capture(version, state)
        for request in state.waiting:
            for entry in request.entries:
                author = _text(entry.author)
                assert entry.sequence > state.have.get(author, 0), "handed over twice"
                state.have[author] = entry.sequence
                for key, value in json.loads(entry.data).items():
                    stamp = [entry.lamport, author]
                    if stamp > state.cells.get(key, [None, [-1, ""]])[1]:
                        state.cells[key] = [value, stamp]
            state.save()
            if state.attached is not None:
                write_rows(state.attached, state.rows())
            self._report(RowsApplied(version, state.vector(), len(request.entries)))
        state.waiting.clear()

    def _attach(self, request: AttachDatabase, state: _State) -> None:
        state.exported, state.bound = False, True
        at = self._root / request.path
        if not at.exists() or request.path in self.broken:
            state.attached = None
            reason = "It is damaged." if at.exists() else "It is not there."
            self._report(DatabaseDetached(request.version, state.vector(), reason))
            return
        state.attached, state.name, state.inode = at, request.path, at.stat().st_ino
        self._capture(request.version, state)
        self._report(DatabaseAttached(request.version, request.path))
        self._merge(request.version, state)

    def _detach(self, request: DetachDatabase, state: _State) -> None:
        state.exported = False
        if not (request.gone or request.leave):
            self._capture(request.version, state)
            if state.name in self.busy:
                self._report(DatabaseDetached(request.version, state.vector(), "busy"))
                return
        state.attached = None
        state.bound = state.bound and not request.gone
        self._report(DatabaseDetached(request.version, state.vector()))
        self._merge(request.version, state)
