"""What the schema is after everything that members did to it, in whatever order it was heard of.

Decides which definition of a table, index, view or trigger counts, which columns there are and what
all of them are called. It is a pure function of the set of statements applied; whether SQLite takes
what was decided is seen in ``materialise``, what a program did to its schema in ``recognition``.

A table's definition is a register: the last writer's text counts. Next to it every column, and the
table's own name, have registers of their own (``DefineTable.named``), so a column added or renamed
apart from the definition that won is still added and renamed.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct, field

from .changes import (
    DefineObject,
    DefineTable,
    DropObject,
    DropTable,
    SetNumber,
    Statement,
)
from .evidence import Alike
from .materialise import materialise
from .recognition import recognise
from .registers import BASE, Register, Seen, Stamp
from .schema import NUMBERS, Schema
from .sqltext import declarations, quote
from .targets import ColumnPlan, Names, TablePlan, Target, names_between

__all__ = ["Definitions", "Names", "Target", "names_between", "refusal"]

KINDS = ("index", "view", "trigger")  # in this order they can be created


class _Column(Struct):
    """``names`` holds its births and renamings; ``text`` its declaration, where last listed."""

    names: Register[str] = field(default_factory=Register)
    text: Register[str] = field(default_factory=Register)


class _Table(Struct):
    definition: Register[DefineTable] = field(default_factory=Register)
    names: Register[str] = field(default_factory=Register)
    columns: dict[str, _Column] = field(default_factory=dict)


class _Records(Struct):
    tables: dict[str, _Table] = field(default_factory=dict)
    objects: dict[str, dict[str, Register[DefineObject]]] = field(default_factory=dict)
    numbers: dict[str, Register[int]] = field(default_factory=dict)


_decoder = msgspec.msgpack.Decoder(_Records)


class Definitions:
    """The records of a schema. ``target`` is what they come to."""

    def __init__(self) -> None:
        self._records = _Records()
        self._target: Target | None = None

    @classmethod
    def of(cls, schema: Schema) -> Definitions:
        """Those of a base: everything is called by its own name."""
        definitions = cls()
        for statement in definitions.changes(Schema({}, {}, dict.fromkeys(NUMBERS, 0)), schema):
            definitions.apply(statement, BASE, {})
        return definitions

    def dump(self) -> bytes:
        """Everything as MessagePack: equal bytes for equal records."""
        return msgspec.msgpack.encode(_normal(self._records))

    @classmethod
    def load(cls, data: bytes) -> Definitions:
        """Read what ``dump`` wrote; nothing are those of an empty database.

        Raises:
            msgspec.MsgspecError: if it is something else.
        """
        definitions = cls()
        if data:
            definitions._records = _decoder.decode(data)
        return definitions

    # -- names of the target --------------------------------------------------------------------

    def table_id(self, name: str) -> str | None:
        return self.target().table_ids.get(name)

    def table_name(self, table_id: str) -> str | None:
        plan = self.target().tables.get(table_id)
        return plan.name if plan else None

    def column_id(self, table_id: str, name: str) -> str | None:
        plan = self.target().tables.get(table_id)
        return plan.column_ids.get(name) if plan else None

    def column_name(self, table_id: str, column_id: str) -> str | None:
        plan = self.target().tables.get(table_id)
        return plan.column_names.get(column_id) if plan else None

    def columns(self, table_id: str) -> tuple[tuple[str, str], ...]:
        """(column id, name) of the columns that are written, in the order of ``Table.columns``."""
        target = self.target()
        plan = target.tables.get(table_id)
        if plan is None:
            return ()
        table = target.schema.tables[plan.name]
        return tuple((plan.column_ids[column.name], column.name) for column in table.columns)

    # -- statements -----------------------------------------------------------------------------

    def changes(
        self, old: Schema, new: Schema, alike: Alike = lambda *columns: False
    ) -> list[Statement]:
        """What a program did to the schema, seen before and after; it is not applied.

        ``old`` is this one's target as it stood in that file (root pages of the same file help to
        recognise a renamed table). ``alike``: what the rows say of two columns.
        """
        columns = {
            table_id: set(record.columns) for table_id, record in self._records.tables.items()
        }
        return recognise(old, new, self.target(), columns, alike)

    def apply(self, statement: Statement, stamp: Stamp, seen: Seen) -> None:
        """Take in a statement about the schema; statements about rows change nothing.

        ``seen``: the batch's, as a mapping if the result is to be the same whatever hostile authors
        claim to have seen. Statements of one operation are given in its order.
        """
        self._target = None
        match statement:
            case DefineTable():
                self._define_table(statement, stamp, seen)
            case DropTable(table):
                self._table(table).definition.drop(stamp, seen)
            case DefineObject(kind, name) if kind in KINDS:
                self._object(kind, name).put(stamp, statement)
            case DropObject(kind, name) if kind in KINDS:
                self._object(kind, name).drop(stamp, seen)
            case SetNumber(name, value) if name in NUMBERS:
                self._records.numbers.setdefault(name, Register()).put(stamp, value)
            case _:
                pass

    def restamp(self, old: Stamp, new: Stamp) -> None:
        """What was applied under a pending stamp is signed now. In the order of captures."""
        self._target = None
        for record in self._records.tables.values():
            record.definition.restamp(old, new)
            record.names.restamp(old, new)
            for column in record.columns.values():
                column.names.restamp(old, new)
                column.text.restamp(old, new)
        for objects in self._records.objects.values():
            for register in objects.values():
                register.restamp(old, new)
        for number in self._records.numbers.values():
            number.restamp(old, new)

    def _define_table(self, statement: DefineTable, stamp: Stamp, seen: Seen) -> None:
        record = self._table(statement.table)
        record.definition.put(stamp, statement)
        named = set(statement.named)
        if "" in named:
            record.names.put(stamp, statement.name)
        texts = [declaration.text for declaration in declarations(statement.sql)]
        listed = len(texts) == len(statement.columns)
        for place, (column_id, name) in enumerate(statement.columns):
            column = record.columns.setdefault(column_id, _Column())
            column.text.put(stamp, texts[place] if listed else quote(name))
            if column_id in named:
                column.names.put(stamp, name)
        for column_id in statement.dropped:
            record.columns.setdefault(column_id, _Column()).names.drop(stamp, seen)

    def _table(self, table_id: str) -> _Table:
        return self._records.tables.setdefault(table_id, _Table())

    def _object(self, kind: str, name: str) -> Register[DefineObject]:
        return self._records.objects.setdefault(kind, {}).setdefault(name, Register())

    # -- the target -----------------------------------------------------------------------------

    def target(self) -> Target:
        """The schema that all of it comes to. Kept until the next statement."""
        if self._target is None:
            objects = [
                [definition for _, definition in register.living()]
                for kind in KINDS
                for _, register in sorted(self._records.objects.get(kind, {}).items())
            ]
            numbers = {
                name: newest[1]
                for name, register in sorted(self._records.numbers.items())
                if (newest := register.newest())
            }
            plans = [
                self._plan(table_id, record)
                for table_id, record in sorted(self._records.tables.items())
            ]
            self._target = materialise(
                [plan for plan in plans if plan.definitions], objects, numbers
            )
        return self._target

    @staticmethod
    def _plan(table_id: str, record: _Table) -> TablePlan:
        definitions = [
            (definition, stamp == BASE) for stamp, definition in record.definition.living()
        ]
        name = record.names.newest()
        columns = []
        for column_id, column in record.columns.items():
            living = column.names.living(record.definition.cover)
            named, text = column.names.newest(), column.text.newest()
            if named and text:
                columns.append(
                    # The order of births is not known for sure, but that of names is one for all.
                    (living[-1][0] if living else BASE, column_id, bool(living), named[1], text[1])
                )
        return TablePlan(
            table_id,
            name[1] if name else None,
            definitions,
            [
                ColumnPlan(column_id, living, name, text)
                for _, column_id, living, name, text in sorted(columns)
            ],
            record.definition.everything({table_id}, lambda one: one.name)
            | record.names.everything(set(), str),
        )


def _normal(value: object) -> object:
    """The same with every dictionary in order, as plain values."""
    if isinstance(value, Struct):
        value = msgspec.to_builtins(value, builtin_types=(bytes,), str_keys=False)
    if isinstance(value, dict):
        return {key: _normal(value[key]) for key in sorted(value)}
    if isinstance(value, list | tuple):
        return [_normal(item) for item in value]
    return value


def refusal(schema: Schema) -> str:
    """Why a schema that a program made cannot be carried to others as it is; "" if it can.

    A sentence for people, as ``Schema.refused``, which is looked at first.
    """
    if schema.refused:
        return schema.refused
    target = Definitions.of(schema).target()
    for kind, name, reason in target.left_out:
        return f"its {kind} {name!r} cannot be created again ({reason})"
    if target.schema != schema:
        return "its schema is not what its statements create"
    return ""
