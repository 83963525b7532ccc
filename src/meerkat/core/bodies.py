"""Finds in the log what versions are made of: the one copy of every text's and chunk list's start.

Operations of a first scan carry hundreds of files each, so the last few stay decoded.
"""

from __future__ import annotations

from collections import OrderedDict

from .actions import Action, EditText, NewFile, NewVersion, Part, PayloadError, decode_actions
from .ids import AuthorId
from .log import Log
from .operation import Operation
from .tree import Version

__all__ = ["Bodies"]

DECODED_COUNT = 8  # operations; at most 8 MiB of payload each, usually a quarter of one

_ByVersion = dict[bytes, list[NewFile | NewVersion | Part | EditText]]


class Bodies:
    """Bodies and edits of versions, by the operations that brought them."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._decoded: OrderedDict[tuple[AuthorId, int], _ByVersion] = OrderedDict()

    def remember(self, operation: Operation, actions: list[Action]) -> None:
        """These were just decoded; they may be asked for soon."""
        found: _ByVersion = {}
        for action in actions:
            if isinstance(action, NewFile | NewVersion | Part | EditText):
                found.setdefault(action.version, []).append(action)
        self._keep(operation.id, found)

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
                elif isinstance(action, EditText) or pieces:
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

    def _actions(self, author: AuthorId, sequence: int) -> _ByVersion:
        key = (author, sequence)
        found = self._decoded.get(key)
        if found is None:
            operation = self._log.operation(author, sequence)
            try:
                self.remember(operation, decode_actions(operation.payload))
            except PayloadError:
                self._keep(key, {})
            found = self._decoded[key]
        self._decoded.move_to_end(key)
        return found

    def _keep(self, key: tuple[AuthorId, int], found: _ByVersion) -> None:
        self._decoded[key] = found
        while len(self._decoded) > DECODED_COUNT:
            self._decoded.popitem(last=False)
