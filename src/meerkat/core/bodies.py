"""Finds in the log what versions are made of: the one copy of every text's and chunk list's start.

Operations of a first scan carry hundreds of files each, so the last few stay decoded.
"""

from __future__ import annotations

from collections import OrderedDict

from .actions import (
    Action,
    ChangeRows,
    EditText,
    NewFile,
    NewVersion,
    Part,
    PayloadError,
    decode_actions,
)
from .ids import AuthorId
from .log import Log
from .operation import Operation
from .tree import Version

__all__ = ["Bodies"]

DECODED_BYTES = 16 * 1024 * 1024  # of payloads, inflated, as far as their data goes

OVERHEAD_BYTES = 600  # of a decoded action in memory, beside its data (measured: 500 to 700)

_Kept = NewFile | NewVersion | Part | EditText | ChangeRows
_ByVersion = dict[bytes, list[_Kept]]
_Decoded = tuple[_ByVersion, int]


class Bodies:
    """Bodies and edits of versions, by the operations that brought them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._decoded: OrderedDict[tuple[AuthorId, int], _Decoded] = OrderedDict()
        self._bytes = 0

    def remember(self, operation: Operation, actions: list[Action]) -> None:
        """These were just decoded; they may be asked for soon."""
        if operation.id in self._decoded:
            return
        found: _ByVersion = {}
        size = OVERHEAD_BYTES
        for action in actions:
            if isinstance(action, _Kept):
                found.setdefault(action.version, []).append(action)
                size += OVERHEAD_BYTES + _data_bytes(action)
        self._keep(operation.id, found, size)

    def body(self, version: Version) -> bytes:
        """The body of a version, put together from the operations that brought it.

        Raises:
            KeyError: if the log does not hold it.
        """
        pieces: list[bytes] = []
        size = 0
        for author, sequence in version.parts:
            for action in self._actions(AuthorId(author), sequence).get(version.id, ()):
                if isinstance(action, Part):
                    fits = size > 0 and action.offset == size
                    data = action.data if fits else b""
                elif isinstance(action, EditText | ChangeRows) or pieces:
                    continue
                else:
                    data = action.body.data[: version.total]
                pieces.append(data)
                size += len(data)
        if size != version.total:
            raise KeyError(version.id.hex())
        return b"".join(pieces)

    def edits(self, version: bytes, author: AuthorId, sequence: int) -> list[EditText]:
        """The edits of a text in one operation.

        Raises:
            KeyError: if the log does not hold it.
        """
        found = self._actions(author, sequence).get(version, ())
        return [action for action in found if isinstance(action, EditText)]

    def rows(self, version: bytes, author: AuthorId, sequence: int) -> ChangeRows | None:
        """What an operation changed in a database: of several such actions the first counts.

        Raises:
            KeyError: if the log does not hold it.
        """
        found = self._actions(author, sequence).get(version, ())
        return next((action for action in found if isinstance(action, ChangeRows)), None)

    def _actions(self, author: AuthorId, sequence: int) -> _ByVersion:
        key = (author, sequence)
        found = self._decoded.get(key)
        if found is None:
            operation = self._log.operation(author, sequence)
            try:
                self.remember(operation, decode_actions(operation.payload))
            except PayloadError:
                self._keep(key, {}, OVERHEAD_BYTES)
            found = self._decoded[key]
        self._decoded.move_to_end(key)
        return found[0]

    def _keep(self, key: tuple[AuthorId, int], found: _ByVersion, size: int) -> None:
        self._decoded[key] = (found, size)
        self._bytes += size
        while self._bytes > DECODED_BYTES and len(self._decoded) > 1:
            _, (_, freed) = self._decoded.popitem(last=False)
            self._bytes -= freed


def _data_bytes(action: _Kept) -> int:
    if isinstance(action, EditText):
        return len(action.update)
    return len(action.data if isinstance(action, Part | ChangeRows) else action.body.data)
