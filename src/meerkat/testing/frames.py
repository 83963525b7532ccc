"""What travels between simulated peers, as it arrives."""

from __future__ import annotations

from collections.abc import Callable

from meerkat.core import wire
from meerkat.core.events import BulkReceived, Event, LinkId, MessageReceived
from meerkat.core.ids import ContentHash
from meerkat.core.messages import Message

__all__ = ["Frame", "chunk_arrival"]


class Frame:
    """A message as bytes, written and read once, however many links it goes out on."""

    __slots__ = ("_data", "_read", "message")

    def __init__(self, message: Message) -> None:
        self.message = message
        self._data = wire.encode(message)
        self._read: Message | None = None

    def arrival(self, link: LinkId) -> Event:
        """It arrives on a link."""
        if self._read is None:
            self._read = wire.decode(self._data)
        return MessageReceived(link, self._read)


def chunk_arrival(chunk: ContentHash, data: bytes) -> Callable[[LinkId], Event]:
    """A piece of a file arrives on a link."""
    return lambda link: BulkReceived(link, ((chunk, data),))
