"""Finding our own pool's members on the local network, and being found: DNS-SD over multicast.

Speaks RFC 6762 and 6763 through python-zeroconf, which lives here only. What others on the network
can and cannot learn is said in ``nearby.py``. A network without multicast, a taken port or a bug of
the library costs the convenience and nothing else: it is logged once and tried again.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from meerkat.core.door import open_until
from meerkat.core.events import Discovered
from meerkat.core.ids import AuthorId, PoolId
from meerkat.core.ports import Store, Table
from meerkat.core.status import Status
from meerkat.core.wire import PROTOCOL_VERSION

from .listening import Reach
from .nearby import (
    Announcement,
    announced_hosts,
    author_tag,
    hear,
    host_of,
    interface_of,
    pool_tag,
    port_of,
)

if TYPE_CHECKING:  # loaded when it is needed, in a thread: it takes 0.15 s
    from zeroconf import ServiceInfo, Zeroconf
    from zeroconf.asyncio import AsyncZeroconf

__all__ = ["SERVICE", "Discovery", "look_around"]

LOG = logging.getLogger(__name__)
SERVICE = "_meerkat._tcp.local."
MDNS_PORT = 5353  # RFC 6762


@dataclass(frozen=True, slots=True)
class DiscoveryConfig:
    """In seconds; bounds as counts."""

    named_for: float = 3_600.0  # after inviting, names are said; later only tags. guess
    retry: float = 60.0  # between attempts where multicast does not work; guess
    pace: float = 0.25  # between looks at what was heard, however much it is; guess
    change_every: float = 2.0  # what was said a second ago is not replaced (RFC 6762, 10.2)
    reread: float = 10.0  # between looks for authors that we did not know; guess
    heard_count: int = 1_024  # names waiting to be looked at
    unknown_count: int = 64  # announcements kept of authors we do not know yet


DEFAULT_CONFIG = DiscoveryConfig()


class _Ears:
    """The names of what is new or has changed. ``bell`` rings when there is one."""

    def __init__(self, bell: asyncio.Event, limit: int) -> None:
        self._bell, self._limit = bell, limit
        self._names: dict[str, None] = {}

    def on_change(
        self, zeroconf: Zeroconf, service_type: str, name: str, state_change: Any
    ) -> None:
        """For zeroconf's browser; the keywords are its own."""
        if state_change.name != "Removed" and len(self._names) < self._limit:
            self._names[name] = None
            self._bell.set()

    def take(self, responder: AsyncZeroconf) -> list[Announcement]:
        """What these say of themselves, of what has arrived of it. Asks nobody."""
        from zeroconf import IPVersion
        from zeroconf.asyncio import AsyncServiceInfo

        names, self._names = self._names, {}
        heard: list[Announcement] = []
        for name in names:
            info = AsyncServiceInfo(SERVICE, name)
            if not info.load_from_cache(responder.zeroconf):
                continue  # the rest is still to come, and rings again
            hosts = info.parsed_addresses(IPVersion.All)
            instance = name.removesuffix("." + SERVICE)
            announcement = hear(instance, hosts, info.port or 0, info.properties)
            if announcement is not None:
                heard.append(announcement)
        return heard


class _Voice:
    """Says the newest announcement, and goodbye to what is not true any more."""

    def __init__(self, responder: AsyncZeroconf, change_every: float) -> None:
        self._responder, self._change_every = responder, change_every
        self._said: tuple[Announcement, ServiceInfo] | None = None
        self._said_at = float("-inf")
        self._saying: list[asyncio.Future[Any]] = []

    async def say(self, wanted: Announcement | None) -> float | None:
        """Announce ``wanted`` instead of what was announced before, if they differ.

        Returns how many seconds it is too early for that, if it is.
        """
        before, now = self._said, time.monotonic()
        if wanted == (before[0] if before else None):
            return None
        if now < self._said_at + self._change_every:
            return self._said_at + self._change_every - now
        self._said_at = now
        if before and (wanted is None or wanted.author_tag != before[0].author_tag):
            self._said = None
            await self._begin(self._responder.async_unregister_service(before[1]))
            before = None
        if wanted is None:
            return None
        info = _service(wanted)
        if before:
            await self._begin(self._responder.async_update_service(info))
        else:
            # The name is a hash of our own key: nobody else has it, so there is nothing to probe.
            await self._begin(
                self._responder.async_register_service(info, cooperating_responders=True)
            )
        self._said = (wanted, info)
        return None

    async def _begin(self, saying: Any) -> None:
        self._saying = [one for one in self._saying if not one.done()]
        self._saying.append(await saying)  # it is said three times; listen meanwhile

    async def close(self) -> None:
        """Stop in the middle of the sentence."""
        for one in self._saying:
            one.cancel()
        await asyncio.gather(*self._saying, return_exceptions=True)


