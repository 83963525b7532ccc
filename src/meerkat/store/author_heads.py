"""The head and the number of every author, kept in memory and equal to the file at all times.

Knows what to undo when a transaction does not commit. Does not touch the file.
"""

from __future__ import annotations

from meerkat.core.ids import AuthorId
from meerkat.core.ports import Head

__all__ = ["AuthorHeads"]


class AuthorHeads:
    """Heads and numbers with an undo list for the transaction under way."""

    def __init__(self) -> None:
        self._heads: dict[AuthorId, Head] = {}
        self._numbers: dict[AuthorId, int] = {}
        self._next_number = 1
        self._undo_heads: dict[AuthorId, Head | None] = {}
        self._undo_numbers: list[AuthorId] = []

    def load(self, numbers: dict[AuthorId, int], heads: dict[AuthorId, Head]) -> None:
        """Take over what the file says."""
        self._heads, self._numbers = heads, numbers
        self._next_number = max(numbers.values(), default=0) + 1
        self.begin()

    def all(self) -> dict[AuthorId, Head]:
        """A copy of author -> head."""
        return dict(self._heads)

    def head(self, author: AuthorId) -> Head | None:
        """The author's head, or None."""
        return self._heads.get(author)

    def number(self, author: AuthorId) -> int | None:
        """The author's number, or None if it never appended."""
        return self._numbers.get(author)

    def add_author(self, author: AuthorId) -> int:
        """Give a new author the next number."""
        number = self._next_number
        self._next_number += 1
        self._numbers[author] = number
        self._undo_numbers.append(author)
        return number

    def set_head(self, author: AuthorId, head: Head) -> None:
        """Move the author's head."""
        if author not in self._undo_heads:
            self._undo_heads[author] = self._heads.get(author)
        self._replace(author, head)

    def begin(self) -> None:
        """What is here now is what a rollback goes back to."""
        self._undo_heads.clear()
        self._undo_numbers.clear()

    def rollback(self) -> None:
        """Back to what was here at ``begin``."""
        for author, head in self._undo_heads.items():
            self._replace(author, head)
        for author in self._undo_numbers:
            del self._numbers[author]
        self._next_number -= len(self._undo_numbers)
        self.begin()

    def _replace(self, author: AuthorId, head: Head | None) -> None:
        if head is None:
            self._heads.pop(author, None)
        else:
            self._heads[author] = head
