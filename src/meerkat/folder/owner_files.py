"""What the folder's owner does by hand through a page: looking, putting, moving, removing.

Decides what may be touched (as everywhere in the folder: no way out, no link followed, nothing of
ours, nothing ignored) and changes each path in one step that never overwrites anything unseen. It
tells nobody: the watcher finds the change, as if any other program had made it.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat as stat_module
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from meerkat.core.files import IGNORE_FILE, Kind, Observed, TextContent
from meerkat.errors import FolderError

from .config import FolderConfig
from .ignore import DEFAULT_RULES, Ignore
from .moving import move_new
from .parts import is_database_at, is_part, move_parts, parts_at, parts_in_use
from .paths import Root, UnsafePath, check_path, missing, split
from .publish import Place, Publisher, Raced
from .reading import NO_DIGEST, Found, Reading, read_path
from .replaced import Replaced
from .signature import is_executable, kind_of, signature_of
from .staging import mode_for

__all__ = ["OpenFile", "OwnerFiles", "Refusal", "Refused", "Upload", "etag_of"]

UPLOADS = "uploads"  # in the state folder: files on their way in, removed at the next start
NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
LOOK = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY  # a pipe or terminal must not hold us up
FULL = (errno.ENOSPC, errno.EDQUOT)


class Refusal(Enum):
    """Why something was not done."""

    MISSING = "nothing stands there that is shared"
    NAME = "the name is not allowed"
    TAKEN = "something else has the name"
    CHANGED = "what stands there is not what was expected"
    FULL = "the disk is full"
    FAILED = "the system refused"


class Refused(Exception):
    """It was not done, and nothing changed; the message is a sentence for people."""

    def __init__(self, why: Refusal, text: str) -> None:
        super().__init__(text)
        self.why = why


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A regular file of the folder, open for reading. Whoever has it closes ``descriptor``."""

    descriptor: int
    stat: os.stat_result

    @property
    def etag(self) -> str:
        """As ``etag_of``."""
        return etag_of(self.stat)


@dataclass(frozen=True, slots=True)
class Upload:
    """A file on its way in, open for writing."""

    descriptor: int
    name: str


def etag_of(stat: os.stat_result) -> str:
    """A strong entity tag. It changes with every save, and with a change of mode, too."""
    return f'"{stat.st_size:x}-{stat.st_mtime_ns:x}-{stat.st_ctime_ns:x}-{stat.st_ino:x}"'


