"""Asking the process that serves a folder. Blocking, since its users are commands."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

from meerkat.errors import (
    FolderError,
    InvitationError,
    MeerkatError,
    NodeBroken,
    NotRunning,
    PortTaken,
    StoreError,
    UnknownMember,
)

from . import schema

__all__ = ["ControlClient", "error_of"]

ANSWER_WITHIN = 10.0  # seconds; a node answers in milliseconds unless the machine is swamped
READ_BYTES = 256 * 1024
KINDS = (
    FolderError,
    NotRunning,
    InvitationError,
    PortTaken,
    StoreError,
    UnknownMember,
    NodeBroken,
)


class ControlClient:
    """One connection to a folder's process. Use as a context manager.

    Raises:
        NotRunning: if nobody serves the socket.
    """

    def __init__(self, path: Path, *, timeout: float = ANSWER_WITHIN) -> None:
        self._timeout = timeout
        self._buffer = bytearray()
        self._searched = 0
        self._number = 0
        self._events: list[dict[str, Any]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            self._socket.connect(str(path))
        except OSError as error:
            self._socket.close()
            raise NotRunning(NotRunning.__doc__) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Hang up."""
        self._socket.close()

    def ask(self, request: schema.Request, *, within: float | None = None) -> dict[str, Any]:
        """The result of a request; events that come before it are kept for ``events``.

        ``within``: seconds for this answer, if not those of the connection.

        Raises:
            MeerkatError: the sentence the other process answered, with its exit code.
            NotRunning: if it ends meanwhile.
        """
        self._number += 1
        numbered = schema.numbered(request, self._number)
        deadline = time.monotonic() + (self._timeout if within is None else within)
        self._write(schema.encode_request(numbered))
        while True:
            value = self._line(deadline)
            if value is None:
                raise NotRunning("The folder's process ended before it answered.")
            if "event" in value:
                self._events.append(value)
            elif value.get("error") and value.get("id") in (0, self._number):
                raise error_of(int(value.get("exit_code", 1)), str(value["error"]))
            elif value.get("id") == self._number:
                return dict(value.get("result") or {})

    def events(self, deadline: float | None = None) -> Iterator[dict[str, Any]]:
        """Events as they come (after ``Subscribe``), until the process ends.

        Raises:
            TimeoutError: at ``deadline`` (of ``time.monotonic``).
        """
        while True:
            while self._events:
                yield self._events.pop(0)
            value = self._line(deadline)
            if value is None:
                return
            if "event" in value:
                yield value

    def wait_until(
        self, accept: Callable[[dict[str, Any]], bool], *, within: float
    ) -> dict[str, Any]:
        """The first status that ``accept`` takes; looks again after every event.

        Raises:
            TimeoutError: if none comes within so many seconds.
        """
        deadline = time.monotonic() + within
        self.ask(schema.Subscribe())
        while True:
            status = self.ask(schema.GetStatus())
            if accept(status):
                return status
            if not self._events:
                self._wait_event(min(deadline, time.monotonic() + 0.1), deadline)
            self._events.clear()

    def wait_closed(self, within: float) -> None:
        """Return when the process has closed its side.

        Raises:
            TimeoutError: if it has not within so many seconds.
        """
        for _ in self.events(time.monotonic() + within):
            pass

    def _wait_event(self, soon: float, deadline: float) -> None:
        """Wait for an event, but look again after a while: not every change is one."""
        try:
            value = self._line(soon)
        except TimeoutError:
            if time.monotonic() >= deadline:
                raise
            return
        if value is None:
            raise NotRunning("The folder's process ended.")
        self._events.append(value)

    def _write(self, line: bytes) -> None:
        try:
            self._socket.settimeout(self._timeout)
            self._socket.sendall(line)
        except OSError as error:
            raise NotRunning("The folder's process ended before it answered.") from error

    def _line(self, deadline: float | None) -> dict[str, Any] | None:
        while (end := self._buffer.find(b"\n", self._searched)) < 0:
            self._searched = len(self._buffer)
            if self._searched > schema.MAX_LINE:
                raise MeerkatError("The folder's process answered without end.")
            data = self._read(deadline)
            if not data:
                return None
            self._buffer += data
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        self._searched = 0
        return schema.decode_line(line)

    def _read(self, deadline: float | None) -> bytes:
        remaining = None if deadline is None else deadline - time.monotonic()
        if remaining is not None and remaining <= 0:
            raise TimeoutError("The folder's process did not answer in time.")
        try:
            self._socket.settimeout(remaining)
            return self._socket.recv(READ_BYTES)
        except TimeoutError as error:
            raise TimeoutError("The folder's process did not answer in time.") from error
        except OSError:
            return b""


def error_of(exit_code: int, sentence: str) -> MeerkatError:
    """The error that another process ended with, so that it is caught here as there."""
    for kind in KINDS:
        if kind.exit_code == exit_code:
            return kind(sentence)
    return MeerkatError(sentence)
