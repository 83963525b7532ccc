"""Content-Length frames, as the language server protocol has them. Pure: bytes in, bodies out."""

from __future__ import annotations

__all__ = ["FrameError", "Frames", "frame"]

MAX_HEADER = 16 * 1024  # bytes of all header lines of one frame; real ones have two
MAX_BODY = 64 * 1024 * 1024  # bytes; a text of 4 MiB with every character escaped takes 24


class FrameError(Exception):
    """These bytes cannot be divided into frames any more; the connection is of no use."""


class Frames:
    """Bodies out of a stream of bytes, however it is cut into pieces."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._skip = 0  # bytes of a body that is too large
        self._length: int | None = None  # of the body that comes next

    def feed(self, data: bytes) -> list[bytes | None]:
        """The bodies that are complete now; None for one that was too large and left out.

        Raises:
            FrameError: if a header makes no sense; what follows cannot be understood.
        """
        self._buffer += data
        bodies: list[bytes | None] = []
        while self._buffer:
            if self._skip:
                gone = min(self._skip, len(self._buffer))
                del self._buffer[:gone]
                self._skip -= gone
                continue
            if self._length is None:
                self._length = self._header()
                if self._length is None:
                    break
                if self._length > MAX_BODY:
                    bodies.append(None)
                    self._skip, self._length = self._length, None
                    continue
            if len(self._buffer) < self._length:
                break
            bodies.append(bytes(self._buffer[: self._length]))
            del self._buffer[: self._length]
            self._length = None
        return bodies

    def _header(self) -> int | None:
        """The length that the header lines tell; None if they are not all there yet."""
        while self._buffer and self._buffer[0] in b"\r\n":  # empty lines between frames do no harm
            del self._buffer[:1]
        # A blank line ends the header: CR LF by the book, LF alone when typed by hand.
        ends = [
            (at, at + len(blank))
            for blank in (b"\r\n\r\n", b"\n\n")
            if (at := self._buffer.find(blank, 0, MAX_HEADER)) >= 0
        ]
        if not ends:
            if len(self._buffer) >= MAX_HEADER:
                raise FrameError("a header without an end")
            return None
        end, start = min(ends)
        lines = self._buffer[:end].decode("latin-1").splitlines()
        del self._buffer[:start]
        for line in lines:
            name, _, value = line.partition(":")
            if name.strip().lower() == "content-length":
                digits = value.strip()
                if not (digits.isascii() and digits.isdigit() and len(digits) <= 15):
                    raise FrameError("Content-Length is no number")
                return int(digits)
        raise FrameError("a header without Content-Length")


def frame(body: bytes) -> bytes:
    """A body with its header."""
    return b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
