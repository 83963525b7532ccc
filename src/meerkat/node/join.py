"""Joining a pool: knock at the inviter's door, and keep what it answers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing, suppress
from pathlib import Path

import msgspec

from meerkat.core import birth
from meerkat.core.door import KnockError, Welcome, make_knock, read_welcome
from meerkat.core.ids import MemberId, PoolId
from meerkat.core.messages import AddressEntry
from meerkat.core.operation import OperationError
from meerkat.core.ports import Table
from meerkat.core.roster import read_opened
from meerkat.errors import FolderInUse, InvitationError, MeerkatError
from meerkat.store import Keys, SqliteStore, StateFolder
from meerkat.transport.base import LinkError
from meerkat.transport.dialing import fetch_certificate
from meerkat.transport.door import KnockRefused, knock
from meerkat.transport.identity import fingerprint
from meerkat.transport.invitation import Invitation, decode_invitation

from .discovery import look_around
from .home import Home, birth_of, is_complete, make_home, open_home
from .identity import default_name, identity_of, new_keys, tls_of
from .nearby import Announcement, pool_tag

__all__ = [
    "decode_invitation",
    "default_folder",
    "enter",
    "join",
    "keep_addresses",
    "name_among",
    "nearby",
]

LOOK_TIMEOUT = 5.0  # seconds for an address to show whose it is
KNOCK_TIMEOUT = 10.0  # seconds; the door's own deadline
NEARBY_FOR = 3.0  # seconds to listen for doors nearby; most answer within 0.2. guess
MAX_TRIED = 64  # doors that say to be the pool's; a bound against nonsense


def default_folder(invitation: Invitation, parent: Path) -> Path:
    """Where to put the pool's folder if nobody says: its name, below ``parent``."""
    name = "".join(c for c in invitation.pool_name if c.isprintable() and c not in "/\\\0")
    name = name.strip(" .") or "meerkat"
    return parent / name


async def join(
    state: StateFolder,
    invitation: Invitation,
    *,
    name: str | None = None,
    look_on: str | None = None,
) -> Home:
    """Become a member, as ``name``; a folder that is one already is just opened.

    ``look_on``: if the door is not where the invitation says, look for it on the network of this
    address of ours, or on all for an empty one.

    Raises:
        InvitationError: if the door does not open.
        FolderInUse: if the folder belongs to another pool.
        MeerkatError: if nobody answers.
    """
    if is_complete(state):
        home = open_home(state)
        if home.pool == invitation.pool:
            return home
        home.close()
        raise FolderInUse(
            f"{state.folder} belongs to another pool already. Choose another folder to join into."
        )
    if time.time() > invitation.expires:
        raise InvitationError("This invitation has expired; ask for a new one.")
    keys, config = new_keys(), state.read_config()
    if config.discover is False:
        look_on = None
    await enter(state, invitation, keys, name or config.name or default_name(), look_on=look_on)
    return open_home(state)


async def nearby(
    look_on: str = "", *, within: float = NEARBY_FOR
) -> list[tuple[Announcement, float]]:
    """What nodes announce on the local network, each with the seconds since it was first heard.

    ``look_on``: as for ``join``.

    Raises:
        MeerkatError: if this machine cannot listen for it.
    """
    first: dict[str, float] = {}
    last: dict[str, Announcement] = {}
    try:
        async for one in _heard(look_on, within):
            first.setdefault(one.author_tag, time.monotonic())
            last[one.author_tag] = one
    except OSError as error:
        raise MeerkatError(
            f"This machine cannot look around on its network ({error}). "
            "Joining works all the same, with an invitation."
        ) from error
    now = time.monotonic()
    return [(last[tag], now - first[tag]) for tag in first]


