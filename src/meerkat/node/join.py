"""Joining a pool: knock at the inviter's door, and keep what it answers."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Iterable
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

from .home import Home, birth_of, is_complete, make_home, open_home
from .identity import default_name, identity_of, new_keys, tls_of

__all__ = ["decode_invitation", "default_folder", "enter", "join", "keep_addresses", "name_among"]

LOOK_TIMEOUT = 5.0  # seconds for an address to show whose it is
KNOCK_TIMEOUT = 10.0  # seconds; the door's own deadline


def default_folder(invitation: Invitation, parent: Path) -> Path:
    """Where to put the pool's folder if nobody says: its name, below ``parent``."""
    name = "".join(c for c in invitation.pool_name if c.isprintable() and c not in "/\\\0")
    name = name.strip(" .") or "meerkat"
    return parent / name


async def join(state: StateFolder, invitation: Invitation, *, name: str | None = None) -> Home:
    """Become a member, as ``name``; a folder that is one already is just opened.

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
    keys = new_keys()
    await enter(state, invitation, keys, name or state.read_config().name or default_name())
    return open_home(state)


async def enter(state: StateFolder, invitation: Invitation, keys: Keys, name: str) -> None:
    """Knock, and fill a new store with the answer. Nothing is left behind if the door stays shut.

    ``name`` is for a new member; one whom the pool knows already has its name from then.

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
    welcome = await _knock(invitation, request)
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


async def _knock(invitation: Invitation, request: bytes) -> Welcome:
    reached = await _reachable(invitation)
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


async def _reachable(invitation: Invitation) -> list[str]:
    """The addresses that show the inviter's certificate, the quickest first."""
    found: list[str] = []
    async with asyncio.TaskGroup() as group:
        looks = [group.create_task(_look(a, invitation)) for a in invitation.addresses]
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
