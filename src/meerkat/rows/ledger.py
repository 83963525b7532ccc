"""Who wrote which cell of which row: the ledger of a live database, beside its rows.

The ledger knows operations by small numbers (0 is the base) and rows by (table id, row id). A row
of the base has a record only once something was said about it. Values of *visible* rows are in the
user's tables of the same state database; a record keeps only what is not there: all cells of rows
that are dead or aside, and of visible ones references (``Ref``) and cells of unknown columns.

A record's ``locator`` says where the row stands. In a table with an INTEGER PRIMARY KEY every
record, dead or aside too, keeps the id it would have (no two have the same); elsewhere only visible
rows have a locator. So the index (table, locator) answers both who stands somewhere and who claims
an id.

What was read is kept in memory where noted; after the caller's transaction failed, ``reload``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import apsw
import msgspec

from .notebook import many, pack_locator, unpack_locator
from .operations import PENDING, Op, Operations, Stamp
from .values import Locator, Value, decode_extension, encode_extension

__all__ = [
    "ASIDE",
    "ASLEEP",
    "DEAD",
    "PENDING",
    "UNBORN",
    "VISIBLE",
    "Ledger",
    "Op",
    "Row",
    "Stamp",
    "pack_row",
    "unpack_row",
]

VISIBLE, ASIDE, DEAD = 0, 1, 2
ASLEEP = 16  # flag of a row aside that nothing is to be asked of for now (``constraints``)
UNBORN = 8  # flag of a row that was written to, but whose birth nobody has told us yet
CHUNK = 500  # rows looked up by one statement (guess)

_TABLES = """
CREATE TABLE meerkat_rows(t INTEGER, id BLOB, state INTEGER, locator, origin INTEGER,
    shape INTEGER, flags INTEGER, data BLOB, PRIMARY KEY(t, id)) WITHOUT ROWID;
CREATE UNIQUE INDEX meerkat_at ON meerkat_rows(t, locator);
CREATE INDEX meerkat_aside ON meerkat_rows(t) WHERE state=1;
CREATE INDEX meerkat_awake ON meerkat_rows(t) WHERE state=1 AND flags<16;
CREATE TABLE meerkat_sleepers(t INTEGER, place, id BLOB, PRIMARY KEY(t, place, id))
    WITHOUT ROWID;
CREATE TABLE meerkat_losers(t INTEGER, id BLOB, claim INTEGER, PRIMARY KEY(t, id)) WITHOUT ROWID;
CREATE TABLE meerkat_claimed(t INTEGER, claim INTEGER, PRIMARY KEY(t, claim)) WITHOUT ROWID;
CREATE TABLE meerkat_refs(parent BLOB, t INTEGER, id BLOB, PRIMARY KEY(parent, t, id))
    WITHOUT ROWID;