class Discovery:
    """Announces this node and posts ``Discovered`` for members that are near.

    Args:
        pool: ours.
        store: knows the authors, and whether an invitation is open.
        reach: where we can be reached now.
        status: who we are now.
        post: takes what was found.
    """

    def __init__(
        self,
        pool: PoolId,
        store: Store,
        *,
        reach: Callable[[], Reach],
        status: Callable[[], Status],
        post: Callable[[Discovered], None],
        config: DiscoveryConfig = DEFAULT_CONFIG,
    ) -> None:
        self._pool, self._store = pool, store
        self._reach, self._status, self._post = reach, status, post
        self._config = config
        self._bell = asyncio.Event()
        self._ears = _Ears(self._bell, config.heard_count)
        self._authors = _Authors(pool, store, config)
        self._posted: dict[AuthorId, tuple[str, ...]] = {}
        self._author: AuthorId | None = None  # ours, when last looked
        self._named_until = 0.0  # s since the epoch: an hour is an hour in sleep, too
        self._begin_anew = False
        self._complained = False

    def refresh(self) -> None:
        """Something that we announce may have changed, or whom we know."""
        self._authors.read_again()
        self._bell.set()

    def invited(self) -> None:
        """An invitation was made: for a while somebody is expected, and shall find us by name."""
        self._named_until = time.time() + self._config.named_for
        self._bell.set()

    def network_changed(self, *, elsewhere: bool) -> None:
        """Ask and announce on the interfaces that there are now.

        ``elsewhere``: this is another network; whoever was expected was expected on the old one.
        """
        if elsewhere:
            self._named_until = 0.0
        self._begin_anew = True
        self._bell.set()

    async def run(self) -> None:
        """Go on until cancelled, whatever happens."""
        while True:
            self._begin_anew = False
            self._posted.clear()
            try:
                await self._converse()
            except Exception as error:  # the library's, the network's: never the node's end
                self._complain(error)
                await self._wait(self._config.retry)

    async def _converse(self) -> None:
        async with _opened(host_of(self._reach().bound), self._ears) as responder:
            voice = _Voice(responder, self._config.change_every)
            try:
                while not self._begin_anew:
                    too_early = await voice.say(self._announcement())
                    self._report(self._ears.take(responder))
                    await asyncio.sleep(self._config.pace)
                    await self._wait(too_early or self._names_left() or None)
            finally:
                await voice.close()

    async def _wait(self, patience: float | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(patience):
                await self._bell.wait()
        self._bell.clear()

    def _complain(self, error: Exception) -> None:
        log = LOG.debug if self._complained else LOG.warning
        log("cannot look for members on the local network: %s", repr(error))
        self._complained = True

    # --- What we say ---

    def _announcement(self) -> Announcement | None:
        """Nothing if nobody could dial us."""
        reach, status = self._reach(), self._status()
        self._author = AuthorId(bytes.fromhex(status.author))
        hosts = announced_hosts(reach)
        if not hosts:
            return None
        named = self._names_left() > 0
        return Announcement(
            author_tag=author_tag(self._pool, self._author),
            pool_tag=pool_tag(self._pool),
            hosts=hosts,
            port=port_of(reach.bound),
            door=port_of(reach.door_bound),
            pool_name=status.pool_name if named else "",
            inviter=status.name if named else "",
        )

    def _names_left(self) -> float:
        """For how many seconds from now on somebody is expected."""
        now = time.time()
        if self._named_until <= now:
            return 0.0
        return max(0.0, min(self._named_until, open_until(self._store)) - now)

    # --- What we hear ---

    def _report(self, heard: Iterable[Announcement]) -> None:
        for author, announcement in self._authors.resolve(heard):
            if author != self._author and self._posted.get(author) != announcement.links:
                self._posted[author] = announcement.links
                self._post(Discovered(author, announcement.links))


class _Authors:
    """Whose announcements are: those of our pool, by authors we know."""

    def __init__(self, pool: PoolId, store: Store, config: DiscoveryConfig) -> None:
        self._pool, self._store, self._config = pool, store, config
        self._pool_tag = pool_tag(pool)
        self._known: dict[str, AuthorId] = {}
        self._read_at = float("-inf")
        self._unknown: dict[str, Announcement] = {}

    def resolve(self, heard: Iterable[Announcement]) -> list[tuple[AuthorId, Announcement]]:
        """Who they are. Those whom we do not know yet are kept for the next time."""
        waiting = {**self._unknown, **{one.author_tag: one for one in heard if self._is_ours(one)}}
        if not self._known.keys() >= waiting.keys():
            self._read()
        found = [(self._known[tag], one) for tag, one in waiting.items() if tag in self._known]
        rest = [tag for tag in waiting if tag not in self._known][-self._config.unknown_count :]
        self._unknown = {tag: waiting[tag] for tag in rest}
        return found

    def _is_ours(self, one: Announcement) -> bool:
        return one.pool_tag == self._pool_tag and one.version == PROTOCOL_VERSION

    def read_again(self) -> None:
        """There may be more of them than when we last looked."""
        self._read_at = float("-inf")

    def _read(self) -> None:
        now = time.monotonic()
        if now - self._read_at < self._config.reread:
            return
        self._read_at = now
        authors = (AuthorId(key) for key, _ in self._store.scan(Table.AUTHOR))
        self._known = {author_tag(self._pool, author): author for author in authors}


async def look_around(host: str = "") -> AsyncGenerator[Announcement, None]:
    """What all pools' nodes announce here, each as soon as it is heard and whenever it changes.

    Does not end: close it. ``host``: look only where this address of ours is; empty: everywhere.

    Raises:
        OSError: if this machine cannot listen.
    """
    bell = asyncio.Event()
    ears = _Ears(bell, DEFAULT_CONFIG.heard_count)
    async with _opened(host, ears) as responder:
        while True:
            await bell.wait()
            bell.clear()
            for announcement in ears.take(responder):
                yield announcement


# --- zeroconf ---


@asynccontextmanager
async def _opened(host: str, ears: _Ears) -> AsyncIterator[AsyncZeroconf]:
    await asyncio.to_thread(_load)
    from zeroconf import DNSQuestionType
    from zeroconf.asyncio import AsyncServiceBrowser

    responder = _open(interface_of(host))
    try:
        browser = AsyncServiceBrowser(
            responder.zeroconf,
            SERVICE,
            handlers=[ears.on_change],
            # An answer to us alone would go to any one of this machine's programs on that port.
            question_type=DNSQuestionType.QM,
        )
        try:
            yield responder
        finally:
            await browser.async_cancel()
    finally:
        await responder.async_close()  # with a goodbye


def _load() -> None:
    import zeroconf.asyncio

    # What goes wrong we say ourselves, once.
    logging.getLogger(zeroconf.__name__).setLevel(logging.CRITICAL)


def _open(interface: str) -> AsyncZeroconf:
    from zeroconf import IPVersion
    from zeroconf.asyncio import AsyncZeroconf

    _probe()
    try:
        if interface:
            return AsyncZeroconf(interfaces=[interface])
        try:
            return AsyncZeroconf(ip_version=IPVersion.All)
        except OSError:  # a system without IPv6
            return AsyncZeroconf(ip_version=IPVersion.V4Only)
    except RuntimeError as error:  # no interface at all
        raise OSError(str(error)) from error


def _probe() -> None:
    """What zeroconf would fail at, too, but leaving its socket open.

    Raises:
        OSError: if there is no network at all, or another program does not share its port.
    """
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.connect(("127.0.0.1", MDNS_PORT))  # looks for a way; sends nothing
    with socket.socket(type=socket.SOCK_DGRAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if hasattr(socket, "SO_REUSEPORT"):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        probe.bind(("", MDNS_PORT))


def _service(one: Announcement) -> ServiceInfo:
    from zeroconf import ServiceInfo

    return ServiceInfo(
        SERVICE,
        f"{one.author_tag}.{SERVICE}",
        port=one.port,
        properties=one.properties(),
        server=f"{one.author_tag}.local.",  # not the machine's name, which often is a person's
        parsed_addresses=list(one.hosts),
    )
