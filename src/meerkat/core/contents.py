"""What should be written at a path for a version: bytes, a blob's name, or a database's copy."""

from __future__ import annotations

from .blobs import Blobs
from .chunks import unpack_chunks
from .databases import Databases
from .files import Export, Kind
from .ids import ContentHash
from .replica import Replica
from .texts import file_bytes
from .tree import File, Version

__all__ = ["ContentError", "Contents", "NewContent", "is_safe_link", "kind_of"]

NewContent = bytes | ContentHash | Export


class ContentError(ValueError):
    """A version that is never written; the text is a sentence for people."""


def is_safe_link(path: str, target: str) -> bool:
    """Whether a symbolic link at ``path`` is relative and stays inside the folder."""
    if not target or "\x00" in target or target.startswith("/"):
        return False
    at = path.split("/")[:-1]
    for part in target.split("/"):
        if part == "..":
            if not at:
                return False
            at.pop()
        elif part not in ("", "."):
            at.append(part)
    return at[:1] != [".meerkat"]


def kind_of(version: Version) -> Kind:
    """What stands where a version is shown."""
    if version.kind == "rows":
        return Kind.DATABASE
    return Kind.SYMLINK if version.kind == "link" else Kind.FILE


class Contents:
    """Finds contents; those that are not here yet are fetched or made."""

    def __init__(self, replica: Replica, blobs: Blobs, databases: Databases) -> None:
        self._replica, self._blobs, self._databases = replica, blobs, databases

    def find(self, path: str, file: File, version: Version) -> NewContent | None:
        """What to write, or None if it is not here yet; then ``dirty`` of whoever fetches or makes
        it names the path once it is.

        Raises:
            ContentError: if it must not be written.
        """
        if version.kind == "text":
            return file_bytes(self._replica.texts.content(version), version.eol)
        try:
            body = self._replica.bodies.body(version)
            target = body.decode() if version.kind == "link" else ""
            chunks = unpack_chunks(body) if version.kind != "link" else ()
        except (KeyError, ValueError):
            body, target, chunks = b"", "", ()
        if target:
            if not is_safe_link(path, target):
                raise ContentError("This link leads outside the folder; not made here.")
            return body
        if not chunks or sum(chunk.length for chunk in chunks) != version.size:
            raise ContentError("Its author described this content wrongly; not written.")
        if version.kind == "rows":
            return self._databases.export(path, file, version, chunks)
        return self._blobs.obtain(ContentHash(version.digest), chunks, path)
