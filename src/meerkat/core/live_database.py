"""One live database: what the rows process should do with it next.

Knows nothing of files or operations; ``databases`` says what the situation is. The rule that keeps
rows safe: what stands in the folder and differs from the rows process's state was written by
programs. So nothing is merged while a file stands there that is not attached.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum

from .ids import ContentHash
from .row_feed import RowFeed
from .rows import (
    ApplyRows,
    AttachDatabase,
    DetachDatabase,
    ExportDatabase,
    LoadDatabase,
    RowsRequest,
)

__all__ = ["Copy", "LiveDatabase", "Situation", "Stand"]

RETRY = 2.0  # s until a file that could not be attached, or let go of, is tried again (guess)


class Stand(Enum):
    """What the rows process has to do with a file of the database."""

    LOOSE = "loose"  # nothing
    ATTACHING = "attaching"
    ATTACHED = "attached"
    DETACHING = "detaching"


class Copy(Enum):
    """A copy for the folder to place."""

    NONE = "none"
    ASKED = "asked"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Situation:
    """What matters to one database now.

    ``place``: where it stands. ``leaving``: that it should be let go of. ``wanted``: a path waits
    for a copy. ``engaged``: the planner works, or is about to, where it stands or shall stand.
    ``hidden``: a rule ignores it where it stands.
    """

    place: str | None
    leaving: bool
    wanted: bool
    engaged: bool
    may_load: bool
    author: bytes
    now: float
    hidden: bool = False


@dataclass(slots=True)
class LiveDatabase:
    """What is known of one version of kind "rows"."""

    file: bytes
    version: bytes
    base: ContentHash
    feed: RowFeed
    based: bool = False  # its base is kept
    begun: bool = False  # its state may be more than its base
    loading: bool = False
    loaded: bool = False
    stand: Stand = Stand.LOOSE
    path: str = ""  # where it is attached, or was
    copy: Copy = Copy.NONE
    target: str = ""  # where the copy goes
    gone: bool = False  # it is, or was, being let go of because it is not there any more
    released: bool = False  # let go of, for the planner
    bound: bool = False  # the rows process believes in a file, be it open or not
    replaced: bool = False  # another file has taken its place
    behind: bool = False  # its state was lost, and is being made what the file has
    have: dict[bytes, int] = field(default_factory=dict)
    retry_at: float = 0.0
    failed: bool = False  # the last try to attach it
    problem: str = ""  # why it is not attached
    complaint: str = ""  # what the rows process says of its content
    aside: int = 0
    again: bool = False  # a person wants it to be loaded, whatever happened before

    # -- deciding --------------------------------------------------------------------------

    def step(self, now: Situation) -> Iterator[RowsRequest]:
        """What to ask for next."""
        if not self.loaded:
            if self.based and not self.loading and now.may_load:
                again, self.again, self.loading = self.again, False, True
                yield LoadDatabase(self.version, self.base, now.author, again)
            return
        yield from self._stand_there(now) if now.place is not None else self._be_without(now)
        if self._may_feed(now):
            entries = self.feed.take()
            if entries:
                yield ApplyRows(self.version, entries)

    def _stand_there(self, now: Situation) -> Iterator[RowsRequest]:
        assert now.place is not None
        if self.behind and self.feed.is_idle:
            self.behind = False
            self.feed.go_on()
        if self.stand is Stand.DETACHING or self.behind:
            return
        if now.hidden:
            if self.stand is not Stand.LOOSE:
                yield self._detach(leave=True)
        elif self.stand is Stand.LOOSE:
            if (self.released and (now.engaged or now.leaving)) or now.now < self.retry_at:
                return
            yield self._attach(now.place)
        elif self.path != now.place or self.replaced:
            yield self._attach(now.place)
        elif now.leaving and self.stand is Stand.ATTACHED and now.now >= self.retry_at:
            yield self._detach()

    def _attach(self, place: str) -> AttachDatabase:
        self.stand, self.path, self.bound = Stand.ATTACHING, place, True
        self.released = self.replaced = self.failed = False
        self.copy, self.target = Copy.NONE, ""
        return AttachDatabase(self.version, place)

    def _detach(self, *, gone: bool = False, leave: bool = False) -> DetachDatabase:
        self.stand, self.released, self.gone = Stand.DETACHING, False, gone
        return DetachDatabase(self.version, gone, leave)

    def _be_without(self, now: Situation) -> Iterator[RowsRequest]:
        if self.behind:
            self.behind = False
            self.feed.go_on()
        spare = self.copy is Copy.READY and not now.wanted and not now.engaged
        if self.stand in (Stand.ATTACHED, Stand.ATTACHING) or (
            (spare or self.bound) and self.stand is Stand.LOOSE
        ):
            self.copy, self.target = Copy.NONE, ""
            yield self._detach(gone=True)
        elif self._may_merge(now) and self.feed.is_idle and now.now >= self.retry_at:
            self.copy = Copy.ASKED
            yield ExportDatabase(self.version)

    def _may_feed(self, now: Situation) -> bool:
        if now.place is not None:
            return self.stand is Stand.ATTACHED or self.behind
        return self._may_merge(now)

    def _may_merge(self, now: Situation) -> bool:
        """Whether it can be merged without a file, and will be needed."""
        is_free = self.stand is Stand.LOOSE and self.copy is Copy.NONE
        return is_free and now.wanted and not now.engaged

    def try_again(self) -> None:
        """A person wants it merged; if it was given up, begin once more."""
        if not self.loaded and self.complaint:
            self.again, self.loading, self.failed = True, False, False
            self.complaint = self.problem = ""

    # -- what the rows process says --------------------------------------------------------

    def restarted(self) -> None:
        """A new rows process knows nothing of it."""
        self.loaded = self.loading = self.behind = False
        self.stand, self.copy, self.bound = Stand.LOOSE, Copy.NONE, self.begun
        self.complaint = ""  # the new one says what it finds, but not that all is well
        self.feed.stop()

    def exported(self, reason: str, now: float) -> None:
        """The copy is there, or there is a ``reason`` why not."""
        if self.copy is Copy.ASKED:
            self.copy = Copy.NONE if reason else Copy.READY
            self.problem = reason
            self.retry_at = now + RETRY if reason else 0.0

    def attached(self, path: str) -> None:
        """The file there is live."""
        if self.stand is not Stand.DETACHING and path == self.path:
            self.stand, self.problem, self.retry_at = Stand.ATTACHED, "", 0.0

    def detached(self, reason: str, now: float) -> None:
        """It was let go of as asked (no reason), could not be ("busy"), or had to be."""
        if not reason:
            if self.stand is Stand.DETACHING:
                self.stand, self.released, self.problem = Stand.LOOSE, not self.gone, ""
                self.bound = not self.gone
        elif reason == "busy":
            if self.stand is Stand.DETACHING:
                self.stand, self.retry_at = Stand.ATTACHED, now + RETRY
        else:
            self.problem = reason
            if self.stand is not Stand.DETACHING:
                self.stand, self.failed, self.retry_at = Stand.LOOSE, True, now + RETRY

    # -- for people ------------------------------------------------------------------------

    @property
    def is_hopeless(self) -> bool:
        """Whether the rows process cannot open its file, so that it need not let go of it."""
        given_up = not self.loaded and bool(self.complaint)
        return self.stand is Stand.LOOSE and (self.failed or given_up)

    @property
    def is_settled(self) -> bool:
        """Whether the file has all that the log has."""
        return self.stand is Stand.ATTACHED and self.feed.is_idle
