"""``/yjs/<path>``: one text of the folder for one Yjs editor, as the y-websocket protocol has it.

Any client of that protocol can join: frames go to the node's editor session as they are, and come
from it as they are. What they mean, ``core/bridge`` knows.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol, assert_never

from aiohttp import WSCloseCode, WSMsgType

from meerkat.core.editing import (
    Closed,
    CursorShown,
    EditorMessage,
    Frame,
    LineEnds,
    Moved,
    RangesChanged,
    SessionId,
    Speech,
)
from meerkat.core.y_protocol import MAX_FRAME_BYTES
from meerkat.errors import MeerkatError, NotRunning, StoreError
from meerkat.node.editors import Opened

from .sockets import BINARY, PROTOCOL, Socket

__all__ = ["IDLE", "MAX_FRAME", "Editors", "serve_yjs"]

MIB = 1024 * 1024
MAX_FRAME = MAX_FRAME_BYTES + MIB  # so that the bridge can say what is wrong with a large one
NO_TEXT, STALE, GONE = 4404, 4409, 4410
CODES = {
    "deleted": GONE,
    "replaced": GONE,
    "binary": GONE,
    "stale": STALE,
    "protocol": PROTOCOL,
    "stopping": WSCloseCode.SERVICE_RESTART,
}
IDLE = 10.0  # seconds; y-websocket's provider hangs up after 30 without a message (its source)
TOGETHER = 256  # frames that came at once are handed over before others get a turn (guess)
NOBODY_MOVED = b"\x01\x01\x00"  # an update about the cursors of no client: changes nothing


class Editors(Protocol):
    """``node.editors``, seen from here."""

    async def open(
        self,
        path: str,
        speech: Speech,
        hear: Callable[[EditorMessage], None],
        content: str | None = None,
    ) -> Opened:
        """Begin a session; ``hear`` is called in the event loop, perhaps before this returns."""

    def frame(self, session: SessionId, data: bytes) -> None:
        """What the editor says."""

    def close(self, session: SessionId) -> None:
        """The editor is gone. May be said twice."""


async def serve_yjs(socket: Socket, editors: Editors, path: str, *, idle: float = IDLE) -> None:
    """Join the text at ``path`` until one side has enough; the socket is closed then."""
    try:
        opened = await editors.open(path, Speech.YJS, lambda message: _hear(socket, message))
    except (NotRunning, StoreError) as error:
        socket.end(WSCloseCode.TRY_AGAIN_LATER, str(error))
        await socket.close()
        return
    except MeerkatError as error:
        socket.end(NO_TEXT, str(error))
        await socket.close()
        return
    try:
        async with asyncio.TaskGroup() as group:
            ending = group.create_task(_end(socket, editors, opened.session, idle))
            await _read(socket, editors, opened.session)
            ending.cancel()
    finally:
        editors.close(opened.session)
    await socket.close()


async def _read(socket: Socket, editors: Editors, session: SessionId) -> None:
    count = 0
    while (message := await socket.receive()) is not None:
        count += 1
        if message.type is not WSMsgType.BINARY:
            socket.end(PROTOCOL, "Send binary frames of the y-websocket protocol.")
            return
        editors.frame(session, message.data)
        if count % TOGETHER == 0:
            await asyncio.sleep(0)  # a flood of frames must leave the others their turn


async def _end(socket: Socket, editors: Editors, session: SessionId, idle: float) -> None:
    while not await socket.wait_over(idle):
        socket.put(BINARY, NOBODY_MOVED)
    editors.close(session)  # at once: a deaf page takes seconds to be rid of
    await socket.close()  # this ends the reading, too


def _hear(socket: Socket, message: EditorMessage) -> None:
    match message:
        case Frame(data=data):
            socket.put(BINARY, data)
        case Closed(reason=reason, text=text):
            socket.end(CODES.get(reason, PROTOCOL), text)
        case Moved() | CursorShown():
            pass  # the session goes on under the new path; cursors are in the frames
        case RangesChanged() | LineEnds():
            raise TypeError("a session that speaks Yjs is told frames")
        case _:
            assert_never(message)
