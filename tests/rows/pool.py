"""A few members with one live database each, who exchange operations without a network.

Programs write through connections of their own in this process: the same SQLite library, so locks
are as between processes. What a peer does is done here in the simplest way: each author's
operations come in order and after their causes, a capture is signed as soon as it is reported.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import apsw
from blake3 import blake3

from meerkat.core import rows
from meerkat.core.rows import RowsEntry, RowsReport, RowsSigned
from meerkat.rows.database import Database, DatabaseConfig
from meerkat.rows.imports import import_base

NAME = "data.db"
VERSION = bytes(16)
MAX_LOOKS = 200  # at a busy file, before a test gives up


@dataclass(frozen=True)
class Sent:
    """One transaction of an author: its entries, and what its author had applied before."""

    entries: tuple[RowsEntry, ...]
    causes: dict[bytes, int]


class Crashed(Exception):
    """The process ends here."""


class Member:
    """A folder with a database in it, and what its peer would keep."""

    def __init__(self, pool: Pool, name: str, **config: Any) -> None:
        self.pool, self.name = pool, name
        self.author = blake3(name.encode()).digest()
        self.folder = pool.root / name
        self.folder.mkdir()
        self.path = self.folder / NAME
        self.config = DatabaseConfig(**config)
        self.reports: list[RowsReport] = []
        self.sent: list[Sent] = []  # our log
        self.handed: dict[bytes, int] = {}  # of each author, what the database was given
        self.lamport = 0
        self.offline = False
        self.clock = 0.0
        self.changes: list[Any] = []
        self._signed: dict[int, tuple[int, ...]] = {}
        self._to_sign: list[rows.RowsCaptured] = []
        self._new_database()

    def _new_database(self) -> None:
        self.database = Database(
            self.folder,
            self.folder / ".meerkat" / "rows" / VERSION.hex(),
            VERSION,
            on_report=self._reported,
            config=self.config,
            clock=lambda: self.clock,
        )

    @property
    def bases(self) -> Path:
        return self.folder / ".meerkat" / "bases"

    # -- the peer's part ---------------------------------------------------------------------

    def _reported(self, report: RowsReport) -> None:
        self.reports.append(report)
        if isinstance(report, rows.RowsCaptured):
            self._to_sign.append(report)
        if isinstance(report, rows.DatabaseLoaded):  # beyond, it was a state that is lost
            self._signed = {n: at for n, at in self._signed.items() if n <= report.number}

    def sign(self) -> None:
        """Put what was captured into our log."""
        while self._to_sign:
            captured = self._to_sign.pop(0)
            if captured.number not in self._signed:
                self._log(captured)
            marks = self._marks[captured.number]
            self.database.signed(RowsSigned(VERSION, captured.number, self.author, marks, 1))

    @property
    def _marks(self) -> dict[int, tuple[tuple[int, int], ...]]:
        return {
            number: tuple((entry.lamport, entry.sequence) for entry in self.sent[at].entries)
            for number, (at,) in self._signed.items()
        }

    def _log(self, captured: rows.RowsCaptured) -> None:
        causes = dict(self.handed)
        entries = []
        sequence = self.handed.get(self.author, 0)
        for number, data in enumerate(captured.batches, 1):
            self.lamport += 1
            sequence += 1
            last = number == len(captured.batches)
            entries.append(RowsEntry(self.author, sequence, self.lamport, 1, last, data))
        self.handed[self.author] = sequence
        self.sent.append(Sent(tuple(entries), causes))
        self._signed[captured.number] = (len(self.sent) - 1,)

    def receive(self, sent: Sent) -> None:
        """Hand an author's transaction to the database."""
        for entry in sent.entries:
            self.handed[entry.author] = entry.sequence
            self.lamport = max(self.lamport, entry.lamport)
        self.database.apply(sent.entries)
        self.look()

    def lacks(self, sent: Sent) -> bool:
        entry = sent.entries[-1]
        return self.handed.get(entry.author, 0) < entry.sequence

    def may_receive(self, sent: Sent) -> bool:
        return all(self.handed.get(author, 0) >= seq for author, seq in sent.causes.items())

    # -- the rows process's part -----------------------------------------------------------------

    def look(self) -> None:
        """Until nothing is busy, with what was captured signed."""
        for _ in range(MAX_LOOKS):
            busy = self.database.look()
            self.sign()
            if not busy:
                return
        raise AssertionError(f"{self.name} stays busy: {self.database.problem}")

    def load(self, base: str) -> None:
        self.database.load(self.bases / base, self.author)
        assert any(isinstance(one, rows.DatabaseLoaded) for one in self.reports), self.reports
        self.sign()

    def attach(self) -> None:
        self.database.attach(NAME)
        self.look()

    def place_export(self) -> None:
        self.database.export()
        exported = self.last(rows.DatabaseExported)
        assert exported.reason == ""
        os.replace(self.folder / ".meerkat" / "rows" / VERSION.hex() / "export.db", self.path)

    def last(self, kind: type[Any]) -> Any:
        return next(one for one in reversed(self.reports) if isinstance(one, kind))

    def restart(self, *, attach: bool = True) -> None:
        """A new rows process on the same folder; the peer sends what was not acknowledged."""
        self.database.close()
        self.reports = []
        self._new_database()
        self.database.load(self.bases / self.pool.base, self.author)
        self.handed = dict(self.last(rows.DatabaseLoaded).have)
        ours = [entry for sent in self.sent for entry in sent.entries]
        self.handed[self.author] = max([0, *(entry.sequence for entry in ours)])
        for member in self.pool.members:
            for entry in (entry for sent in member.sent for entry in sent.entries):
                if entry.sequence <= self.handed.get(entry.author, 0):
                    self.lamport = max(self.lamport, entry.lamport)
        self.sign()
        if attach:
            self.attach()

    def crash_at(
        self, step: str, action: Callable[[], None], meanwhile: Callable[[], None] | None = None
    ) -> bool:
        """Do something, and die at a step, if it comes to that; then start again.

        ``meanwhile``: what programs do before that.
        """

        def dies(name: str) -> None:
            if name == step:
                raise Crashed

        self.database.at_step = dies
        try:
            action()
        except Crashed:
            self.database.close()
            if meanwhile is not None:
                meanwhile()
            self.restart()
            return True
        finally:
            self.database.at_step = lambda _name: None
        return False

    # -- programs --------------------------------------------------------------------------------

    @contextmanager
    def program(self) -> Iterator[apsw.Connection]:
        """A program that has the file open."""
        connection = apsw.Connection(str(self.path))
        connection.set_busy_timeout(1_000)
        try:
            yield connection
        finally:
            connection.close()

    def write(self, *statements: str) -> None:
        """A program runs each statement (or several), and ends."""
        with self.program() as connection:
            for statement in statements:
                connection.execute(statement).fetchall()

    def run(self, *statements: str) -> None:
        """A program writes, and it is captured."""
        self.write(*statements)
        self.look()

    def rows(self, sql: str) -> list[Any]:
        with self.program() as connection:
            return connection.execute(sql).fetchall()

    def content(self) -> dict[str, Any]:
        """All that has to be alike, by type and bytes."""
        with self.program() as connection:
            return content(connection)


