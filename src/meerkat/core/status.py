"""What a peer can tell people: frozen values, no secrets."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "ChatLine",
    "Conflict",
    "DatabaseEntry",
    "FileEntry",
    "MemberStatus",
    "NetworkNode",
    "NetworkPicture",
    "PeerStatus",
    "Person",
    "Problem",
    "Status",
    "Transfer",
]


@dataclass(frozen=True, slots=True)
class PeerStatus:
    """A linked peer. ``direction``: "out" if we dialled, "in" if it did.

    ``kind``: how it became a neighbor (own, walk, inbound, client, guest). ``degree``: how many
    links it has, by its own word. ``since``: for how long we have been linked, in seconds.
    """

    author: str  # hexadecimal
    member: str  # hexadecimal
    name: str
    address: str
    direction: str
    in_sync: bool  # it has all we have, and we have all it has
    kind: str = ""
    degree: int = 0
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class MemberStatus:
    """A member of the pool, linked or not. ``color``: "#rrggbb", of its cursors."""

    member: str
    name: str
    role: str
    linked: bool
    color: str = ""


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


@dataclass(frozen=True, slots=True)
class ChatLine:
    """Something that was said. Ids are hexadecimal; ``to`` is empty if it was said to all.

    ``own``: we said it. ``old``: it was said before this run heard of it. ``wall_ms``: when, by
    its author's clock (milliseconds since the epoch).
    """

    id: str
    member: str
    name: str
    to: str
    to_name: str
    text: str
    wall_ms: int
    own: bool = False
    old: bool = False


@dataclass(frozen=True, slots=True)
class Person:
    """Someone who has a text open. ``user`` is one editor session; ``color`` is "#rrggbb"."""

    user: str
    name: str
    member: str  # hexadecimal
    color: str
    path: str
    own: bool  # an editor of this machine


@dataclass(frozen=True, slots=True)
class FileEntry:
    """Something in the folder, as the pool has it.

    ``kind``: "text" (edited live), "database" (merged by rows), "blob", "link" or "folder";
    ``size`` in bytes (of a text or database that was changed since, as it began). ``conflict``:
    its name is not the one it was given. ``problem``: what is wrong with a database, a sentence;
    ``aside``: its rows that a constraint keeps out of the file.
    """

    path: str
    kind: str
    size: int = 0
    executable: bool = False
    conflict: bool = False
    problem: str = ""
    aside: int = 0


@dataclass(frozen=True, slots=True)
class DatabaseEntry:
    """A database of the pool. Ids are hexadecimal; ``problem`` is a sentence, or empty.

    ``state``: "live"; "merging", what others wrote is not all in the file yet; "waiting", it is
    not, or not yet, in our folder or open there; "off", it is treated as an ordinary file, by
    everyone; "refused", here, since it cannot be live; "ignored", by a rule of this folder.
    ``aside``: rows that a constraint keeps out of the file.
    """

    path: str
    file: str
    version: str
    state: str
    problem: str
    aside: int


@dataclass(frozen=True, slots=True)
class NetworkNode:
    """A peer in the picture of the network, as it last described itself. Ids are hexadecimal."""

    author: str
    member: str
    name: str
    here: bool  # heard of within its time
    linked: bool  # to us
    degree: int
    neighbors: tuple[str, ...]  # authors
    dialable: bool
    age: float  # s since it was last heard of


@dataclass(frozen=True, slots=True)
class NetworkPicture:
    """Who is here and who is linked to whom, seen from ``author``: ourselves."""

    author: str
    nodes: tuple[NetworkNode, ...]
