"""Frames between the node and the rows process: four bytes of length (big-endian), then the body.

Knows nothing of what is in them. Both ends are ours, and one can only be cut off or grow too large
if the other has a bug.
"""

from __future__ import annotations

import os
import struct
import threading

__all__ = ["MAX_FRAME_BYTES", "FrameError", "FrameWriter", "Splitter", "frame"]

MAX_FRAME_BYTES = 1024**3  # the batches of one transaction of a program come in one report
_LENGTH = struct.Struct(">I")


class FrameError(Exception):
    """The other end sends what is no frame."""


def frame(body: bytes) -> bytes:
    """One frame.

    Raises:
        FrameError: if the body is too large.
    """
    if len(body) > MAX_FRAME_BYTES:
        raise FrameError(f"a frame of {len(body)} bytes")
    return _LENGTH.pack(len(body)) + body


class Splitter:
    """Bytes as they arrive, cut into the bodies of frames."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> list[bytes]:
        """The bodies that are complete now, in order.

        Raises:
            FrameError: if one is announced that is too large.
        """
        buffer = self._buffer
        buffer += data
        bodies: list[bytes] = []
        start = 0
        while len(buffer) - start >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(buffer, start)
            if length > MAX_FRAME_BYTES:
                raise FrameError(f"a frame of {length} bytes")
            end = start + _LENGTH.size + length
            if len(buffer) < end:
                break
            bodies.append(bytes(memoryview(buffer)[start + _LENGTH.size : end]))
            start = end
        del buffer[:start]
        return bodies


class FrameWriter:
    """Writes frames to a blocking descriptor, whole, from any thread."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    def write(self, body: bytes) -> None:
        """Write a frame; waits while the other end does not read.

        Raises:
            FrameError: if the body is too large.
            OSError: if nobody reads any more.
        """
        data = memoryview(frame(body))
        with self._lock:
            while data:
                data = data[os.write(self._descriptor, data) :]
