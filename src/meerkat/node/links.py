"""Links by number: what the transport says becomes events, what the peer wants becomes frames."""

from __future__ import annotations

import itertools
from collections.abc import Callable

from meerkat.core.events import LinkDown, LinkId, LinkUp
from meerkat.core.ids import MemberId
from meerkat.core.messages import Message
from meerkat.core.wire import encode
from meerkat.transport.base import Link

from .inbox import Inbox
from .options import NodeConfig

__all__ = ["Links"]


class Links:
    """A ``LinkListener``. ``wake`` is called when something waits in the inbox.

    Unlike the network, this class refuses whom we were told to cut off (a testing aid).
    """

    def __init__(self, inbox: Inbox, config: NodeConfig, wake: Callable[[], None]) -> None:
        self._inbox = inbox
        self._config = config
        self._wake = wake
        self._numbers = itertools.count(1)
        self._by_id: dict[LinkId, Link] = {}
        self._ids: dict[Link, LinkId] = {}
        self._cut: frozenset[MemberId] = frozenset()
        self._refusing = ""
        self._bulk_paused = False
        self._encoded: tuple[Message | None, bytes] = (None, b"")

    def __contains__(self, link: object) -> bool:
        return link in self._by_id

    def get(self, number: LinkId) -> Link | None:
        """The link behind a number, while it stands."""
        return self._by_id.get(number)

    # --- The transport tells ---

    def link_up(self, link: Link) -> None:
        """See LinkListener."""
        if self._refusing or link.member in self._cut:
            link.close(self._refusing or "cut")
            return
        number = LinkId(next(self._numbers))
        self._by_id[number] = link
        self._ids[link] = number
        if self._bulk_paused:
            link.pause_bulk()
        address = shown_address(link.address)
        self._inbox.put_link(number, LinkUp(number, link.member, address, link.outbound))
        self._wake()

    def received(self, link: Link, frames: list[bytes]) -> None:
        """See LinkListener."""
        number = self._ids.get(link)
        if number is None:
            return
        for frame in frames:
            self._inbox.put_frame(number, frame)
        items, size = self._inbox.waiting(number)
        bound = self._config.inbox_bytes + self._config.storing_bytes
        if size > bound or items > self._config.inbox_items:
            self.close(number, "flood")
        self._wake()

    def received_bulk(self, link: Link, frame: bytes) -> None:
        """See LinkListener."""
        number = self._ids.get(link)
        if number is not None:
            self._inbox.put_bulk(number, frame)
            self._wake()

    def link_down(self, link: Link, reason: str) -> None:
        """See LinkListener."""
        number = self._ids.pop(link, None)
        if number is None:
            return
        del self._by_id[number]
        self._inbox.put_link(number, LinkDown(number, reason))
        self._wake()

    # --- The peer wants ---

    def send(self, number: LinkId, message: Message) -> None:
        """Queue a message; for a link that is gone, nothing."""
        link = self._by_id.get(number)
        if link is None:
            return
        if self._encoded[0] is not message:  # one message to many links is encoded once
            self._encoded = (message, encode(message))
        link.send(self._encoded[1])

    def forget_message(self) -> None:
        """Do not keep the last message in memory."""
        self._encoded = (None, b"")

    def close(self, number: LinkId, reason: str) -> None:
        """Say goodbye; what it has sent and we have not looked at is dropped."""
        link = self._by_id.get(number)
        if link is not None:
            self._inbox.forget_frames(number)
            link.close(reason)

    # --- The node wants ---

    def refuse(self, reason: str) -> None:
        """Close all links and take no new ones, until ``refuse("")``."""
        self._refusing = reason
        if reason:
            for number, link in list(self._by_id.items()):
                del self._by_id[number]
                del self._ids[link]
                link.close(reason)

    def cut(self, members: frozenset[MemberId]) -> None:
        """Testing aid: no links with these, from now on; the empty set heals."""
        self._cut = members
        for link in list(self._ids):
            if link.member in members:
                link.close("cut")

    def is_cut(self, member: MemberId) -> bool:
        """Whether a dial to this member must fail."""
        return bool(self._refusing) or member in self._cut

    def pause_bulk(self, pause: bool) -> None:
        """Hold back, or take again, what all links send us as content."""
        if pause == self._bulk_paused:
            return
        self._bulk_paused = pause
        for link in self._ids:
            if pause:
                link.pause_bulk()
            else:
                link.resume_bulk()


def shown_address(address: str) -> str:
    """IPv4 addresses that arrived through an IPv6 socket, as people write them."""
    prefix = "[::ffff:"
    if address.startswith(prefix) and "." in address:
        return address.removeprefix(prefix).replace("]", "", 1)
    return address
