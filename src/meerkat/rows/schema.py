"""The schema of a SQLite database as values, read by pragmas.

Says what there is and whether such a database can be live; what becomes of a schema is decided in
``definitions``. Ours (``meerkat_``), SQLite's own (``sqlite_``) and the shadow tables behind
virtual tables are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from weakref import WeakKeyDictionary

import apsw

from .sqltext import fold, module_of, quote, table_options, tokens

__all__ = [
    "Column",
    "ForeignKey",
    "Schema",
    "SchemaObject",
    "Table",
    "Unique",
    "is_known_module",
    "is_shadow",
    "read_schema",
]

OWN_PREFIX = "meerkat_"
NUMBERS = ("application_id", "user_version")
# Virtual tables whose rows can be read and written as rows; and those that only show others'.
_MODULES_WITH_ROWS = frozenset({"fts3", "fts4", "fts5", "geopoly", "rtree", "rtree_i32"})
_MODULES_WITHOUT = frozenset({"fts4aux", "fts5vocab"})
_PARTS = {
    **dict.fromkeys(("fts3", "fts4"), ("content", "docsize", "segdir", "segments", "stat")),
    "fts5": ("config", "content", "data", "docsize", "idx"),
    **dict.fromkeys(("geopoly", "rtree", "rtree_i32"), ("node", "parent", "rowid")),
}
_FULL_TEXT = frozenset({"fts3", "fts4", "fts5"})
# Of SQLite's messages, those that tell of something that a program adds to its connection.
_PROBLEMS = ("no such collation", "no such function", "unknown function")
_Row = tuple[Any, ...]
_ROWID_NAMES = ("rowid", "_rowid_", "oid")
# Of pragma_table_xinfo.hidden: of a virtual table / generated, not stored / generated, stored.
_NORMAL, _HIDDEN, _VIRTUAL, _STORED = 0, 1, 2, 3


@dataclass(frozen=True)
class Column:
    """A column. ``default``: SQL, or None; ``primary_key``: 0, or its place in the key from 1."""

    name: str
    type: str
    not_null: bool
    default: str | None
    primary_key: int
    generated: bool = False


@dataclass(frozen=True)
class ForeignKey:
    """A reference. ``parent_columns``: the parent's primary key unless given; () if unknown."""

    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]


@dataclass(frozen=True)
class Unique:
    """A unique index. A column of None is an expression; ``sql`` None: made by the table itself."""

    index: str
    columns: tuple[str | None, ...]
    partial: bool
    collations: tuple[str, ...]
    sql: str | None


@dataclass(frozen=True)
class Table:
    """A table.

    ``columns``: those that are written, in order; ``declared``: with the generated ones.
    ``key``: the primary key, unless that is the rowid; ``rowid_column``: the column that is it.
    ``source``: of a full-text table, where its text is: None in itself, "" nowhere, or a table.
    ``root`` and ``shadows`` (root pages of what is behind a virtual table) make no difference.
    """

    name: str
    sql: str
    root: int = field(compare=False)
    columns: tuple[Column, ...]
    declared: tuple[Column, ...]
    key: tuple[str, ...]
    rowid_column: str | None
    without_rowid: bool
    autoincrement: bool
    strict: bool
    module: str | None
    uniques: tuple[Unique, ...]
    foreign_keys: tuple[ForeignKey, ...]
    source: str | None = None
    shadows: tuple[int, ...] = field(default=(), compare=False)

    @property
    def has_rowid(self) -> bool:
        return not self.without_rowid

    @property
    def replicated(self) -> bool:
        """Whether its rows travel: not of tables that only show what is in others."""
        return self.module is None or (self.module in _MODULES_WITH_ROWS and self.source is None)

    @property
    def locator_columns(self) -> tuple[str, ...]:
        """The names by which SQL finds a row: its rowid's, or the primary key's."""
        if self.without_rowid:
            return self.key
        return (self.rowid_column or self.rowid_name,)

    @property
    def rowid_name(self) -> str:
        """What its rowid is called; "" if columns have all three names."""
        taken = {fold(column.name) for column in self.declared}
        return next((name for name in _ROWID_NAMES if name not in taken), "")


@dataclass(frozen=True)
class SchemaObject:
    """An index (not made by a table itself), a view or a trigger, and the table it is on."""

    kind: str
    name: str
    table: str
    sql: str


@dataclass(frozen=True)
class Schema:
    """A database's schema. ``refused``: empty, or a sentence why such a database is not live."""

    tables: dict[str, Table]
    objects: dict[tuple[str, str], SchemaObject]
    numbers: dict[str, int]
    refused: str = ""


def is_known_module(module: str) -> bool:
    """Whether we know what to do with virtual tables of that kind."""
    return module in _MODULES_WITH_ROWS or module in _MODULES_WITHOUT


