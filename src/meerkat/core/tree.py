"""Files, versions and folders: the records that operations change.

A file is an id, not a path. It has a path and an executable bit (the last writer wins) and a set
of *versions* of its content. A version is live while some write to it was not seen by whatever
replaced or removed it; a file exists while it has a live version. So an edit beats a concurrent
delete, and two contents made at once are both kept, by one rule (decision 0004).
"""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from blake3 import blake3

from .actions import (
    Action,
    Body,
    ChangeRows,
    Cover,
    DropFile,
    DropFolder,
    EditText,
    MoveFile,
    NewFile,
    NewVersion,
    Part,
    PutFolder,
    SetEol,
    SetExecutable,
    SetLive,
)
from .ids import FileId, PoolId, VersionId
from .operation import Operation
from .packing import pack
from .ports import Store, Table
from .vectors import Shares, Vector, is_covered, raised
from .view import View

__all__ = ["File", "FolderRecord", "Tree", "Version", "file_id", "is_safe_path", "version_id"]

KINDS = ("text", "blob", "link", "rows")
MAX_PATH_BYTES = 4096
MAX_TEXT_BYTES = 8 * 1024 * 1024  # of one live text at its birth; larger ones are blobs
MAX_CHUNK_LIST_BYTES = 256 * 1024 * 1024  # 7.4 million chunks: about 1.8 TB


class Version(msgspec.Struct, array_like=True):
    """One content of a file.

    ``touches``: of each author the last operation that wrote to it; ``covered``: what of that was
    seen by whatever replaced or removed it; ``parts``: the operations that hold its body, in order.
    """

    id: bytes
    kind: str
    digest: bytes
    size: int
    total: int
    have: int
    born: tuple[int, bytes]
    parts: Vector
    touches: Vector
    covered: Vector
    eol: str = ""
    eol_at: tuple[int, bytes] = (0, b"")
    edited: bool = False  # a live text that is not just its body any more

    @property
    def live(self) -> bool:
        """Whether some write to it was not seen by whatever replaced or removed it."""
        return not is_covered(self.touches, self.covered)

    @property
    def complete(self) -> bool:
        """Whether the log holds all of its body."""
        return self.have == self.total

    def state(self) -> bytes:
        """A name for exactly this state of a live text, to compare with later."""
        return pack(self.touches)


class File(msgspec.Struct, array_like=True):
    """A file's record; kept after its deletion, since a concurrent edit may revive it."""

    id: bytes
    path: str
    path_at: tuple[int, bytes]
    executable: bool
    executable_at: tuple[int, bytes]
    versions: list[Version]
    plain: bool = False  # a SQLite file that people do not want merged by rows
    plain_at: tuple[int, bytes] = (0, b"")

    def version(self, version: bytes) -> Version | None:
        """The version with this id, or None."""
        return next((one for one in self.versions if one.id == version), None)

    def shown(self) -> list[Version]:
        """Live, complete versions, the winner first: highest (Lamport, author)."""
        alive = [one for one in self.versions if one.complete and one.live]
        if len(alive) > 1:
            alive.sort(key=lambda one: (one.born, one.id), reverse=True)
        return alive


class FolderRecord(msgspec.Struct, array_like=True):
    """A folder made on purpose. It exists while some making was not seen by a removal."""

    touches: Vector
    covered: Vector

    @property
    def live(self) -> bool:
        """Whether the folder exists even if it is empty."""
        return not is_covered(self.touches, self.covered)


def file_id(pool: PoolId, path: str, digest: bytes, attempt: int) -> FileId:
    """The id of a file born at ``path`` with this content: two who import the same get one file.

    ``attempt`` counts from 0 and tells files apart that were born alike one after the other.
    """
    seed = pack((pool, path, digest, attempt))
    return FileId(blake3(b"meerkat file 1\x00" + seed).digest(FileId.SIZE))


def version_id(file: bytes, kind: str, digest: bytes, covers: Iterable[bytes]) -> VersionId:
    """The id of a version: the same content put in place of the same versions is one version."""
    seed = pack((file, kind, digest, sorted(bytes(one) for one in covers)))
    return VersionId(blake3(b"meerkat version 1\x00" + seed).digest(VersionId.SIZE))