async def enter(
    state: StateFolder,
    invitation: Invitation,
    keys: Keys,
    name: str,
    *,
    look_on: str | None = None,
) -> None:
    """Knock, and fill a new store with the answer. Nothing is left behind if the door stays shut.

    ``name`` is for a new member; one whom the pool knows already has its name from then.
    ``look_on``: as for ``join``.

    Raises:
        InvitationError, MeerkatError: as ``join``.
    """
    identity = identity_of(keys, tls_of(keys), name)
    newborn = birth.begin_join(
        identity, invitation.pool, entropy=secrets.token_bytes, wall=time.time()
    )
    request = make_knock(
        invitation.id, invitation.secret, invitation.fingerprint, newborn.opened.data
    )
    welcome = await _knock(invitation, request, look_on)
    state.write_keys(keys)
    try:
        known = name_among(welcome.introductions, invitation.pool, identity.member)
        with birth_of(state, known or identity.name) as store:
            birth.finish_join(
                store,
                newborn,
                pool_name=welcome.pool_name or invitation.pool_name,
                introductions=welcome.introductions,
            )
            keep_addresses(store, welcome.addresses)
    except OperationError as error:
        raise InvitationError(
            "The member at the door answered nonsense; update meerkat on both sides."
        ) from error
    make_home(state, keys, identity, invitation.pool)


def name_among(introductions: Iterable[bytes], pool: PoolId, member: MemberId) -> str:
    """The name that a member's first author went by; empty if none of these is its author.

    Raises:
        OperationError: if an introduction is not what it should be.
    """
    found = (read_opened(data, pool) for data in introductions)
    own = [one for one in found if one.opened.member == member]
    return min(own, key=lambda one: one.operation.wall_ms).opened.name if own else ""


def keep_addresses(store: SqliteStore, entries: Iterable[AddressEntry]) -> None:
    """Where others can be reached, for the peer to dial."""
    for entry in entries:
        store.put(Table.ADDRESS, entry.author, msgspec.msgpack.encode(list(entry.addresses)))


async def _knock(invitation: Invitation, request: bytes, look_on: str | None) -> Welcome:
    reached = await _reachable(invitation.addresses, invitation)
    if not reached and look_on is not None:
        reached = await _reachable_nearby(look_on, invitation)
    last: LinkError | None = None
    for address in reached:
        try:
            reply, _ = await knock(address, invitation.fingerprint, request, KNOCK_TIMEOUT)
            return read_welcome(reply)
        except KnockRefused as refused:
            raise InvitationError(str(refused)) from refused
        except KnockError as error:
            raise InvitationError(str(error)) from error
        except LinkError as error:
            last = error
    where = ", ".join(invitation.addresses)
    raise MeerkatError(
        f"Nobody opens at {where}. Check that the member who invited you is online and that "
        "this machine can reach it, then try again."
    ) from last


async def _reachable_nearby(look_on: str, invitation: Invitation) -> list[str]:
    """The same among the doors of this pool on the local network: the inviter may have moved.

    Whoever only pretends to have one does not have the certificate; all are tried at once, so that
    it cannot keep us from the right one either.
    """
    found: list[str] = []
    tried: set[str] = set()
    wanted, loop = pool_tag(invitation.pool), asyncio.get_running_loop()

    async def look(door: str) -> None:
        if await _look(door, invitation):
            found.append(door)
            patience.reschedule(loop.time())  # no need for the others

    with suppress(TimeoutError):
        async with (
            asyncio.timeout(NEARBY_FOR + LOOK_TIMEOUT) as patience,
            asyncio.TaskGroup() as group,
        ):
            with suppress(OSError):  # no multicast here: nobody is nearby
                async for one in _heard(look_on, NEARBY_FOR):
                    fresh = {door for door in one.doors if one.pool_tag == wanted} - tried
                    if len(tried) < MAX_TRIED:
                        tried |= fresh
                        for door in sorted(fresh):
                            group.create_task(look(door))
    return found[:1]


async def _heard(look_on: str, within: float) -> AsyncGenerator[Announcement, None]:
    """What is announced from now on, for ``within`` seconds."""
    deadline = asyncio.get_running_loop().time() + within
    async with aclosing(look_around(look_on)) as heard:
        while True:
            try:
                async with asyncio.timeout_at(deadline):
                    one = await anext(heard)
            except TimeoutError:
                return
            yield one


async def _reachable(addresses: Iterable[str], invitation: Invitation) -> list[str]:
    """The addresses that show the inviter's certificate, the quickest first."""
    found: list[str] = []
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_look(a, invitation)) for a in addresses]
        for look in asyncio.as_completed(looks):
            if address := await look:
                found.append(address)
                break
        for task in looks:
            task.cancel()
    return found


async def _look(address: str, invitation: Invitation) -> str | None:
    try:
        certificate = await fetch_certificate(address, LOOK_TIMEOUT)
    except LinkError:
        return None
    return address if fingerprint(certificate) == invitation.fingerprint else None
