"""Putting a finished file in place in one step, and never over something unseen.

A new path is taken only if it is free (``RENAME_NOREPLACE``). A path that holds something is
exchanged (``RENAME_EXCHANGE``) and what came out is compared with what was expected; a save that
slipped in between is put back. Where the kernel or file system lacks these, hard links do the
same for new paths, and leave a window of microseconds for replaced ones.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, replace

from meerkat.core.files import Kind, Observed, Signature

from . import syscalls
from .moving import LACKING, move_new
from .parts import move_parts, parts_at
from .replaced import Replaced
from .signature import same_database, same_file, signature_of

__all__ = ["Place", "Publisher", "Raced"]


class Raced(Exception):
    """Somebody else was faster: what stands there is not what was expected."""


@dataclass(frozen=True, slots=True)
class Place:
    """An open directory and a name in it; ``path`` is where that is in the user's folder."""

    directory: int
    name: str
    path: str


class Publisher:
    """Renames with a check. ``hook`` is called at each gap, for tests that race in it."""

    def __init__(self, replaced: Replaced, hook: Callable[[str, str], None]) -> None:
        self._replaced = replaced
        self.hook = hook

    def new(self, temp: Place, place: Place) -> None:
        """Put ``temp`` where nothing stands.

        Raises:
            Raced: something does.
            OSError: for the caller to name.
        """
        self.hook("before-new", place.path)
        try:
            move_new(temp.directory, temp.name, place.directory, place.name)
        except FileExistsError:
            raise Raced from None

    def over(self, temp: Place, place: Place, expected: Observed) -> None:
        """Put ``temp`` where ``expected`` stands, and keep that for a while.

        Raises:
            Raced: something else stands there (again); it was left or put back.
        """
        expected = _standing(place, expected)
        self.hook("before-exchange", place.path)
        if not syscalls.supports("renameat2"):
            self._over_by_link(temp, place, expected)
            return
        try:
            syscalls.exchange(temp.directory, temp.name, place.directory, place.name)
        except FileNotFoundError:
            raise Raced from None
        except OSError as error:
            if error.errno not in LACKING:
                raise
            self._over_by_link(temp, place, expected)
            return
        self.hook("after-exchange", place.path)
        displaced = os.stat(temp.name, dir_fd=temp.directory, follow_symlinks=False)
        if not same_file(displaced, expected.signature):
            self._put_back(temp, place)
            raise Raced
        self._set_aside(temp, place.path, expected)

    def _put_back(self, temp: Place, place: Place) -> None:
        # Exchange again: ours comes back to the temporary name. If a third save raced with this,
        # it comes out instead of ours and must go in again; ours is then the one inside. Each
        # round needs another save within microseconds, so this ends.
        ours = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        for _ in range(100):
            self.hook("before-put-back", place.path)
            try:
                syscalls.exchange(temp.directory, temp.name, place.directory, place.name)
            except FileNotFoundError:  # removed meanwhile: the save before it is the last word
                move_new(temp.directory, temp.name, place.directory, place.name)
                return
            out = os.stat(temp.name, dir_fd=temp.directory, follow_symlinks=False)
            if out.st_ino == ours.st_ino:
                return
            ours = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)

    def _over_by_link(self, temp: Place, place: Place, expected: Observed) -> None:
        name = self._replaced.new_name(expected.signature)
        stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        if not same_file(stat, expected.signature):
            raise Raced
        kept = False
        with contextlib.suppress(OSError):  # exFAT has no hard links; then nothing is kept
            os.link(
                place.name,
                name,
                src_dir_fd=place.directory,
                dst_dir_fd=self._replaced.descriptor,
                follow_symlinks=False,
            )
            kept = True
        os.replace(temp.name, place.name, src_dir_fd=temp.directory, dst_dir_fd=place.directory)
        if kept:
            self._replaced.keep(name, place.path, expected)

    def _set_aside(self, temp: Place, path: str, expected: Observed) -> None:
        name = self._replaced.new_name(expected.signature)
        try:
            os.rename(
                temp.name, name, src_dir_fd=temp.directory, dst_dir_fd=self._replaced.descriptor
            )
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            os.unlink(temp.name, dir_fd=temp.directory)
        else:
            self._replaced.keep(name, path, expected)

    def take_away(self, place: Place, expected: Observed, *, parts: bool = False) -> None:
        """Remove ``expected``: rename it aside, look whether it was that, or put it back.

        Args:
            place: where it stands.
            expected: what should.
            parts: what is named like a database's parts goes with it.

        Raises:
            Raced: something else stands there; it was put back.
        """
        expected = _standing(place, expected)
        beside = parts_at(place.directory, place.name) if parts else []
        name = self._replaced.new_name(expected.signature)
        self.hook("before-remove", place.path)
        aside = self._replaced.descriptor
        try:
            os.rename(place.name, name, src_dir_fd=place.directory, dst_dir_fd=aside)
        except FileNotFoundError:
            raise Raced from None
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            os.unlink(place.name, dir_fd=place.directory)
            for part in beside:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(place.name + part.suffix, dir_fd=place.directory)
            return
        self.hook("after-remove", place.path)
        stat = os.stat(name, dir_fd=aside, follow_symlinks=False)
        if same_file(stat, expected.signature):
            gone = move_parts(beside, place.directory, place.name, aside, name)
            self._replaced.keep(name, place.path, expected, gone)
            return
        try:
            move_new(aside, name, place.directory, place.name)
        except FileExistsError:  # saved once more since: that one stays, this one is handed over
            changed = Signature(-1, 0, 0, 0, 0)
            self._replaced.keep(
                name,
                place.path,
                Observed(expected.kind, expected.digest, expected.executable, changed),
            )
        raise Raced


def _standing(place: Place, expected: Observed) -> Observed:
    """A database's size and times are not in what is known of it: take them as they are now.

    Raises:
        Raced: something else stands there.
    """
    if expected.kind is not Kind.DATABASE:
        return expected
    try:
        stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
    except FileNotFoundError:
        raise Raced from None
    if not same_database(stat, expected):
        raise Raced
    return replace(expected, signature=signature_of(stat))
