"""Paths as a pure view of the records: which file is shown where, on every peer alike.

Where two files claim one path, the one that came to it first keeps it; the others appear as
``name (conflict from alice).ext``. So does every further version of one file. A folder wins its
name from a file. Nothing is renamed by an operation that nobody made.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from blake3 import blake3

from .ids import AuthorId

__all__ = ["Shown", "View", "ancestors", "conflict_name"]

MAX_NAME_BYTES = 255  # a component of a path on ext4, APFS (UTF-8) and most others
MAX_AUTHOR_CHARS = 32
LONG_NAME_BYTES = 100  # beyond it a conflict's name may have to be shortened
CHANGING = ("text", "rows")  # kinds of which a version is more than its first content
ShownVersion = tuple[bytes, bytes, str, bytes]
"""(version id, author of its birth, kind, digest)"""


@dataclass(frozen=True, slots=True)
class Shown:
    """What the view shows at a path: a version of a file. ``main``: at the file's own path."""

    file: bytes
    version: bytes
    main: bool


@dataclass(slots=True)
class _Claim:
    path: str
    order: tuple[int, bytes]
    versions: tuple[ShownVersion, ...]


def ancestors(path: str) -> list[str]:
    """The folders above a path, outermost first: "a/b/c" has "a" and "a/b"."""
    found = []
    end = path.find("/")
    while end != -1:
        found.append(path[:end])
        end = path.find("/", end + 1)
    return found


def _cut(text: str, limit_bytes: int) -> str:
    data = text.encode()
    return text if len(data) <= limit_bytes else data[:limit_bytes].decode(errors="ignore")


def conflict_name(path: str, author: str, mark: str = "") -> str:
    """Where a second version of ``path`` is shown; the name still fits 255 bytes."""
    folder, slash, name = path.rpartition("/")
    stem, dot, suffix = name.rpartition(".")
    if not stem or len(suffix) > MAX_AUTHOR_CHARS:
        stem, dot, suffix = name, "", ""
    clean = "".join(c if c.isprintable() and c not in '/\\:*?"<>|' else "_" for c in author)
    note = f" (conflict from {clean[:MAX_AUTHOR_CHARS].strip() or 'someone'}{mark})"
    room = MAX_NAME_BYTES - len((note + dot + suffix).encode())
    return folder + slash + _cut(stem, room) + note + dot + suffix