"""


class Row(msgspec.Struct):
    """What is known of a row.

    ``origin``: the operation that wrote the cells of the columns in ``shape`` (a number of
    ``Ledger.shape``; 0 = every column), unless ``cells`` (column id -> operation) says another.
    ``touches``, ``deaths``: of every author the newest operation that wrote or deleted the row.
    ``loose``: the newest operation that wrote a reference which dangled at its author already, -1
    if none did. ``reason``: why a row that lives is aside.
    """

    table: str
    id: bytes
    state: int = DEAD
    locator: Locator | None = None
    origin: int = 0
    shape: int = 0
    flags: int = 0
    cells: dict[str, int] = {}
    touches: tuple[int, ...] = ()
    deaths: tuple[int, ...] = ()
    loose: int = -1
    values: dict[str, Value] = {}
    reason: str = ""

    @property
    def key(self) -> tuple[str, bytes]:
        """(table id, row id)."""
        return (self.table, self.id)

    @property
    def born(self) -> bool:
        """Whether its birth is known (a row of the base was always there)."""
        return not self.flags & UNBORN


_Data = tuple[dict[str, int], tuple[int, ...], tuple[int, ...], int, dict[str, Any], str]
_encoder = msgspec.msgpack.Encoder(enc_hook=encode_extension)
_decoder = msgspec.msgpack.Decoder(_Data, ext_hook=decode_extension)
_AWAKE = "FROM meerkat_rows INDEXED BY meerkat_awake WHERE t=? AND state=1 AND flags<16"
_COLUMNS = "id, state, locator, origin, shape, flags, data"
_LOOSE = 4  # as changes.LOOSE


class Ledger(Operations):
    """See the module; ``connection`` is the state database's."""

    @staticmethod
    def create(connection: apsw.Connection, author: bytes) -> None:
        """Make an empty ledger in a state database. ``author``: as whom we write."""
        Operations.create_tables(connection)
        connection.execute(_TABLES)
        Ledger(connection).author = author

    def reload(self) -> None:
        """Forget what is in memory and read it again."""
        super().reload()
        self.disturbed: dict[str, list[Locator]] = {}  # where rows went or changed in this step
        self.reclaim: set[str] = set()  # tables in which a loser is none any more
        self.left: dict[str, set[int]] = {}  # ids that their rows do not claim any more

    def writer(self, row: Row, column: str) -> int:
        """The operation that wrote a cell (0: it is as in the base, or nobody wrote it)."""
        number = row.cells.get(column)
        if number is not None:
            return number
        if row.origin and row.shape and column not in self._columns[row.shape]:
            return 0
        return row.origin

    # -- rows ----------------------------------------------------------------------------------

    def row(self, table: str, row_id: bytes) -> Row | None:
        """A row's record, if it has one."""
        found = self.connection.execute(
            f"SELECT {_COLUMNS} FROM meerkat_rows WHERE t=? AND id=?",
            (self.table_number(table), row_id),
        ).fetchone()
        return unpack_row(table, found) if found else None

    def rows_of(self, table: str, ids: Sequence[bytes]) -> dict[bytes, Row]:
        """The records that rows have, many at once."""
        raw = self.raw_rows(table, ids)
        return {row_id: unpack_row(table, values) for row_id, values in raw.items()}

    def raw_rows(self, table: str, ids: Sequence[bytes]) -> dict[bytes, tuple[Any, ...]]:
        """As ``rows_of``, for ``unpack_row``."""
        number = self.table_number(table)
        found: dict[bytes, tuple[Any, ...]] = {}
        statement = (
            f"SELECT {_COLUMNS} FROM carray(?) AS wanted"
            " CROSS JOIN meerkat_rows ON t=? AND id=wanted.value"
        )
        for start in range(0, len(ids), CHUNK):
            wanted = many(ids[start : start + CHUNK])
            rows: Any = self.connection.execute(statement, (wanted, number))
            found.update((values[0], values) for values in rows)
        return found

    def put_data(self, table: str, rows: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep what records of a table say (``pack_row``); they stay where they are."""
        number = self.table_number(table)
        self.connection.executemany(
            f"UPDATE meerkat_rows SET data=? WHERE t={number} AND id=?", rows
        )

    def at(self, table: str, locator: Locator) -> Row | None:
        """The record of the visible row that stands there. None: a base row without, or nobody."""
        row = self.claimant(table, locator)
        return row if row and row.state == VISIBLE else None

    def at_many(self, table: str, locators: Sequence[Locator]) -> dict[Locator, Row]:
        """Many of ``at``."""
        return {
            locator: unpack_row(table, values)
            for locator, values in self.raw_at_many(table, locators).items()
        }

    def raw_at_many(
        self, table: str, locators: Sequence[Locator]
    ) -> dict[Locator, tuple[Any, ...]]:
        """As ``at_many``, for ``unpack_row``."""
        number = self.table_number(table)
        found: dict[Any, tuple[Any, ...]] = {}
        statement = (
            f"SELECT {_COLUMNS} FROM carray(?) AS wanted"
            " CROSS JOIN meerkat_rows ON t=? AND locator=wanted.value WHERE state=0"
        )
        for start in range(0, len(locators), CHUNK):
            wanted = [pack_locator(each) for each in locators[start : start + CHUNK]]
            rows: Any = self.connection.execute(statement, (many(wanted), number))
            found.update((values[2], values) for values in rows)
        if locators and isinstance(locators[0], tuple):
            return {unpack_locator(place): values for place, values in found.items()}  # type: ignore[misc]
        return found

    def places_taken(self, table: str, places: Sequence[int]) -> set[int]:
        """At which of these ids a row with a record stands, or would."""
        number = self.table_number(table)
        found: set[int] = set()
        for start in range(0, len(places), CHUNK):
            wanted = many(places[start : start + CHUNK])
            rows: Any = self.connection.execute(
                "SELECT locator FROM carray(?) AS wanted"
                " CROSS JOIN meerkat_rows ON t=? AND locator=wanted.value",
                (wanted, number),
            )
            found.update(at for (at,) in rows)
        return found

    def claimant(self, table: str, locator: Locator) -> Row | None:
        """The record of the row that stands there, or would if it were visible."""
        found = self.connection.execute(
            f"SELECT {_COLUMNS} FROM meerkat_rows WHERE t=? AND locator=?",
            (self.table_number(table), pack_locator(locator)),
        ).fetchone()
        return unpack_row(table, found) if found else None

    def claimants(self, table: str, first: int, end: int) -> list[Row]:
        """The records of the rows that stand, or would, at the ids from ``first`` below ``end``."""
        return [
            unpack_row(table, values)
            for values in self.connection.execute(
                f"SELECT {_COLUMNS} FROM meerkat_rows WHERE t=? AND locator>=? AND locator<?",
                (self.table_number(table), first, end),
            )
        ]

    def rows(self, table: str, state: int, limit: int = -1) -> Iterator[Row]:
        """All records of a table in a state, by row id; do not write to them while you read."""
        for values in self.connection.execute(
            f"SELECT {_COLUMNS} FROM meerkat_rows WHERE t=? AND state={int(state)}"
            " ORDER BY id LIMIT ?",
            (self.table_number(table), limit),
        ):
            yield unpack_row(table, values)

    def rows_with_data(self, table: str) -> list[Row]:
        """The records of a table that say more than who wrote the row."""
        return [
            unpack_row(table, values)
            for values in self.connection.execute(
                f"SELECT {_COLUMNS} FROM meerkat_rows WHERE t=? AND data IS NOT NULL ORDER BY id",
                (self.table_number(table),),
            )
        ]

    def forget_places(self, table: str) -> None:
        """Nobody of a table without visible rows stands anywhere any more."""
        number = self.table_number(table)
        self.connection.execute(
            "UPDATE meerkat_rows SET locator=NULL WHERE t=? AND state<>0", (number,)
        )
        self.connection.execute("DELETE FROM meerkat_losers WHERE t=?", (number,))

    def highest_id(self, table: str) -> int:
        """The highest id that a row of a table has, had or would have."""
        number = self.table_number(table)
        found: Any = self.connection.execute(
            "SELECT max(high, coalesce((SELECT max(locator) FROM meerkat_rows WHERE t=?1), 0),"
            " coalesce((SELECT max(claim) FROM meerkat_claimed WHERE t=?1), 0))"
            " FROM (SELECT coalesce(max(high), 0) AS high FROM meerkat_tables WHERE t=?1)",
            (number,),
        ).get
        return found if isinstance(found, int) else 0

    def count(self, table: str, state: int) -> int:
        """How many records of a table are in a state."""
        (count,) = self.connection.execute(
            f"SELECT count(*) FROM meerkat_rows WHERE t=? AND state={int(state)}",
            (self.table_number(table),),
        ).fetchone() or (0,)
        return int(count)

    def put(self, row: Row) -> None:
        """Keep a record.

        Raises:
            apsw.ConstraintError: if another one stands at its locator (free that first).
        """
        self.put_all(row.table, (row,))

    def put_all(self, table: str, rows: Iterable[Row]) -> None:
        """Keep many records of a table."""
        number = self.table_number(table)
        self.connection.executemany(
            "INSERT INTO meerkat_rows VALUES(?,?,?,?,?,?,?,?) ON CONFLICT(t, id) DO UPDATE SET"
            " state=excluded.state, locator=excluded.locator, origin=excluded.origin,"
            " shape=excluded.shape, flags=excluded.flags, data=excluded.data",
            (
                (
                    number,
                    row.id,
                    row.state,
                    pack_locator(row.locator),
                    row.origin,
                    row.shape,
                    row.flags,
                    pack_row(row),
                )
                for row in rows
            ),
        )

    def put_born(
        self, table: str, op: int, shape: int, flags: int, rows: Iterable[tuple[bytes, Locator]]
    ) -> None:
        """Keep the records of visible rows that one operation wrote whole, without references.

        Raises:
            apsw.ConstraintError: if one of them has a record, or another one stands at its place;
                then none is kept only if the caller rolls back.
        """
        number = self.table_number(table)
        self.connection.executemany(
            "INSERT INTO meerkat_rows"
            f" VALUES({number},?,0,?,{int(op)},{int(shape)},{int(flags)},NULL)",
            ((row_id, pack_locator(locator)) for row_id, locator in rows),
        )

    # -- ids: who lost one, and which were ever claimed ----------------------------------------

    def losers(self, table: str) -> dict[bytes, int]:
        """The rows that do not stand at the id they claim: row id -> claim."""
        return dict(
            self.connection.execute(
                "SELECT id, claim FROM meerkat_losers WHERE t=?", (self.table_number(table),)
            )
        )

    def loser(self, table: str, row_id: bytes) -> int | None:
        """What a row claims that does not stand there; None: it does."""
        found: Any = self.connection.execute(
            "SELECT claim FROM meerkat_losers WHERE t=? AND id=?",
            (self.table_number(table), row_id),
        ).fetchone()
        return found[0] if found else None

    def set_loser(self, table: str, row_id: bytes, claim: int | None) -> None:
        """A row lost its claim; None: it did not, after all, or claims another id now."""
        number = self.table_number(table)
        if claim is None:
            self.reclaim.add(table)
            self.connection.execute(
                "DELETE FROM meerkat_losers WHERE t=? AND id=?", (number, row_id)
            )
        else:
            self.connection.execute(
                "REPLACE INTO meerkat_losers VALUES(?,?,?)", (number, row_id, claim)
            )

    def leave(self, row: Row) -> None:
        """A row that has a record with an id is about to claim another one."""
        claim = self.loser(row.table, row.id)
        if claim is not None:
            self.set_loser(row.table, row.id, None)
            self.add_claimed(row.table, [claim])
        elif isinstance(row.locator, int):
            self.add_claimed(row.table, [row.locator])

    def add_claimed(self, table: str, claims: Iterable[int]) -> None:
        """These ids were claimed by rows that claim others now: never given to anybody."""
        claims = list(claims)
        self.left.setdefault(table, set()).update(claims)
        number = self.table_number(table)
        self.connection.executemany(
            "INSERT OR IGNORE INTO meerkat_claimed VALUES(?,?)",
            ((number, claim) for claim in claims),
        )

    def was_claimed(self, table: str, claim: int) -> bool:
        """Whether an id was claimed by a row that claims another now."""
        return bool(
            self.connection.execute(
                "SELECT 1 FROM meerkat_claimed WHERE t=? AND claim=?",
                (self.table_number(table), claim),
            ).fetchone()
        )

    # -- rows that wait for another one -------------------------------------------------------

    def disturb(self, table: str, places: Iterable[Locator]) -> None:
        """Visible rows went from here, or changed in what others may clash with."""
        self.disturbed.setdefault(table, []).extend(places)

    def set_sleeper(self, row: Row, place: Locator | None) -> None:
        """A row sleeps as long as the one that stands there is as it is."""
        if place is not None:
            self.connection.execute(
                "INSERT OR IGNORE INTO meerkat_sleepers VALUES(?,?,?)",
                (self.table_number(row.table), pack_locator(place), row.id),
            )

    def sleepers(self, table: str, places: Iterable[Locator]) -> Iterator[tuple[str, bytes]]:
        """(table, row id) of the rows that wait for those who stand there."""
        number = self.table_number(table)
        if not self._has_sleepers(number):
            return
        for place in places:
            rows: Any = self.connection.execute(
                "SELECT id FROM meerkat_sleepers WHERE t=? AND place=?",
                (number, pack_locator(place)),
            ).fetchall()
            yield from ((table, row_id) for (row_id,) in rows)

    def wake(self, table: str, places: Iterable[Locator]) -> None:
        """The rows that wait for those who stand there sleep no longer."""
        number = self.table_number(table)
        if not self._has_sleepers(number):
            return
        for place in dict.fromkeys(places):
            given = (number, pack_locator(place))
            self.connection.execute(
                f"UPDATE meerkat_rows SET flags=flags&{~ASLEEP} WHERE t=?1 AND flags>={ASLEEP}"
                " AND id IN (SELECT id FROM meerkat_sleepers WHERE t=?1 AND place=?2)",
                given,
            )
            self.connection.execute("DELETE FROM meerkat_sleepers WHERE t=? AND place=?", given)

    def _has_sleepers(self, number: int) -> bool:
        return bool(
            self.connection.execute(
                "SELECT 1 FROM meerkat_sleepers WHERE t=? LIMIT 1", (number,)
            ).fetchone()
        )

    def wake_all(self) -> None:
        """Nobody sleeps."""
        self.connection.execute(
            f"UPDATE meerkat_rows SET flags=flags&{~ASLEEP} WHERE flags>={ASLEEP}"
        )
        self.connection.execute("DELETE FROM meerkat_sleepers")

    def has_awake(self, table: str) -> bool:
        """Whether a table has rows aside that do not sleep."""
        return bool(
            self.connection.execute(
                f"SELECT 1 {_AWAKE} LIMIT 1",
                (self.table_number(table),),
            ).fetchone()
        )

    def rows_awake(self, table: str) -> list[Row]:
        """The records of rows aside that do not sleep, by row id."""
        return [
            unpack_row(table, values)
            for values in self.connection.execute(
                f"SELECT {_COLUMNS} {_AWAKE} ORDER BY id",
                (self.table_number(table),),
            )
        ]

    # -- references ----------------------------------------------------------------------------

    def add_refs(self, table: str, refs: Iterable[tuple[bytes, bytes]]) -> None:
        """Rows of a table refer to others: (the other's id, the row's id)."""
        number = self.table_number(table)
        self.connection.executemany(
            "INSERT OR IGNORE INTO meerkat_refs VALUES(?,?,?)",
            ((parent, number, row_id) for parent, row_id in refs),
        )

    def referred(self, ids: Iterable[bytes]) -> list[bytes]:
        """Which of these rows others refer to (or once did)."""
        wanted = list(ids)
        found: list[Any] = []
        for start in range(0, len(wanted), CHUNK):
            found += self.connection.execute(
                "SELECT value FROM carray(?) AS wanted"
                " WHERE EXISTS (SELECT 1 FROM meerkat_refs WHERE parent=wanted.value)",
                (many(wanted[start : start + CHUNK]),),
            ).fetchall()
        return [row_id for (row_id,) in found]

    def referrers(self, parent: bytes) -> list[tuple[str, bytes]]:
        """The rows that refer (or once did) to a row: (table id, row id)."""
        found: Any = self.connection.execute(
            "SELECT tables.id, refs.id FROM meerkat_refs AS refs"
            " JOIN meerkat_tables AS tables USING(t) WHERE parent=? ORDER BY 1, 2",
            (parent,),
        ).fetchall()
        return list(found)


def pack_row(row: Row) -> bytes | None:
    """What a record says beyond who wrote the row; None: nothing."""
    loose = row.origin if row.flags & _LOOSE else -1
    if not (row.cells or row.deaths or row.values or row.reason) and (
        row.loose == loose and row.touches == ((row.origin,) if row.origin else ())
    ):
        return None
    return _encoder.encode((row.cells, row.touches, row.deaths, row.loose, row.values, row.reason))


def unpack_row(table: str, values: tuple[Any, ...]) -> Row:
    """A record from how it is kept: id, state, locator, origin, shape, flags, data."""
    row_id, state, locator, origin, shape, flags, data = values
    locator = unpack_locator(locator)
    if data is None:
        touches = (origin,) if origin else ()
        loose = origin if flags & _LOOSE else -1
        return Row(table, row_id, state, locator, origin, shape, flags, {}, touches, (), loose)
    return Row(table, row_id, state, locator, origin, shape, flags, *_decoder.decode(data))
