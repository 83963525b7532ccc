"""What a job finds: where its path is, and whether what stands there is what it expects."""

from __future__ import annotations

import os

from meerkat.core.files import Kind, Observed, Outcome, expected_of
from meerkat.core.ids import ContentHash

from .config import FolderConfig
from .parts import parts_at, parts_in_use
from .paths import Root, split
from .publish import Place, Raced
from .reading import Found, Unread, read_entry
from .scanner import Scanner
from .signature import is_fresh, signature_of, unchanged

__all__ = ["Ground", "Refuse"]


class Refuse(Exception):
    """A job that ends without being done."""

    def __init__(self, outcome: Outcome, detail: str, observed: Observed | None = None) -> None:
        super().__init__(detail)
        self.outcome = outcome
        self.detail = detail
        self.observed = observed


class Ground:
    """Answers for the group of jobs in hand, within ``Root.keeping``."""

    def __init__(self, scanner: Scanner, config: FolderConfig) -> None:
        self._scanner = scanner
        self._root: Root = scanner.root
        self._config = config

    def place(self, path: str, *, make: bool = False) -> Place:
        """The open directory and name of a path; its folders are made if wanted.

        Raises:
            Raced: the directory is not there.
        """
        parent, name = split(path)
        try:
            directory = self._root.kept_folder(parent)
        except FileNotFoundError:
            if not make:
                raise Raced from None
            self._root.make_folders(parent)
            directory = self._root.kept_folder(parent)
        return Place(directory, name, path)

    def verify(self, place: Place, expected: ContentHash) -> Observed:
        """What stands there, if it holds ``expected``; it is read unless its signature is known.

        Raises:
            Raced: something else stands there, or nothing.
            Refuse: it must be hashed first.
        """
        scanner = self._scanner
        try:
            stat = os.stat(place.name, dir_fd=place.directory, follow_symlinks=False)
        except FileNotFoundError:
            raise Raced from None
        known = scanner.known.get(place.path)
        if known is not None and known.kind is Kind.DATABASE:
            same = scanner.databases.same(place.path, known, stat)
            if not same or expected_of(known) != expected:
                raise Raced
            return known
        if (
            known is None
            or not unchanged(stat, known.signature)
            or is_fresh(signature_of(stat), self._config)
        ):
            limit = self._config.large_bytes
            live = known is None and not scanner.databases.is_plain(place.path)
            reading = read_entry(place.directory, place.name, place.path, limit, live=live)
            if reading is Unread.LARGE:
                scanner.examine_large(place.path, stat)
                raise Refuse(Outcome.BUSY, "the large file there changed and is being read")
            if not isinstance(reading, Found):
                raise Raced
            known = reading.observed
        if known.digest != expected or known.kind in (Kind.FOLDER, Kind.DATABASE):
            raise Raced
        return known

    def has_parts(self, path: str) -> bool:
        """Whether what stands there is a database, whose parts go where it goes."""
        databases = self._scanner.databases
        return databases.is_live(path) or databases.is_plain(path)

    def refuse_parts(
        self, place: Place, outcome: Outcome = Outcome.DENIED, *, own: bool = False
    ) -> None:
        """Parts of a database must not come to lie beside another one: that would destroy it.

        Args:
            place: where a database is about to stand.
            outcome: of the job, if it may not.
            own: what ended transactions of the database there have left does not matter.

        Raises:
            Refuse: there are some.
        """
        find = parts_in_use if own else parts_at
        parts = find(place.directory, place.name)
        if parts:
            name = place.path + parts[0].suffix
            text = (
                f"{name} lies there, a part of a database: close the programs that use it, or "
                "move that file away"
            )
            raise Refuse(outcome, text)
