"""Local changes: what people and programs did to the folder, as actions to sign.

Compares what was observed with what the disk was known to hold (the base), never with what the
pool has meanwhile: a save is diffed against what that program last saw.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from .actions import (
    Action,
    Body,
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
)
from .chunks import pack_chunks
from .diff import diff
from .disk import IGNORED, STALE, Disk, DiskEntry, entry_of
from .edits import Edit, transform
from .events import FilesObserved
from .files import BlobContent, DatabaseContent, Kind, Observed, Seen, Symlink, TextContent
from .ids import ContentHash
from .imports import ImportedContent
from .line_ends import as_found
from .messages import HeadEntry
from .replica import Replica
from .text_file import Eol, TextFile, decode_file
from .texts import file_bytes
from .tree import File, Version, version_id
from .vectors import Vector

__all__ = ["LocalChanges"]

PART_BYTES = 512 * 1024  # of a body in one action: an operation takes at most 1 MiB


class LocalChanges:
    """Turns one observation after the other into actions."""

    def __init__(
        self, replica: Replica, disk: Disk, bases: dict[bytes, str], *, may_be_old: bool = True
    ) -> None:
        """``may_be_old``: nobody vouches that the store is not an older copy that was put back."""
        self._replica = replica
        self._disk = disk
        self._bases = bases  # version -> its text before edits that the disk does not hold yet
        self._actions: list[Action] = []
        self._fresh: dict[str, bool] = {}  # touched paths: are the bytes the version's new state?
        self.unread: set[str] = set()  # paths that the folder should report in full
        self._present: dict[str, Seen] = {}  # what the present observation found
        self._first_look = may_be_old  # at the folder since the start
        self.was_held: frozenset[bytes] = frozenset()
        """Until all was looked at: texts that an editor had open when we were killed. What it saved
        then may be partly in our log already, and partly not."""
        self.dirty: set[str] = set()  # paths whose content must be looked at by the planner
        self.databases: dict[str, Seen] = {}  # that stand where the pool has none: to be imported
        self.replaced: set[str] = set()  # paths of databases where another file stands now
        self.rows_seen: Callable[[Version], Vector] = lambda version: version.touches
        """What the file of a live database had, of all that was written to it."""
        self.rows_begun: Callable[[Version], bool] = lambda version: True
        """Whether a live database may be more than its base on this machine."""

    def observe(self, event: FilesObserved, wall: float) -> bool:
        """Take in an observation; True if operations were written."""
        before = self._replica.log.heads[self._replica.log.author]
        seen_at = {seen.path: seen for seen in event.seen}
        self._present = dict(seen_at)
        for old, new in event.moved:
            self._one_at_a_time((old, new), wall)
            if self._moved(old, new, seen_at.get(new)):
                del seen_at[new]
        for path, seen in seen_at.items():
            self._one_at_a_time((path,), wall)
            self._seen(seen)
        for path in sorted(event.gone, reverse=True):  # what is inside a folder first
            self._one_at_a_time((path,), wall)
            self._gone(path)
        for path, observed in event.touched:
            entry = self._disk.get(path)
            if entry is not None and _is_same(entry, observed):
                self._disk.put(path, _resigned(entry, observed))
        self._finish(wall)
        if event.scan_complete:
            self._disk.resolve()
            self._first_look = False
            self.was_held = frozenset()
        return self._replica.log.heads[self._replica.log.author] > before

    def saved(self, seen: Seen, wall: float, *, as_told: bool = False) -> bool:
        """An editor of ours saved what it shows: its typing is written already. True if
        operations were written (its line ends may be other ones).

        ``as_told``: its line ends are those that it was told, if any, perhaps a moment ago; they
        change nothing, or two of them could answer one another for ever.
        """
        before = self._replica.log.heads[self._replica.log.author]
        entry = self._disk.get(seen.path)
        if entry is None or not isinstance(seen.content, TextContent):
            return False
        file, version = self._replica.tree.find(entry.file, entry.version)
        decoded = decode_file(seen.content.data)
        if file is not None and version is not None and decoded is not None:
            if as_told and version.eol:
                decoded = TextFile(decoded.text, None)
            self._merged(seen, entry, file, version, decoded)
            self._finish(wall)
        return self._replica.log.heads[self._replica.log.author] > before

    def imported(self, seen: Seen, wall: float) -> None:
        """A database was imported, and is ``ImportedContent`` now."""
        self._present = {seen.path: seen}
        self._seen(seen)
        self._finish(wall)

    def _one_at_a_time(self, paths: tuple[str, ...], wall: float) -> None:
        if any(path in self._fresh for path in paths):
            self._finish(wall)

    def _finish(self, wall: float) -> None:
        """Sign what was gathered; entries then name the state they are."""
        if self._actions:
            actions, self._actions = self._actions, []
            self._replica.write(actions, wall)
        for path, whole in sorted(self._fresh.items()):
            entry = self._disk.get(path)
            if whole and entry is not None:
                _, version = self._replica.tree.find(entry.file, entry.version)
                if version is not None:
                    at = version.state()
                    self._disk.put(path, msgspec.structs.replace(entry, at=at))
        self._fresh.clear()

    def _mark(self, path: str, *, whole: bool = False) -> None:
        self._fresh[path] = whole
        self.dirty.add(path)

    # -- seen ------------------------------------------------------------------------------

    def _seen(self, seen: Seen) -> None:
        entry, observed = self._disk.get(seen.path), seen.observed
        if isinstance(seen.content, DatabaseContent) and self._database(seen, entry):
            return
        if entry is not None and _is_same(entry, observed):
            self._disk.put(seen.path, _resigned(entry, observed))
            return
        if self._adopt(seen):
            return
        if isinstance(seen.content, BlobContent) and not seen.content.chunks:
            self.unread.add(seen.path)  # a large file that was moved: its chunks were not asked for
            return
        if observed.kind is Kind.FOLDER:
            self._new_folder(seen.path, entry, observed)
        elif entry is None or entry.kind == Kind.FOLDER.value:
            if entry is not None:  # what stood in it is gone, and says so itself
                self._drop_folder(seen.path)
            self._new_file(seen)
        else:
            self._changed(seen, entry)

    def _database(self, seen: Seen, entry: DiskEntry | None) -> bool:
        """A database; False if it is to be taken in as any other content."""
        path, observed = seen.path, seen.observed
        doubt = self._disk.doubts.get(path)
        if entry is not None and entry.kind == Kind.DATABASE.value:
            if entry.executable != observed.executable and entry.file:
                self._actions.append(SetExecutable(entry.file, observed.executable))
            self.replaced.add(path)
            self._disk.put(path, _resigned(entry, observed))
            self._mark(path)
            return True
        if isinstance(seen.content, ImportedContent):
            return self._adopt_database(seen, seen.content)
        if doubt is not None and doubt.version and doubt.digest == observed.digest:
            self._disk.put(path, entry_of(observed, doubt.file, doubt.version))
            self.dirty.add(path)
        else:
            self.databases[path] = seen
        return True

    def _adopt_database(self, seen: Seen, content: ImportedContent) -> bool:
        """Whether the pool has this database there, as it began."""
        shown = self._replica.view.files.get(seen.path)
        _, version = self._replica.tree.find(shown.file, shown.version) if shown else (None, None)
        if shown is None or version is None or version.kind != "rows":
            return False
        if version.digest != content.digest or self._disk.places_of(version.id):
            return False
        at = STALE if self.rows_begun(version) else b""
        self._disk.put(seen.path, entry_of(seen.observed, shown.file, version.id, at))
        self.dirty.add(seen.path)
        return True

    def _adopt(self, seen: Seen) -> bool:
        """Whether this is what the pool wants there, or what we were about to put there."""
        path, observed = seen.path, seen.observed
        if isinstance(seen.content, ImportedContent):
            return False
        is_folder = observed.kind is Kind.FOLDER
        for intent in (self._disk.intents.get(path), self._disk.doubts.get(path)):
            if intent is None or is_folder:
                continue
            if intent.digest == observed.digest and intent.version:
                self._disk.put(path, entry_of(observed, intent.file, intent.version, intent.at))
                self.dirty.add(path)
                return True
        view = self._replica.view
        shown = view.files.get(path)
        if observed.kind is Kind.FOLDER:
            if view.is_folder(path):
                entry = self._disk.get(path)
                if entry is not None and entry.kind != Kind.FOLDER.value:
                    self._gone(path)  # somebody else made room for a folder, too
                self._disk.put(path, entry_of(observed))
                return True
            return False
        if shown is None:
            return False
        _, version = self._replica.tree.find(shown.file, shown.version)
        if version is None or version.kind == "rows" or self._digest(version) != observed.digest:
            return False
        if (version.kind == "link") != (observed.kind is Kind.SYMLINK):
            return False
        self._disk.put(path, entry_of(observed, shown.file, shown.version, version.state()))
        file = self._replica.tree.files[shown.file]
        if observed.kind is Kind.FILE and file.executable != observed.executable:
            self.dirty.add(path)
        return True

    def _digest(self, version: Version) -> bytes:
        if version.kind != "text":
            return version.digest
        text = self._replica.texts.content(version)
        return ContentHash.of(file_bytes(text, version.eol))

    def _new_folder(self, path: str, entry: DiskEntry | None, observed: Observed) -> None:
        if entry is not None and entry.kind != Kind.FOLDER.value:
            self._drop(entry)
        self._actions.append(PutFolder(path))
        self._disk.put(path, entry_of(observed))
        self._mark(path)

    def _new_file(self, seen: Seen) -> None:
        observed = seen.observed
        body, rest = _body(seen)
        file = self._replica.tree.unused_file_id(seen.path, body.digest)
        version = version_id(file, body.kind, body.digest, ())
        self._actions.append(NewFile(file, version, seen.path, observed.executable, body))
        self._add_parts(file, version, len(body.data), rest)
        self._disk.put(seen.path, entry_of(observed, file, version))
        self._mark(seen.path, whole=True)

    def _add_parts(self, file: bytes, version: bytes, offset: int, rest: bytes) -> None:
        for start in range(0, len(rest), PART_BYTES):
            piece = rest[start : start + PART_BYTES]
            self._actions.append(Part(bytes(file), bytes(version), offset + start, piece))

    def _changed(self, seen: Seen, entry: DiskEntry) -> None:
        file, version = self._replica.tree.find(entry.file, entry.version)
        place = self._replica.view.place_of(entry.version)
        if file is None or version is None or (place and not self._is_last(seen.path, entry)):
            self._new_file(seen)
            return
        if seen.observed.kind is Kind.FILE and entry.kind == Kind.FILE.value:
            if seen.observed.executable != entry.executable:
                self._actions.append(SetExecutable(file.id, seen.observed.executable))
            if entry.digest == seen.observed.digest:
                self._disk.put(seen.path, _resigned(entry, seen.observed))
                self._mark(seen.path)
                return
        decoded = decode_file(seen.content.data) if isinstance(seen.content, TextContent) else None
        if version.kind == "text" and decoded is not None and version.live:
            self._edited(seen, entry, file, version, decoded)
        else:
            self._replaced(seen, entry, file, version)

    def _edited(
        self, seen: Seen, entry: DiskEntry, file: File, version: Version, new: TextFile
    ) -> None:
        """A save becomes the smallest edits, on top of what the pool has meanwhile."""
        current = self._replica.texts.load(version).text
        base = self._base(entry, version, current)
        kept = as_found(base, new, version.eol, entry.digest)
        base, wanted = kept or (base, new.text)
        new = TextFile(new.text, None) if kept else new
        edits = diff(base, wanted)
        doubt = self._disk.doubts.get(seen.path)
        if doubt is not None and doubt.version == version.id:
            # A job may have put this there just before we died; if so, the save builds on it.
            other = self._replica.texts.text_at(version, doubt.at)
            found = diff(other, wanted)
            if _added(found) < _added(edits) and _deleted(found) <= _deleted(edits):
                base, edits = other, found
        is_doubtful = self._first_look or version.id in self.was_held
        found = diff(current, wanted) if is_doubtful else edits
        if _added(found) < _added(edits) and not any(one.deleted and one.inserted for one in found):
            # It has what the pool has meanwhile: the folder is newer than our store, an older copy
            # that was put back. What is missing there may be newer still, so nothing goes. (Where
            # one thing stands for another, both were written at once, and only look alike.)
            base, edits = current, [Edit(one.position, 0, one.inserted) for one in found]
        if base is not current and base != current:
            edits = transform(edits, diff(base, current))
        for update in self._replica.texts.edit(version, edits) if edits else ():
            self._actions.append(EditText(file.id, version.id, update))
        self._merged(seen, entry, file, version, new)

    def _merged(
        self, seen: Seen, entry: DiskEntry, file: File, version: Version, new: TextFile
    ) -> None:
        """The pool's text has all of a save; the disk may lack what others typed."""
        eol = new.eol.value if isinstance(new.eol, Eol) else version.eol
        if eol and eol != (version.eol or "lf"):
            self._actions.append(SetEol(file.id, version.id, eol))
        merged = self._replica.texts.load(version).text
        same = ContentHash.of(file_bytes(merged, eol)) == seen.observed.digest
        self._disk.put(
            seen.path,
            entry_of(seen.observed, file.id, version.id, entry.at, None if same else new.text),
        )
        self._bases.pop(version.id, None)
        self._mark(seen.path, whole=same)

    def _base(self, entry: DiskEntry, version: Version, current: str) -> str:
        """The text that stood on the disk before this save."""
        if entry.base is not None:
            return entry.base
        if entry.at == version.state():
            return current
        kept = self._bases.get(version.id)
        return kept if kept is not None else self._replica.texts.text_at(version, entry.at)

    def _replaced(self, seen: Seen, entry: DiskEntry, file: File, version: Version) -> None:
        covers = (self._cover(entry, version),)
        body, rest = _body(seen)
        new = version_id(file.id, body.kind, body.digest, (version.id,))
        self._actions.append(NewVersion(file.id, new, covers, body))
        self._add_parts(file.id, new, len(body.data), rest)
        self._disk.put(seen.path, entry_of(seen.observed, file.id, new))
        self._mark(seen.path, whole=True)

    def _cover(self, entry: DiskEntry, version: Version) -> Cover:
        """What whoever changed the folder had seen of a version: the disk's state, and all of
        our own typing.
        """
        if version.kind == "rows":
            return Cover(version.id, self.rows_seen(version))
        if version.kind != "text":  # its bytes never change, whoever wrote them too
            return Cover(version.id, version.touches)
        seen = dict(msgspec.msgpack.decode(entry.at, type=list[HeadEntry])) if entry.at else {}
        own = bytes(self._replica.log.author)
        seen.update((author, last) for author, last in version.touches if author == own)
        return Cover(version.id, tuple(sorted(seen.items())))

    # -- gone and moved --------------------------------------------------------------------

    def _gone(self, path: str) -> None:
        entry = self._disk.get(path)
        if entry is None:
            return
        if entry.at == IGNORED:
            pass  # what became of it while a rule hid it is nobody else's business
        elif entry.kind == Kind.FOLDER.value:
            self._drop_folder(path)
        elif self._is_last(path, entry):
            self._drop(entry)
        self._disk.remove(path)
        self._mark(path)

    def _drop_folder(self, path: str) -> None:
        record = self._replica.tree.folders.get(path)
        if record is not None and record.live:
            self._actions.append(DropFolder(path, record.touches))

    def _is_last(self, path: str, entry: DiskEntry) -> bool:
        """Whether what stood there goes with it: not if it is where the pool shows it."""
        place = self._replica.view.place_of(entry.version)
        return place is not None and (place == path or not self._stands_at(place, path, entry))

    def _stands_at(self, place: str, path: str, entry: DiskEntry) -> bool:
        """Whether it stands where the pool has moved it: we did that, or people did the same."""
        found = self._present.get(place)
        if found is None:
            return self._disk.places_of(entry.version) != [path]
        _, version = self._replica.tree.find(entry.file, entry.version)
        is_text = version is not None and version.kind == "text"
        return is_text or found.observed.digest == entry.digest

    def _drop(self, entry: DiskEntry) -> None:
        _, version = self._replica.tree.find(entry.file, entry.version)
        if version is not None and version.live:
            self._actions.append(DropFile(entry.file, (self._cover(entry, version),)))

    def _moved(self, old: str, new: str, seen: Seen | None) -> bool:
        """A file or folder has a new path; True if nothing else about it is new."""
        entry, target = self._disk.get(old), self._disk.get(new)
        if entry is None:
            return False
        if entry.kind == Kind.FOLDER.value or target is not None or entry.at == IGNORED:
            # A folder's contents move one by one. A file put in another's place is a save of that
            # one: it keeps its identity and history.
            self._gone(old)
            return False
        place = self._replica.view.place_of(entry.version)
        if place == new and seen is not None and _are_databases(entry, seen):
            self._disk.remove(old)  # the pool has moved it there, too
            self._disk.put(new, _resigned(entry, seen.observed))
            self._mark(old)
            self._mark(new)
            return True
        if place is None or place == new or not self._is_last(old, entry):
            self._disk.remove(old)
            self._mark(old)
            return False
        if not self._replica.view.files[place].main and not self._alone(entry):
            self._gone(old)  # a second version gets a name, and a life, of its own
            return False
        self._actions.append(MoveFile(entry.file, new))
        self._disk.remove(old)
        same = seen is not None and seen.observed.digest == entry.digest
        self._disk.put(new, _resigned(entry, seen.observed) if seen and same else entry)
        self._mark(old)
        self._mark(new)
        return same and seen is not None and seen.observed.executable == entry.executable

    def _alone(self, entry: DiskEntry) -> bool:
        file = self._replica.tree.files.get(entry.file)
        return file is not None and len(file.shown()) == 1


