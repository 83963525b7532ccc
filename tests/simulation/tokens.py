"""Marks that tell what became of everything people ever wrote.

A mark is one code point that is used once. A line of a text is a mark and a line end, so that no
merge of two saves, however fine its diff, can break one or make one up.
"""

from __future__ import annotations

from collections import Counter

from meerkat.core.files import Kind
from meerkat.testing.memory_folder import MemoryFolder, Node

FIRST, LAST = 0x4E00, 0x9FFF  # CJK unified ideographs: 20,992 marks in a run
BINARY = b"\x00"
HEAD_BYTES = 8  # of a binary file, where its mark is; what follows is noise


class Marks:
    """Hands out marks."""

    def __init__(self) -> None:
        self.count = 0

    def fresh(self) -> str:
        self.count += 1
        assert FIRST + self.count <= LAST, "no marks are left"
        return chr(FIRST + self.count)


def marks_in(text: str) -> Counter[str]:
    return Counter(one for one in text if FIRST <= ord(one) <= LAST)


def marks_of(node: Node) -> Counter[str]:
    """The marks in a file, or in a link's target."""
    if node.kind is Kind.FOLDER:
        return Counter()
    data = node.data[:HEAD_BYTES] if node.data.startswith(BINARY) else node.data
    return marks_in(data.decode(errors="ignore"))


def marks_in_folder(folder: MemoryFolder) -> Counter[str]:
    found: Counter[str] = Counter()
    for node in folder.nodes.values():
        found += marks_of(node)
    return found


def text_of(marks: list[str], *, crlf: bool = False) -> bytes:
    end = "\r\n" if crlf else "\n"
    return "".join(mark + end for mark in marks).encode()


def binary_of(mark: str, noise: bytes) -> bytes:
    return (BINARY + mark.encode()).ljust(HEAD_BYTES, BINARY) + noise
