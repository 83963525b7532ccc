"""What a peer tells people about itself, gathered from its layers. Changes nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .databases import Databases
from .folder_side import FolderSide
from .ids import AuthorId, MemberId
from .neighbors import Neighbor
from .replica import Replica
from .status import (
    Conflict,
    DatabaseEntry,
    FileEntry,
    MemberStatus,
    PeerStatus,
    Problem,
    Status,
)
from .sync import Sync

__all__ = ["Standing", "list_databases", "list_files", "report"]

_FORKED = (
    "{name} wrote two different histories (a copied or restored folder?); its later changes are "
    "not taken. Start meerkat there again: it goes on under a new key."
)


@dataclass(frozen=True, slots=True)
class Standing:
    """What only the peer itself knows."""

    name: str
    pool_name: str
    in_sync: bool
    now: float  # monotonic, s


def list_files(replica: Replica, databases: Databases) -> list[FileEntry]:
    """Everything in the folder, as the pool has it, by path."""
    view, tree = replica.view, replica.tree
    entries = [FileEntry(path, "folder") for path in view.folders]
    for path, shown in view.files.items():
        file = tree.files[shown.file]
        version = file.version(shown.version)
        if version is not None:
            live = version.kind == "rows"
            entries.append(
                FileEntry(
                    path,
                    "database" if live else version.kind,
                    version.size,
                    file.executable,
                    not shown.main,
                    databases.problem(version.id) if live else "",
                    databases.aside(version.id) if live else 0,
                )
            )
    return sorted(entries, key=lambda one: one.path)


def list_databases(replica: Replica, folder: FolderSide) -> list[DatabaseEntry]:
    """Every database of the pool, live or not, by path."""
    entries: list[DatabaseEntry] = []
    databases, refused = folder.databases, folder.databases.imports.refused
    for path, shown in replica.view.files.items():
        file, version = replica.tree.find(shown.file, shown.version)
        if file is None or version is None:
            continue
        if version.kind == "rows":
            state = folder.database_state(path, version)
            problem = databases.problem(version.id) if state != "ignored" else ""
        elif path in refused:
            state, problem = "refused", refused[path]
        elif file.plain and shown.main:
            state, problem = "off", ""
        else:
            continue
        ids, aside = (file.id.hex(), version.id.hex()), databases.aside(version.id)
        entries.append(DatabaseEntry(path, *ids, state, problem, aside))
    return sorted(entries, key=lambda one: one.path)


def report(
    replica: Replica,
    neighbors: list[Neighbor],
    sync: Sync,
    folder: FolderSide,
    standing: Standing,
    color_of: Callable[[MemberId], str],
) -> Status:
    """Everything at this moment."""
    log, roster, view = replica.log, replica.roster, replica.view
    linked = {link.member for link in neighbors}
    own_member = roster.member_of(log.author)
    return Status(
        pool=roster.pool.hex(),
        pool_name=standing.pool_name,
        name=standing.name,
        author=log.author.hex(),
        lamport=log.lamport,
        heads={author.hex(): sequence for author, sequence in log.heads.items()},
        files=len(view.files),
        folders=view.folder_count,
        content_bytes=folder.disk.content_bytes,
        in_sync=standing.in_sync,
        pending_files=folder.pending_count,
        peers=tuple(_peer(replica, sync, link, standing.now) for link in neighbors),
        members=tuple(
            MemberStatus(
                member.hex(),
                record.name,
                record.role,
                member in linked or member == own_member,
                color_of(member),
            )
            for member, record in sorted(roster.members.items())
        ),
        transfers=tuple(folder.blobs.transfers),
        conflicts=tuple(_conflicts(replica)),
        problems=(
            *folder.problems,
            *(
                Problem("", _FORKED.format(name=roster.name_of(author)))
                for author in sorted(log.frozen)
            ),
        ),
    )


def _peer(replica: Replica, sync: Sync, link: Neighbor, now: float) -> PeerStatus:
    return PeerStatus(
        author=(link.author or b"").hex(),
        member=link.member.hex(),
        name=replica.roster.name_of(link.author) if link.author else "",
        address=link.address,
        direction="out" if link.outbound else "in",
        in_sync=sync.has_all(link.id),
        kind=link.kind.value,
        degree=link.degree,
        since=max(now - link.since, 0.0),
    )


def _conflicts(replica: Replica) -> list[Conflict]:
    found = []
    for path, copy, shown in replica.view.conflicts():
        file, version = replica.tree.find(shown.file, shown.version)
        if file is not None and version is not None:
            wrote = version.born[1] if len(file.shown()) > 1 else file.path_at[1]
            found.append(Conflict(path, copy, replica.roster.name_of(AuthorId(wrote))))
    return found