def is_shadow(name: str, modules: Mapping[str, str]) -> bool:
    """Whether a table is behind a virtual one. ``modules``: of the virtual tables.

    PRAGMA table_list says it too, but looks into every view for that, and a view may take for ever.
    """
    owner, _, part = name.rpartition("_")
    return part in _PARTS.get(modules.get(owner, ""), ())


def read_schema(connection: apsw.Connection, *, own: bool = False) -> Schema:
    """The schema of a connection's main database.

    ``own``: it is a state of ours, so that tables of ours in it are no reason to refuse it.

    Raises:
        apsw.Error: if SQLite cannot read it.
    """
    try:
        rows = list(
            connection.execute(
                "SELECT type, name, tbl_name, rootpage, sql FROM main.sqlite_schema"
                r" WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY type, name"
            )
        )
    except UnicodeDecodeError:
        return Schema({}, {}, {}, "its schema holds text that is not UTF-8")
    numbers = {name: connection.execute(f"PRAGMA main.{name}").get for name in NUMBERS}
    known = _read.get(connection)
    if known is None or known[:2] != (own, rows):
        known = _read[connection] = (own, rows, _Reader(connection, own).read(rows))
    return replace(known[2], numbers=numbers)


# What was read last by a connection, of which rows: pragmas on every table take a while.
_read: WeakKeyDictionary[apsw.Connection, tuple[bool, list[_Row], Schema]] = WeakKeyDictionary()


