"""Names for peers, authors, files and contents: bytes that cannot be mistaken for one another.

Every id is a subclass of ``bytes`` of one fixed length, so it costs nothing to store, sort or
send, while the type checker refuses to swap two kinds (decision 0003).
"""

from __future__ import annotations

from typing import ClassVar, Self

from blake3 import blake3

__all__ = [
    "AuthorId",
    "ContentHash",
    "FileId",
    "Id",
    "MemberId",
    "OperationHash",
    "PoolId",
    "VersionId",
]


class Id(bytes):
    """A fixed-length byte string with a type of its own.

    Raises:
        ValueError: if the length is not the class's ``SIZE``.
    """

    __slots__ = ()
    SIZE: ClassVar[int] = 32

    def __new__(cls, value: bytes) -> Self:
        if len(value) != cls.SIZE:
            raise ValueError(f"a {cls.__name__} has {cls.SIZE} bytes, not {len(value)}")
        return super().__new__(cls, value)

    def short(self) -> str:
        """The first eight hexadecimal digits: enough for people, never for decisions."""
        return self[:4].hex()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.short()})"

    def __str__(self) -> str:
        return self.short()


class PoolId(Id):
    """A pool: the BLAKE3 hash of its first operation's public facts (founder key and a nonce)."""

    __slots__ = ()


class MemberId(Id):
    """A person's Ed25519 public key (RFC 8032): who may be here, and whom TLS authenticates."""

    __slots__ = ()


class AuthorId(Id):
    """An installation's Ed25519 public key: who signs operations. A member may have several."""

    __slots__ = ()


class OperationHash(Id):
    """BLAKE3 of an operation's signed bytes and signature: what the next operation chains to."""

    __slots__ = ()


class ContentHash(Id):
    """BLAKE3 of some content: a chunk or a whole file."""

    __slots__ = ()

    @classmethod
    def of(cls, content: bytes | bytearray | memoryview) -> ContentHash:
        """Hash ``content``. BLAKE3 gives 3 GB/s per core here (design, section 4)."""
        return cls(blake3(content).digest())


class FileId(Id):
    """A file whatever its path: 16 bytes derived from where and how it was born."""

    __slots__ = ()
    SIZE = 16


class VersionId(Id):
    """One version of a file's content: 16 bytes derived from the operation that wrote it."""

    __slots__ = ()
    SIZE = 16
