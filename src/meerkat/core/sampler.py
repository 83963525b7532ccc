"""A uniform sample of everyone ever heard of, which nobody can fill by shouting: min-wise slots.

As in Brahms (Bortnikov et al., 2009): each slot keeps the author whose hash, under a key that only
we know, comes nearest to the slot's secret point. How often an author is named does not matter, so
an attacker gets no more of the slots than its share of all authors.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import blake2b
from struct import Struct

from .messages import Contact

__all__ = ["Sampler"]

SLOT_BYTES = 4  # of one digest for each slot; two authors meet by chance once in 2**32
SLOTS = 16  # 16 slots of 4 bytes are one BLAKE2b digest (overlay.md, 5.1)
KEY_BYTES = 32
_unpack = Struct(f">{SLOTS}I").unpack
FARTHEST = 1 << (8 * SLOT_BYTES)


class Sampler:
    """16 contacts, chosen by secret."""

    __slots__ = ("_distances", "_empty", "_entropy", "_key", "_points", "_slots")

    def __init__(self, entropy: Callable[[int], bytes]) -> None:
        self._entropy = entropy
        self._key = entropy(KEY_BYTES)
        self._points = [self._point() for _ in range(SLOTS)]
        self._distances = [FARTHEST] * SLOTS
        self._slots: list[Contact | None] = [None] * SLOTS
        self._empty = SLOTS

    def _point(self) -> int:
        return int.from_bytes(self._entropy(SLOT_BYTES), "big")

    @property
    def contacts(self) -> list[Contact]:
        """The sample; one contact may fill several slots."""
        return [one for one in self._slots if one is not None]

    @property
    def hungry(self) -> bool:
        """Whether a slot is empty: then also somebody heard of long ago is news."""
        return self._empty > 0

    def observe(self, contact: Contact) -> None:
        """A contact was heard (again, or a newer one of the same author)."""
        digest = blake2b(contact.author, key=self._key, digest_size=SLOTS * SLOT_BYTES).digest()
        nearer = [
            slot
            for slot, (hashed, point, distance) in enumerate(
                zip(_unpack(digest), self._points, self._distances, strict=True)
            )
            if hashed ^ point <= distance
        ]
        if nearer:
            hashes = _unpack(digest)
            for slot in nearer:
                self._distances[slot] = hashes[slot] ^ self._points[slot]
                self._empty -= self._slots[slot] is None
                self._slots[slot] = contact

    def renew(self, author: bytes) -> None:
        """An author is gone for good: its slots choose anew, by new points."""
        for slot, contact in enumerate(self._slots):
            if contact is not None and contact.author == author:
                self._points[slot] = self._point()
                self._distances[slot] = FARTHEST
                self._slots[slot] = None
                self._empty += 1