class Pool:
    """Members with one database that begins as ``sql`` makes it."""

    def __init__(
        self,
        root: Path,
        sql: str | Callable[[apsw.Connection], None] = "",
        *,
        journal: str = "wal",
        count: int = 2,
        **config: Any,
    ) -> None:
        self.root = root
        self.random = random.Random(0)
        self.journal = journal
        names = ("alice", "bob", "charlie", "dave")[:count]
        self.members = [Member(self, name, **config) for name in names]
        first, *others = self.members
        with first.program() as connection:
            if callable(sql):
                connection.pragma("journal_mode", journal)
                sql(connection)
            else:
                connection.execute(sql or "CREATE TABLE t(id INTEGER PRIMARY KEY, a, b)").fetchall()
                connection.pragma("journal_mode", journal)
        base = import_base(first.path, first.bases)
        self.base = base.digest.hex()
        first.load(self.base)
        first.attach()
        for other in others:
            shutil.copytree(first.bases, other.bases)
            other.load(self.base)
            other.place_export()
            if journal == "wal":
                with other.program() as connection:
                    connection.pragma("journal_mode", journal)
            other.attach()
            assert any(isinstance(one, rows.DatabaseAttached) for one in other.reports)

    def __getitem__(self, index: int) -> Member:
        return self.members[index]

    def deliver(self) -> bool:
        """Hand on one transaction somebody lacks, chosen at random; False if there is none."""
        online = [member for member in self.members if not member.offline]
        choices = [
            (member, sent)
            for member in online
            for other in online
            for sent in [next((s for s in other.sent if member.lacks(s)), None)]
            if other is not member and sent is not None and member.may_receive(sent)
        ]
        if not choices:
            return False
        member, sent = self.random.choice(choices)
        member.receive(sent)
        return True

    def sync(self) -> None:
        """Until everybody online has everything."""
        for member in self.members:
            if not member.offline:
                member.look()
        while self.deliver():
            pass

    def assert_equal(self) -> dict[str, Any]:
        """Everybody's file is in order and alike; what it holds."""
        self.sync()
        contents = [member.content() for member in self.members]
        for member, found in zip(self.members, contents, strict=True):
            assert found["integrity"] == ["ok"], (member.name, found["integrity"])
        for member, found in zip(self.members[1:], contents[1:], strict=True):
            assert found == contents[0], f"{member.name} differs from {self.members[0].name}"
        return contents[0]

    def close(self) -> None:
        for member in self.members:
            member.database.close()


def content(connection: apsw.Connection) -> dict[str, Any]:
    """What a database holds: schema, numbers, rows by type and bytes."""
    schema = connection.execute(
        "SELECT type, name, tbl_name, sql FROM sqlite_schema"
        " WHERE name NOT LIKE 'sqlite_%' ORDER BY 1, 2"
    ).fetchall()
    shadow = {
        name
        for (name,) in connection.execute("SELECT name FROM pragma_table_list WHERE type='shadow'")
    }
    found: dict[str, Any] = {
        "schema": [row for row in schema if row[1] not in shadow and row[2] not in shadow],
        "integrity": [row[0] for row in connection.execute("PRAGMA integrity_check")],
        "user_version": connection.pragma("user_version"),
        "application_id": connection.pragma("application_id"),
    }
    for kind, name, _, _ in found["schema"]:
        if kind == "table":
            found[f"rows of {name}"] = table_rows(connection, str(name))
    return found


def table_rows(connection: apsw.Connection, name: str) -> list[Any]:
    """All rows of a table, sorted, each value with its type."""
    columns = [
        str(column)
        for (column,) in connection.execute(
            "SELECT name FROM pragma_table_xinfo(?) WHERE hidden != 1", (name,)
        )
    ]
    parts = []
    for column in columns:
        quoted = '"' + column.replace('"', '""') + '"'
        # A text as its bytes, as it may not be UTF-8.
        text = f"CASE typeof({quoted}) WHEN 'text' THEN CAST({quoted} AS BLOB) ELSE {quoted} END"
        parts += [f"typeof({quoted})", text]
    quoted = '"' + name.replace('"', '""') + '"'
    rows_found = connection.execute(f"SELECT {', '.join(parts)} FROM {quoted}").fetchall()
    return sorted(tuple(map(repr, row)) for row in rows_found)
