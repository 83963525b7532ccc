"""What a peer tells people about itself, gathered from its layers. Changes nothing."""

from __future__ import annotations

from dataclasses import dataclass

from .blobs import Blobs
from .disk import Disk
from .ids import AuthorId
from .mesh import Mesh, MeshLink
from .replica import Replica
from .status import Conflict, MemberStatus, PeerStatus, Problem, Status
from .sync import Sync

__all__ = ["Standing", "report"]

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
    pending_files: int
    problems: tuple[Problem, ...]


def report(
    replica: Replica, mesh: Mesh, sync: Sync, blobs: Blobs, disk: Disk, standing: Standing
) -> Status:
    """Everything at this moment."""
    log, roster, view = replica.log, replica.roster, replica.view
    linked = {link.member for link in mesh.linked}
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
        content_bytes=disk.content_bytes,
        in_sync=standing.in_sync,
        pending_files=standing.pending_files,
        peers=tuple(_peer(replica, sync, link) for link in mesh.linked),
        members=tuple(
            MemberStatus(
                member.hex(), record.name, record.role, member in linked or member == own_member
            )
            for member, record in sorted(roster.members.items())
        ),
        transfers=tuple(blobs.transfers),
        conflicts=tuple(_conflicts(replica)),
        problems=(
            *standing.problems,
            *(
                Problem("", _FORKED.format(name=roster.name_of(author)))
                for author in sorted(log.frozen)
            ),
        ),
    )


def _peer(replica: Replica, sync: Sync, link: MeshLink) -> PeerStatus:
    return PeerStatus(
        author=(link.author or b"").hex(),
        member=link.member.hex(),
        name=replica.roster.name_of(link.author) if link.author else "",
        address=link.address,
        direction="out" if link.outbound else "in",
        in_sync=sync.has_all(link.id),
    )


def _conflicts(replica: Replica) -> list[Conflict]:
    found = []
    for path, copy, shown in replica.view.conflicts():
        file, version = replica.tree.find(shown.file, shown.version)
        if file is not None and version is not None:
            wrote = version.born[1] if len(file.shown()) > 1 else file.path_at[1]
            found.append(Conflict(path, copy, replica.roster.name_of(AuthorId(wrote))))
    return found