class OwnerFiles:
    """The folder ``root`` by hand. Every call blocks on the disk; any thread may call.

    Raises:
        FolderError: if the folder or its state folder cannot be opened.
    """

    def __init__(
        self,
        root: Path,
        state: Path,
        *,
        ignore: Iterable[str] = DEFAULT_RULES,
        config: FolderConfig | None = None,
    ) -> None:
        self._config = config or FolderConfig()
        self._ignore = Ignore(ignore)
        self._rules: str | None = None  # the entity tag of the rules that were read
        self._lock = threading.Lock()  # one change at a time
        self._rules_lock = threading.Lock()
        with ExitStack() as stack:
            try:
                self._root = Root(root)
                stack.callback(self._root.close)
                self._replaced = Replaced(state / "replaced", self._config, self._saved_meanwhile)
                stack.callback(self._replaced.close)
                self._uploads = _open_uploads(state / UPLOADS)
            except OSError as error:
                raise FolderError(
                    f"{root} cannot be used ({error.strerror}). Check that you may write there."
                ) from error
            stack.pop_all()
        self._publisher = Publisher(self._replaced, lambda _gap, _path: None)

    def close(self) -> None:
        """Nothing may be called afterwards."""
        with self._lock:
            self._replaced.close()
            os.close(self._uploads)
            self._root.close()

    # --- looking ---

    def check(self, path: str, *, folder: bool = False) -> None:
        """Refuse a path that is not shared, or never could be.

        Raises:
            Refused: NAME, or MISSING for what is ignored.
        """
        _check_name(path)
        with self._rules_lock:
            self._load_rules()
            ignored = self._ignore.ignores(path, folder=folder)
        if ignored:
            raise Refused(
                Refusal.MISSING,
                f"{path} is ignored here (.meerkatignore), so it is not shared. Choose another.",
            )

    def open(self, path: str) -> OpenFile:
        """A file to be read.

        Raises:
            Refused: if no shared regular file stands there.
        """
        self.check(path)
        with _refusing(path, in_the_way=Refusal.MISSING), self._place(path) as place:
            _refuse_part(place)
            _refuse_in_use(place)
            stat = self._root.lstat(path)
            if stat_module.S_ISREG(stat.st_mode):
                descriptor = self._root.open(path, LOOK)
                stat = os.fstat(descriptor)
                if stat_module.S_ISREG(stat.st_mode):
                    return OpenFile(descriptor, stat)
                os.close(descriptor)
        raise Refused(Refusal.MISSING, f"{path} is no file. Only files can be read.")

    # --- changing ---

    def begin_upload(self) -> Upload:
        """A new file that nobody sees yet; ``end_upload`` must follow.

        Raises:
            Refused: if it cannot be made.
        """
        name = secrets.token_hex(16)
        with _refusing("the upload"):
            return Upload(os.open(name, NEW_FILE, 0o666, dir_fd=self._uploads), name)

    def write(self, upload: Upload, data: bytes | memoryview) -> None:
        """Append to it.

        Raises:
            Refused: if the disk is full, say.
        """
        view = memoryview(data)
        with _refusing("the upload"):
            while view:
                view = view[os.write(upload.descriptor, view) :]

    def end_upload(self, upload: Upload) -> None:
        """Forget it, if it was not put in place."""
        os.close(upload.descriptor)
        with contextlib.suppress(OSError):
            os.unlink(upload.name, dir_fd=self._uploads)

    def put(
        self, upload: Upload, path: str, *, new: bool = False, etags: frozenset[str] | None = None
    ) -> tuple[str, bool]:
        """Give a finished upload its place, durably.

        Args:
            upload: what was written.
            path: where to; folders on the way are made.
            new: nothing may stand there.
            etags: what may be replaced ("*": anything); None: anything or nothing.

        Returns:
            Its entity tag, and whether nothing stood there before.

        Raises:
            Refused: and whatever stands there is as it was.
        """
        self.check(path)
        with _refusing(path):
            os.fsync(upload.descriptor)  # may take long, and needs no lock
            with self._changing(), self._place(path, make=True) as place:
                standing = _standing(place)
                _check_expected(path, standing, new=new, etags=etags)
                _refuse_part(place)
                _refuse_in_use(place)
                temp = Place(self._uploads, upload.name, path)
                if standing is None:
                    self._publisher.new(temp, place)
                else:
                    mode = mode_for(is_executable(standing), standing)
                    assert mode is not None  # a regular file has one
                    os.fchmod(upload.descriptor, mode)
                    self._publisher.over(temp, place, _observed(standing))
                os.fsync(place.directory)
                return etag_of(os.fstat(upload.descriptor)), standing is None

    def make_folder(self, path: str) -> None:
        """Make a folder, and those above it.

        Raises:
            Refused: TAKEN if something stands there already.
        """
        self.check(path, folder=True)
        with _refusing(path), self._changing(), self._place(path, make=True) as place:
            os.mkdir(place.name, dir_fd=place.directory)
            os.fsync(place.directory)

    def move(self, source: str, target: str) -> None:
        """Rename a file or folder; what stands at the target is never replaced.

        Raises:
            Refused: and nothing moved.
        """
        _check_name(source)
        if target.startswith(source + "/"):
            raise Refused(Refusal.NAME, f"{source} cannot be moved into itself. Choose elsewhere.")
        with _refusing(source):
            folder = stat_module.S_ISDIR(self._root.lstat(source).st_mode)
        self.check(source, folder=folder)
        self.check(target, folder=folder)
        with _refusing(source), self._changing(), self._place(source) as old:
            _require_shareable(old)
            _refuse_part(old)
            is_database = is_database_at(old.directory, old.name)
            parts = parts_at(old.directory, old.name) if is_database else []
            with _refusing(target), self._place(target, make=True) as new:
                if is_database:
                    _refuse_in_use(new)
                _refuse_part(new)
                try:
                    move_new(old.directory, old.name, new.directory, new.name)
                except FileExistsError:
                    if not _same_entry(old, new):
                        raise
                    os.rename(
                        old.name, new.name, src_dir_fd=old.directory, dst_dir_fd=new.directory
                    )
                move_parts(parts, old.directory, old.name, new.directory, new.name)
                os.fsync(old.directory)
                os.fsync(new.directory)

    def delete(self, path: str) -> int:
        """Remove a file, a link, or a folder with all that is shared in it.

        Returns:
            How many entries were left, since they are ignored or came meanwhile.

        Raises:
            Refused: of a folder, some may be removed already.
        """
        _check_name(path)
        with _refusing(path):
            folder = stat_module.S_ISDIR(self._root.lstat(path).st_mode)
            self.check(path, folder=folder)
            if folder:
                return self._delete_folder(path)
            with self._changing(), self._place(path) as place:
                _refuse_part(place)
                expected = _observed(_require_shareable(place))
                with_parts = is_database_at(place.directory, place.name)
                self._publisher.take_away(place, expected, parts=with_parts)
                os.fsync(place.directory)
        return 0

    def next_due(self) -> float | None:
        """When ``purge`` has something to do, by ``time.monotonic``; None: never."""
        return self._replaced.next_due()

    def purge(self) -> None:
        """Remove what was replaced or removed, once nobody can still be writing to it."""
        with self._lock:
            self._replaced.purge(time.monotonic())

    # --- within ---

    def _load_rules(self) -> None:
        try:
            rules = etag_of(self._root.lstat(IGNORE_FILE))
        except OSError:
            rules = ""
        if rules == self._rules:
            return
        reading = read_path(self._root, IGNORE_FILE, self._config.large_bytes)
        text = b""
        if isinstance(reading, Found) and isinstance(reading.content, TextContent):
            text = reading.content.data
        self._ignore.set_rules(text.decode("utf-8", "replace"))
        self._rules = rules

    @contextmanager
    def _changing(self) -> Iterator[None]:
        with self._lock:
            if not self._root.standing():
                raise Refused(
                    Refusal.FAILED,
                    "The folder is not where it was (was its disk removed?). "
                    "Put it back, then restart meerkat.",
                )
            self._replaced.purge(time.monotonic())
            yield

    @contextmanager
    def _place(self, path: str, *, make: bool = False) -> Iterator[Place]:
        parent, name = split(path)
        if make and parent:
            self._root.make_folders(parent)
        directory = self._root.open_folder(parent)
        try:
            yield Place(directory, name, path)
        finally:
            os.close(directory)

    def _delete_folder(self, path: str) -> int:
        kept = 0
        folders = [path]
        for folder in folders:  # grows while it is walked; no recursion, however deep it is
            files, below, left = self._list(folder)
            folders += below
            kept += left
            for file in files:
                with self._changing(), self._place(file) as place:
                    try:
                        stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
                        with_parts = is_database_at(place.directory, place.name)
                        self._publisher.take_away(place, _observed(stat), parts=with_parts)
                    except (FileNotFoundError, Raced):
                        kept += 1
        for folder in reversed(folders):
            with self._changing(), self._place(folder) as place:
                try:
                    os.rmdir(place.name, dir_fd=place.directory)
                    if folder == path:  # what is below goes with it
                        os.fsync(place.directory)
                except OSError as error:
                    if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOENT):
                        raise
        return kept

    def _list(self, folder: str) -> tuple[list[str], list[str], int]:
        """The shared files and folders in a folder, and how many entries are not shared."""
        files, folders, left = [], [], 0
        descriptor = self._root.open_folder(folder)
        try:
            with os.scandir(descriptor) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}"
                    is_folder = entry.is_dir(follow_symlinks=False)
                    try:
                        self.check(path, folder=is_folder)
                    except Refused:
                        left += 1
                        continue
                    if is_folder:
                        folders.append(path)
                    elif is_part(descriptor, entry.name):
                        continue  # goes with its database
                    elif entry.is_file(follow_symlinks=False) or entry.is_symlink():
                        files.append(path)
                    else:
                        left += 1  # a socket, pipe or device
        finally:
            os.close(descriptor)
        return files, folders, left

    def _saved_meanwhile(self, path: str, name: str, _: Reading) -> None:
        """A program wrote into a file after we replaced it: that save stands beside it now."""
        self._replaced.put_beside(self._root, path, name)


