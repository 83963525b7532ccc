"""What waits to be decided: our own first, then link by link in turn, each in its own order.

So a member that sends a great deal delays neither our own typing nor anybody else.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from meerkat.core import wire
from meerkat.core.editing import SessionId
from meerkat.core.events import BulkReceived, Event, FramesReceived, LinkId, MessageReceived

__all__ = ["Inbox"]

EVENT_BYTES = 64  # what an event counts against a link's bound
BATCH_FRAMES = 256  # of an editor in one event: what waits together is signed together (guess)


@dataclass(frozen=True, slots=True)
class _Live:
    frame: bytes


@dataclass(frozen=True, slots=True)
class _Bulk:
    frame: bytes


@dataclass(slots=True)
class _Frames:
    """What an editor sent while something else was decided."""

    session: SessionId
    frames: list[bytes] = field(default_factory=list)


class _Queue:
    """One link's items."""

    __slots__ = ("items", "size")

    def __init__(self) -> None:
        self.items: deque[Event | _Live | _Bulk] = deque()
        self.size = 0


class Inbox:
    """Events and undecoded frames. Frames are decoded when they are taken, never before."""

    def __init__(self, broken: Callable[[LinkId, str], None]) -> None:
        """``broken`` is told which link broke the rules, and how."""
        self._broken = broken
        self._ours: deque[Event | _Frames] = deque()
        self._frames: dict[SessionId, _Frames] = {}  # that more can be added to
        self._links: dict[LinkId, _Queue] = {}
        self._turns: deque[LinkId] = deque()
        self.bulk_bytes = 0

    def __bool__(self) -> bool:
        return bool(self._ours) or bool(self._turns)

    def put(self, event: Event) -> None:
        """Something of our own: the folder, a timer, a person."""
        self._ours.append(event)

    def put_editor_frame(self, session: SessionId, frame: bytes) -> None:
        """A frame of one of our own Yjs editors."""
        batch = self._frames.get(session)
        if batch is None or len(batch.frames) >= BATCH_FRAMES:
            batch = self._frames[session] = _Frames(session)
            self._ours.append(batch)
        batch.frames.append(frame)

    def put_link(self, link: LinkId, event: Event) -> None:
        """A link's coming or going, in order with its frames."""
        self._append(link, event, EVENT_BYTES)

    def put_frame(self, link: LinkId, frame: bytes) -> None:
        """A live frame."""
        self._append(link, _Live(frame), len(frame))

    def put_bulk(self, link: LinkId, frame: bytes) -> None:
        """A bulk frame."""
        self.bulk_bytes += len(frame)
        self._append(link, _Bulk(frame), len(frame))

    def waiting(self, link: LinkId) -> tuple[int, int]:
        """How many items, and bytes, of a link wait."""
        queue = self._links.get(link)
        return (len(queue.items), queue.size) if queue else (0, 0)

    def forget_frames(self, link: LinkId) -> None:
        """Drop the frames of a link that is not believed any more; its coming and going stay."""
        queue = self._links.get(link)
        if queue is None:
            return
        kept = [item for item in queue.items if not isinstance(item, _Live | _Bulk)]
        self.bulk_bytes -= sum(len(i.frame) for i in queue.items if isinstance(i, _Bulk))
        queue.items = deque(kept)
        queue.size = EVENT_BYTES * len(kept)

    def clear(self) -> None:
        """Drop everything."""
        self._ours.clear()
        self._frames.clear()
        self._links.clear()
        self._turns.clear()
        self.bulk_bytes = 0

    def take(self, more: Callable[[], bool]) -> Iterator[Event]:
        """Events for as long as ``more()`` says; at least one, if there is any."""
        while True:
            event = self._next_of_ours() if self._ours else self._next_of_links()
            if event is None:
                return
            yield event
            if not more():
                return

    def _next_of_ours(self) -> Event:
        item = self._ours.popleft()
        if not isinstance(item, _Frames):
            return item
        if self._frames.get(item.session) is item:
            del self._frames[item.session]
        return FramesReceived(item.session, tuple(item.frames))

    def _append(self, link: LinkId, item: Event | _Live | _Bulk, size: int) -> None:
        queue = self._links.get(link)
        if queue is None:
            queue = self._links[link] = _Queue()
            self._turns.append(link)
        queue.items.append(item)
        queue.size += size

    def _next_of_links(self) -> Event | None:
        while self._turns:
            link = self._turns.popleft()
            queue = self._links[link]
            event = self._pop(link, queue) if queue.items else None
            if queue.items:
                self._turns.append(link)
            else:
                del self._links[link]
            if event is not None:
                return event
        return None

    def _pop(self, link: LinkId, queue: _Queue) -> Event | None:
        item = queue.items.popleft()
        try:
            if isinstance(item, _Live):
                queue.size -= len(item.frame)
                return MessageReceived(link, wire.decode(item.frame))
            if isinstance(item, _Bulk):
                queue.size -= len(item.frame)
                self.bulk_bytes -= len(item.frame)
                return BulkReceived(link, tuple(wire.decode_chunks(item.frame)))
        except wire.ProtocolError as error:
            self.forget_frames(link)
            self._broken(link, str(error))
            return None
        queue.size -= EVENT_BYTES
        return item