class View:
    """The paths of all live files and folders, kept up to date by what changes.

    ``changed`` collects every path whose content, or existence, may differ from before.
    """

    def __init__(self, name_of: Callable[[AuthorId], str]) -> None:
        self._name_of = name_of
        self.files: dict[str, Shown] = {}
        self._places: dict[bytes, str] = {}  # version -> path
        self.changed: set[str] = set()
        self._claims: dict[bytes, _Claim] = {}
        self._claimants: dict[str, tuple[bytes, ...]] = {}  # path -> files; nearly always one
        self._folders: dict[str, int] = {}  # folder -> how many things need it
        self._kept: set[str] = set()  # folders with a live record
        self._crowded: dict[str, list[tuple[str, Shown]]] = {}  # groups that show more than one
        self._wanted: dict[str, set[str]] = {}  # a name some group would like -> those groups
        self._names_wanted: dict[str, list[str]] = {}  # group -> the names it would like
        self._stale: set[str] = set()
        self.shape = 0
        """Another number whenever a path appears, goes, or shows something else than before."""

    # -- reading ---------------------------------------------------------------------------

    def is_folder(self, path: str) -> bool:
        """Whether a folder is shown at this path."""
        return path in self._folders

    @property
    def folders(self) -> list[str]:
        """All folders, sorted."""
        return sorted(self._folders)

    @property
    def folder_count(self) -> int:
        """How many folders there are."""
        return len(self._folders)

    @property
    def conflict_count(self) -> int:
        """How many paths are shown beside the one they belong to."""
        return sum(
            1 for group, placed in self._crowded.items() for path, _ in placed if path != group
        )

    def conflicts(self) -> list[tuple[str, str, Shown]]:
        """(path, where the other version is shown, what it is), sorted."""
        return sorted(
            (
                (group, path, shown)
                for group, placed in self._crowded.items()
                for path, shown in placed
                if path != group
            ),
            key=lambda one: one[:2],
        )

    def place_of(self, version: bytes) -> str | None:
        """Where a version is shown, if it is."""
        return self._places.get(version)

    # -- changing --------------------------------------------------------------------------

    def set_file(
        self,
        file: bytes,
        path: str | None,
        order: tuple[int, bytes],
        versions: tuple[ShownVersion, ...],
    ) -> None:
        """A file's record changed; ``path`` is None if it has no live version any more."""
        old = self._claims.get(file)
        if path is None:
            if old is not None:
                del self._claims[file]
                self._leave(old.path, file)
            return
        self._claims[file] = _Claim(path, order, versions)
        if old is None or old.path != path:
            if old is not None:
                self._leave(old.path, file)
            self._enter(path, file)
        elif old.versions == versions and old.order == order:
            places = (self._places.get(version) for version, *_ in versions)
            self.changed.update(place for place in places if place is not None)
            return
        self._stale.add(path)

    def set_folder(self, path: str, *, exists: bool) -> None:
        """A folder's record changed."""
        if exists and path not in self._kept:
            self._kept.add(path)
            for folder in [*ancestors(path), path]:
                self._need(folder, 1)
        elif not exists and path in self._kept:
            self._kept.discard(path)
            for folder in [*ancestors(path), path]:
                self._need(folder, -1)

    def rename(self) -> None:
        """Somebody's name may have changed, and with it the names of conflicts."""
        self._stale |= self._crowded.keys()

    def settle(self) -> None:
        """Bring all paths up to date with the records; call after a batch of changes."""
        while self._stale:
            stale, self._stale = sorted(self._stale), set()
            self.shape += 1
            for group in stale:  # all of them first: a version may go from one to the other
                self._clear(group)
            for group in stale:
                self._place(group)

    def _enter(self, path: str, file: bytes) -> None:
        claimants = self._claimants.get(path, ())
        if not claimants:
            for folder in ancestors(path):
                self._need(folder, 1)
            self._stale |= self._wanted.get(path, set())
        self._claimants[path] = (*claimants, file)

    def _leave(self, path: str, file: bytes) -> None:
        claimants = tuple(one for one in self._claimants.pop(path) if one != file)
        if claimants:
            self._claimants[path] = claimants
        else:
            for folder in ancestors(path):
                self._need(folder, -1)
            self._stale |= self._wanted.get(path, set())
        self._stale.add(path)

    def _need(self, folder: str, by: int) -> None:
        before = self._folders.get(folder, 0)
        if before + by:
            self._folders[folder] = before + by
        else:
            del self._folders[folder]
        if (before == 0) != (before + by == 0):
            self.changed.add(folder)
            self.shape += 1
            if folder in self._claimants:
                self._stale.add(folder)
            self._stale |= self._wanted.get(folder, set())

    # -- one group: all files that claim one path ------------------------------------------

    def _place(self, group: str) -> None:
        main_free = group not in self._folders
        placed: list[tuple[str, Shown]] = []
        for index, (file, version, author) in enumerate(self._contents(group)):
            main = index == 0 and main_free
            taken = [path for path, _ in placed]
            path = group if main else self._free_name(group, file, version, author, taken)
            placed.append((path, Shown(file, version, main)))
        for path, shown in placed:
            self.files[path] = shown
            self._places[shown.version] = path
            self.changed.add(path)
        if placed and [path for path, _ in placed] != [group]:
            self._crowded[group] = placed

    def _clear(self, group: str) -> None:
        placed = self._crowded.pop(group, None)
        if placed is None:
            alone = self.files.get(group)
            placed = [(group, alone)] if alone is not None and alone.main else []
        for path, shown in placed:
            if self.files.get(path) == shown:  # another group may have taken the name meanwhile
                del self.files[path]
            if self._places.get(shown.version) == path:
                del self._places[shown.version]
            self.changed.add(path)
        for name in self._names_wanted.pop(group, ()):
            self._wanted[name].discard(group)
            if not self._wanted[name]:
                del self._wanted[name]

    def _contents(self, group: str) -> list[tuple[bytes, bytes, bytes]]:
        """(file, version, author) of everything to show, the one that keeps the path first."""
        claims = sorted(
            ((self._claims[file], file) for file in self._claimants.get(group, ())),
            key=lambda one: (one[0].order, one[1]),
        )
        found: list[tuple[bytes, bytes, bytes]] = []
        same: set[tuple[str, bytes]] = set()
        for claim, file in claims:
            for index, (version, author, kind, digest) in enumerate(claim.versions):
                # Equal contents make no conflict. A live one may have been edited since.
                if kind not in CHANGING and (kind, digest) in same:
                    continue
                same.add((kind, digest))
                found.append((file, version, author if index else claim.order[1]))
        return found

    def _free_name(
        self, group: str, file: bytes, version: bytes, author: bytes, taken: list[str]
    ) -> str:
        name = self._name_of(AuthorId(author))
        digest = blake3(file + version).hexdigest()
        marks = ["", " " + digest[:8], " " + digest]
        if len(group.rpartition("/")[2].encode()) > LONG_NAME_BYTES:
            marks.pop(0)  # a shortened name could be that of another group
        path = group
        for mark in marks:
            path = conflict_name(group, name, mark)
            wanted = self._wanted.setdefault(path, set())
            if group not in wanted:
                wanted.add(group)
                self._names_wanted.setdefault(group, []).append(path)
            if path not in taken and path not in self._claimants and path not in self._folders:
                break
        return path