def _is_same(entry: DiskEntry, observed: Observed) -> bool:
    mode = entry.executable == observed.executable or observed.kind is not Kind.FILE
    return entry.kind == observed.kind.value and entry.digest == observed.digest and mode


def _are_databases(entry: DiskEntry, seen: Seen) -> bool:
    return entry.kind == Kind.DATABASE.value and seen.observed.kind is Kind.DATABASE


def _added(edits: Sequence[Edit]) -> int:
    """How much of a save is new: least from the text that the program had seen."""
    return sum(len(edit.inserted) for edit in edits)


def _deleted(edits: Sequence[Edit]) -> int:
    return sum(edit.deleted for edit in edits)


def _resigned(entry: DiskEntry, observed: Observed) -> DiskEntry:
    """The same content, touched; no rule hides it, or it would not have been seen."""
    fresh, at = entry_of(observed), b"" if entry.at == IGNORED else entry.at
    return msgspec.structs.replace(
        entry, signature=fresh.signature, executable=fresh.executable, at=at
    )


def _body(seen: Seen) -> tuple[Body, bytes]:
    """The start of a content, and the bytes of its body that go into further parts."""
    observed, content = seen.observed, seen.content
    size, digest = observed.signature.size_bytes, bytes(observed.digest)
    if isinstance(content, TextContent):
        decoded = decode_file(content.data)
        if decoded is not None:
            data = decoded.text.encode()
            eol = decoded.eol.value if decoded.eol is not None else ""
            body = Body("text", digest, len(content.data), len(data), data[:PART_BYTES], eol)
            return body, data[PART_BYTES:]
        raise ValueError(f"{seen.path}: announced as text, but is none")
    if isinstance(content, BlobContent):
        data = pack_chunks(content.chunks)
        size = sum(chunk.length for chunk in content.chunks)
        return Body("blob", digest, size, len(data), data[:PART_BYTES]), data[PART_BYTES:]
    if isinstance(content, ImportedContent):
        data, digest = content.chunks, content.digest
        return Body("rows", digest, content.size, len(data), data[:PART_BYTES]), data[PART_BYTES:]
    if isinstance(content, Symlink):
        data = content.target.encode()
        return Body("link", digest, len(data), len(data), data), b""
    raise ValueError(f"{seen.path}: a folder has no body")
