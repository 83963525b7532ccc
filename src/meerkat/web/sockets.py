"""A WebSocket of ours: written to at once and without waiting, bounded, with reasons at its end.

``aiohttp`` makes the handshake and reads; what goes out is framed here, since its own way is a
coroutine: a frame would wait for a task's turn, and a deaf reader would hold up whoever writes.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress

from aiohttp import WSCloseCode, WSMessage, WSMsgType, web

__all__ = ["BAD_TOKEN", "BINARY", "PROTOCOL", "TEXT", "TOO_SLOW", "Socket", "reason_of"]

TEXT, BINARY = 0x81, 0x82  # RFC 6455, 5.2: a final frame and its kind
SHORT, MEDIUM = 125, 0xFFFF  # bytes; how long a frame may be for each form of its header
REASON_BYTES = 123  # RFC 6455, 5.5: a control frame's 125 less the code
BAD_TOKEN, PROTOCOL = 4401, 4400
TOO_SLOW = 1013  # "try again later", in IANA's registry
MAX_WAITING = 16 * 1024 * 1024  # bytes not taken yet when more come; a page that reads has none
JOIN_BYTES = 64 * 1024  # below this, copying header and data together is the cheaper way
HEARTBEAT = 20.0  # seconds; half of it later without an answer the other side is gone
GOODBYE = 2.0  # seconds for the other side to answer that we close


class Socket:
    """One connection, from its handshake on. ``put`` never waits and never fails."""

    def __init__(self, request: web.Request, *, max_bytes: int, max_waiting: int = MAX_WAITING):
        self._request = request
        self._max_waiting = max_waiting
        self._aiohttp = web.WebSocketResponse(
            heartbeat=HEARTBEAT, compress=False, max_msg_size=max_bytes, timeout=GOODBYE
        )
        self._over: asyncio.Future[tuple[int, str]] = asyncio.get_running_loop().create_future()

    @property
    def response(self) -> web.WebSocketResponse:
        """What the handler returns."""
        return self._aiohttp

    @property
    def waiting_bytes(self) -> int:
        """What the other side has not taken yet, as far as the system has not, either."""
        transport = self._request.transport
        return transport.get_write_buffer_size() if transport is not None else 0

    async def accept(self) -> None:
        """The handshake."""
        self._writer = await self._aiohttp.prepare(self._request)

    async def drain(self) -> None:
        """Return when the other side has taken nearly all.

        Raises:
            OSError: if it is gone.
        """
        await self._writer.drain()

    def put(self, kind: int, data: bytes) -> None:
        """Write a message now. Who takes none for long is cut off."""
        transport = self._request.transport
        if self._over.done() or transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > self._max_waiting:
            self.end(TOO_SLOW, "The page reads too slowly. Load it again.")
            return
        header = _header(kind, len(data))
        if len(data) < JOIN_BYTES:
            transport.write(header + data)
        else:
            transport.writelines((header, data))

    def end(self, code: int, sentence: str) -> None:
        """Close soon; the first reason counts."""
        if not self._over.done():
            self._over.set_result((code, sentence))

    async def receive(self) -> WSMessage | None:
        """The next text or binary message; None: it is over."""
        message = await self._aiohttp.receive()
        return message if message.type in (WSMsgType.TEXT, WSMsgType.BINARY) else None

    async def wait_over(self, within: float | None = None) -> bool:
        """Whether somebody said ``end``, within so many seconds."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await asyncio.shield(self._over)
        return self._over.done()

    async def close(self) -> None:
        """Say why, if there is a reason, and hang up."""
        if not self._over.done():
            self._over.set_result((WSCloseCode.OK, ""))
        code, sentence = self._over.result()
        try:
            async with asyncio.timeout(2 * GOODBYE):
                await self._aiohttp.close(code=code, message=reason_of(sentence))
        except (TimeoutError, OSError):
            pass  # it takes nothing any more
        if code == TOO_SLOW and self._request.transport is not None:
            self._request.transport.abort()


def reason_of(sentence: str) -> bytes:
    """The sentence as a close frame can carry it: cut between characters."""
    data = sentence.encode("utf-8", "replace")
    if len(data) <= REASON_BYTES:
        return data
    ellipsis = "…".encode()
    return data[: REASON_BYTES - len(ellipsis)].decode("utf-8", "ignore").encode() + ellipsis


def _header(kind: int, length: int) -> bytes:
    if length <= SHORT:
        return bytes((kind, length))
    if length <= MEDIUM:
        return bytes((kind, SHORT + 1)) + length.to_bytes(2, "big")
    return bytes((kind, SHORT + 2)) + length.to_bytes(8, "big")