def is_safe_path(path: str) -> bool:
    """Whether a path names something inside the folder and nothing of ours.

    Relative, "/"-separated, no empty, "." or ".." component, no NUL, not below ``.meerkat``,
    at most 4,096 bytes of UTF-8.
    """
    if not path or "\x00" in path:
        return False
    try:
        if len(path.encode()) > MAX_PATH_BYTES:
            return False
    except UnicodeEncodeError:
        return False
    parts = path.split("/")
    return parts[0] != ".meerkat" and all(part not in ("", ".", "..") for part in parts)


class Tree:
    """All records, kept in memory and, once changed, in the store (``flush``)."""

    def __init__(self, store: Store, pool: PoolId, view: View) -> None:
        self._store = store
        self._pool = pool
        self.view = view
        self._share = Shares()
        self.files: dict[bytes, File] = {}
        self.folders: dict[str, FolderRecord] = {}
        self._changed_files: set[bytes] = set()
        self._changed_folders: set[str] = set()
        self.plain: set[bytes] = set()  # files with that mark; hardly ever any
        for _, value in store.scan(Table.RECORD):
            file = msgspec.msgpack.decode(value, type=File)
            self._share_all(file)
            self.files[file.id] = file
            if file.plain:
                self.plain.add(file.id)
            self._show(file)
        for key, value in store.scan(Table.FOLDER):
            record = msgspec.msgpack.decode(value, type=FolderRecord)
            self.folders[key.decode()] = record
            view.set_folder(key.decode(), exists=record.live)
        view.settle()
        view.changed.clear()

    def _share_all(self, file: File) -> None:
        """Files that came together have most of their facts in common."""
        share = self._share
        file.path_at, file.executable_at = share(file.path_at), share(file.executable_at)
        for version in file.versions:
            version.born, version.parts = share(version.born), share(version.parts)
            version.touches, version.covered = share(version.touches), share(version.covered)
            version.eol_at = share(version.eol_at)

    def flush(self) -> None:
        """Write changed records to the store; call before the transaction ends."""
        if self._changed_files:
            files = [(one, pack(self.files[one])) for one in sorted(self._changed_files)]
            self._store.put_many(Table.RECORD, files)
            self._changed_files.clear()
        if self._changed_folders:
            folders = sorted(self._changed_folders)
            rows = [(one.encode(), pack(self.folders[one])) for one in folders]
            self._store.put_many(Table.FOLDER, rows)
            self._changed_folders.clear()

    def unused_file_id(self, path: str, digest: bytes) -> FileId:
        """The first id for such a newborn file that no file, living or dead, has here."""
        attempt = 0
        while (found := file_id(self._pool, path, digest, attempt)) in self.files:
            attempt += 1
        return found

    # -- actions ---------------------------------------------------------------------------

    def apply(self, action: Action, operation: Operation) -> None:
        """Let one action take effect. What makes no sense has no effect, on every peer alike."""
        match action:
            case PutFolder():
                self._put_folder(action, operation)
            case DropFolder():
                self._drop_folder(action)
            case NewFile():
                self._new_file(action, operation)
            case NewVersion():
                self._new_version(action, operation)
            case Part():
                self._part(action, operation)
            case MoveFile():
                self._move(action, operation)
            case SetExecutable():
                self._set_executable(action, operation)
            case SetEol():
                self._set_eol(action, operation)
            case DropFile():
                self._drop_file(action)
            case SetLive():
                self._set_live(action, operation)
            case EditText() | ChangeRows():
                self.touch(action.file, action.version, operation)

    def touch(self, file_key: bytes, version_key: bytes, operation: Operation) -> None:
        """A live text was edited, or a row of a database."""
        file, version = self.find(file_key, version_key)
        if file is not None and version is not None:
            version.touches = raised(version.touches, [operation.id])
            version.edited = True
            self._update(file)

    def find(self, file_key: bytes, version_key: bytes) -> tuple[File | None, Version | None]:
        """A file and one of its versions, each None if unknown."""
        file = self.files.get(file_key)
        return file, file.version(version_key) if file else None

    def _put_folder(self, action: PutFolder, operation: Operation) -> None:
        if is_safe_path(action.path):
            record = self.folders.setdefault(action.path, FolderRecord((), ()))
            record.touches = raised(record.touches, [operation.id])
            self._update_folder(action.path, record)

    def _drop_folder(self, action: DropFolder) -> None:
        record = self.folders.get(action.path)
        if record is not None:
            record.covered = raised(record.covered, action.seen)
            self._update_folder(action.path, record)

    def _new_file(self, action: NewFile, operation: Operation) -> None:
        expected = version_id(action.file, action.body.kind, action.body.digest, ())
        if not is_safe_path(action.path) or action.version != expected:
            return
        at = self._share((operation.lamport, bytes(operation.author)))
        file = self.files.get(action.file)
        if file is None:
            file = File(action.file, action.path, at, action.executable, at, [])
            self.files[action.file] = file
        if at > file.path_at:  # a birth is a write of the registers like any other
            file.path, file.path_at = action.path, at
        if at > file.executable_at:
            file.executable, file.executable_at = action.executable, at
        self._write(file, action.version, action.body, operation)

    def _new_version(self, action: NewVersion, operation: Operation) -> None:
        covers = [cover.version for cover in action.covers]
        expected = version_id(action.file, action.body.kind, action.body.digest, covers)
        file = self.files.get(action.file)
        if file is None or not covers or action.version != expected:
            return
        self._cover(file, action.covers)
        self._write(file, action.version, action.body, operation)

    def _write(self, file: File, key: bytes, body: Body, operation: Operation) -> None:
        if body.kind not in KINDS or body.total > _limit(body.kind):
            return
        at = self._share((operation.lamport, bytes(operation.author)))
        version = file.version(key)
        if version is None:
            have = min(len(body.data), body.total)
            parts = self._share(raised((), [operation.id]))
            version = Version(
                key, body.kind, body.digest, body.size, body.total, have, at, parts, (), ()
            )
            version.eol = body.eol
            file.versions.append(version)
        elif at < version.born:  # written twice: the earlier birth counts, whichever came first
            version.born = at
        version.touches = self._share(raised(version.touches, [operation.id]))
        self._update(file)

    def _part(self, action: Part, operation: Operation) -> None:
        file, version = self.find(action.file, action.version)
        if file is None or version is None:
            return
        if action.offset == version.have and version.have + len(action.data) <= version.total:
            version.have += len(action.data)
            version.parts = (*version.parts, (bytes(operation.author), operation.sequence))
        version.touches = raised(version.touches, [operation.id])
        self._update(file)

    def _move(self, action: MoveFile, operation: Operation) -> None:
        file = self.files.get(action.file)
        at = (operation.lamport, bytes(operation.author))
        if file is not None and is_safe_path(action.path) and at > file.path_at:
            file.path, file.path_at = action.path, at
            self._update(file)

    def _set_executable(self, action: SetExecutable, operation: Operation) -> None:
        file = self.files.get(action.file)
        at = (operation.lamport, bytes(operation.author))
        if file is not None and at > file.executable_at:
            file.executable, file.executable_at = action.executable, at
            self._update(file)

    def _set_live(self, action: SetLive, operation: Operation) -> None:
        file = self.files.get(action.file)
        at = (operation.lamport, bytes(operation.author))
        if file is not None and at > file.plain_at:
            file.plain, file.plain_at = not action.live, at
            (self.plain.discard if action.live else self.plain.add)(file.id)
            self._update(file)

    def _set_eol(self, action: SetEol, operation: Operation) -> None:
        file, version = self.find(action.file, action.version)
        at = (operation.lamport, bytes(operation.author))
        if file is None or version is None:
            return
        if action.eol in ("lf", "crlf") and at > version.eol_at:
            version.eol, version.eol_at = action.eol, at
        # A write to the version even if it lost, else its life would depend on who came first.
        version.touches = raised(version.touches, [operation.id])
        self._update(file)

    def _drop_file(self, action: DropFile) -> None:
        file = self.files.get(action.file)
        if file is not None:
            self._cover(file, action.covers)
            self._update(file)

    def _cover(self, file: File, covers: Iterable[Cover]) -> None:
        for cover in covers:
            version = file.version(cover.version)
            if version is not None:
                version.covered = raised(version.covered, cover.seen)

    # -- what follows from a change --------------------------------------------------------

    def _update(self, file: File) -> None:
        self._changed_files.add(file.id)
        self._show(file)

    def _show(self, file: File) -> None:
        shown = file.shown()
        self.view.set_file(
            file.id,
            file.path if shown else None,
            file.path_at,
            tuple((one.id, one.born[1], one.kind, one.digest) for one in shown),
        )

    def _update_folder(self, path: str, record: FolderRecord) -> None:
        self._changed_folders.add(path)
        self.view.set_folder(path, exists=record.live)


def _limit(kind: str) -> int:
    return MAX_TEXT_BYTES if kind == "text" else MAX_CHUNK_LIST_BYTES
