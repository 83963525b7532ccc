"""Signing what programs changed in live databases: each capture once, however often it is told.

What a capture became is remembered in the transaction that signs it, until the rows process is
known to have heard.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .actions import MAX_ROWS_BYTES, ChangeRows, Cover, DropFile
from .ids import VersionId
from .packing import pack
from .ports import Store, Table
from .replica import Replica
from .rows import Mark, RowsCaptured, RowsSigned
from .tree import Version
from .vectors import Vector

__all__ = ["Captures"]

KEPT_COUNT = 1_024  # captures remembered; the rows process waits for a few at most
_NUMBER_BYTES = 8


class _Signed(msgspec.Struct, frozen=True, array_like=True):
    author: bytes
    marks: tuple[Mark, ...]
    wall_ms: int


class Captures:
    """What was captured, as operations."""

    def __init__(self, store: Store, replica: Replica) -> None:
        self._store, self._replica = store, replica

    def sign(self, file: bytes, report: RowsCaptured, wall: float) -> RowsSigned | None:
        """Write the operations of a capture, or find them; None if it fits into none."""
        key = _key(report.version, report.number)
        data = self._store.get(Table.ROWS, key)
        if data is not None:
            return _answer(report, msgspec.msgpack.decode(data, type=_Signed))
        if any(len(batch) > MAX_ROWS_BYTES for batch in report.batches):
            return None
        marks: list[Mark] = []
        wall_ms = 0
        for index, batch in enumerate(report.batches, 1):
            action = ChangeRows(file, report.version, index == len(report.batches), batch)
            for operation in self._replica.write([action], wall):
                marks.append((operation.lamport, operation.sequence))
                wall_ms = operation.wall_ms
        signed = _Signed(bytes(self._replica.log.author), tuple(marks), wall_ms)
        self._store.put(Table.ROWS, key, pack(signed))
        if report.number > KEPT_COUNT:
            self._store.delete(Table.ROWS, _key(report.version, report.number - KEPT_COUNT))
        return _answer(report, signed)

    def resume(
        self, version: bytes, number: int, have: Mapping[bytes, int]
    ) -> tuple[set[tuple[bytes, int]], list[RowsSigned]]:
        """What a rows process that begins has captured (up to ``number``) and we have signed, but
        not in what it says to ``have``: the operations, and what to tell it before anything else.
        """
        known: set[tuple[bytes, int]] = set()
        answers: list[RowsSigned] = []
        for key, value in list(self._store.scan(Table.ROWS, version)):
            if len(key) != VersionId.SIZE + _NUMBER_BYTES:
                continue
            signed = msgspec.msgpack.decode(value, type=_Signed)
            last = max((sequence for _, sequence in signed.marks), default=0)
            found = int.from_bytes(key[VersionId.SIZE :], "big")
            if found > number or last <= have.get(signed.author, 0):
                self._store.delete(Table.ROWS, key)  # a state that is no more, or it knows
                continue
            known.update((signed.author, sequence) for _, sequence in signed.marks)
            answers.append(RowsSigned(version, found, signed.author, signed.marks, signed.wall_ms))
        return known, answers

    def drop(self, file: bytes, version: Version, seen: Vector, wall: float) -> None:
        """A database was removed here, and what its file last held has only come now."""
        if version.live:
            self._replica.write([DropFile(file, (Cover(version.id, seen),))], wall)


def _key(version: bytes, number: int) -> bytes:
    return version + number.to_bytes(_NUMBER_BYTES, "big")


def _answer(report: RowsCaptured, signed: _Signed) -> RowsSigned:
    return RowsSigned(report.version, report.number, signed.author, signed.marks, signed.wall_ms)
