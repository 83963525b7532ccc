"""How file and state come to be equal: one look, one merge, one flush, within given transactions.

What programs did to the file goes into the state (``capture``), what others wrote goes into the
state (``merge``) and from there into the file (``flush``). Which of these happens when, and when
which transaction ends, is decided in ``database``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import apsw
import msgspec

from meerkat.core.rows import RowsEntry, RowsSigned

from .changes import DropTable, Statement
from .compare import RowDelta, compare
from .definitions import Definitions, Target, names_between, refusal
from .evidence import evidence
from .file import FileBroken, check
from .flush import Flush, Flushed
from .ledger import Ledger
from .merge import Merge
from .migrate import migrate
from .recording import Recording
from .repair import join_rows, was_done
from .schema import Schema, Table, read_schema
from .state import connect
from .tracker import Tracker
from .values import Locator, Scalar

__all__ = ["Following"]

NOT_LIVE = "It cannot be live as it is now: {}. Change that, or use `meerkat db off`."

_DEFINITIONS = "definitions"  # what the schema is
_IN_FILE = "definitions in the file"  # what the file's was when it was last known
_BEHIND = "behind"  # the file may not have what is to do
_SCHEMA_OP = "schema by "  # and the number of a pending operation that changed it
_ROOTS = "root pages"  # of the file's tables, as it was when it was last looked at
_BOUND = "bound"  # there is a file that the state is told to follow
_EXPORTED = "exported"  # a file that was written from the state as it still is

Deltas = Iterable[RowDelta]


class Following:
    """A state database at work. ``begin`` makes our tables in one that holds only the user's."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self.captured_rows: list[tuple[Table, RowDelta]] | None = None
        """The rows that programs changed, for whoever wants to hear of them; None: nobody."""
        self._reload()

    @staticmethod
    def begin(connection: apsw.Connection, author: bytes) -> None:
        """Make our tables beside a base's.

        Raises:
            ValueError: if the base's schema cannot be live.
        """
        schema = read_schema(connection)
        if schema.refused:
            raise ValueError(schema.refused)
        connection.execute("BEGIN IMMEDIATE")
        Ledger.create(connection, author)
        ledger = Ledger(connection)
        definitions = Definitions.of(schema)
        ledger.set(_DEFINITIONS, definitions.dump())
        ledger.set(_IN_FILE, definitions.dump())
        Merge(connection, ledger, definitions).begin()
        connection.execute("COMMIT")

    def _reload(self) -> None:
        self.ledger = Ledger(self.connection)
        self.definitions = Definitions.load(self.ledger.get(_DEFINITIONS) or b"")
        self.merging = Merge(self.connection, self.ledger, self.definitions)
        self.tracker = Tracker(self.connection)
        self._kept: Target = self.definitions.target()
        self._recording: Recording | None = None  # begun before the next capture
        self._joined = False  # the next capture looks at everything
        self._in_file: Schema | None = None  # the file's schema when it was captured last
        roots = self.ledger.get(_ROOTS)
        self._roots = msgspec.msgpack.decode(roots, type=dict[str, int]) if roots else {}

    @contextmanager
    def transaction(self, *, durable: bool = True) -> Iterator[None]:
        """One step of the state. What was read into memory is read again if it fails.

        ``durable``: False if a power cut may undo it (but not what was done before).
        """
        self.connection.pragma("synchronous", "FULL" if durable else "NORMAL")
        self.connection.execute("BEGIN IMMEDIATE")
        try:
            yield
            if self.definitions.target() is not self._kept:
                self.ledger.set(_DEFINITIONS, self.definitions.dump())
            self.connection.execute("COMMIT")
            self._kept = self.definitions.target()
        except BaseException:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            self._reload()
            raise

    # -- what is known of the file ---------------------------------------------------------------

    @property
    def bound(self) -> bool:
        """Whether a file follows this state, attached at the moment or not."""
        return self.ledger.get(_BOUND) is not None

    @property
    def behind(self) -> bool:
        """Whether the file may lack what is to do."""
        return self.ledger.get(_BEHIND) == b"1"

    def bind(self, identity: tuple[int, int]) -> None:
        """A file (device, inode) follows from now on.

        Another than before is compared whole, unless it is the one that was exported.
        """
        name = b"%d:%d" % identity
        if self.ledger.get(_BOUND) != name:
            if self.ledger.get(_EXPORTED) != name:
                self.tracker.forget()
            self.ledger.set(_BOUND, name)
            self.ledger.remove(_EXPORTED)

    def exported(self, path: Path) -> None:
        """A file was written from the state as it is, and may follow soon.

        How it looks is kept now: once it is attached, only what programs wrote to it meanwhile has
        to be compared.
        """
        found = path.stat()
        file = connect(path, apsw.SQLITE_OPEN_READONLY)
        try:
            self.tracker.begin(file)
            with self.transaction(durable=False):
                self.passed(file)
                self._remember_roots(read_schema(file))
                self.ledger.set(_EXPORTED, b"%d:%d" % (found.st_dev, found.st_ino))
        finally:
            file.close()

    def _forget_export(self) -> None:
        """The state is not what was exported any more."""
        if self.ledger.get(_EXPORTED) is not None:
            self.ledger.remove(_EXPORTED)
            self.tracker.forget()

    def begin_writing(self, file: apsw.Connection) -> None:
        """Begin a transaction of the file that keeps other writers out."""
        self.tracker.begin(file, immediate=True)

    def passed(self, file: apsw.Connection) -> None:
        """What the file is now is known."""
        self.tracker.look(file)
        self.tracker.accept()

    def unbind(self) -> None:
        """No file follows."""
        self.ledger.remove(_BOUND)
        self.ledger.remove(_EXPORTED)
        self.tracker.forget()
        self.caught_up()

    def caught_up(self) -> None:
        """The file has everything (or there is none)."""
        self.ledger.clear_todo()
        if self.behind:
            self.ledger.set(_BEHIND, b"0")
            self._schema_is_in_file()

    def _schema_is_in_file(self) -> None:
        definitions = self.ledger.get(_DEFINITIONS) or b""
        if self.ledger.get(_IN_FILE) != definitions:
            self.ledger.set(_IN_FILE, definitions)

    def fall_behind(self) -> None:
        """The file will lack something once this is committed."""
        if not self.behind:
            self.ledger.set(_BEHIND, b"1")

    def author_at(self, table: Table, at: Locator) -> bytes:
        """Who wrote last to a visible row; empty if nobody knows."""
        table_id = self.definitions.table_id(table.name)
        row = self.ledger.at(table_id, at) if table_id is not None else None
        if row is None or not row.touches:
            return b""
        return self.ledger.op(max(row.touches, key=self.ledger.stamp)).author

    # -- what others wrote -----------------------------------------------------------------------

    def merge(self, entries: Sequence[RowsEntry]) -> None:
        """Take entries into the state. The file falls behind, or there is none."""
        before = self.definitions.target()
        self.merging.apply(entries)
        if self.bound:
            if self.ledger.has_todo() or self.definitions.target() is not before:
                self.fall_behind()
        else:
            self.ledger.clear_todo()
            self._forget_export()

    def sign(self, request: RowsSigned) -> None:
        """A capture is in our log: its operations get their places."""
        found = [one for one in self.ledger.waiting() if one.number == request.number]
        if not found or len(found[0].ops) != len(request.marks) or not request.marks:
            return
        # The whole transaction counts as written by its last operation.
        lamport, sequence = request.marks[-1]
        for op in sorted(set(found[0].ops)):
            old = self.ledger.stamp(op)
            self.ledger.sign(op, request.author, sequence, lamport, request.wall_ms)
            if self.ledger.get(_SCHEMA_OP + str(op)) is not None:
                self.definitions.restamp(old, self.ledger.stamp(op))
        self.ledger.remove_waiting(request.number)
        self.ledger.raise_have(request.author, sequence)

    # -- what programs did -----------------------------------------------------------------------

    def catch_up(self, file: apsw.Connection) -> None:
        """Join what is to do with what programs did meanwhile, in the file's open transaction.

        Afterwards the file differs from the state in what programs did.
        """
        before = Definitions.load(self.ledger.get(_IN_FILE) or b"")
        known, target, schema = before.target(), self.definitions.target(), self._schema_of(file)
        layouts = [(target.schema, target.schema), (known.schema, schema)]
        if schema not in (known.schema, target.schema):
            layouts[0] = (target.schema, schema)
            self._catch_up_schema(file, before, schema)
        elif schema != target.schema:
            self._migrate_file(file, known)
        elif schema != known.schema or was_done(self.connection, file, target.schema, self.ledger):
            self.caught_up()
        if self.behind:
            self._joined = True
            now = self.definitions.target().schema
            join_rows(self.connection, file, now, self.ledger, layouts)

    def _catch_up_schema(self, file: apsw.Connection, before: Definitions, schema: Schema) -> None:
        """The same where a program changed the schema meanwhile, from what it was or is to be."""
        found = evidence(self.connection, file)
        known, target = before.target(), self.definitions.target()
        statements = before.changes(self._as_it_stood(known.schema), schema, found)
        if len(self.definitions.changes(target.schema, schema, found)) < len(statements):
            self.caught_up()
            return
        recording = self._recording = self._begin_recording(file)
        stamp = self.ledger.stamp(recording.op)
        for statement in statements:
            before.apply(statement, stamp, self.ledger.have)
        self._record_schema(recording, statements)
        self._migrate_file(file, before.target())

    def capture(self, file: apsw.Connection) -> int | None:
        """Take what programs did into the state. The number of the capture, if it was anything.

        Raises:
            FileBroken: if the schema is one that cannot be live.
            apsw.Error: of either database; nothing of it counts then.
        """
        known = self.definitions.target()
        look = self.tracker.look(file)
        if look.everything:
            check(file)
        schema = known.schema
        if look.schema_changed or self.behind or not self._roots:
            schema = self._schema_of(file, look.schema)
        self._in_file = schema
        if look.nothing and schema == known.schema and not self._joined:
            self.tracker.accept()
            self._remember_roots(schema)
            return None
        recording = self._recording or self._begin_recording(file)
        changed = schema != known.schema
        if changed:
            self._take_schema(recording, known, schema, file)
        target = self.definitions.target().schema
        everything = look.everything or changed or self._joined
        for table in _parents_first(schema):
            ranges = look.ranges.get(table.name)
            wholly = everything or table.name in look.tables
            if (not wholly and ranges is None) or not table.replicated:
                continue
            in_state = target.tables.get(table.name)
            if in_state is None:
                continue
            deltas = compare(file, self.connection, table, in_state, None if wholly else ranges)
            recording.rows(table, self._overheard(table, deltas))
        number = recording.finish()
        self._recording, self._joined = None, False
        if number is not None:
            self.merging.settle()  # an obstacle may be gone, or an id taken
        self.tracker.accept()
        self._remember_roots(schema)
        if target != schema or self.ledger.has_todo():
            self.fall_behind()
        return number

    def _begin_recording(self, file: apsw.Connection) -> Recording:
        if self.ledger.number == 0:
            # A state that was lost had captures, too, and named rows by their numbers. Each took
            # an operation at least, so there were fewer of them than we have operations.
            self.ledger.number = self.ledger.have.get(self.ledger.author, 0)
        return Recording(file, self.merging.desk)

    def _schema_of(self, file: apsw.Connection, schema: Schema | None = None) -> Schema:
        schema = schema or read_schema(file)
        if schema.refused:
            raise FileBroken(NOT_LIVE.format(schema.refused))
        return schema

    def _remember_roots(self, schema: Schema) -> None:
        roots = {one.name: one.root for one in schema.tables.values()}
        if any(roots.values()) and roots != self._roots:  # else it is known by name only
            self._roots = roots
            self.ledger.set(_ROOTS, msgspec.msgpack.encode(roots))

    def _as_it_stood(self, schema: Schema) -> Schema:
        """With the root pages that tables had in the file: a renamed table keeps its own."""
        tables = {
            name: replace(table, root=self._roots.get(name, 0))
            for name, table in schema.tables.items()
        }
        return replace(schema, tables=tables)

    def _take_schema(
        self, recording: Recording, known: Target, schema: Schema, file: apsw.Connection
    ) -> None:
        reason = refusal(schema)
        if reason:
            raise FileBroken(NOT_LIVE.format(reason))
        found = evidence(self.connection, file)
        statements = self.definitions.changes(self._as_it_stood(known.schema), schema, found)
        if statements:
            self._record_schema(recording, statements)

    def _record_schema(self, recording: Recording, statements: Sequence[Statement]) -> None:
        stamp = self.ledger.stamp(recording.op)
        for statement in statements:
            self.definitions.apply(statement, stamp, self.ledger.have)
        dropped = [one.table for one in statements if isinstance(one, DropTable)]
        self.merging.migrate(dropped, recording.op)
        recording.schema(statements)
        self.ledger.set(_SCHEMA_OP + str(recording.op), b"")
        self.ledger.set(_DEFINITIONS, self.definitions.dump())
        if not self.behind:
            self._schema_is_in_file()

    def _overheard(self, table: Table, deltas: Deltas) -> Deltas:
        if self.captured_rows is None:
            return deltas
        return self._listing(table, deltas, self.captured_rows)

    @staticmethod
    def _listing(
        table: Table, deltas: Deltas, heard: list[tuple[Table, RowDelta]]
    ) -> Iterator[RowDelta]:
        for delta in deltas:
            heard.append((table, delta))
            yield delta

    # -- the file follows ------------------------------------------------------------------------

    def flush(self, file: apsw.Connection, told: Flushed | None) -> bool:
        """Write what is to do into the file's open transaction, which was captured before.

        Whether there was anything.
        """
        target = self.definitions.target()
        changed = self._in_file != target.schema
        if changed:
            known = Definitions.load(self.ledger.get(_IN_FILE) or b"").target()
            self._migrate_file(file, known)
        return Flush(self.connection, file, target.schema).write(self.ledger, told) > 0 or changed

    def _migrate_file(self, file: apsw.Connection, known: Target) -> None:
        """Bring the file to our schema; rows that this forbids follow the state's like others."""
        target = self.definitions.target()
        names = names_between(known, target)
        now = {before: name for name, (before, _) in names.items()}

        def aside(table: Table, at: Locator, values: tuple[Scalar, ...]) -> None:
            if table.name in now:
                self.ledger.add_todo(now[table.name], at, values)

        migrate(file, target, names, aside=aside, checks=False)


def _parents_first(schema: Schema) -> list[Table]:
    """Tables in an order in which parents come before their children, where they can."""
    order: dict[str, Table] = {}
    path: set[str] = set()

    def visit(table: Table) -> None:
        if table.name in order or table.name in path:
            return
        path.add(table.name)
        for key in table.foreign_keys:
            parent = schema.tables.get(key.parent)
            if parent is not None:
                visit(parent)
        order[table.name] = table

    for name in sorted(schema.tables):
        visit(schema.tables[name])
    return list(order.values())
