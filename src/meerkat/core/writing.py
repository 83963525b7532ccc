"""Events that may make us write: a layer writes, and what it wrote is pushed.

Decides only the order: be sure of our own head, let the layer write, push what is new in our log.
"""

from __future__ import annotations

from collections.abc import Callable

from .effects import Effect
from .events import (
    ChunksStored,
    CursorMoved,
    EchoRequested,
    FilesObserved,
    FramesReceived,
    JobsDone,
    Knocked,
    LineEndsChosen,
    PublishRequested,
    RangesEdited,
    RenameRequested,
    RowsReported,
    SayRequested,
    TextClosed,
    TextEdited,
    TextOpened,
)
from .folder_side import FolderSide
from .log import Log
from .network import Network
from .reception import Reception
from .rows import DatabaseImported, RowsCaptured
from .sessions import Sessions
from .sync import Sync
from .talk import Talk

__all__ = ["EditorEvent", "FolderEvent", "PersonEvent", "Writing"]

FolderEvent = FilesObserved | JobsDone | ChunksStored | TextEdited
EditorEvent = TextOpened | RangesEdited | FramesReceived | CursorMoved | LineEndsChosen | TextClosed
PersonEvent = SayRequested | RenameRequested | PublishRequested | EchoRequested

Sure = Callable[[float, float], list[Effect]]
"""Makes sure, before we write, that no sequence number is used twice."""


class Writing:
    """What our own side does: folder, editors, people, the door."""

    def __init__(
        self,
        log: Log,
        sync: Sync,
        network: Network,
        *,
        folder: FolderSide,
        sessions: Sessions,
        talk: Talk,
        reception: Reception,
        sure: Sure,
    ) -> None:
        self._log, self._sync, self._network = log, sync, network
        self._folder, self._sessions, self._talk = folder, sessions, talk
        self._reception, self._sure = reception, sure

    def _head(self) -> int:
        return self._log.heads[self._log.author]

    def _push(self, before: int, now: float) -> list[Effect]:
        last = self._head()
        author = self._log.author
        own = [self._log.operation(author, one) for one in range(before + 1, last + 1)]
        return self._sync.relay(own, None, now)

    def on_folder(
        self,
        event: FolderEvent,
        now: float,
        wall: float,
    ) -> list[Effect]:
        """The folder has news, or somebody typed."""
        if isinstance(event, JobsDone):
            self._folder.on_jobs(event, now)
            return []
        if isinstance(event, ChunksStored):
            self._folder.on_stored(event)
            return []
        if isinstance(event, TextEdited) or event.seen or event.gone or event.moved:
            effects = self._sure(now, wall)
        else:
            effects = []
        before = self._head()
        if isinstance(event, TextEdited):
            self._folder.type(event, wall)
        else:
            effects += self._folder.observe(event, now, wall)
        return [*effects, *self._push(before, now)]

    def on_rows(
        self,
        event: RowsReported,
        now: float,
        wall: float,
    ) -> list[Effect]:
        """Programs changed databases, or one was imported."""
        effects: list[Effect] = []
        if any(isinstance(one, RowsCaptured | DatabaseImported) for one in event.reports):
            effects += self._sure(now, wall)
        before = self._head()
        self._folder.on_rows(event, now, wall)
        return [*effects, *self._push(before, now)]

    def on_editor(
        self,
        event: EditorEvent,
        now: float,
        wall: float,
    ) -> list[Effect]:
        """An editor of this machine does something."""
        match event:
            case TextOpened():
                self._sessions.open(event)
            case CursorMoved():
                self._sessions.move_cursor(event)
            case TextClosed():
                self._sessions.close(event)
            case RangesEdited() | FramesReceived() | LineEndsChosen():
                effects = self._sure(now, wall)
                before = self._head()
                if isinstance(event, RangesEdited):
                    self._sessions.edit(event, wall)
                elif isinstance(event, FramesReceived):
                    self._sessions.receive(event, wall)
                else:
                    self._sessions.choose(event, wall)
                return [*effects, *self._push(before, now)]
        return []

    def settle_saves(self, now: float, wall: float) -> list[Effect]:
        """Saves that waited for the typing of an editor, if any."""
        if not self._folder.has_saves:
            return []
        before = self._head()
        effects = self._folder.settle_saves(now, wall)
        return [*effects, *self._push(before, now)]

    def settle_line_ends(self, now: float, wall: float) -> list[Effect]:
        """Open texts whose line ends have become others than their file's."""
        before = self._head()
        self._sessions.settle_line_ends(now, wall)
        return self._push(before, now) if self._head() > before else []

    def on_knock(self, event: Knocked, now: float, wall: float) -> list[Effect]:
        """Somebody is at the door."""
        effects = self._sure(now, wall)
        before = self._head()
        addresses = self._network.overlay.contacts_for_door()
        answer = self._reception.on_knock(event, addresses, wall)
        pushed = self._push(before, now)
        return [*effects, *pushed, *self._sync.relay(answer.admitted, None, now), *answer.effects]

    def on_request(
        self,
        event: PersonEvent,
        now: float,
        wall: float,
    ) -> list[Effect]:
        """A person or a program asks for something."""
        if isinstance(event, PublishRequested):
            return self._network.on_publish(event, now)
        effects = self._sure(now, wall) if not isinstance(event, EchoRequested) else []
        before = self._head()
        effects += self._talk.on_request(event, now, wall)
        return [*effects, *self._push(before, now)]

    def converse(self, now: float, wall: float, *, may_write: bool) -> list[Effect]:
        """What was said, and what of it lies in the log from now on.

        Nobody waits for that: until somebody confirmed our own head, it waits.
        """
        effects = self._talk.settle(wall)
        if self._talk.has_to_write and may_write:
            before = self._head()
            effects += self._talk.write(wall)
            effects += self._push(before, now)
        return effects
