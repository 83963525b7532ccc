"""The log: which operations are admitted, and in which order they are applied.

Admit by rule (member, signature, chain, Lamport bound), append, then apply in causal order: an
operation is applied once everything its author had seen is applied here. So the state is a pure
function of the admitted set, whatever the order of arrival.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import msgspec

from .heads import Heads, Range
from .ids import AuthorId
from .messages import MAX_OPERATIONS, HeadEntry
from .operation import (
    FIRST,
    MAX_COUNTER,
    Operation,
    OperationError,
    OperationKind,
    decode_operation,
    sign_operation,
    verify_operation,
)
from .packing import pack
from .ports import Head, Store, Table
from .roster import Roster, read_opened
from .signing import SigningKey

__all__ = ["Admission", "Log", "LogConfig"]


@dataclass(frozen=True, slots=True)
class LogConfig:
    """Limits of the log."""

    lamport_ahead: int = 2**20
    """How far ahead of everything seen an operation may be (design, section 2)."""


@dataclass(slots=True)
class Admission:
    """What came of a batch of operations."""

    admitted: list[Operation] = field(default_factory=list)
    present: list[tuple[AuthorId, int]] = field(default_factory=list)  # these, and doubles of ours
    offered: list[tuple[AuthorId, int]] = field(default_factory=list)  # whoever sent it has these
    gaps: set[AuthorId] = field(default_factory=set)  # operations before these are missing
    strangers: set[AuthorId] = field(default_factory=set)  # not in the roster (yet)
    forks: set[AuthorId] = field(default_factory=set)  # signed two different ones
    refused: int = 0  # not admissible at all


class Log:
    """Everybody's operations: heads, admission, causal application, and our own authorship."""

    def __init__(self, store: Store, roster: Roster, key: SigningKey, config: LogConfig) -> None:
        self._store = store
        self._roster = roster
        self._key = key
        self._config = config
        self.author = AuthorId(key.public)
        self._ends: dict[AuthorId, Head] = store.heads()
        self.heads = Heads({author: head.sequence for author, head in self._ends.items()})
        self.lamport = max((head.lamport for head in self._ends.values()), default=0)
        self.applied = Heads()
        for entry, value in store.scan(Table.META, b"applied:"):
            author = AuthorId(entry[len(b"applied:") :])
            self.applied.advance(author, int.from_bytes(value, "big"))
        # Authors of whom something waits to be applied: hardly ever many, however large the pool.
        self._waiting = {one for one, last in self.heads.items() if last > self.applied[one]}
        seen = store.get(Table.META, b"own_seen:" + self.author)
        entries = msgspec.msgpack.decode(seen, type=tuple[HeadEntry, ...]) if seen else ()
        self._own_seen = Heads({AuthorId(author): sequence for author, sequence in entries})
        self.frozen = {
            AuthorId(entry[len(b"fork:") :]) for entry, _ in store.scan(Table.META, b"fork:")
        }
        self._recent: dict[tuple[AuthorId, int], Operation] = {}

    # -- reading ---------------------------------------------------------------------------

    def operation(self, author: AuthorId, sequence: int) -> Operation:
        """One operation of the log.

        Raises:
            KeyError: if it is not there.
        """
        recent = self._recent.get((author, sequence))
        if recent is not None:
            return recent
        data = self._store.operation(author, sequence)
        if data is None:
            raise KeyError((author, sequence))
        return decode_operation(data)

    def read(
        self, ranges: Iterable[Range], limit_bytes: int
    ) -> tuple[list[bytes], list[tuple[AuthorId, int]]]:
        """Operations of these ranges as far as we have them and the limit allows (min. one).

        Returns their bytes, and for each author the last sequence among them.
        """
        found: list[bytes] = []
        ends: list[tuple[AuthorId, int]] = []
        left = limit_bytes
        for one in ranges:
            last = min(one.last, self.heads[one.author])
            if last >= one.first and left > 0 and len(found) < MAX_OPERATIONS:
                last = min(last, one.first + MAX_OPERATIONS - len(found) - 1)
                batch = self._store.operations(one.author, one.first, last, limit_bytes=left)
                found += batch
                ends.append((one.author, one.first + len(batch) - 1))
                left -= sum(map(len, batch))
        return found, ends

    # -- admitting -------------------------------------------------------------------------

    def admit(self, batch: Sequence[bytes]) -> Admission:
        """Check operations from another peer and append the good ones.

        Each author's operations must be in order. Malformed ones are counted as ``refused``.
        """
        result = Admission()
        runs: dict[AuthorId, list[Operation]] = {}
        for data in batch:
            try:
                operation = decode_operation(data)
            except OperationError:
                result.refused += 1
                continue
            runs.setdefault(operation.author, []).append(operation)
            result.offered.append(operation.id)
        for author, run in runs.items():
            self._admit_run(author, run, result)
        return result

    def _admit_run(self, author: AuthorId, run: list[Operation], result: Admission) -> None:
        if author in self.frozen:
            return
        fresh: list[Operation] = []
        end = self._ends.get(author)
        last_hash, last_sequence, last_lamport = (
            (end.hash, end.sequence, end.lamport) if end else (FIRST, 0, 0)
        )
        for operation in run:
            if operation.sequence <= last_sequence:
                if not fresh and self._is_fork(operation):
                    result.forks.add(author)
                    return
                result.present.append(operation.id)
                continue
            if operation.sequence != last_sequence + 1:
                result.gaps.add(author)
                break
            if operation.previous != last_hash:
                if verify_operation(operation, self._roster.pool):
                    self._freeze(author, operation)
                    result.forks.add(author)
                else:
                    result.refused += 1
                break
            if not last_lamport < operation.lamport <= self._lamport_limit():
                result.refused += 1
                break
            fresh.append(operation)
            last_hash, last_sequence = operation.hash, operation.sequence
            last_lamport = operation.lamport
        if fresh:
            self._append_proven(author, fresh, result)

    def _lamport_limit(self) -> int:
        return min(self.lamport + self._config.lamport_ahead, MAX_COUNTER - 1)

    def _append_proven(self, author: AuthorId, fresh: list[Operation], result: Admission) -> None:
        if fresh[0].sequence == 1 and not self._open(fresh[0], result):
            return
        if not self._roster.may_write(author):
            result.strangers.add(author)
            return
        # One signature proves the chain before it. Where the newest is bad, an older one may
        # still be good; what lies behind it is not admitted.
        for count in range(len(fresh), 0, -1):
            if verify_operation(fresh[count - 1], self._roster.pool):
                break
            result.refused += 1
        else:
            return
        for operation in fresh[:count]:
            self._append(operation)
            result.admitted.append(operation)
            result.present.append(operation.id)

    def _open(self, operation: Operation, result: Admission) -> bool:
        try:
            credentials = read_opened(operation.data, self._roster.pool)
        except OperationError:
            result.refused += 1
            return False
        if not self._roster.may_open(credentials):
            result.strangers.add(operation.author)
            return False
        self._roster.open_author(credentials)
        return True

    def _is_fork(self, operation: Operation) -> bool:
        """Whether this contradicts what we have under the same author and sequence."""
        ours = self._store.operation(operation.author, operation.sequence)
        if ours is None or ours == operation.data:
            return False
        if not verify_operation(operation, self._roster.pool):
            return False
        self._freeze(operation.author, operation)
        return True

    def _freeze(self, author: AuthorId, evidence: Operation) -> None:
        """Keep the proof; nothing more of this author is admitted."""
        self.frozen.add(author)
        self._store.put(Table.META, b"fork:" + author, evidence.data)

    def _append(self, operation: Operation) -> None:
        head = Head(operation.sequence, operation.hash, operation.lamport)
        self._store.append(operation.author, head, operation.data)
        self._ends[operation.author] = head
        self.heads.advance(operation.author, operation.sequence)
        self.lamport = max(self.lamport, operation.lamport)
        self._recent[operation.author, operation.sequence] = operation
        self._waiting.add(operation.author)

    # -- authoring -------------------------------------------------------------------------

    def write(self, kind: OperationKind, payload: bytes, wall: float) -> Operation:
        """Make, sign and append an operation of our own; the caller applies it at once.

        ``wall``: seconds since the epoch, for people.

        Raises:
            OperationError: if the payload is too large for one operation.
        """
        end = self._ends[self.author]
        seen = [
            (author, sequence)
            for author, sequence in self.applied.items()
            if author != self.author and sequence > self._own_seen[author]
        ]
        operation = sign_operation(
            self._key,
            self._roster.pool,
            sequence=end.sequence + 1,
            previous=end.hash,
            lamport=self.lamport + 1,
            seen=seen,
            wall_ms=max(0, int(wall * 1000)),
            kind=kind,
            payload=payload,
        )
        self._append(operation)
        self._mark_applied(operation)
        if seen:
            self._own_seen.merge(seen)
            self._store.put(Table.META, b"own_seen:" + self.author, pack(self._own_seen.items()))
        return operation

    def become(self, key: SigningKey) -> None:
        """Go on as another author of ours, whose birth is in the store already."""
        self._key = key
        self.author = AuthorId(key.public)
        self._own_seen = Heads()
        end = self._store.heads()[self.author]
        self._ends[self.author] = end
        self.heads.advance(self.author, end.sequence)
        self.lamport = max(self.lamport, end.lamport)
        self._mark_applied(self.operation(self.author, end.sequence))

    # -- applying --------------------------------------------------------------------------

    def pending(self) -> bool:
        """Whether admitted operations wait to be applied."""
        return bool(self._waiting)

    def ready(self, limit: int) -> Iterator[Operation]:
        """Operations whose causes are all applied, at most ``limit``; each counts as applied
        as soon as it is yielded.
        """
        count, progress = 0, True
        while progress:
            progress = False
            for author in sorted(self._waiting):
                last = self.heads[author]
                while self.applied[author] < last:
                    if count >= limit:
                        return
                    operation = self.operation(author, self.applied[author] + 1)
                    if not self._causes_applied(operation):
                        break
                    self._mark_applied(operation)
                    count, progress = count + 1, True
                    yield operation

    def _causes_applied(self, operation: Operation) -> bool:
        return all(
            self.applied[author] >= sequence
            or (author in self.frozen and self.applied[author] >= self.heads[author])
            for author, sequence in operation.seen
        )

    def _mark_applied(self, operation: Operation) -> None:
        author, sequence = operation.author, operation.sequence
        self.applied.advance(author, sequence)
        if self.applied[author] >= self.heads[author]:
            self._waiting.discard(author)
        self._store.put(Table.META, b"applied:" + author, sequence.to_bytes(8, "big"))

    def forget_recent(self) -> None:
        """Drop decoded operations that were only kept for the step that admitted them."""
        self._recent.clear()