def _open_uploads(folder: Path) -> int:
    folder.mkdir(mode=0o700, exist_ok=True)
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        for name in os.listdir(descriptor):
            os.unlink(name, dir_fd=descriptor)  # of a process that ended in the middle
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _check_name(path: str) -> None:
    try:
        check_path(path)
    except UnsafePath as error:
        raise Refused(Refusal.NAME, f"This path cannot be used: {error}.") from error


@contextmanager
def _refusing(path: str, *, in_the_way: Refusal = Refusal.TAKEN) -> Iterator[None]:
    """The system's errors as sentences. ``in_the_way``: what a file among the folders means."""
    try:
        yield
    except Raced as error:
        raise Refused(
            Refusal.CHANGED, f"{path} changed at this very moment. Look at it and try again."
        ) from error
    except FileExistsError as error:
        raise Refused(
            Refusal.TAKEN, f"{path} exists already. Choose another name, or remove it first."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.EISDIR, errno.ELOOP):
            why, text = in_the_way, "a file, folder or link is in the way. Choose another name."
        elif error.errno == errno.EXDEV:
            why = Refusal.FAILED
            text = "another file system is mounted there. Move or copy the file by hand."
        elif missing(error):
            why, text = Refusal.MISSING, "there is nothing. It may have been moved or deleted."
        elif error.errno in FULL:
            why, text = Refusal.FULL, "the disk is full. Free some space and try again."
        elif error.errno in (errno.EINVAL, errno.ENAMETOOLONG, errno.EILSEQ):
            why, text = Refusal.NAME, "this name cannot be used here. Choose another."
        else:
            why = Refusal.FAILED
            text = f"{error.strerror}. Check that you may read and write there."
        raise Refused(why, f"{path}: {text}") from error


