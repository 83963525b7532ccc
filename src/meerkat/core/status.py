"""What a peer can tell people: frozen values, no secrets."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Conflict", "MemberStatus", "PeerStatus", "Problem", "Status", "Transfer"]


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A linked peer. ``direction``: "out" if we dialled, "in" if it did."""

    author: str  # hexadecimal
    member: str  # hexadecimal
    name: str
    address: str
    direction: str
    in_sync: bool  # it has all we have, and we have all it has


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member of the pool, linked or not."""

    member: str
    name: str
    role: str
    linked: bool


@dataclass(frozen=True, slots=True)
class Transfer:
    """A content on its way to us. Sizes in bytes."""

    path: str
    done_bytes: int
    total_bytes: int


@dataclass(frozen=True, slots=True)
class Conflict:
    """Something kept twice: ``copy`` is where the other version of ``path`` is shown."""

    path: str
    copy: str
    name: str  # who wrote the copy


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong and what to do about it. ``path`` may be empty."""

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Status:
    """Everything at one moment. ``heads``: author (hexadecimal) -> sequence, the command heads."""

    pool: str
    pool_name: str
    name: str
    author: str
    lamport: int
    heads: dict[str, int]
    files: int
    folders: int
    content_bytes: int
    in_sync: bool  # with every linked peer, and the disk holds it all
    pending_files: int  # paths that the disk does not hold yet as the pool has them
    peers: tuple[PeerStatus, ...]
    members: tuple[MemberStatus, ...]
    transfers: tuple[Transfer, ...]
    conflicts: tuple[Conflict, ...]
    problems: tuple[Problem, ...]
