"""Which paths are not synced: built-in rules, then ``.meerkatignore`` at the top of the folder.

The syntax is git's, including ``!`` to take a rule back. Only our own names cannot be taken back.
As in git, nothing below an ignored folder can be included again.
"""

from __future__ import annotations

from collections.abc import Iterable

from pathspec import GitIgnoreSpec

from .paths import is_own_name, split

__all__ = ["DEFAULT_RULES", "Ignore"]

MOST_REMEMBERED = 20_000  # folders whose answer is kept

DEFAULT_RULES = (
    # A version-control store is consistent only as a whole: merged file by file (an index from
    # here, references from there) it breaks. Its own push and pull are the way to sync it.
    ".git",
    ".hg",
    ".svn",
    ".jj",
    # What editors write beside a file while it is open or being saved.
    "*~",
    ".*.sw?",
    "4913",  # vim tries whether it may create a file
    ".#*",
    "\\#*#",
    ".~lock.*#",
    "~$*",
    # What file managers and file systems leave.
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
    ".Trash-*",
    ".fuse_hidden*",
    ".nfs*",
    # Half a download is nobody's file yet; ``*.tmp`` is not here, since programs keep real data
    # under it, and the settle time hides those that exist for a moment.
    "*.part",
    "*.crdownload",
)


class Ignore:
    """Answers for any path below the folder."""

    def __init__(self, defaults: Iterable[str] = DEFAULT_RULES) -> None:
        self._defaults = tuple(defaults)
        self.set_rules("")

    def set_rules(self, text: str) -> None:
        """Take the rules of ``.meerkatignore``; a line that is no pattern is passed over."""
        lines = list(self._defaults)
        for line in text.splitlines():
            try:
                GitIgnoreSpec.from_lines([line])
            except ValueError:
                continue
            lines.append(line)
        self._spec = GitIgnoreSpec.from_lines(lines)
        self._folders: dict[str, bool] = {"": False}

    def here(self, path: str, name: str, *, folder: bool) -> bool:
        """Whether a rule names this path itself; what is above it was asked before."""
        if is_own_name(name):
            return True
        return self._spec.match_file(path + "/" if folder else path)

    def ignores(self, path: str, *, folder: bool = False) -> bool:
        """Whether the path, or a folder above it, is ignored."""
        parent, name = split(path)
        return self._folder(parent) or self.here(path, name, folder=folder)

    def _folder(self, path: str) -> bool:
        known = self._folders.get(path)
        if known is not None:
            return known
        if len(self._folders) >= MOST_REMEMBERED:
            self._folders = {"": False}
        unknown = [path]  # no recursion: a path may be two thousand folders deep
        while (parent := split(unknown[-1])[0]) not in self._folders:
            unknown.append(parent)
        ignored = self._folders[parent]
        for folder in reversed(unknown):
            ignored = ignored or self.here(folder, split(folder)[1], folder=True)
            self._folders[folder] = ignored
        return ignored
