"""Applies operations to tree and texts, and signs our own.

What everyone's admitted operations add up to; says which paths may look different now
(``view.changed``) and which live texts were edited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from .actions import (
    Action,
    ChangeRows,
    EditText,
    MembershipAction,
    PayloadError,
    decode_actions,
    encode_actions,
    encode_payload,
)
from .bodies import Bodies
from .log import Log, LogConfig
from .operation import Operation, OperationKind
from .ports import Store, Table
from .roster import Roster
from .signing import SigningKey
from .texts import Texts, TextsConfig
from .tree import Tree, Version
from .version_log import VersionLog
from .view import View

__all__ = ["TALK_KINDS", "Replica", "ReplicaConfig"]

BeforeEdit = Callable[[Version], None]
OnRows = Callable[[Version, Operation], None]
ApplyTalk = Callable[[Operation], None]

TALK_KINDS = frozenset({OperationKind.SAID, OperationKind.MAIL, OperationKind.RECEIPT})
"""What people say to each other; ``talk`` applies it."""


@dataclass(frozen=True, slots=True)
class ReplicaConfig:
    """Limits of the replica."""

    batch_bytes: int = 256 * 1024
    """Actions gathered into one operation: a few frames' worth (design: at most 1 MiB)."""
    batch_count: int = 500
    """... and their count, so that applying one stays below 20 ms (measured: 20 µs a file)."""
    apply_count: int = 1_000
    """Operations applied in one step; the rest follows in the next."""
    log: LogConfig = field(default_factory=LogConfig)
    texts: TextsConfig = field(default_factory=TextsConfig)


class Replica:
    """Roster, log, tree and texts of one pool, in step with each other."""

    def __init__(
        self, store: Store, roster: Roster, key: SigningKey, config: ReplicaConfig
    ) -> None:
        self._config = config
        self.roster = roster
        self._store = store
        self.log = Log(store, roster, key, config.log)
        self.view = View(roster.name_of)
        self.tree = Tree(store, roster.pool, self.view)
        self.bodies = Bodies(self.log)
        self.texts = Texts(store, self.log, self.bodies, config.texts)
        self.row_log = VersionLog(store, Table.ROWS_LOG)
        """What changed databases."""
        self.before_edit: BeforeEdit = lambda version: None
        self.on_rows: OnRows = lambda version, operation: None
        """Told of what others changed in a database."""
        self.apply_talk: ApplyTalk = lambda operation: None
        self._edited: dict[bytes, Version] = {}

    def apply_ready(self) -> bool:
        """Apply what can be applied; True if more is left for the next step."""
        count = 0
        for operation in self.log.ready(self._config.apply_count):
            self._apply(operation)
            count += 1
        if count:
            self.view.settle()
        return count >= self._config.apply_count

    def write(self, actions: list[Action], wall: float) -> list[Operation]:
        """Sign our own actions in order, as few operations as fit, and apply them."""
        written: list[Operation] = []
        for batch in self._batches(actions):
            operation = self.log.write(OperationKind.CHANGES, encode_actions(batch), wall)
            written.append(operation)
            self._apply_actions(batch, operation, own=True)
        self.view.settle()
        return written

    def write_membership(self, actions: list[MembershipAction], wall: float) -> Operation:
        """Sign and apply a change of the membership."""
        operation = self.log.write(OperationKind.MEMBERSHIP, encode_payload(actions), wall)
        self._apply(operation)
        self.view.settle()
        return operation

    def write_talk(self, kind: OperationKind, payload: bytes, wall: float) -> Operation:
        """Sign and apply something said."""
        operation = self.log.write(kind, payload, wall)
        self.apply_talk(operation)
        return operation

    def flush(self) -> None:
        """Bring the store up to date; call before the transaction ends."""
        for version in self._edited.values():
            self.texts.snapshot(version)
        self._edited.clear()
        self.texts.flush()
        self.tree.flush()
        self.log.forget_recent()

    def _batches(self, actions: list[Action]) -> list[list[Action]]:
        batches: list[list[Action]] = []
        size = 0
        for action in actions:
            cost = _size(action)
            full = batches and (
                len(batches[-1]) >= self._config.batch_count
                or size + cost > self._config.batch_bytes
            )
            if not batches or full:
                batches.append([])
                size = 0
            batches[-1].append(action)
            size += cost
        return batches

    def _apply(self, operation: Operation) -> None:
        if operation.kind == OperationKind.MEMBERSHIP:
            self.roster.apply(operation)
            self.view.rename()
        elif operation.kind == OperationKind.CHANGES:
            try:
                actions = decode_actions(operation.payload)
            except PayloadError:
                return
            self.bodies.remember(operation, actions)
            self._apply_actions(actions, operation, own=False)
        elif operation.kind in TALK_KINDS:
            self.apply_talk(operation)

    def _apply_actions(self, actions: list[Action], operation: Operation, *, own: bool) -> None:
        for action in actions:
            if isinstance(action, EditText):
                self._apply_edit(action, operation, own=own)
            elif isinstance(action, ChangeRows):
                self._apply_rows(action, operation, own=own)
            else:
                self.tree.apply(action, operation)

    def _apply_edit(self, action: EditText, operation: Operation, *, own: bool) -> None:
        _, version = self.tree.find(action.file, action.version)
        if version is None or version.kind != "text":
            return
        self._edited[version.id] = version
        if own:  # the text was edited before it was signed
            self.tree.apply(action, operation)
            self.texts.record(version.id, operation)
            return
        self.before_edit(version)
        self.tree.apply(action, operation)
        self.texts.record(version.id, operation)
        self.texts.apply(version, action, operation)

    def _apply_rows(self, action: ChangeRows, operation: Operation, *, own: bool) -> None:
        _, version = self.tree.find(action.file, action.version)
        if version is None or version.kind != "rows":
            return
        self.tree.apply(action, operation)
        self.row_log.note(version.id, operation)
        if not own:
            self.on_rows(version, operation)


def _size(action: Action) -> int:
    """About how many bytes an action takes, encoded."""
    body = getattr(action, "body", None)
    data = body.data if body is not None else getattr(action, "data", b"")
    path = getattr(action, "path", "")
    return 160 + len(data) + len(path.encode()) + len(getattr(action, "update", b""))