def _standing(place: Place) -> os.stat_result | None:
    try:
        return os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _require_shareable(place: Place) -> os.stat_result:
    stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    if kind_of(stat) is None:
        raise Refused(Refusal.MISSING, f"{place.path} is no file, folder or link: not shared.")
    return stat


def _refuse_part(place: Place) -> None:
    if is_part(place.directory, place.name):
        raise Refused(
            Refusal.MISSING, f"{place.path} is a part of a database: not shared by itself."
        )


def _refuse_in_use(place: Place) -> None:
    if parts_in_use(place.directory, place.name):
        raise Refused(
            Refusal.TAKEN,
            f"{place.path} is a database that is in use, so the file is not whole by itself. "
            "Try again in a moment, or close the programs that have it open.",
        )


def _check_expected(
    path: str, standing: os.stat_result | None, *, new: bool, etags: frozenset[str] | None
) -> None:
    if standing is None:
        if etags is not None:
            raise Refused(
                Refusal.CHANGED, f"{path} is not there any more. Upload it as a new file."
            )
        return
    if new:
        raise Refused(
            Refusal.CHANGED, f"{path} exists already. Choose another name, or replace it."
        )
    if not stat_module.S_ISREG(standing.st_mode):
        raise Refused(Refusal.TAKEN, f"{path} is no file. Choose another name, or remove it first.")
    if etags is not None and "*" not in etags and etag_of(standing) not in etags:
        raise Refused(
            Refusal.CHANGED, f"{path} was changed meanwhile. Look at it before you replace it."
        )


def _observed(stat: os.stat_result) -> Observed:
    """What the publisher compares by signature; nobody asks for its digest."""
    return Observed(kind_of(stat) or Kind.FILE, NO_DIGEST, is_executable(stat), signature_of(stat))


def _same_entry(old: Place, new: Place) -> bool:
    """Two spellings of one name, on a file system that ignores case."""
    if old.path == new.path or old.name.casefold() != new.name.casefold():
        return False
    first = os.stat(old.name, dir_fd=old.directory, follow_symlinks=False)
    second = os.stat(new.name, dir_fd=new.directory, follow_symlinks=False)
    return os.path.samestat(first, second) and first.st_nlink == 1
