"""Makes the schema that was decided in an empty database in memory, to see what SQLite takes.

Statements come from other members: whatever they hold, nothing happens but that a table, index,
view or trigger of the name that was said comes to be, or that it is left out, alike everywhere. For
that an authorizer watches SQLite, and what was created must read as the statement did.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

import apsw

from .changes import DefineObject, DefineTable
from .schema import OWN_PREFIX, is_known_module, is_shadow, read_schema
from .sqltext import (
    MAX_TERMS,
    MAX_TOKENS,
    Declaration,
    called,
    declarations,
    expansion,
    fold,
    module_of,
    nesting,
    quote,
    tokens,
    under_name,
    weight,
    without_clauses,
)
from .targets import TablePlan, TableTarget, Target

__all__ = ["materialise", "open_scratch"]

# Bounds of what a pool's schema comes to; guesses, an order above what programs make.
MAX_TABLES = 10_000
MAX_OBJECTS = 10_000
MAX_NESTING = 1_000  # parentheses; SQLite's own limit of an expression. Its parser is quadratic
MAX_STEPS = 20_000  # of a thousand instructions of SQLite's machine each, for one statement

_ALLOWED = frozenset(
    {
        apsw.SQLITE_ALTER_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_VTABLE,
        apsw.SQLITE_DELETE,
        apsw.SQLITE_DROP_VTABLE,
        apsw.SQLITE_FUNCTION,
        apsw.SQLITE_INSERT,
        apsw.SQLITE_READ,
        apsw.SQLITE_RECURSIVE,
        apsw.SQLITE_REINDEX,
        apsw.SQLITE_SELECT,
        apsw.SQLITE_UPDATE,
    }
)
# Functions that reach outside of the database, some only in programs that add them.
_FORBIDDEN = frozenset({"fts3_tokenizer", "load_extension", "readfile", "writefile"})


class _RefusedError(Exception):
    """Why a definition is left out."""


def materialise(
    plans: Sequence[TablePlan],
    objects: Sequence[Sequence[DefineObject]],
    numbers: Mapping[str, int],
) -> Target:
    """Create tables by id, then indexes, views and triggers; all else is in the plans.

    ``objects``: of each the definitions, the one that counts first.
    """
    scratch = _Scratch()
    try:
        return scratch.run(plans, [o for o in objects if o], numbers)
    finally:
        scratch.close()


def open_scratch() -> apsw.Connection:
    """An empty database in memory in which nothing but itself can be reached."""
    connection = apsw.Connection(":memory:")
    connection.enable_load_extension(False)
    for option, value in (
        (apsw.SQLITE_DBCONFIG_DEFENSIVE, 1),
        (apsw.SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0),
        (apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 0),
        (apsw.SQLITE_DBCONFIG_LEGACY_ALTER_TABLE, 0),
        # Quoted names that are no columns are strings in old schemas.
        (apsw.SQLITE_DBCONFIG_DQS_DDL, 1),
        (apsw.SQLITE_DBCONFIG_DQS_DML, 1),
    ):
        connection.config(option, value)
    connection.limit(apsw.SQLITE_LIMIT_ATTACHED, 0)
    connection.limit(apsw.SQLITE_LIMIT_WORKER_THREADS, 0)
    return connection


class _Scratch:
    def __init__(self) -> None:
        self._connection = open_scratch()
        self._statements = 0
        self._steps = 0
        self._tables: dict[str, TableTarget] = {}
        self._left_out: list[tuple[str, str, str]] = []
        self._modules: dict[str, str] = {}
        self._former: dict[str, set[str]] = {}

    def close(self) -> None:
        self._connection.close()

    def run(
        self,
        plans: Sequence[TablePlan],
        objects: Sequence[Sequence[DefineObject]],
        numbers: Mapping[str, int],
    ) -> Target:
        self._connection.execute("BEGIN")
        # Full-text tables may look at the table that holds their text.
        ordered = sorted(plans, key=lambda plan: _is_virtual(plan.definitions[0][0].sql))
        for plan in ordered[MAX_TABLES:]:
            self._left_out.append(("table", plan.definitions[0][0].name, "too many tables"))
        ordered = ordered[:MAX_TABLES]
        for item in objects[MAX_OBJECTS:]:
            self._left_out.append((item[0].kind, item[0].name, "too many indexes and views"))
        indexes = [item for item in objects[:MAX_OBJECTS] if item[0].kind == "index"]
        views = {item[0].name for item in objects if item[0].kind == "view"}
        # Views come after: whatever else is done would look into them, and that may take for ever.
        others = [item for item in objects[:MAX_OBJECTS] if item[0].kind != "index"]
        others.sort(key=lambda item: item[0].kind == "view" or item[0].table in views)
        waiting = [plan for plan in ordered if not self._table(plan, last=False)]
        failed = [(item, self._object(item)) for item in indexes]
        # Some may have been written by people who knew of renamings that others did not know.
        self._rename(ordered)
        waiting = [plan for plan in waiting if not self._table(plan, last=True)]
        self._rename(ordered)
        self._former = {
            plan.id: {fold(name) for name in plan.former}
            for plan in ordered
            if plan.id in self._tables
        }
        for plan in ordered:
            self._mend(plan)
        failed = [(item, self._object(item) if why else "") for item, why in failed]
        failed += [(item, self._object(item)) for item in others]
        self._left_out += [(item[0].kind, item[0].name, why) for item, why in failed if why]
        for name, value in numbers.items():
            self._connection.execute(f"PRAGMA main.{name} = {value:d}")
        schema = read_schema(self._connection)
        # Pages of this database say nothing of any other.
        tables = {name: replace(table, root=0, shadows=()) for name, table in schema.tables.items()}
        schema = replace(schema, tables=tables)
        self._connection.execute("COMMIT")
        virtual = sorted(schema.tables.values(), key=lambda table: table.module is not None)
        ranks = ("index", "view", "trigger")
        rest = sorted(schema.objects.values(), key=lambda item: ranks.index(item.kind))
        return Target(
            schema,
            [table.sql for table in virtual] + [item.sql for item in rest],
            dict(numbers),
            self._left_out,
            self._tables,
            {table.name: table_id for table_id, table in self._tables.items()},
        )

    # -- tables ---------------------------------------------------------------------------------

    def _table(self, plan: TablePlan, *, last: bool) -> bool:
        """Create a table by the first of its definitions that can be.

        ``last``: under another name if its own is taken, as it may be of two that were made apart.
        """
        reason = ""
        for definition, of_base in plan.definitions:
            name = definition.name
            if fold(name) in self._names():
                if not last:
                    return False
                name = _free(name, self._names())
            why = self._try(partial(self._define, definition, of_base, name))
            if not why:
                self._tables[plan.id] = TableTarget(name, definition.columns)
                self._append(plan)
                return True
            reason = reason or why
        if last:
            self._left_out.append(("table", plan.definitions[0][0].name, reason))
        return False

    def _names(self) -> set[str]:
        found = self._connection.execute("SELECT name FROM main.sqlite_schema")
        return {fold(name) for (name,) in found}

    def _define(self, definition: DefineTable, of_base: bool, name: str) -> None:
        ids = [column_id for column_id, _ in definition.columns]
        if len(set(ids)) != len(ids) or not ids:
            raise _RefusedError("its columns are not what it says")
        virtual = module_of(definition.sql)
        if virtual and (not is_known_module(virtual[0]) or _names_ours(virtual[1])):
            raise _RefusedError(f"a table of the module {virtual[0]!r} is not carried")
        if not virtual and not _is_list_of_columns(definition.sql):
            raise _RefusedError("no list of columns")
        sql = definition.sql
        self._weigh(sql, declarations(sql))
        if name != definition.name:
            token = tokens(sql)[3 if virtual else 2]
            if token.name != definition.name:
                raise _RefusedError("it creates something else than it says")
            sql = sql[: token.start] + quote(name) + sql[token.end :]
        self._create("table", name, sql, of_base=of_base)
        found = self._connection.execute(
            "SELECT name FROM pragma_table_xinfo(?, 'main') WHERE hidden <> 1", (name,)
        )
        if [column for (column,) in found] != [column for _, column in definition.columns]:
            raise _RefusedError("its columns are not what it says")
        if virtual:
            self._modules[name] = virtual[0]

    def _append(self, plan: TablePlan) -> None:
        """Columns that the definition does not know, and that nobody dropped."""
        table = self._tables[plan.id]
        if _is_virtual(plan.definitions[0][0].sql):
            return
        for column in plan.columns:
            if not column.living or column.id in table.column_names:
                continue
            name = _free(column.name, {fold(name) for _, name in table.columns})
            text, why = under_name(column.text, name), ""
            for declaration in (text, without_clauses(text), quote(name)):
                why = self._try(partial(self._add, table.name, declaration))
                if not why:
                    table = replace(table, columns=(*table.columns, (column.id, name)))
                    self._tables[plan.id] = table
                    break
            else:
                self._left_out.append(("column", f"{table.name}.{column.name}", why))

    def _add(self, table: str, declaration: str) -> None:
        self._weigh(declaration, [*self._declared(table), Declaration("", declaration)])
        before = self._shape(table)
        self._one(f"ALTER TABLE main.{quote(table)} ADD COLUMN {declaration}")
        if self._shape(table) != before + 1:
            raise _RefusedError("not one column")

    def _declared(self, table: str) -> list[Declaration]:
        found = self._connection.execute(
            "SELECT sql FROM main.sqlite_schema WHERE type = 'table' AND name = ?", (table,)
        )
        return declarations(found.get or "")

    @staticmethod
    def _weigh(sql: str, declared: Sequence[Declaration]) -> None:
        terms = expansion(declared)
        if terms and weight(tokens(sql), terms) >= MAX_TERMS:
            raise _RefusedError("its generated columns are too many terms")

    def _shape(self, table: str) -> int:
        found = self._connection.execute(
            "SELECT count(*) FROM pragma_table_xinfo(?, 'main')", (table,)
        )
        return int(found.get)

    def _rename(self, plans: Sequence[TablePlan]) -> None:
        """Give tables and columns the names that their registers have."""
        todo: list[tuple[str, str | None, str]] = []
        for plan in plans:
            table = self._tables.get(plan.id)
            if table is None:
                continue
            todo += [
                (plan.id, column.id, column.name)
                for column in plan.columns
                if column.id in table.column_names
            ]
            if plan.name is not None:
                todo.append((plan.id, None, plan.name))
        for _ in range(2):  # twice: a name may be free only then
            for table_id, column_id, name in todo:
                table = self._tables[table_id]
                was = table.name if column_id is None else table.column_names[column_id]
                if was == name or fold(name).startswith(OWN_PREFIX):
                    continue
                what = f"ALTER TABLE main.{quote(table.name)} RENAME "
                column = "" if column_id is None else f"COLUMN {quote(was)} "
                if self._try(partial(self._one, f"{what}{column}TO {quote(name)}")):
                    continue
                if column_id is None:
                    self._tables[table_id] = TableTarget(name, table.columns)
                else:
                    columns = tuple((c, name if c == column_id else n) for c, n in table.columns)
                    self._tables[table_id] = TableTarget(table.name, columns)

    def _mend(self, plan: TablePlan) -> None:
        """Let references follow a parent that was renamed apart from the definition that counts.

        Only if another definition says so: who renames a table for good rewrites its children, who
        moves one away to make it anew does not.
        """
        table = self._tables.get(plan.id)
        if table is None:
            return
        others = {fold(token.name) for one, _ in plan.definitions[1:] for token in tokens(one.sql)}
        parents = self._connection.execute(
            "SELECT DISTINCT \"table\" FROM pragma_foreign_key_list(?, 'main')", (table.name,)
        ).fetchall()
        for row in parents:
            parent = str(row[0])
            found = self._formerly(parent)
            if found is not None and fold(found) in others:
                self._try(partial(self._rename_twice, found, parent))

    def _formerly(self, name: str) -> str | None:
        """The one table that was called so when nothing is."""
        if fold(name) in self._names():
            return None
        found = [table_id for table_id, names in self._former.items() if fold(name) in names]
        return self._tables[found[0]].name if len(found) == 1 else None

    def _rename_twice(self, table: str, name: str) -> None:
        self._one(f"ALTER TABLE main.{quote(table)} RENAME TO {quote(name)}")
        self._one(f"ALTER TABLE main.{quote(name)} RENAME TO {quote(table)}")

    # -- indexes, views, triggers ---------------------------------------------------------------

    def _object(self, definitions: Sequence[DefineObject]) -> str:
        reason = ""
        for item in definitions:
            why = self._try(partial(self._create, item.kind, item.name, item.sql, on=item.table))
            table = self._formerly(item.table) if why and item.kind != "view" else None
            if table is not None:
                why = self._try(partial(self._create_on, item, table))
            if not why:
                return ""
            reason = reason or why
        return reason

    def _create_on(self, item: DefineObject, table: str) -> None:
        """Create it on a table that was called otherwise when it was written."""
        self._one(f"ALTER TABLE main.{quote(table)} RENAME TO {quote(item.table)}")
        self._create(item.kind, item.name, item.sql, on=item.table)
        self._one(f"ALTER TABLE main.{quote(item.table)} RENAME TO {quote(table)}")

    # -- one statement --------------------------------------------------------------------------

    def _try(self, work: Callable[[], None]) -> str:
        """Do it or nothing of it. Returns why not, or ""."""
        self._connection.execute("SAVEPOINT attempt")
        try:
            work()
        except (apsw.Error, _RefusedError) as error:
            self._connection.execute("ROLLBACK TO attempt")
            self._connection.execute("RELEASE attempt")
            return str(error) or type(error).__name__
        self._connection.execute("RELEASE attempt")
        return ""

    def _create(
        self,
        kind: str,
        name: str,
        sql: str,
        *,
        of_base: bool = False,
        on: str = "",
    ) -> None:
        """Run a statement that must create exactly what it says."""
        items = tokens(sql)
        if "\0" in sql or len(items) == MAX_TOKENS or nesting(items) > MAX_NESTING:
            raise _RefusedError("no text that can be read")
        words = [token.text.upper() for token in items[:3]]
        what = words[2:3] if words[1:2] in (["UNIQUE"], ["VIRTUAL"]) else words[1:2]
        if words[:1] != ["CREATE"] or what != [kind.upper()]:
            raise _RefusedError(f"no statement that creates a {kind}")
        if fold(name).startswith(OWN_PREFIX) or fold(on).startswith(OWN_PREFIX):
            raise _RefusedError(f"names that begin with {OWN_PREFIX} are meerkat's own")
        if _FORBIDDEN & called(items):
            raise _RefusedError("it calls a function that reaches outside of the database")
        if on and is_shadow(on, self._modules):
            raise _RefusedError("it is on what is behind another table")
        if kind == "index":
            self._weigh(sql, self._declared(on))
        last = self._connection.execute(
            "SELECT coalesce(max(rowid), 0) FROM main.sqlite_schema"
        ).get
        self._one(sql)
        made = list(
            self._connection.execute(
                "SELECT type, name, tbl_name, sql FROM main.sqlite_schema WHERE rowid > ?"
                " AND sql IS NOT NULL AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'",
                (last,),
            )
        )
        mine = [row for row in made if row[:2] == (kind, name)]
        shadows = [row for row in made if row[1].startswith(f"{name}_") and _is_virtual(sql)]
        if len(mine) != 1 or len(mine) + len(shadows) != len(made):
            raise _RefusedError("it creates something else than it says")
        if (on and mine[0][2] != on) or (mine[0][3] != sql and not of_base):
            raise _RefusedError("it creates something else than it says")

    def _one(self, sql: str) -> None:
        """Run a single statement, watched."""
        self._statements = self._steps = 0
        connection = self._connection
        connection.authorizer = self._authorize
        connection.exec_trace = self._trace
        connection.set_progress_handler(self._step, 1_000)
        try:
            connection.execute(sql)
        finally:
            connection.authorizer = None
            connection.exec_trace = None
            connection.set_progress_handler(None)

    def _authorize(
        self, action: int, one: str | None, two: str | None, database: str | None, via: str | None
    ) -> int:
        if action == apsw.SQLITE_PRAGMA:
            # Full-text tables and R-trees ask for these.
            allowed = one in {"data_version", "page_size"} and two is None
        elif action == apsw.SQLITE_FUNCTION:
            allowed = (two or "").lower() not in _FORBIDDEN
        else:
            allowed = action in _ALLOWED
        return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY

    def _trace(self, cursor: object, sql: str, bindings: object) -> bool:
        self._statements += 1
        return self._statements <= 1

    def _step(self) -> bool:
        self._steps += 1
        return self._steps > MAX_STEPS


def _is_virtual(sql: str) -> bool:
    return module_of(sql) is not None


def _is_list_of_columns(sql: str) -> bool:
    """CREATE TABLE name (: not what a SELECT returns, which may take for ever."""
    items = tokens(sql)
    return len(items) > 3 and items[3].text == "("


def _names_ours(arguments: Sequence[str]) -> bool:
    return any(
        fold(token.name).startswith(OWN_PREFIX) for text in arguments for token in tokens(text)
    )


def _free(name: str, taken: set[str]) -> str:
    if name and fold(name) not in taken:
        return name
    number = 2
    while fold(f"{name}_{number}") in taken:
        number += 1
    return f"{name}_{number}"