class _Reader:
    def __init__(self, connection: apsw.Connection, own: bool) -> None:
        self._connection = connection
        self._own = own
        self._reasons: list[str] = []

    def read(self, rows: list[_Row]) -> Schema:
        modules = {
            name: made[0]
            for kind, name, _, root, sql in rows
            if kind == "table" and not root and (made := module_of(sql))
        }
        shadow = {name for kind, name, *_ in rows if kind == "table" and is_shadow(name, modules)}
        tables: dict[str, Table] = {}
        objects: dict[tuple[str, str], SchemaObject] = {}
        for kind, name, on, root, sql in rows:
            if name.lower().startswith(OWN_PREFIX) or on.lower().startswith(OWN_PREFIX):
                if not self._own:
                    self._reasons.append(f"names that begin with {OWN_PREFIX} are meerkat's own")
            elif kind != "table":
                if on in shadow:
                    self._reasons.append(f"its {kind} {name!r} is on what is behind another table")
                objects[kind, name] = SchemaObject(kind, name, on, sql)
            elif name not in shadow:
                tables[name] = self._table(name, sql, root or 0)
        tables = {
            name: self._with_shadows(table, shadow) if table.module else table
            for name, table in tables.items()
        }
        resolved = {name: self._with_parents(table, tables) for name, table in tables.items()}
        return Schema(resolved, objects, {}, min(self._reasons, default=""))

    def _table(self, name: str, sql: str, root: int) -> Table:
        virtual = module_of(sql) if root == 0 else None
        without_rowid, strict = (False, False) if virtual else table_options(sql)
        module = virtual[0] if virtual else None
        if module and not is_known_module(module):
            self._reasons.append(f"its table {name!r} is made by the module {module!r}")
            return _bare(name, sql, module)
        declared = tuple(
            Column(label, kind or "", bool(not_null), default, key, hidden in {_VIRTUAL, _STORED})
            for label, kind, not_null, default, key, hidden in self._connection.execute(
                'SELECT name, type, "notnull", dflt_value, pk, hidden'
                " FROM pragma_table_xinfo(?, 'main')",
                (name,),
            )
            if hidden != _HIDDEN
        )
        indexes = list(
            self._connection.execute(
                "SELECT name, origin, partial, \"unique\" FROM pragma_index_list(?, 'main')"
                " ORDER BY name",
                (name,),
            )
        )
        keyed = sorted((c for c in declared if c.primary_key), key=lambda c: c.primary_key)
        rowid_column = None
        if (
            len(keyed) == 1
            and keyed[0].type.upper() == "INTEGER"
            and not without_rowid
            # INTEGER PRIMARY KEY DESC is no rowid, and alone of these has an index.
            and not any(origin == "pk" for _, origin, _, _ in indexes)
        ):
            rowid_column = keyed[0].name
        elif module in {"rtree", "rtree_i32"}:
            rowid_column = declared[0].name
        table = Table(
            name=name,
            sql=sql,
            root=root,
            columns=tuple(column for column in declared if not column.generated),
            declared=declared,
            key=() if rowid_column else tuple(column.name for column in keyed),
            rowid_column=rowid_column,
            without_rowid=without_rowid,
            autoincrement=bool(
                rowid_column
                and not module
                and self._connection.column_metadata("main", name, rowid_column)[4]
            ),
            strict=strict,
            module=module,
            uniques=tuple(
                self._unique(index, bool(partial))
                for index, _, partial, unique in indexes
                if unique
            ),
            foreign_keys=self._foreign_keys(name),
            source=_source(module, virtual[1]) if virtual and module in _FULL_TEXT else None,
        )
        self._judge(table, indexes)
        return table

    def _unique(self, index: str, partial: bool) -> Unique:
        terms = list(
            self._connection.execute(
                "SELECT name, coll FROM pragma_index_xinfo(?, 'main') WHERE key ORDER BY seqno",
                (index,),
            )
        )
        sql = self._connection.execute(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'index' AND name = ?", (index,)
        ).get
        return Unique(
            index,
            tuple(name for name, _ in terms),
            partial,
            tuple(collation for _, collation in terms),
            sql,
        )

    def _foreign_keys(self, name: str) -> tuple[ForeignKey, ...]:
        found: dict[int, list[tuple[str, str, str | None]]] = {}
        for number, parent, child, target in self._connection.execute(
            'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?, \'main\')'
            " ORDER BY id, seq",
            (name,),
        ):
            found.setdefault(number, []).append((parent, child, target))
        # SQLite numbers them backwards.
        return tuple(
            ForeignKey(
                tuple(child for _, child, _ in found[number]),
                found[number][0][0],
                tuple(target for _, _, target in found[number] if target is not None),
            )
            for number in sorted(found, reverse=True)
        )

    def _judge(self, table: Table, indexes: list[tuple[str, str, int, int]]) -> None:
        """Note what keeps us from writing to a table as programs do."""
        name = table.name
        if table.has_rowid and not table.locator_columns[0]:
            self._reasons.append(f"columns of its table {name!r} have all three names of the rowid")
        if table.module:
            return
        used = {
            self._connection.column_metadata("main", name, column.name)[1]
            for column in table.declared
        }
        for index, *_ in indexes:
            used |= {
                collation
                for (collation,) in self._connection.execute(
                    "SELECT coll FROM pragma_index_xinfo(?, 'main') WHERE key", (index,)
                )
            }
        for collation in sorted(used):
            if collation and self._problem(f"SELECT 'a' = 'b' COLLATE {quote(collation)}"):
                self._reasons.append(
                    f"its table {name!r} needs the collation {collation!r}, which a program adds"
                )
                return
        problem = self._problem(f"INSERT INTO main.{quote(name)} DEFAULT VALUES")
        if any(what in problem for what in _PROBLEMS):
            self._reasons.append(f"its table {name!r} needs what a program adds ({problem})")

    def _problem(self, sql: str) -> str:
        """Why a statement cannot be prepared, or ""; it is not run."""
        cursor = self._connection.cursor()
        cursor.exec_trace = lambda *_: False
        try:
            cursor.execute(sql)
        except apsw.ExecTraceAbort:
            return ""
        except apsw.SQLError as error:
            return str(error)
        raise AssertionError("a statement ran that should not")

    def _with_shadows(self, table: Table, shadow: set[str]) -> Table:
        """A virtual table's pages are those of the shadow tables that are called after it."""
        mine = [name for name in shadow if name.startswith(f"{table.name}_")]
        roots = tuple(
            root
            for name in sorted(mine)
            for (root,) in self._connection.execute(
                "SELECT rootpage FROM main.sqlite_schema WHERE tbl_name = ? ORDER BY rootpage",
                (name,),
            )
            if root
        )
        return replace(table, shadows=roots)

    def _with_parents(self, table: Table, tables: dict[str, Table]) -> Table:
        """Give parents and their columns the names that the parents' tables have."""
        if not table.foreign_keys:
            return table
        by_name = {fold(name): found for name, found in tables.items()}
        keys = []
        for key in table.foreign_keys:
            parent = by_name.get(fold(key.parent))
            columns = key.parent_columns
            if parent is None:
                keys.append(ForeignKey(_named(table, key.columns), key.parent, columns))
                continue
            if not columns:
                columns = (parent.rowid_column,) if parent.rowid_column else parent.key
            names = {fold(column.name): column.name for column in parent.declared}
            named = tuple(names.get(fold(column), column) for column in columns)
            keys.append(ForeignKey(_named(table, key.columns), parent.name, named))
        return replace(table, foreign_keys=tuple(keys))


def _named(table: Table, columns: tuple[str, ...]) -> tuple[str, ...]:
    names = {fold(column.name): column.name for column in table.declared}
    return tuple(names.get(fold(column), column) for column in columns)


def _bare(name: str, sql: str, module: str) -> Table:
    """A table that nobody here can look into."""
    return Table(name, sql, 0, (), (), (), None, False, False, False, module, (), ())


def _source(module: str | None, arguments: tuple[str, ...]) -> str | None:
    """The option ``content`` of a full-text table; FTS5 takes any beginning of an option's name."""
    for argument in arguments:
        items = tokens(argument)
        if len(items) < 2 or items[1].text != "=" or not items[0].name:
            continue
        option = items[0].name.lower()
        if option == "content" or (module == "fts5" and "content".startswith(option)):
            return items[2].name if len(items) > 2 else ""
    return None
