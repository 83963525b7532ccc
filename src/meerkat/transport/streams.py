"""The two ends of a gRPC stream, told alike: messages, an end, and one kind of error.

grpc.aio's errors stop here.
"""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

import grpc
import grpc.aio

__all__ = ["DialedStream", "ServedStream", "Stream", "StreamLost"]


class StreamLost(Exception):
    """The stream died. ``str`` of it is the reason for ``link_down``."""


class Stream(Protocol):
    """One direction-free byte-message stream. One reader task and one writer task at most."""

    async def read(self) -> bytes | None:
        """The next message; None when the far end has ended the stream.

        Never put a timeout around it: a cancelled read cancels the whole call (measured).
        """

    async def write(self, message: bytes) -> None:
        """Send a message; waits while back-pressure holds."""

    async def finish(self) -> None:
        """Nothing more will be written."""


class DialedStream:
    """Our end of a call we made."""

    def __init__(self, call: Any) -> None:
        self._call = call

    async def read(self) -> bytes | None:
        """See Stream."""
        try:
            message = await self._call.read()
        except _GRPC_ERRORS as error:
            raise _lost(error) from error
        return None if message is grpc.aio.EOF else message

    async def write(self, message: bytes) -> None:
        """See Stream."""
        try:
            await self._call.write(message)
        except _GRPC_ERRORS as error:
            raise _lost(error) from error

    async def finish(self) -> None:
        """See Stream."""
        try:
            await self._call.done_writing()
        except _GRPC_ERRORS as error:
            raise _lost(error) from error


class ServedStream:
    """Our end of a call made to us. It ends when its handler returns."""

    def __init__(self, context: Any) -> None:
        self._context = context

    async def read(self) -> bytes | None:
        """See Stream."""
        try:
            message = await self._context.read()
        except _GRPC_ERRORS as error:
            raise _lost(error) from error
        return None if message is grpc.aio.EOF else message

    async def write(self, message: bytes) -> None:
        """See Stream."""
        try:
            await self._context.write(message)
        except _GRPC_ERRORS as error:
            raise _lost(error) from error

    async def finish(self) -> None:
        """See Stream. Nothing to do: returning from the handler says it."""


# InvalidStateError: the call was over before we wrote. BaseError: "Internal error from Core".
_GRPC_ERRORS = (grpc.aio.AioRpcError, grpc.aio.BaseError, asyncio.InvalidStateError)


def _lost(error: BaseException) -> StreamLost:
    if isinstance(error, grpc.aio.AioRpcError):
        if error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED:
            return StreamLost("protocol")  # a message above gRPC's 4 MiB
        details = f"{error.details()} {error.debug_error_string()}".lower()
        if "keepalive" in details or "ping timeout" in details or "ping_timeout" in details:
            return StreamLost("frozen")
    return StreamLost("lost")
