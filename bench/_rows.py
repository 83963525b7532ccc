"""Live databases without a network, for the scripts beside this file: engine against engine."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import apsw

from meerkat.core.rows import (
    DatabaseExported,
    DatabaseLoaded,
    RowsCaptured,
    RowsEntry,
    RowsReport,
    RowsSigned,
)
from meerkat.rows.database import Database
from meerkat.rows.imports import import_base
from meerkat.rows.tracker import Tracker

VERSION = bytes(16)
NAME = "x.db"


class Engine:
    """One member's database; what it captured is signed and kept in ``sent``."""

    def __init__(self, folder: Path, author: bytes) -> None:
        self.folder, self.author = folder, author
        self.path = folder / NAME
        self.sent: list[RowsEntry] = []
        self.reports: list[RowsReport] = []
        self._sequence = 0
        state = folder / ".meerkat" / "rows" / VERSION.hex()
        self._export = state / "export.db"
        self.database = Database(folder, state, VERSION, on_report=self.reports.append)

    @property
    def tracker(self) -> Tracker:
        """What looks at its file."""
        assert self.database._following is not None
        return self.database._following.tracker

    def begin(self) -> Path:
        """Import the file that stands there; its base."""
        bases = self.folder / ".meerkat" / "bases"
        base = bases / import_base(self.path, bases).digest.hex()
        self.database.load(base, self.author)
        self.database.attach(NAME)
        return base

    def join(self, base: Path) -> None:
        """Begin from somebody else's base."""
        own = self.folder / ".meerkat" / "bases" / base.name
        own.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(base, own)
        self.database.load(own, self.author)
        self.database.export()
        exported = [one for one in self.reports if isinstance(one, DatabaseExported)]
        if not exported or exported[-1].reason:
            raise RuntimeError("the database was not exported")
        os.replace(self._export, self.path)
        self.database.attach(NAME)
        if not any(isinstance(one, DatabaseLoaded) for one in self.reports):
            raise RuntimeError("the database was not loaded")

    def capture(self) -> list[RowsEntry]:
        """Look at the file; what is to be sent."""
        while self.database.look():
            pass
        return self.sign()

    def sign(self) -> list[RowsEntry]:
        """Entries of what was captured since the last call."""
        found: list[RowsEntry] = []
        for report in self.reports:
            if isinstance(report, RowsCaptured):
                marks = []
                for number, data in enumerate(report.batches, 1):
                    self._sequence += 1
                    last = number == len(report.batches)
                    entry = RowsEntry(self.author, self._sequence, self._sequence, 1, last, data)
                    found.append(entry)
                    marks.append((self._sequence, self._sequence))
                self.database.signed(
                    RowsSigned(VERSION, report.number, self.author, tuple(marks), 1)
                )
        self.reports.clear()
        self.sent += found
        return found

    def apply(self, entries: list[RowsEntry]) -> None:
        """Merge into state and file."""
        self.database.apply(entries)
        while self.database.look():
            pass


def filled(path: Path, rows: int, mode: str = "wal") -> apsw.Connection:
    """A program's connection to a new database with so many rows of five columns."""
    connection = apsw.Connection(str(path))
    connection.set_busy_timeout(10_000)
    connection.execute(f"PRAGMA journal_mode = {mode}").fetchall()
    connection.execute(
        "CREATE TABLE item(id INTEGER PRIMARY KEY, name TEXT, price REAL, count INTEGER, note TEXT)"
    )
    insert(connection, rows)
    return connection


def insert(connection: apsw.Connection, rows: int) -> None:
    """So many more rows, in one transaction."""
    with connection:
        connection.executemany(
            "INSERT INTO item(name, price, count, note) VALUES (?, ?, ?, ?)",
            ((f"name {n}", n * 1.5, n, "a note of some length") for n in range(rows)),
        )
